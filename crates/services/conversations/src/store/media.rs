//! What came with messages beside their texts: what is known of each medium. The bytes are in the object store.
//!
//! A medium is claimed for a while by one worker at a time. What a deletion leaves behind is a list of objects to be
//! removed, each not before whoever may be storing it has ended.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::{Conversation, Direction, Id, LicenseId, Media, Message};
use proto::conversations as wire;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::messages::NewMessage;
use super::{Result, Tx, stored};

/// Where the bytes of a medium are.
pub(crate) fn object_key(license_id: &LicenseId, media_id: Id<Media>) -> String {
    format!("{license_id}/{media_id}")
}

/// Writes the media of new inbound messages, to be fetched at once. Those that have none cost nothing.
pub(crate) async fn record(tx: &mut Tx<'_>, messages: &[NewMessage]) -> Result<()> {
    let media: Vec<(&NewMessage, i32, &wire::Media)> = messages
        .iter()
        .filter(|message| message.direction == Direction::Inbound)
        .flat_map(|message| (0..).zip(&message.media).map(move |(position, medium)| (message, position, medium)))
        .collect();
    if media.is_empty() {
        return Ok(());
    }
    let license_ids: Vec<String> = media.iter().map(|(message, ..)| message.license_id.to_string()).collect();
    let ids: Vec<Uuid> = media.iter().map(|_| Id::<Media>::new().uuid()).collect();
    let message_ids: Vec<Uuid> = media.iter().map(|(message, ..)| message.message_id.uuid()).collect();
    let conversation_ids: Vec<Uuid> = media.iter().map(|(message, ..)| message.conversation_id.uuid()).collect();
    let positions: Vec<i32> = media.iter().map(|(_, position, _)| *position).collect();
    let carriers: Vec<&str> =
        media.iter().map(|(message, ..)| message.carrier.as_deref().unwrap_or_default()).collect();
    let urls: Vec<&str> = media.iter().map(|(.., medium)| medium.url.as_str()).collect();
    let types: Vec<&str> = media.iter().map(|(.., medium)| medium.content_type.as_str()).collect();
    let times: Vec<DateTime<Utc>> = media.iter().map(|(message, ..)| message.created_at).collect();
    sqlx::query!(
        "insert into media (license_id, media_id, message_id, conversation_id, position, carrier, source_url,
           content_type, state, tries, next_try_at)
         select license_id, media_id, message_id, conversation_id, position, carrier, source_url, content_type,
           'pending', 0, next_try_at
         from unnest($1::text[], $2::uuid[], $3::uuid[], $4::uuid[], $5::int[], $6::text[], $7::text[], $8::text[],
             $9::timestamptz[])
           as new (license_id, media_id, message_id, conversation_id, position, carrier, source_url, content_type,
             next_try_at)",
        &license_ids,
        &ids,
        &message_ids,
        &conversation_ids,
        &positions,
        &carriers as _,
        &urls as _,
        &types as _,
        &times,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The media of messages as clients see them, in order, by message. Those of outbound messages stand in the message.
pub(crate) async fn load(
    db: &mut PgConnection,
    license_ids: &[String],
    message_ids: &[Uuid],
) -> Result<HashMap<Uuid, Vec<wire::Media>>> {
    let rows = sqlx::query!(
        "select media.message_id, media_id, content_type, state, size_bytes
         from unnest($1::text[], $2::uuid[]) as wanted (license_id, message_id)
         join media on media.license_id = wanted.license_id and media.message_id = wanted.message_id
         order by media.license_id, media.message_id, position",
        license_ids,
        message_ids,
    )
    .fetch_all(db)
    .await?;
    let mut media: HashMap<Uuid, Vec<wire::Media>> = HashMap::new();
    for row in rows {
        media.entry(row.message_id).or_default().push(wire::Media {
            url: String::new(),
            content_type: row.content_type,
            media_id: Some(row.media_id.to_string()),
            state: row.state,
            size_bytes: row.size_bytes.map(i64::unsigned_abs),
        });
    }
    Ok(media)
}

/// What is known of one medium.
#[derive(Debug)]
pub(crate) struct Known {
    pub state: String,
    pub content_type: String,
    pub size_bytes: Option<i64>,
}

pub(crate) async fn find(db: &mut PgConnection, license_id: &LicenseId, media_id: Id<Media>) -> Result<Option<Known>> {
    let found = sqlx::query_as!(
        Known,
        "select state, content_type, size_bytes from media where license_id = $1 and media_id = $2",
        license_id.as_str(),
        media_id.uuid(),
    )
    .fetch_optional(db)
    .await?;
    Ok(found)
}

/// A medium that this worker alone fetches, for a while.
#[derive(Clone)]
pub(crate) struct Claimed {
    pub license_id: LicenseId,
    pub media_id: Id<Media>,
    pub message_id: Id<Message>,
    pub conversation_id: Id<Conversation>,
    pub carrier: String,
    /// Whoever knows it can often read the medium.
    pub source_url: String,
    pub content_type: String,
    /// With this one.
    pub tries: i32,
}

impl std::fmt::Debug for Claimed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claimed").field("media_id", &self.media_id).field("tries", &self.tries).finish_non_exhaustive()
    }
}

