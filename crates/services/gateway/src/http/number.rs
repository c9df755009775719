//! Generate and Save (rules 2–5): another number for the license. Both ask a carrier, so both may take longer than
//! other calls.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use domain::{Candidate as CandidateOf, Id};
use http::StatusCode;
use proto::numbers::{GenerateCandidateRequest, SaveNumberRequest};
use serde::Deserialize;
use utoipa::ToSchema;

use super::App;
use super::extract::{Json, OptionalJson, Query};
use crate::auth::Admin;
use crate::error::Problem;
use crate::views::{BrokenAnswer, Candidate, Settings};

/// Where the number should be.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"area_code": "415"}))]
pub(crate) struct CandidateInput {
    /// Three digits, of the United States. Left out: any number of the United States.
    area_code: Option<String>,
}

/// Which number.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"candidate_id": "01988e5c-7a00-7000-8000-000000000001"}))]
pub(crate) struct SaveInput {
    /// From `POST /v1/number/candidates`, at most 15 minutes ago.
    #[schema(value_type = String)]
    candidate_id: Id<CandidateOf>,
}

/// Generate: find a number that could replace the license's own. For admins.
///
/// Nothing is bought, replaced or counted until it is saved. When there is none in the area code, it is any number of
/// the United States, and `area_code_matched` is false. At most 10 a minute.
#[utoipa::path(
    post, path = "/v1/number/candidates", tag = "number",
    request_body = Option<CandidateInput>,
    responses(
        (status = 201, description = "The number is offered for 15 minutes.", body = Candidate),
        (status = 404, description = "`license_not_found`."),
        (status = 409, description = "`no_numbers_available`: the carrier has none at all."),
        (status = 422, description = "The area code cannot be had: `area_code_not_three_digits`, `area_code_unknown`, \
            `area_code_not_united_states`, `area_code_toll_free`, `area_code_premium`, `area_code_non_geographic`. Or the \
            body is wrong: `field` says where."),
        (status = 429, description = "`generate_limit_reached`: `retry_after_s` and the header `Retry-After` say when \
            it is allowed again.",
            headers(("Retry-After" = u64, description = "Seconds."))),
        (status = 503, description = "`carrier_…`: the carrier cannot answer right now; `service_unavailable`."),
    ),
)]
pub(crate) async fn create_candidate(
    State(app): State<App>,
    Admin(actor): Admin,
    _: Query<()>,
    OptionalJson(input): OptionalJson<CandidateInput>,
) -> Result<(StatusCode, axum::Json<Candidate>), Problem> {
    let request = GenerateCandidateRequest { license_id: actor.license.to_string(), area_code: input.area_code };
    let mut numbers = app.upstreams.slow_numbers.clone();
    let write =
        async move { numbers.generate_candidate(request).await.map_err(|status| Problem::from_upstream(&status)) };
    let candidate = app.finish(write).await?.into_inner();
    Ok((StatusCode::CREATED, axum::Json(candidate.try_into()?)))
}

/// Save: buy the candidate and put it in the place of the license's number. For admins.
///
/// At most once in a calendar month; the first number of a license does not count. When the carrier has not answered
/// in time, the answer is 202 and the change goes on by itself: `provisioning` of the settings says where it stands,
/// `number.changed` on the feed that it is done, `last_change_error` that it came to nothing. Saving the
/// same candidate again is safe. Until it is done, the old number stays.
#[utoipa::path(
    put, path = "/v1/number", tag = "number", request_body = SaveInput,
    responses(
        (status = 200, description = "The number is the license's.", body = Settings),
        (status = 202, description = "The change is under way: see `provisioning`.", body = Settings),
        (status = 404, description = "`license_not_found`, `candidate_not_found`."),
        (status = 409, description = "The old number stays. `number_taken`: it was sold meanwhile. `candidate_expired`: \
            generate again. `change_limit_reached`: `next_change_allowed_at` says when it is allowed. \
            `change_in_progress`: another change is under way."),
        (status = 422, description = "`missing_field`, `unknown_field`, `invalid_value`: `field` says which."),
        (status = 503, description = "`carrier_…`: nothing was bought; `service_unavailable`: see the settings."),
    ),
)]
pub(crate) async fn put_number(
    State(app): State<App>,
    Admin(actor): Admin,
    _: Query<()>,
    Json(input): Json<SaveInput>,
) -> Result<Response, Problem> {
    let request =
        SaveNumberRequest { license_id: actor.license.to_string(), candidate_id: input.candidate_id.to_string() };
    let mut numbers = app.upstreams.slow_numbers.clone();
    let write = async move { numbers.save_number(request).await.map_err(|status| Problem::from_upstream(&status)) };
    let answer = app.finish(write).await?.into_inner();
    let settings = Settings::try_from(answer.settings.ok_or(BrokenAnswer("settings"))?)?;
    let status = if answer.done { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, axum::Json(settings)).into_response())
}
