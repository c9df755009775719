//! Calls to their end, at both carriers.

use super::*;

const COMPANY: &str = "+12125550100";

/// Dials the company as the product does.
fn dial(receiver: &Receiver, more: &str) -> String {
    let action = receiver.url("/after?license=a&amp;b=c");
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?><Response><Dial answerOnBridge="true" timeout="20" action="{action}" {more}><Number>{COMPANY}</Number></Dial></Response>"#
    )
}

async fn carrier_of(name: &str, receiver: &Receiver) -> (Carrier, String) {
    if name == "telnyx" {
        return Carrier::with_telnyx_number(receiver).await;
    }
    let carrier = Carrier::start().await;
    let settings = [("VoiceUrl", receiver.url("/voice")), ("StatusCallback", receiver.url("/ended"))];
    carrier.buy(NUMBER, &settings.each_ref().map(|(name, url)| (*name, url.as_str()))).await;
    (carrier, NUMBER.to_owned())
}

#[tokio::test]
async fn a_call_that_is_answered_is_told_to_its_action_and_then_its_end() {
    for name in ["twilio", "telnyx"] {
        let receiver = Receiver::start().await;
        let (carrier, number) = carrier_of(name, &receiver).await;
        let xml = dial(&receiver, "");
        receiver.answer(200, &xml);
        receiver.answer(200, "<Response><Hangup/></Response>");
        let called = carrier.call(&number, json!({ "outcome": "answered", "duration_s": 42 })).await;
        assert_eq!(
            called,
            json!({
                "call_sid": called["call_sid"],
                "response": xml,
                "said": null,
                "dialed": COMPANY,
                "caller_id": PHONE,
                "timeout": 20,
                "result_status": 200,
                "after": "<Response><Hangup/></Response>",
                "said_after": null,
            })
        );
        let [voice, after, ended] = receiver.received().try_into().unwrap();
        for (webhook, path) in [(&voice, "/voice"), (&after, "/after?license=a&b=c"), (&ended, "/ended")] {
            assert!(webhook.path == path, "{name}: {webhook:?}");
            assert!(if name == "twilio" { webhook.signed } else { webhook.signed_by_telnyx }, "{webhook:?}");
            assert_eq!(
                (webhook.get("CallSid"), webhook.get("From"), webhook.get("To")),
                (called["call_sid"].as_str().unwrap(), PHONE, number.as_str())
            );
        }
        assert_eq!((after.get("DialCallStatus"), after.get("DialCallDuration")), ("completed", "42"));
        assert_ne!(after.get("DialCallSid"), after.get("CallSid"));
        assert_eq!((ended.get("CallStatus"), ended.get("CallDuration")), ("completed", "42"));
        assert_eq!(voice.get("CallStatus"), if name == "twilio" { "ringing" } else { "" });
    }
}

#[tokio::test]
async fn a_call_that_nobody_answers_says_why() {
    for name in ["twilio", "telnyx"] {
        let receiver = Receiver::start().await;
        let (carrier, number) = carrier_of(name, &receiver).await;
        for (outcome, dialled, ended) in [
            ("no_answer", "no-answer", "no-answer"),
            ("busy", "busy", "no-answer"),
            ("failed", "failed", "no-answer"),
            ("canceled", "canceled", "canceled"),
        ] {
            receiver.answer(200, &dial(&receiver, ""));
            let before = receiver.received().len();
            let called = carrier.call(&number, json!({ "outcome": outcome })).await;
            assert_eq!((&called["dialed"], &called["result_status"]), (&json!(COMPANY), &json!(200)));
            let [_, after, end] = receiver.received().split_off(before).try_into().unwrap();
            assert_eq!(
                (after.get("DialCallStatus"), after.get("DialCallDuration"), end.get("CallStatus")),
                (dialled, "", ended),
                "{name}"
            );
        }
        receiver.answer(200, &dial(&receiver, ""));
        receiver.answer(200, "<Response><Say>Nobody is here.</Say></Response>");
        carrier.call(&number, json!({ "outcome": "busy" })).await;
        assert_eq!(receiver.received().last().unwrap().get("CallStatus"), "completed");
    }
}

