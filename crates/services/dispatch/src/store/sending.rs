//! How licenses send: quiet hours, and the registration whose limits they share.

use chrono::{DateTime, Utc};
use domain::LicenseId;
use sqlx::PgTransaction;

use super::holds::release_all;
use crate::model::QuietHours;

/// How a license sends.
#[derive(Clone, Debug)]
pub struct NewSending {
    pub license_id: LicenseId,
    pub quiet: Option<QuietHours>,
    pub campaign: Option<String>,
    pub brand: Option<String>,
    /// Only a higher one replaces what is there.
    pub version: i64,
}

/// Keeps the highest version of each license. What is held is looked at again at once. At most one per license.
pub async fn record_sending(tx: &mut PgTransaction<'_>, new: &[NewSending], now: DateTime<Utc>) -> sqlx::Result<()> {
    let licenses: Vec<String> = new.iter().map(|each| each.license_id.to_string()).collect();
    let minutes = |each: &NewSending| each.quiet.map(QuietHours::minutes);
    let minute = |minute: u16| i16::try_from(minute).unwrap_or(i16::MAX);
    let from: Vec<Option<i16>> = new.iter().map(|each| minutes(each).map(|(from, _)| minute(from))).collect();
    let until: Vec<Option<i16>> = new.iter().map(|each| minutes(each).map(|(_, until)| minute(until))).collect();
    let campaigns: Vec<Option<&str>> = new.iter().map(|each| each.campaign.as_deref()).collect();
    let brands: Vec<Option<&str>> = new.iter().map(|each| each.brand.as_deref()).collect();
    let versions: Vec<i64> = new.iter().map(|each| each.version).collect();
    let changed = sqlx::query_scalar!(
        "insert into lanes (license_id, quiet_from, quiet_until, campaign, brand, sending_version)
         select new.license_id, new.quiet_from, new.quiet_until, new.campaign, new.brand, new.version
         from unnest($1::text[], $2::smallint[], $3::smallint[], $4::text[], $5::text[], $6::bigint[])
           as new (license_id, quiet_from, quiet_until, campaign, brand, version)
         order by new.license_id
         on conflict (license_id) do update set
           quiet_from = excluded.quiet_from, quiet_until = excluded.quiet_until,
           campaign = excluded.campaign, brand = excluded.brand, sending_version = excluded.sending_version
         where excluded.sending_version > lanes.sending_version
         returning license_id",
        &licenses,
        from.as_slice() as _,
        until.as_slice() as _,
        campaigns.as_slice() as _,
        brands.as_slice() as _,
        &versions,
    )
    .fetch_all(&mut **tx)
    .await?;
    release_all(tx, &changed, now).await
}
