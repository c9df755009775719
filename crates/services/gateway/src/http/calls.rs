//! Calls to the messages number (rule 6), for reading. They are forwarded, never recorded or listened to.

use axum::extract::State;
use proto::conversations::ListCallsRequest;

use super::App;
use super::extract::{PageQuery, Query};
use crate::auth::Manager;
use crate::error::Problem;
use crate::views::CallPage;

/// Calls to the messages number, newest first: who called, when, and what came of it.
#[utoipa::path(
    get, path = "/v1/calls", tag = "calls", params(PageQuery),
    responses(
        (status = 200, description = "One page.", body = CallPage),
        (status = 422, description = "`invalid_value`, `invalid_cursor`, `unknown_parameter`: `field` says which."),
    ),
)]
pub(crate) async fn list_calls(
    State(app): State<App>,
    Manager(actor): Manager,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<CallPage>, Problem> {
    let request = ListCallsRequest {
        license_id: actor.license.to_string(),
        limit: query.limit,
        cursor: query.cursor.unwrap_or_default(),
    };
    let answer = app.upstreams.calls.clone().list_calls(request).await;
    let page = answer.map_err(|status| Problem::from_upstream(&status))?.into_inner();
    Ok(axum::Json(page.try_into()?))
}
