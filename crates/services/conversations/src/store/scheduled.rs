//! Sends that wait for their time, and for 30 days what became of them.
//!
//! Whoever changes one has locked its license: a change, the cancel, the deletion of a conversation and the sending itself
//! come one after the other.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Batch, Conversation, Id, LicenseId, ManagerId, Message, MessageBody, PersonId, PersonName, PhoneNumber,
    ScheduledSend,
};
use proto::conversations as wire;
use proto::to_timestamp;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{Moment, Result, StoreError, Tx, stored, wire_recipient};
use crate::model::{AcceptedRecipient, Reason, Recipient, Rejection, ScheduledStatus, Sending, Text};

/// How long ended ones are kept.
const RETENTION: TimeDelta = TimeDelta::days(30);
/// Recipients, and rejections, that lists and the feed show of each.
const SHOWN: i32 = 100;

/// A send that is about to be kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewScheduled<'a> {
    pub id: Id<ScheduledSend>,
    pub sending: &'a Sending,
    /// Who is kept. At least one.
    pub accepted: &'a [AcceptedRecipient],
    pub send_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
}

pub(crate) async fn record_new(tx: &mut Tx<'_>, new: &NewScheduled<'_>) -> Result<()> {
    let NewScheduled { id, sending, accepted, send_at, created_at } = *new;
    let license_id = sending.license_id.as_str();
    sqlx::query!(
        "insert into scheduled_sends (license_id, scheduled_id, manager_id, manager_name, body, media_urls, send_at,
           created_at, status, recipient_count, rejected_count)
         values ($1, $2, $3, $4, $5, $6, $7, $8, 'waiting', $9, 0)",
        license_id,
        id.uuid(),
        sending.manager_id.as_str(),
        sending.manager_name.as_str(),
        sending.text.source().as_str(),
        &sending.media_urls,
        send_at,
        created_at,
        i32::try_from(accepted.len()).unwrap_or(i32::MAX),
    )
    .execute(&mut **tx)
    .await?;
    let (mut person_ids, mut conversation_ids) = (Vec::new(), Vec::new());
    for each in accepted {
        let (person_id, conversation_id) = match sending.recipients.get(each.position) {
            Some(Recipient::PersonId(id)) => (Some(id.to_string()), None),
            Some(Recipient::ConversationId(id)) => (None, Some(id.uuid())),
            Some(Recipient::UnknownConversation(_)) | None => (None, None),
        };
        person_ids.push(person_id);
        conversation_ids.push(conversation_id);
    }
    let positions: Vec<i32> = accepted.iter().map(|each| i32::try_from(each.position).unwrap_or(i32::MAX)).collect();
    let numbers: Vec<&str> = accepted.iter().map(|each| each.number.as_str()).collect();
    sqlx::query!(
        "insert into scheduled_recipients (license_id, scheduled_id, position, person_id, conversation_id, number)
         select $1, $2, new.* from unnest($3::int[], $4::text[], $5::uuid[], $6::text[])
           as new (position, person_id, conversation_id, number)",
        license_id,
        id.uuid(),
        &positions,
        &person_ids as _,
        &conversation_ids as _,
        &numbers as _,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Due sends of different licenses, of each license the one that waits longest. `among` so many of the earliest they are
/// looked for: a license with thousands of them takes its turn like the others.
pub(crate) async fn list_due(
    pool: &PgPool,
    now: DateTime<Utc>,
    among: i64,
    limit: i64,
) -> Result<Vec<(LicenseId, Id<ScheduledSend>)>> {
    let rows = sqlx::query!(
        r#"select license_id as "license_id!", scheduled_id as "scheduled_id!"
           from (select distinct on (license_id) license_id, scheduled_id, send_at
                 from (select license_id, scheduled_id, send_at from scheduled_sends
                       where status = 'waiting' and send_at <= $1
                       order by send_at limit $2) as earliest
                 order by license_id, send_at, scheduled_id) as first_of_each
           order by send_at limit $3"#,
        now,
        among,
        limit,
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|row| Ok((stored(LicenseId::parse(row.license_id), "license id")?, Id::from_uuid(row.scheduled_id))))
        .collect()
}

/// A send whose time has come, and the places of its recipients.
#[derive(Debug)]
pub(crate) struct Due {
    pub sending: Sending,
    pub positions: Vec<i32>,
}

/// `None`: it has ended, was put off or is gone.
pub(crate) async fn find_due(
    tx: &mut Tx<'_>,
    license_id: &LicenseId,
    id: Id<ScheduledSend>,
    now: DateTime<Utc>,
) -> Result<Option<Due>> {
    let row = sqlx::query!(
        "select manager_id, manager_name, body, media_urls from scheduled_sends
         where license_id = $1 and scheduled_id = $2 and status = 'waiting' and send_at <= $3",
        license_id.as_str(),
        id.uuid(),
        now,
    )
    .fetch_optional(&mut **tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let (positions, recipients) = list_recipients(tx, license_id, id).await?.into_iter().unzip();
    let body = stored(MessageBody::parse(row.body), "text")?;
    let sending = Sending {
        license_id: license_id.clone(),
        manager_id: stored(ManagerId::parse(row.manager_id), "manager id")?,
        manager_name: stored(PersonName::parse(&row.manager_name), "name of a manager")?,
        recipients,
        text: stored(Text::parse(&body), "text")?,
        media_urls: row.media_urls,
        // It was looked at when the send was scheduled.
        last_seen: None,
    };
    Ok(Some(Due { sending, positions }))
}

/// All recipients that are kept, with their places.
async fn list_recipients(
    tx: &mut Tx<'_>,
    license_id: &LicenseId,
    id: Id<ScheduledSend>,
) -> Result<Vec<(i32, Recipient)>> {
    let rows = sqlx::query!(
        "select position, person_id, conversation_id from scheduled_recipients
         where license_id = $1 and scheduled_id = $2 order by position",
        license_id.as_str(),
        id.uuid(),
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter().map(|row| Ok((row.position, read_recipient(row.person_id, row.conversation_id)?))).collect()
}

fn read_recipient(person_id: Option<String>, conversation_id: Option<Uuid>) -> Result<Recipient> {
    match (person_id, conversation_id) {
        (Some(id), _) => Ok(Recipient::PersonId(stored(PersonId::parse(id), "person id")?)),
        (None, Some(id)) => Ok(Recipient::ConversationId(Id::from_uuid(id))),
        (None, None) => Err(StoreError::Corrupt { what: "recipient" }),
    }
}

/// What became of a scheduled send.
#[derive(Debug)]
pub(crate) struct Outcome<'a> {
    pub batch_id: Option<Id<Batch>>,
    /// Of a send to one.
    pub message_id: Option<Id<Message>>,
    /// Who got nothing, by place.
    pub rejected: &'a [(i32, Rejection)],
}

/// It is sent: once, and its text goes. True: it was waiting.
pub(crate) async fn mark_sent(
    tx: &mut Tx<'_>,
    license_id: &LicenseId,
    id: Id<ScheduledSend>,
    outcome: &Outcome<'_>,
    now: DateTime<Utc>,
) -> Result<bool> {
    let marked = sqlx::query!(
        "update scheduled_sends
         set status = 'sent', ended_at = $3, batch_id = $4, message_id = $5, rejected_count = $6, body = '',
             media_urls = '{}'
         where license_id = $1 and scheduled_id = $2 and status = 'waiting'",
        license_id.as_str(),
        id.uuid(),
        now,
        outcome.batch_id.map(Id::uuid),
        outcome.message_id.map(Id::uuid),
        i32::try_from(outcome.rejected.len()).unwrap_or(i32::MAX),
    )
    .execute(&mut **tx)
    .await?;
    if !outcome.rejected.is_empty() {
        // The whole key for each: the planner must not walk all recipients for every one of them.
        let license_ids = vec![license_id.as_str(); outcome.rejected.len()];
        let ids = vec![id.uuid(); outcome.rejected.len()];
        let positions: Vec<i32> = outcome.rejected.iter().map(|(position, _)| *position).collect();
        let codes: Vec<&str> = outcome.rejected.iter().map(|(_, each)| each.code.as_str()).collect();
        let details: Vec<&str> = outcome.rejected.iter().map(|(_, each)| each.detail.as_str()).collect();
        sqlx::query!(
            "update scheduled_recipients r set code = rejected.code, detail = rejected.detail
             from unnest($1::text[], $2::uuid[], $3::int[], $4::text[], $5::text[])
               as rejected (license_id, scheduled_id, position, code, detail)
             where r.license_id = rejected.license_id and r.scheduled_id = rejected.scheduled_id
               and r.position = rejected.position",
            &license_ids as _,
            &ids,
            &positions,
            &codes as _,
            &details as _,
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(marked.rows_affected() > 0)
}

/// It ends like one that is sent, and everybody is rejected for the same reason. Reads nothing of it: it may be unreadable.
/// True: it was waiting.
pub(crate) async fn mark_given_up(
    tx: &mut Tx<'_>,
    license_id: &LicenseId,
    id: Id<ScheduledSend>,
    (code, detail): Reason,
    now: DateTime<Utc>,
) -> Result<bool> {
    let marked = sqlx::query!(
        "with ended as (
           update scheduled_sends
           set status = 'sent', ended_at = $3, rejected_count = recipient_count, body = '', media_urls = '{}'
           where license_id = $1 and scheduled_id = $2 and status = 'waiting'
           returning license_id, scheduled_id)
         update scheduled_recipients r set code = $4, detail = $5
         from ended where r.license_id = ended.license_id and r.scheduled_id = ended.scheduled_id",
        license_id.as_str(),
        id.uuid(),
        now,
        code,
        detail,
    )
    .execute(&mut **tx)
    .await?;
    Ok(marked.rows_affected() > 0)
}

/// Where it stands. `None`: there is none. The license is locked, so it stays there.
pub(crate) async fn find_status(tx: &mut Tx<'_>, license_id: &LicenseId, id: Uuid) -> Result<Option<ScheduledStatus>> {
    let status = sqlx::query_scalar!(
        "select status from scheduled_sends where license_id = $1 and scheduled_id = $2",
        license_id.as_str(),
        id,
    )
    .fetch_optional(&mut **tx)
    .await?;
    let read = |status: String| ScheduledStatus::ALL.into_iter().find(|known| known.as_str() == status).ok_or(());
    status.map(|status| stored(read(status), "status of a scheduled send")).transpose()
}

/// Changes what is given of a send that waits. True: that made a difference.
pub(crate) async fn record_change(
    tx: &mut Tx<'_>,
    license_id: &LicenseId,
    id: Uuid,
    text: Option<&Text>,
    send_at: Option<DateTime<Utc>>,
) -> Result<bool> {
    let changed = sqlx::query!(
        "update scheduled_sends set body = coalesce($3, body), send_at = coalesce($4, send_at)
         where license_id = $1 and scheduled_id = $2 and status = 'waiting'
           and (body, send_at) is distinct from (coalesce($3, body), coalesce($4, send_at))",
        license_id.as_str(),
        id,
        text.map(|text| text.source().as_str()),
        send_at,
    )
    .execute(&mut **tx)
    .await?;
    Ok(changed.rows_affected() > 0)
}

/// It is not sent, and its text goes.
pub(crate) async fn mark_canceled(tx: &mut Tx<'_>, license_id: &LicenseId, id: Uuid, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "update scheduled_sends set status = 'canceled', ended_at = $3, body = '', media_urls = '{}'
         where license_id = $1 and scheduled_id = $2 and status = 'waiting'",
        license_id.as_str(),
        id,
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Takes a conversation that is being deleted off what waits, and off what has ended (rule 11): recipients that name it,
/// and, when it is the open one of its number, people who were to be reached at that number. What is left without
/// recipients is canceled and its text erased. The license is locked. Returns what changed.
pub(crate) async fn erase_conversation(
    tx: &mut Tx<'_>,
    license_id: &LicenseId,
    conversation_id: Id<Conversation>,
    number: PhoneNumber,
    now: DateTime<Utc>,
) -> Result<Vec<Id<ScheduledSend>>> {
    // The caller may have removed the conversation already: then it was the open one unless there is another.
    let ids = sqlx::query_scalar!(
        "with meant as (
           select license_id, scheduled_id, position from scheduled_recipients
           where license_id = $1 and conversation_id = $2
           union
           select license_id, scheduled_id, position from scheduled_recipients
           where license_id = $1 and number = $3 and person_id is not null
             and coalesce(
               (select closed_at is null from conversations where license_id = $1 and conversation_id = $2),
               not exists (select from conversations where license_id = $1 and number = $3 and closed_at is null))),
         erased as (
           delete from scheduled_recipients r using meant
           where r.license_id = meant.license_id and r.scheduled_id = meant.scheduled_id and r.position = meant.position
           returning r.license_id, r.scheduled_id, r.code),
         ending as (
           select e.license_id, e.scheduled_id, count(*)::int as recipients, count(e.code)::int as rejected,
             s.status = 'waiting' and s.recipient_count = count(*) as alone
           from erased e
           join scheduled_sends s on s.license_id = e.license_id and s.scheduled_id = e.scheduled_id
           group by e.license_id, e.scheduled_id, s.status, s.recipient_count)
         update scheduled_sends s
         set recipient_count = s.recipient_count - ending.recipients,
             rejected_count = s.rejected_count - ending.rejected,
             status = case when alone then 'canceled' else s.status end,
             ended_at = case when alone then $4 else s.ended_at end,
             body = case when alone then '' else s.body end,
             media_urls = case when alone then '{}' else s.media_urls end
         from ending
         where s.license_id = ending.license_id and s.scheduled_id = ending.scheduled_id
         returning s.scheduled_id",
        license_id.as_str(),
        conversation_id.uuid(),
        number.as_str(),
        now,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(ids.into_iter().map(Id::from_uuid).collect())
}

/// One page of those that wait, soonest first, after a place.
pub(crate) async fn list_waiting(
    db: &mut PgConnection,
    license_id: &LicenseId,
    after: Option<Moment>,
    limit: i64,
) -> Result<Vec<Moment>> {
    let moments = sqlx::query_as!(
        Moment,
        "select send_at as at, scheduled_id as id from scheduled_sends
         where license_id = $1 and status = 'waiting'
           and (send_at, scheduled_id) >
               (coalesce($2::timestamptz, '-infinity'), coalesce($3::uuid, '00000000-0000-0000-0000-000000000000'))
         order by send_at, scheduled_id limit $4",
        license_id.as_str(),
        after.map(|moment| moment.at),
        after.map(|moment| moment.id),
        limit,
    )
    .fetch_all(db)
    .await?;
    Ok(moments)
}

/// One page of those that have ended and are still kept, newest first, after a place.
pub(crate) async fn list_ended(
    db: &mut PgConnection,
    license_id: &LicenseId,
    now: DateTime<Utc>,
    after: Option<Moment>,
    limit: i64,
) -> Result<Vec<Moment>> {
    let moments = sqlx::query_as!(
        Moment,
        r#"select ended_at as "at!", scheduled_id as id from scheduled_sends
           where license_id = $1 and status <> 'waiting' and ended_at >= $2
             and (ended_at, scheduled_id) <
                 (coalesce($3::timestamptz, 'infinity'), coalesce($4::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
           order by ended_at desc, scheduled_id desc limit $5"#,
        license_id.as_str(),
        now - RETENTION,
        after.map(|moment| moment.at),
        after.map(|moment| moment.id),
        limit,
    )
    .fetch_all(db)
    .await?;
    Ok(moments)
}

/// Scheduled sends by id, with their first recipients. Those that do not exist are left out.
pub(crate) async fn load(
    db: &mut PgConnection,
    wanted: &[(LicenseId, Uuid)],
) -> Result<HashMap<Uuid, wire::ScheduledSend>> {
    load_with(db, wanted, SHOWN).await
}

/// One with all its recipients.
pub(crate) async fn find_whole(
    db: &mut PgConnection,
    license_id: &LicenseId,
    id: Uuid,
) -> Result<Option<wire::ScheduledSend>> {
    Ok(load_with(db, &[(license_id.clone(), id)], i32::MAX).await?.remove(&id))
}

async fn load_with(
    db: &mut PgConnection,
    wanted: &[(LicenseId, Uuid)],
    recipients_of_each: i32,
) -> Result<HashMap<Uuid, wire::ScheduledSend>> {
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let (license_ids, ids): (Vec<String>, Vec<Uuid>) =
        wanted.iter().map(|(license_id, id)| (license_id.to_string(), *id)).unzip();
    let rows = sqlx::query!(
        "select s.license_id, s.scheduled_id, s.manager_id, s.manager_name, s.body, s.media_urls, s.send_at, s.created_at,
                s.status, s.ended_at, s.batch_id, s.message_id, s.recipient_count, s.rejected_count
         from unnest($1::text[], $2::uuid[]) as wanted (license_id, scheduled_id)
         join scheduled_sends s on s.license_id = wanted.license_id and s.scheduled_id = wanted.scheduled_id",
        &license_ids,
        &ids,
    )
    .fetch_all(&mut *db)
    .await?;
    let mut recipients = load_recipients(&mut *db, &license_ids, &ids, recipients_of_each).await?;
    let (with_rejected, rejected_ids): (Vec<String>, Vec<Uuid>) =
        rows.iter().filter(|row| row.rejected_count > 0).map(|row| (row.license_id.clone(), row.scheduled_id)).unzip();
    let mut rejected = load_rejections(db, &with_rejected, &rejected_ids, recipients_of_each).await?;
    let scheduled = rows.into_iter().map(|row| {
        let scheduled = wire::ScheduledSend {
            license_id: row.license_id,
            scheduled_id: row.scheduled_id.to_string(),
            manager: Some(wire::Manager { id: row.manager_id, name: row.manager_name }),
            recipients: recipients.remove(&row.scheduled_id).unwrap_or_default(),
            recipient_count: row.recipient_count.unsigned_abs(),
            body: row.body,
            media_urls: row.media_urls,
            send_at: Some(to_timestamp(row.send_at)),
            created_at: Some(to_timestamp(row.created_at)),
            status: row.status,
            ended_at: row.ended_at.map(to_timestamp),
            batch_id: row.batch_id.map(|id| id.to_string()),
            message_id: row.message_id.map(|id| id.to_string()),
            rejected: rejected.remove(&row.scheduled_id).unwrap_or_default(),
            rejected_count: row.rejected_count.unsigned_abs(),
        };
        (row.scheduled_id, scheduled)
    });
    Ok(scheduled.collect())
}

async fn load_recipients(
    db: &mut PgConnection,
    license_ids: &[String],
    ids: &[Uuid],
    of_each: i32,
) -> Result<HashMap<Uuid, Vec<wire::Recipient>>> {
    let rows = sqlx::query!(
        "select r.scheduled_id, r.person_id, r.conversation_id
         from unnest($1::text[], $2::uuid[]) as wanted (license_id, scheduled_id)
         cross join lateral (
           select * from scheduled_recipients r
           where r.license_id = wanted.license_id and r.scheduled_id = wanted.scheduled_id
           order by r.position limit $3) r
         order by r.scheduled_id, r.position",
        license_ids,
        ids,
        i64::from(of_each),
    )
    .fetch_all(db)
    .await?;
    let mut recipients: HashMap<Uuid, Vec<wire::Recipient>> = HashMap::new();
    for row in rows {
        let recipient = read_recipient(row.person_id, row.conversation_id)?;
        recipients.entry(row.scheduled_id).or_default().push(wire_recipient(&recipient));
    }
    Ok(recipients)
}

async fn load_rejections(
    db: &mut PgConnection,
    license_ids: &[String],
    ids: &[Uuid],
    of_each: i32,
) -> Result<HashMap<Uuid, Vec<wire::Rejection>>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query!(
        r#"select r.scheduled_id, r.person_id, r.conversation_id, r.code as "code!", coalesce(r.detail, '') as "detail!"
           from unnest($1::text[], $2::uuid[]) as wanted (license_id, scheduled_id)
           cross join lateral (
             select * from scheduled_recipients r
             where r.license_id = wanted.license_id and r.scheduled_id = wanted.scheduled_id and r.code is not null
             order by r.position limit $3) r
           order by r.scheduled_id, r.position"#,
        license_ids,
        ids,
        i64::from(of_each),
    )
    .fetch_all(db)
    .await?;
    let mut rejected: HashMap<Uuid, Vec<wire::Rejection>> = HashMap::new();
    for row in rows {
        let recipient = wire_recipient(&read_recipient(row.person_id, row.conversation_id)?);
        let rejection =
            wire::Rejection { recipient: Some(recipient), code: row.code, detail: row.detail, unseen: Vec::new() };
        rejected.entry(row.scheduled_id).or_default().push(rejection);
    }
    Ok(rejected)
}

/// Removes those that ended too long ago, a bounded number of them, with their recipients. Returns how many went.
pub(crate) async fn sweep(pool: &PgPool, now: DateTime<Utc>, limit: i64) -> Result<u64> {
    let swept = sqlx::query!(
        "with old as (
           select license_id, scheduled_id from scheduled_sends where ended_at < $1
           order by ended_at limit $2 for update skip locked),
         recipients as (
           delete from scheduled_recipients r using old
           where r.license_id = old.license_id and r.scheduled_id = old.scheduled_id)
         delete from scheduled_sends s using old
         where s.license_id = old.license_id and s.scheduled_id = old.scheduled_id",
        now - RETENTION,
        limit,
    )
    .execute(pool)
    .await?;
    Ok(swept.rows_affected())
}
