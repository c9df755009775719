//! What callers are told. One function a refusal, so that its code stands in one place.

use chassis::{Fault, database};

use crate::store::StoreError;

/// Logged here, once; the caller learns only whether to try again.
impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "a request failed");
        match error {
            StoreError::Database(error) => database::fault_of(&error),
            StoreError::Corrupt { .. } => Self::internal(),
        }
    }
}

pub(crate) fn message_not_found() -> Fault {
    Fault::not_found("message_not_found", "There is no such message.")
}

pub(crate) fn conversation_not_found() -> Fault {
    Fault::not_found("conversation_not_found", "There is no such conversation.")
}

/// A conversation whose people do not have its number any more is read-only, for consent too.
pub(crate) fn number_no_longer_tied() -> Fault {
    let detail = "The number of this conversation no longer belongs to the people in it.";
    Fault::conflict("number_no_longer_tied", detail)
}

pub(crate) fn person_not_found() -> Fault {
    Fault::not_found("person_not_found", "There is no such person.")
}

/// An identifier of the caller's own making breaks its rule.
pub(crate) fn invalid_id(field: &str, error: &domain::InvalidId) -> Fault {
    Fault::invalid(field, "invalid_id", format!("{error}."))
}

/// An identifier of ours that cannot be one names nothing.
pub(crate) fn invalid_cursor() -> Fault {
    Fault::invalid("cursor", "invalid_cursor", "This is no cursor of a page before. Start with the first page.")
}

pub(crate) fn out_of_range(field: &str, from: u64, to: u64) -> Fault {
    Fault::invalid(field, "out_of_range", format!("Give {from} to {to}."))
}

pub(crate) fn idempotency_key_reused() -> Fault {
    Fault::invalid(
        "Idempotency-Key",
        "idempotency_key_reused",
        "This key was used for another request. Take a new key for a new send.",
    )
}
