//! The load generator: begins calls one after another as fast as they are answered, or at a fixed rate.
//!
//! At a fixed rate a call counts from the moment when it was due, so that one that had to wait for its turn does not
//! look fast. Everything is bounded: in number, in calls under way and in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;

/// Calls under way at a fixed rate; with more of them the rate is too high and the phase ends early.
const MOST_UNDER_WAY: usize = 4_096;

/// How calls follow each other.
#[derive(Debug, Clone, Copy)]
pub(super) enum Load {
    /// So many at a time, each followed by the next one.
    Saturated { at_a_time: usize },
    /// So many each second, whether or not earlier ones are answered.
    Steady { per_second: f64 },
}

/// Makes `count` calls, as many as can begin before the deadline, and waits for those that began.
/// A call gets its number and the moment from which it counts.
///
/// # Errors
/// The first call that fails; the others are dropped.
pub(super) async fn drive<F, Fut>(load: Load, count: usize, deadline: Instant, call: F) -> Result<()>
where
    F: Fn(usize, Instant) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    match load {
        Load::Saturated { at_a_time } => saturate(at_a_time, count, deadline, call).await,
        Load::Steady { per_second } => keep_rate(per_second, count, deadline, call).await,
    }
}

async fn saturate<F, Fut>(at_a_time: usize, count: usize, deadline: Instant, call: F) -> Result<()>
where
    F: Fn(usize, Instant) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    let next = Arc::new(AtomicUsize::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..at_a_time.min(count) {
        let (next, call) = (next.clone(), call.clone());
        workers.spawn(async move {
            loop {
                let (index, now) = (next.fetch_add(1, Relaxed), Instant::now());
                if index >= count || now > deadline {
                    return anyhow::Ok(());
                }
                call(index, now).await?;
            }
        });
    }
    join(workers).await
}

async fn keep_rate<F, Fut>(per_second: f64, count: usize, deadline: Instant, call: F) -> Result<()>
where
    F: Fn(usize, Instant) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    let interval = Duration::from_secs_f64(1.0 / per_second.max(1.0));
    let mut calls = JoinSet::new();
    let mut due = Instant::now();
    for index in 0..count {
        tokio::time::sleep_until(due.into()).await;
        if due > deadline || calls.len() >= MOST_UNDER_WAY {
            break;
        }
        calls.spawn(call(index, due));
        while let Some(ended) = calls.try_join_next() {
            ended??;
        }
        due += interval;
    }
    join(calls).await
}

async fn join(mut tasks: JoinSet<Result<()>>) -> Result<()> {
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    async fn begun(load: Load, count: usize, limit: Duration) -> Vec<usize> {
        let begun = Arc::new(Mutex::new(Vec::new()));
        let note = begun.clone();
        let call = move |index, _| {
            note.lock().unwrap().push(index);
            async { Ok(()) }
        };
        drive(load, count, Instant::now() + limit, call).await.unwrap();
        let mut begun = begun.lock().unwrap().clone();
        begun.sort_unstable();
        begun
    }

    #[tokio::test]
    async fn every_call_begins_once_and_none_after_the_deadline() {
        let all: Vec<usize> = (0..100).collect();
        assert_eq!(begun(Load::Saturated { at_a_time: 8 }, 100, Duration::from_mins(1)).await, all);
        assert_eq!(begun(Load::Steady { per_second: 1e6 }, 100, Duration::from_mins(1)).await, all);
        assert!(begun(Load::Saturated { at_a_time: 8 }, usize::MAX, Duration::from_millis(5)).await.len() > 1);
    }

    #[tokio::test]
    async fn a_call_that_fails_ends_the_load() {
        let call = |_, _| async { anyhow::bail!("answered 503") };
        let deadline = Instant::now() + Duration::from_mins(1);
        let failed = drive(Load::Saturated { at_a_time: 2 }, 10, deadline, call).await;
        assert_eq!(failed.unwrap_err().to_string(), "answered 503");
    }
}
