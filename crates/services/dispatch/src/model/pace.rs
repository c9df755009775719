//! How fast a lane goes: GCRA, counted in segments.
//!
//! The lane's theoretical arrival time (`tat`) is when its next segment may go. Turns come late by chance (a poll, a
//! busy database); lateness of up to [`CATCH_UP`] is made good, so that the pace is exact although turns are
//! discrete. A lane that was idle for longer starts afresh: idleness is not saved up for a burst.

use chrono::{DateTime, TimeDelta, Utc};

/// As long as the loop may oversleep.
const CATCH_UP: TimeDelta = TimeDelta::milliseconds(500);
/// Slower than one segment an hour is a typing error.
const SLOWEST: f64 = 1.0 / 3_600.0;
/// Faster than this the interval cannot be told in microseconds.
const FASTEST: f64 = 100_000.0;

/// Segments that one number may send in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Time of one segment. `None`: as fast as the carrier takes them.
    interval: Option<TimeDelta>,
}

/// The setting is not a pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a pace is 0 (off) or between 1/3600 and 100,000 segments a second")]
pub struct InvalidPace;

/// What goes of a lane, or of a limit that several share, at one moment.
///
/// A message goes as a whole: one of several segments goes when its first may, and the next one waits for all.
#[derive(Clone, Copy, Debug)]
pub struct Meter {
    pace: Pace,
    tat: Option<DateTime<Utc>>,
    at: DateTime<Utc>,
    now: DateTime<Utc>,
}

impl Meter {
    /// Whether one more message may go.
    pub fn is_open(&self) -> bool {
        self.pace.is_off() || self.at <= self.now
    }

    /// Counts a message, if it may go.
    pub fn take(&mut self, segments: u32) -> bool {
        if !self.is_open() {
            return false;
        }
        if let Some(interval) = self.pace.interval {
            self.at += scaled(interval, u64::from(segments));
            self.tat = Some(self.at);
        }
        true
    }

    /// Whether there is a pace.
    pub const fn is_paced(&self) -> bool {
        !self.pace.is_off()
    }

    /// The time to be kept.
    pub const fn tat(&self) -> Option<DateTime<Utc>> {
        self.tat
    }

    /// When the next message may go.
    pub const fn opens_at(&self) -> DateTime<Utc> {
        self.at
    }
}

impl Pace {
    /// As fast as the carrier takes them.
    pub const OFF: Self = Self { interval: None };

    /// `rate` in segments a second; 0 is [`Self::OFF`].
    pub fn per_second(rate: f64) -> Result<Self, InvalidPace> {
        if rate == 0.0 {
            return Ok(Self::OFF);
        }
        if !(SLOWEST..=FASTEST).contains(&rate) {
            return Err(InvalidPace);
        }
        #[expect(clippy::cast_possible_truncation, reason = "between 10 and 3.6 billion by the check above")]
        let interval = TimeDelta::microseconds((1_000_000.0 / rate).round() as i64);
        Ok(Self { interval: Some(interval) })
    }

    /// The most messages that can go now, whatever their length.
    pub fn most_now(self, tat: Option<DateTime<Utc>>, now: DateTime<Utc>) -> usize {
        let Some(interval) = self.interval else { return usize::MAX };
        let behind = now - start(tat, now);
        if behind < TimeDelta::zero() {
            return 0;
        }
        let intervals = behind.num_microseconds().zip(interval.num_microseconds()).map_or(0, |(all, one)| all / one);
        usize::try_from(intervals).unwrap_or(0) + 1
    }

