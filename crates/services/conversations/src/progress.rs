//! Tells clients how batches get on: at most twice a second of each batch, and always of its last change.
//!
//! Reports mark a batch as changed in their own transaction. This loop takes the marks away together with the feed's next
//! positions. Several replicas may run side by side; a change is told by one of them.

use std::time::Duration;

use chassis::{Clock, steps};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::push::Pusher;
use crate::store::licenses::{self, FeedRange, Subject};
use crate::store::{StoreError, batches};

const EVERY: Duration = Duration::from_millis(500);
/// Batches of one step: it locks their licenses.
const STEP: i64 = 100;

pub(crate) async fn run(pool: PgPool, clock: Clock, pusher: Pusher, stopping: CancellationToken) -> anyhow::Result<()> {
    steps::run(EVERY, "will tell of batches later", &stopping, async || {
        let (more, ranges) = tell_once(&pool, &clock).await?;
        pusher.push(ranges);
        Ok::<_, StoreError>(more)
    })
    .await
}

/// One step. Returns true when there may be more.
pub(crate) async fn tell_once(pool: &PgPool, clock: &Clock) -> Result<(bool, Vec<FeedRange>), StoreError> {
    let now = clock.now();
    let mut tx = pool.begin().await?;
    let changed = batches::list_to_tell(&mut tx, now, STEP).await?;
    if changed.is_empty() {
        return Ok((false, Vec::new()));
    }
    let mut locked = licenses::lock(&mut tx, changed.iter().map(|(license_id, _)| license_id.clone())).await?;
    for (license_id, batch_id) in batches::mark_told(&mut tx, &changed, now).await? {
        locked.record(&license_id, Subject::BatchUpdated(batch_id), now);
    }
    let ranges = locked.write(&mut tx).await?;
    tx.commit().await?;
    Ok((changed.len() as u64 >= STEP.unsigned_abs(), ranges))
}
