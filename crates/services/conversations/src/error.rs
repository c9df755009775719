//! What callers are told. One function a refusal, so that its code stands in one place.

use chassis::{Fault, database};

use crate::accept::AcceptError;
use crate::model::MergeError;
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

impl From<AcceptError> for Fault {
    fn from(error: AcceptError) -> Self {
        match error {
            AcceptError::CompanyNameUnknown => company_name_unknown(),
            AcceptError::Store(error) => error.into(),
        }
    }
}

/// The longest name of a merge field that is repeated to its caller.
const LONGEST_SHOWN_FIELD: usize = 50;

pub(crate) fn unknown_merge_field(error: MergeError<'_>) -> Fault {
    let detail = match error {
        MergeError::Unknown { name } if name.chars().count() <= LONGEST_SHOWN_FIELD => {
            format!("There is no merge field {{{{{name}}}}}.")
        }
        MergeError::Unknown { .. } => "There is no such merge field.".to_owned(),
        MergeError::Unbalanced => "A merge field begins with {{ and has no }}.".to_owned(),
    };
    let known = "The fields are {{person.name}}, {{person.first_name}} and {{company.name}}.";
    Fault::invalid("body", "unknown_merge_field", format!("{detail} {known}"))
}

pub(crate) fn company_name_unknown() -> Fault {
    let detail = "The text names the company, and the company's name is not known yet.";
    Fault::conflict("company_name_unknown", detail)
}

pub(crate) fn send_at_out_of_range() -> Fault {
    Fault::invalid("send_at", "send_at_out_of_range", "Give a time that lies ahead, by 60 days at most.")
}

pub(crate) fn batch_not_found() -> Fault {
    Fault::not_found("batch_not_found", "There is no such batch.")
}

pub(crate) fn scheduled_send_not_found() -> Fault {
    Fault::not_found("scheduled_send_not_found", "There is no such scheduled send.")
}

pub(crate) fn already_sent() -> Fault {
    Fault::conflict("already_sent", "This scheduled send has been sent.")
}

pub(crate) fn already_canceled() -> Fault {
    Fault::conflict("already_canceled", "This scheduled send has been canceled.")
}

pub(crate) fn message_may_arrive() -> Fault {
    Fault::conflict("message_may_arrive", "This message has arrived, or may still arrive.")
}

pub(crate) fn message_not_found() -> Fault {
    Fault::not_found("message_not_found", "There is no such message.")
}

pub(crate) fn conversation_not_found() -> Fault {
    Fault::not_found("conversation_not_found", "There is no such conversation.")
}

/// Also of one that could not be fetched: it will not come any more.
pub(crate) fn media_not_found() -> Fault {
    Fault::not_found("media_not_found", "There is no such medium.")
}

pub(crate) fn media_pending() -> Fault {
    Fault::conflict("media_pending", "The medium is being fetched from the carrier. Try again soon.")
}

/// A conversation whose people do not have its number any more is read-only, for consent too.
pub(crate) fn number_no_longer_tied() -> Fault {
    let detail = "The number of this conversation no longer belongs to the people in it.";
    Fault::conflict("number_no_longer_tied", detail)
}

pub(crate) fn unmatched_not_found() -> Fault {
    let detail = "There is no such message. It may have been tied to a person, or it was older than 30 days.";
    Fault::not_found("unmatched_not_found", detail)
}

/// What people write comes in: only strangers can be blocked.
pub(crate) fn number_is_tied() -> Fault {
    Fault::conflict("number_is_tied", "The number belongs to a person. Take it from them before you block it.")
}

pub(crate) fn too_many_phones(max: usize) -> Fault {
    Fault::invalid("phones", "too_many", format!("A person has at most {max} phone numbers."))
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
