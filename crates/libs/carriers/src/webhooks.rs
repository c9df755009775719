//! What a carrier posts to us, and how we know that it was the carrier.
//!
//! Everything here is pure: a request goes in, a verified and parsed fact comes out. Call [`Webhooks::verify`]
//! before any parsing; a request that fails it gets 403 and never becomes an event.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{CallResult, CarrierName, Id, Message, MessageStatus, PhoneNumber};
use thiserror::Error;
use url::Url;

use crate::outcome::Refusal;

/// How one carrier signs and words its requests.
pub trait Webhooks: Send + Sync + fmt::Debug {
    /// Which carrier this is.
    fn name(&self) -> CarrierName;

    /// Was this request made by the carrier, for our account?
    fn verify(&self, request: &WebhookRequest<'_>) -> Result<(), SignatureError>;

    /// Reads an inbound message. The same delivery read twice gives equal values.
    fn parse_message(&self, request: &WebhookRequest<'_>) -> Result<InboundMessage, MalformedWebhook>;

    /// Reads a receipt.
    fn parse_receipt(&self, request: &WebhookRequest<'_>) -> Result<Receipt, MalformedWebhook>;

    /// Reads an inbound call.
    fn parse_call(&self, request: &WebhookRequest<'_>) -> Result<InboundCall, MalformedWebhook>;

    /// Reads what came of a call. `None`: it says that the call ended and not how; another request says that.
    fn parse_call_report(&self, request: &WebhookRequest<'_>) -> Result<Option<CallReport>, MalformedWebhook>;

    /// What a call webhook answers, with status 200.
    fn call_answer(&self, instruction: &CallInstruction) -> WebhookAnswer;

    /// What a message webhook answers, with status 200: says nothing to the sender.
    fn message_answer(&self) -> WebhookAnswer;

    /// What a receipt webhook answers, with status 200.
    fn receipt_answer(&self) -> WebhookAnswer;
}

/// A request as it came in, not yet trusted.
#[derive(Clone, Copy)]
pub struct WebhookRequest<'a> {
    /// GET or POST.
    pub method: &'a http::Method,
    /// The configured public base with path and query as received. Never built from the `Host` header.
    pub url: &'a Url,
    /// All headers.
    pub headers: &'a http::HeaderMap,
    /// The raw body: some signatures cover its bytes.
    pub body: &'a [u8],
    /// Now, as ingest's clock says: some signatures are good for minutes only.
    pub received_at: DateTime<Utc>,
}

impl WebhookRequest<'_> {
    /// Our id of the message that a receipt is about, from the address that the message gave the carrier.
    pub(crate) fn message_id(&self) -> Result<Id<Message>, MalformedWebhook> {
        let mid = self.url.query_pairs().find(|(name, _)| name == "mid");
        let (_, mid) = mid.ok_or(MalformedWebhook::MissingField("mid"))?;
        mid.parse().map_err(|_| MalformedWebhook::InvalidField("mid"))
    }
}

impl fmt::Debug for WebhookRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookRequest")
            .field("method", self.method)
            .field("path", &self.url.path())
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Why a request is not trusted. Holds nothing of the request: what is in it was written by a stranger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// No signature at all.
    #[error("the request is not signed")]
    Missing,
    /// Signed by somebody else, or for another address, or changed on the way.
    #[error("the signature does not match")]
    Mismatch,
    /// Signed, but too long ago or for a time to come: perhaps a copy of an old request.
    #[error("the signature is not of this time")]
    Expired,
    /// Signed in a way that this version does not know.
    #[error("the signature uses an algorithm that is not supported")]
    UnsupportedAlgorithm,
    /// The body is not what its content type says, so nothing can be checked.
    #[error("the body cannot be read")]
    UnreadableBody,
}

impl SignatureError {
    /// A stable name for metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Mismatch => "mismatch",
            Self::Expired => "expired",
            Self::UnsupportedAlgorithm => "unsupported_algorithm",
            Self::UnreadableBody => "unreadable_body",
        }
    }
}

/// Why a trusted request does not become an event. Repeating it would not help, so the answer is not a 5xx.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MalformedWebhook {
    /// A parameter that must be there is not.
    #[error("the parameter {0} is missing")]
    MissingField(&'static str),
    /// A parameter is there but cannot be read.
    #[error("the parameter {0} cannot be read")]
    InvalidField(&'static str),
    /// Not a North American phone number: a short code, a name, another country, `whatsapp:`.
    /// A normal event of the trade, not a fault: answer 200 so that the carrier does not retry, count as ignored (rule 12).
    #[error("the sender is not a North American phone number")]
    UnsupportedSender,
    /// A status, or a result of a call, that this version does not know. Carriers add some without notice.
    #[error("the status is not known")]
    UnknownStatus,
    /// The body has no parameters to read.
    #[error("the body is not in the carrier's format")]
    UnreadableBody,
}

impl MalformedWebhook {
    /// A stable name for metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::MissingField(_) => "missing_field",
            Self::InvalidField(_) => "invalid_field",
            Self::UnsupportedSender => "unsupported_sender",
            Self::UnknownStatus => "unknown_status",
            Self::UnreadableBody => "unreadable_body",
        }
    }
}

