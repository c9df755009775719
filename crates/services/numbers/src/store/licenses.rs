//! Licenses and what their settings show.

use chrono::{DateTime, Utc};
use domain::{LicenseId, PhoneNumber};
use sqlx::{PgConnection, PgTransaction};

use super::{Store, read_attempts, read_carrier, read_company_name, read_number};
use crate::error::{Error, StoreError};
use crate::model::acquisition::{Setback, Step};
use crate::model::license::{Company, LicenseSettings, MessagesNumber, Provisioning};

/// What became of a license.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    /// The license is new: it starts getting its number.
    pub(crate) created: bool,
    pub(crate) settings: LicenseSettings,
}

impl Store {
    /// Creates or updates a license in one transaction; a new one gets its acquisition in the same (rule 1).
    /// Without `create` a missing license is an error.
    pub(crate) async fn record_license(
        &self,
        license_id: &LicenseId,
        company: &Company,
        create: bool,
        now: DateTime<Utc>,
    ) -> Result<Recorded, Error> {
        let mut tx = self.pool.begin().await.map_err(StoreError::from)?;
        let created = create && insert_license(&mut tx, license_id, company, now).await?;
        if created {
            insert_acquisition(&mut tx, license_id, now).await?;
        } else if !update_license(&mut tx, license_id, company, now).await? {
            return Err(Error::LicenseNotFound);
        }
        if let Some(phone) = company.phone
            && is_messages_number(&mut tx, phone).await?
        {
            return Err(Error::CompanyPhoneIsAMessagesNumber);
        }
        let settings = find_settings(&mut tx, license_id).await?.ok_or(Error::LicenseNotFound)?;
        tx.commit().await.map_err(StoreError::from)?;
        Ok(Recorded { created, settings })
    }

    pub(crate) async fn get_settings(&self, license_id: &LicenseId) -> Result<LicenseSettings, Error> {
        let mut connection = self.pool.acquire().await.map_err(StoreError::from)?;
        find_settings(&mut connection, license_id).await?.ok_or(Error::LicenseNotFound)
    }
}

/// False when it exists already.
async fn insert_license(
    tx: &mut PgTransaction<'_>,
    license_id: &LicenseId,
    company: &Company,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let inserted = sqlx::query!(
        "insert into licenses (license_id, company_name, company_phone, created_at, updated_at)
         values ($1, $2, $3, $4, $4)
         on conflict on constraint licenses_pkey do nothing",
        license_id.as_str(),
        company.name.as_str(),
        company.phone.as_ref().map(PhoneNumber::as_str),
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// False when there is none.
async fn update_license(
    tx: &mut PgTransaction<'_>,
    license_id: &LicenseId,
    company: &Company,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let updated = sqlx::query!(
        "update licenses set company_name = $2, company_phone = $3, updated_at = $4 where license_id = $1",
        license_id.as_str(),
        company.name.as_str(),
        company.phone.as_ref().map(PhoneNumber::as_str),
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(updated.rows_affected() == 1)
}

async fn insert_acquisition(
    tx: &mut PgTransaction<'_>,
    license_id: &LicenseId,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into acquisitions (license_id, step, skipped, attempts, next_attempt_at, created_at)
         values ($1, $2, '{}', 0, $3, $3)",
        license_id.as_str(),
        Step::Searching.as_str(),
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Assigned to any license, or about to be.
async fn is_messages_number(tx: &mut PgTransaction<'_>, number: PhoneNumber) -> Result<bool, StoreError> {
    let is = sqlx::query_scalar!(
        r#"select exists (select from messages_numbers where number = $1)
               or exists (select from acquisitions where number = $1) as "is!""#,
        number.as_str(),
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(is)
}

async fn find_settings(
    connection: &mut PgConnection,
    license_id: &LicenseId,
) -> Result<Option<LicenseSettings>, StoreError> {
    let row = sqlx::query!(
        r#"select l.company_name, l.company_phone,
                  m.number as "number?", m.carrier as "carrier?", m.assigned_at as "assigned_at?",
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
    let messages_number = match (row.number, row.carrier, row.assigned_at) {
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
    Ok(Some(LicenseSettings { license_id: license_id.clone(), company, messages_number, provisioning }))
}

fn read_setback(text: &str) -> Result<Setback, StoreError> {
    Setback::find(text).ok_or(StoreError::Unreadable { what: "setback" })
}
