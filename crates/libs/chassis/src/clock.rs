//! Time as an argument.
//!
//! Code that decides something by the time of day takes a [`Clock`], so that a test can set it. It is not for
//! measuring durations (use `std::time::Instant`) and not for waiting (use `tokio::time`).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, SubsecRound as _, Utc};

/// Tells the time. Clones of a manual clock move together.
#[derive(Clone, Debug)]
pub struct Clock(Hands);

#[derive(Clone, Debug)]
enum Hands {
    System,
    Manual(Arc<Mutex<DateTime<Utc>>>),
}

impl Clock {
    /// The clock of the machine.
    pub fn system() -> Self {
        Self(Hands::System)
    }

    /// A clock that stands still at `start` until it is advanced.
    pub fn manual(start: DateTime<Utc>) -> Self {
        Self(Hands::Manual(Arc::new(Mutex::new(start))))
    }

    /// Now, cut to microseconds: what PostgreSQL stores, so that a value survives the way there and back.
    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            Hands::System => Utc::now(),
            Hands::Manual(time) => *time.lock().unwrap_or_else(PoisonError::into_inner),
        }
        .trunc_subsecs(6)
    }

    /// Moves a manual clock forward. The system clock moves by itself and ignores this.
    pub fn advance(&self, by: Duration) {
        if let Hands::Manual(time) = &self.0 {
            let mut time = time.lock().unwrap_or_else(PoisonError::into_inner);
            *time += by;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told_and_its_clones_with_it() {
        let clock = Clock::manual(DateTime::UNIX_EPOCH);
        let clone = clock.clone();
        assert_eq!(clone.now(), DateTime::UNIX_EPOCH);
        clock.advance(Duration::from_secs(90));
        assert_eq!(clone.now().timestamp(), 90);
    }

    #[test]
    fn the_time_has_the_precision_that_postgresql_stores() {
        let now = Clock::system().now();
        assert_eq!(now.timestamp_subsec_nanos() % 1_000, 0);
    }
}
