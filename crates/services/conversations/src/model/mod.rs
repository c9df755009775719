//! The decisions of the service: no I/O, no clock of its own.

mod call;
mod consent;
mod home;
mod people;
mod progress;
mod recipients;

pub(crate) use call::{CallEnd, KnownCall, decide_call};
pub(crate) use consent::{
    ConsentChange, KnownConsent, Line, Note, RECIPIENT_OPTED_OUT, Spoken, decide_consent, plan_keywords,
};
pub(crate) use home::{ConversationChanges, Homes, OpenConversation, TiedPerson};
pub(crate) use people::{Details, Put, plan_people};
pub(crate) use progress::{CANNOT_RECEIVE_SMS, Known, Report, plan_progress};
pub(crate) use recipients::{Recipient, Rejection, ResolvedRecipients, decide_numbers};
