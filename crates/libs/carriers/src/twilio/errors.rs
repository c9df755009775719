//! Twilio's error codes, literally, and what each means to us.
//!
//! Sources: CARRIERS §2 (numbers) and §3 (messages). Twilio calls the codes "subject to change", so an unknown one
//! is a plain refusal. The tables are the only place where a code has a meaning.

use super::rest::Trouble;
use crate::{
    CallError, NumberRefusal, NumberRefusalKind, Refusal, SendOutcome,
    refusal_code::{
        ACCOUNT_PROBLEM, CANNOT_RECEIVE_SMS, FILTERED, INVALID_RECIPIENT, MESSAGE_TOO_LONG, NOT_REACHABLE,
        NUMBER_NOT_READY, RECIPIENT_OPTED_OUT, REGION_NOT_ALLOWED, REJECTED_BY_CARRIER,
    },
};

/// Refused for pace, never processed: 20429 too many requests, 21611 the sender's queue is full.
const THROTTLES: &[u32] = &[20429, 21611];

/// Code, our code, our sentence. Both what `POST Messages` answers and what a receipt's `ErrorCode` says.
#[rustfmt::skip]
const MESSAGE_ERRORS: &[(u32, &str, &str)] = &[
    (14107, REJECTED_BY_CARRIER, "Too many answers between two numbers within 30 seconds."),
    (20003, ACCOUNT_PROBLEM,     "The carrier does not accept our credentials."),
    (20005, ACCOUNT_PROBLEM,     "Our account at the carrier is not active."),
    (20008, ACCOUNT_PROBLEM,     "Test credentials cannot do this."),
    (20404, ACCOUNT_PROBLEM,     "The carrier does not know our account."),
    (21211, INVALID_RECIPIENT,   "The recipient's number is not valid."),
    (21212, NUMBER_NOT_READY,    "The carrier does not accept our number as a sender."),
    (21408, REGION_NOT_ALLOWED,  "Our account may not send to the recipient's region."),
    (21470, ACCOUNT_PROBLEM,     "Our account at the carrier is not valid."),
    (21602, REJECTED_BY_CARRIER, "The message has no text."),
    (21603, NUMBER_NOT_READY,    "The message has no sender."),
    (21604, INVALID_RECIPIENT,   "The message has no recipient."),
    (21606, NUMBER_NOT_READY,    "Our number cannot send text messages."),
    (21610, RECIPIENT_OPTED_OUT, "The recipient has replied STOP."),
    (21611, REJECTED_BY_CARRIER, "The carrier's queue for our number is full."),
    (21612, NOT_REACHABLE,       "The recipient cannot be reached from our number."),
    (21614, CANNOT_RECEIVE_SMS,  "The recipient's number cannot receive text messages."),
    (21617, MESSAGE_TOO_LONG,    "The text is longer than 1,600 characters."),
    (21619, REJECTED_BY_CARRIER, "The message has neither text nor media."),
    (30001, REJECTED_BY_CARRIER, "The carrier's queue was full."),
    (30002, ACCOUNT_PROBLEM,     "Our account at the carrier is suspended."),
    (30003, NOT_REACHABLE,       "The phone is off or out of reach."),
    (30004, FILTERED,            "The recipient or their carrier blocks this message."),
    (30005, INVALID_RECIPIENT,   "The recipient's number is not in use."),
    (30006, CANNOT_RECEIVE_SMS,  "The recipient's number is a landline or its carrier takes no text messages."),
    (30007, FILTERED,            "The message was filtered as spam."),
    (30008, REJECTED_BY_CARRIER, "The recipient's carrier failed without a reason."),
    (30017, NOT_REACHABLE,       "The recipient's carrier was congested."),
    (30022, REJECTED_BY_CARRIER, "The sending rate of our registration was exceeded."),
    (30023, REJECTED_BY_CARRIER, "The daily limit of our registration was reached."),
    (30027, REJECTED_BY_CARRIER, "The daily limit of the recipient's carrier was reached."),
    (30032, NUMBER_NOT_READY,    "Our toll-free number is not verified."),
    (30033, NUMBER_NOT_READY,    "The registration of our number is suspended."),
    (30034, NUMBER_NOT_READY,    "Our number is not registered for sending."),
    (30035, NUMBER_NOT_READY,    "The registration of our number is still being set up."),
    (30036, REJECTED_BY_CARRIER, "The message waited too long at the carrier."),
    (30410, NOT_REACHABLE,       "The recipient's carrier did not answer in time."),
];

/// Code, what a caller can do, our sentence.
#[rustfmt::skip]
const NUMBER_ERRORS: &[(u32, NumberRefusalKind, &str)] = &[
    (20003, NumberRefusalKind::Account,      "The carrier does not accept our credentials."),
    (20005, NumberRefusalKind::Account,      "Our account at the carrier is not active."),
    (20008, NumberRefusalKind::Account,      "Test credentials cannot do this."),
    (21404, NumberRefusalKind::Account,      "A trial account cannot have this number."),
    (21421, NumberRefusalKind::Invalid,      "The number cannot be bought."),
    (21422, NumberRefusalKind::NotAvailable, "The number is no longer available."),
    (21451, NumberRefusalKind::Invalid,      "The carrier does not know the area code."),
    (21452, NumberRefusalKind::NotAvailable, "There is no number in the area code."),
    (21470, NumberRefusalKind::Account,      "Our account at the carrier is not valid."),
    (21615, NumberRefusalKind::NeedsAddress, "The number needs a local address."),
    (21631, NumberRefusalKind::NeedsAddress, "The number needs an address."),
    (21649, NumberRefusalKind::NeedsAddress, "The number needs a regulatory bundle."),
    (21650, NumberRefusalKind::NeedsAddress, "The number needs an identity."),
    (21651, NumberRefusalKind::NeedsAddress, "The number needs a document."),
];

