//! One turn: due lanes, what of each goes now, and the attempts recorded as begun, all in one transaction.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{CarrierName, Id, LicenseId, MessageBody, PhoneNumber};
use sqlx::PgTransaction;
use url::Url;
use uuid::Uuid;

use super::{AttemptKey, Claimed, Content, Store};
use crate::error::StoreError;
use crate::model::{Line, Pace, plan_shares};

/// What a process can take on now.
#[derive(Debug)]
pub struct ClaimRequest {
    /// The most deliveries over all lanes.
    pub free: usize,
    /// The most of one lane.
    pub most_per_lane: usize,
    /// What lanes have under way in this process already. A lane that is full is left to other replicas.
    pub under_way: HashMap<LicenseId, usize>,
    /// Carriers that this process can call.
    pub carriers: Vec<CarrierName>,
    pub pace: Pace,
    /// A lane that tries one message after a pause is looked at again after this time, should the answer be lost.
    pub attempt_deadline: Duration,
}

/// What a turn brought.
#[derive(Debug)]
pub struct Claim {
    /// Recorded as begun.
    pub claimed: Vec<Claimed>,
    /// Lanes that had their turn, also those that had nothing to send.
    pub lanes: usize,
}

struct Lane {
    license_id: LicenseId,
    number: PhoneNumber,
    carrier: CarrierName,
    tat: Option<DateTime<Utc>>,
    setbacks: u32,
    most: usize,
}

struct Candidate {
    message_id: Uuid,
    to_number: String,
    body: String,
    media_urls: Vec<String>,
    segments: u32,
    tries: i32,
    line: Option<Line>,
    order: (i16, i64),
}

impl Candidate {
    /// What it takes of the pace. What will not be sent takes nothing.
    fn cost(&self) -> u32 {
        if self.line == Some(Line::CannotReceive) { 0 } else { self.segments }
    }
}

/// What is to be written about a lane.
struct Afterwards {
    license_id: String,
    tat: Option<DateTime<Utc>>,
    due_at: Option<DateTime<Utc>>,
}

impl Store {
    /// Takes the lanes that are due longest and of each what goes now (rule 18).
    ///
    /// What is returned is recorded as begun and committed: it will never be claimed again (rule 16).
    pub async fn claim(&self, request: &ClaimRequest, now: DateTime<Utc>) -> Result<Claim, StoreError> {
        let mut tx = self.pool.begin().await?;
        let lanes = lock_due_lanes(&mut tx, request, now).await?;
        if lanes.is_empty() {
            return Ok(Claim { claimed: Vec::new(), lanes: 0 });
        }
        let mut candidates = lock_candidates(&mut tx, &lanes, now).await?;
        let mut claimed = Vec::new();
        let mut afterwards = Vec::with_capacity(lanes.len());
        for lane in &lanes {
            let mut waiting = candidates.remove(lane.license_id.as_str()).unwrap_or_default();
            waiting.sort_unstable_by_key(|candidate| candidate.order);
            let segments: Vec<u32> = waiting.iter().take(lane.most).map(Candidate::cost).collect();
            let turn = request.pace.plan_turn(lane.tat, now, &segments);
            let due_at = if waiting.len() <= turn.take {
                None
            } else if lane.setbacks > 0 && turn.take > 0 {
                Some(now + request.attempt_deadline)
            } else if request.pace == Pace::OFF {
                Some(now)
            } else {
                turn.tat.or(Some(now))
            };
            afterwards.push(Afterwards { license_id: lane.license_id.to_string(), tat: turn.tat, due_at });
            claimed.extend(waiting.iter().take(turn.take).map(|candidate| begin(lane, candidate)));
        }
        if !claimed.is_empty() {
            mark_attempting(&mut tx, &claimed).await?;
            record_attempts(&mut tx, &claimed, now).await?;
        }
        mark_lanes(&mut tx, &afterwards).await?;
        tx.commit().await?;
        Ok(Claim { claimed, lanes: lanes.len() })
    }

    /// When the next lane is due that this process could serve.
    pub async fn find_next_due(&self, request: &ClaimRequest) -> Result<Option<DateTime<Utc>>, StoreError> {
        let carriers: Vec<String> = request.carriers.iter().map(ToString::to_string).collect();
        let due = sqlx::query_scalar!(
            "select due_at from lanes
             where due_at is not null and carrier = any($1) and license_id <> all($2)
             order by due_at limit 1",
            &carriers,
            &request.full_lanes(),
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(due.flatten())
    }
}

impl ClaimRequest {
    fn full_lanes(&self) -> Vec<String> {
        let full = self.under_way.iter().filter(|(_, count)| **count >= self.most_per_lane);
        full.map(|(license_id, _)| license_id.to_string()).collect()
    }

