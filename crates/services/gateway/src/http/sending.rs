//! How a license sends: quiet hours, and the registration with the carriers' networks. The `numbers` service holds both.

use axum::extract::State;
use chassis::Fault;
use domain::LicenseId;
use proto::numbers::{self, PutQuietHoursRequest, PutRegistrationRequest};
use serde::Deserialize;
use tonic::{Response, Status};
use utoipa::ToSchema;

use super::App;
use super::extract::{Json, PathId, Query};
use crate::auth::{Admin, Backend};
use crate::error::Problem;
use crate::views::Settings;

/// Hours in which batches wait, in the time of each recipient's area code. Where that lies in several time zones, they
/// wait while it is quiet in any of them.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = QuietHoursInput, example = json!({"from": "21:00", "until": "08:00"}))]
pub(crate) struct QuietHours {
    /// Hours and minutes of a day, `00:00` to `23:59`.
    from: String,
    /// The same, and another time than `from`. Before `from`: over midnight.
    until: String,
}

/// Under what the license is registered with the carriers' networks.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RegistrationInput, example = json!({"campaign": "CJ1X4ZK", "brand": "BQ7T2M9"}))]
pub(crate) struct Registration {
    /// 1 to 50 characters of A-Z, a-z, 0-9, _ and -. Licenses with the same one share its limits. Left out: one of its own.
    campaign: Option<String>,
    /// The same.
    brand: Option<String>,
}

/// Set the hours in which batches wait; answers to people never do. For admins.
#[utoipa::path(
    put, path = "/v1/settings/quiet-hours", tag = "settings", request_body = QuietHours,
    responses(
        (status = 200, description = "The settings as they are now.", body = Settings),
        (status = 404, description = "`license_not_found`."),
        (status = 422, description = "`quiet_hours_invalid` and others: `field` says which."),
    ),
)]
pub(crate) async fn put_quiet_hours(
    State(app): State<App>,
    Admin(actor): Admin,
    _: Query<()>,
    Json(input): Json<QuietHours>,
) -> Result<axum::Json<Settings>, Problem> {
    let from_minute = parse_minute("from", &input.from)?;
    let until_minute = parse_minute("until", &input.until)?;
    set_quiet_hours(&app, &actor.license, Some(numbers::QuietHours { from_minute, until_minute })).await
}

/// Let batches go at any time. For admins.
#[utoipa::path(
    delete, path = "/v1/settings/quiet-hours", tag = "settings",
    responses(
        (status = 200, description = "The settings as they are now.", body = Settings),
        (status = 404, description = "`license_not_found`."),
    ),
)]
pub(crate) async fn delete_quiet_hours(
    State(app): State<App>,
    Admin(actor): Admin,
    _: Query<()>,
) -> Result<axum::Json<Settings>, Problem> {
    set_quiet_hours(&app, &actor.license, None).await
}

/// Say under which registration with the carriers' networks a license sends.
#[utoipa::path(
    put, path = "/v1/licenses/{license_id}/registration", tag = "settings", request_body = Registration,
    params(("license_id" = String, Path)),
    responses(
        (status = 200, description = "The settings as they are now.", body = Settings),
        (status = 404, description = "`license_not_found`."),
        (status = 422, description = "`campaign_invalid`, `brand_invalid` and others: `field` says which."),
    ),
)]
pub(crate) async fn put_registration(
    State(app): State<App>,
    _: Backend,
    PathId(license): PathId<LicenseId>,
    _: Query<()>,
    Json(Registration { campaign, brand }): Json<Registration>,
) -> Result<axum::Json<Settings>, Problem> {
    let request = PutRegistrationRequest { license_id: license.to_string(), campaign, brand };
    let mut numbers = app.upstreams.numbers.clone();
    finish(&app, async move { numbers.put_registration(request).await }).await
}

async fn set_quiet_hours(
    app: &App,
    license: &LicenseId,
    quiet_hours: Option<numbers::QuietHours>,
) -> Result<axum::Json<Settings>, Problem> {
    let request = PutQuietHoursRequest { license_id: license.to_string(), quiet_hours };
    let mut numbers = app.upstreams.numbers.clone();
    finish(app, async move { numbers.put_quiet_hours(request).await }).await
}

async fn finish(
    app: &App,
    write: impl Future<Output = Result<Response<numbers::Settings>, Status>> + Send + 'static,
) -> Result<axum::Json<Settings>, Problem> {
    let write = async move { write.await.map_err(|status| Problem::from_upstream(&status)) };
    let settings = app.finish(write).await?.into_inner();
    Ok(axum::Json(settings.try_into()?))
}

/// `21:00` as minutes after midnight.
fn parse_minute(field: &'static str, text: &str) -> Result<u32, Fault> {
    find_minute(text).ok_or_else(|| {
        Fault::invalid(field, "quiet_hours_invalid", "A time of day is written as 21:00, from 00:00 to 23:59.")
    })
}

fn find_minute(text: &str) -> Option<u32> {
    let (hour, minute) = text.split_once(':')?;
    let read = |digits: &str, below: u32| -> Option<u32> {
        let two_digits = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        two_digits.then(|| digits.parse().ok()).flatten().filter(|value| *value < below)
    };
    Some(read(hour, 24)? * 60 + read(minute, 60)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_two_digits_a_colon_and_two_digits() {
        for (text, minute) in [("00:00", 0), ("08:05", 485), ("21:00", 1260), ("23:59", 1439)] {
            assert_eq!(find_minute(text), Some(minute), "{text}");
        }
        for wrong in
            ["", ":", "8:00", "08:5", "24:00", "23:60", "-1:00", "+1:00", "21:00:00", "2100", " 21:00", "２１:00"]
        {
            assert_eq!(find_minute(wrong), None, "{wrong:?}");
        }
    }
}
