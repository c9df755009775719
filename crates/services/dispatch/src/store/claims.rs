//! One turn: due lanes, what of each goes now, and the attempts recorded as begun, all in one transaction. What may not go
//! yet is held, or passed over, so that it does not stand in the way of what may.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{CarrierName, LicenseId, PhoneNumber};
use sqlx::PgTransaction;

use super::attempts::{begin, mark_attempting, record_attempts};
use super::candidates::{lock_ahead, lock_candidates, lock_other_networks, mark_networks};
use super::holds::{NewHold, mark_held};
use super::limits::{Buckets, Registration, Verdict, lock_buckets};
use super::turn::{Lane, Turn};
use super::{Claimed, Store};
use crate::error::StoreError;
use crate::model::{LimitTree, Pace, QuietHours, plan_shares};

/// What a process can take on now.
#[derive(Clone, Debug)]
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
    pub limits: Arc<LimitTree>,
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
            // A lane that another replica has just served is locked all the same: it must be free for the next turn.
            tx.rollback().await?;
            return Ok(Claim { claimed: Vec::new(), lanes: 0 });
        }
        let mut candidates = lock_candidates(&mut tx, &lanes, now).await?;
        let mut holds = Vec::new();
        let mut turns: Vec<Turn<'_>> = Vec::with_capacity(lanes.len());
        for lane in &lanes {
            let waiting = candidates.remove(lane.license_id.as_str()).unwrap_or_default();
            let mut turn = Turn::new(lane, waiting, request.pace, now);
            turn.hold_quiet(&mut holds);
            if !lane.is_limited {
                turn.take(|_| Verdict::Go, &mut holds);
            }
            turns.push(turn);
        }
        let buckets = take_limited(&mut tx, request, &mut turns, &mut holds, now).await?;
        let ahead: Vec<&Turn<'_>> = turns.iter().filter(|turn| turn.wants_look_ahead()).collect();
        if !ahead.is_empty() {
            holds.extend(lock_ahead(&mut tx, &ahead, &buckets, &request.limits, now).await?);
        }
        mark_held(&mut tx, &holds, now).await?;

        let mut claimed = Vec::new();
        let mut afterwards = Vec::with_capacity(turns.len());
        for (place, turn) in turns.iter().enumerate() {
            claimed.extend(turn.go.iter().map(|candidate| begin(turn.lane, candidate)));
            let due_at = turn.find_next(place, request.attempt_deadline);
            let license_id = turn.lane.license_id.to_string();
            afterwards.push(Afterwards { license_id, tat: turn.tat(), due_at });
        }
        if !claimed.is_empty() {
            mark_attempting(&mut tx, &claimed).await?;
            record_attempts(&mut tx, &claimed, now).await?;
        }
        mark_lanes(&mut tx, &afterwards).await?;
        buckets.record(&mut tx).await?;
        tx.commit().await?;
        for hold in &holds {
            metrics::counter!("dispatch_held_total", "reason" => hold.hold.reason.as_str()).increment(1);
        }
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

/// The turns of lanes that share limits. Where the pace of a campaign at a network stops some, those behind that go to other
/// networks have their turn. Nothing is read when no lane is limited.
async fn take_limited(
    tx: &mut PgTransaction<'_>,
    request: &ClaimRequest,
    turns: &mut [Turn<'_>],
    holds: &mut Vec<NewHold>,
    now: DateTime<Utc>,
) -> sqlx::Result<Buckets> {
    let limited = turns.iter().filter(|turn| turn.lane.is_limited);
    if limited.clone().next().is_none() {
        return Ok(Buckets::default());
    }
    let registrations: Vec<Registration> = limited.map(|turn| turn.lane.registration.clone()).collect();
    let mut buckets = lock_buckets(tx, registrations.iter(), &request.limits).await?;
    mark_networks(tx, turns).await?;
    let decide = |turns: &mut [Turn<'_>], buckets: &mut Buckets, holds: &mut Vec<NewHold>| {
        for turn in turns.iter_mut().filter(|turn| turn.lane.is_limited) {
            let of = &turn.lane.registration;
            turn.take(|each| buckets.take(of, each.network, each.cost(), &request.limits, now), holds);
        }
    };
    decide(turns, &mut buckets, holds);
    if turns.iter().any(Turn::wants_other_networks) {
        lock_other_networks(tx, turns, now).await?;
        decide(turns, &mut buckets, holds);
    }
    Ok(buckets)
}

async fn lock_due_lanes(
    tx: &mut PgTransaction<'_>,
    request: &ClaimRequest,
    now: DateTime<Utc>,
) -> Result<Vec<Lane>, StoreError> {
    let carriers: Vec<String> = request.carriers.iter().map(ToString::to_string).collect();
    let rows = sqlx::query!(
        r#"select license_id, number as "number!", carrier as "carrier!", tat, setbacks, quiet_from, quiet_until,
                  campaign, brand,
                  -- No more than are needed to see whether all of them go now.
                  (select count(*) from (
                    select from deliveries
                    where deliveries.license_id = lanes.license_id and deliveries.state = 'waiting'
                      and deliveries.follows is not null
                    limit $4::bigint + 1) as following
                  ) as "followers!",
                  -- Of the few of this lane: `exists` would be free to read those of all lanes.
                  (select max(closed_until) from limits
                   where scope = 'campaign' and name = coalesce(lanes.campaign, '.' || lanes.license_id)
                  ) as campaign_closed_until,
                  (select max(closed_until) from limits
                   where scope = 'brand' and name = coalesce(lanes.brand, '.' || lanes.license_id)
                  ) as brand_closed_until
           from lanes
           where due_at <= $1 and carrier = any($2) and license_id <> all($3)
           order by due_at limit $4
           for update skip locked"#,
        now,
        &carriers,
        &request.full_lanes(),
        i64::try_from(request.free).unwrap_or(i64::MAX - 1),
    )
    .fetch_all(&mut **tx)
    .await?;
    let are_limited = request.limits.is_on();
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
            followers: usize::try_from(row.followers).unwrap_or(usize::MAX),
            quiet: find_quiet(row.quiet_from, row.quiet_until),
            is_limited: are_limited || row.campaign_closed_until.max(row.brand_closed_until) > Some(now),
            registration: Registration::new(license_id.clone(), row.campaign, row.brand),
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

/// As it is stored.
pub fn find_quiet(from: Option<i16>, until: Option<i16>) -> Option<QuietHours> {
    QuietHours::parse(u32::try_from(from?).ok()?, u32::try_from(until?).ok()?)
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
