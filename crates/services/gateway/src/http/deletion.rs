//! Erasing a conversation (rule 11).

use axum::extract::State;
use domain::{Conversation, Id};
use proto::conversations::{self, DeleteConversationRequest};

use super::App;
use super::extract::{PathId, Query};
use crate::auth::Manager;
use crate::error::Problem;
use crate::views::DeletionReceipt;

/// Delete a conversation: every message in it is erased, everywhere, for all managers, and for good.
///
/// What is not yet sent is not sent. What remains is the receipt. Deleting again answers the first receipt. A later message
/// opens a new conversation.
#[utoipa::path(
    delete, path = "/v1/conversations/{conversation_id}", tag = "conversations",
    params(("conversation_id" = String, Path)),
    responses(
        (status = 200, description = "The receipt: who, when, how many.", body = DeletionReceipt),
        (status = 404, description = "`conversation_not_found`."),
    ),
)]
pub(crate) async fn delete_conversation(
    State(app): State<App>,
    Manager(actor): Manager,
    PathId(id): PathId<Id<Conversation>>,
    _: Query<()>,
) -> Result<axum::Json<DeletionReceipt>, Problem> {
    let request = DeleteConversationRequest {
        license_id: actor.license.to_string(),
        conversation_id: id.to_string(),
        manager: Some(conversations::Manager { id: actor.id.to_string(), name: actor.name }),
    };
    let mut conversations = app.upstreams.conversations.clone();
    let write = async move {
        let answer = conversations.delete_conversation(request).await;
        answer.map_err(|status| Problem::from_upstream(&status))
    };
    let receipt = app.finish(write).await?.into_inner();
    Ok(axum::Json(receipt.try_into()?))
}
