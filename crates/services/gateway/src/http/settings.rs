//! Licenses and their settings: what the `numbers` service holds.

use axum::extract::State;
use domain::LicenseId;
use proto::numbers::{GetSettingsRequest, PutLicenseRequest};
use serde::Deserialize;
use utoipa::ToSchema;

use super::App;
use super::extract::{Json, PathId, Query};
use crate::auth::{Admin, Backend, Manager};
use crate::error::Problem;
use crate::views::Settings;

/// The company behind a license.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Company {
    company_name: String,
    /// Calls to the messages number ring there. Its area code is where a first number is looked for.
    company_phone: Option<String>,
}

/// Create or update a license. A new one starts getting its number.
#[utoipa::path(
    put, path = "/v1/licenses/{license_id}", tag = "settings", request_body = Company,
    params(("license_id" = String, Path, description = "1 to 50 characters of A-Z, a-z, 0-9, _ and -.")),
    responses(
        (status = 200, body = Settings),
        (status = 422, description = "`invalid_phone` and others: `field` says which."),
    ),
)]
pub(crate) async fn put_license(
    State(app): State<App>,
    _: Backend,
    PathId(license): PathId<LicenseId>,
    _: Query<()>,
    Json(company): Json<Company>,
) -> Result<axum::Json<Settings>, Problem> {
    put(&app, &license, company, true).await
}

/// The company, its messages number, and where the purchase of one stands.
#[utoipa::path(
    get, path = "/v1/settings", tag = "settings",
    responses(
        (status = 200, body = Settings),
        (status = 404, description = "`license_not_found`."),
    ),
)]
pub(crate) async fn get_settings(
    State(app): State<App>,
    Manager(actor): Manager,
    _: Query<()>,
) -> Result<axum::Json<Settings>, Problem> {
    let request = GetSettingsRequest { license_id: actor.license.to_string() };
    let answer = app.upstreams.numbers.clone().get_settings(request).await;
    let settings = answer.map_err(|status| Problem::from_upstream(&status))?.into_inner();
    Ok(axum::Json(settings.try_into()?))
}

/// Change the company's name and phone. For admins.
#[utoipa::path(
    put, path = "/v1/settings/company", tag = "settings", request_body = Company,
    responses(
        (status = 200, body = Settings),
        (status = 404, description = "`license_not_found`."),
        (status = 422, description = "`invalid_phone` and others: `field` says which."),
    ),
)]
pub(crate) async fn put_company(
    State(app): State<App>,
    Admin(actor): Admin,
    _: Query<()>,
    Json(company): Json<Company>,
) -> Result<axum::Json<Settings>, Problem> {
    put(&app, &actor.license, company, false).await
}

async fn put(app: &App, license: &LicenseId, company: Company, create: bool) -> Result<axum::Json<Settings>, Problem> {
    let Company { company_name, company_phone } = company;
    let request = PutLicenseRequest { license_id: license.to_string(), company_name, company_phone, create };
    let mut numbers = app.upstreams.numbers.clone();
    let write = async move { numbers.put_license(request).await.map_err(|status| Problem::from_upstream(&status)) };
    let settings = app.finish(write).await?.into_inner();
    Ok(axum::Json(settings.try_into()?))
}
