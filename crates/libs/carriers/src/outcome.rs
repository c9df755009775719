//! What is known after a call to a carrier. Each variant is a policy, not a description:
//! the caller never looks at status codes or carrier codes to decide what to do next.
//!
//! | variant | was it done? | what the caller does |
//! |---|---|---|
//! | `Accepted` / `Ok` | yes | goes on |
//! | `Rejected` / `Refused` | surely not, and never will be | tells the user |
//! | `Throttled` | surely not | waits `retry_after` or backs off, then calls again |
//! | `Unreachable` | surely not | backs off, then calls again |
//! | `Unknown` | perhaps | finds out before it calls again (rule 16) |

use std::time::Duration;

use domain::SendingLimit;
use thiserror::Error;

/// Our names for why a carrier did not take or did not deliver a message. Stable: they reach the API's `error.code`.
pub mod refusal_code {
    /// The recipient's number does not exist or is not a number.
    pub const INVALID_RECIPIENT: &str = "invalid_recipient";
    /// The recipient said STOP to this number.
    pub const RECIPIENT_OPTED_OUT: &str = "recipient_opted_out";
    /// A landline, or another line that cannot take text messages.
    pub const CANNOT_RECEIVE_SMS: &str = "cannot_receive_sms";
    /// The phone is off or out of reach, or its network does not answer. Another try later may work.
    pub const NOT_REACHABLE: &str = "not_reachable";
    /// A carrier took the text for spam or blocked it for its content.
    pub const FILTERED: &str = "filtered";
    /// Our account may not send to the recipient's region.
    pub const REGION_NOT_ALLOWED: &str = "region_not_allowed";
    /// Our own number cannot send yet: not registered, not text-enabled, still being set up.
    pub const NUMBER_NOT_READY: &str = "number_not_ready";
    /// Our account at the carrier is suspended, unpaid, or its credentials are wrong. An operator must act.
    pub const ACCOUNT_PROBLEM: &str = "account_problem";
    /// Longer than the carrier takes.
    pub const MESSAGE_TOO_LONG: &str = "message_too_long";
    /// Refused for any other reason, also one we do not know.
    pub const REJECTED_BY_CARRIER: &str = "rejected_by_carrier";
}

/// Why a message was not taken or not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// One of [`refusal_code`].
    pub code: &'static str,
    /// A sentence for people. Ours, never the carrier's: theirs quote phone numbers.
    pub detail: String,
    /// The carrier's own code, for support. Twilio's are numbers, Telnyx' are strings.
    pub carrier_code: Option<String>,
    /// The limit that was reached, if that is the reason (rule 18).
    pub limit: Option<SendingLimit>,
}

/// What is known after [`crate::Carrier::send_message`] (rule 16).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    /// The carrier has it.
    Accepted {
        /// The carrier's id of the message.
        carrier_message_id: String,
        /// As the carrier counts, if it says so already.
        segments: Option<u32>,
    },
    /// The carrier surely did not take it and never will.
    Rejected(Refusal),
    /// The carrier surely did not take it, because we are too fast.
    Throttled {
        /// How long the carrier asks us to wait, if it says so.
        retry_after: Option<Duration>,
        /// The limit that was reached, if the carrier names one (rule 18). Absent: too many requests of our account.
        limit: Option<SendingLimit>,
    },
    /// The request was surely never written: no connection came about.
    Unreachable {
        /// For operators: what failed. No numbers, no text, no address with parameters.
        cause: String,
    },
    /// The request may have been read. A retry may text somebody twice.
    Unknown {
        /// For operators, as above.
        cause: String,
    },
}

/// Why a call that sends nothing did not succeed. Reading calls may be repeated after any of these but `Refused`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CallError {
    /// The carrier understood and said no.
    #[error("the carrier refused: {}", .0.detail)]
    Refused(NumberRefusal),
    /// Surely not done, because we are too fast.
    #[error("the carrier asks us to slow down")]
    Throttled {
        /// How long the carrier asks us to wait, if it says so.
        retry_after: Option<Duration>,
    },
    /// The request was surely never written.
    #[error("the carrier cannot be reached: {cause}")]
    Unreachable {
        /// For operators: what failed. No numbers, no address with parameters.
        cause: String,
    },
    /// The request may have been read. Look with `find_owned_number` before buying or releasing again (rule 5).
    #[error("it is not known what the carrier did: {cause}")]
    Unknown {
        /// For operators, as above.
        cause: String,
    },
}

/// A carrier's no to a call about numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberRefusal {
    /// What the caller can do about it.
    pub kind: NumberRefusalKind,
    /// The carrier's own code, for support.
    pub carrier_code: Option<String>,
    /// A sentence for people. Ours, never the carrier's.
    pub detail: String,
}

/// What a caller can do about a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberRefusalKind {
    /// Sold meanwhile, reserved, or ours already (a purchase whose answer was lost): look, then take another.
    NotAvailable,
    /// Not a number, or an area code, that the carrier knows. Take another.
    Invalid,
    /// The number may be bought only with an address or documents. Take another.
    NeedsAddress,
    /// Account suspended, unpaid, without permission, or wrong credentials. An operator must act; no other number helps.
    Account,
    /// Any other reason, also one we do not know.
    Other,
}
