//! What can go wrong, named by what the caller can do, and the one mapping to a [`Fault`].
//!
//! Nothing here carries a phone number or a name: causes are logged, faults go to strangers.

use chassis::{Fault, database};
use domain::{InvalidId, NameError, PhoneNumberError};

/// Why a request about a license was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("there is no such license")]
    LicenseNotFound,
    #[error("the license id is not valid")]
    LicenseId(#[source] InvalidId),
    #[error("the company name is not valid")]
    CompanyName(#[source] NameError),
    #[error("the company phone is not valid")]
    CompanyPhone(#[source] PhoneNumberError),
    #[error("the company phone is set aside for fiction")]
    CompanyPhoneIsFictional,
    /// Calls to the messages number would ring in a circle (rule 6).
    #[error("the company phone is a messages number")]
    CompanyPhoneIsAMessagesNumber,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why the database did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// A stored value breaks our own rules: somebody wrote past this service.
    #[error("the stored {what} cannot be read")]
    Unreadable { what: &'static str },
    /// Another replica has taken over: stop working on this and change nothing.
    #[error("the lease of the acquisition is lost")]
    LeaseLost,
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match &error {
            Error::LicenseNotFound => Fault::not_found("license_not_found", "There is no such license."),
            Error::LicenseId(reason) => Fault::invalid("license_id", "license_id_invalid", sentence(reason)),
            Error::CompanyName(reason) => Fault::invalid("company_name", reason.code(), sentence(reason)),
            Error::CompanyPhone(reason) => Fault::invalid("company_phone", reason.code(), sentence(reason)),
            Error::CompanyPhoneIsFictional => Fault::invalid(
                "company_phone",
                "phone_fictional",
                "Numbers from 555-0100 to 555-0199 belong to nobody.",
            ),
            Error::CompanyPhoneIsAMessagesNumber => Fault::invalid(
                "company_phone",
                "company_phone_is_a_messages_number",
                "This is a messages number of Leaseline; calls to it would ring in a circle.",
            ),
            Error::Store(failure) => {
                tracing::error!(error = failure as &dyn std::error::Error, "a request about a license failed");
                match failure {
                    StoreError::Database(failure) => database::fault_of(failure),
                    StoreError::Unreadable { .. } | StoreError::LeaseLost => Fault::internal(),
                }
            }
        }
    }
}

/// `the name is empty` as `The name is empty.`
fn sentence(reason: &dyn std::error::Error) -> String {
    let reason = reason.to_string();
    let mut characters = reason.chars();
    characters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), characters.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_names_the_field_and_the_reason() {
        let fault = Fault::from(Error::CompanyName(NameError::Empty));
        assert_eq!(fault.field.as_deref(), Some("company_name"));
        assert_eq!((fault.code.as_ref(), fault.detail.as_str()), ("name_empty", "The name is empty."));
    }

    #[test]
    fn a_database_that_is_away_means_try_again() {
        let fault = Fault::from(Error::Store(StoreError::Database(sqlx::Error::PoolTimedOut)));
        assert_eq!(fault, Fault::service_unavailable());
    }
}
