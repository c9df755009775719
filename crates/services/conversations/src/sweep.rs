//! Removes what is older than its retention, in small steps: feed entries, idempotency keys, unmatched messages,
//! inbox entries, scheduled sends that have ended, and what carriers said of numbers long ago. Several replicas may sweep
//! side by side.

use std::time::Duration;

use chassis::{Clock, steps};
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::push::Pusher;
use crate::store::licenses::{self, FeedRange, Subject};
use crate::store::{StoreError, conversations, feed, idempotency, scheduled, textless, unmatched};

const EVERY: Duration = Duration::from_mins(10);
/// Rows of one step: a step never holds up the rest of the service.
const STEP: i64 = 5_000;
/// Numbers of one step: it locks their licenses.
const NUMBERS: i64 = 100;
/// Scheduled sends of one step: each may have 10,000 recipients.
const SCHEDULED: i64 = 10;

/// What a step did.
#[derive(Debug)]
pub(crate) struct Step {
    /// There may be more.
    pub more: bool,
    /// Entries that it wrote: what was forgotten may make conversations writable again.
    pub ranges: Vec<FeedRange>,
}

pub(crate) async fn run(pool: PgPool, clock: Clock, pusher: Pusher, stopping: CancellationToken) -> anyhow::Result<()> {
    // A step that was full is followed by the next one; what is left waits for the next round.
    steps::run(EVERY, "will sweep later", &stopping, async || {
        let Step { more, ranges } = sweep_once(&pool, &clock).await?;
        pusher.push(ranges);
        anyhow::Ok(more)
    })
    .await
}

/// One step over everything.
pub(crate) async fn sweep_once(pool: &PgPool, clock: &Clock) -> anyhow::Result<Step> {
    let now = clock.now();
    let swept = [
        feed::sweep(pool, now, STEP).await?,
        idempotency::sweep(pool, now, STEP).await?,
        unmatched::sweep(pool, now, STEP).await?,
        bus::sweep_inbox(pool, now).await?,
    ];
    let scheduled_left = scheduled::sweep(pool, now, SCHEDULED).await? >= SCHEDULED.unsigned_abs();
    let (numbers_left, ranges) = forget_textless(pool, now).await?;
    let more = numbers_left || scheduled_left;
    Ok(Step { more: more || swept.into_iter().any(|rows| rows >= STEP.unsigned_abs()), ranges })
}

/// Stops believing what was learned of numbers too long ago. Returns true when there may be more.
async fn forget_textless(pool: &PgPool, now: DateTime<Utc>) -> Result<(bool, Vec<FeedRange>), StoreError> {
    let since = textless::believed_since(now);
    let mut tx = pool.begin().await?;
    let old = textless::list_learned_before(&mut tx, since, NUMBERS).await?;
    if old.is_empty() {
        return Ok((false, Vec::new()));
    }
    let mut locked = licenses::lock(&mut tx, old.iter().map(|(license_id, _)| license_id.clone())).await?;
    let forgotten = textless::remove(&mut tx, &old, Some(since)).await?;
    for (license_id, conversation_id) in conversations::list_open(&mut tx, &forgotten).await? {
        locked.record(&license_id, Subject::ConversationUpdated(conversation_id), now);
    }
    let ranges = locked.write(&mut tx).await?;
    tx.commit().await?;
    Ok((old.len() as u64 >= NUMBERS.unsigned_abs(), ranges))
}
