//! Answers of accepted sends (rule 17). Holds references, never text.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{LicenseId, ManagerId};
use sqlx::PgPool;
use sqlx::types::Json;
use uuid::Uuid;

use super::{Result, Tx};
use crate::model::Rejection;

/// How long a key is remembered.
const RETENTION: TimeDelta = TimeDelta::days(7);

/// Whose key it is: two managers may choose the same one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key<'a> {
    pub license_id: &'a LicenseId,
    pub manager_id: &'a ManagerId,
    pub chosen: &'a str,
}

/// What an accepted send answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub request_hash: Vec<u8>,
    pub batch_id: Option<Uuid>,
    pub message_ids: Vec<Uuid>,
    /// Of a send that was kept for later.
    pub scheduled_id: Option<Uuid>,
    pub rejected: Vec<Rejection>,
}

/// The first answer to this key. The license is locked, so a request under way has ended.
pub(crate) async fn find(tx: &mut Tx<'_>, key: Key<'_>) -> Result<Option<Answer>> {
    let row = sqlx::query!(
        r#"select request_hash, batch_id, message_ids, scheduled_id, rejected as "rejected: Json<Vec<Rejection>>"
           from idempotency where license_id = $1 and manager_id = $2 and key = $3"#,
        key.license_id.as_str(),
        key.manager_id.as_str(),
        key.chosen,
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(|row| Answer {
        request_hash: row.request_hash,
        batch_id: row.batch_id,
        message_ids: row.message_ids,
        scheduled_id: row.scheduled_id,
        rejected: row.rejected.0,
    }))
}

pub(crate) async fn record(tx: &mut Tx<'_>, key: Key<'_>, answer: &Answer, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "insert into idempotency (license_id, manager_id, key, request_hash, batch_id, message_ids, rejected, created_at,
           scheduled_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        key.license_id.as_str(),
        key.manager_id.as_str(),
        key.chosen,
        &answer.request_hash,
        answer.batch_id,
        &answer.message_ids,
        Json(&answer.rejected) as _,
        now,
        answer.scheduled_id,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Removes answers that are older than the retention, a bounded number of them. Returns how many went.
pub(crate) async fn sweep(pool: &PgPool, now: DateTime<Utc>, limit: i64) -> Result<u64> {
    let swept = sqlx::query!(
        "delete from idempotency where (license_id, manager_id, key) in
           (select license_id, manager_id, key from idempotency where created_at < $1 limit $2)",
        now - RETENTION,
        limit,
    )
    .execute(pool)
    .await?;
    Ok(swept.rows_affected())
}
