//! For whom a send was, and who got nothing.

use proto::conversations;
use proto::conversations::recipient::To;
use serde::Serialize;
use utoipa::ToSchema;

use super::{BrokenAnswer, Message, examples};

/// Whom a message was for, as the caller named them.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RejectedRecipient)]
pub(crate) enum RecipientView {
    PersonId(String),
    ConversationId(String),
}

/// Somebody to whom nothing goes.
#[derive(Serialize, ToSchema)]
#[schema(example = json!(examples::rejected()))]
pub(crate) struct Rejected {
    recipient: RecipientView,
    /// Stable; for programs: `person_not_found`, `conversation_not_found`, `person_has_no_phone`, `number_no_longer_tied`,
    /// `recipient_opted_out` (no texts are wanted at the number), `cannot_receive_sms` (a landline or the like),
    /// `conversation_moved_on` (see `last_seen_seq`), `duplicate_recipient` (another recipient has the same number),
    /// `body_too_long` (with its merge fields filled in).
    pub(crate) code: String,
    /// A sentence for people.
    pub(crate) detail: String,
    /// With `conversation_moved_on`: the newest messages that you have not seen, oldest first, at most 20. Of a batch, for
    /// the first 20 such conversations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) unseen: Vec<Message>,
}

impl TryFrom<conversations::Recipient> for RecipientView {
    type Error = BrokenAnswer;

    fn try_from(recipient: conversations::Recipient) -> Result<Self, BrokenAnswer> {
        match recipient.to {
            Some(To::PersonId(id)) => Ok(Self::PersonId(id)),
            Some(To::ConversationId(id)) => Ok(Self::ConversationId(id)),
            None => Err(BrokenAnswer("recipient")),
        }
    }
}

impl TryFrom<conversations::Rejection> for Rejected {
    type Error = BrokenAnswer;

    fn try_from(rejection: conversations::Rejection) -> Result<Self, BrokenAnswer> {
        Ok(Self {
            recipient: rejection.recipient.ok_or(BrokenAnswer("recipient"))?.try_into()?,
            code: rejection.code,
            detail: rejection.detail,
            unseen: rejection.unseen.into_iter().map(Message::try_from).collect::<Result<_, _>>()?,
        })
    }
}
