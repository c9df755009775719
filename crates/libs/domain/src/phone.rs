//! Phone numbers of the North American Numbering Plan, in E.164.
//!
//! A [`PhoneNumber`] that exists has a known area code and a possible exchange (rule 12). Whether it can get
//! texts, is a landline, or is one we care to pay for is not known here. It has no `Display` and its
//! `Debug` is masked, so that it does not slip into a log; whoever needs the digits says `as_str`.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::area_code::{AreaCode, Region};

/// Length of `+1` and ten digits.
const E164_LENGTH: usize = 12;

/// A valid North American phone number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhoneNumber {
    // `+1` and ten ASCII digits.
    e164: [u8; E164_LENGTH],
    area_code: AreaCode,
}

/// Why a text is not a phone number we accept. Never carries the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PhoneNumberError {
    #[error("only North American phone numbers (+1) are supported")]
    NotNorthAmerican,
    #[error("a North American phone number has ten digits after the country code 1")]
    WrongLength,
    #[error("a phone number has digits, spaces, dots, dashes and parentheses only")]
    UnexpectedCharacter,
    #[error("the area code is not in use")]
    UnknownAreaCode,
    #[error("the three digits after the area code are not possible")]
    InvalidExchange,
    #[error("premium-rate numbers cannot receive messages")]
    Premium,
}

impl PhoneNumberError {
    /// A stable word for problem documents.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotNorthAmerican => "phone_not_north_american",
            Self::WrongLength => "phone_wrong_length",
            Self::UnexpectedCharacter => "phone_unexpected_character",
            Self::UnknownAreaCode => "phone_unknown_area_code",
            Self::InvalidExchange => "phone_invalid_exchange",
            Self::Premium => "phone_premium",
        }
    }
}

impl PhoneNumber {
    /// Reads what people type: with or without `+1` or `1`, with spaces, dots, dashes, parentheses.
    pub fn parse(text: &str) -> Result<Self, PhoneNumberError> {
        let text = text.trim();
        let (international, rest) = match text.strip_prefix('+') {
            Some(rest) => (true, rest),
            None => (false, text),
        };

        let mut digits = Vec::with_capacity(11);
        for character in rest.chars() {
            match character {
                '0'..='9' => digits.push(character as u8),
                '.' | '-' | '(' | ')' | '\u{2010}'..='\u{2015}' => {}
                _ if character.is_whitespace() => {}
                _ => return Err(PhoneNumberError::UnexpectedCharacter),
            }
        }

        let national = match digits.as_slice() {
            [b'1', national @ ..] if international || digits.len() == 11 => national,
            [_, ..] if international => return Err(PhoneNumberError::NotNorthAmerican),
            national => national,
        };
        Self::from_national(national.try_into().map_err(|_| PhoneNumberError::WrongLength)?)
    }

