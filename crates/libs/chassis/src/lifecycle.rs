//! How a process stops: one token that says "stop", one tracker of what still runs, the first failure.
//!
//! Work is started here and nowhere else, so nothing is left behind unnoticed. Long tasks have names and watch
//! [`Lifecycle::stopping`]; when one fails the process begins to stop. Short detached work (a write that must
//! finish although its client hung up) is tracked and finishes before the process ends. After the deadline nobody
//! is waited for; the error then says who was still running.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::anyhow;
use futures_util::FutureExt as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

/// The life of one service. Clones are the same life.
#[derive(Clone, Debug)]
pub struct Lifecycle(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    stopping: CancellationToken,
    /// A second signal: do not wait any more.
    at_once: CancellationToken,
    /// All work has ended or was given up; the admin port closes last.
    ended: CancellationToken,
    tracker: TaskTracker,
    running: Mutex<Running>,
    failure: Mutex<Option<anyhow::Error>>,
}

#[derive(Debug, Default)]
struct Running {
    next: u64,
    names: BTreeMap<u64, &'static str>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.ended.cancel();
    }
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}

impl Lifecycle {
    pub fn new() -> Self {
        Self(Arc::default())
    }

    /// Cancelled when the service has to stop. Loops and open streams watch it.
    pub fn stopping(&self) -> CancellationToken {
        self.0.stopping.clone()
    }

    pub fn is_stopping(&self) -> bool {
        self.0.stopping.is_cancelled()
    }

    /// Begins to stop. Calling it again does nothing.
    pub fn stop(&self) {
        self.0.stopping.cancel();
    }

    /// SIGTERM or SIGINT begins the stop; a second one ends the wait for what still runs.
    pub fn stop_on_signals(&self) -> std::io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let (stopping, at_once, ended) = (self.0.stopping.clone(), self.0.at_once.clone(), self.0.ended.clone());
        tokio::spawn(async move {
            for token in [stopping, at_once] {
                tokio::select! {
                    _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
                    _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
                    () = ended.cancelled() => return,
                }
                token.cancel();
            }
        });
        Ok(())
    }

    /// Starts a task that lives as long as the service. When it ends with an error or panics while the service is
    /// not stopping, the service stops and the failure is what [`Self::run_until_stopped`] returns. A task that
    /// ends well has simply done its work.
    pub fn spawn(&self, name: &'static str, future: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
        let running = RunningTask::new(self.clone(), name);
        self.0.tracker.spawn(async move {
            let outcome = AssertUnwindSafe(future).catch_unwind().await;
            let failure = match outcome {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.context(format!("the task `{name}` failed"))),
                Err(panic) => Some(anyhow!("the task `{name}` panicked: {}", panic_message(panic.as_ref()))),
            };
            if let Some(failure) = failure {
                running.lifecycle.record_failure(failure);
            }
            drop(running);
        });
    }

    /// Starts short work that must finish even when nobody waits for it any more. It keeps the caller's span and
    /// holds the shutdown until the deadline.
    pub fn spawn_tracked<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.0.tracker.spawn(future.in_current_span())
    }

    /// Waits until the service has to stop, then for its work, at most `deadline` long.
    ///
    /// Returns the first failure of a named task; else, when work is still running at the deadline, an error that
    /// names it.
    pub async fn run_until_stopped(self, deadline: Duration) -> anyhow::Result<()> {
        self.0.stopping.cancelled().await;
        self.finish(deadline).await
    }

    /// Stops and waits, as [`Self::run_until_stopped`] does after the stop.
    pub async fn finish(&self, deadline: Duration) -> anyhow::Result<()> {
        self.stop();
        self.0.tracker.close();
        let given_up = tokio::select! {
            () = self.0.tracker.wait() => None,
            () = tokio::time::sleep(deadline) => Some("the deadline"),
            () = self.0.at_once.cancelled() => Some("a second signal"),
        };
        let unfinished =
            given_up.map(|reason| anyhow!("stopped by {reason} while still running: {}", self.describe_running()));
        self.0.ended.cancel();
        let failure = lock(&self.0.failure).take();
        match failure.or(unfinished) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Cancelled when somebody has asked twice.
    pub(crate) fn at_once(&self) -> CancellationToken {
        self.0.at_once.clone()
    }

    /// Cancelled when all work has ended, later than [`Self::stopping`].
    pub(crate) fn ended(&self) -> CancellationToken {
        self.0.ended.clone()
    }

    fn record_failure(&self, failure: anyhow::Error) {
        let detail = format!("{failure:#}");
        if self.is_stopping() {
            tracing::warn!(error = detail, "a task failed while the service was stopping");
            return;
        }
        tracing::error!(error = detail, "a task failed; the service stops");
        lock(&self.0.failure).get_or_insert(failure);
        self.stop();
    }

    fn describe_running(&self) -> String {
        let mut names: Vec<String> = lock(&self.0.running).names.values().map(|name| format!("`{name}`")).collect();
        let unnamed = self.0.tracker.len().saturating_sub(names.len());
        if unnamed > 0 {
            names.push(format!("{unnamed} short tasks"));
        }
        names.join(", ")
    }
}

