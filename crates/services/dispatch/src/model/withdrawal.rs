//! What becomes of a delivery that is withdrawn: its batch was canceled, or its conversation deleted (rule 11).
//!
//! | delivery | batch canceled | conversation deleted |
//! |---|---|---|
//! | not yet queued | not queued, reported | not queued |
//! | waiting or held | canceled, reported | canceled, text erased |
//! | attempting | goes on; not again if it comes back ([`decide_withdrawn`]) | the same, text erased |
//! | unknown | stays unknown: a carrier may have it (rule 16) | canceled, text erased: nobody is left to be told |

use super::Next;

/// Why something is not to be sent any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withdrawal {
    /// Of a batch: each message that is stopped is reported.
    Canceled,
    /// Of a conversation: nothing is kept and nothing said.
    Erased,
}

impl Withdrawal {
    /// As it is stored.
    pub const fn from_stored(erased: bool) -> Self {
        if erased { Self::Erased } else { Self::Canceled }
    }

    /// As it is stored.
    pub const fn is_erased(self) -> bool {
        matches!(self, Self::Erased)
    }
}

/// What becomes of a delivery whose attempt ended so, when it was withdrawn meanwhile. What a carrier has taken or
/// refused stays so; nothing goes again.
pub fn decide_withdrawn(next: Next, withdrawal: Withdrawal) -> Next {
    match (next, withdrawal) {
        (Next::Waiting, Withdrawal::Canceled) => Next::Canceled,
        (Next::Waiting | Next::Unknown, Withdrawal::Erased) => Next::Erased,
        (next, _) => next,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::DeliveryState;

    #[test]
    fn nothing_that_is_withdrawn_is_sent_again() {
        for withdrawal in [Withdrawal::Canceled, Withdrawal::Erased] {
            let next = decide_withdrawn(Next::Waiting, withdrawal);
            assert_eq!(next.state(), DeliveryState::Canceled, "{withdrawal:?}");
        }
    }

    #[test]
    fn what_a_carrier_may_have_of_a_canceled_batch_stays_unknown_and_of_a_deleted_conversation_is_over() {
        assert_eq!(decide_withdrawn(Next::Unknown, Withdrawal::Canceled), Next::Unknown);
        assert_eq!(decide_withdrawn(Next::Unknown, Withdrawal::Erased), Next::Erased);
    }

    #[test]
    fn what_a_carrier_said_counts_also_of_what_is_withdrawn() {
        let accepted = Next::Accepted { carrier_message_id: "SM1".to_owned(), segments: None };
        let failed = Next::Failed { code: "filtered", detail: "No.".to_owned() };
        for withdrawal in [Withdrawal::Canceled, Withdrawal::Erased] {
            for next in [&accepted, &failed] {
                assert_eq!(decide_withdrawn(next.clone(), withdrawal), *next);
            }
        }
    }
}
