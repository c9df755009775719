//! Messages that are held: out of line until a time, then back in their old place.
//!
//! Like a turn, each change here has the lane locked before it looks at deliveries.

use chrono::{DateTime, Utc};
use sqlx::PgTransaction;
use uuid::Uuid;

use super::Store;
use crate::error::StoreError;
use crate::model::Hold;

/// Deliveries of one step.
const STEP: i64 = 500;

/// A waiting delivery that is to be held. Its lane and itself are locked.
#[derive(Clone, Debug)]
pub struct NewHold {
    pub license_id: String,
    pub message_id: Uuid,
    pub hold: Hold,
}

/// Takes them out of line.
pub async fn mark_held(tx: &mut PgTransaction<'_>, holds: &[NewHold], now: DateTime<Utc>) -> sqlx::Result<()> {
    if holds.is_empty() {
        return Ok(());
    }
    let licenses: Vec<&str> = holds.iter().map(|each| each.license_id.as_str()).collect();
    let messages: Vec<Uuid> = holds.iter().map(|each| each.message_id).collect();
    let untils: Vec<DateTime<Utc>> = holds.iter().map(|each| each.hold.until).collect();
    let reasons: Vec<&str> = holds.iter().map(|each| each.hold.reason.as_str()).collect();
    let peaceful: Vec<bool> = holds.iter().map(|each| each.hold.reason.is_peaceful()).collect();
    sqlx::query!(
        "update deliveries set
           state = 'held', held_until = hold.until, held_reason = hold.reason,
           queued_at = case when hold.peaceful then deliveries.queued_at + (hold.until - $6) else deliveries.queued_at end
         from unnest($1::text[], $2::uuid[], $3::timestamptz[], $4::text[], $5::boolean[])
           as hold (license_id, message_id, until, reason, peaceful)
         where (deliveries.license_id, deliveries.message_id) = (hold.license_id, hold.message_id)
           and deliveries.state = 'waiting'",
        licenses.as_slice() as _,
        &messages,
        &untils,
        reasons.as_slice() as _,
        &peaceful,
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Everything that these lanes hold is looked at again now: what held it may have changed. The lanes are locked.
pub async fn release_all(tx: &mut PgTransaction<'_>, licenses: &[String], now: DateTime<Utc>) -> sqlx::Result<()> {
    let released = sqlx::query!(
        "with found as materialized (
           select deliveries.license_id, deliveries.message_id
           from unnest($1::text[]) as lane (license_id)
           join deliveries on deliveries.license_id = lane.license_id and deliveries.state = 'held'
           order by deliveries.message_id for update of deliveries
         )
         update deliveries set
           state = 'waiting', held_until = null, held_reason = null,
           queued_at = case when deliveries.held_reason in ('quiet_hours', 'daily_limit')
                         then deliveries.queued_at - greatest(deliveries.held_until - $2::timestamptz, interval '0')
                         else deliveries.queued_at end
         from found
         where (deliveries.license_id, deliveries.message_id) = (found.license_id, found.message_id)
           and deliveries.state = 'held'",
        licenses,
        now,
    )
    .execute(&mut **tx)
    .await?;
    if released.rows_affected() > 0 {
        wake_lanes(tx, licenses, now).await?;
    }
    Ok(())
}

/// What is in line again must find its lane due. One that is due already, or pauses, stays as it is.
async fn wake_lanes(tx: &mut PgTransaction<'_>, licenses: &[String], now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!(
        "update lanes set due_at = greatest($2, tat, paused_until)
         where license_id = any($1) and number is not null and due_at is null",
        licenses,
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

impl Store {
    /// Puts back in line what was held until now, as far as no other replica has its lane in hand. Returns how many
    /// there were.
    pub async fn release_due(&self, now: DateTime<Utc>) -> Result<u64, StoreError> {
        let due = sqlx::query!(
            "select license_id, message_id from deliveries
             where state = 'held' and held_until <= $1
             order by held_until limit $2",
            now,
            STEP,
        )
        .fetch_all(&self.pool)
        .await?;
        if due.is_empty() {
            return Ok(0);
        }
        let (licenses, messages): (Vec<String>, Vec<Uuid>) =
            due.into_iter().map(|row| (row.license_id, row.message_id)).unzip();
        let mut tx = self.pool.begin().await?;
        let lanes = sqlx::query_scalar!(
            "select license_id from lanes where license_id = any($1) order by license_id for update skip locked",
            &licenses,
        )
        .fetch_all(&mut *tx)
        .await?;
        let released = sqlx::query!(
            "with found as materialized (
               select deliveries.license_id, deliveries.message_id
               from unnest($2::text[], $3::uuid[]) as due (license_id, message_id)
               join deliveries using (license_id, message_id)
               where deliveries.state = 'held' and deliveries.held_until <= $1 and deliveries.license_id = any($4)
               order by deliveries.message_id for update of deliveries skip locked
             )
             update deliveries set state = 'waiting', held_until = null, held_reason = null
             from found
             where (deliveries.license_id, deliveries.message_id) = (found.license_id, found.message_id)
               and deliveries.state = 'held'",
            now,
            &licenses,
            &messages,
            &lanes,
        )
        .execute(&mut *tx)
        .await?;
        wake_lanes(&mut tx, &lanes, now).await?;
        tx.commit().await?;
        Ok(released.rows_affected())
    }
}