const NO_ACCESS: &str = "The carrier does not let our account do this.";

/// Is this a code for "too fast, not processed"?
pub(super) fn is_throttle(code: u32) -> bool {
    THROTTLES.contains(&code)
}

/// What a code means for a message in a receipt. No code or an unknown one is a plain refusal.
pub(super) fn receipt_refusal(code: Option<u32>) -> Refusal {
    message_refusal(code, None)
}

/// The outcome of a send that brought trouble.
///
/// Wrong credentials (401, 403) are `Rejected` with `account_problem`: the message was surely not taken, and no
/// retry helps before an operator acts. Whoever sends may hold its lanes on that code instead of failing the rest.
pub(super) fn send_outcome(trouble: Trouble) -> SendOutcome {
    match trouble {
        Trouble::Refused { status, code } => SendOutcome::Rejected(message_refusal(code, Some(status))),
        Trouble::Throttled { retry_after } => SendOutcome::Throttled { retry_after },
        Trouble::Unreachable { cause } => SendOutcome::Unreachable { cause },
        Trouble::Unknown { cause } => SendOutcome::Unknown { cause },
    }
}

/// The error of a call about numbers that brought trouble. 401 and 403 are `Account`, as above.
pub(super) fn call_error(trouble: Trouble) -> CallError {
    match trouble {
        Trouble::Refused { status, code } => CallError::Refused(number_refusal(code, status)),
        Trouble::Throttled { retry_after } => CallError::Throttled { retry_after },
        Trouble::Unreachable { cause } => CallError::Unreachable { cause },
        Trouble::Unknown { cause } => CallError::Unknown { cause },
    }
}

fn message_refusal(code: Option<u32>, status: Option<u16>) -> Refusal {
    let row = code.and_then(|code| MESSAGE_ERRORS.iter().find(|row| row.0 == code));
    let (our_code, detail) = match (row, status) {
        (Some(&(_, our_code, detail)), _) => (our_code, detail),
        (None, Some(401 | 403)) => (ACCOUNT_PROBLEM, NO_ACCESS),
        (None, _) => (REJECTED_BY_CARRIER, "The carrier refused the message."),
    };
    Refusal { code: our_code, detail: detail.into(), carrier_code: code.map(|code| code.to_string()) }
}

fn number_refusal(code: Option<u32>, status: u16) -> NumberRefusal {
    let row = code.and_then(|code| NUMBER_ERRORS.iter().find(|row| row.0 == code));
    let (kind, detail) = match (row, status) {
        (Some(&(_, kind, detail)), _) => (kind, detail),
        (None, 401 | 403) => (NumberRefusalKind::Account, NO_ACCESS),
        (None, _) => (NumberRefusalKind::Other, "The carrier refused the request."),
    };
    NumberRefusal { kind, carrier_code: code.map(|code| code.to_string()), detail: detail.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(status: u16, code: Option<u32>) -> Refusal {
        match send_outcome(Trouble::Refused { status, code }) {
            SendOutcome::Rejected(refusal) => refusal,
            other => panic!("{other:?} is not a rejection"),
        }
    }

    #[test]
    fn the_tables_are_sorted_and_name_each_code_once() {
        assert!(MESSAGE_ERRORS.is_sorted_by(|a, b| a.0 < b.0));
        assert!(NUMBER_ERRORS.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn a_recipient_who_said_stop_is_told_apart() {
        let refusal = rejected(400, Some(21610));
        assert_eq!(refusal.code, RECIPIENT_OPTED_OUT);
        assert_eq!(refusal.carrier_code.as_deref(), Some("21610"));
    }

    #[test]
    fn an_unknown_code_is_a_plain_refusal_that_keeps_the_code() {
        let refusal = rejected(400, Some(99_999));
        assert_eq!(refusal.code, REJECTED_BY_CARRIER);
        assert_eq!(refusal.carrier_code.as_deref(), Some("99999"));
        assert_eq!(receipt_refusal(None).code, REJECTED_BY_CARRIER);
    }

    #[test]
    fn wrong_credentials_are_an_account_problem_with_and_without_a_code() {
        assert_eq!(rejected(401, Some(20003)).code, ACCOUNT_PROBLEM);
        assert_eq!(rejected(403, None).code, ACCOUNT_PROBLEM);
        assert_eq!(number_refusal(None, 401).kind, NumberRefusalKind::Account);
    }

    #[test]
    fn a_code_that_we_know_beats_the_status() {
        assert_eq!(rejected(403, Some(21408)).code, REGION_NOT_ALLOWED);
    }

    #[test]
    fn a_number_that_was_sold_meanwhile_is_not_available() {
        assert_eq!(number_refusal(Some(21422), 400).kind, NumberRefusalKind::NotAvailable);
        assert_eq!(number_refusal(Some(21631), 400).kind, NumberRefusalKind::NeedsAddress);
        assert_eq!(number_refusal(Some(12345), 400).kind, NumberRefusalKind::Other);
    }

    #[test]
    fn only_pace_is_a_throttle() {
        assert!(is_throttle(20429) && is_throttle(21611));
        assert!(!is_throttle(20003) && !is_throttle(20503));
    }
}
