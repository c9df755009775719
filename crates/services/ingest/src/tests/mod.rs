//! The service as a whole, on free ports, with a real JetStream in a namespace of its own.

mod answers;
mod call_outage;
mod calls;
mod outage;
mod relay;
mod service;
mod telnyx;
mod traces;
