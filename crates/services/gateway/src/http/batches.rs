//! Sends to many: how far they are, and how to stop them.

use axum::extract::State;
use chassis::Fault;
use domain::{Batch as BatchOf, Id, MessageStatus};
use http::StatusCode;
use proto::conversations::{
    self, CancelBatchRequest, GetBatchRequest, ListBatchMessagesRequest, ListBatchesRequest, ListMessagesResponse,
};
use utoipa::IntoParams;

use super::App;
use super::estimates::{Estimate, estimate_batch};
use super::extract::{FromQuery, PageQuery, Parameters, PathId, Query};
use crate::auth::Manager;
use crate::error::Problem;
use crate::views::{Batch, BatchDetail, BatchPage, MessagePage};

/// Which messages of a batch.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct BatchMessagesQuery {
    /// Only those with this status.
    #[param(value_type = Option<String>, example = "failed")]
    status: Option<MessageStatus>,
    /// 1 to 200, 50 when left out.
    #[param(value_type = Option<u32>)]
    limit: u32,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl FromQuery for BatchMessagesQuery {
    fn from_query(parameters: &mut Parameters) -> Result<Self, Fault> {
        Ok(Self {
            status: parameters.find("status")?,
            limit: parameters.page_size()?,
            cursor: parameters.find_text("cursor"),
        })
    }
}

/// Sends to more than one recipient, newest first.
#[utoipa::path(
    get, path = "/v1/batches", tag = "batches", params(PageQuery),
    responses(
        (status = 200, description = "One page.", body = BatchPage),
        (status = 422, description = "`invalid_value`, `invalid_cursor`, `unknown_parameter`: `field` says which."),
    ),
)]
pub(crate) async fn list_batches(
    State(app): State<App>,
    Manager(actor): Manager,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<BatchPage>, Problem> {
    let request = ListBatchesRequest {
        license_id: actor.license.to_string(),
        limit: query.limit,
        cursor: query.cursor.unwrap_or_default(),
    };
    let answer = app.upstreams.batches.clone().list_batches(request).await;
    let page = answer.map_err(|status| Problem::from_upstream(&status))?.into_inner();
    Ok(axum::Json(page.try_into()?))
}

/// One batch: how many of its messages are where, and until about when the rest goes out.
#[utoipa::path(
    get, path = "/v1/batches/{batch_id}", tag = "batches",
    params(("batch_id" = String, Path)),
    responses(
        (status = 200, description = "The batch as it is now.", body = BatchDetail),
        (status = 404, description = "`batch_not_found`."),
    ),
)]
pub(crate) async fn get_batch(
    State(app): State<App>,
    Manager(actor): Manager,
    PathId(id): PathId<Id<BatchOf>>,
    _: Query<()>,
) -> Result<axum::Json<BatchDetail>, Problem> {
    let request = GetBatchRequest { license_id: actor.license.to_string(), batch_id: id.to_string() };
    let answer = app.upstreams.batches.clone().get_batch(request).await;
    let batch = answer.map_err(|status| Problem::from_upstream(&status))?.into_inner();
    let batch = Batch::try_from(batch)?;
    let Estimate { finish_at, held_by } =
        if batch.waits() { estimate_batch(&app, &actor.license, id).await } else { Estimate::default() };
    Ok(axum::Json(BatchDetail { batch, finish_at, held_by }))
}

/// The messages of a batch, in the order of its recipients.
#[utoipa::path(
    get, path = "/v1/batches/{batch_id}/messages", tag = "batches",
    params(("batch_id" = String, Path), BatchMessagesQuery),
    responses(
        (status = 200, description = "One page.", body = MessagePage),
        (status = 404, description = "`batch_not_found`."),
        (status = 422, description = "`invalid_value`, `invalid_cursor`, `unknown_parameter`: `field` says which."),
    ),
)]
pub(crate) async fn list_batch_messages(
    State(app): State<App>,
    Manager(actor): Manager,
    PathId(id): PathId<Id<BatchOf>>,
    Query(query): Query<BatchMessagesQuery>,
) -> Result<axum::Json<MessagePage>, Problem> {
    let request = ListBatchMessagesRequest {
        license_id: actor.license.to_string(),
        batch_id: id.to_string(),
        limit: query.limit,
        cursor: query.cursor.unwrap_or_default(),
        status: query.status.map(|status| status.to_string()).unwrap_or_default(),
    };
    let answer = app.upstreams.batches.clone().list_batch_messages(request).await;
    let page = answer.map_err(|status| Problem::from_upstream(&status))?.into_inner();
    let page = ListMessagesResponse { messages: page.messages, next_before: page.next_cursor };
    Ok(axum::Json(page.try_into()?))
}

/// Stop what is not yet sent of a batch. What a carrier has already goes on.
///
/// Messages that are stopped become `canceled` one after the other: `batch.updated` and `message.updated` on the feed tell.
/// Canceling again changes nothing.
#[utoipa::path(
    post, path = "/v1/batches/{batch_id}/cancel", tag = "batches",
    params(("batch_id" = String, Path)),
    responses(
        (status = 202, description = "The batch as it is now.", body = Batch),
        (status = 404, description = "`batch_not_found`."),
    ),
)]
pub(crate) async fn cancel_batch(
    State(app): State<App>,
    Manager(actor): Manager,
    PathId(id): PathId<Id<BatchOf>>,
    _: Query<()>,
) -> Result<(StatusCode, axum::Json<Batch>), Problem> {
    let request = CancelBatchRequest {
        license_id: actor.license.to_string(),
        batch_id: id.to_string(),
        manager: Some(conversations::Manager { id: actor.id.to_string(), name: actor.name }),
    };
    let mut batches = app.upstreams.batches.clone();
    let write = async move { batches.cancel_batch(request).await.map_err(|status| Problem::from_upstream(&status)) };
    let batch = app.finish(write).await?.into_inner();
    Ok((StatusCode::ACCEPTED, axum::Json(batch.try_into()?)))
}
