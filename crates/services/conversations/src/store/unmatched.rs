//! Inbound messages that belong to no conversation (rule 8): kept apart, counted, never shown in one. Managers see those
//! of their license and tie senders to people.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{Id, LicenseId, PhoneNumber, Unmatched as UnmatchedOf};
use proto::conversations as wire;
use proto::to_timestamp;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{Moment, Result, Tx, messages, stored};

/// How long they are kept.
const RETENTION: TimeDelta = TimeDelta::days(30);
/// More are not counted.
const COUNTED: i64 = 1_000;

#[derive(Debug)]
pub(crate) struct Unmatched {
    /// Its id as a message, too, once its sender is tied to a person.
    pub id: Id<UnmatchedOf>,
    pub carrier: String,
    pub carrier_message_id: String,
    /// `None`: the number is no license's.
    pub license_id: Option<LicenseId>,
    pub from: PhoneNumber,
    pub to: PhoneNumber,
    pub body: String,
    pub media: Vec<wire::Media>,
    pub received_at: DateTime<Utc>,
}

/// Writes messages, with those that exist already left out. Returns the new ones: carrier and the carrier's id.
pub(crate) async fn record(tx: &mut Tx<'_>, unmatched: &[Unmatched]) -> Result<BTreeSet<(String, String)>> {
    if unmatched.is_empty() {
        return Ok(BTreeSet::new());
    }
    let carriers: Vec<&str> = unmatched.iter().map(|each| each.carrier.as_str()).collect();
    let ids: Vec<&str> = unmatched.iter().map(|each| each.carrier_message_id.as_str()).collect();
    let license_ids: Vec<Option<String>> =
        unmatched.iter().map(|each| each.license_id.as_ref().map(ToString::to_string)).collect();
    let from: Vec<String> = unmatched.iter().map(|each| each.from.as_str().to_owned()).collect();
    let to: Vec<String> = unmatched.iter().map(|each| each.to.as_str().to_owned()).collect();
    let bodies: Vec<&str> = unmatched.iter().map(|each| each.body.as_str()).collect();
    let media: Vec<serde_json::Value> = unmatched.iter().map(|each| messages::media_json(&each.media)).collect();
    let times: Vec<DateTime<Utc>> = unmatched.iter().map(|each| each.received_at).collect();
    let unmatched_ids: Vec<Uuid> = unmatched.iter().map(|each| each.id.uuid()).collect();
    let new = sqlx::query!(
        "insert into unmatched_messages
           (carrier, carrier_message_id, license_id, from_number, to_number, body, media_urls, media_types, received_at,
            unmatched_id)
         select carrier, carrier_message_id, license_id, from_number, to_number, body,
           array(select jsonb_array_elements(media) ->> 'url'), array(select jsonb_array_elements(media) ->> 'type'),
           received_at, unmatched_id
         from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::jsonb[], $8::timestamptz[],
             $9::uuid[])
           as new (carrier, carrier_message_id, license_id, from_number, to_number, body, media, received_at,
             unmatched_id)
         on conflict do nothing
         returning carrier, carrier_message_id",
        &carriers as _,
        &ids as _,
        &license_ids as _,
        &from,
        &to,
        &bodies as _,
        &media,
        &times,
        &unmatched_ids,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(new.into_iter().map(|row| (row.carrier, row.carrier_message_id)).collect())
}

/// Removes what is older than the retention, a bounded number of them. Returns how many went.
pub(crate) async fn sweep(pool: &PgPool, now: DateTime<Utc>, limit: i64) -> Result<u64> {
    let swept = sqlx::query!(
        "delete from unmatched_messages where (carrier, carrier_message_id) in
           (select carrier, carrier_message_id from unmatched_messages where received_at < $1 limit $2)",
        now - RETENTION,
        limit,
    )
    .execute(pool)
    .await?;
    Ok(swept.rows_affected())
}

