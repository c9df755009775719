//! What is known of the line behind a recipient's number, and who says so (rule 12).
//!
//! Two sources, one memory: a lookup before the first send, and what a carrier says of a message afterwards. Only what
//! surely cannot receive texts is refused; a lookup knows lines, not what was enabled on them.

use carriers::{LineType, Refusal, SendOutcome, refusal_code};

/// A line, as far as it matters to a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// As far as we know.
    Receives,
    /// A landline, a premium number, or none at all.
    CannotReceive,
}

impl Line {
    /// As it is stored.
    pub const fn from_stored(cannot_receive_sms: bool) -> Self {
        if cannot_receive_sms { Self::CannotReceive } else { Self::Receives }
    }

    /// As it is stored.
    pub const fn cannot_receive_sms(self) -> bool {
        matches!(self, Self::CannotReceive)
    }

    /// For metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Receives => "receives",
            Self::CannotReceive => "cannot_receive",
        }
    }
}

/// What a lookup's answer means.
pub const fn decide_line(line_type: LineType) -> Line {
    Line::from_stored(line_type.cannot_receive_sms())
}

/// What an answer to a send says of the recipient's line. That a carrier took a message says nothing: it finds out later.
pub fn find_line(outcome: &SendOutcome) -> Option<Line> {
    match outcome {
        SendOutcome::Rejected(refusal) => find_line_by_code(refusal.code),
        _ => None,
    }
}

/// What a refusal's code says of the recipient's line: of a send, or in a receipt.
pub fn find_line_by_code(code: &str) -> Option<Line> {
    (code == refusal_code::CANNOT_RECEIVE_SMS).then_some(Line::CannotReceive)
}

/// Our no to a message for such a line.
pub fn line_refusal() -> Refusal {
    Refusal {
        code: refusal_code::CANNOT_RECEIVE_SMS,
        detail: "The recipient's number cannot receive text messages.".to_owned(),
        carrier_code: None,
        limit: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_surely_cannot_receive_texts_is_refused() {
        for line_type in [LineType::Landline, LineType::Premium, LineType::Invalid] {
            assert_eq!(decide_line(line_type), Line::CannotReceive, "{line_type:?}");
        }
        for line_type in [LineType::Mobile, LineType::Voip, LineType::TollFree, LineType::Other] {
            assert_eq!(decide_line(line_type), Line::Receives, "{line_type:?}");
        }
    }

    #[test]
    fn a_carrier_s_refusal_says_something_of_the_line_only_when_it_is_about_the_line() {
        let rejected = |code| SendOutcome::Rejected(Refusal { code, ..line_refusal() });
        assert_eq!(find_line(&rejected(refusal_code::CANNOT_RECEIVE_SMS)), Some(Line::CannotReceive));
        for code in [refusal_code::FILTERED, refusal_code::NUMBER_NOT_READY, refusal_code::RECIPIENT_OPTED_OUT] {
            assert_eq!(find_line(&rejected(code)), None, "{code}");
        }
        assert_eq!(find_line(&SendOutcome::Throttled { retry_after: None, limit: None }), None);
    }
}
