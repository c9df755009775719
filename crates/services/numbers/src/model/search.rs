//! Where numbers are looked for, and which of those found will do (rule 2).

use std::time::Duration;

use carriers::{CallError, NumberRefusalKind};
use chrono::{DateTime, Utc};
use domain::{AreaCode, Candidate, CarrierName, Id, PhoneNumber, Region};

/// Numbers asked for in one search: enough that some are left when others choose at the same time.
pub(crate) const SEARCH_LIMIT: u16 = 30;
/// Asked for when all of those are spoken for: the most that a carrier gives.
pub(crate) const WIDE_SEARCH_LIMIT: u16 = 1_000;
/// A candidate expires (rule 3).
pub(crate) const CANDIDATE_LIFETIME: Duration = Duration::from_mins(15);
/// Searches cost: so many a minute for one license.
pub(crate) const GENERATE_LIMIT: i64 = 10;
/// The minute.
pub(crate) const GENERATE_WINDOW: Duration = Duration::from_mins(1);

/// Where the first number is looked for, best place first: the company phone's area code if numbers of the United
/// States have it, then anywhere in the United States (rules 1 and 2). `None` is anywhere.
pub(crate) fn plan_search(company_phone: Option<PhoneNumber>) -> Vec<Option<AreaCode>> {
    let preferred =
        company_phone.map(|phone| phone.area_code()).filter(|area_code| area_code.region() == Region::UnitedStates);
    plan_search_in(preferred)
}

/// In the area code, then anywhere.
pub(crate) fn plan_search_in(area_code: Option<AreaCode>) -> Vec<Option<AreaCode>> {
    area_code.map(Some).into_iter().chain([None]).collect()
}

/// What a search offers. An area code that the carrier does not know has no numbers; that is no error.
pub(crate) fn read_search(found: Result<Vec<PhoneNumber>, CallError>) -> Result<Vec<PhoneNumber>, CallError> {
    match found {
        Err(CallError::Refused(refusal))
            if matches!(refusal.kind, NumberRefusalKind::Invalid | NumberRefusalKind::NotAvailable) =>
        {
            Ok(Vec::new())
        }
        other => other,
    }
}

/// The numbers worth trying, in the carrier's order: neither skipped nor taken by somebody else.
pub(crate) fn list_choices(
    found: Vec<PhoneNumber>,
    skipped: &[PhoneNumber],
    taken: &[PhoneNumber],
) -> Vec<PhoneNumber> {
    found.into_iter().filter(|number| !skipped.contains(number) && !taken.contains(number)).collect()
}

/// How long until one more is allowed, when the tenth newest search of a license was then. At least a second, in whole
/// seconds, as a `Retry-After` is written.
pub(crate) fn plan_retry_after(tenth_newest: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    let left = (tenth_newest + GENERATE_WINDOW - now).to_std().unwrap_or_default();
    Duration::from_secs((left.as_millis().div_ceil(1_000).max(1)).try_into().unwrap_or(u64::MAX))
}

/// A number that is offered and not yet bought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) candidate_id: Id<Candidate>,
    pub(crate) number: PhoneNumber,
    pub(crate) carrier: CarrierName,
    /// False: any number of the United States, because none was asked for or to be had in an area code.
    pub(crate) area_code_matched: bool,
    pub(crate) expires_at: DateTime<Utc>,
}

impl From<Offer> for proto::numbers::Candidate {
    fn from(offer: Offer) -> Self {
        Self {
            candidate_id: offer.candidate_id.to_string(),
            number: offer.number.as_str().to_owned(),
            area_code_matched: offer.area_code_matched,
            expires_at: Some(proto::to_timestamp(offer.expires_at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use carriers::NumberRefusal;

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
    fn skipped_and_taken_numbers_are_not_chosen() {
        let [first, second, third] =
            ["+14152345671", "+14152345672", "+14152345673"].map(|text| PhoneNumber::from_e164(text).unwrap());
        assert_eq!(list_choices(vec![first, second, third], &[first], &[second]), [third]);
    }

    #[test]
    fn an_area_code_that_the_carrier_does_not_know_has_no_numbers() {
        let refused = |kind| CallError::Refused(NumberRefusal { kind, carrier_code: None, detail: String::new() });
        assert_eq!(read_search(Err(refused(NumberRefusalKind::Invalid))), Ok(Vec::new()));
        assert!(read_search(Err(refused(NumberRefusalKind::Account))).is_err());
    }

    #[test]
    fn who_generates_too_fast_is_told_the_whole_seconds_until_the_next_is_allowed() {
        let now = DateTime::UNIX_EPOCH + Duration::from_hours(1);
        for (ago, wait) in [(0, 60_000), (59_500, 1_000), (60_000, 1_000), (1, 60_000), (30_000, 30_000)] {
            let left = plan_retry_after(now - Duration::from_millis(ago), now);
            assert_eq!(left, Duration::from_millis(wait), "{ago}");
        }
    }
}
