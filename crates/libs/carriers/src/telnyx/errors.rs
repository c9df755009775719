//! Telnyx' error codes, literally, and what each means to us.
//!
//! Sources: CARRIERS §2 (numbers) and §3 (messages), which follow Telnyx' two reference pages. Other pages of theirs
//! give some of these codes another meaning; they are not followed.

use domain::SendingLimit;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    NumberRefusalKind,
    error_tables::ErrorTables,
    refusal_code::{
        ACCOUNT_PROBLEM, CANNOT_RECEIVE_SMS, FILTERED, INVALID_RECIPIENT, MESSAGE_TOO_LONG, NOT_REACHABLE,
        NUMBER_NOT_READY, RECIPIENT_OPTED_OUT, REGION_NOT_ALLOWED, REJECTED_BY_CARRIER,
    },
};

pub(super) const TABLES: ErrorTables =
    ErrorTables { read_code, throttles: THROTTLES, limits: LIMITS, messages: MESSAGE_ERRORS, numbers: NUMBER_ERRORS };

/// There is no such thing. What was to be released is gone.
pub(super) const NOT_FOUND: &str = "10005";
/// The number was not in a recent search of ours, so it cannot be ordered yet.
pub(super) const SEARCH_FIRST: &str = "85000";

/// Refused for pace, never processed: 10011 too many requests, 40318 the sender's queue is full.
const THROTTLES: &[&str] = &["10011", "40318"];

/// Which limit is the reason (CARRIERS §3, §8): 40016 is T-Mobile's for a brand's day, which ends at midnight, Pacific time;
/// 40018 is AT&T's for a campaign's minute; 40011 comes from the recipient's network as well. The spending limit of a
/// profile (40333) is our own and none of these.
const LIMITS: &[(&str, SendingLimit)] = &[
    ("40011", SendingLimit::Campaign),
    ("40016", SendingLimit::NetworkDay),
    ("40018", SendingLimit::Campaign),
    ("40318", SendingLimit::Sender),
];

/// Code, our code, our sentence. Both what `POST messages` answers and what a receipt's `errors` say.
#[rustfmt::skip]
const MESSAGE_ERRORS: &[(&str, &str, &str)] = &[
    ("10009", ACCOUNT_PROBLEM,     "The carrier does not accept our credentials."),
    ("20012", ACCOUNT_PROBLEM,     "Our account at the carrier is not active."),
    ("20013", ACCOUNT_PROBLEM,     "Our account at the carrier is blocked."),
    ("20014", ACCOUNT_PROBLEM,     "Our account at the carrier is not verified."),
    ("20100", ACCOUNT_PROBLEM,     "Our account at the carrier has no funds."),
    ("40001", CANNOT_RECEIVE_SMS,  "The recipient's number is a landline or cannot receive text messages."),
    ("40002", FILTERED,            "The message was taken for spam, for now."),
    ("40003", FILTERED,            "The message was taken for spam."),
    ("40004", REJECTED_BY_CARRIER, "The recipient's carrier rejected the message."),
    ("40005", REJECTED_BY_CARRIER, "The message waited too long at the carrier."),
    ("40006", NOT_REACHABLE,       "The recipient's carrier does not answer."),
    ("40008", NOT_REACHABLE,       "The recipient's carrier could not deliver the message."),
    ("40009", REJECTED_BY_CARRIER, "The recipient's carrier cannot read the message."),
    ("40010", NUMBER_NOT_READY,    "Our number is not registered for sending."),
    ("40011", REJECTED_BY_CARRIER, "The recipient's carrier takes no more messages from us at this pace."),
    ("40012", INVALID_RECIPIENT,   "The recipient's number is not valid."),
    ("40013", NUMBER_NOT_READY,    "The recipient's carrier does not accept our number as a sender."),
    ("40014", REJECTED_BY_CARRIER, "The message waited too long at the carrier."),
    ("40015", FILTERED,            "The message was filtered as spam."),
    ("40016", REJECTED_BY_CARRIER, "The limit of our registration at the recipient's carrier was reached."),
    ("40017", FILTERED,            "The recipient's carrier filtered the message as spam."),
    ("40018", REJECTED_BY_CARRIER, "The limit of our registration at the recipient's carrier was reached."),
    ("40100", NUMBER_NOT_READY,    "Our number is not enabled for text messages."),
    ("40300", RECIPIENT_OPTED_OUT, "The recipient has replied STOP."),
    ("40301", REJECTED_BY_CARRIER, "The recipient's number does not take this kind of message."),
    ("40302", MESSAGE_TOO_LONG,    "The text needs more parts than the carrier sends."),
    ("40305", NUMBER_NOT_READY,    "The carrier does not accept our number as a sender."),
    ("40309", REGION_NOT_ALLOWED,  "Our account may not send to the recipient's region."),
    ("40310", INVALID_RECIPIENT,   "The recipient's number is not valid."),
    ("40312", NUMBER_NOT_READY,    "The messaging profile of our number is switched off."),
    ("40316", REJECTED_BY_CARRIER, "The message has neither text nor media."),
    ("40317", REJECTED_BY_CARRIER, "The carrier cannot read the media of the message."),
    ("40318", REJECTED_BY_CARRIER, "The carrier's queue for our number is full."),
    ("40319", REJECTED_BY_CARRIER, "The recipient's number does not take this kind of message."),
    ("40320", NUMBER_NOT_READY,    "Our number is still being set up."),
    ("40322", FILTERED,            "The content of the message is blocked."),
    ("40328", MESSAGE_TOO_LONG,    "The text is longer than the carrier sends."),
    ("40329", NUMBER_NOT_READY,    "Our toll-free number is not verified."),
    ("40330", NUMBER_NOT_READY,    "Our toll-free number is not set up for sending."),
    ("40333", ACCOUNT_PROBLEM,     "The spending limit of our account is reached."),
];

