//! Sends to several recipients, and how far they are.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{Batch, Id, LicenseId, ManagerId, MessageStatus, PersonName};
use proto::conversations as wire;
use proto::to_timestamp;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Moment, Result, Tx, stored};
use crate::model::Sending;

/// The feed tells of a batch at most twice a second.
pub(crate) const TOLD_EVERY: TimeDelta = TimeDelta::milliseconds(500);

/// A batch that is about to exist.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewBatch<'a> {
    pub batch_id: Id<Batch>,
    pub sending: &'a Sending,
    pub rejected: usize,
    pub messages: usize,
}

/// Writes a batch, of which the feed tells in the same transaction.
pub(crate) async fn record_new(tx: &mut Tx<'_>, batch: &NewBatch<'_>, now: DateTime<Utc>) -> Result<()> {
    let count = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    sqlx::query!(
        "insert into batches (license_id, batch_id, manager_id, manager_name, created_at, recipients, rejected, messages,
           told_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $5)",
        batch.sending.license_id.as_str(),
        batch.batch_id.uuid(),
        batch.sending.manager_id.as_str(),
        batch.sending.manager_name.as_str(),
        now,
        count(batch.sending.recipients.len()),
        count(batch.rejected),
        count(batch.messages),
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Notes that messages of these batches have moved on. Their licenses are locked.
pub(crate) async fn mark_changed(tx: &mut Tx<'_>, batches: &[(LicenseId, Id<Batch>)]) -> Result<()> {
    let (license_ids, ids): (Vec<String>, Vec<Uuid>) =
        batches.iter().map(|(license_id, id)| (license_id.to_string(), id.uuid())).unzip();
    sqlx::query!(
        "update batches set changed = true
         from unnest($1::text[], $2::uuid[]) as moved (license_id, batch_id)
         where batches.license_id = moved.license_id and batches.batch_id = moved.batch_id and not batches.changed",
        &license_ids,
        &ids,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Batches that have changed and of which the feed may tell again, those that wait longest first.
pub(crate) async fn list_to_tell(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<(LicenseId, Id<Batch>)>> {
    let rows = sqlx::query!(
        "select license_id, batch_id from batches where changed and told_at <= $1 order by told_at limit $2",
        now - TOLD_EVERY,
        limit,
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter()
        .map(|row| Ok((stored(LicenseId::parse(row.license_id), "license id")?, Id::from_uuid(row.batch_id))))
        .collect()
}

/// Notes that the feed tells of these now. Their licenses are locked. Returns those of which nobody else has told
/// meanwhile.
pub(crate) async fn mark_told(
    tx: &mut Tx<'_>,
    batches: &[(LicenseId, Id<Batch>)],
    now: DateTime<Utc>,
) -> Result<Vec<(LicenseId, Id<Batch>)>> {
    let (license_ids, ids): (Vec<String>, Vec<Uuid>) =
        batches.iter().map(|(license_id, id)| (license_id.to_string(), id.uuid())).unzip();
    let rows = sqlx::query!(
        "update batches set changed = false, told_at = $3
         from unnest($1::text[], $2::uuid[]) as due (license_id, batch_id)
         where batches.license_id = due.license_id and batches.batch_id = due.batch_id
           and batches.changed and batches.told_at <= $4
         returning batches.license_id, batches.batch_id",
        &license_ids,
        &ids,
        now,
        now - TOLD_EVERY,
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter()
        .map(|row| Ok((stored(LicenseId::parse(row.license_id), "license id")?, Id::from_uuid(row.batch_id))))
        .collect()
}

/// Ends a batch, whose license is locked. Returns true when the feed may tell of it at once; else it is told with its next
/// progress. `None`: there is no such batch, or it was canceled before.
pub(crate) async fn record_canceled(
    tx: &mut Tx<'_>,
    license_id: &LicenseId,
    id: Uuid,
    (manager_id, manager_name): (&ManagerId, &PersonName),
    now: DateTime<Utc>,
) -> Result<Option<bool>> {
    let told = sqlx::query_scalar!(
        r#"update batches
           set canceled_at = $3, canceled_by_id = $4, canceled_by_name = $5,
               changed = told_at > $6, told_at = case when told_at > $6 then told_at else $3 end
           where license_id = $1 and batch_id = $2 and canceled_at is null
           returning not changed as "told!""#,
        license_id.as_str(),
        id,
        now,
        manager_id.as_str(),
        manager_name.as_str(),
        now - TOLD_EVERY,
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(told)
}

/// One page of a license's batches, newest first, after a place.
pub(crate) async fn list_moments(
    db: &mut PgConnection,
    license_id: &LicenseId,
    after: Option<Moment>,
    limit: i64,
) -> Result<Vec<Moment>> {
    let moments = sqlx::query_as!(
        Moment,
        "select created_at as at, batch_id as id from batches
         where license_id = $1
           and (created_at, batch_id) <
               (coalesce($2::timestamptz, 'infinity'), coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
         order by created_at desc, batch_id desc limit $4",
        license_id.as_str(),
        after.map(|moment| moment.at),
        after.map(|moment| moment.id),
        limit,
    )
    .fetch_all(db)
    .await?;
    Ok(moments)
}

/// The ids of one page of a batch's messages, in the order of its recipients, after one of them.
pub(crate) async fn list_message_ids(
    db: &mut PgConnection,
    license_id: &LicenseId,
    id: Uuid,
    status: Option<MessageStatus>,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Uuid>> {
    let ids = sqlx::query_scalar!(
        "select message_id from messages
         where license_id = $1 and batch_id = $2 and ($3::text is null or status = $3)
           and message_id > coalesce($4::uuid, '00000000-0000-0000-0000-000000000000')
         order by message_id limit $5",
        license_id.as_str(),
        id,
        status.map(MessageStatus::as_str),
        after,
        limit,
    )
    .fetch_all(db)
    .await?;
    Ok(ids)
}

pub(crate) async fn exists(db: &mut PgConnection, license_id: &LicenseId, id: Uuid) -> Result<bool> {
    let found = sqlx::query_scalar!(
        r#"select exists (select from batches where license_id = $1 and batch_id = $2) as "exists!""#,
        license_id.as_str(),
        id,
    )
    .fetch_one(db)
    .await?;
    Ok(found)
}

/// Batches by id, with their messages counted now. Those that do not exist are left out.
pub(crate) async fn load(db: &mut PgConnection, wanted: &[(LicenseId, Uuid)]) -> Result<HashMap<Uuid, wire::Batch>> {
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let (license_ids, ids): (Vec<String>, Vec<Uuid>) =
        wanted.iter().map(|(license_id, id)| (license_id.to_string(), *id)).unzip();
    let rows = sqlx::query!(
        "select b.license_id, b.batch_id, b.manager_id, b.manager_name, b.created_at, b.recipients, b.rejected, b.messages,
                b.canceled_at, b.canceled_by_id, b.canceled_by_name
         from unnest($1::text[], $2::uuid[]) as wanted (license_id, batch_id)
         join batches b on b.license_id = wanted.license_id and b.batch_id = wanted.batch_id",
        &license_ids,
        &ids,
    )
    .fetch_all(&mut *db)
    .await?;
    let mut counts = count_messages(db, &license_ids, &ids).await?;
    let batches = rows.into_iter().map(|row| {
        let batch = wire::Batch {
            license_id: row.license_id,
            batch_id: row.batch_id.to_string(),
            manager: Some(wire::Manager { id: row.manager_id, name: row.manager_name }),
            created_at: Some(to_timestamp(row.created_at)),
            recipients: row.recipients.unsigned_abs(),
            rejected: row.rejected.unsigned_abs(),
            messages: row.messages.unsigned_abs(),
            counts: counts.remove(&row.batch_id).unwrap_or_default(),
            canceled_at: row.canceled_at.map(to_timestamp),
            canceled_by: row.canceled_by_id.zip(row.canceled_by_name).map(|(id, name)| wire::Manager { id, name }),
        };
        (row.batch_id, batch)
    });
    Ok(batches.collect())
}

async fn count_messages(
    db: &mut PgConnection,
    license_ids: &[String],
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Vec<wire::StatusCount>>> {
    let rows = sqlx::query!(
        r#"select wanted.batch_id as "batch_id!", m.status, count(*) as "messages!"
           from unnest($1::text[], $2::uuid[]) as wanted (license_id, batch_id)
           join messages m on m.license_id = wanted.license_id and m.batch_id = wanted.batch_id
           group by wanted.batch_id, m.status
           order by wanted.batch_id, m.status"#,
        license_ids,
        ids,
    )
    .fetch_all(db)
    .await?;
    let mut counts: HashMap<Uuid, Vec<wire::StatusCount>> = HashMap::new();
    for row in rows {
        let messages = u32::try_from(row.messages).unwrap_or(u32::MAX);
        counts.entry(row.batch_id).or_default().push(wire::StatusCount { status: row.status, messages });
    }
    Ok(counts)
}
