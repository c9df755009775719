//! What callers see: the JSON shapes of design §3, made from what the services answer.
//!
//! They decide nothing. A service's answer that lacks what it must have is our mistake, not the caller's.

mod batches;
mod calls;
mod consent;
mod conversations;
pub(crate) mod examples;
mod media;
mod people;
mod reading;
mod recipients;
mod scheduled;
mod search;
mod settings;
mod unmatched;
mod waiting;

pub(crate) use batches::{Batch, BatchDetail, BatchPage, PreviewedMessage};
pub(crate) use calls::{Call, CallPage};
pub(crate) use consent::{Consent, ConversationEvent, ConversationEventPage};
pub(crate) use conversations::{Conversation, ConversationPage, DeletionReceipt, Message, MessagePage};
pub(crate) use media::Media;
pub(crate) use people::{Person, PersonPage};
pub(crate) use reading::{ReadState, TranscriptHead, TranscriptMessage};
pub(crate) use recipients::{RecipientView, Rejected};
pub(crate) use scheduled::{ScheduledPage, ScheduledSend};
pub(crate) use search::SearchPage;
pub(crate) use settings::{Candidate, Settings};
pub(crate) use unmatched::{BlockedNumber, BlockedNumberPage, Tied, UnmatchedPage};
pub(crate) use waiting::Waiting;

use chassis::Fault;
use chrono::{DateTime, Utc};
use prost_types::Timestamp;
use proto::from_timestamp;

use crate::error::Problem;

/// A service answered what its contract excludes.
#[derive(Debug, thiserror::Error)]
#[error("the answer lacks `{0}`, or it is wrong")]
pub(crate) struct BrokenAnswer(pub(crate) &'static str);

impl From<BrokenAnswer> for Problem {
    fn from(broken: BrokenAnswer) -> Self {
        tracing::error!(field = broken.0, "an upstream's answer breaks its contract");
        Fault::internal().into()
    }
}

fn time(timestamp: Option<Timestamp>, field: &'static str) -> Result<DateTime<Utc>, BrokenAnswer> {
    from_timestamp(timestamp).map_err(|_| BrokenAnswer(field))
}

pub(crate) fn find_time(
    timestamp: Option<Timestamp>,
    field: &'static str,
) -> Result<Option<DateTime<Utc>>, BrokenAnswer> {
    timestamp.map(|timestamp| time(Some(timestamp), field)).transpose()
}

/// In the contracts between services an empty text means that there is none.
fn text(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}
