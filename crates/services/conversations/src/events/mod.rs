//! What the service does with the events it consumes. Handlers get a transaction and a batch, nothing else.

mod assigned;
mod called;
mod company;
mod received;
mod reported;
mod resumed;

use bus::HandleError;

use crate::store::StoreError;

pub(crate) use assigned::NumberAssigned;
pub(crate) use called::CallUpdated;
pub(crate) use company::CompanyChanged;
pub(crate) use received::MessageReceived;
pub(crate) use reported::Reported;
pub(crate) use resumed::ReceivingResumed;

/// What the store cannot do now is tried again. What it never will do waits for a person, and its neighbours go on.
fn not_applied(error: StoreError) -> HandleError {
    if error.is_lasting() { HandleError::Permanent(error.into()) } else { HandleError::Transient(error.into()) }
}
