//! What can go wrong in dispatch's own storage, and what a caller is told about it.

use chassis::Fault;
use domain::{Id, Message};

/// Why the store could not answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Try again when it is back.
    #[error("the database did not answer as it should")]
    Database(#[from] sqlx::Error),
    /// What is stored is not what was stored: our mistake.
    #[error("a stored {what} cannot be read")]
    Corrupt { what: &'static str },
}

impl StoreError {
    /// The same may well succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Database(error) => chassis::database::is_transient(error),
            Self::Corrupt { .. } => false,
        }
    }
}

/// Why a queued message, a withdrawal or an assignment cannot be taken over. None of these gets better by itself.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    #[error("the event names no valid license")]
    License(#[source] domain::InvalidId),
    #[error("the event names no valid message")]
    MessageId(#[source] domain::InvalidId),
    #[error("{message} names no valid conversation")]
    Conversation { message: Id<Message>, source: domain::InvalidId },
    #[error("{message} names no valid batch")]
    Batch { message: Id<Message>, source: domain::InvalidId },
    #[error("{message} follows no valid message")]
    Follows { message: Id<Message>, source: domain::InvalidId },
    #[error("the event does not say what is withdrawn")]
    Withdrawn,
    #[error("the event withdraws what has no valid id")]
    WithdrawnId(#[source] domain::InvalidId),
    #[error("the number of {license} is not valid")]
    Number { license: domain::LicenseId, source: domain::PhoneNumberError },
    #[error("the carrier is not known")]
    Carrier(#[source] domain::UnknownWord),
    #[error("the quiet hours of {license} are not a window of a day")]
    QuietHours { license: domain::LicenseId },
    #[error("the version is out of range")]
    Version,
    #[error("the recipient of {message} is not a number")]
    Recipient { message: Id<Message>, source: domain::PhoneNumberError },
    #[error("the text of {message} cannot be sent")]
    Body { message: Id<Message>, source: domain::MessageBodyError },
    #[error("a media address of {message} is not one")]
    Media { message: Id<Message>, source: url::ParseError },
    #[error("{message} has no sensible number of segments")]
    Segments { message: Id<Message> },
    #[error("{message} has no priority")]
    Priority { message: Id<Message> },
    #[error("{message} does not say when it was queued")]
    QueuedAt { message: Id<Message>, source: proto::InvalidTime },
}

/// The one place where a storage error becomes an answer. Logs it: the fault does not carry it.
pub fn fault_of(error: &StoreError) -> Fault {
    tracing::error!(error = error as &dyn std::error::Error, "cannot answer");
    match error {
        StoreError::Database(error) => chassis::database::fault_of(error),
        StoreError::Corrupt { .. } => Fault::internal(),
    }
}
