//! How a license sends, beside the pace of its number (rule 18): quiet hours, and the registration with the carriers'
//! networks. Kept and told here; `dispatch` acts on it.

use chrono::{DateTime, Utc};
use domain::LicenseId;
use proto::to_timestamp;

use crate::error::Error;

/// Minutes of a day.
const DAY: u32 = 24 * 60;
/// Longest name of a campaign or a brand.
const MAX_REGISTERED_NAME: usize = 50;

/// Hours of the recipient's day in which batches wait. They go over midnight when they begin later than they end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QuietHours {
    from_minute: u32,
    until_minute: u32,
}

impl QuietHours {
    /// From minutes after midnight, 0–1439, the second exclusive. Never the same: that would be no hour or all of them.
    pub(crate) const fn parse(from_minute: u32, until_minute: u32) -> Result<Self, QuietHoursError> {
        if from_minute >= DAY {
            Err(QuietHoursError::From)
        } else if until_minute >= DAY {
            Err(QuietHoursError::Until)
        } else if from_minute == until_minute {
            Err(QuietHoursError::Same)
        } else {
            Ok(Self { from_minute, until_minute })
        }
    }

    pub(crate) const fn first_minute(self) -> u32 {
        self.from_minute
    }

    /// Exclusive.
    pub(crate) const fn end_minute(self) -> u32 {
        self.until_minute
    }
}

/// Why two times are no quiet hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QuietHoursError {
    #[error("quiet hours begin at a minute of the day, from 0 to 1439")]
    From,
    #[error("quiet hours end at a minute of the day, from 0 to 1439")]
    Until,
    #[error("quiet hours end at another time than they begin")]
    Same,
}

impl QuietHoursError {
    /// The input that is to blame.
    pub(crate) const fn field(self) -> &'static str {
        match self {
            Self::From => "from",
            Self::Until | Self::Same => "until",
        }
    }
}

/// The name of a campaign or a brand: 1–50 characters of `[A-Za-z0-9_-]`. Licenses with the same one share its limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RegisteredName(String);

impl RegisteredName {
    pub(crate) fn parse(text: String) -> Option<Self> {
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        ((1..=MAX_REGISTERED_NAME).contains(&text.len()) && plain).then_some(Self(text))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Under what a license is registered with the carriers' networks. What is absent is one of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Registration {
    pub(crate) campaign: Option<RegisteredName>,
    pub(crate) brand: Option<RegisteredName>,
}

impl Registration {
    /// Reads what was sent.
    pub(crate) fn parse(campaign: Option<String>, brand: Option<String>) -> Result<Self, Error> {
        let read =
            |name: Option<String>, wrong: Error| name.map(|name| RegisteredName::parse(name).ok_or(wrong)).transpose();
        Ok(Self { campaign: read(campaign, Error::CampaignInvalid)?, brand: read(brand, Error::BrandInvalid)? })
    }
}

/// All of it. The default is what a new license has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sending {
    /// Absent: batches go at any time.
    pub(crate) quiet_hours: Option<QuietHours>,
    pub(crate) registration: Registration,
}

/// One of them is set; the others stay.
#[derive(Clone, Debug)]
pub(crate) enum SendingChange {
    QuietHours(Option<QuietHours>),
    Registration(Registration),
}

impl Sending {
    /// As it is after the change; none when that is as it was.
    pub(crate) fn plan_change(&self, change: SendingChange) -> Option<Self> {
        let mut changed = self.clone();
        match change {
            SendingChange::QuietHours(quiet_hours) => changed.quiet_hours = quiet_hours,
            SendingChange::Registration(registration) => changed.registration = registration,
        }
        (changed != *self).then_some(changed)
    }

    /// What the other services are told. `version` counts the license's changes, from 1.
    pub(crate) fn event(
        &self,
        license_id: &LicenseId,
        changed_at: DateTime<Utc>,
        version: u64,
    ) -> proto::numbers::SendingChanged {
        let name = |name: &Option<RegisteredName>| name.as_ref().map(|name| name.as_str().to_owned());
        proto::numbers::SendingChanged {
            license_id: license_id.to_string(),
            quiet_hours: self.quiet_hours.map(Into::into),
            campaign: name(&self.registration.campaign),
            brand: name(&self.registration.brand),
            changed_at: Some(to_timestamp(changed_at)),
            version,
        }
    }
}

impl From<QuietHours> for proto::numbers::QuietHours {
    fn from(quiet_hours: QuietHours) -> Self {
        Self { from_minute: quiet_hours.from_minute, until_minute: quiet_hours.until_minute }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_hours_are_two_different_minutes_of_a_day_also_over_midnight() {
        for (from, until) in [(0, 1), (1, 0), (1260, 480), (480, 1260), (1439, 0), (0, 1439)] {
            let hours = QuietHours::parse(from, until).unwrap();
            assert_eq!((hours.first_minute(), hours.end_minute()), (from, until));
        }
        assert_eq!(QuietHours::parse(1440, 480), Err(QuietHoursError::From));
        assert_eq!(QuietHours::parse(u32::MAX, u32::MAX), Err(QuietHoursError::From));
        assert_eq!(QuietHours::parse(480, 1440), Err(QuietHoursError::Until));
        assert_eq!(QuietHours::parse(480, 480), Err(QuietHoursError::Same));
    }

    #[test]
    fn a_campaign_and_a_brand_are_words_of_1_to_50_plain_characters() {
        let longest = "x".repeat(50);
        for word in ["C", "CJ1X4ZK", "low_volume-2", longest.as_str()] {
            assert_eq!(RegisteredName::parse(word.to_owned()).unwrap().as_str(), word);
        }
        for wrong in ["", " ", "a b", "a.b", "brand\n", "é", &"x".repeat(51)] {
            assert_eq!(RegisteredName::parse(wrong.to_owned()), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_registration_that_cannot_be_read_says_which_of_the_two() {
        let read = |campaign: Option<&str>, brand: Option<&str>| {
            Registration::parse(campaign.map(str::to_owned), brand.map(str::to_owned))
        };
        assert_eq!(read(None, None).unwrap(), Registration::default());
        assert!(matches!(read(Some(""), Some("")), Err(Error::CampaignInvalid)));
        assert!(matches!(read(Some("C1"), Some("")), Err(Error::BrandInvalid)));
    }

    #[test]
    fn a_change_sets_its_own_part_and_what_says_the_same_is_none() {
        let quiet = QuietHours::parse(1260, 480).ok();
        let registration = Registration { campaign: RegisteredName::parse("C1".to_owned()), brand: None };
        let first = Sending::default().plan_change(SendingChange::QuietHours(quiet)).unwrap();
        assert_eq!(first, Sending { quiet_hours: quiet, registration: Registration::default() });
        assert_eq!(first.plan_change(SendingChange::QuietHours(quiet)), None);
        let second = first.plan_change(SendingChange::Registration(registration.clone())).unwrap();
        assert_eq!(second, Sending { quiet_hours: quiet, registration });
        let third = second.plan_change(SendingChange::QuietHours(None)).unwrap();
        assert_eq!((third.quiet_hours, third.registration), (None, second.registration));
        assert_eq!(Sending::default().plan_change(SendingChange::Registration(Registration::default())), None);
    }
}
