//! STOP, START and HELP as the carriers handle them by default for a long code (CARRIERS §8): the whole message is the word.
//! A block holds between one phone and one scope: at Twilio the number, at Telnyx the messaging profile with all its numbers.
//! The carrier answers only when a word changes something, and the message still reaches the webhook.

use std::collections::{HashMap, HashSet};

use crate::carrier::CarrierName;

const TWILIO_STOP: [&str; 8] = ["STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"];
const TWILIO_START: [&str; 3] = ["START", "YES", "UNSTOP"];
const TWILIO_HELP: [&str; 2] = ["HELP", "INFO"];
const TELNYX_STOP: [&str; 7] = ["STOP", "STOPALL", "STOP ALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"];
const TELNYX_START: [&str; 2] = ["START", "UNSTOP"];
const TELNYX_HELP: [&str; 1] = ["HELP"];

const STOPPED: &str = "You have successfully been unsubscribed. You will not receive any more messages from this number. Reply START to resubscribe.";
const STARTED: &str = "You have successfully been re-subscribed to messages from this number. Reply HELP for help. Reply STOP to unsubscribe. Msg&Data Rates May Apply.";
const HELPED: &str = "Reply STOP to unsubscribe. Msg&Data Rates May Apply.";

/// A word that the carrier understands by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keyword {
    Stop,
    Start,
    Help,
}

impl Keyword {
    /// The word that a whole message is for this carrier, in whatever case.
    pub(crate) fn find(carrier: CarrierName, body: &str) -> Option<Self> {
        let word = body.trim().to_ascii_uppercase();
        let (stop, start, help): (&[&str], &[&str], &[&str]) = match carrier {
            CarrierName::Twilio => (&TWILIO_STOP, &TWILIO_START, &TWILIO_HELP),
            CarrierName::Telnyx => (&TELNYX_STOP, &TELNYX_START, &TELNYX_HELP),
        };
        [(stop, Self::Stop), (start, Self::Start), (help, Self::Help)]
            .into_iter()
            .find_map(|(words, keyword)| words.contains(&word.as_str()).then_some(keyword))
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "STOP",
            Self::Start => "START",
            Self::Help => "HELP",
        }
    }
}

/// Which phones have stopped which scopes.
#[derive(Default)]
pub(crate) struct OptOuts {
    by_scope: HashMap<String, HashSet<String>>,
}

impl OptOuts {
    pub(crate) fn is_stopped(&self, phone: &str, scope: &str) -> bool {
        self.by_scope.get(scope).is_some_and(|phones| phones.contains(phone))
    }

    /// Takes the word that a phone texted; answers what the carrier replies by itself, if anything.
    pub(crate) fn record_word(&mut self, phone: &str, scope: &str, word: Keyword) -> Option<&'static str> {
        match word {
            Keyword::Stop => {
                self.by_scope.entry(scope.to_owned()).or_default().insert(phone.to_owned()).then_some(STOPPED)
            }
            Keyword::Start => self.by_scope.get_mut(scope)?.remove(phone).then_some(STARTED),
            Keyword::Help => (!self.is_stopped(phone, scope)).then_some(HELPED),
        }
    }

    /// A released number starts afresh with its next owner.
    pub(crate) fn forget_scope(&mut self, scope: &str) {
        self.by_scope.remove(scope);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_is_answered_once_and_start_lifts_it() {
        let mut opt_outs = OptOuts::default();
        let mut text =
            |body: &str| Keyword::find(CarrierName::Twilio, body).and_then(|word| opt_outs.record_word("p", "n", word));
        assert_eq!(text("STOP PLEASE"), None);
        assert_eq!(text("help"), Some(HELPED));
        assert_eq!(text(" stop "), Some(STOPPED));
        assert_eq!(text("Quit"), None);
        assert_eq!(text("help"), None);
        assert_eq!(text("Start"), Some(STARTED));
        assert_eq!(text("yes"), None);
        assert_eq!(text("stop"), Some(STOPPED));
        assert!(opt_outs.is_stopped("p", "n"));
        assert!(!opt_outs.is_stopped("p", "other"));
    }

    #[test]
    fn each_carrier_has_its_own_words() {
        for (body, twilio, telnyx) in [
            ("stop all", None, Some(Keyword::Stop)),
            ("revoke", Some(Keyword::Stop), None),
            ("Yes", Some(Keyword::Start), None),
            ("unstop", Some(Keyword::Start), Some(Keyword::Start)),
            ("info", Some(Keyword::Help), None),
        ] {
            assert_eq!(Keyword::find(CarrierName::Twilio, body), twilio, "{body}");
            assert_eq!(Keyword::find(CarrierName::Telnyx, body), telnyx, "{body}");
        }
    }
}