    /// Reads the one stored form, `+1` and ten digits, as carriers and our own events spell it.
    /// What is valid is the same as for [`PhoneNumber::parse`].
    pub fn from_e164(text: &str) -> Result<Self, PhoneNumberError> {
        let national = text.strip_prefix("+1").ok_or(PhoneNumberError::NotNorthAmerican)?;
        if !national.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(PhoneNumberError::UnexpectedCharacter);
        }
        Self::from_national(national.as_bytes().try_into().map_err(|_| PhoneNumberError::WrongLength)?)
    }

    /// `digits` are ASCII digits: area code, exchange, line.
    fn from_national(digits: [u8; 10]) -> Result<Self, PhoneNumberError> {
        let number = |part: &[u8]| part.iter().fold(0_u16, |number, digit| number * 10 + u16::from(digit - b'0'));
        let area_code = AreaCode::find(number(&digits[..3])).ok_or(PhoneNumberError::UnknownAreaCode)?;
        let exchange = number(&digits[3..6]);
        if area_code.region() == Region::Premium || exchange == 976 {
            return Err(PhoneNumberError::Premium);
        }
        // N11 is a service code (411, 911) wherever it stands.
        if exchange < 200 || exchange % 100 == 11 {
            return Err(PhoneNumberError::InvalidExchange);
        }
        let mut e164 = *b"+10000000000";
        e164[2..].copy_from_slice(&digits);
        Ok(Self { e164, area_code })
    }

    /// E.164: `+14155550123`. For carriers, storage and the wire; never for logs, metrics or subjects.
    pub fn as_str(&self) -> &str {
        // ASCII by construction; the empty text cannot be reached.
        std::str::from_utf8(&self.e164).unwrap_or_default()
    }

    pub const fn area_code(&self) -> AreaCode {
        self.area_code
    }

    /// 555-0100 to 555-0199, set aside for films and examples. Whether they may be used is policy.
    pub fn is_fictional(&self) -> bool {
        self.e164[5..].starts_with(b"55501")
    }

    /// The last four digits, for people who have to recognise a number they know.
    pub fn last4(&self) -> &str {
        &self.as_str()[E164_LENGTH - 4..]
    }

    /// `+1415•••••23`: the area code and the last two digits. What a log may show.
    pub fn masked(&self) -> String {
        let e164 = self.as_str();
        format!("{}•••••{}", &e164[..5], &e164[E164_LENGTH - 2..])
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl Serialize for PhoneNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for PhoneNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_e164(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_people_type_is_read() {
        for text in [
            "+14155550123",
            "14155550123",
            "4155550123",
            "(415) 555-0123",
            "415-555-0123",
            "415.555.0123",
            "1 415 555 0123",
            "+1 (415) 555-0123",
            " 415\u{a0}555\u{2011}0123 ",
        ] {
            let number = PhoneNumber::parse(text).unwrap();
            assert_eq!(number.as_str(), "+14155550123", "{text}");
        }
    }

    #[test]
    fn only_valid_north_american_numbers_are_accepted() {
        use PhoneNumberError::{
            InvalidExchange, NotNorthAmerican, Premium, UnexpectedCharacter, UnknownAreaCode, WrongLength,
        };
        for (text, reason) in [
            ("+44 20 7946 0958", NotNorthAmerican),
            ("+4155550123", NotNorthAmerican),
            ("", WrongLength),
            ("+", WrongLength),
            ("415555012", WrongLength),
            ("+1415555012", WrongLength),
            ("24155550123", WrongLength),
            ("+1 415 555 01234", WrongLength),
            ("415-555-CALL", UnexpectedCharacter),
            ("415-555-0123 x4", UnexpectedCharacter),
            ("+1+4155550123", UnexpectedCharacter),
            ("٤١٥٥٥٥٠١٢٣", UnexpectedCharacter),
            ("+15555550100", UnknownAreaCode),
            ("+17102345678", UnknownAreaCode),
            ("+19112345678", UnknownAreaCode),
            ("+12011111234", InvalidExchange),
            ("+12010111234", InvalidExchange),
            ("+12015111234", InvalidExchange),
            ("+12019111234", InvalidExchange),
            ("+12026110123", InvalidExchange),
            ("+19002345678", Premium),
            ("+14159761234", Premium),
        ] {
            assert_eq!(PhoneNumber::parse(text), Err(reason), "{text}");
        }
    }

    #[test]
    fn every_kind_of_number_that_can_be_texted_is_accepted() {
        for text in ["+14165550123", "+17875550123", "+18765550123", "+18005551212", "+15005550006"] {
            assert_eq!(PhoneNumber::from_e164(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn stored_numbers_have_one_spelling() {
        for (text, reason) in [
            ("4155550123", PhoneNumberError::NotNorthAmerican),
            ("14155550123", PhoneNumberError::NotNorthAmerican),
            ("+442079460958", PhoneNumberError::NotNorthAmerican),
            ("+1 4155550123", PhoneNumberError::UnexpectedCharacter),
            ("+1415555012", PhoneNumberError::WrongLength),
            ("+1415555012é", PhoneNumberError::UnexpectedCharacter),
        ] {
            assert_eq!(PhoneNumber::from_e164(text), Err(reason), "{text}");
        }
    }

    #[test]
    fn numbers_set_aside_for_fiction_are_recognised() {
        let fictional = |text| PhoneNumber::parse(text).unwrap().is_fictional();
        assert!(fictional("+12015550100"));
        assert!(fictional("+12015550199"));
        assert!(!fictional("+12015550200"));
        assert!(!fictional("+12015551212"));
        assert!(!fictional("+12015450123"));
    }

    #[test]
    fn debug_shows_the_area_and_two_digits() {
        let number = PhoneNumber::parse("+14155550123").unwrap();
        assert_eq!(format!("{number:?}"), "+1415•••••23");
        assert_eq!(format!("{:?}", Some(number)), "Some(+1415•••••23)");
        assert_eq!(number.last4(), "0123");
        assert_eq!(number.area_code().number(), 415);
    }

    #[test]
    fn a_number_is_checked_when_it_is_read_from_json() {
        let number: PhoneNumber = serde_json::from_str("\"+14155550123\"").unwrap();
        assert_eq!(serde_json::to_string(&number).unwrap(), "\"+14155550123\"");
        let error = serde_json::from_str::<PhoneNumber>("\"+15555550123\"").unwrap_err();
        assert!(!error.to_string().contains("0123"), "{error}");
    }

    proptest! {
        #[test]
        fn any_valid_number_reads_back_from_every_way_of_writing_it(
            npa in (200_u16..1000).prop_filter("assigned, not premium", |npa| {
                AreaCode::find(*npa).is_some_and(|code| code.region() != Region::Premium)
            }),
            nxx in (200_u16..1000).prop_filter("possible", |nxx| nxx % 100 != 11 && *nxx != 976),
            line in 0_u16..10_000,
        ) {
            let e164 = format!("+1{npa}{nxx}{line:04}");
            let number = PhoneNumber::from_e164(&e164).unwrap();
            prop_assert_eq!(number.as_str(), &e164);
            prop_assert_eq!(number.area_code().number(), npa);
            for text in [
                e164.clone(),
                format!("1{npa}{nxx}{line:04}"),
                format!("({npa}) {nxx}-{line:04}"),
                format!("{npa}.{nxx}.{line:04}"),
            ] {
                prop_assert_eq!(PhoneNumber::parse(&text), Ok(number));
            }
        }

        #[test]
        fn no_text_breaks_the_parser(text in "\\PC{0,20}|[+0-9 ().-]{0,20}") {
            if let Ok(number) = PhoneNumber::parse(&text) {
                prop_assert_eq!(PhoneNumber::from_e164(number.as_str()), Ok(number));
            }
            let _ = PhoneNumber::from_e164(&text);
        }
    }
}
