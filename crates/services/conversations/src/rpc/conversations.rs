//! `ConversationsService`: reading messages. Sending is in `send.rs`, consent in `consent.rs`, lists and what
//! each manager has read in `reading.rs`.

use chassis::Fault;
use domain::LicenseId;
use proto::conversations::conversations_service_server::ConversationsService;
use proto::conversations::{
    Conversation, DeleteConversationRequest, DeletionReceipt, GetConversationRequest, GetMessageRequest,
    ListConversationEventsRequest, ListConversationEventsResponse, ListConversationsRequest, ListConversationsResponse,
    ListMessagesRequest, ListMessagesResponse, MarkReadRequest, Message, PutConsentRequest, ReadState,
    SendAgainRequest, SendMessagesRequest, SendMessagesResponse,
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{Context, consent, deletion, page_of, parse_license_id, parse_limit, reading, send, send_again};
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

    async fn send_again(&self, request: Request<SendAgainRequest>) -> Result<Response<SendMessagesResponse>, Status> {
        Ok(Response::new(send_again::send_again(self, request.into_inner()).await?))
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
        Ok(Response::new(reading::list_conversations(self, &request.into_inner()).await?))
    }

    async fn get_conversation(
        &self,
        request: Request<GetConversationRequest>,
    ) -> Result<Response<Conversation>, Status> {
        Ok(Response::new(reading::get_conversation(self, &request.into_inner()).await?))
    }

    async fn list_messages(
        &self,
        request: Request<ListMessagesRequest>,
    ) -> Result<Response<ListMessagesResponse>, Status> {
        Ok(Response::new(list_messages(self, &request.into_inner()).await?))
    }

    async fn list_conversation_events(
        &self,
        request: Request<ListConversationEventsRequest>,
    ) -> Result<Response<ListConversationEventsResponse>, Status> {
        Ok(Response::new(consent::list_events(self, &request.into_inner()).await?))
    }

    async fn put_consent(&self, request: Request<PutConsentRequest>) -> Result<Response<Conversation>, Status> {
        let request = request.into_inner();
        let shown = GetConversationRequest {
            license_id: request.license_id.clone(),
            conversation_id: request.conversation_id.clone(),
            manager_id: request.manager.as_ref().map(|manager| manager.id.clone()).unwrap_or_default(),
        };
        consent::put_consent(self, request).await?;
        Ok(Response::new(reading::get_conversation(self, &shown).await?))
    }

    async fn delete_conversation(
        &self,
        request: Request<DeleteConversationRequest>,
    ) -> Result<Response<DeletionReceipt>, Status> {
        Ok(Response::new(deletion::delete_conversation(self, request.into_inner()).await?))
    }

    async fn mark_read(&self, request: Request<MarkReadRequest>) -> Result<Response<ReadState>, Status> {
        Ok(Response::new(reading::mark_read(self, &request.into_inner()).await?))
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
    let ids = if request.oldest_first {
        messages::list_ids_oldest_first(&mut connection, &license_id, conversation_id, before, limit + 1).await?
    } else {
        messages::list_ids(&mut connection, &license_id, conversation_id, before, limit + 1).await?
    };
    let (ids, last) = page_of(ids, limit);
    let wanted: Vec<_> = ids.iter().map(|id| (license_id.clone(), *id)).collect();
    let mut found = messages::load(&mut connection, &wanted).await?;
    Ok(ListMessagesResponse {
        messages: ids.into_iter().filter_map(|id| found.remove(&id)).collect(),
        next_before: last.map(|id| id.to_string()).unwrap_or_default(),
    })
}
