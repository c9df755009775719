//! From what a carrier said to the event that says it: pure, and the same for the same input.
//!
//! The id of an event is made of the carrier's own ids, so that a webhook that comes twice is one event.

mod calls;
mod texts;

use carriers::MalformedWebhook;

pub(crate) use self::calls::{CallPlan, Forwarding, call_updated, decide_after_call, plan_call};
pub(crate) use self::texts::{message_received, receipt_received};

/// Twilio's ids have 34 characters, UUIDs 36, Telnyx' ids of calls about 60. The id becomes part of a header.
const MAX_CARRIER_ID: usize = 128;

/// An event and the id under which repeats of it are known.
#[derive(Debug)]
pub(crate) struct Identified<E> {
    pub(crate) event_id: String,
    pub(crate) event: E,
}

/// An id goes into a header of the event, where a line break would be fatal.
fn check_carrier_id(id: &str, name: &'static str) -> Result<(), MalformedWebhook> {
    let fits = (1..=MAX_CARRIER_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { Ok(()) } else { Err(MalformedWebhook::InvalidField(name)) }
}
