//! Acquisitions: claimed under a lease, and every step recorded before it is done.
//!
//! Each write names the lease. A replica that was slower than its lease gets [`StoreError::LeaseLost`] and has
//! changed nothing.

use std::time::Duration;

use carriers::OwnedNumber;
use chrono::{DateTime, Utc};
use domain::{Id, PhoneNumber};
use sqlx::PgTransaction;
use uuid::Uuid;

use super::releases::{Surplus, insert_release};
use super::routes::mark_stale;
use super::{
    Store, is_taken, lock_number, read_attempts, read_carrier, read_license_id, read_number, read_numbers,
    read_setback, read_version, record_purchase, report_unreadable, still_held, write_numbers,
};
use crate::error::StoreError;
use crate::model::acquisition::{Acquisition, Purpose, Step};
use crate::model::license::Assignment;
use crate::model::setback::Setback;

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
               returning a.license_id, a.purpose, a.carrier, a.candidate_id, a.give_up_at, a.number, a.in_doubt,
                         a.skipped, a.attempts, a.last_error, l.company_phone as "company_phone?""#,
            now,
            limit,
            id,
            now + lease,
        )
        .fetch_all(&self.pool)
        .await?;
        let read = rows.into_iter().map(|row| {
            Ok(Acquisition {
                license_id: read_license_id(row.license_id)?,
                purpose: read_purpose(&row.purpose, row.candidate_id, row.give_up_at)?,
                carrier: read_carrier(&row.carrier)?,
                lease: id,
                company_phone: row.company_phone.as_deref().map(read_number).transpose()?,
                chosen: row.number.as_deref().map(read_number).transpose()?,
                in_doubt: row.in_doubt,
                skipped: read_numbers(&row.skipped)?,
                attempts: read_attempts(row.attempts)?,
                last_error: row.last_error.as_deref().map(read_setback).transpose()?,
            })
        });
        Ok(read.filter_map(report_unreadable).collect())
    }

    /// Before each call to the carrier: still ours, and long enough. Also records whether a purchase is in doubt.
    pub(crate) async fn extend_lease(
        &self,
        acquisition: &Acquisition,
        leased_until: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let extended = sqlx::query!(
            "update acquisitions set leased_until = $3, in_doubt = $4 where license_id = $1 and lease = $2",
            acquisition.license_id.as_str(),
            acquisition.lease,
            leased_until,
            acquisition.in_doubt,
        )
        .execute(&self.pool)
        .await?;
        still_held(&extended)
    }

    /// Which of these numbers have a use already: some license's number, being bought, not yet given back, offered to
    /// somebody, or some company's own phone.
    pub(crate) async fn list_taken(
        &self,
        numbers: &[PhoneNumber],
        now: DateTime<Utc>,
    ) -> Result<Vec<PhoneNumber>, StoreError> {
        let taken = sqlx::query_scalar!(
            r#"select number as "number!" from unnest($1::text[]) as asked (number)
               where exists (select from messages_numbers m where m.number = asked.number)
                  or exists (select from acquisitions a where a.number = asked.number)
                  or exists (select from releases r where r.number = asked.number)
                  or exists (select from licenses l where l.company_phone = asked.number)
                  or exists (select from candidates c where c.number = asked.number and c.expires_at > $2)"#,
            &write_numbers(numbers),
            now,
        )
        .fetch_all(&self.pool)
        .await?;
        read_numbers(&taken)
    }

    /// Stores the choice, before anything is bought. False when the number got another use meanwhile.
    pub(crate) async fn mark_buying(
        &self,
        acquisition: &Acquisition,
        number: PhoneNumber,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin().await?;
        let held = sqlx::query!(
            "select license_id from acquisitions where license_id = $1 and lease = $2 for update",
            acquisition.license_id.as_str(),
            acquisition.lease,
        )
        .fetch_optional(&mut *tx)
        .await?;
        held.ok_or(StoreError::LeaseLost)?;
        lock_number(&mut tx, number).await?;
        if is_taken(&mut tx, number).await? {
            return Ok(false);
        }
        // The carrier too: the license's may have been changed while this one was searched.
        sqlx::query!(
            "update acquisitions
             set step = $2, number = $3, carrier = $4, in_doubt = false, attempts = 0, last_error = null
             where license_id = $1",
            acquisition.license_id.as_str(),
            Step::Buying.as_str(),
            number.as_str(),
            acquisition.carrier.as_str(),
        )
        .execute(&mut *tx)
        .await?;
        record_purchase(&mut tx, &acquisition.license_id, acquisition.carrier, number, now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Back to the search, without what was given up, and where the license says now. Ends the lease.
    pub(crate) async fn mark_searching(
        &self,
        acquisition: &Acquisition,
        skipped: &[PhoneNumber],
        setback: Setback,
        next_attempt_at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let marked = sqlx::query!(
            "update acquisitions
             set step = $3, carrier = (select l.carrier from licenses l where l.license_id = acquisitions.license_id),
                 number = null, in_doubt = false, skipped = $4, attempts = 0, last_error = $5,
                 next_attempt_at = $6, lease = null, leased_until = null
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
             set attempts = attempts + 1, last_error = $3, next_attempt_at = $4, in_doubt = $5,
                 lease = null, leased_until = null
             where license_id = $1 and lease = $2",
            acquisition.license_id.as_str(),
            acquisition.lease,
            setback.as_str(),
            next_attempt_at,
            acquisition.in_doubt,
        )
        .execute(&self.pool)
        .await?;
        still_held(&recorded)
    }

    /// The cut-over, in one transaction: the number is assigned, the acquisition is gone, the event is written, the
    /// route is stale, and the number before it is given back at `release_at`.
    pub(crate) async fn record_assignment(
        &self,
        acquisition: &Acquisition,
        assignment: &Assignment,
        release_at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let (license_id, now) = (&assignment.license_id, assignment.assigned_at);
        let mut tx = self.pool.begin().await?;
        // The first assignment does not count as a change (rule 4).
        sqlx::query!(
            "update licenses
             set version = version + 1, updated_at = $2,
                 last_changed_at = case when $3 then $2 else last_changed_at end
             where license_id = $1",
            license_id.as_str(),
            now,
            assignment.candidate_id.is_some(),
        )
        .execute(&mut *tx)
        .await?;
        remove_acquisition(&mut tx, acquisition).await?;
        let version = replace_number(&mut tx, assignment, release_at).await?;
        mark_stale(&mut tx, license_id, now).await?;
        bus::outbox::record(&mut tx, &[assignment.event(version)], now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The end of a replacement that came to nothing, in one transaction: the reason is kept, the acquisition is gone,
    /// and what was bought and is of no use is given back.
    pub(crate) async fn record_end(
        &self,
        acquisition: &Acquisition,
        setback: Setback,
        surplus: Option<&OwnedNumber>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let license_id = &acquisition.license_id;
        let mut tx = self.pool.begin().await?;
        sqlx::query!(
            "update licenses set change_error = $2, change_error_at = $3 where license_id = $1",
            license_id.as_str(),
            setback.as_str(),
            now,
        )
        .execute(&mut *tx)
        .await?;
        remove_acquisition(&mut tx, acquisition).await?;
        if let Some(owned) = surplus {
            let surplus = Surplus {
                license_id,
                number: owned.number,
                carrier: acquisition.carrier,
                carrier_number_id: &owned.carrier_number_id,
            };
            insert_release(&mut tx, &surplus, now, now).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

async fn remove_acquisition(tx: &mut PgTransaction<'_>, acquisition: &Acquisition) -> Result<(), StoreError> {
    let removed = sqlx::query!(
        "delete from acquisitions where license_id = $1 and lease = $2",
        acquisition.license_id.as_str(),
        acquisition.lease,
    )
    .execute(&mut **tx)
    .await?;
    still_held(&removed)
}

/// The version of the assignment, which counts from 1.
async fn replace_number(
    tx: &mut PgTransaction<'_>,
    assignment: &Assignment,
    release_at: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let license_id = &assignment.license_id;
    let old = sqlx::query!(
        "delete from messages_numbers where license_id = $1
         returning number, carrier, carrier_number_id, version",
        license_id.as_str(),
    )
    .fetch_optional(&mut **tx)
    .await?;
    let mut version = 1;
    if let Some(old) = old {
        version = old.version + 1;
        let surplus = Surplus {
            license_id,
            number: read_number(&old.number)?,
            carrier: read_carrier(&old.carrier)?,
            carrier_number_id: &old.carrier_number_id,
        };
        insert_release(tx, &surplus, release_at, assignment.assigned_at).await?;
    }
    sqlx::query!(
        "insert into messages_numbers
             (license_id, number, carrier, carrier_number_id, candidate_id, assigned_at, version)
         values ($1, $2, $3, $4, $5, $6, $7)",
        license_id.as_str(),
        assignment.number.as_str(),
        assignment.carrier.as_str(),
        assignment.carrier_number_id,
        assignment.candidate_id.map(Id::uuid),
        assignment.assigned_at,
        version,
    )
    .execute(&mut **tx)
    .await?;
    read_version(version)
}

fn read_purpose(
    purpose: &str,
    candidate_id: Option<Uuid>,
    give_up_at: Option<DateTime<Utc>>,
) -> Result<Purpose, StoreError> {
    let read = match (candidate_id, give_up_at) {
        (None, None) => Purpose::First,
        (Some(candidate_id), Some(give_up_at)) => {
            Purpose::Replacement { candidate_id: Id::from_uuid(candidate_id), give_up_at }
        }
        _ => return Err(StoreError::Unreadable { what: "purpose" }),
    };
    if read.as_str() == purpose { Ok(read) } else { Err(StoreError::Unreadable { what: "purpose" }) }
}
