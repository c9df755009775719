//! What we ask a carrier afterwards: whether it took a message, what became of one, which texts came in.
//!
//! All of it is reading, and may be repeated. What a list does not show may still come: no carrier promises to show at once
//! what it has just taken.

use std::fmt;

use chrono::{DateTime, Utc};
use domain::{MessageBody, PhoneNumber};

use crate::outcome::Refusal;
use crate::webhooks::{InboundMessage, ReceiptStatus};

/// A message that a carrier may have taken (rule 16): by what its list is searched for it.
#[derive(Clone)]
pub struct SentMessage {
    pub from: PhoneNumber,
    pub to: PhoneNumber,
    pub body: MessageBody,
    /// When the attempt began, by our clock.
    pub attempted_at: DateTime<Utc>,
}

impl fmt::Debug for SentMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SentMessage").field("attempted_at", &self.attempted_at).finish_non_exhaustive()
    }
}

/// A message as a carrier knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentCopy {
    pub carrier_message_id: String,
    /// By the carrier's clock.
    pub created_at: DateTime<Utc>,
    pub status: ReceiptStatus,
    /// Why it failed, if it did.
    pub error: Option<Refusal>,
    /// Its text is that of the message that was looked for, every character. Of one that was got by its id: true.
    pub same_text: bool,
}

/// A text from a carrier's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedMessage {
    pub message: InboundMessage,
    /// By the carrier's clock.
    pub received_at: DateTime<Utc>,
}

/// A page of the texts to one of our numbers.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ReceivedPage {
    /// Newest first.
    pub messages: Vec<ReceivedMessage>,
    /// Names the next page; may hold our number. `None`: this was the last one.
    pub next: Option<String>,
}

impl fmt::Debug for ReceivedPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceivedPage")
            .field("messages", &self.messages)
            .field("is_last", &self.next.is_none())
            .finish_non_exhaustive()
    }
}
