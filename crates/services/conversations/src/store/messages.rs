//! Messages: created in batches, moved on by reports, read in pages.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use domain::{Batch, Conversation, Direction, Id, LicenseId, ManagerId, Message, MessageStatus, PhoneNumber};
use proto::conversations as wire;
use proto::to_timestamp;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Result, Tx, media, stored};
use crate::model::Known;

/// A message that is about to exist.
#[derive(Debug, Clone)]
pub(crate) struct NewMessage {
    pub license_id: LicenseId,
    pub message_id: Id<Message>,
    pub conversation_id: Id<Conversation>,
    pub direction: Direction,
    pub body: String,
    pub media: Vec<wire::Media>,
    pub from: Option<PhoneNumber>,
    pub to: PhoneNumber,
    pub manager: Option<(ManagerId, String)>,
    pub batch_id: Option<Id<Batch>>,
    pub status: MessageStatus,
    pub segments: i32,
    /// Who brought an inbound message.
    pub carrier: Option<String>,
    pub carrier_message_id: Option<String>,
    pub created_at: DateTime<Utc>,
}

impl NewMessage {
    /// Goes to one person, and not with a batch.
    pub(crate) fn is_reply(&self) -> bool {
        self.direction == Direction::Outbound && self.batch_id.is_none()
    }
}

