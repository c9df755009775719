//! Sends that wait for their time: they are made by `POST /v1/messages` with `send_at`.

use axum::extract::State;
use chassis::Fault;
use chrono::{DateTime, Utc};
use domain::{Id, ScheduledSend as ScheduledSendOf};
use proto::conversations::{CancelScheduledRequest, GetScheduledRequest, ListScheduledRequest, UpdateScheduledRequest};
use proto::to_timestamp;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::extract::{FromQuery, Json, Parameters, PathId, Query};
use crate::auth::Manager;
use crate::error::Problem;
use crate::views::{ScheduledPage, ScheduledSend};

/// Which scheduled sends.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ScheduledQuery {
    /// `true`: those that have ended in the last 30 days, newest first. Else those that wait, soonest first.
    #[param(value_type = Option<bool>)]
    ended: bool,
    /// 1 to 200, 50 when left out.
    #[param(value_type = Option<u32>)]
    limit: u32,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl FromQuery for ScheduledQuery {
    fn from_query(parameters: &mut Parameters) -> Result<Self, Fault> {
        Ok(Self {
            ended: parameters.find("ended")?.unwrap_or(false),
            limit: parameters.page_size()?,
            cursor: parameters.find_text("cursor"),
        })
    }
}

/// What to change.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"body": "Dear {{person.first_name}}, the rent is due today.", "send_at": "2026-03-31T14:00:00Z"}))]
pub(crate) struct ScheduledInput {
    /// Left out: stays as it is.
    body: Option<String>,
    /// RFC 3339, at most 60 days from now. Left out: stays as it is.
    send_at: Option<DateTime<Utc>>,
}

/// Sends that wait for their time, or those that have ended.
#[utoipa::path(
    get, path = "/v1/scheduled", tag = "scheduled", params(ScheduledQuery),
    responses(
        (status = 200, description = "One page.", body = ScheduledPage),
        (status = 422, description = "`invalid_value`, `invalid_cursor`, `unknown_parameter`: `field` says which."),
    ),
)]
pub(crate) async fn list_scheduled(
    State(app): State<App>,
    Manager(actor): Manager,
    Query(query): Query<ScheduledQuery>,
) -> Result<axum::Json<ScheduledPage>, Problem> {
    let request = ListScheduledRequest {
        license_id: actor.license.to_string(),
        limit: query.limit,
        cursor: query.cursor.unwrap_or_default(),
        ended: query.ended,
    };
    let answer = app.upstreams.scheduled.clone().list_scheduled(request).await;
    let page = answer.map_err(|status| Problem::from_upstream(&status))?.into_inner();
    Ok(axum::Json(page.try_into()?))
}

/// One scheduled send, with all its recipients.
#[utoipa::path(
    get, path = "/v1/scheduled/{scheduled_id}", tag = "scheduled",
    params(("scheduled_id" = String, Path)),
    responses(
        (status = 200, description = "It as it is now.", body = ScheduledSend),
        (status = 404, description = "`scheduled_send_not_found`."),
    ),
)]
pub(crate) async fn get_scheduled(
    State(app): State<App>,
    Manager(actor): Manager,
    PathId(id): PathId<Id<ScheduledSendOf>>,
    _: Query<()>,
) -> Result<axum::Json<ScheduledSend>, Problem> {
    let request = GetScheduledRequest { license_id: actor.license.to_string(), scheduled_id: id.to_string() };
    let answer = app.upstreams.scheduled.clone().get_scheduled(request).await;
    let send = answer.map_err(|status| Problem::from_upstream(&status))?.into_inner();
    Ok(axum::Json(send.try_into()?))
}

/// Change the text or the time of a send while it waits.
#[utoipa::path(
    patch, path = "/v1/scheduled/{scheduled_id}", tag = "scheduled", request_body = ScheduledInput,
    params(("scheduled_id" = String, Path)),
    responses(
        (status = 200, description = "It as it is now.", body = ScheduledSend),
        (status = 404, description = "`scheduled_send_not_found`."),
        (status = 409, description = "`already_sent`, `already_canceled`."),
        (status = 422, description = "`send_at_out_of_range`, `unknown_merge_field` and others: `field` says which."),
    ),
)]
pub(crate) async fn update_scheduled(
    State(app): State<App>,
    Manager(actor): Manager,
    PathId(id): PathId<Id<ScheduledSendOf>>,
    _: Query<()>,
    Json(input): Json<ScheduledInput>,
) -> Result<axum::Json<ScheduledSend>, Problem> {
    let request = UpdateScheduledRequest {
        license_id: actor.license.to_string(),
        scheduled_id: id.to_string(),
        body: input.body,
        send_at: input.send_at.map(to_timestamp),
    };
    let mut scheduled = app.upstreams.scheduled.clone();
    let write =
        async move { scheduled.update_scheduled(request).await.map_err(|status| Problem::from_upstream(&status)) };
    let send = app.finish(write).await?.into_inner();
    Ok(axum::Json(send.try_into()?))
}

/// Cancel a send that waits. Canceling again changes nothing.
#[utoipa::path(
    delete, path = "/v1/scheduled/{scheduled_id}", tag = "scheduled",
    params(("scheduled_id" = String, Path)),
    responses(
        (status = 200, description = "It as it is now: `canceled`.", body = ScheduledSend),
        (status = 404, description = "`scheduled_send_not_found`."),
        (status = 409, description = "`already_sent`."),
    ),
)]
pub(crate) async fn cancel_scheduled(
    State(app): State<App>,
    Manager(actor): Manager,
    PathId(id): PathId<Id<ScheduledSendOf>>,
    _: Query<()>,
) -> Result<axum::Json<ScheduledSend>, Problem> {
    let request = CancelScheduledRequest { license_id: actor.license.to_string(), scheduled_id: id.to_string() };
    let mut scheduled = app.upstreams.scheduled.clone();
    let write =
        async move { scheduled.cancel_scheduled(request).await.map_err(|status| Problem::from_upstream(&status)) };
    let send = app.finish(write).await?.into_inner();
    Ok(axum::Json(send.try_into()?))
}