    fn room(&self, license_id: &LicenseId) -> usize {
        self.most_per_lane.saturating_sub(self.under_way.get(license_id).copied().unwrap_or(0))
    }
}

async fn lock_due_lanes(
    tx: &mut PgTransaction<'_>,
    request: &ClaimRequest,
    now: DateTime<Utc>,
) -> Result<Vec<Lane>, StoreError> {
    let carriers: Vec<String> = request.carriers.iter().map(ToString::to_string).collect();
    let rows = sqlx::query!(
        r#"select license_id, number as "number!", carrier as "carrier!", tat, setbacks
           from lanes
           where due_at <= $1 and carrier = any($2) and license_id <> all($3)
           order by due_at limit $4
           for update skip locked"#,
        now,
        &carriers,
        &request.full_lanes(),
        i64::try_from(request.free).unwrap_or(i64::MAX),
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut lanes = Vec::with_capacity(rows.len());
    for row in rows {
        let license_id = LicenseId::parse(row.license_id).map_err(|_| StoreError::Corrupt { what: "license" })?;
        let setbacks = u32::try_from(row.setbacks).unwrap_or(0);
        let probe = if setbacks > 0 { 1 } else { usize::MAX };
        lanes.push(Lane {
            number: PhoneNumber::from_e164(&row.number).map_err(|_| StoreError::Corrupt { what: "number" })?,
            carrier: row.carrier.parse().map_err(|_| StoreError::Corrupt { what: "carrier" })?,
            tat: row.tat,
            setbacks,
            most: request.room(&license_id).min(request.pace.most_now(row.tat, now)).min(probe),
            license_id,
        });
    }
    let wanted: Vec<usize> = lanes.iter().map(|lane| lane.most).collect();
    for (lane, share) in lanes.iter_mut().zip(plan_shares(request.free, &wanted)) {
        lane.most = share;
    }
    Ok(lanes)
}

/// What waits in these lanes, in order: of each lane as much as it may take, and one more that tells whether
/// there is more. By license. What is known of their lines comes with them: one look into an index for each.
async fn lock_candidates(
    tx: &mut PgTransaction<'_>,
    lanes: &[Lane],
    now: DateTime<Utc>,
) -> Result<HashMap<String, Vec<Candidate>>, StoreError> {
    let licenses: Vec<String> = lanes.iter().map(|lane| lane.license_id.to_string()).collect();
    let most: Vec<i64> = lanes.iter().map(|lane| i64::try_from(lane.most).unwrap_or(i64::MAX - 1) + 1).collect();
    let rows = sqlx::query!(
        r#"select waiting.license_id, waiting.message_id, waiting.to_number, waiting.body as "body!",
                  waiting.media_urls, waiting.segments, waiting.tries, waiting.priority, waiting.position,
                  (select lines.cannot_receive_sms from lines
                   where lines.number = waiting.to_number and lines.known_until > $3) as cannot_receive_sms
           from unnest($1::text[], $2::bigint[]) as lane (license_id, most)
           cross join lateral (
             select * from deliveries
             where deliveries.license_id = lane.license_id and deliveries.state = 'waiting'
             order by deliveries.priority, deliveries.position
             limit lane.most
             for update
           ) as waiting"#,
        &licenses,
        &most,
        now,
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut by_license: HashMap<String, Vec<Candidate>> = HashMap::new();
    for row in rows {
        by_license.entry(row.license_id).or_default().push(Candidate {
            message_id: row.message_id,
            to_number: row.to_number,
            body: row.body,
            media_urls: row.media_urls,
            segments: u32::try_from(row.segments).unwrap_or(1),
            tries: row.tries,
            line: row.cannot_receive_sms.map(Line::from_stored),
            order: (row.priority, row.position),
        });
    }
    Ok(by_license)
}

fn begin(lane: &Lane, candidate: &Candidate) -> Claimed {
    let message_id = Id::from_uuid(candidate.message_id);
    let content = read_content(candidate);
    Claimed {
        key: AttemptKey { license_id: lane.license_id.clone(), message_id, number: candidate.tries + 1 },
        from: lane.number,
        carrier: lane.carrier,
        setbacks: lane.setbacks,
        line: candidate.line,
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

async fn mark_attempting(tx: &mut PgTransaction<'_>, claimed: &[Claimed]) -> sqlx::Result<()> {
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

async fn record_attempts(tx: &mut PgTransaction<'_>, claimed: &[Claimed], now: DateTime<Utc>) -> sqlx::Result<()> {
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

async fn mark_lanes(tx: &mut PgTransaction<'_>, afterwards: &[Afterwards]) -> sqlx::Result<()> {
    let licenses: Vec<String> = afterwards.iter().map(|lane| lane.license_id.clone()).collect();
    let tats: Vec<Option<DateTime<Utc>>> = afterwards.iter().map(|lane| lane.tat).collect();
    let dues: Vec<Option<DateTime<Utc>>> = afterwards.iter().map(|lane| lane.due_at).collect();
    sqlx::query!(
        "update lanes set tat = after.tat, due_at = after.due_at
         from unnest($1::text[], $2::timestamptz[], $3::timestamptz[]) as after (license_id, tat, due_at)
         where lanes.license_id = after.license_id",
        &licenses,
        tats.as_slice() as _,
        dues.as_slice() as _,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
