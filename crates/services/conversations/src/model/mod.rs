//! The decisions of the service: no I/O, no clock of its own.

mod backfill;
mod call;
mod consent;
mod home;
mod indexing;
mod link;
mod media;
mod people;
mod progress;
mod recipients;
mod search;
mod sending;
mod text;

pub(crate) use backfill::{Reach, plan_next_look, plan_since};
pub(crate) use call::{CallEnd, KnownCall, decide_call};
pub(crate) use consent::{
    ConsentChange, KnownConsent, Line, Note, RECIPIENT_OPTED_OUT, Spoken, decide_consent, plan_keywords,
};
pub(crate) use home::{ConversationChanges, Homes, OpenConversation, TiedPerson};
pub(crate) use indexing::{Mark, News, advance, advance_scan};
pub(crate) use link::{LinkChange, Linkable, Reached, plan_links};
pub(crate) use media::plan_retry;
pub(crate) use people::{Details, Put, plan_people};
pub(crate) use progress::{CANNOT_RECEIVE_SMS, Known, Report, plan_progress};
pub(crate) use recipients::{
    AcceptedRecipient, CANNOT_BE_SENT, COMPANY_NAME_UNKNOWN, Reason, Recipient, Rejection, ResolvedRecipients, Wording,
    decide_recipients,
};
pub(crate) use search::{Match, Parsed, Placing, Sought, Typed, plan_order, read_typed};
pub(crate) use sending::{ScheduledStatus, Sending};
pub(crate) use text::{Filled, MergeError, Text};
