//! Loops that look for something to do: step after step while there is more, then a pause. A failure is told, and the next
//! round tries again.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Runs until it is stopped; a step that has begun is finished. `step` says whether there may be more; `later` is what is
/// told when it fails.
///
/// # Errors
/// None.
pub async fn run<F, E>(
    every: Duration,
    later: &'static str,
    stopping: &CancellationToken,
    mut step: impl FnMut() -> F,
) -> anyhow::Result<()>
where
    F: Future<Output = Result<bool, E>>,
    E: Into<anyhow::Error>,
{
    while !stopping.is_cancelled() {
        match step().await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::warn!(error = %format!("{:#}", error.into()), "{later}"),
        }
        let _ = stopping.run_until_cancelled(tokio::time::sleep(every)).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn steps_follow_each_other_while_there_is_more_and_a_failure_is_a_pause() {
        let (stopping, start, begun) = (CancellationToken::new(), Instant::now(), Mutex::new(Vec::new()));
        let outcome = run(Duration::from_secs(5), "will step later", &stopping, async || {
            let mut begun = begun.lock().unwrap();
            begun.push(start.elapsed().as_secs());
            match begun.len() {
                1 | 2 => Ok(true),
                3 => Ok(false),
                4 => Err(anyhow::anyhow!("not now")),
                _ => {
                    stopping.cancel();
                    Ok(true)
                }
            }
        });
        outcome.await.unwrap();
        assert_eq!(*begun.lock().unwrap(), [0, 0, 0, 5, 10]);
    }
}
