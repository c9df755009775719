//! Candidates, and the beginning of a Save (rules 3 and 4).
//!
//! Both stand under the license's row lock: the limit of searches is exact, and of two Saves one wins, over any number
//! of replicas.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{Candidate, CarrierName, Id, LicenseId};
use sqlx::PgTransaction;
use uuid::Uuid;

use super::{Store, is_taken, lock_number, read_carrier, read_number, record_purchase};
use crate::error::{Error, StoreError};
use crate::model::acquisition::{Acquisition, Purpose, Step};
use crate::model::save::{Running, SavePlan, SaveRefusal, SaveState, decide_save};
use crate::model::search::{GENERATE_LIMIT, GENERATE_WINDOW, Offer, plan_retry_after};

/// A candidate is remembered so long, so that a late Save is told that it expired.
const KEPT: Duration = Duration::from_hours(72);

/// What became of a Save.
#[derive(Clone, Debug)]
pub(crate) enum SaveBegun {
    /// This replica holds it and works on it now.
    Begun(Acquisition),
    /// Somebody works on the same Save already.
    Joined,
    /// It was done before.
    Done,
}

impl Store {
    /// Counts one search of this license, before the carrier is asked. Answers where to search.
    pub(crate) async fn record_search(
        &self,
        license_id: &LicenseId,
        candidate_id: Id<Candidate>,
        now: DateTime<Utc>,
    ) -> Result<CarrierName, Error> {
        let mut tx = self.pool.begin().await.map_err(StoreError::from)?;
        let carrier = lock_license(&mut tx, license_id).await?.carrier;
        let carrier = read_carrier(&carrier)?;
        let tenth_newest = sqlx::query_scalar!(
            "select requested_at from candidates where license_id = $1 order by requested_at desc offset $2 limit 1",
            license_id.as_str(),
            GENERATE_LIMIT - 1,
        )
        .fetch_optional(&mut *tx)
        .await
        .map_err(StoreError::from)?;
        if let Some(tenth_newest) = tenth_newest.filter(|then| *then + GENERATE_WINDOW > now) {
            return Err(Error::GenerateLimitReached { retry_after: plan_retry_after(tenth_newest, now) });
        }
        sqlx::query!(
            "delete from candidates where license_id = $1 and requested_at < $2",
            license_id.as_str(),
            now - KEPT,
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::from)?;
        sqlx::query!(
            "insert into candidates (candidate_id, license_id, carrier, requested_at) values ($1, $2, $3, $4)",
            candidate_id.uuid(),
            license_id.as_str(),
            carrier.as_str(),
            now,
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::from)?;
        tx.commit().await.map_err(StoreError::from)?;
        Ok(carrier)
    }

