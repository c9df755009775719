//! The decisions of the service: no I/O, no clock of its own.

mod home;
mod progress;
mod recipients;

pub(crate) use home::{ConversationChanges, Homes, OpenConversation, TiedPerson};
pub(crate) use progress::{Known, Report, plan_progress};
pub(crate) use recipients::{Recipient, Rejection, ResolvedRecipients, decide_numbers};
