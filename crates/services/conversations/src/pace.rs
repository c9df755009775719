//! How often a carrier is called: so many calls a second for the whole process, evenly, and none while it asks for patience.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

#[derive(Debug)]
pub(crate) struct Pace {
    between: Duration,
    next: Mutex<Instant>,
}

impl Pace {
    pub(crate) fn new(calls_per_second: u32) -> Self {
        Self { between: Duration::from_secs(1) / calls_per_second.max(1), next: Mutex::new(Instant::now()) }
    }

    /// Waits for the caller's turn.
    pub(crate) async fn turn(&self) {
        let turn = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = (*next).max(Instant::now());
            *next = turn + self.between;
            turn
        };
        tokio::time::sleep_until(turn).await;
    }

    /// Nobody else gets a turn for so long.
    pub(crate) fn hold(&self, wait: Duration) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next = (*next).max(Instant::now() + wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_come_evenly_and_none_comes_while_the_carrier_asks_for_patience() {
        let (pace, start) = (Pace::new(10), Instant::now());
        for _ in 0..5 {
            pace.turn().await;
        }
        assert_eq!(start.elapsed().as_millis(), 400);
        pace.hold(Duration::from_secs(30));
        pace.turn().await;
        assert_eq!(start.elapsed().as_millis(), 30_400);
        pace.turn().await;
        assert_eq!(start.elapsed().as_millis(), 30_500);
        // Turns that nobody took are not made up for.
        tokio::time::sleep(Duration::from_mins(1)).await;
        let later = Instant::now();
        pace.turn().await;
        pace.turn().await;
        assert_eq!(later.elapsed().as_millis(), 100);
    }
}
