//! What follows from what is known after a call (rule 16). One table, [`decide_outcome`].
//!
//! | outcome | delivery | lane |
//! |---|---|---|
//! | accepted | accepted | goes on |
//! | rejected | failed | goes on |
//! | rejected, our account's fault | waits again | pauses with backoff: an operator mends a token, and nothing is lost |
//! | rejected, our number's fault | waits again | pauses with backoff: it may be replaced already, and the news on its way |
//! | throttled | waits again | pauses as long as the carrier asks, else with backoff: longer if the number's queue is full |
//! | throttled, a limit of its campaign or brand | waits again | goes on: see [`super::decide_closing`] |
//! | unreachable | waits again | pauses with backoff |
//! | unknown | unknown: the carrier is asked ([`super::decide_confirmation`]) | pauses with backoff: a carrier in trouble gets no whole batch |
//! | withheld: never given to the carrier | failed | as before |
//!
//! What was withdrawn meanwhile does not wait again: [`super::decide_withdrawn`].
//!
//! A lane that paused tries one message first; a good answer ends its setbacks. What is learned of one number says
//! nothing of the number that has replaced it meanwhile: see [`LaneChange::on`].

use std::collections::BTreeMap;
use std::time::Duration;

use carriers::{Refusal, SendOutcome, refusal_code};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{LicenseId, PhoneNumber, SendingLimit};

use super::{DeliveryState, failure_code};

const FIRST_BACKOFF: TimeDelta = TimeDelta::seconds(1);
const LONGEST_BACKOFF: TimeDelta = TimeDelta::seconds(60);
const FIRST_LONG_BACKOFF: TimeDelta = TimeDelta::seconds(30);
const LONGEST_LONG_BACKOFF: TimeDelta = TimeDelta::minutes(30);
/// A carrier that asks for more is asked again after this time.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(1);

/// What becomes of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    Accepted {
        /// The carrier's id of it.
        carrier_message_id: String,
        /// As the carrier counts, if it said so.
        segments: Option<u32>,
    },
    Failed {
        /// Stable, ours.
        code: &'static str,
        /// A sentence for people.
        detail: String,
    },
    /// Was never given to the carrier, and will not be.
    Withheld {
        /// Stable, ours.
        code: &'static str,
        /// A sentence for people.
        detail: String,
    },
    /// Surely not sent: goes again.
    Waiting,
    /// Nobody knows yet.
    Unknown,
    /// Nobody will know by itself.
    Unconfirmed,
    /// Surely not sent, and its batch was canceled meanwhile.
    Canceled,
    /// Its conversation was deleted meanwhile: nobody is told.
    Erased,
}

impl Next {
    /// The state that it leads to.
    pub const fn state(&self) -> DeliveryState {
        match self {
            Self::Accepted { .. } => DeliveryState::Accepted,
            Self::Failed { .. } | Self::Withheld { .. } => DeliveryState::Failed,
            Self::Waiting => DeliveryState::Waiting,
            Self::Unknown => DeliveryState::Unknown,
            Self::Unconfirmed => DeliveryState::Unconfirmed,
            Self::Canceled | Self::Erased => DeliveryState::Canceled,
        }
    }
}

/// Why a lane pauses. The words are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PauseReason {
    Throttled,
    Unreachable,
    /// The carrier does not take messages from our number.
    NumberNotReady,
}

impl PauseReason {
    /// The word as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Unreachable => "unreachable",
            Self::NumberNotReady => "number_not_ready",
        }
    }

    /// The reason that a stored word means.
    pub fn find(word: &str) -> Option<Self> {
        [Self::Throttled, Self::Unreachable, Self::NumberNotReady].into_iter().find(|reason| reason.as_str() == word)
    }
}

/// What becomes of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneChange {
    /// Nothing was learned of the lane, but something may have to go: it is due, and a pause that it has stays.
    Again,
    /// The carrier answers again.
    Resume,
    Pause {
        until: DateTime<Utc>,
        reason: PauseReason,
        setbacks: u32,
    },
}

