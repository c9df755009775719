//! Loops that look for something to do: step after step while there is more, then a pause. A failure is told, and the next
//! round tries again.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Runs until it is stopped. `step` says whether there may be more; `later` is what is told when it fails.
pub(crate) async fn run<F, E>(
    every: Duration,
    later: &'static str,
    stopping: &CancellationToken,
    mut step: impl FnMut() -> F,
) -> anyhow::Result<()>
where
    F: Future<Output = Result<bool, E>>,
    E: Into<anyhow::Error>,
{
    loop {
        tokio::select! {
            () = stopping.cancelled() => return Ok(()),
            () = tokio::time::sleep(every) => {}
        }
        while !stopping.is_cancelled() {
            match step().await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!(error = %format!("{:#}", error.into()), "{later}");
                    break;
                }
            }
        }
    }
}