/// Writes new messages. An inbound message that exists already is left out; returns the ids that are new.
pub(crate) async fn record_new(tx: &mut Tx<'_>, messages: &[NewMessage]) -> Result<BTreeSet<Id<Message>>> {
    let license_ids: Vec<String> = messages.iter().map(|each| each.license_id.to_string()).collect();
    let ids: Vec<Uuid> = messages.iter().map(|each| each.message_id.uuid()).collect();
    let conversation_ids: Vec<Uuid> = messages.iter().map(|each| each.conversation_id.uuid()).collect();
    let directions: Vec<String> = messages.iter().map(|each| each.direction.to_string()).collect();
    let bodies: Vec<&str> = messages.iter().map(|each| each.body.as_str()).collect();
    // PostgreSQL has no arrays of unequal arrays: media travel as JSON and become arrays in the statement.
    let media: Vec<serde_json::Value> = messages.iter().map(media_of).collect();
    let from: Vec<Option<String>> =
        messages.iter().map(|each| each.from.map(|from| from.as_str().to_owned())).collect();
    let to: Vec<String> = messages.iter().map(|each| each.to.as_str().to_owned()).collect();
    let manager_ids: Vec<Option<String>> =
        messages.iter().map(|each| each.manager.as_ref().map(|(id, _)| id.to_string())).collect();
    let manager_names: Vec<Option<String>> =
        messages.iter().map(|each| each.manager.as_ref().map(|(_, name)| name.clone())).collect();
    let batch_ids: Vec<Option<Uuid>> = messages.iter().map(|each| each.batch_id.map(Id::uuid)).collect();
    let statuses: Vec<String> = messages.iter().map(|each| each.status.to_string()).collect();
    let segments: Vec<i32> = messages.iter().map(|each| each.segments).collect();
    let carrier_ids: Vec<Option<String>> = messages.iter().map(|each| each.carrier_message_id.clone()).collect();
    let times: Vec<DateTime<Utc>> = messages.iter().map(|each| each.created_at).collect();
    let carriers: Vec<Option<&str>> = messages.iter().map(|each| each.carrier.as_deref()).collect();
    let new = sqlx::query_scalar!(
        "insert into messages (license_id, message_id, conversation_id, direction, body, media_urls, media_types,
           from_number, to_number, manager_id, manager_name, batch_id, status, segments, carrier_message_id, created_at,
           carrier)
         select license_id, message_id, conversation_id, direction, body,
           array(select jsonb_array_elements(media) ->> 'url'), array(select jsonb_array_elements(media) ->> 'type'),
           from_number, to_number, manager_id, manager_name, batch_id, status, segments, carrier_message_id, created_at,
           carrier
         from unnest($1::text[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::jsonb[], $7::text[], $8::text[],
             $9::text[], $10::text[], $11::uuid[], $12::text[], $13::int[], $14::text[], $15::timestamptz[],
             $16::text[])
           as new (license_id, message_id, conversation_id, direction, body, media, from_number, to_number,
             manager_id, manager_name, batch_id, status, segments, carrier_message_id, created_at, carrier)
         on conflict (license_id, carrier_message_id) where direction = 'inbound' do nothing
         returning message_id",
        &license_ids,
        &ids,
        &conversation_ids,
        &directions,
        &bodies as _,
        &media,
        &from as _,
        &to,
        &manager_ids as _,
        &manager_names as _,
        &batch_ids as _,
        &statuses,
        &segments,
        &carrier_ids as _,
        &times,
        &carriers as _,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(new.into_iter().map(Id::from_uuid).collect())
}

/// When these texts came, by license and the carrier's id; those that are there.
pub(crate) async fn list_received_at(
    tx: &mut Tx<'_>,
    texts: &[(LicenseId, &str)],
) -> Result<HashMap<(LicenseId, String), DateTime<Utc>>> {
    let license_ids: Vec<String> = texts.iter().map(|(license_id, _)| license_id.to_string()).collect();
    let ids: Vec<&str> = texts.iter().map(|(_, id)| *id).collect();
    let rows = sqlx::query!(
        r#"select place - 1 as "place!", created_at from unnest($1::text[], $2::text[]) with ordinality
             as text (license_id, carrier_message_id, place)
           join messages using (license_id, carrier_message_id) where direction = 'inbound'"#,
        &license_ids,
        &ids as _,
    )
    .fetch_all(&mut **tx)
    .await?;
    let text = |place: i64| {
        texts.get(usize::try_from(place).ok()?).map(|(license_id, id)| (license_id.clone(), (*id).to_owned()))
    };
    Ok(rows.into_iter().filter_map(|row| Some((text(row.place)?, row.created_at))).collect())
}

/// The addresses of inbound media stand with the media themselves, in one place.
fn media_of(message: &NewMessage) -> serde_json::Value {
    let mut media = message.media.clone();
    if message.direction == Direction::Inbound {
        for each in &mut media {
            each.url.clear();
        }
    }
    media_json(&media)
}

pub(crate) fn media_json(media: &[wire::Media]) -> serde_json::Value {
    media.iter().map(|each| serde_json::json!({ "url": each.url, "type": each.content_type })).collect()
}

/// A message whose progress is followed, and where it is.
#[derive(Debug)]
pub(crate) struct Followed {
    pub license_id: LicenseId,
    pub conversation_id: Id<Conversation>,
    pub to: PhoneNumber,
    pub batch_id: Option<Id<Batch>>,
    pub known: Known,
}

/// What is known of outbound messages, which nobody else moves on until the end of the transaction.
pub(crate) async fn load_known(tx: &mut Tx<'_>, ids: &[Uuid]) -> Result<HashMap<Id<Message>, Followed>> {
    let rows = sqlx::query!(
        "select license_id, message_id, conversation_id, to_number, batch_id, status, from_number, carrier,
                carrier_message_id, segments, error_code, error_detail, sent_at, delivered_at
         from messages where message_id = any($1) and direction = 'outbound'
         order by license_id, message_id for update",
        ids,
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut followed = HashMap::with_capacity(rows.len());
    for row in rows {
        let from = row.from_number.map(|number| stored(PhoneNumber::from_e164(&number), "number")).transpose()?;
        let known = Known {
            status: stored(row.status.parse(), "status")?,
            from,
            carrier: row.carrier,
            carrier_message_id: row.carrier_message_id,
            segments: row.segments,
            error: row.error_code.zip(row.error_detail),
            sent_at: row.sent_at,
            delivered_at: row.delivered_at,
        };
        let license_id = stored(LicenseId::parse(row.license_id), "license id")?;
        let conversation_id = Id::from_uuid(row.conversation_id);
        let to = stored(PhoneNumber::from_e164(&row.to_number), "number")?;
        let batch_id = row.batch_id.map(Id::from_uuid);
        followed.insert(Id::from_uuid(row.message_id), Followed { license_id, conversation_id, to, batch_id, known });
    }
    Ok(followed)
}

/// Writes what is known now.
pub(crate) async fn record_known(tx: &mut Tx<'_>, changed: &[(Id<Message>, &Followed)]) -> Result<()> {
    let license_ids: Vec<String> = changed.iter().map(|(_, each)| each.license_id.to_string()).collect();
    let ids: Vec<Uuid> = changed.iter().map(|(id, _)| id.uuid()).collect();
    let known = || changed.iter().map(|(_, each)| &each.known);
    let statuses: Vec<String> = known().map(|each| each.status.to_string()).collect();
    let from: Vec<Option<String>> = known().map(|each| each.from.map(|from| from.as_str().to_owned())).collect();
    let carrier_ids: Vec<Option<String>> = known().map(|each| each.carrier_message_id.clone()).collect();
    let segments: Vec<i32> = known().map(|each| each.segments).collect();
    let codes: Vec<Option<String>> = known().map(|each| each.error.as_ref().map(|(code, _)| code.clone())).collect();
    let details: Vec<Option<String>> =
        known().map(|each| each.error.as_ref().map(|(_, detail)| detail.clone())).collect();
    let sent: Vec<Option<DateTime<Utc>>> = known().map(|each| each.sent_at).collect();
    let delivered: Vec<Option<DateTime<Utc>>> = known().map(|each| each.delivered_at).collect();
    let carriers: Vec<Option<&str>> = known().map(|each| each.carrier.as_deref()).collect();
    sqlx::query!(
        "update messages
         set status = new.status, from_number = new.from_number, carrier_message_id = new.carrier_message_id,
             segments = new.segments, error_code = new.error_code, error_detail = new.error_detail,
             sent_at = new.sent_at, delivered_at = new.delivered_at, carrier = new.carrier
         from unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::int[], $7::text[], $8::text[],
             $9::timestamptz[], $10::timestamptz[], $11::text[])
           as new (license_id, message_id, status, from_number, carrier_message_id, segments, error_code, error_detail,
             sent_at, delivered_at, carrier)
         where messages.license_id = new.license_id and messages.message_id = new.message_id",
        &license_ids,
        &ids,
        &statuses,
        &from as _,
        &carrier_ids as _,
        &segments,
        &codes as _,
        &details as _,
        &sent as _,
        &delivered as _,
        &carriers as _,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Notes which message took the place of this one, which is locked.
pub(crate) async fn mark_sent_again(
    tx: &mut Tx<'_>,
    license_id: &LicenseId,
    message_id: Id<Message>,
    sent_again_as: Id<Message>,
) -> Result<()> {
    sqlx::query!(
        "update messages set sent_again_as = $3 where license_id = $1 and message_id = $2",
        license_id.as_str(),
        message_id.uuid(),
        sent_again_as.uuid(),
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The ids of one page of a conversation, newest first, older than a message of it.
pub(crate) async fn list_ids(
    db: &mut PgConnection,
    license_id: &LicenseId,
    conversation_id: Uuid,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Uuid>> {
    let ids = sqlx::query_scalar!(
        "select message_id from messages
         where license_id = $1 and conversation_id = $2
           and (created_at, message_id) < (
             coalesce((select created_at from messages where license_id = $1 and message_id = $3 and conversation_id = $2),
                      case when $3::uuid is null then 'infinity'::timestamptz else '-infinity'::timestamptz end),
             coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
         order by created_at desc, message_id desc limit $4",
        license_id.as_str(),
        conversation_id,
        before,
        limit,
    )
    .fetch_all(db)
    .await?;
    Ok(ids)
}

/// The same, oldest first, newer than a message of it.
pub(crate) async fn list_ids_oldest_first(
    db: &mut PgConnection,
    license_id: &LicenseId,
    conversation_id: Uuid,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Uuid>> {
    let ids = sqlx::query_scalar!(
        "select message_id from messages
         where license_id = $1 and conversation_id = $2
           and (created_at, message_id) > (
             coalesce((select created_at from messages where license_id = $1 and message_id = $3 and conversation_id = $2),
                      case when $3::uuid is null then '-infinity'::timestamptz else 'infinity'::timestamptz end),
             coalesce($3::uuid, '00000000-0000-0000-0000-000000000000'))
         order by created_at, message_id limit $4",
        license_id.as_str(),
        conversation_id,
        after,
        limit,
    )
    .fetch_all(db)
    .await?;
    Ok(ids)
}

/// Messages that a conversation got after a feed position, the newest of them, oldest first.
pub(crate) async fn list_ids_after_seq(
    db: &mut PgConnection,
    license_id: &LicenseId,
    conversation_id: Id<Conversation>,
    seq: i64,
    limit: i64,
) -> Result<Vec<Uuid>> {
    let mut ids = sqlx::query_scalar!(
        r#"select message_id as "message_id!" from feed
           where license_id = $1 and conversation_id = $2 and kind = 'message.created' and seq > $3
           order by seq desc limit $4"#,
        license_id.as_str(),
        conversation_id.uuid(),
        seq,
        limit,
    )
    .fetch_all(db)
    .await?;
    ids.reverse();
    Ok(ids)
}

/// Messages as clients see them now, by id. Those that do not exist are left out.
pub(crate) async fn load(db: &mut PgConnection, wanted: &[(LicenseId, Uuid)]) -> Result<HashMap<Uuid, wire::Message>> {
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let (license_ids, ids): (Vec<String>, Vec<Uuid>) =
        wanted.iter().map(|(license_id, id)| (license_id.to_string(), *id)).unzip();
    let rows = sqlx::query!(
        "select m.license_id, m.message_id, m.conversation_id, m.direction, m.body, m.media_urls, m.media_types,
                m.from_number, m.to_number, m.manager_id, m.manager_name, m.batch_id, m.status, m.error_code,
                m.error_detail, m.segments, m.created_at, m.sent_at, m.delivered_at, m.carrier, m.carrier_message_id,
                m.sent_again_as
         from unnest($1::text[], $2::uuid[]) as wanted (license_id, message_id)
         join messages m on m.license_id = wanted.license_id and m.message_id = wanted.message_id",
        &license_ids,
        &ids,
    )
    .fetch_all(&mut *db)
    .await?;
    let inbound = rows.iter().filter(|row| row.direction == "inbound" && !row.media_urls.is_empty());
    let (of_licenses, with_media): (Vec<String>, Vec<Uuid>) =
        inbound.map(|row| (row.license_id.clone(), row.message_id)).unzip();
    let mut fetched =
        if with_media.is_empty() { HashMap::new() } else { media::load(db, &of_licenses, &with_media).await? };
    let messages = rows.into_iter().map(|row| {
        let named = row.media_urls.into_iter().zip(row.media_types);
        let named = named.map(|(url, content_type)| wire::Media { url, content_type, ..Default::default() });
        let media = if row.direction == "inbound" {
            fetched.remove(&row.message_id).unwrap_or_default()
        } else {
            named.collect()
        };
        let message = wire::Message {
            license_id: row.license_id,
            message_id: row.message_id.to_string(),
            conversation_id: row.conversation_id.to_string(),
            direction: row.direction,
            body: row.body,
            media,
            from: row.from_number.unwrap_or_default(),
            to: row.to_number,
            manager: row.manager_id.zip(row.manager_name).map(|(id, name)| wire::Manager { id, name }),
            status: row.status,
            error: row.error_code.zip(row.error_detail).map(|(code, detail)| wire::Error { code, detail }),
            segments: u32::try_from(row.segments).unwrap_or_default(),
            created_at: Some(to_timestamp(row.created_at)),
            sent_at: row.sent_at.map(to_timestamp),
            delivered_at: row.delivered_at.map(to_timestamp),
            batch_id: row.batch_id.map(|id| id.to_string()),
            carrier: row.carrier,
            carrier_message_id: row.carrier_message_id,
            sent_again_as: row.sent_again_as.map(|id| id.to_string()),
        };
        (row.message_id, message)
    });
    Ok(messages.collect())
}

/// A moment of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Since {
    pub license_id: LicenseId,
    pub conversation_id: Id<Conversation>,
    pub at: DateTime<Utc>,
}

/// The newest inbound texts after these moments that are short enough to be a keyword, each with the moment.
pub(crate) async fn list_short_texts(tx: &mut Tx<'_>, moments: Vec<Since>) -> Result<Vec<(Since, String)>> {
    let license_ids: Vec<String> = moments.iter().map(|since| since.license_id.to_string()).collect();
    let conversation_ids: Vec<Uuid> = moments.iter().map(|since| since.conversation_id.uuid()).collect();
    let times: Vec<DateTime<Utc>> = moments.iter().map(|since| since.at).collect();
    let rows = sqlx::query!(
        r#"select n - 1 as "place!", later.body
           from unnest($1::text[], $2::uuid[], $3::timestamptz[]) with ordinality
             as since (license_id, conversation_id, at, n)
           cross join lateral (
             select body from messages m
             where m.license_id = since.license_id and m.conversation_id = since.conversation_id
               and m.created_at > since.at and m.direction = 'inbound' and octet_length(m.body) < 100
             order by m.created_at desc limit 100) later"#,
        &license_ids,
        &conversation_ids,
        &times,
    )
    .fetch_all(&mut **tx)
    .await?;
    let moment = |place: i64| moments.get(usize::try_from(place).ok()?).cloned();
    Ok(rows.into_iter().filter_map(|row| Some((moment(row.place)?, row.body))).collect())
}
