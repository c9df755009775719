//! Licenses and what their settings show.

use chrono::{DateTime, Utc};
use domain::{CarrierName, LicenseId, PhoneNumber};
use sqlx::{PgConnection, PgTransaction};

use super::routes::mark_stale;
use super::sending::SendingRow;
use super::{
    Store, is_ours, lock_number, read_attempts, read_carrier, read_company_name, read_number, read_setback,
    read_version,
};
use crate::error::{Error, StoreError};
use crate::model::acquisition::{Purpose, Step};
use crate::model::license::{ChangeError, Company, LicenseSettings, MessagesNumber, Provisioning, company_event};
use crate::model::save::next_change_allowed_at;

/// What somebody says a license is.
#[derive(Clone, Debug)]
pub(crate) struct LicenseChange {
    pub(crate) license_id: LicenseId,
    pub(crate) company: Company,
    /// Absent: as it is, and `default_carrier` for a new license.
    pub(crate) carrier: Option<CarrierName>,
    pub(crate) default_carrier: CarrierName,
    /// Without it, a missing license is an error.
    pub(crate) create: bool,
}

/// What became of a license.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    /// The license is new: it starts getting its number.
    pub(crate) created: bool,
    pub(crate) settings: LicenseSettings,
}

impl Store {
    /// Creates or updates a license in one transaction; a new one gets its acquisition in the same (rule 1). What really
    /// changed is an event.
    pub(crate) async fn record_license(&self, change: &LicenseChange, now: DateTime<Utc>) -> Result<Recorded, Error> {
        let mut tx = self.pool.begin().await.map_err(StoreError::from)?;
        let created = change.create && insert_license(&mut tx, change, now).await?;
        let version = if created {
            insert_acquisition(&mut tx, change, now).await?;
            Some(1)
        } else {
            update_license(&mut tx, change, now).await?
        };
        if let Some(phone) = change.company.phone {
            lock_number(&mut tx, phone).await?;
            if is_ours(&mut tx, phone).await? {
                return Err(Error::CompanyPhoneIsAMessagesNumber);
            }
        }
        if let Some(version) = version {
            let event = company_event(&change.license_id, &change.company, now, version);
            bus::outbox::record(&mut tx, &[event], now).await.map_err(StoreError::from)?;
        }
        let settings = find_settings(&mut tx, &change.license_id, now).await?.ok_or(Error::LicenseNotFound)?;
        tx.commit().await.map_err(StoreError::from)?;
        Ok(Recorded { created, settings })
    }

    pub(crate) async fn get_settings(
        &self,
        license_id: &LicenseId,
        now: DateTime<Utc>,
    ) -> Result<LicenseSettings, Error> {
        let mut connection = self.pool.acquire().await.map_err(StoreError::from)?;
        find_settings(&mut connection, license_id, now).await?.ok_or(Error::LicenseNotFound)
    }
}