    /// Counts what goes now, one message after the other.
    pub fn meter(self, tat: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Meter {
        Meter { pace: self, tat, at: start(tat, now), now }
    }

    /// Whether there is no pace.
    pub const fn is_off(self) -> bool {
        self.interval.is_none()
    }

    /// When a message goes that has so many segments before it.
    pub fn estimate(self, tat: Option<DateTime<Utc>>, now: DateTime<Utc>, segments_ahead: u64) -> DateTime<Utc> {
        let wait = self.interval.map_or(TimeDelta::zero(), |interval| scaled(interval, segments_ahead));
        let from = if self.interval.is_some() { tat.map_or(now, |tat| tat.max(now)) } else { now };
        from + wait
    }
}

fn start(tat: Option<DateTime<Utc>>, now: DateTime<Utc>) -> DateTime<Utc> {
    tat.filter(|tat| now - tat <= CATCH_UP).unwrap_or(now)
}

/// Bounded by ten years, so that no sum leaves the calendar.
fn scaled(interval: TimeDelta, times: u64) -> TimeDelta {
    const LONGEST: i64 = 10 * 365 * 24 * 3_600 * 1_000_000;
    let one = interval.num_microseconds().unwrap_or(LONGEST);
    let times = i64::try_from(times).unwrap_or(i64::MAX);
    TimeDelta::microseconds(one.saturating_mul(times).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    struct Turn {
        take: usize,
        tat: Option<DateTime<Utc>>,
    }

    impl Pace {
        fn plan_turn(self, tat: Option<DateTime<Utc>>, now: DateTime<Utc>, segments: &[u32]) -> Turn {
            let mut meter = self.meter(tat, now);
            let take = segments.iter().take_while(|segments| meter.take(**segments)).count();
            Turn { take, tat: meter.tat() }
        }
    }

    fn at(ms: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::milliseconds(ms)
    }

    #[test]
    fn a_pace_is_off_or_sensible() {
        assert_eq!(Pace::per_second(0.0), Ok(Pace::OFF));
        for wrong in [-1.0, f64::NAN, f64::INFINITY, 0.000_1, 1e9] {
            assert_eq!(Pace::per_second(wrong), Err(InvalidPace), "{wrong}");
        }
    }

    #[test]
    fn a_long_message_costs_its_segments() {
        let pace = Pace::per_second(1.0).unwrap();
        assert_eq!(pace.plan_turn(None, at(0), &[3, 1]), Turn { take: 1, tat: Some(at(3_000)) });
        assert_eq!(pace.plan_turn(Some(at(3_000)), at(2_999), &[1]), Turn { take: 0, tat: Some(at(3_000)) });
        assert_eq!(pace.plan_turn(Some(at(3_000)), at(3_200), &[1, 1]), Turn { take: 1, tat: Some(at(4_000)) });
    }

    #[test]
    fn idleness_is_not_saved_up_for_a_burst() {
        let pace = Pace::per_second(1.0).unwrap();
        assert_eq!(pace.plan_turn(Some(at(0)), at(60_000), &[1; 50]), Turn { take: 1, tat: Some(at(61_000)) });
        assert_eq!(pace.most_now(Some(at(0)), at(60_000)), 1);
    }

    #[test]
    fn without_a_pace_everything_goes() {
        assert_eq!(Pace::OFF.plan_turn(None, at(0), &[9; 100]), Turn { take: 100, tat: None });
        assert_eq!(Pace::OFF.estimate(None, at(0), 1_000), at(0));
    }

    #[test]
    fn an_estimate_counts_what_is_ahead() {
        let pace = Pace::per_second(2.0).unwrap();
        assert_eq!(pace.estimate(Some(at(1_000)), at(0), 4), at(3_000));
        assert_eq!(pace.estimate(Some(at(0)), at(5_000), 4), at(7_000));
        let far = pace.estimate(None, at(0), u64::MAX);
        assert!(far > at(0));
    }

    proptest! {
        #[test]
        fn the_pace_is_exact_within_two_percent_although_turns_come_late(
            rate in prop::sample::select(vec![1.0, 3.0, 50.0]),
            lateness in proptest::collection::vec(0_i64..400, 64),
        ) {
            let pace = Pace::per_second(rate).unwrap();
            let (mut tat, mut now, mut sent, mut turns) = (None, at(0), 0_usize, 0_usize);
            while now < at(60_000) {
                let turn = pace.plan_turn(tat, now, &[1; 100]);
                prop_assert!(turn.take <= pace.most_now(tat, now));
                sent += turn.take;
                tat = turn.tat;
                now = tat.unwrap_or(now).max(now) + TimeDelta::milliseconds(lateness[turns % lateness.len()]);
                turns += 1;
            }
            #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
            let sent = sent as f64;
            prop_assert!((sent - rate * 60.0).abs() <= (rate * 60.0 * 0.02).max(1.0), "{sent}");
        }
    }
}
