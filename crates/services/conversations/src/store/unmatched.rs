//! Inbound messages that belong to no conversation (rule 8): kept apart, counted, never shown in one.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{LicenseId, PhoneNumber};
use proto::conversations as wire;
use sqlx::PgPool;

use super::{Result, Tx, messages};

/// How long they are kept.
const RETENTION: TimeDelta = TimeDelta::days(30);

#[derive(Debug)]
pub(crate) struct Unmatched {
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
    let new = sqlx::query!(
        "insert into unmatched_messages
           (carrier, carrier_message_id, license_id, from_number, to_number, body, media_urls, media_types, received_at)
         select carrier, carrier_message_id, license_id, from_number, to_number, body,
           array(select jsonb_array_elements(media) ->> 'url'), array(select jsonb_array_elements(media) ->> 'type'),
           received_at
         from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::jsonb[], $8::timestamptz[])
           as new (carrier, carrier_message_id, license_id, from_number, to_number, body, media, received_at)
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
