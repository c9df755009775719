//! The words with which people stop and start texts (rule 13), and where the knowledge of it comes from.
//!
//! A keyword is the whole text: carriers act on nothing else, and "stop by at 5" is a sentence. Each carrier has a list
//! of its own; these are the defaults for ordinary numbers. The carrier answers a keyword by itself, so nothing here
//! says what to answer.

use std::fmt;

use crate::CarrierName;
use crate::words::word_set;

/// What a keyword asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keyword {
    /// No more texts.
    Stop,
    /// Texts again.
    Start,
    /// Who is this?
    Help,
}

type Words = &'static [&'static str];

/// Stop, start and help words of a carrier. Words of more than one word are written with one space.
const fn keywords(carrier: CarrierName) -> [(Keyword, Words); 3] {
    match carrier {
        CarrierName::Twilio => [
            (Keyword::Stop, &["STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"]),
            (Keyword::Start, &["START", "YES", "UNSTOP"]),
            (Keyword::Help, &["HELP", "INFO"]),
        ],
        CarrierName::Telnyx => [
            (Keyword::Stop, &["STOP", "STOPALL", "STOP ALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"]),
            (Keyword::Start, &["START", "UNSTOP"]),
            (Keyword::Help, &["HELP"]),
        ],
    }
}

/// The keyword that a text is, as the carrier that brought it reads it: whole, in any case, whitespace around it.
pub fn find_keyword(carrier: CarrierName, text: &str) -> Option<Keyword> {
    let lists = keywords(carrier).into_iter();
    lists.filter(|(_, words)| words.iter().any(|word| is_word(text, word))).map(|(keyword, _)| keyword).next()
}

fn is_word(text: &str, word: &str) -> bool {
    let mut parts = text.split_whitespace();
    word.split(' ').all(|part| parts.next().is_some_and(|given| given.eq_ignore_ascii_case(part)))
        && parts.next().is_none()
}

word_set! {
    /// Who says whether texts are wanted at a number.
    ConsentSource, "source of a consent" {
        /// The person, with a keyword.
        Keyword = "keyword",
        /// A manager, for a person who said it in their own words.
        Manager = "manager",
        /// The carrier refused a text because of its own list.
        Carrier = "carrier",
    }
}

word_set! {
    /// Lines in a conversation that are no messages.
    ConversationEventKind, "kind of event" {
        OptedOut = "opted_out",
        OptedIn = "opted_in",
        HelpRequested = "help_requested",
    }
}

/// How a person said it, in a manager's words: 1 to 500 characters, trimmed, no NUL.
#[derive(Clone, PartialEq, Eq)]
pub struct ConsentReason(String);

/// Why a text is not a reason. Never carries the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConsentReasonError {
    #[error("the reason is empty")]
    Empty,
    #[error("the reason has {characters} characters; at most {} are kept", ConsentReason::MAX_CHARACTERS)]
    TooLong { characters: usize },
    #[error("the reason contains a NUL character")]
    ContainsNul,
}

impl ConsentReasonError {
    /// A stable word for problem documents.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Empty => "reason_empty",
            Self::TooLong { .. } => "reason_too_long",
            Self::ContainsNul => "reason_contains_nul",
        }
    }
}

impl ConsentReason {
    pub const MAX_CHARACTERS: usize = 500;

    pub fn parse(text: &str) -> Result<Self, ConsentReasonError> {
        let text = text.trim();
        let characters = text.chars().count();
        if text.is_empty() {
            Err(ConsentReasonError::Empty)
        } else if text.contains('\0') {
            Err(ConsentReasonError::ContainsNul)
        } else if characters > Self::MAX_CHARACTERS {
            Err(ConsentReasonError::TooLong { characters })
        } else {
            Ok(Self(text.to_owned()))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ConsentReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConsentReason({} characters)", self.0.chars().count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_and_its_synonyms_start_and_help_are_read_as_each_carrier_reads_them() {
        use CarrierName::{Telnyx, Twilio};
        let (stop, start, help) = (Some(Keyword::Stop), Some(Keyword::Start), Some(Keyword::Help));
        for (text, twilio, telnyx) in [
            ("STOP", stop, stop),
            ("stop", stop, stop),
            (" Stop\r\n", stop, stop),
            ("\u{a0}sToP\t", stop, stop),
            ("STOPALL", stop, stop),
            ("STOP ALL", None, stop),
            (" stop \n all ", None, stop),
            ("UNSUBSCRIBE", stop, stop),
            ("cancel", stop, stop),
            ("End", stop, stop),
            ("QUIT", stop, stop),
            ("REVOKE", stop, None),
            ("OptOut", stop, None),
            ("OPT OUT", None, None),
            ("START", start, start),
            ("unstop", start, start),
            ("Yes", start, None),
            ("HELP", help, help),
            ("info", help, None),
        ] {
            assert_eq!(find_keyword(Twilio, text), twilio, "Twilio, {text:?}");
            assert_eq!(find_keyword(Telnyx, text), telnyx, "Telnyx, {text:?}");
        }
    }

    #[test]
    fn ordinary_sentences_with_stop_do_not_stop() {
        for text in [
            "",
            " ",
            "please stop",
            "STOP PLEASE",
            "stop by at 5",
            "Stop.",
            "STOP!",
            "\"STOP\"",
            "S T O P",
            "stopp",
            "non-stop",
            "STOP STOP",
            "STOP ALL OF IT",
            "the end",
            "yes please",
            "help me",
            "ＳＴＯＰ",
            "Can you cancel my appointment?",
        ] {
            for carrier in CarrierName::ALL {
                assert_eq!(find_keyword(*carrier, text), None, "{carrier}, {text:?}");
            }
        }
    }

    #[test]
    fn a_reason_is_trimmed_and_bounded_and_debug_tells_only_its_length() {
        let reason = ConsentReason::parse(" said so\non the phone ").unwrap();
        assert_eq!(reason.as_str(), "said so\non the phone");
        assert_eq!(format!("{reason:?}"), "ConsentReason(20 characters)");
        assert_eq!(ConsentReason::parse(" \n"), Err(ConsentReasonError::Empty));
        assert_eq!(ConsentReason::parse("a\0b"), Err(ConsentReasonError::ContainsNul));
        assert!(ConsentReason::parse(&"é".repeat(500)).is_ok());
        let error = ConsentReason::parse(&"é".repeat(501)).unwrap_err();
        assert_eq!(error.code(), "reason_too_long");
        assert_eq!(error.to_string(), "the reason has 501 characters; at most 500 are kept");
    }
}
