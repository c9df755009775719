//! The decisions of the service: no I/O, no clock of its own.

mod call;
mod home;
mod progress;
mod recipients;

pub(crate) use call::{CallEnd, KnownCall, decide_call};
pub(crate) use home::{ConversationChanges, Homes, OpenConversation, TiedPerson};
pub(crate) use progress::{CANNOT_RECEIVE_SMS, Known, Report, plan_progress};
pub(crate) use recipients::{Recipient, Rejection, ResolvedRecipients, decide_numbers};
