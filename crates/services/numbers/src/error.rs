//! What can go wrong, named by what the caller can do, and the one mapping to a [`Fault`].
//!
//! Nothing here carries a phone number or a name: causes are logged, faults go to strangers.

use std::time::Duration;

use chassis::{Fault, database};
use chrono::SecondsFormat;
use domain::{AreaCodeError, CarrierName, InvalidId, NameError, PhoneNumberError};

use crate::model::save::SaveRefusal;
use crate::model::sending::QuietHoursError;
use crate::model::setback::Setback;

const REGISTERED_NAME: &str = "It is 1 to 50 characters of A-Z, a-z, 0-9, _ and -.";

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
    #[error("there is no such carrier")]
    CarrierUnknown,
    #[error("the carrier has no credentials here")]
    CarrierNotConfigured(CarrierName),
    /// With what was typed.
    #[error("the area code is not valid")]
    AreaCode(String, #[source] AreaCodeError),
    #[error("the quiet hours are not valid")]
    QuietHours(#[source] QuietHoursError),
    #[error("the campaign is not valid")]
    CampaignInvalid,
    #[error("the brand is not valid")]
    BrandInvalid,
    /// Searches cost.
    #[error("too many searches in a minute")]
    GenerateLimitReached { retry_after: Duration },
    /// The candidate may not be saved.
    #[error("the candidate may not be saved")]
    Save(SaveRefusal),
    /// The carrier asks us to slow down.
    #[error("the carrier is too busy")]
    CarrierThrottled { retry_after: Option<Duration> },
    /// What was asked of a carrier came to nothing; nothing was bought.
    #[error("the carrier did not do it")]
    Ended(Setback),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<SaveRefusal> for Error {
    fn from(refusal: SaveRefusal) -> Self {
        Self::Save(refusal)
    }
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
    #[error("the lease is lost")]
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
            Error::CarrierUnknown => Fault::invalid("carrier", "carrier_unknown", "There is no carrier of this name."),
            Error::CarrierNotConfigured(name) => Fault::invalid(
                "carrier",
                "carrier_not_configured",
                format!("This installation has no credentials of {name}."),
            ),
            Error::AreaCode(typed, reason) => {
                let detail = match reason {
                    AreaCodeError::TollFree | AreaCodeError::Premium => format!("{typed}: {reason}."),
                    _ => sentence(reason),
                };
                Fault::invalid("area_code", reason.code(), detail)
            }
            Error::QuietHours(reason) => Fault::invalid(reason.field(), "quiet_hours_invalid", sentence(reason)),
            Error::CampaignInvalid => Fault::invalid("campaign", "campaign_invalid", REGISTERED_NAME),
            Error::BrandInvalid => Fault::invalid("brand", "brand_invalid", REGISTERED_NAME),
            Error::GenerateLimitReached { retry_after } => Fault::rate_limited(
                "generate_limit_reached",
                "Only 10 numbers a minute can be generated. Try again in a moment.",
            )
            .with("retry_after_s", retry_after.as_secs()),
            Error::Save(refusal) => save_fault(*refusal),
            Error::CarrierThrottled { retry_after } => {
                let fault = setback_fault(Setback::CarrierThrottled);
                match retry_after {
                    Some(pause) => fault.with("retry_after_s", pause.as_secs().max(1)),
                    None => fault,
                }
            }
            Error::Ended(setback) => setback_fault(*setback),
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

fn save_fault(refusal: SaveRefusal) -> Fault {
    match refusal {
        SaveRefusal::NotFound => Fault::not_found("candidate_not_found", "There is no such candidate."),
        SaveRefusal::InProgress => Fault::conflict(
            "change_in_progress",
            "A number is being bought for this license right now. Wait until that is done.",
        ),
        SaveRefusal::LimitReached { next_change_allowed_at } => {
            let allowed = next_change_allowed_at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
            Fault::conflict(
                "change_limit_reached",
                format!("The number can be changed once a month; the next change is allowed from {allowed}."),
            )
            .with("next_change_allowed_at", allowed)
        }
        SaveRefusal::Expired => setback_fault(Setback::CandidateExpired),
        SaveRefusal::Taken => setback_fault(Setback::NumberTaken),
    }
}

/// What came to nothing: the number as it was stays.
fn setback_fault(setback: Setback) -> Fault {
    let code = setback.as_str();
    match setback {
        Setback::NoNumbersAvailable => {
            Fault::conflict(code, "The carrier has no number for sale right now, neither there nor anywhere else.")
        }
        Setback::NumberTaken => {
            Fault::conflict(code, "The number was sold to somebody else meanwhile. Generate another one.")
        }
        Setback::CandidateExpired => {
            Fault::conflict(code, "The generated number is no longer held for you. Generate another one.")
        }
        Setback::CarrierThrottled => {
            Fault::unavailable(code, "The carrier is too busy. Nothing was bought. Try again in a moment.")
        }
        Setback::CarrierUnreachable | Setback::CarrierOutcomeUnknown => {
            Fault::unavailable(code, "The carrier cannot be reached. Nothing was bought. Try again in a moment.")
        }
        Setback::CarrierAccountProblem | Setback::CarrierNotConfigured => Fault::unavailable(
            code,
            "There is a problem with our account at the carrier. Nothing was bought; the operators have to act.",
        ),
        Setback::CarrierRefused => Fault::unavailable(code, "The carrier refused. The number was not changed."),
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
    fn the_refusal_of_an_area_code_says_which() {
        for (typed, code, detail) in [
            ("416", "area_code_not_united_states", "416 is not an area code of the United States."),
            ("199", "area_code_unknown", "199 is not an area code in use."),
            ("800", "area_code_toll_free", "800: toll-free numbers have no area."),
            ("900", "area_code_premium", "900: premium numbers cannot be used for messages."),
            ("500", "area_code_non_geographic", "500 belongs to no area."),
            ("41", "area_code_not_three_digits", "An area code is three digits."),
        ] {
            let refused = domain::AreaCode::parse_us(typed).unwrap_err();
            let fault = Fault::from(Error::AreaCode(typed.to_owned(), refused));
            assert_eq!((fault.code.as_ref(), fault.detail.as_str()), (code, detail));
            assert_eq!(fault.field.as_deref(), Some("area_code"));
        }
    }

    #[test]
    fn the_refusal_of_a_change_names_the_time_as_a_program_reads_it() {
        let next_change_allowed_at = "2026-02-28T10:00:00.5Z".parse().unwrap();
        let fault = Fault::from(Error::Save(SaveRefusal::LimitReached { next_change_allowed_at }));
        assert_eq!(fault.code, "change_limit_reached");
        assert_eq!(fault.extra["next_change_allowed_at"], "2026-02-28T10:00:00.500Z");
    }

    #[test]
    fn a_database_that_is_away_means_try_again() {
        let fault = Fault::from(Error::Store(StoreError::Database(sqlx::Error::PoolTimedOut)));
        assert_eq!(fault, Fault::service_unavailable());
    }
}
