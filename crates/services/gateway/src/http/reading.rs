//! What a manager has read.

use axum::extract::State;
use domain::{Conversation, Id, Message};
use proto::conversations::MarkReadRequest;
use serde::Deserialize;
use utoipa::ToSchema;

use super::App;
use super::extract::{Json, PathId, Query};
use crate::auth::Manager;
use crate::error::Problem;
use crate::views::ReadState;

/// Up to where you have read.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"message_id": "01900000-0000-7000-8000-000000000001"}))]
pub(crate) struct ReadInput {
    /// The newest message that you have seen.
    #[schema(value_type = String)]
    message_id: Id<Message>,
}

/// You have read everything up to a message. Never goes back. Your other devices see it on the feed.
#[utoipa::path(
    post, path = "/v1/conversations/{conversation_id}/read", tag = "conversations", request_body = ReadInput,
    params(("conversation_id" = String, Path)),
    responses(
        (status = 200, description = "What is left to read.", body = ReadState),
        (status = 404, description = "`message_not_found`: there is no such message in this conversation."),
        (status = 422, description = "`invalid_value`, `missing_field`, `unknown_field`: `field` says which."),
    ),
)]
pub(crate) async fn mark_read(
    State(app): State<App>,
    Manager(actor): Manager,
    PathId(id): PathId<Id<Conversation>>,
    _: Query<()>,
    Json(input): Json<ReadInput>,
) -> Result<axum::Json<ReadState>, Problem> {
    let request = MarkReadRequest {
        license_id: actor.license.to_string(),
        manager_id: actor.id.to_string(),
        conversation_id: id.to_string(),
        message_id: input.message_id.to_string(),
    };
    let mut conversations = app.upstreams.conversations.clone();
    let write = async move {
        let answer = conversations.mark_read(request).await;
        answer.map_err(|status| Problem::from_upstream(&status))
    };
    Ok(axum::Json(app.finish(write).await?.into_inner().into()))
}
