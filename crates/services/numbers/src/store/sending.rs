//! How a license sends: written under its row lock, so that two changes at once both count.

use chrono::{DateTime, Utc};
use domain::LicenseId;
use sqlx::PgTransaction;

use super::licenses::find_settings;
use super::{Store, read_version};
use crate::error::{Error, StoreError};
use crate::model::license::{LicenseSettings, company_event};
use crate::model::sending::{QuietHours, RegisteredName, Registration, Sending, SendingChange};

impl Store {
    /// Changes it in one transaction. What really changed is an event: for who sends, and, as the settings show it, for who
    /// looks at them.
    pub(crate) async fn record_sending(
        &self,
        license_id: &LicenseId,
        change: SendingChange,
        now: DateTime<Utc>,
    ) -> Result<LicenseSettings, Error> {
        let mut tx = self.pool.begin().await.map_err(StoreError::from)?;
        let old = lock_sending(&mut tx, license_id).await?;
        let versions = match old.plan_change(change) {
            Some(sending) => Some(update_sending(&mut tx, license_id, &sending, now).await?),
            None => None,
        };
        let settings = find_settings(&mut tx, license_id, now).await?.ok_or(Error::LicenseNotFound)?;
        if let Some((sending_version, company_version)) = versions {
            let sending = settings.sending.event(license_id, now, sending_version);
            bus::outbox::record(&mut tx, &[sending], now).await.map_err(StoreError::from)?;
            let company = company_event(license_id, &settings.company, now, company_version);
            bus::outbox::record(&mut tx, &[company], now).await.map_err(StoreError::from)?;
        }
        tx.commit().await.map_err(StoreError::from)?;
        Ok(settings)
    }
}

async fn lock_sending(tx: &mut PgTransaction<'_>, license_id: &LicenseId) -> Result<Sending, Error> {
    let row = sqlx::query_as!(
        SendingRow,
        "select quiet_from, quiet_until, campaign, brand from licenses where license_id = $1 for no key update",
        license_id.as_str(),
    )
    .fetch_optional(&mut **tx)
    .await
    .map_err(StoreError::from)?
    .ok_or(Error::LicenseNotFound)?;
    Ok(row.read()?)
}

/// Answers the new versions: of how the license sends, and of its company's settings.
async fn update_sending(
    tx: &mut PgTransaction<'_>,
    license_id: &LicenseId,
    sending: &Sending,
    now: DateTime<Utc>,
) -> Result<(u64, u64), StoreError> {
    let minute = |minute: u32| i32::try_from(minute).map_err(|_| StoreError::Unreadable { what: "quiet hours" });
    let registration = &sending.registration;
    let versions = sqlx::query!(
        "update licenses
         set quiet_from = $2, quiet_until = $3, campaign = $4, brand = $5, sending_version = sending_version + 1,
             version = version + 1, updated_at = $6
         where license_id = $1
         returning sending_version, version",
        license_id.as_str(),
        sending.quiet_hours.map(|hours| minute(hours.first_minute())).transpose()?,
        sending.quiet_hours.map(|hours| minute(hours.end_minute())).transpose()?,
        registration.campaign.as_ref().map(RegisteredName::as_str),
        registration.brand.as_ref().map(RegisteredName::as_str),
        now,
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok((read_version(versions.sending_version)?, read_version(versions.version)?))
}

/// As it is stored.
pub(super) struct SendingRow {
    pub(super) quiet_from: Option<i32>,
    pub(super) quiet_until: Option<i32>,
    pub(super) campaign: Option<String>,
    pub(super) brand: Option<String>,
}

impl SendingRow {
    pub(super) fn read(self) -> Result<Sending, StoreError> {
        let quiet_hours = match (self.quiet_from, self.quiet_until) {
            (Some(from), Some(until)) => Some(read_quiet_hours(from, until)?),
            _ => None,
        };
        let registration =
            Registration { campaign: read_name(self.campaign, "campaign")?, brand: read_name(self.brand, "brand")? };
        Ok(Sending { quiet_hours, registration })
    }
}

fn read_quiet_hours(from: i32, until: i32) -> Result<QuietHours, StoreError> {
    let unreadable = StoreError::Unreadable { what: "quiet hours" };
    match (u32::try_from(from), u32::try_from(until)) {
        (Ok(from), Ok(until)) => QuietHours::parse(from, until).map_err(|_| unreadable),
        _ => Err(unreadable),
    }
}

fn read_name(text: Option<String>, what: &'static str) -> Result<Option<RegisteredName>, StoreError> {
    text.map(|text| RegisteredName::parse(text).ok_or(StoreError::Unreadable { what })).transpose()
}