impl LaneChange {
    /// What an attempt from one number changes in a lane that has this number now. A lane whose number was replaced
    /// while the attempt was under way begins afresh, and what waits again goes out from the new number at once.
    #[must_use]
    pub fn on(self, attempted: PhoneNumber, present: Option<PhoneNumber>) -> Self {
        if present == Some(attempted) { self } else { Self::Again }
    }

    /// The strongest of several wins: the longest pause, then a good answer.
    const fn strength(&self) -> (u8, Option<DateTime<Utc>>) {
        match self {
            Self::Again => (0, None),
            Self::Resume => (1, None),
            Self::Pause { until, .. } => (2, Some(*until)),
        }
    }
}

/// What follows from one outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The word under which the attempt is recorded.
    pub outcome: &'static str,
    pub next: Next,
    /// `None`: the lane stays as it is.
    pub lane: Option<LaneChange>,
}

/// The table. `setbacks` are those of the lane when the attempt began.
pub fn decide_outcome(outcome: SendOutcome, setbacks: u32, now: DateTime<Utc>) -> Decision {
    let pause =
        |wait, reason| Some(LaneChange::Pause { until: now + wait, reason, setbacks: setbacks.saturating_add(1) });
    let answered = (setbacks > 0).then_some(LaneChange::Resume);
    match outcome {
        SendOutcome::Accepted { carrier_message_id, segments } => {
            Decision { outcome: "accepted", next: Next::Accepted { carrier_message_id, segments }, lane: answered }
        }
        // Wrong or missing rights say nothing about the message, and it was surely not taken.
        SendOutcome::Rejected(refusal) if refusal.code == refusal_code::ACCOUNT_PROBLEM => Decision {
            outcome: "refused",
            next: Next::Waiting,
            lane: pause(backoff(setbacks), PauseReason::Unreachable),
        },
        SendOutcome::Rejected(refusal) if refusal.code == refusal_code::NUMBER_NOT_READY => Decision {
            outcome: "refused",
            next: Next::Waiting,
            lane: pause(backoff(setbacks), PauseReason::NumberNotReady),
        },
        SendOutcome::Rejected(refusal) => Decision {
            outcome: "rejected",
            next: Next::Failed { code: refusal.code, detail: refusal.detail },
            lane: answered,
        },
        SendOutcome::Throttled { limit: Some(limit), .. } if limit != SendingLimit::Sender => {
            Decision { outcome: "throttled", next: Next::Waiting, lane: Some(LaneChange::Again) }
        }
        SendOutcome::Throttled { retry_after, limit } => {
            let wait =
                retry_after.and_then(|wait| TimeDelta::from_std(wait.min(LONGEST_RETRY_AFTER)).ok()).map_or_else(
                    || if limit.is_some() { long_backoff(setbacks) } else { backoff(setbacks) },
                    |wait| wait.max(FIRST_BACKOFF),
                );
            Decision { outcome: "throttled", next: Next::Waiting, lane: pause(wait, PauseReason::Throttled) }
        }
        SendOutcome::Unreachable { .. } => Decision {
            outcome: "unreachable",
            next: Next::Waiting,
            lane: pause(backoff(setbacks), PauseReason::Unreachable),
        },
        SendOutcome::Unknown { .. } => Decision {
            outcome: "unknown",
            next: Next::Unknown,
            lane: pause(backoff(setbacks), PauseReason::Unreachable),
        },
    }
}

/// What was not given to the carrier has failed, and says nothing of the lane: one that pauses tries the next.
pub fn decide_withheld(refusal: Refusal, setbacks: u32) -> Decision {
    Decision {
        outcome: "withheld",
        next: Next::Withheld { code: refusal.code, detail: refusal.detail },
        lane: (setbacks > 0).then_some(LaneChange::Again),
    }
}

/// Why a message failed that waited too long: code and sentence. `pause` is why its lane paused last, if it does.
pub const fn decide_expiry(pause: Option<PauseReason>) -> (&'static str, &'static str) {
    match pause {
        Some(PauseReason::NumberNotReady) => {
            (refusal_code::NUMBER_NOT_READY, "The messages number could not send text messages for too long.")
        }
        _ => (failure_code::EXPIRED, "The message could not be handed to the carrier for too long."),
    }
}

