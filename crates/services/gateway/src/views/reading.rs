//! What a manager has read, and a conversation on paper.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use proto::conversations;
use serde::Serialize;
use utoipa::ToSchema;

use super::conversations::ConversationPerson;
use super::{BrokenAnswer, Message, time};

/// What you have read, after a change.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"conversation_id": "01900000-0000-7000-8000-00000000000c", "unread": 0, "total_unread": 3}))]
pub(crate) struct ReadState {
    conversation_id: String,
    /// Inbound messages of the conversation that you have not read.
    unread: u32,
    /// Over all conversations of the license.
    total_unread: u64,
}

/// How a transcript begins: whose conversation it is.
#[derive(Serialize, ToSchema)]
pub(crate) struct TranscriptHead {
    conversation_id: String,
    /// E.164: the other side.
    number: String,
    /// Whose number it was when the messages were written.
    people: Vec<ConversationPerson>,
    opened_at: DateTime<Utc>,
}

/// A message, and who carried it.
#[derive(Serialize, ToSchema)]
pub(crate) struct TranscriptMessage {
    #[serde(flatten)]
    message: Message,
    /// `twilio`, `telnyx`, … Null while nobody has, and for old messages.
    carrier: Option<String>,
    /// The carrier's own id: what its support asks for.
    carrier_message_id: Option<String>,
}

impl From<conversations::ReadState> for ReadState {
    fn from(state: conversations::ReadState) -> Self {
        let conversations::ReadState { conversation_id, unread, total_unread } = state;
        Self { conversation_id, unread, total_unread }
    }
}

impl TryFrom<conversations::Conversation> for TranscriptHead {
    type Error = BrokenAnswer;

    fn try_from(conversation: conversations::Conversation) -> Result<Self, BrokenAnswer> {
        Ok(Self {
            conversation_id: conversation.conversation_id,
            number: conversation.number,
            people: conversation.people.into_iter().map(ConversationPerson::from).collect(),
            opened_at: time(conversation.opened_at, "opened_at")?,
        })
    }
}

impl TryFrom<conversations::Message> for TranscriptMessage {
    type Error = BrokenAnswer;

    fn try_from(mut message: conversations::Message) -> Result<Self, BrokenAnswer> {
        let (carrier, carrier_message_id) = (message.carrier.take(), message.carrier_message_id.take());
        Ok(Self { message: message.try_into()?, carrier, carrier_message_id })
    }
}

impl TranscriptHead {
    /// As a person prints it.
    pub(crate) fn write(&self) -> String {
        let names: Vec<&str> = self.people.iter().map(|person| person.name.as_str()).collect();
        let (names, number, opened_at) = (names.join(", "), &self.number, on_paper(self.opened_at));
        format!("Conversation with {names} ({number})\nOpened {opened_at}\nId {}\n", self.conversation_id)
    }

    /// Who wrote what came in.
    pub(crate) fn sender(&self) -> String {
        let names: Vec<&str> = self.people.iter().map(|person| person.name.as_str()).collect();
        if names.is_empty() { self.number.clone() } else { names.join(" or ") }
    }
}

impl TranscriptMessage {
    /// A block of text: when, who, what became of it, and then the words.
    pub(crate) fn write(&self, sender: &str) -> String {
        let Message { from, to, manager, status, error, body, media, created_at, sent_at, delivered_at, .. } =
            &self.message;
        let who = manager.as_ref().map_or(sender, |manager| manager.name.as_str());
        let from = from.as_deref().map(|from| format!(" ({from})")).unwrap_or_default();
        let mut block = format!("\n{}  {who}{from} to {to}\n[{status}", on_paper(*created_at));
        if let Some(error) = error {
            let _ = write!(block, ": {}", error.detail);
        }
        for (word, time) in [("sent", sent_at), ("delivered", delivered_at)] {
            if let Some(time) = time {
                let _ = write!(block, ", {word} {}", on_paper(*time));
            }
        }
        if let Some(id) = &self.carrier_message_id {
            let _ = write!(block, ", {} {id}", self.carrier.as_deref().unwrap_or("carrier"));
        }
        block.push_str("]\n");
        // Indented, so that no text can look like the beginning of the next message.
        for line in body.lines() {
            let _ = writeln!(block, "    {line}");
        }
        for each in media {
            let _ = writeln!(block, "    + {each}");
        }
        block
    }
}

fn on_paper(time: DateTime<Utc>) -> impl std::fmt::Display {
    time.format("%Y-%m-%d %H:%M:%S UTC")
}
