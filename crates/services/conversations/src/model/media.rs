//! When a medium that could not be fetched is tried again.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(15);
const LONGEST: Duration = Duration::from_hours(4);
/// With the waits between them, a little more than a day.
const MAX_TRIES: u32 = 12;

/// How long to wait after so many tries, or as long as the carrier asks for if that is longer. `None`: it has failed.
pub(crate) fn plan_retry(tries: u32, asked: Option<Duration>) -> Option<Duration> {
    if tries >= MAX_TRIES {
        return None;
    }
    let wait = FIRST.saturating_mul(4_u32.saturating_pow(tries.saturating_sub(1))).min(LONGEST);
    Some(wait.max(asked.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_medium_is_tried_for_a_day_at_ever_longer_intervals() {
        let waits: Vec<Duration> = (1..).map_while(|tries| plan_retry(tries, None)).collect();
        assert_eq!(waits[..3], [15, 60, 240].map(Duration::from_secs));
        assert!(waits.is_sorted() && waits.last() == Some(&LONGEST));
        let day = Duration::from_hours(24);
        let total: Duration = waits.iter().sum();
        assert!(total >= day && total < day + LONGEST, "{total:?}");
    }

    #[test]
    fn a_carrier_that_asks_for_patience_gets_it() {
        let hour = Duration::from_hours(1);
        assert_eq!(plan_retry(1, Some(hour)), Some(hour));
        assert_eq!(plan_retry(1, Some(Duration::from_secs(1))), Some(FIRST));
    }
}
