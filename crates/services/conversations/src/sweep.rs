//! Removes what is older than its retention, in small steps: feed entries, idempotency keys, unmatched messages,
//! inbox entries. Several replicas may sweep side by side.

use std::time::Duration;

use chassis::Clock;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::store::{feed, idempotency, unmatched};

const EVERY: Duration = Duration::from_mins(10);
/// Rows of one step: a step never holds up the rest of the service.
const STEP: i64 = 5_000;

pub(crate) async fn run(pool: PgPool, clock: Clock, stopping: CancellationToken) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            () = stopping.cancelled() => return Ok(()),
            () = tokio::time::sleep(EVERY) => {}
        }
        // A step that was full is followed by the next one; what is left waits for the next round.
        while !stopping.is_cancelled() {
            match sweep_once(&pool, &clock).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!(error = %format!("{error:#}"), "will sweep later");
                    break;
                }
            }
        }
    }
}

/// One step over everything. Returns true when there may be more.
pub(crate) async fn sweep_once(pool: &PgPool, clock: &Clock) -> anyhow::Result<bool> {
    let now = clock.now();
    let swept = [
        feed::sweep(pool, now, STEP).await?,
        idempotency::sweep(pool, now, STEP).await?,
        unmatched::sweep(pool, now, STEP).await?,
        bus::sweep_inbox(pool, now).await?,
    ];
    Ok(swept.into_iter().any(|rows| rows >= STEP.unsigned_abs()))
}