/// False when it exists already.
async fn insert_license(
    tx: &mut PgTransaction<'_>,
    change: &LicenseChange,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let inserted = sqlx::query!(
        "insert into licenses (license_id, company_name, company_phone, carrier, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $5)
         on conflict on constraint licenses_pkey do nothing",
        change.license_id.as_str(),
        change.company.name.as_str(),
        change.company.phone.as_ref().map(PhoneNumber::as_str),
        change.carrier.unwrap_or(change.default_carrier).as_str(),
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// The new version of what the company says about itself; none when it says the same.
async fn update_license(
    tx: &mut PgTransaction<'_>,
    change: &LicenseChange,
    now: DateTime<Utc>,
) -> Result<Option<u64>, Error> {
    let license_id = &change.license_id;
    let old = sqlx::query!(
        "select company_name, company_phone, carrier from licenses where license_id = $1 for no key update",
        license_id.as_str(),
    )
    .fetch_optional(&mut **tx)
    .await
    .map_err(StoreError::from)?
    .ok_or(Error::LicenseNotFound)?;
    let phone = change.company.phone.as_ref().map(PhoneNumber::as_str);
    let phone_changed = old.company_phone.as_deref() != phone;
    let company_changed = phone_changed || old.company_name != change.company.name.as_str();
    let carrier = change.carrier.map(CarrierName::as_str).filter(|carrier| *carrier != old.carrier);
    if !company_changed && carrier.is_none() {
        return Ok(None);
    }
    let version = sqlx::query_scalar!(
        "update licenses
         set company_name = $2, company_phone = $3, carrier = coalesce($4, carrier), updated_at = $5,
             version = version + case when $6 then 1 else 0 end
         where license_id = $1
         returning version",
        license_id.as_str(),
        change.company.name.as_str(),
        phone,
        carrier,
        now,
        company_changed,
    )
    .fetch_one(&mut **tx)
    .await
    .map_err(StoreError::from)?;
    if let Some(carrier) = carrier {
        // A first number that is not chosen yet is the next number.
        sqlx::query!(
            "update acquisitions set carrier = $2 where license_id = $1 and step = $3",
            license_id.as_str(),
            carrier,
            Step::Searching.as_str(),
        )
        .execute(&mut **tx)
        .await
        .map_err(StoreError::from)?;
    }
    if phone_changed {
        mark_stale(tx, license_id, now).await?;
    }
    Ok(if company_changed { Some(read_version(version)?) } else { None })
}

async fn insert_acquisition(
    tx: &mut PgTransaction<'_>,
    change: &LicenseChange,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into acquisitions
             (license_id, purpose, carrier, step, in_doubt, skipped, attempts, next_attempt_at, created_at)
         values ($1, $2, $3, $4, false, '{}', 0, $5, $5)",
        change.license_id.as_str(),
        Purpose::First.as_str(),
        change.carrier.unwrap_or(change.default_carrier).as_str(),
        Step::Searching.as_str(),
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn find_settings(
    connection: &mut PgConnection,
    license_id: &LicenseId,
    now: DateTime<Utc>,
) -> Result<Option<LicenseSettings>, StoreError> {
    let row = sqlx::query!(
        r#"select l.company_name, l.company_phone, l.carrier, l.last_changed_at, l.change_error, l.change_error_at,
                  l.quiet_from, l.quiet_until, l.campaign, l.brand,
                  m.number as "number?", m.carrier as "number_carrier?", m.assigned_at as "assigned_at?",
                  a.step as "step?", a.attempts as "attempts?", a.last_error as "last_error?",
                  a.next_attempt_at as "next_attempt_at?"
           from licenses l
           left join messages_numbers m using (license_id)
           left join acquisitions a using (license_id)
           where l.license_id = $1"#,
        license_id.as_str(),
    )
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };

    let company = Company {
        name: read_company_name(&row.company_name)?,
        phone: row.company_phone.as_deref().map(read_number).transpose()?,
    };
    let messages_number = match (row.number, row.number_carrier, row.assigned_at) {
        (Some(number), Some(carrier), Some(assigned_at)) => {
            Some(MessagesNumber { number: read_number(&number)?, carrier: read_carrier(&carrier)?, assigned_at })
        }
        _ => None,
    };
    let provisioning = match (row.step, row.attempts, row.next_attempt_at) {
        (Some(step), Some(attempts), Some(next_attempt_at)) => Some(Provisioning {
            step: Step::find(&step).ok_or(StoreError::Unreadable { what: "step" })?,
            attempts: read_attempts(attempts)?,
            last_error: row.last_error.as_deref().map(read_setback).transpose()?,
            next_attempt_at,
        }),
        _ => None,
    };
    let change_error = match (row.change_error, row.change_error_at) {
        (Some(setback), Some(occurred_at)) => Some(ChangeError { setback: read_setback(&setback)?, occurred_at }),
        _ => None,
    };
    let sending = SendingRow {
        quiet_from: row.quiet_from,
        quiet_until: row.quiet_until,
        campaign: row.campaign,
        brand: row.brand,
    };
    Ok(Some(LicenseSettings {
        license_id: license_id.clone(),
        company,
        messages_number,
        provisioning,
        next_change_allowed_at: next_change_allowed_at(row.last_changed_at, now),
        carrier: read_carrier(&row.carrier)?,
        change_error,
        sending: sending.read()?,
    }))
}
