//! Numbers to give back: claimed under a lease, like acquisitions, and kept until the carrier says that they are gone.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{CarrierName, LicenseId, PhoneNumber};
use sqlx::PgTransaction;
use uuid::Uuid;

use super::{Store, read_attempts, read_carrier, read_license_id, report_unreadable, still_held};
use crate::error::StoreError;
use crate::model::setback::Setback;

/// A number that is given back now, as this replica holds it under a lease.
#[derive(Clone, Debug)]
pub(crate) struct Release {
    pub(crate) license_id: LicenseId,
    pub(crate) carrier: CarrierName,
    pub(crate) carrier_number_id: String,
    /// Failed tries.
    pub(crate) attempts: u32,
    lease: Uuid,
}

/// A number that nobody uses any more.
pub(super) struct Surplus<'a> {
    pub(super) license_id: &'a LicenseId,
    pub(super) number: PhoneNumber,
    pub(super) carrier: CarrierName,
    pub(super) carrier_number_id: &'a str,
}

/// From `release_at` on the number is given back.
pub(super) async fn insert_release(
    tx: &mut PgTransaction<'_>,
    surplus: &Surplus<'_>,
    release_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into releases
             (carrier, carrier_number_id, number, license_id, attempts, next_attempt_at, created_at)
         values ($1, $2, $3, $4, 0, $5, $6)",
        surplus.carrier.as_str(),
        surplus.carrier_number_id,
        surplus.number.as_str(),
        surplus.license_id.as_str(),
        release_at,
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

impl Store {
    /// Takes up to `limit` releases that are due and that nobody works on, those that wait longest first.
    pub(crate) async fn claim_due_releases(
        &self,
        limit: i64,
        lease: Duration,
        now: DateTime<Utc>,
    ) -> Result<Vec<Release>, StoreError> {
        let id = Uuid::now_v7();
        let rows = sqlx::query!(
            "with due as (
               select carrier, carrier_number_id from releases
               where next_attempt_at <= $1 and (leased_until is null or leased_until <= $1)
               order by next_attempt_at
               limit $2
               for update skip locked)
             update releases r set lease = $3, leased_until = $4
             from due
             where r.carrier = due.carrier and r.carrier_number_id = due.carrier_number_id
             returning r.license_id, r.carrier, r.carrier_number_id, r.attempts",
            now,
            limit,
            id,
            now + lease,
        )
        .fetch_all(&self.pool)
        .await?;
        let read = rows.into_iter().map(|row| {
            Ok(Release {
                license_id: read_license_id(row.license_id)?,
                carrier: read_carrier(&row.carrier)?,
                carrier_number_id: row.carrier_number_id,
                attempts: read_attempts(row.attempts)?,
                lease: id,
            })
        });
        Ok(read.filter_map(report_unreadable).collect())
    }

    /// The number is gone: it is not ours any more.
    pub(crate) async fn record_released(&self, release: &Release) -> Result<(), StoreError> {
        let removed = sqlx::query!(
            "delete from releases where carrier = $1 and carrier_number_id = $2 and lease = $3",
            release.carrier.as_str(),
            release.carrier_number_id,
            release.lease,
        )
        .execute(&self.pool)
        .await?;
        still_held(&removed)
    }

    /// A try failed. Ends the lease.
    pub(crate) async fn record_release_setback(
        &self,
        release: &Release,
        setback: Setback,
        next_attempt_at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let recorded = sqlx::query!(
            "update releases
             set attempts = attempts + 1, last_error = $4, next_attempt_at = $5, lease = null, leased_until = null
             where carrier = $1 and carrier_number_id = $2 and lease = $3",
            release.carrier.as_str(),
            release.carrier_number_id,
            release.lease,
            setback.as_str(),
            next_attempt_at,
        )
        .execute(&self.pool)
        .await?;
        still_held(&recorded)
    }
}
