//! From when on a carrier is asked for texts, and when it is asked again after it did not answer.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// After the first look that did not work.
const FIRST: Duration = Duration::from_secs(10);

/// How far a look goes back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reach {
    /// Before the end of the last look: carriers do not list at once what they have just taken.
    pub overlap: TimeDelta,
    /// At most, however long nobody looked.
    pub furthest: TimeDelta,
}

/// From when on a look that begins now asks for texts. `checked_to`: those until then were taken in. Never from before the
/// number's assignment, which carriers' times, in whole seconds, must not hide.
pub(crate) fn plan_since(
    reach: Reach,
    checked_to: DateTime<Utc>,
    assigned_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> DateTime<Utc> {
    let assigned_at = assigned_at - TimeDelta::nanoseconds(i64::from(assigned_at.timestamp_subsec_nanos()));
    (checked_to - reach.overlap).max(now - reach.furthest).max(assigned_at)
}

/// How long to wait after so many looks that did not work: ever longer, up to the usual interval, and as long as the carrier
/// asks for if that is longer.
pub(crate) fn plan_next_look(tries: u32, asked: Option<Duration>, every: Duration) -> Duration {
    let wait = FIRST.saturating_mul(2_u32.saturating_pow(tries.saturating_sub(1))).min(every);
    wait.max(asked.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(n: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(n)
    }

    #[test]
    fn a_look_begins_before_the_end_of_the_last_one_but_not_before_the_assignment_nor_out_of_reach() {
        let reach = Reach { overlap: TimeDelta::minutes(10), furthest: TimeDelta::minutes(100) };
        for (checked_to, assigned_at, now, since) in
            [(50, 0, 60, 40), (5, 0, 60, 0), (50, 45, 60, 45), (50, 0, 500, 400), (50, 450, 500, 450)]
        {
            let planned = plan_since(reach, minute(checked_to), minute(assigned_at), minute(now));
            assert_eq!(planned, minute(since), "{checked_to} {assigned_at} {now}");
        }
        let within_a_second = minute(45) + TimeDelta::microseconds(999_999);
        assert_eq!(plan_since(reach, within_a_second, within_a_second, minute(46)), minute(45));
    }

    #[test]
    fn a_carrier_that_does_not_answer_is_asked_ever_less_often_but_never_given_up() {
        let every = Duration::from_mins(15);
        let waits: Vec<u64> = (1..=9).map(|tries| plan_next_look(tries, None, every).as_secs()).collect();
        assert_eq!(waits, [10, 20, 40, 80, 160, 320, 640, 900, 900]);
        assert_eq!(plan_next_look(u32::MAX, None, every), every);
        assert_eq!(plan_next_look(1, Some(Duration::from_hours(1)), every), Duration::from_hours(1));
        assert_eq!(plan_next_look(3, Some(Duration::from_secs(1)), every), Duration::from_secs(40));
    }
}