/// A message from somebody's phone to one of our numbers.
#[derive(Clone, PartialEq, Eq)]
pub struct InboundMessage {
    /// The carrier's id: the same for every delivery of the same message.
    pub carrier_message_id: String,
    /// The sender.
    pub from: PhoneNumber,
    /// Our number.
    pub to: PhoneNumber,
    /// The text, every character of it (rule 14). Empty if there are only pictures.
    pub body: String,
    /// Pictures and files, in order.
    pub media: Vec<InboundMedia>,
    /// As the carrier counts, if it says so.
    pub segments: Option<u32>,
}

impl fmt::Debug for InboundMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboundMessage")
            .field("carrier_message_id", &self.carrier_message_id)
            .field("from", &self.from)
            .field("to", &self.to)
            .field("body_characters", &self.body.chars().count())
            .field("media", &self.media.len())
            .field("segments", &self.segments)
            .finish()
    }
}

/// One picture or file of an inbound message, still at the carrier.
#[derive(Clone, PartialEq, Eq)]
pub struct InboundMedia {
    /// Where the carrier keeps it. Whoever knows it can often read it, so it is content.
    pub url: Url,
    /// MIME type as the carrier says, empty if it does not.
    pub content_type: String,
}

impl fmt::Debug for InboundMedia {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboundMedia").field("content_type", &self.content_type).finish_non_exhaustive()
    }
}

/// What a carrier later says about a message it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Our id, from `?mid=` of the receipt address: proves that the message exists at the carrier (rule 16).
    pub message_id: Id<Message>,
    /// The carrier's id of the message.
    pub carrier_message_id: String,
    /// How far it is.
    pub status: ReceiptStatus,
    /// Why it failed, if it did.
    pub error: Option<Refusal>,
}

/// How far a message is. Receipts come in any order; the status machine of `domain` sorts that out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReceiptStatus {
    /// The carrier has it, queued or under way.
    Sending,
    /// Handed to the recipient's network. May stay so for ever.
    Sent,
    /// The phone has it.
    Delivered,
    /// The recipient's network did not deliver it.
    Undelivered,
    /// The carrier did not send it.
    Failed,
    /// Taken back before it was sent.
    Canceled,
}

impl ReceiptStatus {
    /// Did it go wrong, for a reason that the carrier has a code for?
    pub(crate) const fn is_failure(self) -> bool {
        matches!(self, Self::Undelivered | Self::Failed)
    }

    /// The word of the design.
    pub const fn message_status(self) -> MessageStatus {
        match self {
            Self::Sending => MessageStatus::Sending,
            Self::Sent => MessageStatus::Sent,
            Self::Delivered => MessageStatus::Delivered,
            Self::Undelivered => MessageStatus::Undelivered,
            Self::Failed => MessageStatus::Failed,
            Self::Canceled => MessageStatus::Canceled,
        }
    }
}

/// Somebody calls one of our numbers.
#[derive(Clone, PartialEq, Eq)]
pub struct InboundCall {
    /// The carrier's id: the same in every request about this call.
    pub carrier_call_id: String,
    /// The caller. Absent if withheld or no North American number.
    pub from: Option<PhoneNumber>,
    /// The caller as the company's phone may show it: E.164 of any country. Absent if withheld or not a number.
    pub caller_id: Option<String>,
    /// Our number.
    pub to: PhoneNumber,
}

/// What came of a call.
#[derive(Clone, PartialEq, Eq)]
pub struct CallReport {
    /// The carrier's id of the caller's call, not of the forwarded one.
    pub carrier_call_id: String,
    /// As in [`InboundCall::from`].
    pub from: Option<PhoneNumber>,
    /// Our number.
    pub to: PhoneNumber,
    pub result: CallResult,
    /// How long the two talked, in seconds, if the carrier says so.
    pub duration_s: Option<u32>,
}

/// Only the carrier's id: who calls whom is nobody's business.
impl fmt::Debug for InboundCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboundCall").field("carrier_call_id", &self.carrier_call_id).finish_non_exhaustive()
    }
}

impl fmt::Debug for CallReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallReport")
            .field("carrier_call_id", &self.carrier_call_id)
            .field("result", &self.result)
            .field("duration_s", &self.duration_s)
            .finish_non_exhaustive()
    }
}

/// What the carrier does with a call (rule 6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallInstruction {
    /// Rings another phone; the caller hears ringing until it is taken.
    Forward(Forward),
    /// Speaks a sentence, then hangs up.
    Say(&'static str),
    HangUp,
}

/// Where a call goes.
#[derive(Clone, PartialEq, Eq)]
pub struct Forward {
    pub to: PhoneNumber,
    /// What the rung phone shows: the caller's number, or ours where there is none (CARRIERS §5). E.164.
    pub caller_id: String,
    /// Whole seconds, 5 to 120.
    pub ring_for: Duration,
    /// Asked what to do after the call, and told what came of it.
    pub then: Url,
}

impl fmt::Debug for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forward").field("ring_for", &self.ring_for).finish_non_exhaustive()
    }
}

/// The body of a 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookAnswer {
    /// Value of the `Content-Type` header. Carriers complain if there is none.
    pub content_type: &'static str,
    /// The whole body.
    pub body: Cow<'static, str>,
}
