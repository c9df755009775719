//! From what a carrier said to the event that says it: pure, and the same for the same input.
//!
//! The id of an event is made of the carrier's own ids, so that a webhook that comes twice is one event.

mod calls;
mod texts;

use carriers::MalformedWebhook;

pub(crate) use self::calls::{CallPlan, Forwarding, call_updated, decide_after_call, plan_call};
pub(crate) use self::texts::{message_received, receipt_received};

/// An event and the id under which repeats of it are known.
#[derive(Debug)]
pub(crate) struct Identified<E> {
    pub(crate) event_id: String,
    pub(crate) event: E,
}

fn check_carrier_id(id: &str, name: &'static str) -> Result<(), MalformedWebhook> {
    proto::check_carrier_id(id).map_err(|_| MalformedWebhook::InvalidField(name))
}
