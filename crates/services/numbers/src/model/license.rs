//! A license, its one messages number (rule 1), and what the settings show of both.

use chrono::{DateTime, Utc};
use domain::{Candidate, CarrierName, CompanyName, Id, LicenseId, PhoneNumber};
use proto::to_timestamp;

use super::acquisition::Step;
use super::sending::{Registration, Sending};
use super::setback::Setback;
use crate::error::Error;

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

/// From now on this number is the license's messages number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub(crate) license_id: LicenseId,
    pub(crate) number: PhoneNumber,
    pub(crate) carrier: CarrierName,
    pub(crate) carrier_number_id: String,
    /// The candidate that it was; absent for a first number.
    pub(crate) candidate_id: Option<Id<Candidate>>,
    pub(crate) assigned_at: DateTime<Utc>,
}

impl Assignment {
    /// What the other services are told. `version` counts the license's assignments, from 1.
    pub(crate) fn event(&self, version: u64) -> proto::numbers::NumberAssigned {
        proto::numbers::NumberAssigned {
            license_id: self.license_id.to_string(),
            number: self.number.as_str().to_owned(),
            carrier: self.carrier.to_string(),
            assigned_at: Some(to_timestamp(self.assigned_at)),
            version,
        }
    }
}

/// What the other services are told of a company.
pub(crate) fn company_event(
    license_id: &LicenseId,
    company: &Company,
    changed_at: DateTime<Utc>,
    version: u64,
) -> proto::numbers::CompanyChanged {
    proto::numbers::CompanyChanged {
        license_id: license_id.to_string(),
        company_name: company.name.as_str().to_owned(),
        company_phone: company.phone.map(|phone| phone.as_str().to_owned()),
        changed_at: Some(to_timestamp(changed_at)),
        version,
    }
}

/// What the settings of a license show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LicenseSettings {
    pub(crate) license_id: LicenseId,
    pub(crate) company: Company,
    /// Absent until the first assignment.
    pub(crate) messages_number: Option<MessagesNumber>,
    /// Absent when no number is being bought.
    pub(crate) provisioning: Option<Provisioning>,
    /// Absent: now.
    pub(crate) next_change_allowed_at: Option<DateTime<Utc>>,
    /// Where the next number is bought.
    pub(crate) carrier: CarrierName,
    /// Why the last Save came to nothing; absent when it did not, and once another one begins.
    pub(crate) change_error: Option<ChangeError>,
    pub(crate) sending: Sending,
}

/// Why a Save came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChangeError {
    pub(crate) setback: Setback,
    pub(crate) occurred_at: DateTime<Utc>,
}

/// The number that people see and write to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MessagesNumber {
    pub(crate) number: PhoneNumber,
    pub(crate) carrier: CarrierName,
    pub(crate) assigned_at: DateTime<Utc>,
}

/// Where the purchase of a number stands.
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
        let Sending { quiet_hours, registration: Registration { campaign, brand } } = settings.sending;
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
            next_change_allowed_at: settings.next_change_allowed_at.map(to_timestamp),
            carrier: settings.carrier.to_string(),
            last_change_error: settings.change_error.map(|error| proto::numbers::ChangeError {
                code: error.setback.as_str().to_owned(),
                occurred_at: Some(to_timestamp(error.occurred_at)),
            }),
            quiet_hours: quiet_hours.map(Into::into),
            campaign: campaign.map(|name| name.as_str().to_owned()),
            brand: brand.map(|name| name.as_str().to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
