//! Why a message waits, and until about when (rule 18).

use chrono::{DateTime, Utc};

use super::{Pace, PauseReason, QuietHours};

/// Why. The words are the contract's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// Others of the same number go first.
    Pace,
    /// The license has no number yet.
    NoNumber,
    CarrierThrottled,
    CarrierUnreachable,
    /// The carrier does not take messages from our number yet, or not any more.
    NumberNotReady,
    /// It is not known whether the carrier has it (rule 16).
    BeingConfirmed,
    /// It is night where the recipient is.
    QuietHours,
    /// Its registration may send no more today.
    DailyLimit,
}

impl WaitReason {
    /// The word of the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pace => "pace",
            Self::NoNumber => "no_number",
            Self::CarrierThrottled => "carrier_throttled",
            Self::CarrierUnreachable => "carrier_unreachable",
            Self::NumberNotReady => "number_not_ready",
            Self::BeingConfirmed => "being_confirmed",
            Self::QuietHours => "quiet_hours",
            Self::DailyLimit => "daily_limit",
        }
    }
}

/// How a delivery waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// For its turn. Segments before it in its lane; `None`: more than are counted.
    Turn { segments_ahead: Option<u64> },
    /// Held, or perhaps soon: its whole line must be looked at.
    InLine,
    /// For word of the carrier, which is asked next at this time.
    Confirmation { until: Option<DateTime<Utc>> },
}

/// A lane as far as it explains waiting.
#[derive(Clone, Copy, Debug)]
pub struct LaneNow {
    pub has_number: bool,
    /// This process has credentials for the carrier of the number.
    pub served: bool,
    pub tat: Option<DateTime<Utc>>,
    pub pause: Option<(PauseReason, DateTime<Utc>)>,
    /// Of the recipients; for batches.
    pub quiet: Option<QuietHours>,
}

/// The reason and about when it goes on; no time when nobody can say.
pub fn decide_wait(waits: Waits, lane: LaneNow, pace: Pace, now: DateTime<Utc>) -> (WaitReason, Option<DateTime<Utc>>) {
    let segments_ahead = match waits {
        Waits::Turn { segments_ahead } => segments_ahead,
        Waits::InLine => None,
        Waits::Confirmation { until } => return (WaitReason::BeingConfirmed, until),
    };
    match decide_lane_wait(lane, now) {
        Err(reason) => (reason, None),
        Ok(reason) => {
            let from = lane.pause.map_or(now, |(_, until)| until.max(now));
            (reason, segments_ahead.map(|ahead| pace.estimate(lane.tat, from, ahead)))
        }
    }
}

/// Why anything in a lane waits. An error is a reason whose end nobody can tell.
pub fn decide_lane_wait(lane: LaneNow, now: DateTime<Utc>) -> Result<WaitReason, WaitReason> {
    if !lane.has_number {
        return Err(WaitReason::NoNumber);
    }
    if !lane.served {
        // Another replica may have them, and may not: nobody can say when.
        return Err(WaitReason::CarrierUnreachable);
    }
    Ok(match lane.pause.filter(|(_, until)| *until > now) {
        None => WaitReason::Pace,
        Some((PauseReason::Throttled, _)) => WaitReason::CarrierThrottled,
        Some((PauseReason::Unreachable, _)) => WaitReason::CarrierUnreachable,
        Some((PauseReason::NumberNotReady, _)) => WaitReason::NumberNotReady,
    })
}

/// About when the last of so many segments goes out if they are queued now, and what but the pace holds the lane up.
///
/// `segments_ahead` are those that go before them. `None`: more than are counted, and nobody can say when.
pub fn decide_finish(
    segments_ahead: Option<u64>,
    segments: u64,
    lane: LaneNow,
    pace: Pace,
    now: DateTime<Utc>,
) -> (Option<DateTime<Utc>>, Option<WaitReason>) {
    let before_last = segments_ahead.map(|ahead| ahead.saturating_add(segments.saturating_sub(1)));
    let (reason, until) = decide_wait(Waits::Turn { segments_ahead: before_last }, lane, pace, now);
    (until, find_held_by(reason))
}

/// What but the pace holds something up.
pub fn find_held_by(reason: WaitReason) -> Option<WaitReason> {
    (reason != WaitReason::Pace).then_some(reason)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    #[test]
    fn each_waiting_message_can_say_why_it_waits_and_until_about_when() {
        let pace = Pace::per_second(1.0).unwrap();
        let turn = Waits::Turn { segments_ahead: Some(5) };
        let free = LaneNow { has_number: true, served: true, tat: Some(at(2)), pause: None, quiet: None };
        let paused = |reason| LaneNow { pause: Some((reason, at(10))), ..free };
        for (waits, lane, expected) in [
            (turn, free, (WaitReason::Pace, Some(at(7)))),
            (Waits::Turn { segments_ahead: None }, free, (WaitReason::Pace, None)),
            (turn, paused(PauseReason::Throttled), (WaitReason::CarrierThrottled, Some(at(15)))),
            (turn, paused(PauseReason::Unreachable), (WaitReason::CarrierUnreachable, Some(at(15)))),
            (turn, paused(PauseReason::NumberNotReady), (WaitReason::NumberNotReady, Some(at(15)))),
            (turn, LaneNow { has_number: false, served: false, ..free }, (WaitReason::NoNumber, None)),
            (turn, LaneNow { served: false, ..free }, (WaitReason::CarrierUnreachable, None)),
            (Waits::Confirmation { until: None }, free, (WaitReason::BeingConfirmed, None)),
            (Waits::Confirmation { until: Some(at(9)) }, free, (WaitReason::BeingConfirmed, Some(at(9)))),
        ] {
            assert_eq!(decide_wait(waits, lane, pace, at(0)), expected);
        }
        let over = decide_wait(turn, paused(PauseReason::Throttled), pace, at(11));
        assert_eq!(over, (WaitReason::Pace, Some(at(16))), "a pause that is over is no reason");
    }

    #[test]
    fn the_finish_is_when_the_last_segment_goes_and_absent_when_nobody_can_say() {
        let pace = Pace::per_second(1.0).unwrap();
        let free = LaneNow { has_number: true, served: true, tat: Some(at(2)), pause: None, quiet: None };
        let paused = LaneNow { pause: Some((PauseReason::Throttled, at(10))), ..free };
        let away = LaneNow { served: false, ..free };
        let none = LaneNow { has_number: false, served: false, tat: None, pause: None, quiet: None };
        for (ahead, segments, lane, expected) in [
            (Some(0), 1, free, (Some(at(2)), None)),
            (Some(5), 10, free, (Some(at(16)), None)),
            (Some(5), 0, free, (Some(at(7)), None)),
            (None, 10, free, (None, None)),
            (Some(5), 10, paused, (Some(at(24)), Some(WaitReason::CarrierThrottled))),
            (Some(5), 10, away, (None, Some(WaitReason::CarrierUnreachable))),
            (Some(0), 1, none, (None, Some(WaitReason::NoNumber))),
        ] {
            assert_eq!(decide_finish(ahead, segments, lane, pace, at(0)), expected);
        }
        assert_eq!(decide_finish(Some(5), 10, free, Pace::OFF, at(0)), (Some(at(0)), None));
        assert!(decide_finish(Some(u64::MAX), u64::MAX, free, pace, at(0)).0 > Some(at(0)));
    }
}
