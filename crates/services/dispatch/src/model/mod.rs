//! The decisions of dispatch, pure: how fast a lane goes, what an outcome means, why a message waits.
//!
//! No I/O and no clock: time comes in as an argument. Nothing here decides to send a message again whose fate is
//! not known (rule 16): there is no way from [`DeliveryState::Unknown`] to [`DeliveryState::Waiting`] but a carrier's
//! late word that it surely did not take the message, and its list that does not show it ([`decide_confirmation`]).

mod forecast;
mod hold;
mod inquiry;
mod limits;
mod line;
mod outcome;
mod pace;
mod quiet;
mod waiting;
mod withdrawal;

pub use forecast::{CampaignNow, InLine, NETWORKS, decide_wait_in_line, forecast};
pub use hold::{Hold, HoldReason};
pub use inquiry::{Confirmation, Evidence, InquiryTimes, Knowledge, Report, decide_confirmation, decide_report};
pub use limits::{BrandLimits, CampaignLimits, Closing, LimitTree, decide_closing, find_day, find_end_of_day};
pub use line::{Line, decide_line, find_line, find_line_by_code, line_refusal};
pub use outcome::{
    Decision, LaneChange, Next, PauseReason, decide_expiry, decide_outcome, decide_withheld, merge_lane_changes,
};
pub use pace::{Meter, Pace};
pub use quiet::QuietHours;
pub use waiting::{LaneNow, WaitReason, Waits, decide_finish, decide_wait, find_held_by};
pub use withdrawal::{Withdrawal, decide_withdrawn};

/// Where a delivery stands after an attempt. The words are stored; during the attempt it is `attempting`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// Will be sent.
    Waiting,
    /// The carrier may or may not have it. Not sent again by itself.
    Unknown,
    /// The carrier has it.
    Accepted,
    /// Will not be sent.
    Failed,
    /// Withdrawn before a carrier had it.
    Canceled,
    /// The carrier may or may not have it, and nobody finds out by itself.
    Unconfirmed,
}

impl DeliveryState {
    /// The word as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Unknown => "unknown",
            Self::Accepted => "accepted",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Unconfirmed => "unconfirmed",
        }
    }

    /// It is over: the text is no longer needed.
    pub const fn is_settled(self) -> bool {
        matches!(self, Self::Accepted | Self::Failed | Self::Canceled | Self::Unconfirmed)
    }
}

/// Our stable codes for failures that no carrier decided.
pub mod failure_code {
    /// Could not be handed over for too long.
    pub const EXPIRED: &str = "expired";
    /// What was stored cannot be read any more: our mistake.
    pub const UNREADABLE: &str = "unreadable";
    /// Nobody found out whether the carrier took it (rule 16).
    pub const NOT_CONFIRMED: &str = "not_confirmed";
}

/// How many deliveries each of several lanes may take, so that one busy lane does not take the turn of the others
/// (rule 18). Shares are given in order; what the first ones do not want is left for the next.
///
/// `wanted` is the most that each lane can use. The sum of the answer is at most `free`.
pub fn plan_shares(free: usize, wanted: &[usize]) -> Vec<usize> {
    let mut left = free;
    let mut lanes = wanted.len();
    wanted
        .iter()
        .map(|wanted| {
            let share = left.div_ceil(lanes).min(*wanted);
            left -= share;
            lanes -= 1;
            share
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_busy_lane_leaves_the_others_their_turn() {
        assert_eq!(plan_shares(64, &[100, 1, 100]), [22, 1, 41]);
        assert_eq!(plan_shares(2, &[100, 100, 100]), [1, 1, 0]);
        assert_eq!(plan_shares(64, &[100]), [64]);
        assert_eq!(plan_shares(0, &[1]), [0]);
    }

    proptest! {
        #[test]
        fn no_more_is_shared_than_there_is(free in 0_usize..200, wanted in proptest::collection::vec(0_usize..100, 0..20)) {
            let shares = plan_shares(free, &wanted);
            prop_assert!(shares.iter().sum::<usize>() <= free);
            prop_assert!(shares.iter().zip(&wanted).all(|(share, wanted)| share <= wanted));
        }
    }
}