/// Keeps a task's name on the list for as long as the task lives.
struct RunningTask {
    lifecycle: Lifecycle,
    id: u64,
}

impl RunningTask {
    fn new(lifecycle: Lifecycle, name: &'static str) -> Self {
        let mut running = lock(&lifecycle.0.running);
        let id = running.next;
        running.next += 1;
        running.names.insert(id, name);
        drop(running);
        Self { lifecycle, id }
    }
}

impl Drop for RunningTask {
    fn drop(&mut self) {
        lock(&self.lifecycle.0.running).names.remove(&self.id);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use anyhow::bail;
    use tokio::sync::oneshot;

    use super::*;

    const SOON: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn a_named_task_that_fails_stops_the_process_and_is_named() {
        let lifecycle = Lifecycle::new();
        lifecycle.spawn("relay", async { bail!("the stream is gone") });
        let error = lifecycle.run_until_stopped(LONG).await.unwrap_err();
        assert_eq!(format!("{error:#}"), "the task `relay` failed: the stream is gone");
    }

    #[tokio::test]
    async fn a_named_task_that_panics_stops_the_process() {
        let lifecycle = Lifecycle::new();
        lifecycle.spawn("relay", async { panic!("index {} out of range", 7) });
        let error = lifecycle.run_until_stopped(LONG).await.unwrap_err();
        assert_eq!(error.to_string(), "the task `relay` panicked: index 7 out of range");
    }

    #[tokio::test]
    async fn a_task_that_ends_well_does_not_stop_the_process() {
        let lifecycle = Lifecycle::new();
        let (tell, told) = oneshot::channel();
        lifecycle.spawn("import", async move {
            let _ = tell.send(());
            Ok(())
        });
        told.await.unwrap();
        tokio::task::yield_now().await;
        assert!(!lifecycle.is_stopping());
        lifecycle.finish(LONG).await.unwrap();
    }

    #[tokio::test]
    async fn the_first_failure_is_the_one_that_is_told() {
        let lifecycle = Lifecycle::new();
        lifecycle.spawn("first", async { bail!("one") });
        let stopping = lifecycle.stopping();
        lifecycle.spawn("second", async move {
            stopping.cancelled().await;
            bail!("two")
        });
        let error = lifecycle.run_until_stopped(LONG).await.unwrap_err();
        assert_eq!(format!("{error:#}"), "the task `first` failed: one");
    }

    #[tokio::test]
    async fn detached_work_finishes_before_the_process_ends() {
        let lifecycle = Lifecycle::new();
        let (release, released) = oneshot::channel::<()>();
        let work = lifecycle.spawn_tracked(async move {
            released.await.unwrap();
            "written"
        });
        lifecycle.stop();
        let end = tokio::spawn(lifecycle.run_until_stopped(LONG));
        release.send(()).unwrap();
        end.await.unwrap().unwrap();
        assert_eq!(work.await.unwrap(), "written");
    }

    #[tokio::test]
    async fn what_is_still_running_at_the_deadline_is_named() {
        let lifecycle = Lifecycle::new();
        lifecycle.spawn("consumer", std::future::pending());
        lifecycle.spawn_tracked(std::future::pending::<()>());
        let error = lifecycle.finish(SOON).await.unwrap_err();
        assert_eq!(error.to_string(), "stopped by the deadline while still running: `consumer`, 1 short tasks");
    }

    #[tokio::test]
    async fn the_end_comes_after_the_stop_and_after_the_work() {
        let lifecycle = Lifecycle::new();
        let ended = lifecycle.ended();
        lifecycle.stop();
        assert!(!ended.is_cancelled());
        lifecycle.finish(LONG).await.unwrap();
        assert!(ended.is_cancelled());
    }

    #[tokio::test]
    async fn a_signal_begins_the_stop_and_a_second_one_ends_the_wait() {
        fn terminate_this_process() {
            let id = std::process::id().to_string();
            let mut kill = std::process::Command::new("kill");
            assert!(kill.args(["-TERM", &id]).status().unwrap().success());
        }
        let lifecycle = Lifecycle::new();
        lifecycle.stop_on_signals().unwrap();
        lifecycle.spawn("consumer", std::future::pending());
        terminate_this_process();
        lifecycle.stopping().cancelled().await;
        terminate_this_process();
        let error = lifecycle.finish(LONG).await.unwrap_err();
        assert_eq!(error.to_string(), "stopped by a second signal while still running: `consumer`");
    }
}
