//! What is not to be sent any more (rule 11), whether its messages came before or come after that is known.
//!
//! A withdrawal, the intake, a turn and an attempt that gives its message back all lock the lane before they look, so
//! that each sees what the one before it has committed: nothing slips into the queue behind a withdrawal, and a delivery
//! is either attempted or canceled. What is known is kept for longer than any event can come again.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{Batch, Conversation, Id, LicenseId, Message, MessageStatus};
use proto::dispatch::MessageProgressed;
use sqlx::PgTransaction;
use uuid::Uuid;

use super::{AttemptKey, NewDelivery, Store};
use crate::error::StoreError;
use crate::model::Withdrawal;

/// Deliveries of one statement.
const STEP: usize = 5_000;
/// Rows of one step.
const REMOVE_STEP: i64 = 5_000;
/// A dead letter can be put back for 30 days.
const KEEP: TimeDelta = TimeDelta::days(32);

/// What is withdrawn.
#[derive(Clone, Copy, Debug)]
pub enum Scope {
    Batch(Id<Batch>),
    Conversation(Id<Conversation>),
}

impl Scope {
    const fn uuid(self) -> Uuid {
        match self {
            Self::Batch(id) => id.uuid(),
            Self::Conversation(id) => id.uuid(),
        }
    }

    const fn withdrawal(self) -> Withdrawal {
        match self {
            Self::Batch(_) => Withdrawal::Canceled,
            Self::Conversation(_) => Withdrawal::Erased,
        }
    }
}

/// Nothing of this is to be sent any more.
#[derive(Clone, Debug)]
pub struct NewWithdrawal {
    pub license_id: LicenseId,
    pub of: Scope,
}

/// Remembers withdrawals, stops what waits and erases texts. Events are recorded of what is stopped of batches. Returns
/// how many deliveries ended.
pub async fn record_withdrawals(
    tx: &mut PgTransaction<'_>,
    new: &[NewWithdrawal],
    now: DateTime<Utc>,
) -> sqlx::Result<usize> {
    let licenses: Vec<String> = new.iter().map(|withdrawal| withdrawal.license_id.to_string()).collect();
    let of: Vec<Uuid> = new.iter().map(|withdrawal| withdrawal.of.uuid()).collect();
    let erased: Vec<bool> = new.iter().map(|withdrawal| withdrawal.of.withdrawal().is_erased()).collect();
    // A lane that is not there yet is made: its lock is what the intake waits for.
    sqlx::query!(
        "insert into lanes (license_id)
         select distinct license_id from unnest($1::text[]) as license_id order by license_id
         on conflict (license_id) do update set due_at = lanes.due_at",
        &licenses,
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(
        "insert into withdrawals (license_id, of, erased, withdrawn_at)
         select withdrawn.license_id, withdrawn.of, withdrawn.erased, $4
         from unnest($1::text[], $2::uuid[], $3::boolean[]) as withdrawn (license_id, of, erased)
         on conflict (license_id, of) do nothing",
        &licenses,
        &of,
        &erased,
        now,
    )
    .execute(&mut **tx)
    .await?;
    let found = sqlx::query!(
        r#"select found.license_id as "license_id!", found.message_id as "message_id!",
                  bool_or(found.erased) as "erased!"
           from (
             select deliveries.license_id, deliveries.message_id, true as erased
             from unnest($1::text[], $2::uuid[], $3::boolean[]) as withdrawn (license_id, of, erased)
             join deliveries on deliveries.license_id = withdrawn.license_id
               and deliveries.conversation_id = withdrawn.of
             where withdrawn.erased and deliveries.state in ('waiting', 'attempting', 'unknown')
             union all
             select deliveries.license_id, deliveries.message_id, true
             from unnest($1::text[], $2::uuid[], $3::boolean[]) as withdrawn (license_id, of, erased)
             join deliveries on deliveries.license_id = withdrawn.license_id
               and deliveries.conversation_id = withdrawn.of
             where withdrawn.erased and deliveries.state = 'held'
             union all
             select deliveries.license_id, deliveries.message_id, false
             from unnest($1::text[], $2::uuid[], $3::boolean[]) as withdrawn (license_id, of, erased)
             join deliveries on deliveries.license_id = withdrawn.license_id and deliveries.batch_id = withdrawn.of
             where not withdrawn.erased and deliveries.state = 'waiting' and deliveries.batch_id is not null
             union all
             select deliveries.license_id, deliveries.message_id, false
             from unnest($1::text[], $2::uuid[], $3::boolean[]) as withdrawn (license_id, of, erased)
             join deliveries on deliveries.license_id = withdrawn.license_id and deliveries.batch_id = withdrawn.of
             where not withdrawn.erased and deliveries.state = 'held' and deliveries.batch_id is not null
           ) as found
           group by found.license_id, found.message_id
           order by found.message_id"#,
        &licenses,
        &of,
        &erased,
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut ended = 0;
    for step in found.chunks(STEP) {
        let licenses: Vec<String> = step.iter().map(|row| row.license_id.clone()).collect();
        let messages: Vec<Uuid> = step.iter().map(|row| row.message_id).collect();
        let erased: Vec<bool> = step.iter().map(|row| row.erased).collect();
        ended += mark_withdrawn(tx, &licenses, &messages, &erased, now).await?;
    }
    Ok(ended)
}

/// One step. The table is that of `model/withdrawal.rs`.
async fn mark_withdrawn(
    tx: &mut PgTransaction<'_>,
    licenses: &[String],
    messages: &[Uuid],
    erased: &[bool],
    now: DateTime<Utc>,
) -> sqlx::Result<usize> {
    let changed = sqlx::query!(
        r#"with found as materialized (
             select deliveries.license_id, deliveries.message_id, withdrawn.erased
             from unnest($1::text[], $2::uuid[], $3::boolean[]) as withdrawn (license_id, message_id, erased)
             join deliveries using (license_id, message_id)
             order by deliveries.message_id for update of deliveries
           )
           update deliveries set
             state = case deliveries.state when 'attempting' then 'attempting' else 'canceled' end,
             settled_at = case deliveries.state when 'attempting' then null else $4::timestamptz end,
             body = null, media_urls = '{}', ask_at = null, held_until = null, held_reason = null
           from found
           where (deliveries.license_id, deliveries.message_id) = (found.license_id, found.message_id)
             and (deliveries.state in ('waiting', 'held') or found.erased and deliveries.state in ('attempting', 'unknown'))
           returning deliveries.license_id, deliveries.message_id, found.erased as "erased!",
                     deliveries.state = 'canceled' as "ended!""#,
        licenses,
        messages,
        erased,
        now,
    )
    .fetch_all(&mut **tx)
    .await?;
    let ended = changed.iter().filter(|row| row.ended).count();
    let events: Vec<MessageProgressed> = changed
        .into_iter()
        .filter(|row| !row.erased)
        .map(|row| canceled(row.license_id, Id::from_uuid(row.message_id), now))
        .collect();
    bus::outbox::record(tx, &events, now).await?;
    Ok(ended)
}

/// Which of these deliveries were withdrawn. Erasing is stronger.
pub async fn find_withdrawn(
    tx: &mut PgTransaction<'_>,
    attempted: &[&AttemptKey],
) -> sqlx::Result<HashMap<Id<Message>, Withdrawal>> {
    if attempted.is_empty() {
        return Ok(HashMap::new());
    }
    let licenses: Vec<String> = attempted.iter().map(|key| key.license_id.to_string()).collect();
    let messages: Vec<Uuid> = attempted.iter().map(|key| key.message_id.uuid()).collect();
    let rows = sqlx::query!(
        r#"select deliveries.message_id, bool_or(withdrawals.erased) as "erased!"
           from unnest($1::text[], $2::uuid[]) as attempted (license_id, message_id)
           join deliveries using (license_id, message_id)
           join withdrawals on withdrawals.license_id = deliveries.license_id
             and withdrawals.of = any(array[deliveries.conversation_id, deliveries.batch_id])
           group by deliveries.message_id"#,
        &licenses,
        &messages,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| (Id::from_uuid(row.message_id), Withdrawal::from_stored(row.erased))).collect())
}

