//! The only SQL of the service.
//!
//! Every change follows one pattern: lock the licenses it touches ([`licenses::lock`]), read, let the model decide,
//! write with one statement per table, and record what clients see ([`licenses::Locked::write`]). Reports about
//! messages alone lock those and take the licenses last. Every statement works on arrays, so one message and a
//! thousand take the same number of round trips.
//! What is read for the outside is read straight into the wire's types.

pub(crate) mod backfills;
pub(crate) mod batches;
pub(crate) mod blocked;
pub(crate) mod calls;
pub(crate) mod consents;
pub(crate) mod conversations;
pub(crate) mod deletions;
pub(crate) mod feed;
pub(crate) mod idempotency;
pub(crate) mod licenses;
pub(crate) mod links;
pub(crate) mod media;
pub(crate) mod messages;
pub(crate) mod people;
pub(crate) mod reading;
pub(crate) mod scheduled;
pub(crate) mod search;
pub(crate) mod search_index;
pub(crate) mod textless;
pub(crate) mod unmatched;

use chrono::{DateTime, Utc};
use proto::conversations as wire;
use sqlx::PgTransaction;
use uuid::Uuid;

use crate::model::Recipient;

pub(crate) type Tx<'a> = PgTransaction<'a>;

/// A place in a list that goes by time, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    pub at: DateTime<Utc>,
    pub id: Uuid,
}

/// Reading or writing did not work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("the database did not do it")]
    Database(#[from] sqlx::Error),
    /// Written by something that is not this service.
    #[error("a stored {what} cannot be read")]
    Corrupt { what: &'static str },
}

impl StoreError {
    /// True when others hold what was wanted: in a new transaction it works in a moment.
    pub(crate) fn is_contended(&self) -> bool {
        // A lock that was not to be had in time, and a deadlock.
        let Self::Database(sqlx::Error::Database(error)) = self else { return false };
        error.code().is_some_and(|state| ["55P03", "40P01"].contains(&&*state))
    }

    /// True when the same call fails again whenever it comes: PostgreSQL refuses the values themselves, or what is
    /// stored cannot be read.
    pub(crate) fn is_lasting(&self) -> bool {
        match self {
            // Data exceptions, and values that exceed a limit.
            Self::Database(sqlx::Error::Database(error)) => {
                error.code().is_some_and(|state| state.starts_with("22") || state.starts_with("54"))
            }
            Self::Database(_) => false,
            Self::Corrupt { .. } => true,
        }
    }
}

pub(crate) type Result<T> = std::result::Result<T, StoreError>;

/// Reads a stored value back into its type. The value itself is not shown: it may be a number.
fn stored<T, E>(parsed: std::result::Result<T, E>, what: &'static str) -> Result<T> {
    parsed.map_err(|_| StoreError::Corrupt { what })
}

/// A recipient as its caller named it.
pub(crate) fn wire_recipient(recipient: &Recipient) -> wire::Recipient {
    let to = match recipient {
        Recipient::PersonId(id) => wire::recipient::To::PersonId(id.to_string()),
        Recipient::ConversationId(id) => wire::recipient::To::ConversationId(id.to_string()),
        Recipient::UnknownConversation(id) => wire::recipient::To::ConversationId(id.clone()),
    };
    wire::Recipient { to: Some(to) }
}