/// 1 s, doubling to 60 s.
fn backoff(setbacks: u32) -> TimeDelta {
    (FIRST_BACKOFF * 2_i32.pow(setbacks.min(10))).min(LONGEST_BACKOFF)
}

/// A full queue is not worked off in a second: 30 s, doubling to 30 min.
fn long_backoff(setbacks: u32) -> TimeDelta {
    (FIRST_LONG_BACKOFF * 2_i32.pow(setbacks.min(10))).min(LONGEST_LONG_BACKOFF)
}

/// One change for each lane, the strongest.
pub fn merge_lane_changes<'a>(
    changes: impl IntoIterator<Item = (&'a LicenseId, LaneChange)>,
) -> BTreeMap<&'a LicenseId, LaneChange> {
    let mut merged = BTreeMap::new();
    for (license_id, change) in changes {
        merged
            .entry(license_id)
            .and_modify(|present: &mut LaneChange| {
                if change.strength() > present.strength() {
                    *present = change;
                }
            })
            .or_insert(change);
    }
    merged
}

#[cfg(test)]
mod tests {
    use carriers::Refusal;
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn outcomes() -> Vec<(SendOutcome, DeliveryState)> {
        let cause = || "connection reset".to_owned();
        vec![
            (SendOutcome::Accepted { carrier_message_id: "SM1".into(), segments: Some(1) }, DeliveryState::Accepted),
            (
                SendOutcome::Rejected(Refusal {
                    code: "filtered",
                    detail: "No.".into(),
                    carrier_code: None,
                    limit: None,
                }),
                DeliveryState::Failed,
            ),
            (
                SendOutcome::Rejected(Refusal {
                    code: "account_problem",
                    detail: "No.".into(),
                    carrier_code: None,
                    limit: None,
                }),
                DeliveryState::Waiting,
            ),
            (
                SendOutcome::Rejected(Refusal {
                    code: "number_not_ready",
                    detail: "No.".into(),
                    carrier_code: None,
                    limit: None,
                }),
                DeliveryState::Waiting,
            ),
            (SendOutcome::Throttled { retry_after: None, limit: None }, DeliveryState::Waiting),
            (SendOutcome::Unreachable { cause: cause() }, DeliveryState::Waiting),
            (SendOutcome::Unknown { cause: cause() }, DeliveryState::Unknown),
        ]
    }

    #[test]
    fn only_what_surely_did_not_reach_the_carrier_is_sent_again() {
        for (outcome, state) in outcomes() {
            for setbacks in [0, 1, 50] {
                assert_eq!(decide_outcome(outcome.clone(), setbacks, at(0)).next.state(), state);
            }
        }
    }

    #[test]
    fn whatever_waits_again_leaves_a_lane_that_pauses() {
        for (outcome, _) in outcomes() {
            let decision = decide_outcome(outcome, 0, at(0));
            let pauses = matches!(decision.lane, Some(LaneChange::Pause { until, setbacks: 1, .. }) if until > at(0));
            assert!(pauses || decision.next.state() != DeliveryState::Waiting);
        }
    }

    #[test]
    fn pauses_double_from_one_second_to_sixty() {
        let wait = |setbacks| {
            let outcome = SendOutcome::Unreachable { cause: String::new() };
            match decide_outcome(outcome, setbacks, at(0)).lane {
                Some(LaneChange::Pause { until, .. }) => (until - at(0)).num_seconds(),
                _ => 0,
            }
        };
        assert_eq!([0, 1, 2, 5, 6, u32::MAX].map(wait), [1, 2, 4, 32, 60, 60]);
    }

    #[test]
    fn a_number_that_cannot_send_yet_holds_its_messages_and_says_why() {
        let refusal = Refusal { code: "number_not_ready", detail: "No.".into(), carrier_code: None, limit: None };
        let decision = decide_outcome(SendOutcome::Rejected(refusal), 2, at(0));
        let pause = LaneChange::Pause { until: at(4), reason: PauseReason::NumberNotReady, setbacks: 3 };
        assert_eq!((decision.outcome, decision.next, decision.lane), ("refused", Next::Waiting, Some(pause)));
    }

