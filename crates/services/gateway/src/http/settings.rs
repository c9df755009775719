//! Licenses and their settings: what the `numbers` service holds.

use axum::extract::State;
use domain::{CarrierName, LicenseId};
use proto::numbers::{GetSettingsRequest, PutLicenseRequest};
use serde::Deserialize;
use utoipa::ToSchema;

use super::App;
use super::extract::{Json, PathId, Query};
use crate::auth::{Admin, Backend, Manager};
use crate::error::Problem;
use crate::views::Settings;

/// A license and the company behind it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"company_name": "Acme Homes", "company_phone": "(415) 555-2671"}))]
pub(crate) struct License {
    company_name: String,
    /// As people write it. Calls to the messages number ring there. Its area code is where a first number is looked for.
    company_phone: Option<String>,
    /// `twilio` or `telnyx`: where the next number is bought. Left out: as it is; a new license gets the default.
    #[schema(value_type = Option<String>)]
    carrier: Option<CarrierName>,
}

/// The company behind a license.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"company_name": "Acme Homes", "company_phone": "(415) 555-2671"}))]
pub(crate) struct Company {
    company_name: String,
    /// As people write it. Calls to the messages number ring there, from the next one on.
    company_phone: Option<String>,
}

/// Create or update a license. A new one starts getting its number.
#[utoipa::path(
    put, path = "/v1/licenses/{license_id}", tag = "settings", request_body = License,
    params(("license_id" = String, Path, description = "1 to 50 characters of A-Z, a-z, 0-9, _ and -.")),
    responses(
        (status = 200, description = "The settings as they are now.", body = Settings),
        (status = 422, description = "`phone_…`, `name_…`, `company_phone_is_a_messages_number`, `carrier_…` and others: \
            `field` says which."),
    ),
)]
pub(crate) async fn put_license(
    State(app): State<App>,
    _: Backend,
    PathId(license): PathId<LicenseId>,
    _: Query<()>,
    Json(input): Json<License>,
) -> Result<axum::Json<Settings>, Problem> {
    let License { company_name, company_phone, carrier } = input;
    let carrier = carrier.map(|carrier| carrier.to_string());
    let license_id = license.to_string();
    put(&app, PutLicenseRequest { license_id, company_name, company_phone, create: true, carrier }).await
}

/// The company, its messages number, and where the purchase of one stands.
#[utoipa::path(
    get, path = "/v1/settings", tag = "settings",
    responses(
        (status = 200, description = "The settings as they are now.", body = Settings),
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
        (status = 200, description = "The settings as they are now.", body = Settings),
        (status = 404, description = "`license_not_found`."),
        (status = 422, description = "`phone_…`, `name_…`, `company_phone_is_a_messages_number` and others: `field` says \
            which."),
    ),
)]
pub(crate) async fn put_company(
    State(app): State<App>,
    Admin(actor): Admin,
    _: Query<()>,
    Json(company): Json<Company>,
) -> Result<axum::Json<Settings>, Problem> {
    let Company { company_name, company_phone } = company;
    let license_id = actor.license.to_string();
    put(&app, PutLicenseRequest { license_id, company_name, company_phone, create: false, carrier: None }).await
}

async fn put(app: &App, request: PutLicenseRequest) -> Result<axum::Json<Settings>, Problem> {
    let mut numbers = app.upstreams.numbers.clone();
    let write = async move { numbers.put_license(request).await.map_err(|status| Problem::from_upstream(&status)) };
    let settings = app.finish(write).await?.into_inner();
    Ok(axum::Json(settings.try_into()?))
}