#[tokio::test]
async fn a_call_that_is_not_forwarded_hears_a_sentence() {
    let receiver = Receiver::start().await;
    let (carrier, number) = carrier_of("twilio", &receiver).await;
    receiver.answer(200, "<Response><Say>Nobody is here.</Say><Hangup/></Response>");
    let called = carrier.call(&number, json!({})).await;
    assert_eq!(
        (&called["said"], &called["dialed"], &called["result_status"]),
        (&json!("Nobody is here."), &Value::Null, &Value::Null)
    );
    assert_eq!(receiver.received().last().unwrap().get("CallStatus"), "completed");
}

#[tokio::test]
async fn only_a_caller_id_of_the_call_or_the_account_is_put_through() {
    for name in ["twilio", "telnyx"] {
        let receiver = Receiver::start().await;
        let (carrier, number) = carrier_of(name, &receiver).await;
        for (withheld, attribute, shown, result) in [
            (true, String::new(), "anonymous", "failed"),
            (true, format!("callerId=\"{number}\""), number.as_str(), "completed"),
            (false, "callerId=\"+13125550100\"".to_owned(), "+13125550100", "failed"),
            (false, format!("callerId=\"{PHONE}\""), PHONE, "completed"),
        ] {
            receiver.answer(200, &dial(&receiver, &attribute));
            let before = receiver.received().len();
            let called = carrier.call(&number, json!({ "withheld": withheld })).await;
            let webhooks = receiver.received().split_off(before);
            assert_eq!(webhooks[0].get("From"), if withheld { "anonymous" } else { PHONE });
            assert_eq!((called["caller_id"].as_str(), webhooks[1].get("DialCallStatus")), (Some(shown), result));
        }
    }
}

#[tokio::test]
async fn an_application_without_an_outbound_profile_cannot_dial() {
    let receiver = Receiver::start().await;
    let (carrier, number) = Carrier::with_telnyx_number(&receiver).await;
    let (_, applications) = carrier.telnyx_get("texml_applications").await;
    let path = format!("texml_applications/{}", applications["data"][0]["id"].as_str().unwrap());
    let closed = json!({ "outbound": { "outbound_voice_profile_id": null } });
    assert_eq!(carrier.telnyx("PATCH", &path, closed).await.0, StatusCode::OK);
    receiver.answer(200, &dial(&receiver, ""));
    carrier.call(&number, json!({})).await;
    assert_eq!(receiver.received()[1].get("DialCallStatus"), "failed");
}

#[tokio::test]
async fn a_voice_webhook_that_fails_is_asked_again_as_told_and_then_at_its_fallback() {
    let receiver = Receiver::start().await;
    let carrier = Carrier::start().await;
    carrier
        .buy(
            NUMBER,
            &[
                ("VoiceUrl", &receiver.url("/voice#rc=1&rp=all")),
                ("VoiceFallbackUrl", &receiver.url("/fallback/voice")),
            ],
        )
        .await;
    receiver.answer(500, "");
    receiver.answer(500, "");
    // A relative action belongs to the address that answered.
    receiver.answer(200, &format!(r#"<Response><Dial action="after">{COMPANY}</Dial></Response>"#));
    let called = carrier.call(NUMBER, json!({})).await;
    assert_eq!((&called["dialed"], &called["timeout"]), (&json!(COMPANY), &json!(30)));
    let paths: Vec<_> = receiver.received().into_iter().map(|webhook| webhook.path).collect();
    assert_eq!(paths, ["/voice", "/voice", "/fallback/voice", "/fallback/after"]);
}

#[tokio::test]
async fn a_call_that_nobody_tells_what_to_do_ends() {
    let receiver = Receiver::start().await;
    let (carrier, number) = carrier_of("twilio", &receiver).await;
    receiver.answer(500, "<Response><Dial>+12125550100</Dial></Response>");
    let called = carrier.call(&number, json!({})).await;
    assert_eq!((&called["dialed"], &called["said"]), (&Value::Null, &Value::Null));
    assert_eq!(receiver.received().len(), 2);
    let body = json!({ "to": number, "outcome": "busy", "duration_s": 3 });
    let (status, problem) = carrier.control_post(&format!("phones/{PHONE}/call"), body).await;
    assert!(status == StatusCode::UNPROCESSABLE_ENTITY && problem["detail"].as_str().unwrap().contains("duration_s"));
}
