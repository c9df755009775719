//! Acquisitions: claimed under a lease, and every step recorded before it is done.
//!
//! Each write names the lease. A replica that was slower than its lease gets [`StoreError::LeaseLost`] and has
//! changed nothing.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::PhoneNumber;
use sqlx::postgres::PgQueryResult;
use uuid::Uuid;

use super::{Store, read_attempts, read_license_id, read_number, read_numbers, write_numbers};
use crate::error::StoreError;
use crate::model::acquisition::{Acquisition, Setback, Step};
use crate::model::license::Assignment;

/// The constraint that decides which of two licenses gets to buy a number.
const ONE_LICENSE_PER_NUMBER: &str = "acquisitions_one_license_per_number";

impl Store {
    /// Takes up to `limit` acquisitions that are due and that nobody works on, those that wait longest first.
    pub(crate) async fn claim_due_acquisitions(
        &self,
        limit: i64,
        lease: Duration,
        now: DateTime<Utc>,
    ) -> Result<Vec<Acquisition>, StoreError> {
        let id = Uuid::now_v7();
        let rows = sqlx::query!(
            r#"with due as (
                 select license_id from acquisitions
                 where next_attempt_at <= $1 and (leased_until is null or leased_until <= $1)
                 order by next_attempt_at
                 limit $2
                 for update skip locked)
               update acquisitions a set lease = $3, leased_until = $4
               from due join licenses l using (license_id)
               where a.license_id = due.license_id
               returning a.license_id, a.number, a.skipped, a.attempts, l.company_phone as "company_phone?""#,
            now,
            limit,
            id,
            now + lease,
        )
        .fetch_all(&self.pool)
        .await?;
        // One that cannot be read must not hold up the others: it is reported and stays where it is.
        let read = rows.into_iter().map(|row| {
            Ok(Acquisition {
                license_id: read_license_id(row.license_id)?,
                lease: id,
                company_phone: row.company_phone.as_deref().map(read_number).transpose()?,
                chosen: row.number.as_deref().map(read_number).transpose()?,
                skipped: read_numbers(&row.skipped)?,
                attempts: read_attempts(row.attempts)?,
            })
        });
        Ok(read.filter_map(report_unreadable).collect())
    }

    /// Before each call to the carrier: still ours, and long enough.
    pub(crate) async fn extend_lease(
        &self,
        acquisition: &Acquisition,
        leased_until: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let extended = sqlx::query!(
            "update acquisitions set leased_until = $3 where license_id = $1 and lease = $2",
            acquisition.license_id.as_str(),
            acquisition.lease,
            leased_until,
        )
        .execute(&self.pool)
        .await?;
        still_held(&extended)
    }

    /// Which of these numbers are some license's number, are being bought for one, or are some company's own phone.
    pub(crate) async fn list_taken(&self, numbers: &[PhoneNumber]) -> Result<Vec<PhoneNumber>, StoreError> {
        let taken = sqlx::query_scalar!(
            r#"select number as "number!" from unnest($1::text[]) as asked (number)
               where exists (select from messages_numbers m where m.number = asked.number)
                  or exists (select from acquisitions a where a.number = asked.number)
                  or exists (select from licenses l where l.company_phone = asked.number)"#,
            &write_numbers(numbers),
        )
        .fetch_all(&self.pool)
        .await?;
        read_numbers(&taken)
    }

    /// Stores the choice, before anything is bought. False when another license chose the number meanwhile.
    pub(crate) async fn mark_buying(&self, acquisition: &Acquisition, number: PhoneNumber) -> Result<bool, StoreError> {
        let marked = sqlx::query!(
            "update acquisitions set step = $3, number = $4, attempts = 0, last_error = null
             where license_id = $1 and lease = $2",
            acquisition.license_id.as_str(),
            acquisition.lease,
            Step::Buying.as_str(),
            number.as_str(),
        )
        .execute(&self.pool)
        .await;
        match marked {
            Ok(marked) => still_held(&marked).map(|()| true),
            Err(sqlx::Error::Database(error)) if error.constraint() == Some(ONE_LICENSE_PER_NUMBER) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Back to the search, without what was given up. Ends the lease.
    pub(crate) async fn mark_searching(
        &self,
        acquisition: &Acquisition,
        skipped: &[PhoneNumber],
        setback: Setback,
        next_attempt_at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let marked = sqlx::query!(
            "update acquisitions
             set step = $3, number = null, skipped = $4, attempts = 0, last_error = $5, next_attempt_at = $6,
                 lease = null, leased_until = null
             where license_id = $1 and lease = $2",
            acquisition.license_id.as_str(),
            acquisition.lease,
            Step::Searching.as_str(),
            &write_numbers(skipped),
            setback.as_str(),
            next_attempt_at,
        )
        .execute(&self.pool)
        .await?;
        still_held(&marked)
    }

    /// A try of the present step failed. Ends the lease.
    pub(crate) async fn record_setback(
        &self,
        acquisition: &Acquisition,
        setback: Setback,
        next_attempt_at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let recorded = sqlx::query!(
            "update acquisitions
             set attempts = attempts + 1, last_error = $3, next_attempt_at = $4, lease = null, leased_until = null
             where license_id = $1 and lease = $2",
            acquisition.license_id.as_str(),
            acquisition.lease,
            setback.as_str(),
            next_attempt_at,
        )
        .execute(&self.pool)
        .await?;
        still_held(&recorded)
    }

    /// The end of the saga, in one transaction: the number is assigned, the acquisition is gone, the event is written.
    pub(crate) async fn record_assignment(
        &self,
        acquisition: &Acquisition,
        assignment: &Assignment,
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        let removed = sqlx::query!(
            "delete from acquisitions where license_id = $1 and lease = $2",
            acquisition.license_id.as_str(),
            acquisition.lease,
        )
        .execute(&mut *tx)
        .await?;
        still_held(&removed)?;
        let version = i64::try_from(assignment.version).map_err(|_| StoreError::Unreadable { what: "version" })?;
        sqlx::query!(
            "insert into messages_numbers (license_id, number, carrier, carrier_number_id, assigned_at, version)
             values ($1, $2, $3, $4, $5, $6)",
            assignment.license_id.as_str(),
            assignment.number.as_str(),
            assignment.carrier.as_str(),
            assignment.carrier_number_id,
            assignment.assigned_at,
            version,
        )
        .execute(&mut *tx)
        .await?;
        bus::outbox::record(&mut tx, &[assignment.event()], assignment.assigned_at).await?;
        tx.commit().await?;
        Ok(())
    }
}

fn report_unreadable(read: Result<Acquisition, StoreError>) -> Option<Acquisition> {
    read.inspect_err(|error| {
        tracing::error!(error = error as &dyn std::error::Error, "an acquisition stands still; a person must look");
    })
    .ok()
}

fn still_held(written: &PgQueryResult) -> Result<(), StoreError> {
    if written.rows_affected() == 1 { Ok(()) } else { Err(StoreError::LeaseLost) }
}