/// Takes media whose time has come, the longest due first, until `leased_until`. Several workers get different ones.
pub(crate) async fn claim(
    pool: &PgPool,
    now: DateTime<Utc>,
    leased_until: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Claimed>> {
    let rows = sqlx::query!(
        r#"update media set tries = tries + 1, next_try_at = $2, leased_until = $2
           where (license_id, media_id) in
             (select license_id, media_id from media where state = 'pending' and next_try_at <= $1
              order by next_try_at limit $3 for update skip locked)
           returning license_id, media_id, message_id, conversation_id, carrier, source_url, content_type, tries"#,
        now,
        leased_until,
        limit,
    )
    .fetch_all(pool)
    .await?;
    let claimed = rows.into_iter().map(|row| {
        Ok(Claimed {
            license_id: stored(LicenseId::parse(row.license_id), "license id")?,
            media_id: Id::from_uuid(row.media_id),
            message_id: Id::from_uuid(row.message_id),
            conversation_id: Id::from_uuid(row.conversation_id),
            carrier: row.carrier,
            source_url: row.source_url.unwrap_or_default(),
            content_type: row.content_type,
            tries: row.tries,
        })
    });
    claimed.collect()
}

/// How the fetching of a medium has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    Stored { content_type: String, size_bytes: i64 },
    Failed,
}

/// What a mark came upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marked {
    /// It has ended now.
    Now,
    /// Another worker was first.
    Before,
    /// Its conversation was deleted meanwhile.
    Gone,
}

/// Ends a medium, for good. The license is locked, so that what is gone stays gone.
pub(crate) async fn mark_ended(tx: &mut Tx<'_>, claimed: &Claimed, end: &End) -> Result<Marked> {
    let (state, content_type, size_bytes) = match end {
        End::Stored { content_type, size_bytes } => ("stored", content_type.as_str(), Some(*size_bytes)),
        End::Failed => ("failed", claimed.content_type.as_str(), None),
    };
    let ended = sqlx::query!(
        "update media set state = $3, content_type = $4, size_bytes = $5, source_url = null, next_try_at = null,
           leased_until = null
         where license_id = $1 and media_id = $2 and state = 'pending'",
        claimed.license_id.as_str(),
        claimed.media_id.uuid(),
        state,
        content_type,
        size_bytes,
    )
    .execute(&mut **tx)
    .await?;
    if ended.rows_affected() > 0 {
        return Ok(Marked::Now);
    }
    let left = find(tx, &claimed.license_id, claimed.media_id).await?;
    Ok(if left.is_some() { Marked::Before } else { Marked::Gone })
}

/// Gives a medium back, to be tried again later.
pub(crate) async fn postpone(pool: &PgPool, claimed: &Claimed, next_try_at: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "update media set next_try_at = $4, leased_until = null
         where license_id = $1 and media_id = $2 and state = 'pending' and tries = $3",
        claimed.license_id.as_str(),
        claimed.media_id.uuid(),
        claimed.tries,
        next_try_at,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Erases what refers to a conversation that is being deleted (rule 11). The license is locked. The objects go soon
/// after; nobody reads them any more.
pub(crate) async fn erase_conversation(
    tx: &mut Tx<'_>,
    license_id: &LicenseId,
    conversation_id: Id<Conversation>,
) -> Result<()> {
    sqlx::query!(
        "with gone as (
           delete from media where license_id = $1 and conversation_id = $2
           returning license_id, media_id, leased_until)
         insert into media_erasures (object_key, not_before)
         select license_id || '/' || media_id, coalesce(leased_until, '-infinity') from gone",
        license_id.as_str(),
        conversation_id.uuid(),
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Objects that may be removed now.
pub(crate) async fn list_erasures(pool: &PgPool, now: DateTime<Utc>, limit: i64) -> Result<Vec<String>> {
    let keys = sqlx::query_scalar!(
        "select object_key from media_erasures where not_before <= $1 order by not_before limit $2",
        now,
        limit,
    )
    .fetch_all(pool)
    .await?;
    Ok(keys)
}

/// Forgets objects that are removed.
pub(crate) async fn forget_erasures(pool: &PgPool, keys: &[String]) -> Result<()> {
    sqlx::query!("delete from media_erasures where object_key = any($1)", keys).execute(pool).await?;
    Ok(())
}
