//! Requests about calls. Twilio and Telnyx word them alike: TeXML is TwiML's copy (CARRIERS §5).

use domain::{CallResult, PhoneNumber};

use crate::{CallReport, InboundCall, MalformedWebhook, WebhookRequest, form::Form};

/// `DialCallStatus` of a forwarded call and what it is to us.
#[rustfmt::skip]
const RESULTS: &[(&str, CallResult)] = &[
    ("completed", CallResult::Answered),
    ("answered",  CallResult::Answered),
    ("busy",      CallResult::Busy),
    ("no-answer", CallResult::NoAnswer),
    // The caller gave up before anybody took it.
    ("canceled",  CallResult::NoAnswer),
    ("failed",    CallResult::Failed),
];

/// Reads an inbound call.
pub(crate) fn parse_call(request: &WebhookRequest<'_>) -> Result<InboundCall, MalformedWebhook> {
    let call = Call::read(&Form::read(request)?)?;
    Ok(InboundCall { from: call.from(), carrier_call_id: call.id, caller_id: call.caller_id, to: call.to })
}

/// Reads what came of a call: what is posted after a `<Dial>`, or else the number's own callback at the end of a
/// call that came to none. The latter's `completed` says only that it ended.
pub(crate) fn parse_call_report(request: &WebhookRequest<'_>) -> Result<Option<CallReport>, MalformedWebhook> {
    let form = Form::read(request)?;
    let call = Call::read(&form)?;
    let result = match form.find("DialCallStatus") {
        Some(word) => find_result(word).ok_or(MalformedWebhook::UnknownStatus)?,
        None => match form.find("CallStatus").and_then(find_result) {
            Some(result) if result != CallResult::Answered => result,
            _ => return Ok(None),
        },
    };
    Ok(Some(CallReport {
        from: call.from(),
        carrier_call_id: call.id,
        to: call.to,
        result,
        duration_s: form.find("DialCallDuration").and_then(|seconds| seconds.parse().ok()),
    }))
}

fn find_result(word: &str) -> Option<CallResult> {
    RESULTS.iter().find(|row| row.0 == word).map(|row| row.1)
}

/// What every request about a call says.
struct Call {
    id: String,
    /// E.164; absent for `anonymous`, `client:` and whatever else is no number.
    caller_id: Option<String>,
    to: PhoneNumber,
}

impl Call {
    fn read(form: &Form<'_>) -> Result<Self, MalformedWebhook> {
        let from = form.find("From").unwrap_or_default();
        Ok(Self {
            id: form.get("CallSid")?.to_owned(),
            caller_id: is_e164(from).then(|| from.to_owned()),
            to: PhoneNumber::from_e164(form.get("To")?).map_err(|_| MalformedWebhook::InvalidField("To"))?,
        })
    }

    fn from(&self) -> Option<PhoneNumber> {
        PhoneNumber::from_e164(self.caller_id.as_deref()?).ok()
    }
}

/// A plus and 8 to 15 digits of any country; carriers may refuse to show anything else.
fn is_e164(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (8..=15).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_shown_only_as_a_number_of_some_country() {
        for good in ["+14155550123", "+442079460958", "+4930123456", "+290123456"] {
            assert!(is_e164(good), "{good}");
        }
        for bad in ["", "+", "14155550123", "+0123456789", "+1234567", "+1234567890123456", "+1415555o123", "anonymous"]
        {
            assert!(!is_e164(bad), "{bad}");
        }
    }

    #[test]
    fn every_end_of_a_dial_has_a_meaning() {
        use CallResult::{Answered, Busy, Failed, NoAnswer};
        let words = ["completed", "answered", "busy", "no-answer", "canceled", "failed"];
        let expected = [Answered, Answered, Busy, NoAnswer, NoAnswer, Failed];
        assert_eq!(words.map(|word| find_result(word).unwrap()), expected);
        assert_eq!(find_result("in-progress"), None);
    }
}