/// Code, what a caller can do, our sentence.
#[rustfmt::skip]
const NUMBER_ERRORS: &[(&str, NumberRefusalKind, &str)] = &[
    ("10009",      NumberRefusalKind::Account,      "The carrier does not accept our credentials."),
    ("20012",      NumberRefusalKind::Account,      "Our account at the carrier is not active."),
    ("20013",      NumberRefusalKind::Account,      "Our account at the carrier is blocked."),
    ("20014",      NumberRefusalKind::Account,      "Our account at the carrier is not verified."),
    ("20100",      NumberRefusalKind::Account,      "Our account at the carrier has no funds."),
    (SEARCH_FIRST, NumberRefusalKind::NotAvailable, "The carrier does not offer the number."),
    ("85001",      NumberRefusalKind::NotAvailable, "The number is no longer available."),
    ("85004",      NumberRefusalKind::Other,        "The carrier does not know our application for calls."),
    ("85005",      NumberRefusalKind::Other,        "The carrier does not know our messaging profile."),
    ("85006",      NumberRefusalKind::NotAvailable, "The number is reserved by somebody."),
    ("85007",      NumberRefusalKind::Other,        "Our account may not reserve more numbers."),
];

/// One of Telnyx' errors, of an answer or of a receipt. Its texts are left out: they quote phone numbers.
#[derive(Deserialize)]
pub(super) struct ErrorItem {
    #[serde(default)]
    code: Value,
}

#[derive(Deserialize)]
struct ErrorBody {
    errors: Vec<ErrorItem>,
}

fn read_code(body: &[u8]) -> Option<String> {
    first_code(&serde_json::from_slice::<ErrorBody>(body).ok()?.errors)
}

/// The code of the first error. A string by contract; a number is read as well.
pub(super) fn first_code(errors: &[ErrorItem]) -> Option<String> {
    match &errors.first()?.code {
        Value::String(code) => Some(code.clone()),
        Value::Number(code) => Some(code.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted_and_name_each_code_once() {
        assert!(MESSAGE_ERRORS.is_sorted_by(|a, b| a.0 < b.0));
        assert!(NUMBER_ERRORS.is_sorted_by(|a, b| a.0 < b.0));
        assert!(LIMITS.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn what_people_must_be_told_is_told_apart() {
        for (code, expected) in [
            ("40300", RECIPIENT_OPTED_OUT),
            ("40001", CANNOT_RECEIVE_SMS),
            ("40015", FILTERED),
            ("40010", NUMBER_NOT_READY),
            ("20100", ACCOUNT_PROBLEM),
        ] {
            let refusal = TABLES.receipt_refusal(Some(code.into()));
            assert_eq!((refusal.code, refusal.carrier_code.as_deref()), (expected, Some(code)));
        }
    }

    #[test]
    fn only_pace_is_a_throttle() {
        assert!(TABLES.is_throttle("10011") && TABLES.is_throttle("40318"));
        assert!(!TABLES.is_throttle("10009") && !TABLES.is_throttle("40016"));
    }

    #[test]
    fn a_code_is_found_in_the_body_of_an_error_if_there_is_one() {
        let body = br#"{"errors":[{"code":"85001","title":"+14155550123"},{"code":"10027"}]}"#;
        assert_eq!(read_code(body).as_deref(), Some("85001"));
        assert_eq!(read_code(br#"{"errors":[{"code":40300}]}"#).as_deref(), Some("40300"));
        for other in [&b"<html>"[..], b"{}", br#"{"errors":[]}"#, br#"{"errors":[{"title":"x"}]}"#] {
            assert_eq!(read_code(other), None);
        }
    }
}
