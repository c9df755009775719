//! Messages of senders whom nobody knows (rule 8): tie the sender to a person, or block the number.
//!
//! Phone numbers stand in bodies only: addresses end up in logs of others.

use axum::extract::State;
use chassis::{Fault, FaultKind};
use domain::{BlockedNumber as BlockedNumberOf, Id, PersonId, Unmatched};
use http::StatusCode;
use proto::conversations::block_number_request::Which;
use proto::conversations::{
    self, BlockNumberRequest, ListBlockedNumbersRequest, ListUnmatchedRequest, TieUnmatchedRequest,
    UnblockNumberRequest,
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::App;
use super::extract::{Json, PageQuery, PathId, Query};
use crate::auth::Manager;
use crate::error::Problem;
use crate::views::{BlockedNumber, BlockedNumberPage, Tied, UnmatchedPage};

/// Whose number it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"person_id": "t-1"}))]
pub(crate) struct TieInput {
    #[schema(value_type = String)]
    person_id: PersonId,
}

/// Which number: either the sender of a message, or the number itself.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"unmatched_id": "01988e5c-7a00-7000-8000-00000000000e"}))]
pub(crate) struct BlockInput {
    /// The sender of this message.
    #[schema(value_type = Option<String>)]
    unmatched_id: Option<Id<Unmatched>>,
    /// As people write it.
    number: Option<String>,
}

/// Messages of unknown senders, newest first. They are kept for 30 days.
#[utoipa::path(
    get, path = "/v1/unmatched", tag = "unmatched", params(PageQuery),
    responses(
        (status = 200, description = "One page.", body = UnmatchedPage),
        (status = 422, description = "`invalid_value`, `invalid_cursor`, `unknown_parameter`: `field` says which."),
    ),
)]
pub(crate) async fn list_unmatched(
    State(app): State<App>,
    Manager(actor): Manager,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<UnmatchedPage>, Problem> {
    let request = ListUnmatchedRequest {
        license_id: actor.license.to_string(),
        limit: query.limit,
        cursor: query.cursor.unwrap_or_default(),
    };
    let answer = app.upstreams.unmatched.clone().list_unmatched(request).await;
    let page = answer.map_err(|status| Problem::from_upstream(&status))?.into_inner();
    Ok(axum::Json(page.try_into()?))
}

/// The sender of a message is this person: their number is added to the person's phones, and all messages that are kept of
/// it become the conversation with them.
#[utoipa::path(
    post, path = "/v1/unmatched/{unmatched_id}/tie", tag = "unmatched", request_body = TieInput,
    params(("unmatched_id" = String, Path)),
    responses(
        (status = 200, description = "Their conversation.", body = Tied),
        (status = 404, description = "`unmatched_not_found`, `person_not_found`."),
        (status = 422, description = "`invalid_value`, `missing_field`, `unknown_field` and others: `field` says which."),
    ),
)]
pub(crate) async fn tie_unmatched(
    State(app): State<App>,
    Manager(actor): Manager,
    PathId(id): PathId<Id<Unmatched>>,
    _: Query<()>,
    Json(input): Json<TieInput>,
) -> Result<axum::Json<Tied>, Problem> {
    let request = TieUnmatchedRequest {
        license_id: actor.license.to_string(),
        unmatched_id: id.to_string(),
        person_id: input.person_id.to_string(),
    };
    let mut unmatched = app.upstreams.unmatched.clone();
    let write = async move { unmatched.tie_unmatched(request).await.map_err(|status| Problem::from_upstream(&status)) };
    let tied = app.finish(write).await?.into_inner();
    Ok(axum::Json(tied.try_into()?))
}

/// Numbers of which nothing is kept while they are nobody's, newest first.
#[utoipa::path(
    get, path = "/v1/blocked-numbers", tag = "unmatched", params(PageQuery),
    responses(
        (status = 200, description = "One page.", body = BlockedNumberPage),
        (status = 422, description = "`invalid_value`, `invalid_cursor`, `unknown_parameter`: `field` says which."),
    ),
)]
pub(crate) async fn list_blocked_numbers(
    State(app): State<App>,
    Manager(actor): Manager,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<BlockedNumberPage>, Problem> {
    let request = ListBlockedNumbersRequest {
        license_id: actor.license.to_string(),
        limit: query.limit,
        cursor: query.cursor.unwrap_or_default(),
    };
    let answer = app.upstreams.unmatched.clone().list_blocked_numbers(request).await;
    let page = answer.map_err(|status| Problem::from_upstream(&status))?.into_inner();
    Ok(axum::Json(page.try_into()?))
}

/// Block a number that is nobody's: what is kept of it goes, and nothing is kept of it from now on. Blocking again changes
/// nothing. Who is tied to a person is heard all the same.
#[utoipa::path(
    post, path = "/v1/blocked-numbers", tag = "unmatched", request_body = BlockInput,
    responses(
        (status = 201, description = "The number is blocked.", body = BlockedNumber),
        (status = 404, description = "`unmatched_not_found`."),
        (status = 409, description = "`number_is_tied`: it belongs to a person."),
        (status = 422, description = "`phone_…`, `invalid_value` and others: `field` says which."),
    ),
)]
pub(crate) async fn block_number(
    State(app): State<App>,
    Manager(actor): Manager,
    _: Query<()>,
    Json(input): Json<BlockInput>,
) -> Result<(StatusCode, axum::Json<BlockedNumber>), Problem> {
    let which = match (input.unmatched_id, input.number) {
        (Some(id), None) => Which::UnmatchedId(id.to_string()),
        (None, Some(number)) => Which::Number(number),
        _ => {
            let detail = "A number is named by either `unmatched_id` or `number`.";
            return Err(Fault::new(FaultKind::Invalid, "invalid_value", detail).into());
        }
    };
    let request = BlockNumberRequest {
        license_id: actor.license.to_string(),
        which: Some(which),
        manager: Some(conversations::Manager { id: actor.id.to_string(), name: actor.name }),
    };
    let mut unmatched = app.upstreams.unmatched.clone();
    let write = async move { unmatched.block_number(request).await.map_err(|status| Problem::from_upstream(&status)) };
    let blocked = app.finish(write).await?.into_inner();
    Ok((StatusCode::CREATED, axum::Json(blocked.try_into()?)))
}

/// Lift a block. Lifting it again does nothing.
#[utoipa::path(
    delete, path = "/v1/blocked-numbers/{blocked_id}", tag = "unmatched",
    params(("blocked_id" = String, Path)),
    responses((status = 204, description = "The number is not blocked any more.")),
)]
pub(crate) async fn unblock_number(
    State(app): State<App>,
    Manager(actor): Manager,
    PathId(id): PathId<Id<BlockedNumberOf>>,
    _: Query<()>,
) -> Result<StatusCode, Problem> {
    let request = UnblockNumberRequest { license_id: actor.license.to_string(), blocked_id: id.to_string() };
    let mut unmatched = app.upstreams.unmatched.clone();
    let write =
        async move { unmatched.unblock_number(request).await.map_err(|status| Problem::from_upstream(&status)) };
    app.finish(write).await?;
    Ok(StatusCode::NO_CONTENT)
}
