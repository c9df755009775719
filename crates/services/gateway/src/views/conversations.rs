//! Conversations and their messages.

use chrono::{DateTime, Utc};
use proto::conversations;
use serde::Serialize;
use utoipa::ToSchema;

use super::{BrokenAnswer, Consent, Media, examples, find_time, text, time};

/// One SMS or MMS.
#[derive(Serialize, ToSchema)]
#[schema(example = json!(examples::message()))]
#[expect(clippy::struct_field_names, reason = "the names are those of the API")]
pub(crate) struct Message {
    pub(crate) message_id: String,
    conversation_id: String,
    /// `inbound` or `outbound`.
    direction: String,
    pub(super) body: String,
    pub(super) media: Vec<Media>,
    /// E.164. Null while an outbound message has not gone out.
    pub(super) from: Option<String>,
    /// E.164.
    pub(super) to: String,
    /// Who sent it. Null for inbound messages.
    pub(super) manager: Option<Manager>,
    /// Inbound: `received`. Outbound: `queued`, `sending`, `sent`, `delivered`, `undelivered`, `failed`, `canceled`
    /// or `unknown`: nobody knows yet whether the carrier took it. It never goes backwards.
    /// An unknown message with the error `not_confirmed` stays so: it may have arrived, and a manager may send it again.
    pub(crate) status: String,
    /// Why it failed.
    pub(super) error: Option<MessageError>,
    segments: u32,
    pub(super) created_at: DateTime<Utc>,
    pub(super) sent_at: Option<DateTime<Utc>>,
    pub(super) delivered_at: Option<DateTime<Utc>>,
    /// Set when it went to many.
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_id: Option<String>,
    /// The message that took its place, when somebody sent it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_again_as: Option<String>,
}

/// A manager as they were when they did it.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"id": "m-1", "name": "Mia Manager"}))]
pub(crate) struct Manager {
    id: String,
    pub(super) name: String,
}

/// Why a message failed.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"code": "cannot_receive_sms", "detail": "This is a landline."}))]
pub(crate) struct MessageError {
    /// Stable; for programs: `cannot_receive_sms` (a landline or the like), `invalid_recipient`, `recipient_opted_out`,
    /// `not_reachable`, `filtered`, `region_not_allowed`, `number_not_ready`, `account_problem`, `message_too_long`,
    /// `rejected_by_carrier`, `expired`, `not_confirmed`. There may be more in future.
    code: String,
    /// A sentence for people.
    pub(super) detail: String,
}

/// Messages, newest first.
#[derive(Serialize, ToSchema)]
#[schema(example = json!(examples::page(&examples::message())))]
pub(crate) struct MessagePage {
    items: Vec<Message>,
    /// The `before` of the next page. Null: this was the last page.
    next_cursor: Option<String>,
}

/// All messages with one number while it stays with the same people.
#[derive(Serialize, ToSchema)]
#[schema(example = json!(examples::conversation()))]
#[expect(clippy::struct_field_names, reason = "the names are those of the API")]
pub(crate) struct Conversation {
    conversation_id: String,
    /// E.164: the other side.
    number: String,
    /// Whose number it was when the messages were written.
    people: Vec<ConversationPerson>,
    last_message: Option<Message>,
    /// False: read-only, for `reason`.
    sendable: bool,
    /// `number_no_longer_tied`: nobody of this conversation has the number any more. `cannot_receive_sms`: the number is
    /// a landline or the like, as a carrier said; a text from it lifts this. `recipient_opted_out`: no texts are wanted; see
    /// `consent`.
    reason: Option<String>,
    /// Whether texts are wanted at the number. Null: nothing was said, or the number went to somebody else.
    consent: Option<Consent>,
    opened_at: DateTime<Utc>,
    /// Inbound messages that you have not read. Left out on the feed, which is for all managers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unread: Option<u32>,
    /// With `number_no_longer_tied`: the conversation in which its people are reached now, if there is one.
    newer_conversation_id: Option<String>,
    /// Conversations that have this one as their newer one, newest first, at most 20.
    older_conversation_ids: Vec<String>,
}

