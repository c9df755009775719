//! Conversations and what was written in them, for reading.

use axum::extract::State;
use chassis::Fault;
use domain::{Conversation as ConversationOf, Id, Message as MessageOf};
use proto::conversations::{GetConversationRequest, ListConversationsRequest, ListMessagesRequest};
use utoipa::IntoParams;

use super::App;
use super::extract::{FromQuery, Parameters, PathId, Query};
use crate::auth::Manager;
use crate::error::Problem;
use crate::views::{Conversation, ConversationPage, MessagePage};

/// Which messages.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct MessagesQuery {
    /// Only messages older than this one: `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    before: Option<Id<MessageOf>>,
    /// 1 to 200, 50 when left out.
    #[param(value_type = Option<u32>)]
    limit: u32,
}

impl FromQuery for MessagesQuery {
    fn from_query(parameters: &mut Parameters) -> Result<Self, Fault> {
        Ok(Self { before: parameters.find("before")?, limit: parameters.page_size()? })
    }
}

/// Which conversations.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ConversationsQuery {
    /// 1 to 200, 50 when left out.
    #[param(value_type = Option<u32>)]
    limit: u32,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Beginnings of words of a name of somebody in it, or digits of the number.
    query: Option<String>,
    /// `true`: only conversations with messages that you have not read. A page may then be short, or empty, and have a
    /// `next_cursor` all the same.
    #[param(value_type = Option<bool>)]
    unread: bool,
}

impl FromQuery for ConversationsQuery {
    fn from_query(parameters: &mut Parameters) -> Result<Self, Fault> {
        Ok(Self {
            limit: parameters.page_size()?,
            cursor: parameters.find_text("cursor"),
            query: parameters.find_text("query"),
            unread: parameters.find("unread")?.unwrap_or(false),
        })
    }
}

/// Conversations, newest first, with what you have not read. Who asks for the first time has read everything up to then.
#[utoipa::path(
    get, path = "/v1/conversations", tag = "conversations", params(ConversationsQuery),
    responses(
        (status = 200, description = "One page.", body = ConversationPage),
        (status = 422, description = "`invalid_value`, `invalid_cursor`, `unknown_parameter`: `field` says which."),
    ),
)]
pub(crate) async fn list_conversations(
    State(app): State<App>,
    Manager(actor): Manager,
    Query(query): Query<ConversationsQuery>,
) -> Result<axum::Json<ConversationPage>, Problem> {
    let request = ListConversationsRequest {
        license_id: actor.license.to_string(),
        limit: query.limit,
        cursor: query.cursor.unwrap_or_default(),
        manager_id: actor.id.to_string(),
        query: query.query.unwrap_or_default(),
        unread_only: query.unread,
    };
    let answer = app.upstreams.conversations.clone().list_conversations(request).await;
    let page = answer.map_err(|status| Problem::from_upstream(&status))?.into_inner();
    Ok(axum::Json(page.try_into()?))
}

/// One conversation.
#[utoipa::path(
    get, path = "/v1/conversations/{conversation_id}", tag = "conversations",
    params(("conversation_id" = String, Path)),
    responses(
        (status = 200, description = "The conversation as it is now.", body = Conversation),
        (status = 404, description = "`conversation_not_found`."),
    ),
)]
pub(crate) async fn get_conversation(
    State(app): State<App>,
    Manager(actor): Manager,
    PathId(id): PathId<Id<ConversationOf>>,
    _: Query<()>,
) -> Result<axum::Json<Conversation>, Problem> {
    let request = GetConversationRequest {
        license_id: actor.license.to_string(),
        conversation_id: id.to_string(),
        manager_id: actor.id.to_string(),
    };
    let answer = app.upstreams.conversations.clone().get_conversation(request).await;
    let conversation = answer.map_err(|status| Problem::from_upstream(&status))?.into_inner();
    Ok(axum::Json(conversation.try_into()?))
}

/// The messages of a conversation, newest first.
#[utoipa::path(
    get, path = "/v1/conversations/{conversation_id}/messages", tag = "conversations",
    params(("conversation_id" = String, Path), MessagesQuery),
    responses(
        (status = 200, description = "One page.", body = MessagePage),
        (status = 404, description = "`conversation_not_found`."),
        (status = 422, description = "`invalid_value`, `unknown_parameter`: `field` says which."),
    ),
)]
pub(crate) async fn list_messages(
    State(app): State<App>,
    Manager(actor): Manager,
    PathId(id): PathId<Id<ConversationOf>>,
    Query(query): Query<MessagesQuery>,
) -> Result<axum::Json<MessagePage>, Problem> {
    let request = ListMessagesRequest {
        license_id: actor.license.to_string(),
        conversation_id: id.to_string(),
        limit: query.limit,
        before: query.before.map(|id| id.to_string()).unwrap_or_default(),
        oldest_first: false,
    };
    let answer = app.upstreams.conversations.clone().list_messages(request).await;
    let page = answer.map_err(|status| Problem::from_upstream(&status))?.into_inner();
    Ok(axum::Json(page.try_into()?))
}
