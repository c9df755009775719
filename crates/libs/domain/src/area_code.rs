//! Area codes of the North American Numbering Plan, and whose they are.
//!
//! [`AreaCode::parse`] knows the whole plan, for phone numbers. [`AreaCode::parse_us`] is for the search of
//! a number to buy (rule 2) and refuses everything but the fifty states and D.C., each with its reason.

use std::fmt;

use chrono_tz::Tz;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::npa_regions::find_region;
use crate::npa_time_zones::list_time_zones;

/// Where the numbers of an area code are, or what they are if they are nowhere.
/// The text is the ISO 3166 code of the country or territory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Region {
    /// The fifty states and the District of Columbia.
    UnitedStates,
    /// `PR`, `VI`, `GU`, `AS` or `MP`: texted at domestic rates, numbers sold as another country's.
    UsTerritory(&'static str),
    Canada,
    /// The island countries, Bermuda included: international rates, and a target of toll fraud.
    Caribbean(&'static str),
    TollFree,
    /// The caller pays the callee. Never texted.
    Premium,
    /// Follows a person or a service instead of a place: 5XX, and the Canadian 600, 622 and 633.
    Personal,
}

/// An assigned area code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AreaCode(u16);

/// Why a text is not an area code that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AreaCodeError {
    #[error("an area code is three digits")]
    NotThreeDigits,
    #[error("{0:03} is not an area code in use")]
    Unknown(u16),
    #[error("{0} is not an area code of the United States")]
    NotUnitedStates(AreaCode),
    #[error("toll-free numbers have no area")]
    TollFree,
    #[error("premium numbers cannot be used for messages")]
    Premium,
    #[error("{0} belongs to no area")]
    NonGeographic(AreaCode),
}

impl AreaCodeError {
    /// A stable word for problem documents.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotThreeDigits => "area_code_not_three_digits",
            Self::Unknown(_) => "area_code_unknown",
            Self::NotUnitedStates(_) => "area_code_not_united_states",
            Self::TollFree => "area_code_toll_free",
            Self::Premium => "area_code_premium",
            Self::NonGeographic(_) => "area_code_non_geographic",
        }
    }
}

impl AreaCode {
    /// Any area code of the plan, from exactly three digits.
    ///
    /// Errors are [`AreaCodeError::NotThreeDigits`] and [`AreaCodeError::Unknown`].
    pub fn parse(text: &str) -> Result<Self, AreaCodeError> {
        let three_digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
        let npa = three_digits.then(|| text.parse().ok()).flatten().ok_or(AreaCodeError::NotThreeDigits)?;
        Self::find(npa).ok_or(AreaCodeError::Unknown(npa))
    }

    /// An area code in which a local number of the United States can be looked for (rule 2).
    pub fn parse_us(text: &str) -> Result<Self, AreaCodeError> {
        let area_code = Self::parse(text)?;
        match area_code.region() {
            Region::UnitedStates => Ok(area_code),
            Region::UsTerritory(_) | Region::Canada | Region::Caribbean(_) => {
                Err(AreaCodeError::NotUnitedStates(area_code))
            }
            Region::TollFree => Err(AreaCodeError::TollFree),
            Region::Premium => Err(AreaCodeError::Premium),
            Region::Personal => Err(AreaCodeError::NonGeographic(area_code)),
        }
    }

    pub(crate) const fn find(npa: u16) -> Option<Self> {
        match find_region(npa) {
            Some(_) => Some(Self(npa)),
            None => None,
        }
    }

    pub fn region(self) -> Region {
        // Every area code was found in the table; the fallback cannot be reached.
        find_region(self.0).unwrap_or(Region::Personal)
    }

    /// The time zones it lies in, from west to east, each clock once. Several where a zone's border runs through it:
    /// where in it a phone is, nobody knows. Empty for toll-free, premium and personal codes, and only for them.
    pub const fn time_zones(self) -> &'static [Tz] {
        list_time_zones(self.0)
    }

    /// The three digits as a number, 200 to 999.
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Display for AreaCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03}", self.0)
    }
}

impl Serialize for AreaCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AreaCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_area_code_knows_its_region() {
        let region = |text| AreaCode::parse(text).unwrap().region();
        assert_eq!(region("415"), Region::UnitedStates);
        assert_eq!(region("787"), Region::UsTerritory("PR"));
        assert_eq!(region("416"), Region::Canada);
        assert_eq!(region("876"), Region::Caribbean("JM"));
        assert_eq!(region("833"), Region::TollFree);
        assert_eq!(region("900"), Region::Premium);
        assert_eq!(region("500"), Region::Personal);
        assert_eq!(region("600"), Region::Personal);
    }

    #[test]
    fn an_area_code_knows_its_time_zones() {
        let names =
            |text| AreaCode::parse(text).unwrap().time_zones().iter().map(|zone| zone.name()).collect::<Vec<_>>();
        assert_eq!(names("415"), ["America/Los_Angeles"]);
        assert_eq!(names("850"), ["America/Chicago", "America/New_York"]);
        assert!(names("833").is_empty());
    }

    #[test]
    fn a_number_is_looked_for_in_the_united_states_only() {
        let refusal = |text| AreaCode::parse_us(text).unwrap_err();
        assert_eq!(AreaCode::parse_us("212").unwrap().to_string(), "212");
        for other in ["787", "416", "876"] {
            let area_code = AreaCode::parse(other).unwrap();
            assert_eq!(refusal(other), AreaCodeError::NotUnitedStates(area_code));
        }
        assert_eq!(refusal("800"), AreaCodeError::TollFree);
        assert_eq!(refusal("900"), AreaCodeError::Premium);
        assert_eq!(refusal("500"), AreaCodeError::NonGeographic(AreaCode::parse("500").unwrap()));
        assert_eq!(refusal("555"), AreaCodeError::Unknown(555));
        assert_eq!(refusal("011").to_string(), "011 is not an area code in use");
    }

    #[test]
    fn an_area_code_is_three_digits_and_nothing_else() {
        for text in ["", "41", "4155", "41a", "+41", " 415", "４１５"] {
            assert_eq!(AreaCode::parse(text), Err(AreaCodeError::NotThreeDigits), "{text:?}");
        }
    }

    #[test]
    fn an_area_code_is_checked_when_it_is_read_from_json() {
        let area_code: AreaCode = serde_json::from_str("\"415\"").unwrap();
        assert_eq!(serde_json::to_string(&area_code).unwrap(), "\"415\"");
        assert!(serde_json::from_str::<AreaCode>("\"555\"").is_err());
    }
}