/// How many messages are kept apart for each of these licenses, at most 1,000.
pub(crate) async fn count(db: &mut PgConnection, license_ids: &[LicenseId]) -> Result<HashMap<String, u32>> {
    if license_ids.is_empty() {
        return Ok(HashMap::new());
    }
    let distinct: BTreeSet<&LicenseId> = license_ids.iter().collect();
    let license_ids: Vec<String> = distinct.into_iter().map(ToString::to_string).collect();
    let rows = sqlx::query!(
        // The order leads to an index that can stop, however much is kept.
        r#"select wanted.license_id as "license_id!", (
             select count(*) from (
               select from unmatched_messages kept where kept.license_id = wanted.license_id
               order by received_at desc, unmatched_id desc limit $2) as newest) as "messages!"
           from unnest($1::text[]) as wanted (license_id)"#,
        &license_ids,
        COUNTED,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.license_id, u32::try_from(row.messages).unwrap_or(u32::MAX))).collect())
}

/// One page of what is kept apart for a license, newest first, after a place.
pub(crate) async fn list(
    db: &mut PgConnection,
    license_id: &LicenseId,
    after: Option<Moment>,
    limit: i64,
) -> Result<Vec<(Moment, wire::UnmatchedMessage)>> {
    let rows = sqlx::query!(
        "select unmatched_id, from_number, to_number, body, media_types, received_at from unmatched_messages
         where license_id = $1
           and (received_at, unmatched_id) <
               (coalesce($2::timestamptz, 'infinity'), coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
         order by received_at desc, unmatched_id desc limit $4",
        license_id.as_str(),
        after.map(|moment| moment.at),
        after.map(|moment| moment.id),
        limit,
    )
    .fetch_all(db)
    .await?;
    let messages = rows.into_iter().map(|row| {
        // Nothing is fetched for a stranger: it is only said what there is.
        let media = row.media_types.into_iter();
        let media = media.map(|content_type| wire::Media { content_type, ..Default::default() });
        let message = wire::UnmatchedMessage {
            license_id: license_id.to_string(),
            unmatched_id: row.unmatched_id.to_string(),
            from: row.from_number,
            to: row.to_number,
            body: row.body,
            media: media.collect(),
            received_at: Some(to_timestamp(row.received_at)),
        };
        (Moment { at: row.received_at, id: row.unmatched_id }, message)
    });
    Ok(messages.collect())
}

/// Who sent a message that is kept apart for the license.
pub(crate) async fn find_sender(
    tx: &mut Tx<'_>,
    license_id: &LicenseId,
    id: Id<UnmatchedOf>,
) -> Result<Option<PhoneNumber>> {
    let number = sqlx::query_scalar!(
        "select from_number from unmatched_messages where license_id = $1 and unmatched_id = $2",
        license_id.as_str(),
        id.uuid(),
    )
    .fetch_optional(&mut **tx)
    .await?;
    number.map(|number| stored(PhoneNumber::from_e164(&number), "number")).transpose()
}

/// Takes everything out that is kept of a sender, oldest first. The license is locked.
pub(crate) async fn take(tx: &mut Tx<'_>, license_id: &LicenseId, number: PhoneNumber) -> Result<Vec<Unmatched>> {
    let rows = sqlx::query!(
        "delete from unmatched_messages where license_id = $1 and from_number = $2
         returning unmatched_id, carrier, carrier_message_id, to_number, body, media_urls, media_types, received_at",
        license_id.as_str(),
        number.as_str(),
    )
    .fetch_all(&mut **tx)
    .await?;
    let taken = rows.into_iter().map(|row| {
        let media = row.media_urls.into_iter().zip(row.media_types);
        Ok(Unmatched {
            id: Id::from_uuid(row.unmatched_id),
            carrier: row.carrier,
            carrier_message_id: row.carrier_message_id,
            license_id: Some(license_id.clone()),
            from: number,
            to: stored(PhoneNumber::from_e164(&row.to_number), "number")?,
            body: row.body,
            media: media.map(|(url, content_type)| wire::Media { url, content_type, ..Default::default() }).collect(),
            received_at: row.received_at,
        })
    });
    let mut taken = taken.collect::<Result<Vec<_>>>()?;
    taken.sort_by_key(|each| (each.received_at, each.id));
    Ok(taken)
}

/// Removes everything that is kept of a sender. The license is locked. True: there was something.
pub(crate) async fn remove(tx: &mut Tx<'_>, license_id: &LicenseId, number: PhoneNumber) -> Result<bool> {
    let removed = sqlx::query!(
        "delete from unmatched_messages where license_id = $1 and from_number = $2",
        license_id.as_str(),
        number.as_str(),
    )
    .execute(&mut **tx)
    .await?;
    Ok(removed.rows_affected() > 0)
}
