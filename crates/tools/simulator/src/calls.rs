//! A phone calls a number, from the first ring to the end: the voice webhook, what its answer does, the `action` callback
//! after a `<Dial>`, and the status callback. The other end behaves as it is told (`outcome`); no time passes meanwhile.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::carrier::CarrierName;
use crate::numbers::Settings;
use crate::state::Simulator;
use crate::twiml::{self, Dial, Script};
use crate::webhook::{Delivery, Params};
use crate::{e164, telnyx, twilio};

/// What a phone that withholds its number shows.
const ANONYMOUS: &str = "anonymous";

/// What the one who is dialled does, or the caller meanwhile.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    #[default]
    Answered,
    NoAnswer,
    Busy,
    Failed,
    /// The caller hangs up before anybody answers.
    Canceled,
}

impl Outcome {
    /// The carriers' word for it after a `<Dial>`.
    pub(crate) fn as_dial_status(self) -> &'static str {
        match self {
            Self::Answered => "completed",
            Self::NoAnswer => "no-answer",
            Self::Busy => "busy",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }
}

/// What a phone does.
pub(crate) struct Dialling {
    pub(crate) phone: String,
    pub(crate) to: String,
    pub(crate) withheld: bool,
    pub(crate) outcome: Outcome,
    pub(crate) duration_s: u32,
}

/// One call, as the carrier tells of it.
pub(crate) struct Call {
    pub(crate) sid: String,
    pub(crate) from: String,
    pub(crate) to: String,
    /// Only at Telnyx.
    pub(crate) application_id: Option<String>,
}

/// How a `<Dial>` ended.
pub(crate) struct DialEnd {
    pub(crate) sid: String,
    pub(crate) outcome: Outcome,
    pub(crate) duration_s: u32,
}

/// What happened, as the control API shows it.
#[derive(Default, Serialize)]
pub(crate) struct Called {
    call_sid: String,
    /// The XML of the voice webhook.
    response: Option<String>,
    /// The sentence spoken at first.
    said: Option<String>,
    dialed: Option<String>,
    /// Whom the dialled phone sees calling.
    caller_id: Option<String>,
    /// Seconds of ringing.
    timeout: Option<u32>,
    /// HTTP status of the `action` callback.
    result_status: Option<u16>,
    /// The XML of its answer.
    after: Option<String>,
    /// The sentence spoken then.
    said_after: Option<String>,
}

/// Who plays the call, and where its number's owner listens.
struct Line {
    simulator: Arc<Simulator>,
    carrier: CarrierName,
    settings: Settings,
    /// Telnyx dials only through an outbound voice profile.
    may_dial: bool,
    call: Call,
}

/// Nothing when nobody owns the number.
pub(crate) async fn play(simulator: &Arc<Simulator>, dialling: Dialling) -> Option<Called> {
    let line = connect(simulator, &dialling)?;
    let call_sid = line.call.sid.clone();
    // The call goes on whether or not the one who asked for it stays to hear about it.
    let called = simulator.tasks.spawn(line.run(dialling.outcome, dialling.duration_s)).await;
    Some(called.unwrap_or_else(|_| Called { call_sid, ..Called::default() }))
}

fn connect(simulator: &Arc<Simulator>, dialling: &Dialling) -> Option<Line> {
    let world = simulator.world();
    let owned = world.numbers.find_by_number(&dialling.to)?;
    let application = owned.application_id.as_deref().and_then(|id| world.numbers.find_application(id));
    Some(Line {
        simulator: Arc::clone(simulator),
        carrier: owned.carrier,
        settings: world.numbers.get_settings(owned),
        may_dial: owned.carrier == CarrierName::Twilio
            || application.is_some_and(|application| application.outbound_voice_profile_id.is_some()),
        call: Call {
            sid: make_sid(owned.carrier),
            from: if dialling.withheld { ANONYMOUS.to_owned() } else { dialling.phone.clone() },
            to: dialling.to.clone(),
            application_id: owned.application_id.clone(),
        },
    })
}

fn make_sid(carrier: CarrierName) -> String {
    match carrier {
        CarrierName::Twilio => crate::sid::make("CA"),
        CarrierName::Telnyx => telnyx::calls::make_sid(),
    }
}

impl Line {
    async fn run(self, outcome: Outcome, duration_s: u32) -> Called {
        let mut called = Called { call_sid: self.call.sid.clone(), ..Called::default() };
        let Some(url) = self.settings.voice_url.as_deref() else { return called };
        let fallback = self.settings.voice_fallback_url.as_deref();
        let delivery = self.ask(url, fallback, &self.list_params("ringing")).await;
        let script = delivery.answer.as_ref().filter(|_| delivery.taken).and_then(|answer| twiml::read(&answer.body));
        let answered_by = if delivery.from_fallback { fallback.unwrap_or(url) } else { url };
        let base = Url::parse(answered_by).ok();
        called.response = delivery.answer.map(|answer| answer.body);
        // What cannot be read is told to the caller as an application error.
        let Some(script) = script else {
            self.tell_end("completed", 0).await;
            return called;
        };
        called.said.clone_from(&script.said);
        let end = script.dial.as_ref().and_then(|dial| self.dial(dial, outcome, duration_s, &mut called));
        let action = script.dial.as_ref().and_then(|dial| base?.join(dial.action.as_deref()?).ok());
        if let (Some(end), Some(action)) = (&end, action) {
            let result = self.ask(action.as_str(), None, &self.list_result_params(end)).await;
            called.result_status = result.answer.as_ref().map(|answer| answer.status);
            called.after = result.answer.map(|answer| answer.body);
        }
        called.said_after = called.after.as_deref().and_then(twiml::read).and_then(|after| after.said);
        let bridged = end.is_some_and(|end| end.outcome == Outcome::Answered);
        let status = decide_status(&script, bridged, called.said_after.is_some(), outcome);
        self.tell_end(status, if bridged { duration_s } else { 0 }).await;
        called
    }

