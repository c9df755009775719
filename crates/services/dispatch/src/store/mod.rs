//! The only SQL of dispatch. Whole batches, one statement for each table.
//!
//! Locks are taken in one order everywhere: lanes by license, then deliveries by message id, then attempts, then lines
//! by number, then limits by scope, name and network.
//! The lane's lock serialises turns; a delivery changes its state only under its own lock and only from the
//! states that its statement names, so that whoever comes late changes nothing.

mod attempts;
mod candidates;
mod claims;
mod holds;
mod inquiries;
mod intake;
mod limit_words;
mod limits;
mod lines;
mod outcomes;
mod sending;
mod sweeps;
mod turn;
mod waits;
mod withdrawals;

use std::fmt;

use carriers::OutboundMessage;
use domain::{CarrierName, Id, LicenseId, Message, MessageBody, Network, PhoneNumber};
use sqlx::PgPool;
use url::Url;

use crate::model::{InquiryTimes, Line};

pub use claims::ClaimRequest;
pub use inquiries::{About, Inquiry};
pub use intake::{NewDelivery, NewNumber, Priority, Said, record_deliveries, record_numbers, settle_by_receipts};
pub use limit_words::{LimitWord, close_limits, pause_senders};
pub use lines::{LearnedLine, record_recipients_that_cannot_receive};
pub use outcomes::{Settlement, record_outcomes};
pub use sending::{NewSending, record_sending};
pub use waits::LastOf;
pub use withdrawals::{NewWithdrawal, Scope, record_withdrawals};

/// Access to the database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
    times: InquiryTimes,
}

impl Store {
    /// `times`: when carriers are asked about what is recorded.
    pub const fn new(pool: PgPool, times: InquiryTimes) -> Self {
        Self { pool, times }
    }
}

/// One try of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptKey {
    pub license_id: LicenseId,
    pub message_id: Id<Message>,
    /// 1 for the first.
    pub number: i32,
}

/// A delivery whose attempt is recorded as begun: it must be sent now, and its outcome recorded.
#[derive(Clone, Debug)]
pub struct Claimed {
    pub key: AttemptKey,
    pub from: PhoneNumber,
    pub carrier: CarrierName,
    /// Of the lane when the attempt began.
    pub setbacks: u32,
    /// What is known of the recipient's line.
    pub line: Option<Line>,
    /// Of the recipient, as far as it is known.
    pub network: Network,
    /// `None`: what is stored cannot be read any more; the delivery fails and harms no other.
    pub content: Option<Content>,
}

/// What is to be sent.
#[derive(Clone)]
pub struct Content {
    pub to: PhoneNumber,
    pub body: MessageBody,
    pub media_urls: Vec<Url>,
}

impl Content {
    /// As carriers take it.
    pub fn into_outbound(self, message_id: Id<Message>, from: PhoneNumber, receipt_url: Url) -> OutboundMessage {
        OutboundMessage { message_id, from, to: self.to, body: self.body, media_urls: self.media_urls, receipt_url }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content").field("to", &self.to).field("body", &self.body).finish_non_exhaustive()
    }
}
