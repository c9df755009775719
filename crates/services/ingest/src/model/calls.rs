//! What is done with a call to a messages number, and what is recorded of it (rule 6).
//!
//! Calls are forwarded or told a sentence; nothing is ever recorded of what is said.

use std::time::Duration;

use carriers::{CallInstruction, CallReport, Forward, InboundCall, MalformedWebhook, WebhookAddresses};
use chrono::{DateTime, Utc};
use domain::{CallResult, CarrierName, LicenseId};
use proto::ingest::CallUpdated;

use super::{Identified, check_carrier_id};
use crate::routes::Callee;

/// Spoken when the license has no company phone.
const NO_COMPANY_PHONE: &str =
    "Sorry, calls to this number cannot be answered. You can send a text message to this number.";
/// Spoken when the number is nobody's.
const NOBODYS_NUMBER: &str = "Sorry, this number is not in use.";
/// Spoken when the company was rung in vain.
const NOBODY_ANSWERED: &str = "Nobody can take your call right now. You can send a text message to this number.";

/// How calls are forwarded: the same for all of them.
#[derive(Debug)]
pub(crate) struct Forwarding {
    pub(crate) addresses: WebhookAddresses,
    pub(crate) ring_for: Duration,
}

/// What is done with one call.
#[derive(Debug)]
pub(crate) struct CallPlan {
    pub(crate) instruction: CallInstruction,
    /// `None`: nothing is recorded, because the number is nobody's.
    pub(crate) event: Option<Identified<CallUpdated>>,
    /// A stable name for metrics.
    pub(crate) outcome: &'static str,
}

/// Decides what is done with a call. `callee`: whom the called number belongs to now.
///
/// # Errors
/// The call's id is none.
pub(crate) fn plan_call(
    carrier: CarrierName,
    call: InboundCall,
    callee: Option<Callee>,
    forwarding: &Forwarding,
    now: DateTime<Utc>,
) -> Result<CallPlan, MalformedWebhook> {
    check_carrier_id(&call.carrier_call_id, "carrier_call_id")?;
    let Some(Callee { license_id, company_phone }) = callee else {
        let instruction = CallInstruction::Say(NOBODYS_NUMBER);
        return Ok(CallPlan { instruction, event: None, outcome: "nobodys_number" });
    };
    let (instruction, result, outcome) = match company_phone {
        Some(to) => {
            let forward = Forward {
                to,
                caller_id: call.caller_id.unwrap_or_else(|| call.to.as_str().to_owned()),
                ring_for: forwarding.ring_for,
                then: forwarding.addresses.after_call(carrier, &license_id),
            };
            (CallInstruction::Forward(forward), None, "forwarded")
        }
        None => (CallInstruction::Say(NO_COMPANY_PHONE), Some(CallResult::Failed), "no_company_phone"),
    };
    let event = identified(CallUpdated {
        license_id: license_id.as_str().to_owned(),
        carrier: carrier.to_string(),
        carrier_call_id: call.carrier_call_id,
        from: call.from.map(|from| from.as_str().to_owned()),
        to: call.to.as_str().to_owned(),
        result: result.map(|result| result.to_string()),
        duration_s: None,
        occurred_at: Some(proto::to_timestamp(now)),
    });
    Ok(CallPlan { instruction, event: Some(event), outcome })
}

/// `ingest.call.updated.v1` with what came of a call to this license.
///
/// # Errors
/// The call's id is none.
pub(crate) fn call_updated(
    carrier: CarrierName,
    license_id: &LicenseId,
    report: CallReport,
    now: DateTime<Utc>,
) -> Result<Identified<CallUpdated>, MalformedWebhook> {
    check_carrier_id(&report.carrier_call_id, "carrier_call_id")?;
    Ok(identified(CallUpdated {
        license_id: license_id.as_str().to_owned(),
        carrier: carrier.to_string(),
        carrier_call_id: report.carrier_call_id,
        from: report.from.map(|from| from.as_str().to_owned()),
        to: report.to.as_str().to_owned(),
        result: Some(report.result.to_string()),
        duration_s: report.duration_s,
        occurred_at: Some(proto::to_timestamp(now)),
    }))
}

/// What a caller hears after the company was rung.
pub(crate) fn decide_after_call(result: CallResult) -> CallInstruction {
    match result {
        CallResult::Answered => CallInstruction::HangUp,
        CallResult::NoAnswer | CallResult::Busy | CallResult::Failed => CallInstruction::Say(NOBODY_ANSWERED),
    }
}

/// With id `<carrier>:<carrier's call id>:<result>`, or `ringing` where there is no result yet.
fn identified(event: CallUpdated) -> Identified<CallUpdated> {
    let progress = event.result.as_deref().unwrap_or("ringing");
    Identified { event_id: format!("{}:{}:{progress}", event.carrier, event.carrier_call_id), event }
}

#[cfg(test)]
mod tests {
    use domain::PhoneNumber;

    use super::*;

    const CALLED: &str = "+16465550111";

    fn number(text: &str) -> PhoneNumber {
        PhoneNumber::from_e164(text).unwrap()
    }

