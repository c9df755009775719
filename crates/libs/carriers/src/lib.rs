//! Carriers: the companies that own the wire, behind two traits.
//!
//! [`Carrier`] is what we ask of a carrier (buy a number, send a message). [`Webhooks`] is what a carrier
//! posts to us: pure, no I/O, so that `ingest` can verify and read a request without a connection to anybody.
//! One folder per carrier holds everything that is particular to it.
//!
//! What this crate refuses to do: retry. No carrier has an idempotency key, so every answer says what is known
//! about the call ([`SendOutcome`], [`CallError`]) and the caller decides what follows (rule 16).
//! It also never logs, and no error or `Debug` output of it holds a phone number, a text or a secret.

mod addresses;
mod calls;
mod carrier;
mod connect;
mod error_tables;
mod exchange;
mod form;
#[cfg(test)]
mod harness;
mod inquiries;
mod lines;
mod media;
mod outcome;
pub mod telnyx;
pub mod twilio;
mod twiml;
mod webhooks;

pub use addresses::{InvalidAddress, WebhookAddresses};
pub use carrier::{Carrier, NumberOrder, NumberSearch, NumberWebhooks, OutboundMessage, OwnedNumber, OwnedPage};
pub use connect::{Carriers, ConnectError};
pub use exchange::ClientError;
pub use inquiries::{ReceivedMessage, ReceivedPage, SentCopy, SentMessage};
pub use lines::{LineInfo, LineType};
pub use media::{FetchedMedia, MediaError, MediaLimits, MediaRefusal};
pub use outcome::{CallError, NumberRefusal, NumberRefusalKind, Refusal, SendOutcome, refusal_code};
pub use webhooks::{
    CallInstruction, CallReport, Forward, InboundCall, InboundMedia, InboundMessage, MalformedWebhook, Receipt,
    ReceiptStatus, SignatureError, WebhookAnswer, WebhookRequest, Webhooks,
};
