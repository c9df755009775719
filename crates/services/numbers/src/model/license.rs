//! A license, its one messages number (rule 1), and what the settings show of both.

use carriers::OwnedNumber;
use chrono::{DateTime, Utc};
use domain::{AreaCode, CarrierName, CompanyName, LicenseId, PhoneNumber, Region};
use proto::to_timestamp;

use super::acquisition::{Setback, Step};
use crate::error::Error;

/// The version of a license's first assignment.
const FIRST_VERSION: u64 = 1;

/// What a company says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Company {
    pub(crate) name: CompanyName,
    /// Calls to the messages number ring there.
    pub(crate) phone: Option<PhoneNumber>,
}

impl Company {
    /// Reads what was sent. Numbers for fiction are refused unless `allow_fictional`.
    pub(crate) fn parse(name: &str, phone: Option<&str>, allow_fictional: bool) -> Result<Self, Error> {
        let name = CompanyName::parse(name).map_err(Error::CompanyName)?;
        let phone = phone.map(PhoneNumber::parse).transpose().map_err(Error::CompanyPhone)?;
        if !allow_fictional && phone.is_some_and(|phone| phone.is_fictional()) {
            return Err(Error::CompanyPhoneIsFictional);
        }
        Ok(Self { name, phone })
    }
}

/// Where numbers are looked for, best first: the company phone's area code if numbers of the United States have
/// it, then anywhere in the United States (rules 1 and 2). `None` is anywhere.
pub(crate) fn plan_search(company_phone: Option<PhoneNumber>) -> Vec<Option<AreaCode>> {
    let preferred =
        company_phone.map(|phone| phone.area_code()).filter(|area_code| area_code.region() == Region::UnitedStates);
    preferred.map(Some).into_iter().chain([None]).collect()
}

/// From now on this number is the license's messages number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub(crate) license_id: LicenseId,
    pub(crate) number: PhoneNumber,
    pub(crate) carrier: CarrierName,
    pub(crate) carrier_number_id: String,
    pub(crate) assigned_at: DateTime<Utc>,
    pub(crate) version: u64,
}

impl Assignment {
    /// A license's first one.
    pub(crate) fn first(license_id: LicenseId, carrier: CarrierName, owned: OwnedNumber, now: DateTime<Utc>) -> Self {
        Self {
            license_id,
            number: owned.number,
            carrier,
            carrier_number_id: owned.carrier_number_id,
            assigned_at: now,
            version: FIRST_VERSION,
        }
    }

    /// What the other services are told.
    pub(crate) fn event(&self) -> proto::numbers::NumberAssigned {
        proto::numbers::NumberAssigned {
            license_id: self.license_id.to_string(),
            number: self.number.as_str().to_owned(),
            carrier: self.carrier.to_string(),
            assigned_at: Some(to_timestamp(self.assigned_at)),
            version: self.version,
        }
    }
}

/// What the settings of a license show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LicenseSettings {
    pub(crate) license_id: LicenseId,
    pub(crate) company: Company,
    /// Absent until the first assignment.
    pub(crate) messages_number: Option<MessagesNumber>,
    /// Absent when a number is assigned.
    pub(crate) provisioning: Option<Provisioning>,
}

/// The number that people see and write to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MessagesNumber {
    pub(crate) number: PhoneNumber,
    pub(crate) carrier: CarrierName,
    pub(crate) assigned_at: DateTime<Utc>,
}

/// Where the purchase of the first number stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Provisioning {
    pub(crate) step: Step,
    /// Tries of this step that failed.
    pub(crate) attempts: u32,
    /// Why the last try failed.
    pub(crate) last_error: Option<Setback>,
    pub(crate) next_attempt_at: DateTime<Utc>,
}

impl From<LicenseSettings> for proto::numbers::Settings {
    fn from(settings: LicenseSettings) -> Self {
        Self {
            license_id: settings.license_id.to_string(),
            company_name: settings.company.name.as_str().to_owned(),
            company_phone: settings.company.phone.map(|phone| phone.as_str().to_owned()),
            messages_number: settings.messages_number.map(|assigned| proto::numbers::MessagesNumber {
                number: assigned.number.as_str().to_owned(),
                carrier: assigned.carrier.to_string(),
                assigned_at: Some(to_timestamp(assigned.assigned_at)),
            }),
            provisioning: settings.provisioning.map(|provisioning| proto::numbers::Provisioning {
                step: provisioning.step.as_str().to_owned(),
                attempts: provisioning.attempts,
                last_error: provisioning.last_error.map(|setback| setback.as_str().to_owned()),
                next_attempt_at: Some(to_timestamp(provisioning.next_attempt_at)),
            }),
            // The first assignment does not count (rule 4), and there is no other yet.
            next_change_allowed_at: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(phone: Option<&str>) -> Vec<Option<String>> {
        let phone = phone.map(|phone| PhoneNumber::parse(phone).unwrap());
        plan_search(phone).into_iter().map(|area_code| area_code.map(|area_code| area_code.to_string())).collect()
    }

    #[test]
    fn a_number_is_looked_for_in_the_area_code_of_the_company_phone_then_anywhere() {
        assert_eq!(search(Some("+14152345678")), [Some("415".to_owned()), None]);
    }

    #[test]
    fn without_a_united_states_area_code_any_number_of_the_united_states_will_do() {
        for phone in [None, Some("+14165550123"), Some("+18005551212"), Some("+17875550123"), Some("+15005550006")] {
            assert_eq!(search(phone), [None], "{phone:?}");
        }
    }

    #[test]
    fn only_valid_north_american_numbers_are_accepted_as_company_phone() {
        let company = Company::parse(" Acme ", Some("(415) 234-5678"), false).unwrap();
        assert_eq!(company.phone.unwrap().as_str(), "+14152345678");
        assert_eq!(company.name.as_str(), "Acme");
        for wrong in ["", "+442079460958", "+15555550100", "+14151112222"] {
            let refused = Company::parse("Acme", Some(wrong), true);
            assert!(matches!(refused, Err(Error::CompanyPhone(_))), "{wrong}");
        }
    }

    #[test]
    fn numbers_for_fiction_are_refused_where_the_settings_do_not_allow_them() {
        let refused = Company::parse("Acme", Some("+14155550123"), false);
        assert!(matches!(refused, Err(Error::CompanyPhoneIsFictional)));
        assert!(Company::parse("Acme", Some("+14155550123"), true).is_ok());
    }
}