    /// Dials on, if there is a number to dial. What the carrier would not put through fails.
    fn dial(&self, dial: &Dial, outcome: Outcome, duration_s: u32, called: &mut Called) -> Option<DialEnd> {
        called.dialed = Some(dial.number.clone()?);
        called.timeout = Some(dial.timeout);
        let caller_id = dial.caller_id.clone().unwrap_or_else(|| self.call.from.clone());
        let put_through =
            self.may_dial && self.may_show(&caller_id) && called.dialed.as_deref().is_some_and(e164::is_dialable);
        called.caller_id = Some(caller_id);
        let outcome = if put_through { outcome } else { Outcome::Failed };
        Some(DialEnd { sid: make_sid(self.carrier), outcome, duration_s })
    }

    /// A caller id must be a number of this call, or one of the account (CARRIERS §5).
    fn may_show(&self, caller_id: &str) -> bool {
        let of_account = || {
            let world = self.simulator.world();
            world.numbers.find_by_number(caller_id).is_some_and(|owned| owned.carrier == self.carrier)
        };
        e164::is_dialable(caller_id) && (caller_id == self.call.from || caller_id == self.call.to || of_account())
    }

    async fn tell_end(&self, status: &str, duration_s: u32) {
        let Some(url) = self.settings.status_callback.as_deref() else { return };
        let mut params = self.list_params(status);
        params.push(("CallDuration".to_owned(), duration_s.to_string()));
        self.ask(url, None, &params).await;
    }

    async fn ask(&self, url: &str, fallback: Option<&str>, params: &Params) -> Delivery {
        let delivery = match self.carrier {
            CarrierName::Twilio => self.simulator.twilio_webhooks.deliver_with_fallback(url, fallback, params).await,
            CarrierName::Telnyx => self.simulator.telnyx_webhooks.ask(url, fallback, params).await,
        };
        self.simulator.counts.record_webhook(&delivery);
        delivery
    }

    fn list_params(&self, status: &str) -> Params {
        match self.carrier {
            CarrierName::Twilio => twilio::calls::list_params(&self.simulator.config.account_sid, &self.call, status),
            CarrierName::Telnyx => telnyx::calls::list_params(&self.call, status),
        }
    }

    fn list_result_params(&self, end: &DialEnd) -> Params {
        let status = if end.outcome == Outcome::Canceled { "completed" } else { "in-progress" };
        let mut params = self.list_params(status);
        let bridged = end.outcome == Outcome::Answered;
        params.push(("DialCallStatus".to_owned(), end.outcome.as_dial_status().to_owned()));
        params.push(("DialCallSid".to_owned(), end.sid.clone()));
        params.push(("DialBridged".to_owned(), bridged.to_string()));
        if bridged {
            params.push(("DialCallDuration".to_owned(), end.duration_s.to_string()));
        }
        params
    }
}

/// The status of the caller's own call: completed as soon as he was connected to somebody or something.
fn decide_status(script: &Script, bridged: bool, says_after: bool, outcome: Outcome) -> &'static str {
    let rings_only = script.dial.as_ref().is_some_and(|dial| dial.answer_on_bridge && dial.number.is_some());
    if script.rejected {
        "busy"
    } else if bridged || script.said.is_some() || (says_after && outcome != Outcome::Canceled) || !rings_only {
        "completed"
    } else if outcome == Outcome::Canceled {
        "canceled"
    } else {
        "no-answer"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_completed_when_somebody_or_something_answered_it() {
        let script = |xml: &str| twiml::read(xml).unwrap();
        let ringing = script(r#"<Response><Dial answerOnBridge="true">+14155550123</Dial></Response>"#);
        let at_once = script("<Response><Dial>+14155550123</Dial></Response>");
        let spoken = script("<Response><Say>Nobody.</Say></Response>");
        let rejected = script("<Response><Reject/></Response>");
        for (script, bridged, says_after, outcome, status) in [
            (&ringing, true, false, Outcome::Answered, "completed"),
            (&ringing, false, false, Outcome::NoAnswer, "no-answer"),
            (&ringing, false, true, Outcome::Busy, "completed"),
            (&ringing, false, true, Outcome::Canceled, "canceled"),
            (&at_once, false, false, Outcome::NoAnswer, "completed"),
            (&spoken, false, false, Outcome::Answered, "completed"),
            (&rejected, false, false, Outcome::Answered, "busy"),
        ] {
            assert_eq!(decide_status(script, bridged, says_after, outcome), status, "{script:?} {outcome:?}");
        }
    }
}
