//! What a North American number looks like, as the carrier sees it.
//! Numbers stay plain strings here: the simulator is a witness of its own and shares no parser with the product.
//! Fictional numbers (555-01XX) are ordinary phones in this world; only the inventory avoids them.

/// True for `+1` and ten digits with a possible area code and exchange (CARRIERS §10).
pub(crate) fn is_dialable(number: &str) -> bool {
    let Some(national) = number.strip_prefix("+1") else { return false };
    let digits = national.as_bytes();
    digits.len() == 10
        && digits.iter().all(u8::is_ascii_digit)
        && is_code(&digits[..3])
        && digits[1] != b'9'
        && is_code(&digits[3..6])
}

/// The area code of a number that [`is_dialable`]; nothing for any other text.
pub(crate) fn find_area_code(number: &str) -> Option<&str> {
    is_dialable(number).then(|| &number[2..5])
}

/// Three digits that start with 2–9 and are no service code (211, 311, …).
fn is_code(digits: &[u8]) -> bool {
    digits[0] >= b'2' && !(digits[1] == b'1' && digits[2] == b'1')
}

/// `+14155550123` as `(415) 555-0123`.
pub(crate) fn format_nationally(number: &str) -> String {
    match (number.get(2..5), number.get(5..8), number.get(8..)) {
        (Some(area), Some(exchange), Some(line)) => format!("({area}) {exchange}-{line}"),
        _ => number.to_owned(),
    }
}

/// The carriers' number patterns: digits match anywhere in the number, `*` stands for one digit.
pub(crate) fn contains_pattern(number: &str, pattern: &str) -> bool {
    let pattern = pattern.trim_start_matches('+').as_bytes();
    let digits = number.trim_start_matches('+').as_bytes();
    pattern.is_empty()
        || digits
            .windows(pattern.len())
            .any(|window| window.iter().zip(pattern).all(|(digit, wanted)| *wanted == b'*' || digit == wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_possible_north_american_numbers_are_dialable() {
        for good in ["+14155550123", "+12025550123", "+19072025555"] {
            assert!(is_dialable(good), "{good}");
        }
        for bad in [
            "4155550123",
            "+1415555012",
            "+141555501234",
            "+11155550123",
            "+19115550123",
            "+14151110123",
            "+14154110123",
            "+442071234567",
            "+1415555012x",
            "+12995550123",
            "",
            "+1",
        ] {
            assert!(!is_dialable(bad), "{bad}");
        }
    }

    #[test]
    fn a_pattern_matches_anywhere_and_a_star_is_one_digit() {
        assert!(contains_pattern("+14155550123", "+14155550123"));
        assert!(contains_pattern("+14155550123", "5550*23"));
        assert!(!contains_pattern("+14155550123", "999"));
        assert!(!contains_pattern("+14155550123", "141555501234567"));
    }
}