/// The events of those that were not queued because their batch is canceled. One that is in the queue has its own end;
/// nothing is said of what is erased.
pub async fn find_canceled(
    tx: &mut PgTransaction<'_>,
    new: &[NewDelivery],
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<MessageProgressed>> {
    let licenses: Vec<String> = new.iter().map(|delivery| delivery.license_id.to_string()).collect();
    let messages: Vec<Uuid> = new.iter().map(|delivery| delivery.message_id.uuid()).collect();
    let conversations: Vec<Uuid> = new.iter().map(|delivery| delivery.conversation_id.uuid()).collect();
    let batches: Vec<Option<Uuid>> = new.iter().map(|delivery| delivery.batch_id.map(Id::uuid)).collect();
    let rows = sqlx::query!(
        r#"select new.license_id as "license_id!", new.message_id as "message_id!"
           from unnest($1::text[], $2::uuid[], $3::uuid[], $4::uuid[])
             as new (license_id, message_id, conversation_id, batch_id)
           join withdrawals on withdrawals.license_id = new.license_id
             and withdrawals.of = any(array[new.conversation_id, new.batch_id])
           where not exists (
             select from deliveries
             where (deliveries.license_id, deliveries.message_id) = (new.license_id, new.message_id))
           group by new.license_id, new.message_id
           having not bool_or(withdrawals.erased)"#,
        &licenses,
        &messages,
        &conversations,
        batches.as_slice() as _,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| canceled(row.license_id, Id::from_uuid(row.message_id), now)).collect())
}

/// What is said of a message that was stopped with its batch.
pub fn canceled(license_id: String, message_id: Id<Message>, now: DateTime<Utc>) -> MessageProgressed {
    MessageProgressed {
        license_id,
        message_id: message_id.to_string(),
        status: MessageStatus::Canceled.as_str().to_owned(),
        occurred_at: Some(proto::to_timestamp(now)),
        ..MessageProgressed::default()
    }
}

impl Store {
    /// Forgets withdrawals that no message can come after any more. Returns how many went.
    pub async fn remove_old_withdrawals(&self, now: DateTime<Utc>) -> Result<u64, StoreError> {
        let removed = sqlx::query!(
            "with old as materialized (
               select license_id, of from withdrawals where withdrawn_at < $1
               order by withdrawn_at limit $2
               for update skip locked
             )
             delete from withdrawals using old
             where (withdrawals.license_id, withdrawals.of) = (old.license_id, old.of)",
            now - KEEP,
            REMOVE_STEP,
        )
        .execute(&self.pool)
        .await?;
        Ok(removed.rows_affected())
    }
}
