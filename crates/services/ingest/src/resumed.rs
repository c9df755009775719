//! Tells that texts are taken again, after a time in which some may have been turned away: whoever keeps them then asks the
//! carriers what came meanwhile.
//!
//! That is at every start, since nobody knows what came before it, and after texts that were answered with a request to try
//! again, which a carrier may not follow. Telling is storing an event, so it is told exactly when storing works. Not too
//! often: asking carriers is work.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// After an event that the stream did not take.
const PAUSE: Duration = Duration::from_secs(1);

/// Whether texts may have been turned away since it was told last.
#[derive(Debug)]
pub(crate) struct TurnedAway {
    any: AtomicBool,
    news: Notify,
    /// Between two tellings, at least.
    every: Duration,
}

impl TurnedAway {
    /// Before the start some may have been.
    pub(crate) fn before_start(every: Duration) -> Self {
        Self { any: AtomicBool::new(true), news: Notify::new(), every }
    }

    /// A text was turned away.
    pub(crate) fn note(&self) {
        self.any.store(true, Ordering::Release);
        self.news.notify_one();
    }

    fn take(&self) -> bool {
        self.any.swap(false, Ordering::AcqRel)
    }

    /// Tells of it until the stop. `tell` says whether it is stored.
    pub(crate) async fn tell<F>(&self, stopping: CancellationToken, mut tell: impl FnMut() -> F) -> anyhow::Result<()>
    where
        F: Future<Output = bool>,
    {
        let telling = async {
            loop {
                while !self.take() {
                    self.news.notified().await;
                }
                while !tell().await {
                    tokio::time::sleep(PAUSE).await;
                    // What was turned away until here is told of by the next try. What is turned away during that try
                    // may be younger than what it tells.
                    self.take();
                }
                tokio::time::sleep(self.every).await;
            }
        };
        stopping.run_until_cancelled(telling).await.unwrap_or(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::time::Instant;

    use super::*;

    /// Tries to tell, as seconds after the start; those before `works_from` fail.
    struct World {
        turned_away: Arc<TurnedAway>,
        tries: Arc<Mutex<Vec<u64>>>,
    }

    impl World {
        fn start(works_from: u64) -> Self {
            let world =
                Self { turned_away: Arc::new(TurnedAway::before_start(Duration::from_mins(1))), tries: Arc::default() };
            let (turned_away, tries, start) = (world.turned_away.clone(), world.tries.clone(), Instant::now());
            tokio::spawn(async move {
                let tell = || {
                    let second = start.elapsed().as_secs();
                    tries.lock().unwrap().push(second);
                    std::future::ready(second >= works_from)
                };
                turned_away.tell(CancellationToken::new(), tell).await
            });
            world
        }

        fn tries(&self) -> Vec<u64> {
            self.tries.lock().unwrap().clone()
        }
    }

    async fn pass(seconds: u64) {
        tokio::time::sleep(Duration::from_millis(seconds * 1_000 + 1)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_told_at_the_start_and_then_only_after_texts_were_turned_away() {
        let world = World::start(0);
        pass(1_000).await;
        assert_eq!(world.tries(), [0]);
        world.turned_away.note();
        pass(1_000).await;
        assert_eq!(world.tries(), [0, 1_000]);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_not_told_too_often_however_many_are_turned_away() {
        let world = World::start(0);
        for _ in 0..150 {
            pass(1).await;
            world.turned_away.note();
        }
        pass(300).await;
        assert_eq!(world.tries(), [0, 60, 120, 180]);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_told_as_soon_as_events_are_stored_again_and_once() {
        let world = World::start(20);
        for _ in 0..19 {
            pass(1).await;
            world.turned_away.note();
        }
        pass(300).await;
        assert_eq!(world.tries(), (0..=20).collect::<Vec<_>>());
    }
}