    /// Writes the number into the candidate. False when the number got another use meanwhile, also as an offer.
    pub(crate) async fn record_offer(&self, offer: &Offer, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin().await?;
        lock_number(&mut tx, offer.number).await?;
        let offered = sqlx::query_scalar!(
            r#"select exists (select from candidates where number = $1 and expires_at > $2) as "is!""#,
            offer.number.as_str(),
            now,
        )
        .fetch_one(&mut *tx)
        .await?;
        if offered || is_taken(&mut tx, offer.number).await? {
            return Ok(false);
        }
        sqlx::query!(
            "update candidates set number = $2, area_code_matched = $3, expires_at = $4 where candidate_id = $1",
            offer.candidate_id.uuid(),
            offer.number.as_str(),
            offer.area_code_matched,
            offer.expires_at,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// The beginning of a Save: the purchase stands in the database, leased by this replica, before anything is bought.
    pub(crate) async fn begin_save(
        &self,
        license_id: &LicenseId,
        candidate_id: Id<Candidate>,
        leased_until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<SaveBegun, Error> {
        let mut tx = self.pool.begin().await.map_err(StoreError::from)?;
        let license = lock_license(&mut tx, license_id).await?;
        let company_phone = license.company_phone.as_deref().map(read_number).transpose()?;
        let state = find_save_state(&mut tx, license_id, candidate_id, license.last_changed_at).await?;
        let offer = match decide_save(state, now)? {
            SavePlan::Begin(offer) => offer,
            SavePlan::Join => return Ok(SaveBegun::Joined),
            SavePlan::Done => return Ok(SaveBegun::Done),
        };
        lock_number(&mut tx, offer.number).await?;
        if is_taken(&mut tx, offer.number).await? {
            return Err(SaveRefusal::Taken.into());
        }
        let acquisition = Acquisition {
            license_id: license_id.clone(),
            purpose: Purpose::Replacement { candidate_id, give_up_at: offer.expires_at },
            carrier: offer.carrier,
            lease: Uuid::now_v7(),
            company_phone,
            chosen: Some(offer.number),
            in_doubt: false,
            skipped: Vec::new(),
            attempts: 0,
            last_error: None,
        };
        insert_replacement(&mut tx, &acquisition, &offer, leased_until, now).await?;
        record_purchase(&mut tx, license_id, offer.carrier, offer.number, now).await?;
        tx.commit().await.map_err(StoreError::from)?;
        Ok(SaveBegun::Begun(acquisition))
    }

    /// Whether the candidate became the license's number.
    pub(crate) async fn is_saved(
        &self,
        license_id: &LicenseId,
        candidate_id: Id<Candidate>,
    ) -> Result<bool, StoreError> {
        let is = sqlx::query_scalar!(
            r#"select exists (select from messages_numbers where license_id = $1 and candidate_id = $2) as "is!""#,
            license_id.as_str(),
            candidate_id.uuid(),
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(is)
    }
}

struct LockedLicense {
    carrier: String,
    company_phone: Option<String>,
    last_changed_at: Option<DateTime<Utc>>,
}

async fn lock_license(tx: &mut PgTransaction<'_>, license_id: &LicenseId) -> Result<LockedLicense, Error> {
    sqlx::query_as!(
        LockedLicense,
        "select carrier, company_phone, last_changed_at from licenses where license_id = $1 for no key update",
        license_id.as_str(),
    )
    .fetch_optional(&mut **tx)
    .await
    .map_err(StoreError::from)?
    .ok_or(Error::LicenseNotFound)
}

async fn find_save_state(
    tx: &mut PgTransaction<'_>,
    license_id: &LicenseId,
    candidate_id: Id<Candidate>,
    last_changed_at: Option<DateTime<Utc>>,
) -> Result<SaveState, StoreError> {
    let row = sqlx::query!(
        r#"select (select m.candidate_id from messages_numbers m where m.license_id = $1) as assigned_from,
                  exists (select from acquisitions a where a.license_id = $1) as "running!",
                  (select a.candidate_id from acquisitions a where a.license_id = $1) as replaced_by"#,
        license_id.as_str(),
    )
    .fetch_one(&mut **tx)
    .await?;
    let offered = sqlx::query!(
        r#"select number as "number!", carrier, area_code_matched as "area_code_matched!", expires_at as "expires_at!"
           from candidates where candidate_id = $1 and license_id = $2 and number is not null"#,
        candidate_id.uuid(),
        license_id.as_str(),
    )
    .fetch_optional(&mut **tx)
    .await?;
    let offer = offered
        .map(|row| {
            Ok::<_, StoreError>(Offer {
                candidate_id,
                number: read_number(&row.number)?,
                carrier: read_carrier(&row.carrier)?,
                area_code_matched: row.area_code_matched,
                expires_at: row.expires_at,
            })
        })
        .transpose()?;
    let running = match (row.running, row.replaced_by) {
        (_, Some(replaced_by)) => Running::Replacement(Id::from_uuid(replaced_by)),
        (true, None) => Running::FirstNumber,
        (false, None) => Running::Nothing,
    };
    Ok(SaveState { candidate_id, offer, assigned_from: row.assigned_from.map(Id::from_uuid), running, last_changed_at })
}

/// Clears why the Save before came to nothing: another one has begun.
async fn insert_replacement(
    tx: &mut PgTransaction<'_>,
    acquisition: &Acquisition,
    offer: &Offer,
    leased_until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let license_id = acquisition.license_id.as_str();
    sqlx::query!(
        "update licenses set change_error = null, change_error_at = null
         where license_id = $1 and change_error is not null",
        license_id,
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(
        "insert into acquisitions
             (license_id, purpose, carrier, candidate_id, give_up_at, step, number, in_doubt, skipped, attempts,
              next_attempt_at, lease, leased_until, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, false, '{}', 0, $8, $9, $10, $8)",
        license_id,
        acquisition.purpose.as_str(),
        offer.carrier.as_str(),
        offer.candidate_id.uuid(),
        offer.expires_at,
        Step::Buying.as_str(),
        offer.number.as_str(),
        now,
        acquisition.lease,
        leased_until,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