    #[test]
    fn a_full_queue_of_a_number_is_given_more_time_than_a_moment_s_haste() {
        for (setbacks, waited) in [(0, 30), (1, 60), (5, 960), (6, 1_800), (90, 1_800)] {
            let outcome = SendOutcome::Throttled { retry_after: None, limit: Some(SendingLimit::Sender) };
            let decision = decide_outcome(outcome, setbacks, at(0));
            let pause = LaneChange::Pause { until: at(waited), reason: PauseReason::Throttled, setbacks: setbacks + 1 };
            assert_eq!((decision.next, decision.lane), (Next::Waiting, Some(pause)));
        }
    }

    #[test]
    fn a_limit_of_a_campaign_or_brand_does_not_pause_the_lane() {
        for limit in [SendingLimit::Campaign, SendingLimit::NetworkDay, SendingLimit::BrandDay] {
            let outcome = SendOutcome::Throttled { retry_after: Some(Duration::from_hours(1)), limit: Some(limit) };
            let decision = decide_outcome(outcome, 3, at(0));
            assert_eq!((decision.next, decision.lane), (Next::Waiting, Some(LaneChange::Again)), "{limit}");
        }
    }

    #[test]
    fn a_throttled_lane_waits_as_long_as_the_carrier_asks_within_reason() {
        for (asked, waited) in [(7, 7), (0, 1), (1_000_000, 3_600)] {
            let outcome = SendOutcome::Throttled { retry_after: Some(Duration::from_secs(asked)), limit: None };
            let decision = decide_outcome(outcome, 3, at(0));
            let pause = LaneChange::Pause { until: at(waited), reason: PauseReason::Throttled, setbacks: 4 };
            assert_eq!(decision.lane, Some(pause));
        }
    }

    #[test]
    fn what_was_withheld_says_nothing_of_a_lane() {
        for (setbacks, lane) in [(0, None), (3, Some(LaneChange::Again))] {
            let decision = decide_withheld(crate::model::line_refusal(), setbacks);
            assert_eq!((decision.next.state(), decision.lane), (DeliveryState::Failed, lane));
        }
    }

    #[test]
    fn what_an_old_number_met_does_not_hold_up_its_successor() {
        let numbers = ["+14155550100", "+14155550101"].map(|number| PhoneNumber::from_e164(number).unwrap());
        let pause = LaneChange::Pause { until: at(9), reason: PauseReason::NumberNotReady, setbacks: 1 };
        assert_eq!(pause.on(numbers[0], Some(numbers[0])), pause);
        assert_eq!(pause.on(numbers[0], Some(numbers[1])), LaneChange::Again);
        assert_eq!(LaneChange::Resume.on(numbers[0], Some(numbers[1])), LaneChange::Again);
    }

    #[test]
    fn what_waited_too_long_for_its_number_says_so() {
        assert_eq!(decide_expiry(Some(PauseReason::NumberNotReady)).0, "number_not_ready");
        for pause in [None, Some(PauseReason::Throttled), Some(PauseReason::Unreachable)] {
            assert_eq!(decide_expiry(pause).0, "expired");
        }
    }

    #[test]
    fn an_answer_ends_setbacks_and_changes_nothing_where_there_were_none() {
        for (outcome, _) in outcomes().into_iter().take(2) {
            assert_eq!(decide_outcome(outcome.clone(), 2, at(0)).lane, Some(LaneChange::Resume));
            assert_eq!(decide_outcome(outcome, 0, at(0)).lane, None);
        }
    }

    proptest! {
        #[test]
        fn the_longest_pause_of_a_lane_wins_in_any_order(
            changes in proptest::collection::vec(prop_oneof![
                Just(LaneChange::Again),
                Just(LaneChange::Resume),
                (1_i64..100).prop_map(|seconds| LaneChange::Pause { until: at(seconds), reason: PauseReason::Throttled, setbacks: 1 }),
            ], 1..10)
        ) {
            let license = LicenseId::parse("acme").unwrap();
            let until = |change: &LaneChange| match change {
                LaneChange::Again | LaneChange::Resume => None,
                LaneChange::Pause { until, .. } => Some(*until),
            };
            let merged = merge_lane_changes(changes.iter().map(|change| (&license, *change)));
            prop_assert_eq!(merged.get(&license).and_then(until), changes.iter().filter_map(until).max());
        }
    }
}