/// What remains of a deleted conversation (rule 11).
#[derive(Serialize, ToSchema)]
#[schema(example = json!(examples::deletion_receipt()))]
pub(crate) struct DeletionReceipt {
    conversation_id: String,
    deleted_by: Manager,
    deleted_at: DateTime<Utc>,
    /// How many messages were erased.
    messages: u32,
}

/// A person of a conversation.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConversationPerson {
    person_id: String,
    kind: String,
    pub(super) name: String,
}

/// Conversations, newest first.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [examples::conversation()], "next_cursor": null, "total_unread": 1}))]
pub(crate) struct ConversationPage {
    items: Vec<Conversation>,
    /// Null: this was the last page.
    next_cursor: Option<String>,
    /// Your unread messages over all conversations of the license.
    total_unread: u64,
}

impl From<conversations::ConversationPerson> for ConversationPerson {
    fn from(person: conversations::ConversationPerson) -> Self {
        let conversations::ConversationPerson { person_id, kind, name } = person;
        Self { person_id, kind, name }
    }
}

impl From<conversations::Manager> for Manager {
    fn from(conversations::Manager { id, name }: conversations::Manager) -> Self {
        Self { id, name }
    }
}

impl TryFrom<conversations::Message> for Message {
    type Error = BrokenAnswer;

    fn try_from(message: conversations::Message) -> Result<Self, BrokenAnswer> {
        Ok(Self {
            message_id: message.message_id,
            conversation_id: message.conversation_id,
            direction: message.direction,
            body: message.body,
            media: message.media.into_iter().map(Media::from).collect(),
            from: text(message.from),
            to: message.to,
            manager: message.manager.map(Manager::from),
            status: message.status,
            error: message.error.map(|error| MessageError { code: error.code, detail: error.detail }),
            segments: message.segments,
            created_at: time(message.created_at, "created_at")?,
            sent_at: find_time(message.sent_at, "sent_at")?,
            delivered_at: find_time(message.delivered_at, "delivered_at")?,
            batch_id: message.batch_id,
            sent_again_as: message.sent_again_as,
        })
    }
}

impl TryFrom<conversations::Conversation> for Conversation {
    type Error = BrokenAnswer;

    fn try_from(conversation: conversations::Conversation) -> Result<Self, BrokenAnswer> {
        Ok(Self {
            conversation_id: conversation.conversation_id,
            number: conversation.number,
            people: conversation.people.into_iter().map(ConversationPerson::from).collect(),
            last_message: conversation.last_message.map(Message::try_from).transpose()?,
            sendable: conversation.sendable,
            reason: conversation.reason,
            consent: conversation.consent.map(Consent::try_from).transpose()?,
            opened_at: time(conversation.opened_at, "opened_at")?,
            unread: Some(conversation.unread),
            newer_conversation_id: conversation.newer_conversation_id,
            older_conversation_ids: conversation.older_conversation_ids,
        })
    }
}

impl TryFrom<conversations::DeletionReceipt> for DeletionReceipt {
    type Error = BrokenAnswer;

    fn try_from(receipt: conversations::DeletionReceipt) -> Result<Self, BrokenAnswer> {
        Ok(Self {
            conversation_id: receipt.conversation_id,
            deleted_by: receipt.deleted_by.ok_or(BrokenAnswer("deleted_by"))?.into(),
            deleted_at: time(receipt.deleted_at, "deleted_at")?,
            messages: receipt.messages,
        })
    }
}

impl TryFrom<conversations::ListConversationsResponse> for ConversationPage {
    type Error = BrokenAnswer;

    fn try_from(page: conversations::ListConversationsResponse) -> Result<Self, BrokenAnswer> {
        let items = page.conversations.into_iter().map(Conversation::try_from).collect::<Result<_, _>>()?;
        Ok(Self { items, next_cursor: text(page.next_cursor), total_unread: page.total_unread })
    }
}

impl TryFrom<conversations::ListMessagesResponse> for MessagePage {
    type Error = BrokenAnswer;

    fn try_from(page: conversations::ListMessagesResponse) -> Result<Self, BrokenAnswer> {
        let items = page.messages.into_iter().map(Message::try_from).collect::<Result<_, _>>()?;
        Ok(Self { items, next_cursor: text(page.next_before) })
    }
}
