//! Deleting a conversation (rule 11), what remains of it, and what has yet to be looked through for its texts.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::{Batch, Call, Conversation, Id, LicenseId, ManagerId, PhoneNumber};
use proto::conversations as wire;
use proto::to_timestamp;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{Result, Tx};

/// A deletion that is under way.
#[derive(Debug, Clone)]
pub(crate) struct Deletion {
    pub license_id: LicenseId,
    pub conversation_id: Id<Conversation>,
    pub manager_id: ManagerId,
    pub manager_name: String,
    pub at: DateTime<Utc>,
}

/// What went, as far as it concerns others.
#[derive(Debug)]
pub(crate) struct Erased {
    pub messages: i32,
    /// Messages that may still wait to be announced.
    pub queued: Vec<Uuid>,
    /// Batches of which it had messages.
    pub batches: Vec<Id<Batch>>,
    /// Messages numbers that the license had in the conversation.
    pub our_numbers: Vec<String>,
    /// Inbound messages that count in the license's total.
    pub inbound: i32,
    /// Calls that refer to the conversation no more.
    pub calls: Vec<Id<Call>>,
}

/// Lets no statement of this transaction wait long for a row. Reports lock messages first and their license last, we the
/// other way round: whoever holds a message that we want mostly waits for us.
pub(crate) async fn wait_for_nobody(tx: &mut Tx<'_>) -> Result<()> {
    sqlx::query!("set local lock_timeout = '50ms'").execute(&mut **tx).await?;
    Ok(())
}

/// Removes the conversation's rows. The license is locked.
pub(crate) async fn erase(tx: &mut Tx<'_>, license_id: &LicenseId, id: Id<Conversation>) -> Result<Erased> {
    let messages = sqlx::query!(
        r#"with erased as (
             delete from messages where license_id = $1 and conversation_id = $2
             returning message_id, status, batch_id, case direction when 'inbound' then to_number else from_number end as our_number)
           select count(*)::int as "count!",
             coalesce(array_agg(message_id) filter (where status = 'queued'), '{}') as "queued!",
             coalesce(array_agg(distinct batch_id) filter (where batch_id is not null), '{}') as "batches!",
             coalesce(array_agg(distinct our_number) filter (where our_number is not null), '{}') as "our_numbers!"
           from erased"#,
        license_id.as_str(),
        id.uuid(),
    )
    .fetch_one(&mut **tx)
    .await?;
    // The managers lead to the marks: the other way through all of a license's marks.
    sqlx::query!(
        "with marks as (
           delete from read_marks
           where license_id = $1 and manager_id = any(array(select manager_id from managers where license_id = $1))
             and conversation_id = $2
           returning manager_id, read_count)
         update managers set read_total = read_total - marks.read_count
         from marks where managers.license_id = $1 and managers.manager_id = marks.manager_id",
        license_id.as_str(),
        id.uuid(),
    )
    .execute(&mut **tx)
    .await?;
    let calls = sqlx::query_scalar!(
        "update calls set conversation_id = null where license_id = $1 and conversation_id = $2 returning call_id",
        license_id.as_str(),
        id.uuid(),
    )
    .fetch_all(&mut **tx)
    .await?;
    let inbound = sqlx::query_scalar!(
        r#"with events as (delete from conversation_events where license_id = $1 and conversation_id = $2),
             people as (delete from conversation_people where license_id = $1 and conversation_id = $2),
             gone as (delete from conversations where license_id = $1 and conversation_id = $2 returning inbound_count)
           select coalesce(sum(inbound_count), 0)::int as "inbound!" from gone"#,
        license_id.as_str(),
        id.uuid(),
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(Erased {
        messages: messages.count,
        queued: messages.queued,
        batches: messages.batches.into_iter().map(Id::from_uuid).collect(),
        our_numbers: messages.our_numbers,
        inbound,
        calls: calls.into_iter().map(Id::from_uuid).collect(),
    })
}

