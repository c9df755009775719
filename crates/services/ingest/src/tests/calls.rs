//! Calls (rule 6): what the caller gets, and what is recorded.

use super::service::{PUBLIC, Service, TOKEN, Webhook};

pub(super) const CALLED: &str = "+16465550111";
const OTHER: &str = "+16465550112";
pub(super) const COMPANY: &str = "+12125550171";
const NEW_COMPANY: &str = "+12125550172";
const CALLER: &str = "+14155550123";
const VOICE: &str = "/webhooks/twilio/voice";
const AFTER: &str = "/webhooks/twilio/voice/after";
/// The rest of every answer that does not forward.
const GOODBYE: &str = "</Say><Hangup/></Response>";

pub(super) fn number(number: &str) -> String {
    format!("<Number>{number}</Number>")
}

/// Where the carrier goes after this call, as a target of ours.
pub(super) fn action(answer: &str) -> String {
    let (_, rest) = answer.split_once("action=\"").unwrap();
    let url = rest.split('"').next().unwrap().replace("&amp;", "&");
    url.strip_prefix(PUBLIC).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_forwarded_to_the_company_phone_as_it_is_set_now() {
    let service = Service::start().await;
    let call = Webhook::call("CA1", CALLER, CALLED);
    service.set_route("acme", CALLED, Some(COMPANY), 1).await;
    let answer = service.call_until(&call, &number(COMPANY)).await;
    for part in ["<Dial answerOnBridge=\"true\"", &format!("callerId=\"{CALLER}\""), "timeout=\"25\""] {
        assert!(answer.contains(part), "{answer}");
    }
    assert_eq!(action(&answer), "/webhooks/twilio/voice/after?license=acme");
    service.set_route("acme", CALLED, Some(NEW_COMPANY), 2).await;
    service.call_until(&call, &number(NEW_COMPANY)).await;
    service.set_route("acme", CALLED, None, 3).await;
    service.call_until(&call, GOODBYE).await;
    // A word of before that comes late.
    service.set_route("acme", CALLED, Some(COMPANY), 1).await;
    service.set_route("other", OTHER, Some(NEW_COMPANY), 1).await;
    service.call_until(&Webhook::call("CA2", CALLER, OTHER), &number(NEW_COMPANY)).await;
    assert!(service.send(&call).await.1.contains(GOODBYE));

    let recorded = service.calls(3).await;
    let began = &recorded["twilio:CA1:ringing"];
    assert_eq!((began.license_id.as_str(), began.carrier.as_str()), ("acme", "twilio"));
    assert_eq!((began.carrier_call_id.as_str(), began.result.as_deref()), ("CA1", None));
    assert_eq!((began.from.as_deref(), began.to.as_str()), (Some(CALLER), CALLED));
    assert_eq!(proto::from_timestamp(began.occurred_at).unwrap(), testkit::clock().now());
    assert_eq!(recorded["twilio:CA1:failed"].result.as_deref(), Some("failed"));
    assert_eq!(recorded["twilio:CA2:ringing"].license_id, "other");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_company_phone_or_nobodys_number_is_a_spoken_sentence_and_hang_up() {
    let service = Service::start().await;
    let nobodys = Webhook::call("CA1", CALLER, CALLED);
    let (status, answer) = service.send(&nobodys).await;
    assert_eq!(status, 200);
    assert!(
        answer.contains("<Response><Say>Sorry, this number is not in use.") && answer.ends_with(GOODBYE),
        "{answer}"
    );

    service.set_route("acme", CALLED, None, 1).await;
    let no_phone = Webhook::call("CA2", CALLER, CALLED);
    let answer = service.call_until(&no_phone, "You can send a text message").await;
    assert!(answer.ends_with(GOODBYE) && !answer.contains("<Dial"), "{answer}");

    // The number that was replaced is nobody's again.
    service.set_route("acme", OTHER, Some(COMPANY), 2).await;
    service.call_until(&Webhook::call("CA3", CALLER, CALLED), "not in use").await;

    let ids: Vec<_> = service.calls(1).await.into_keys().collect();
    assert_eq!(ids, ["twilio:CA2:failed"], "nobody's calls are counted only");
    let (_, metrics) = service.ask_admin("/metrics").await;
    let line = "ingest_webhooks_total{carrier=\"twilio\",kind=\"call\",result=\"nobodys_number\"}";
    assert!(metrics.contains(line), "{metrics}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withheld_caller_is_shown_as_the_messages_number() {
    let service = Service::start().await;
    service.set_route("acme", CALLED, Some(COMPANY), 1).await;
    for (sid, from) in [("CA1", "anonymous"), ("CA2", "client:joe"), ("CA3", "")] {
        let answer = service.call_until(&Webhook::call(sid, from, CALLED), &number(COMPANY)).await;
        assert!(answer.contains(&format!("callerId=\"{CALLED}\"")), "{from}: {answer}");
    }
    assert!(service.calls(3).await.values().all(|call| call.from.is_none()));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_of_a_call_is_recorded_and_a_caller_who_reached_nobody_is_told() {
    let service = Service::start().await;
    service.set_route("acme", CALLED, Some(COMPANY), 1).await;
    let answer = service.call_until(&Webhook::call("CA1", CALLER, CALLED), &number(COMPANY)).await;
    let after = action(&answer);
    for (sid, word, result, told) in [
        ("CA1", "completed", "answered", "<Response><Hangup/></Response>"),
        ("CA2", "no-answer", "no_answer", "<Say>Nobody can take your call right now."),
        ("CA3", "busy", "busy", "<Say>Nobody can take your call right now."),
        ("CA4", "failed", "failed", "<Say>Nobody can take your call right now."),
    ] {
        let params = [("DialCallStatus", word), ("DialCallDuration", "12")];
        let (status, answer) = service.send(&Webhook::call_report(&after, sid, CALLED, &params)).await;
        assert_eq!(status, 200);
        assert!(answer.contains(told), "{word}: {answer}");
        // Stored before the answer.
        let stored = service.list_stored::<proto::ingest::CallUpdated>().await;
        let stored = stored.iter().find(|stored| stored.event.result.as_deref() == Some(result)).unwrap();
        assert_eq!((stored.event.carrier_call_id.as_str(), stored.event.license_id.as_str()), (sid, "acme"));
        assert_eq!(stored.event.duration_s, Some(12));
        assert_eq!(stored.headers.get("Nats-Msg-Id").unwrap().as_str(), format!("twilio:{sid}:{result}"));
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_belongs_to_the_license_that_was_called_also_when_its_number_changes_while_they_talk() {
    let service = Service::start().await;
    service.set_route("acme", CALLED, Some(COMPANY), 1).await;
    let answer = service.call_until(&Webhook::call("CA1", CALLER, CALLED), &number(COMPANY)).await;
    service.set_route("acme", OTHER, Some(COMPANY), 2).await;
    service.set_route("next", CALLED, Some(NEW_COMPANY), 1).await;
    service.call_until(&Webhook::call("CA2", CALLER, CALLED), &number(NEW_COMPANY)).await;
    let report = Webhook::call_report(&action(&answer), "CA1", CALLED, &[("DialCallStatus", "completed")]);
    assert_eq!(service.send(&report).await.0, 200);
    let recorded = service.calls(3).await;
    assert_eq!(recorded["twilio:CA1:answered"].license_id, "acme");
    assert_eq!(recorded["twilio:CA2:ringing"].license_id, "next");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_numbers_own_callback_counts_for_the_license_of_the_number_and_is_answered_with_nothing_to_say() {
    let service = Service::start().await;
    service.set_route("acme", CALLED, Some(COMPANY), 1).await;
    service.call_until(&Webhook::call("CA1", CALLER, CALLED), &number(COMPANY)).await;
    for (what, sid, to, params) in [
        ("the caller gave up", "CA1", CALLED, &[("CallStatus", "canceled")][..]),
        ("says that it ended, not how", "CA2", CALLED, &[("CallStatus", "completed")]),
        ("nobody's number", "CA3", OTHER, &[("CallStatus", "busy")]),
        ("a word that we do not know", "CA4", CALLED, &[("DialCallStatus", "teleported")]),
    ] {
        let (status, answer) = service.send(&Webhook::call_report(AFTER, sid, to, params)).await;
        assert_eq!(status, 200, "{what}");
        assert!(answer.ends_with("<Response><Hangup/></Response>"), "{what}: {answer}");
    }
    let recorded = service.calls(2).await;
    assert_eq!(recorded["twilio:CA1:no_answer"].license_id, "acme");
    assert!(recorded.contains_key("twilio:CA1:ringing"), "{recorded:?}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unsigned_or_unreadable_call_is_not_forwarded_and_not_recorded() {
    let service = Service::start().await;
    service.set_route("acme", CALLED, Some(COMPANY), 1).await;
    service.call_until(&Webhook::call("CA1", CALLER, CALLED), &number(COMPANY)).await;
    service.calls(1).await;
    let call = Webhook::call("CA2", CALLER, CALLED);
    let report = Webhook::call_report(AFTER, "CA2", CALLED, &[("DialCallStatus", "busy")]);
    let guessed = [("CallSid", "CA2"), ("From", CALLER), ("To", CALLED)];
    for (what, webhook, expected) in [
        ("unsigned call", Webhook { signature: None, ..call.clone() }, 403),
        ("unsigned report", Webhook { signature: None, ..report.clone() }, 403),
        ("another license", Webhook { target: format!("{AFTER}?license=other"), ..report.clone() }, 403),
        ("the other kind's address", Webhook { target: AFTER.to_owned(), ..call.clone() }, 403),
        ("wrong token", Webhook::signed("guess", PUBLIC, VOICE, &guessed), 403),
        ("another account", Webhook::signed(TOKEN, PUBLIC, VOICE, &guessed), 403),
        ("no number", Webhook::call("CA2", CALLER, "nobody"), 400),
        ("no id", Webhook::call("", CALLER, CALLED), 400),
        ("an id that would add a header", Webhook::call("CA2\r\nNats-Rollup: all", CALLER, CALLED), 400),
    ] {
        let (status, answer) = service.send(&webhook).await;
        assert_eq!(status, expected, "{what}");
        assert!(!answer.contains("<Dial"), "{what}: {answer}");
    }
    service.calls(1).await;
    service.stop().await;
}