    fn call(caller_id: Option<&str>) -> InboundCall {
        InboundCall {
            carrier_call_id: "CA1".to_owned(),
            from: caller_id.and_then(|text| PhoneNumber::from_e164(text).ok()),
            caller_id: caller_id.map(str::to_owned),
            to: number(CALLED),
        }
    }

    fn callee(company_phone: Option<&str>) -> Callee {
        let company_phone = company_phone.map(number);
        Callee { license_id: LicenseId::parse("acme").unwrap(), company_phone }
    }

    fn plan(call: InboundCall, callee: impl Into<Option<Callee>>) -> CallPlan {
        let addresses = WebhookAddresses::parse("https://in.example.com").unwrap();
        let forwarding = Forwarding { addresses, ring_for: Duration::from_secs(25) };
        plan_call(CarrierName::Twilio, call, callee.into(), &forwarding, DateTime::UNIX_EPOCH).unwrap()
    }

    fn forward(plan: &CallPlan) -> &Forward {
        let CallInstruction::Forward(forward) = &plan.instruction else { unreachable!("{plan:?}") };
        forward
    }

    #[test]
    fn a_call_rings_the_company_phone_and_shows_the_caller() {
        let plan = plan(call(Some("+14155550123")), callee(Some("+12125550199")));
        let forward = forward(&plan);
        assert_eq!((forward.to.as_str(), forward.caller_id.as_str()), ("+12125550199", "+14155550123"));
        assert_eq!(forward.ring_for, Duration::from_secs(25));
        assert_eq!(forward.then.as_str(), "https://in.example.com/webhooks/twilio/voice/after?license=acme");
        let recorded = plan.event.as_ref().unwrap();
        assert_eq!(recorded.event_id, "twilio:CA1:ringing");
        assert_eq!((recorded.event.license_id.as_str(), recorded.event.result.as_deref()), ("acme", None));
        assert_eq!((recorded.event.from.as_deref(), recorded.event.to.as_str()), (Some("+14155550123"), CALLED));
    }

    #[test]
    fn a_withheld_caller_is_shown_as_the_messages_number_and_a_foreign_one_as_it_is() {
        let withheld = plan(call(None), callee(Some("+12125550199")));
        assert_eq!(forward(&withheld).caller_id, CALLED);
        assert_eq!(withheld.event.unwrap().event.from, None);
        let foreign = plan(call(Some("+442079460958")), callee(Some("+12125550199")));
        assert_eq!(forward(&foreign).caller_id, "+442079460958");
        assert_eq!(foreign.event.unwrap().event.from, None);
    }

    #[test]
    fn a_call_without_a_company_phone_has_failed_and_one_to_nobodys_number_is_not_recorded() {
        let no_phone = plan(call(None), callee(None));
        assert_eq!(no_phone.instruction, CallInstruction::Say(NO_COMPANY_PHONE));
        let recorded = no_phone.event.unwrap();
        assert_eq!(
            (recorded.event_id.as_str(), recorded.event.result.as_deref()),
            ("twilio:CA1:failed", Some("failed"))
        );
        let nobodys = plan(call(None), None);
        assert_eq!(nobodys.instruction, CallInstruction::Say(NOBODYS_NUMBER));
        assert!(nobodys.event.is_none());
    }

    #[test]
    fn a_caller_who_reached_nobody_hears_what_else_can_be_done() {
        assert_eq!(decide_after_call(CallResult::Answered), CallInstruction::HangUp);
        for result in [CallResult::NoAnswer, CallResult::Busy, CallResult::Failed] {
            assert_eq!(decide_after_call(result), CallInstruction::Say(NOBODY_ANSWERED));
        }
    }

    #[test]
    fn every_result_of_a_call_is_an_event_of_its_own() {
        for result in [CallResult::Answered, CallResult::NoAnswer, CallResult::Busy, CallResult::Failed] {
            let report = CallReport {
                carrier_call_id: "CA1".to_owned(),
                from: None,
                to: number(CALLED),
                result,
                duration_s: Some(7),
            };
            let license_id = LicenseId::parse("acme").unwrap();
            let recorded = call_updated(CarrierName::Telnyx, &license_id, report, DateTime::UNIX_EPOCH).unwrap();
            assert_eq!(recorded.event_id, format!("telnyx:CA1:{result}"));
            assert_eq!((recorded.event.result, recorded.event.duration_s), (Some(result.to_string()), Some(7)));
        }
    }

    #[test]
    fn an_id_that_could_not_stand_in_a_header_is_refused() {
        let addresses = WebhookAddresses::parse("https://in.example.com").unwrap();
        let forwarding = Forwarding { addresses, ring_for: Duration::from_secs(25) };
        let strange = InboundCall { carrier_call_id: "CA1\r\nNats-Rollup: all".to_owned(), ..call(None) };
        let refused = plan_call(CarrierName::Twilio, strange, Some(callee(None)), &forwarding, DateTime::UNIX_EPOCH);
        assert_eq!(refused.unwrap_err(), MalformedWebhook::InvalidField("carrier_call_id"));
    }
}
