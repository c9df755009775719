//! `ConversationsService`: reading conversations and messages. Sending is in `send.rs`.

use chassis::Fault;
use domain::LicenseId;
use proto::conversations::conversations_service_server::ConversationsService;
use proto::conversations::{
    Conversation, GetConversationRequest, GetMessageRequest, ListConversationsRequest, ListConversationsResponse,
    ListMessagesRequest, ListMessagesResponse, Message, SendMessagesRequest, SendMessagesResponse,
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::cursor::{find_moment, write_moment};
use super::{Context, page_of, parse_license_id, parse_limit, send};
use crate::error;
use crate::store::{conversations, messages};

#[tonic::async_trait]
impl ConversationsService for Context {
    async fn send_messages(
        &self,
        request: Request<SendMessagesRequest>,
    ) -> Result<Response<SendMessagesResponse>, Status> {
        Ok(Response::new(send::send_messages(self, request.into_inner()).await?))
    }

    async fn get_message(&self, request: Request<GetMessageRequest>) -> Result<Response<Message>, Status> {
        let request = request.into_inner();
        let license_id = parse_license_id(&request.license_id)?;
        Ok(Response::new(get_message(self, license_id, &request.message_id).await?))
    }

    async fn list_conversations(
        &self,
        request: Request<ListConversationsRequest>,
    ) -> Result<Response<ListConversationsResponse>, Status> {
        Ok(Response::new(list_conversations(self, &request.into_inner()).await?))
    }

    async fn get_conversation(
        &self,
        request: Request<GetConversationRequest>,
    ) -> Result<Response<Conversation>, Status> {
        let request = request.into_inner();
        let license_id = parse_license_id(&request.license_id)?;
        Ok(Response::new(get_conversation(self, license_id, &request.conversation_id).await?))
    }

    async fn list_messages(
        &self,
        request: Request<ListMessagesRequest>,
    ) -> Result<Response<ListMessagesResponse>, Status> {
        Ok(Response::new(list_messages(self, &request.into_inner()).await?))
    }
}

async fn get_message(context: &Context, license_id: LicenseId, message_id: &str) -> Result<Message, Fault> {
    // An id that cannot be one of ours names nothing.
    let id = Uuid::try_parse(message_id).map_err(|_| error::message_not_found())?;
    let mut connection = context.connection().await?;
    messages::load(&mut connection, &[(license_id, id)]).await?.remove(&id).ok_or_else(error::message_not_found)
}

async fn get_conversation(
    context: &Context,
    license_id: LicenseId,
    conversation_id: &str,
) -> Result<Conversation, Fault> {
    let id = Uuid::try_parse(conversation_id).map_err(|_| error::conversation_not_found())?;
    let mut connection = context.connection().await?;
    let mut found = conversations::load(&mut connection, &[(license_id, id)]).await?;
    found.remove(&id).ok_or_else(error::conversation_not_found)
}

async fn list_conversations(
    context: &Context,
    request: &ListConversationsRequest,
) -> Result<ListConversationsResponse, Fault> {
    let license_id = parse_license_id(&request.license_id)?;
    let limit = parse_limit(request.limit, 200)?;
    let after = find_moment(&request.cursor)?;
    let mut connection = context.connection().await?;
    let moments = conversations::list_moments(&mut connection, &license_id, after, limit + 1).await?;
    let (moments, last) = page_of(moments, limit);
    let wanted: Vec<_> = moments.iter().map(|moment| (license_id.clone(), moment.id)).collect();
    let mut found = conversations::load(&mut connection, &wanted).await?;
    Ok(ListConversationsResponse {
        conversations: moments.into_iter().filter_map(|moment| found.remove(&moment.id)).collect(),
        next_cursor: last.map(write_moment).unwrap_or_default(),
    })
}

async fn list_messages(context: &Context, request: &ListMessagesRequest) -> Result<ListMessagesResponse, Fault> {
    let license_id = parse_license_id(&request.license_id)?;
    let limit = parse_limit(request.limit, 200)?;
    let conversation = get_conversation(context, license_id.clone(), &request.conversation_id).await?;
    let conversation_id =
        Uuid::try_parse(&conversation.conversation_id).map_err(|_| error::conversation_not_found())?;
    let before =
        match request.before.as_str() {
            "" => None,
            text => Some(Uuid::try_parse(text).map_err(|_| {
                Fault::invalid("before", "invalid_id", "Give the id of a message of this conversation.")
            })?),
        };
    let mut connection = context.connection().await?;
    let ids = messages::list_ids(&mut connection, &license_id, conversation_id, before, limit + 1).await?;
    let (ids, last) = page_of(ids, limit);
    let wanted: Vec<_> = ids.iter().map(|id| (license_id.clone(), *id)).collect();
    let mut found = messages::load(&mut connection, &wanted).await?;
    Ok(ListMessagesResponse {
        messages: ids.into_iter().filter_map(|id| found.remove(&id)).collect(),
        next_before: last.map(|id| id.to_string()).unwrap_or_default(),
    })
}
