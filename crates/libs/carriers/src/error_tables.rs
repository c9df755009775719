//! What a carrier's codes mean: the shape of the literal tables that every carrier's `errors.rs` fills.
//!
//! A code has a meaning in its table and nowhere else. Carriers add codes without notice, so one that is not there is
//! a plain refusal that keeps its code for support. Carriers' own sentences are never passed on: they quote numbers.

use domain::SendingLimit;

use crate::{
    CallError, NumberRefusal, NumberRefusalKind, Refusal, SendOutcome,
    exchange::Trouble,
    refusal_code::{ACCOUNT_PROBLEM, REJECTED_BY_CARRIER},
};

/// One carrier's tables, each sorted by code.
#[derive(Debug)]
pub(crate) struct ErrorTables {
    /// Finds the code in the body of a refusal.
    pub(crate) read_code: fn(&[u8]) -> Option<String>,
    /// Refused for pace, surely not processed.
    pub(crate) throttles: &'static [&'static str],
    /// Codes of messages that a limit on sending is the reason of. Both what a send answers and what a receipt says.
    pub(crate) limits: &'static [(&'static str, SendingLimit)],
    /// Code, our code of [`crate::refusal_code`], our sentence. Both what a send answers and what a receipt says.
    pub(crate) messages: &'static [(&'static str, &'static str, &'static str)],
    /// Code, what a caller can do, our sentence.
    pub(crate) numbers: &'static [(&'static str, NumberRefusalKind, &'static str)],
}

const NO_ACCESS: &str = "The carrier does not let our account do this.";

/// Not authenticated, not paid, not permitted: whatever the body says, our account is the reason.
const fn is_about_the_account(status: u16) -> bool {
    matches!(status, 401..=403)
}

impl ErrorTables {
    /// Is this a code for "too fast, not processed"?
    pub(crate) fn is_throttle(&self, code: &str) -> bool {
        self.throttles.contains(&code)
    }

    /// What a code means for a message in a receipt. No code or an unknown one is a plain refusal.
    pub(crate) fn receipt_refusal(&self, code: Option<String>) -> Refusal {
        self.message_refusal(code, None)
    }

    /// The outcome of a send that brought trouble.
    ///
    /// Wrong credentials (401, 403) are `Rejected` with `account_problem`: the message was surely not taken, and no
    /// retry helps before an operator acts. Whoever sends may hold its lanes on that code instead of failing the rest.
    pub(crate) fn send_outcome(&self, trouble: Trouble) -> SendOutcome {
        match trouble {
            Trouble::Refused { status, code } => SendOutcome::Rejected(self.message_refusal(code, Some(status))),
            Trouble::Throttled { retry_after, code } => {
                SendOutcome::Throttled { retry_after, limit: self.find_limit(code.as_deref()) }
            }
            Trouble::Unreachable { cause } => SendOutcome::Unreachable { cause },
            Trouble::Unknown { cause } => SendOutcome::Unknown { cause },
        }
    }

    /// The error of a call about numbers that brought trouble. 401 and 403 are `Account`, as above.
    pub(crate) fn call_error(&self, trouble: Trouble) -> CallError {
        match trouble {
            Trouble::Refused { status, code } => CallError::Refused(self.number_refusal(code, status)),
            Trouble::Throttled { retry_after, .. } => CallError::Throttled { retry_after },
            Trouble::Unreachable { cause } => CallError::Unreachable { cause },
            Trouble::Unknown { cause } => CallError::Unknown { cause },
        }
    }

    fn find_limit(&self, code: Option<&str>) -> Option<SendingLimit> {
        self.limits.iter().find(|(known, _)| Some(*known) == code).map(|(_, limit)| *limit)
    }

