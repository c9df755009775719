//! The inbox: which events a consumer has applied. See `migrations/bus/0002_inbox.sql`.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use proto::catalogue::Consumer;
use sqlx::{PgPool, PgTransaction};

/// Entries are kept longer than any event can come again: a dead letter can be put back for 30 days.
const KEEP: TimeDelta = TimeDelta::days(32);
/// Rows of one statement: few, so that it never holds up the consumers.
const SWEEP: i64 = 10_000;

/// Notes the events as applied by this consumer and says which of them are new. In the order of their ids, so that
/// two replicas with the same events in hand wait for each other and never both.
pub(crate) async fn record_new(
    tx: &mut PgTransaction<'_>,
    consumer: &str,
    event_ids: &[String],
    now: DateTime<Utc>,
) -> sqlx::Result<HashSet<String>> {
    let new = sqlx::query_scalar!(
        "insert into inbox (consumer, event_id, consumed_at)
         select $1, event_id, $3 from unnest($2::text[]) as event_id
         order by event_id
         on conflict do nothing
         returning event_id",
        consumer,
        event_ids,
        now,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(new.into_iter().collect())
}

/// Notes events as applied that never will be: what they told of is erased, and they have no effect should they come again.
///
/// # Errors
/// What the database says; nothing is noted then.
pub async fn renounce(pool: &PgPool, consumer: Consumer, event_ids: &[String], now: DateTime<Utc>) -> sqlx::Result<()> {
    let mut tx = pool.begin().await?;
    record_new(&mut tx, consumer.name, event_ids, now).await?;
    tx.commit().await
}

/// Those of the events that this consumer has not applied, as far back as entries are kept.
pub(crate) async fn list_unknown(pool: &PgPool, consumer: &str, event_ids: &[String]) -> sqlx::Result<HashSet<String>> {
    let unknown = sqlx::query_scalar!(
        r#"select event_id as "event_id!" from unnest($2::text[]) as wanted (event_id)
           where not exists (
             select from inbox where inbox.consumer = $1 and inbox.event_id = wanted.event_id)"#,
        consumer,
        event_ids,
    )
    .fetch_all(pool)
    .await?;
    Ok(unknown.into_iter().collect())
}

/// Removes the entries that are too old to matter. Returns how many went.
///
/// # Errors
/// What the database says; what was removed until then stays removed.
pub async fn sweep(pool: &PgPool, now: DateTime<Utc>) -> sqlx::Result<u64> {
    let mut total = 0;
    loop {
        let swept = sqlx::query!(
            "delete from inbox where (consumer, event_id) in
               (select consumer, event_id from inbox where consumed_at < $1 limit $2)",
            now - KEEP,
            SWEEP,
        )
        .execute(pool)
        .await?
        .rows_affected();
        total += swept;
        if swept < SWEEP.unsigned_abs() {
            return Ok(total);
        }
    }
}
