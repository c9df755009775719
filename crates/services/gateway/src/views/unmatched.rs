//! Messages of senders whom nobody knows (rule 8), and numbers that are blocked.

use chrono::{DateTime, Utc};
use proto::conversations;
use serde::Serialize;
use utoipa::ToSchema;

use super::conversations::Manager;
use super::{BrokenAnswer, Conversation, Media, examples, text, time};

/// A message from a number that is nobody's. It is kept for 30 days.
#[derive(Serialize, ToSchema)]
#[schema(example = json!(examples::unmatched_message()))]
pub(crate) struct UnmatchedMessage {
    unmatched_id: String,
    /// E.164.
    from: String,
    /// E.164.
    to: String,
    body: String,
    media: Vec<Media>,
    received_at: DateTime<Utc>,
}

/// Messages of unknown senders, newest first.
#[derive(Serialize, ToSchema)]
#[schema(example = json!(examples::page(&examples::unmatched_message())))]
pub(crate) struct UnmatchedPage {
    items: Vec<UnmatchedMessage>,
    /// Null: this was the last page.
    next_cursor: Option<String>,
}

/// A sender who is known now.
#[derive(Serialize, ToSchema)]
#[schema(example = json!(examples::tied()))]
pub(crate) struct Tied {
    /// Without `unread`.
    conversation: Conversation,
    /// How many messages of the sender are in it now.
    messages: u32,
}

/// A number of which nothing is kept while it is nobody's.
#[derive(Serialize, ToSchema)]
#[schema(example = json!(examples::blocked_number()))]
pub(crate) struct BlockedNumber {
    blocked_id: String,
    /// E.164.
    number: String,
    blocked_by: Manager,
    blocked_at: DateTime<Utc>,
}

/// Blocked numbers, newest first.
#[derive(Serialize, ToSchema)]
#[schema(example = json!(examples::page(&examples::blocked_number())))]
pub(crate) struct BlockedNumberPage {
    items: Vec<BlockedNumber>,
    /// Null: this was the last page.
    next_cursor: Option<String>,
}

impl TryFrom<conversations::UnmatchedMessage> for UnmatchedMessage {
    type Error = BrokenAnswer;

    fn try_from(message: conversations::UnmatchedMessage) -> Result<Self, BrokenAnswer> {
        Ok(Self {
            unmatched_id: message.unmatched_id,
            from: message.from,
            to: message.to,
            body: message.body,
            media: message.media.into_iter().map(Media::from).collect(),
            received_at: time(message.received_at, "received_at")?,
        })
    }
}

impl TryFrom<conversations::ListUnmatchedResponse> for UnmatchedPage {
    type Error = BrokenAnswer;

    fn try_from(page: conversations::ListUnmatchedResponse) -> Result<Self, BrokenAnswer> {
        let items = page.messages.into_iter().map(UnmatchedMessage::try_from).collect::<Result<_, _>>()?;
        Ok(Self { items, next_cursor: text(page.next_cursor) })
    }
}

impl TryFrom<conversations::TieUnmatchedResponse> for Tied {
    type Error = BrokenAnswer;

    fn try_from(answer: conversations::TieUnmatchedResponse) -> Result<Self, BrokenAnswer> {
        let mut conversation = Conversation::try_from(answer.conversation.ok_or(BrokenAnswer("conversation"))?)?;
        // The service is not told who asks.
        conversation.unread = None;
        Ok(Self { conversation, messages: answer.messages })
    }
}

impl TryFrom<conversations::BlockedNumber> for BlockedNumber {
    type Error = BrokenAnswer;

    fn try_from(blocked: conversations::BlockedNumber) -> Result<Self, BrokenAnswer> {
        Ok(Self {
            blocked_id: blocked.blocked_id,
            number: blocked.number,
            blocked_by: blocked.blocked_by.ok_or(BrokenAnswer("blocked_by"))?.into(),
            blocked_at: time(blocked.blocked_at, "blocked_at")?,
        })
    }
}

impl TryFrom<conversations::ListBlockedNumbersResponse> for BlockedNumberPage {
    type Error = BrokenAnswer;

    fn try_from(page: conversations::ListBlockedNumbersResponse) -> Result<Self, BrokenAnswer> {
        let items = page.numbers.into_iter().map(BlockedNumber::try_from).collect::<Result<_, _>>()?;
        Ok(Self { items, next_cursor: text(page.next_cursor) })
    }
}