    fn message_refusal(&self, code: Option<String>, status: Option<u16>) -> Refusal {
        let row = code.as_deref().and_then(|code| self.messages.iter().find(|row| row.0 == code));
        let (our_code, detail) = match row {
            Some(&(_, our_code, detail)) => (our_code, detail),
            None if status.is_some_and(is_about_the_account) => (ACCOUNT_PROBLEM, NO_ACCESS),
            None => (REJECTED_BY_CARRIER, "The carrier refused the message."),
        };
        Refusal { code: our_code, detail: detail.into(), limit: self.find_limit(code.as_deref()), carrier_code: code }
    }

    fn number_refusal(&self, code: Option<String>, status: u16) -> NumberRefusal {
        let row = code.as_deref().and_then(|code| self.numbers.iter().find(|row| row.0 == code));
        let (kind, detail) = match row {
            Some(&(_, kind, detail)) => (kind, detail),
            None if is_about_the_account(status) => (NumberRefusalKind::Account, NO_ACCESS),
            None => (NumberRefusalKind::Other, "The carrier refused the request."),
        };
        NumberRefusal { kind, carrier_code: code, detail: detail.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal_code::REGION_NOT_ALLOWED;

    const TABLES: ErrorTables = ErrorTables {
        read_code: |_| None,
        throttles: &["7"],
        limits: &[("7", SendingLimit::Sender), ("8", SendingLimit::BrandDay)],
        messages: &[("1", REGION_NOT_ALLOWED, "Not there.")],
        numbers: &[("2", NumberRefusalKind::NotAvailable, "Gone.")],
    };

    fn refused(status: u16, code: Option<&str>) -> Trouble {
        Trouble::Refused { status, code: code.map(Into::into) }
    }

    fn rejected(status: u16, code: Option<&str>) -> Refusal {
        match TABLES.send_outcome(refused(status, code)) {
            SendOutcome::Rejected(refusal) => refusal,
            other => panic!("{other:?} is not a rejection"),
        }
    }

    fn kind(status: u16, code: Option<&str>) -> NumberRefusalKind {
        match TABLES.call_error(refused(status, code)) {
            CallError::Refused(refusal) => refusal.kind,
            other => panic!("{other:?} is not a refusal"),
        }
    }

    #[test]
    fn an_unknown_code_is_a_plain_refusal_that_keeps_the_code() {
        let refusal = rejected(400, Some("99999"));
        assert_eq!(refusal.code, REJECTED_BY_CARRIER);
        assert_eq!(refusal.carrier_code.as_deref(), Some("99999"));
        assert_eq!(TABLES.receipt_refusal(None).code, REJECTED_BY_CARRIER);
        assert_eq!(kind(400, Some("99999")), NumberRefusalKind::Other);
    }

    #[test]
    fn a_limit_is_named_whether_the_message_was_refused_at_once_or_failed_later() {
        let throttled = |code: Option<&str>| {
            TABLES.send_outcome(Trouble::Throttled { retry_after: None, code: code.map(Into::into) })
        };
        let expected = |limit| SendOutcome::Throttled { retry_after: None, limit };
        assert_eq!(throttled(Some("7")), expected(Some(SendingLimit::Sender)));
        assert_eq!((throttled(Some("9")), throttled(None)), (expected(None), expected(None)));
        assert_eq!(TABLES.receipt_refusal(Some("8".into())).limit, Some(SendingLimit::BrandDay));
        assert_eq!((TABLES.receipt_refusal(Some("1".into())).limit, TABLES.receipt_refusal(None).limit), (None, None));
    }

    #[test]
    fn wrong_credentials_are_an_account_problem_with_and_without_a_code() {
        for status in [401, 402, 403] {
            for code in [None, Some("99999")] {
                assert_eq!(rejected(status, code).code, ACCOUNT_PROBLEM);
                assert_eq!(kind(status, code), NumberRefusalKind::Account);
            }
        }
    }

    #[test]
    fn a_code_that_we_know_beats_the_status() {
        assert_eq!(rejected(403, Some("1")).code, REGION_NOT_ALLOWED);
        assert_eq!(kind(403, Some("2")), NumberRefusalKind::NotAvailable);
    }
}
