//! STOP, START and HELP as Twilio handles them by default for a long code (CARRIERS §8): the whole message is the word.
//! A block holds between one phone and one number. The carrier answers only when a word changes something,
//! and the message still reaches the number's webhook.

use std::collections::{HashMap, HashSet};

const STOP: [&str; 8] = ["STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"];
const START: [&str; 3] = ["START", "YES", "UNSTOP"];
const HELP: [&str; 2] = ["HELP", "INFO"];

const STOPPED: &str = "You have successfully been unsubscribed. You will not receive any more messages from this number. Reply START to resubscribe.";
const STARTED: &str = "You have successfully been re-subscribed to messages from this number. Reply HELP for help. Reply STOP to unsubscribe. Msg&Data Rates May Apply.";
const HELPED: &str = "Reply STOP to unsubscribe. Msg&Data Rates May Apply.";

/// Which phones have stopped which numbers.
#[derive(Default)]
pub(crate) struct OptOuts {
    by_number: HashMap<String, HashSet<String>>,
}

impl OptOuts {
    pub(crate) fn is_stopped(&self, phone: &str, number: &str) -> bool {
        self.by_number.get(number).is_some_and(|phones| phones.contains(phone))
    }

    /// Takes what a phone texted to a number; answers what the carrier replies by itself, if anything.
    pub(crate) fn record_text(&mut self, phone: &str, number: &str, body: &str) -> Option<&'static str> {
        let word = body.trim().to_ascii_uppercase();
        let word = word.as_str();
        if STOP.contains(&word) {
            self.by_number.entry(number.to_owned()).or_default().insert(phone.to_owned()).then_some(STOPPED)
        } else if START.contains(&word) {
            self.by_number.get_mut(number)?.remove(phone).then_some(STARTED)
        } else if HELP.contains(&word) && !self.is_stopped(phone, number) {
            Some(HELPED)
        } else {
            None
        }
    }

    /// A released number starts afresh with its next owner.
    pub(crate) fn forget_number(&mut self, number: &str) {
        self.by_number.remove(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_is_answered_once_and_start_lifts_it() {
        let mut opt_outs = OptOuts::default();
        assert_eq!(opt_outs.record_text("p", "n", "STOP PLEASE"), None);
        assert!(!opt_outs.is_stopped("p", "n"));
        assert_eq!(opt_outs.record_text("p", "n", " stop "), Some(STOPPED));
        assert_eq!(opt_outs.record_text("p", "n", "Quit"), None);
        assert!(opt_outs.is_stopped("p", "n"));
        assert!(!opt_outs.is_stopped("p", "other"));
        assert_eq!(opt_outs.record_text("p", "n", "help"), None);
        assert_eq!(opt_outs.record_text("p", "n", "Start"), Some(STARTED));
        assert_eq!(opt_outs.record_text("p", "n", "yes"), None);
        assert_eq!(opt_outs.record_text("p", "n", "help"), Some(HELPED));
    }
}
