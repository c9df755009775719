//! The status of a message and the one direction in which it moves (design §3, rule 16).
//!
//! Reports come late, doubled and in any order: from our own attempt, and from the carrier. A status has a
//! rank, and only a report of a higher rank changes it, so that the same reports in any order end in the
//! same status. SQL does the same with `where status_rank < new_rank`; the ranks are stored, do not renumber.
//!
//! `sending` means that a carrier has taken the message. Until then it is `queued`, also while an attempt is
//! under way, or `unknown` if an attempt ended without an answer. Any word of the carrier settles `unknown`.
//!
//! `delivered`, `undelivered` and `failed` are equal: the carriers report one of them, and the first one stays,
//! also one that we decided ourselves. `canceled` is never entered once a carrier has the message. It ends
//! the life of a message that was not sent; should a carrier nevertheless report that it has it, the
//! carrier's word is the truth and is shown.

use crate::words::word_set;

word_set! {
    /// What is known of a message's way.
    MessageStatus, "message status" {
        /// Inbound. Born so and never changed.
        Received = "received",
        /// Accepted by us, waits for its turn or is being handed to a carrier.
        Queued = "queued",
        /// A carrier has taken it.
        Sending = "sending",
        /// The carrier has passed it on.
        Sent = "sent",
        /// The recipient's network or phone has it.
        Delivered = "delivered",
        /// The carrier passed it on, and it did not arrive.
        Undelivered = "undelivered",
        /// It was not sent, and will not be.
        Failed = "failed",
        /// Stopped by a manager before it was sent.
        Canceled = "canceled",
        /// Not known whether a carrier has taken it (rule 16).
        Unknown = "unknown",
    }
}

impl MessageStatus {
    /// How far a message has come. Stored beside the status; a change needs a higher one.
    pub const fn rank(self) -> i16 {
        match self {
            Self::Queued => 0,
            Self::Unknown => 10,
            Self::Canceled => 20,
            Self::Sending => 30,
            Self::Sent => 40,
            Self::Delivered | Self::Undelivered | Self::Failed | Self::Received => 50,
        }
    }

    /// No further report is expected.
    pub const fn is_final(self) -> bool {
        match self {
            Self::Queued | Self::Unknown | Self::Sending | Self::Sent => false,
            Self::Canceled | Self::Delivered | Self::Undelivered | Self::Failed | Self::Received => true,
        }
    }
}

/// The new status of a message, or `None` if the report changes nothing.
///
/// `reported` is a status of an outbound message; `received` is no report and changes nothing.
pub fn decide_status(current: MessageStatus, reported: MessageStatus) -> Option<MessageStatus> {
    let forward = reported != MessageStatus::Received && current.rank() < reported.rank();
    forward.then_some(reported)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use MessageStatus::{Canceled, Delivered, Failed, Queued, Received, Sending, Sent, Undelivered, Unknown};

    fn status_after(reports: &[MessageStatus]) -> MessageStatus {
        reports.iter().fold(Queued, |current, reported| decide_status(current, *reported).unwrap_or(current))
    }

    #[test]
    fn every_status_reads_back_as_itself() {
        for status in MessageStatus::ALL {
            assert_eq!(status.as_str().parse::<MessageStatus>().unwrap(), *status);
            let json = serde_json::to_string(status).unwrap();
            assert_eq!(json, format!("\"{status}\""));
            assert_eq!(serde_json::from_str::<MessageStatus>(&json).unwrap(), *status);
        }
    }

    #[test]
    fn the_rank_in_sql_and_the_decision_agree() {
        for current in MessageStatus::ALL {
            for reported in MessageStatus::ALL.iter().filter(|status| **status != Received) {
                assert_eq!(
                    decide_status(*current, *reported),
                    (current.rank() < reported.rank()).then_some(*reported),
                    "{current} and then {reported}"
                );
            }
        }
    }

    #[test]
    fn a_status_never_goes_backwards() {
        for current in MessageStatus::ALL {
            assert_eq!(decide_status(*current, *current), None, "{current} twice");
            for reported in MessageStatus::ALL {
                if let Some(new) = decide_status(*current, *reported) {
                    assert_eq!(new, *reported);
                    assert_eq!(decide_status(new, *current), None, "{new} back to {current}");
                }
            }
        }
    }

    #[test]
    fn a_message_moves_from_queued_to_delivered() {
        for pair in [Queued, Sending, Sent, Delivered].windows(2) {
            assert_eq!(decide_status(pair[0], pair[1]), Some(pair[1]));
        }
    }

    #[test]
    fn the_first_of_the_carriers_last_words_stays() {
        for first in [Delivered, Undelivered, Failed] {
            for later in MessageStatus::ALL {
                assert_eq!(decide_status(first, *later), None, "{first} and then {later}");
            }
        }
    }

    #[test]
    fn an_inbound_message_stays_received() {
        for status in MessageStatus::ALL {
            assert_eq!(decide_status(Received, *status), None);
            assert_eq!(decide_status(*status, Received), None);
        }
    }

    #[test]
    fn any_word_of_the_carrier_settles_what_is_not_known() {
        for reported in [Sending, Sent, Delivered, Undelivered, Failed] {
            assert_eq!(decide_status(Unknown, reported), Some(reported));
            assert_eq!(decide_status(reported, Unknown), None);
        }
        assert_eq!(decide_status(Queued, Unknown), Some(Unknown));
    }

    #[test]
    fn only_what_no_carrier_has_can_be_canceled() {
        for current in [Queued, Unknown] {
            assert_eq!(decide_status(current, Canceled), Some(Canceled));
        }
        for current in [Sending, Sent, Delivered, Undelivered, Failed, Received] {
            assert_eq!(decide_status(current, Canceled), None, "{current}");
        }
    }

    #[test]
    fn a_carrier_that_has_a_canceled_message_is_believed() {
        for reported in [Sending, Sent, Delivered] {
            assert_eq!(decide_status(Canceled, reported), Some(reported));
        }
        for reported in [Queued, Unknown] {
            assert_eq!(decide_status(Canceled, reported), None);
        }
    }

    #[test]
    fn a_final_status_is_one_after_which_no_report_is_expected() {
        let last: Vec<_> = MessageStatus::ALL.iter().filter(|status| status.is_final()).collect();
        assert_eq!(last, [&Received, &Delivered, &Undelivered, &Failed, &Canceled]);
    }

    proptest! {
        #[test]
        fn reports_in_any_order_end_in_the_same_status(
            last in proptest::sample::select(vec![Delivered, Undelivered, Failed, Sent]),
            (reports, shuffled) in proptest::collection::vec(
                proptest::sample::select(vec![Queued, Unknown, Canceled, Sending, Sent]),
                0..8,
            )
            .prop_flat_map(|reports| (Just(reports.clone()), Just(reports).prop_shuffle())),
            at in any::<proptest::sample::Index>(),
        ) {
            let mut in_order = reports;
            in_order.push(last);
            let mut out_of_order = shuffled;
            out_of_order.insert(at.index(out_of_order.len() + 1), last);
            prop_assert_eq!(status_after(&in_order), status_after(&out_of_order));
        }
    }
}
