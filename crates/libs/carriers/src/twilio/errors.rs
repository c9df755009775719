//! Twilio's error codes, literally, and what each means to us.
//!
//! Sources: CARRIERS §2 (numbers) and §3 (messages).

use domain::SendingLimit;
use serde::Deserialize;

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

/// Refused for pace, never processed: 20429 too many requests, 21611 the sender's queue is full.
const THROTTLES: &[&str] = &["20429", "21611"];

/// Which limit is the reason (CARRIERS §3, §8). 30001 is what becomes of 21611 in a messaging service. A day ends at midnight,
/// Pacific time. 14107 is none of these: it is about two numbers and 30 seconds.
const LIMITS: &[(&str, SendingLimit)] = &[
    ("21611", SendingLimit::Sender),
    ("30001", SendingLimit::Sender),
    ("30022", SendingLimit::Campaign),
    ("30023", SendingLimit::BrandDay),
    ("30027", SendingLimit::NetworkDay),
];

/// Code, our code, our sentence. Both what `POST Messages` answers and what a receipt's `ErrorCode` says.
#[rustfmt::skip]
const MESSAGE_ERRORS: &[(&str, &str, &str)] = &[
    ("14107", REJECTED_BY_CARRIER, "Too many answers between two numbers within 30 seconds."),
    ("20003", ACCOUNT_PROBLEM,     "The carrier does not accept our credentials."),
    ("20005", ACCOUNT_PROBLEM,     "Our account at the carrier is not active."),
    ("20008", ACCOUNT_PROBLEM,     "Test credentials cannot do this."),
    ("20404", ACCOUNT_PROBLEM,     "The carrier does not know our account."),
    ("21211", INVALID_RECIPIENT,   "The recipient's number is not valid."),
    ("21212", NUMBER_NOT_READY,    "The carrier does not accept our number as a sender."),
    ("21408", REGION_NOT_ALLOWED,  "Our account may not send to the recipient's region."),
    ("21470", ACCOUNT_PROBLEM,     "Our account at the carrier is not valid."),
    ("21602", REJECTED_BY_CARRIER, "The message has no text."),
    ("21603", NUMBER_NOT_READY,    "The message has no sender."),
    ("21604", INVALID_RECIPIENT,   "The message has no recipient."),
    ("21606", NUMBER_NOT_READY,    "Our number cannot send text messages."),
    ("21610", RECIPIENT_OPTED_OUT, "The recipient has replied STOP."),
    ("21611", REJECTED_BY_CARRIER, "The carrier's queue for our number is full."),
    ("21612", NOT_REACHABLE,       "The recipient cannot be reached from our number."),
    ("21614", CANNOT_RECEIVE_SMS,  "The recipient's number cannot receive text messages."),
    ("21617", MESSAGE_TOO_LONG,    "The text is longer than 1,600 characters."),
    ("21619", REJECTED_BY_CARRIER, "The message has neither text nor media."),
    ("30001", REJECTED_BY_CARRIER, "The carrier's queue was full."),
    ("30002", ACCOUNT_PROBLEM,     "Our account at the carrier is suspended."),
    ("30003", NOT_REACHABLE,       "The phone is off or out of reach."),
    ("30004", FILTERED,            "The recipient or their carrier blocks this message."),
    ("30005", INVALID_RECIPIENT,   "The recipient's number is not in use."),
    ("30006", CANNOT_RECEIVE_SMS,  "The recipient's number is a landline or its carrier takes no text messages."),
    ("30007", FILTERED,            "The message was filtered as spam."),
    ("30008", REJECTED_BY_CARRIER, "The recipient's carrier failed without a reason."),
    ("30017", NOT_REACHABLE,       "The recipient's carrier was congested."),
    ("30022", REJECTED_BY_CARRIER, "The sending rate of our registration was exceeded."),
    ("30023", REJECTED_BY_CARRIER, "The daily limit of our registration was reached."),
    ("30027", REJECTED_BY_CARRIER, "The daily limit of the recipient's carrier was reached."),
    ("30032", NUMBER_NOT_READY,    "Our toll-free number is not verified."),
    ("30033", NUMBER_NOT_READY,    "The registration of our number is suspended."),
    ("30034", NUMBER_NOT_READY,    "Our number is not registered for sending."),
    ("30035", NUMBER_NOT_READY,    "The registration of our number is still being set up."),
    ("30036", REJECTED_BY_CARRIER, "The message waited too long at the carrier."),
    ("30410", NOT_REACHABLE,       "The recipient's carrier did not answer in time."),
];

/// Code, what a caller can do, our sentence.
#[rustfmt::skip]
const NUMBER_ERRORS: &[(&str, NumberRefusalKind, &str)] = &[
    ("20003", NumberRefusalKind::Account,      "The carrier does not accept our credentials."),
    ("20005", NumberRefusalKind::Account,      "Our account at the carrier is not active."),
    ("20008", NumberRefusalKind::Account,      "Test credentials cannot do this."),
    ("21404", NumberRefusalKind::Account,      "A trial account cannot have this number."),
    ("21421", NumberRefusalKind::Invalid,      "The number cannot be bought."),
    ("21422", NumberRefusalKind::NotAvailable, "The number is no longer available."),
    ("21451", NumberRefusalKind::Invalid,      "The carrier does not know the area code."),
    ("21452", NumberRefusalKind::NotAvailable, "There is no number in the area code."),
    ("21470", NumberRefusalKind::Account,      "Our account at the carrier is not valid."),
    ("21615", NumberRefusalKind::NeedsAddress, "The number needs a local address."),
    ("21631", NumberRefusalKind::NeedsAddress, "The number needs an address."),
    ("21649", NumberRefusalKind::NeedsAddress, "The number needs a regulatory bundle."),
    ("21650", NumberRefusalKind::NeedsAddress, "The number needs an identity."),
    ("21651", NumberRefusalKind::NeedsAddress, "The number needs a document."),
];

/// Twilio's error body. Its message is left out: it quotes phone numbers.
#[derive(Deserialize)]
struct ErrorBody {
    code: u32,
}

fn read_code(body: &[u8]) -> Option<String> {
    Some(serde_json::from_slice::<ErrorBody>(body).ok()?.code.to_string())
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
            ("21610", RECIPIENT_OPTED_OUT),
            ("21614", CANNOT_RECEIVE_SMS),
            ("30006", CANNOT_RECEIVE_SMS),
            ("30007", FILTERED),
            ("30034", NUMBER_NOT_READY),
        ] {
            let refusal = TABLES.receipt_refusal(Some(code.into()));
            assert_eq!((refusal.code, refusal.carrier_code.as_deref()), (expected, Some(code)));
        }
    }

    #[test]
    fn only_pace_is_a_throttle() {
        assert!(TABLES.is_throttle("20429") && TABLES.is_throttle("21611"));
        assert!(!TABLES.is_throttle("20003") && !TABLES.is_throttle("20503"));
    }

    #[test]
    fn a_code_is_found_in_the_body_of_an_error_if_there_is_one() {
        assert_eq!(read_code(br#"{"code":21610,"message":"+14155550123"}"#).as_deref(), Some("21610"));
        for other in [&b"<html>"[..], b"{}", br#"{"code":"x"}"#, br#"{"code":-1}"#] {
            assert_eq!(read_code(other), None);
        }
    }
}
