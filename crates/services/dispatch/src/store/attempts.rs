//! The beginning of attempts, recorded before any carrier is called (rule 16).

use chrono::{DateTime, Utc};
use domain::{Id, MessageBody, PhoneNumber};
use sqlx::PgTransaction;
use url::Url;
use uuid::Uuid;

use super::turn::{Candidate, Lane};
use super::{AttemptKey, Claimed, Content};

/// What is claimed of a lane.
pub fn begin(lane: &Lane, candidate: &Candidate) -> Claimed {
    let message_id = Id::from_uuid(candidate.message_id);
    let content = read_content(candidate);
    Claimed {
        key: AttemptKey { license_id: lane.license_id.clone(), message_id, number: candidate.tries + 1 },
        from: lane.number,
        carrier: lane.carrier,
        setbacks: lane.setbacks,
        line: candidate.line,
        network: candidate.network,
        content,
    }
}

fn read_content(candidate: &Candidate) -> Option<Content> {
    Some(Content {
        to: PhoneNumber::from_e164(&candidate.to_number).ok()?,
        body: MessageBody::parse(candidate.body.as_str()).ok()?,
        media_urls: candidate.media_urls.iter().map(|url| Url::parse(url)).collect::<Result<_, _>>().ok()?,
    })
}

/// Takes them out of line.
pub async fn mark_attempting(tx: &mut PgTransaction<'_>, claimed: &[Claimed]) -> sqlx::Result<()> {
    let licenses: Vec<String> = claimed.iter().map(|each| each.key.license_id.to_string()).collect();
    let messages: Vec<Uuid> = claimed.iter().map(|each| each.key.message_id.uuid()).collect();
    sqlx::query!(
        "update deliveries set state = 'attempting', tries = deliveries.tries + 1
         from unnest($1::text[], $2::uuid[]) as claimed (license_id, message_id)
         where (deliveries.license_id, deliveries.message_id) = (claimed.license_id, claimed.message_id)",
        &licenses,
        &messages,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Writes down that they begin.
pub async fn record_attempts(tx: &mut PgTransaction<'_>, claimed: &[Claimed], now: DateTime<Utc>) -> sqlx::Result<()> {
    let licenses: Vec<String> = claimed.iter().map(|each| each.key.license_id.to_string()).collect();
    let messages: Vec<Uuid> = claimed.iter().map(|each| each.key.message_id.uuid()).collect();
    let tries: Vec<i32> = claimed.iter().map(|each| each.key.number).collect();
    let numbers: Vec<String> = claimed.iter().map(|each| each.from.as_str().to_owned()).collect();
    let carriers: Vec<String> = claimed.iter().map(|each| each.carrier.to_string()).collect();
    sqlx::query!(
        "insert into attempts (license_id, message_id, try, from_number, carrier, started_at)
         select begun.*, $6
         from unnest($1::text[], $2::uuid[], $3::integer[], $4::text[], $5::text[]) as begun",
        &licenses,
        &messages,
        &tries,
        &numbers,
        &carriers,
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