/// Writes the receipt, and what has yet to be looked for. The license is locked.
pub(crate) async fn record(tx: &mut Tx<'_>, deletion: &Deletion, number: PhoneNumber, erased: &Erased) -> Result<()> {
    sqlx::query!(
        "with pending as (
           insert into erasures_pending (license_id, conversation_id, number, our_numbers, deleted_at)
           select $1, $2, $7,
             $8::text[] || array(select number from licenses where license_id = $1 and number is not null), $6)
         insert into deletions (license_id, conversation_id, manager_id, manager_name, messages, deleted_at)
         values ($1, $2, $3, $4, $5, $6)",
        deletion.license_id.as_str(),
        deletion.conversation_id.uuid(),
        deletion.manager_id.as_str(),
        deletion.manager_name,
        erased.messages,
        deletion.at,
        number.as_str(),
        &erased.our_numbers,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Receipts of deletions by conversation. Those that do not exist are left out.
pub(crate) async fn load(
    db: &mut PgConnection,
    wanted: &[(LicenseId, Uuid)],
) -> Result<HashMap<Uuid, wire::DeletionReceipt>> {
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let (license_ids, ids): (Vec<String>, Vec<Uuid>) =
        wanted.iter().map(|(license_id, id)| (license_id.to_string(), *id)).unzip();
    let rows = sqlx::query!(
        "select d.conversation_id, d.manager_id, d.manager_name, d.messages, d.deleted_at
         from unnest($1::text[], $2::uuid[]) as wanted (license_id, conversation_id)
         join deletions d on d.license_id = wanted.license_id and d.conversation_id = wanted.conversation_id",
        &license_ids,
        &ids,
    )
    .fetch_all(db)
    .await?;
    let receipts = rows.into_iter().map(|row| {
        let receipt = wire::DeletionReceipt {
            conversation_id: row.conversation_id.to_string(),
            deleted_by: Some(wire::Manager { id: row.manager_id, name: row.manager_name }),
            deleted_at: Some(to_timestamp(row.deleted_at)),
            messages: row.messages.unsigned_abs(),
        };
        (row.conversation_id, receipt)
    });
    Ok(receipts.collect())
}

/// Those of the messages that do not exist.
pub(crate) async fn list_missing_messages(pool: &PgPool, ids: &[Uuid]) -> Result<Vec<Uuid>> {
    let missing = sqlx::query_scalar!(
        r#"select id as "id!" from unnest($1::uuid[]) as id
           where not exists (select from messages where message_id = id)"#,
        ids,
    )
    .fetch_all(pool)
    .await?;
    Ok(missing)
}

/// Which of these conversations, license and id, are deleted: their places in the list.
pub(crate) async fn list_deleted(pool: &PgPool, conversations: &[(String, Uuid)]) -> Result<Vec<i64>> {
    let (license_ids, ids): (Vec<&str>, Vec<Uuid>) =
        conversations.iter().map(|(license_id, id)| (license_id.as_str(), *id)).unzip();
    let places = sqlx::query_scalar!(
        r#"select n - 1 as "place!"
           from unnest($1::text[], $2::uuid[]) with ordinality as wanted (license_id, conversation_id, n)
           join deletions d on d.license_id = wanted.license_id and d.conversation_id = wanted.conversation_id"#,
        &license_ids as _,
        &ids,
    )
    .fetch_all(pool)
    .await?;
    Ok(places)
}

/// A text that came in, by what tells to which conversation it would have belonged.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub from: String,
    pub to: String,
    /// `None`: it does not say, so it can never become a message.
    pub at: Option<DateTime<Utc>>,
}

/// Which of these texts came to a conversation that was deleted after them: their places in the list.
pub(crate) async fn list_pending(pool: &PgPool, texts: &[Arrived]) -> Result<Vec<i64>> {
    let from: Vec<&str> = texts.iter().map(|text| text.from.as_str()).collect();
    let to: Vec<&str> = texts.iter().map(|text| text.to.as_str()).collect();
    let times: Vec<Option<DateTime<Utc>>> = texts.iter().map(|text| text.at).collect();
    let places = sqlx::query_scalar!(
        r#"select n - 1 as "place!"
           from unnest($1::text[], $2::text[], $3::timestamptz[]) with ordinality as text (from_number, to_number, at, n)
           where exists (
             select from erasures_pending pending
             where pending.number = text.from_number and text.to_number = any(pending.our_numbers)
               and coalesce(text.at <= pending.deleted_at, true))"#,
        &from as _,
        &to as _,
        &times as _,
    )
    .fetch_all(pool)
    .await?;
    Ok(places)
}

pub(crate) async fn is_any_pending(pool: &PgPool) -> Result<bool> {
    let any = sqlx::query_scalar!(r#"select exists (select from erasures_pending) as "any!""#).fetch_one(pool).await?;
    Ok(any)
}

/// Forgets what no dead letter can hold any more.
pub(crate) async fn forget_pending(pool: &PgPool, deleted_before: DateTime<Utc>) -> Result<()> {
    sqlx::query!("delete from erasures_pending where deleted_at < $1", deleted_before).execute(pool).await?;
    Ok(())
}
