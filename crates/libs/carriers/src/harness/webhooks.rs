//! The cases that every carrier's webhooks must pass: signed, read, refused, told apart, and nothing shown.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{CallResult, CarrierName, Id, Message, PhoneNumber};
use http::{HeaderMap, Method};
use url::Url;

use crate::{
    CallInstruction, CallReport, Forward, InboundCall, MalformedWebhook, Receipt, ReceiptStatus, SignatureError,
    WebhookRequest, Webhooks,
};

/// When every request of the tests comes in.
pub(crate) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000, 0).unwrap()
}

/// A request that a test owns and may spoil.
pub(crate) struct Posted {
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Posted {
    pub(crate) fn request(&self) -> WebhookRequest<'_> {
        WebhookRequest {
            method: &Method::POST,
            url: &self.url,
            headers: &self.headers,
            body: &self.body,
            received_at: now(),
        }
    }
}

/// One carrier, as seen by the shared cases. Everything it makes is properly signed.
pub(crate) trait Fixture {
    fn carrier(&self) -> CarrierName;
    fn webhooks(&self) -> Box<dyn Webhooks>;
    /// The header that carries the signature.
    fn signature_header(&self) -> &'static str;
    /// A message as the carrier posts it, with parameters that we do not know.
    fn message(&self, carrier_message_id: &str, from: &str, body: &str) -> Posted;
    /// A receipt "delivered" as the carrier posts it, with parameters that we do not know.
    fn receipt(&self, message_id: Id<Message>, carrier_message_id: &str) -> Posted;
    /// A form about a call with these parameters, posted to `/voice`.
    fn call(&self, params: &[(&str, &str)]) -> Posted;
}

const PHONE: &str = "+14155550123";
const OURS: &str = "+16465550111";

/// A call as every carrier words it, with a parameter that we do not know.
fn call_from(fixture: &dyn Fixture, from: &str, more: &[(&str, &str)]) -> Posted {
    let usual = [("CallSid", "call-1"), ("From", from), ("To", OURS), ("NeverSeenBefore", "+ ")];
    fixture.call(&[&usual, more].concat())
}

/// Texts that forms, JSON and careless code like to change.
const TEXTS: &[&str] = &[
    "Is the flat still free?",
    "",
    " leading and trailing ",
    "1+1=2 & 100% sure? #yes;no",
    "%2B%20+%",
    "two\nlines\r\nand\ttabs\n",
    "👍🏽 🇮🇹 🏳️‍🌈 é e\u{301}",
    "\u{feff}“quotes” ‘and’ €^{}[]~|\\",
    "a=b&Body=c",
];

pub(crate) fn a_good_message_is_accepted_and_read(fixture: &dyn Fixture) {
    let webhooks = fixture.webhooks();
    let posted = fixture.message("id-1", PHONE, "hello");
    assert_eq!(webhooks.name(), fixture.carrier());
    assert_eq!(webhooks.verify(&posted.request()), Ok(()));
    let message = webhooks.parse_message(&posted.request()).unwrap();
    assert_eq!(message.carrier_message_id, "id-1");
    assert_eq!(message.from, PhoneNumber::from_e164(PHONE).unwrap());
    assert_eq!(message.body, "hello");
}

pub(crate) fn a_good_receipt_is_accepted_and_read(fixture: &dyn Fixture) {
    let webhooks = fixture.webhooks();
    let message_id = Id::new();
    let posted = fixture.receipt(message_id, "id-1");
    assert_eq!(webhooks.verify(&posted.request()), Ok(()));
    let expected =
        Receipt { message_id, carrier_message_id: "id-1".into(), status: ReceiptStatus::Delivered, error: None };
    assert_eq!(webhooks.parse_receipt(&posted.request()), Ok(expected));
}

pub(crate) fn a_request_without_a_signature_is_refused(fixture: &dyn Fixture) {
    for mut posted in all(fixture) {
        posted.headers.remove(fixture.signature_header());
        assert_eq!(fixture.webhooks().verify(&posted.request()), Err(SignatureError::Missing));
    }
}

pub(crate) fn a_bad_signature_is_refused(fixture: &dyn Fixture) {
    for bad in ["", "AAAA", "not base64!", "RSOYDt4T1cUTdK1PDd93/VVr8B8="] {
        for mut posted in all(fixture) {
            posted.headers.insert(fixture.signature_header(), bad.parse().unwrap());
            assert_eq!(fixture.webhooks().verify(&posted.request()), Err(SignatureError::Mismatch), "{bad}");
        }
    }
}

pub(crate) fn a_changed_body_is_refused(fixture: &dyn Fixture) {
    for mut posted in all(fixture) {
        let at = posted.body.iter().position(|byte| *byte == b'1').unwrap();
        posted.body[at] = b'2';
        assert_eq!(fixture.webhooks().verify(&posted.request()), Err(SignatureError::Mismatch));
    }
}

pub(crate) fn a_sender_that_is_no_north_american_number_is_told_apart(fixture: &dyn Fixture) {
    for sender in ["72345", "+447700900123", "BANKINFO", "whatsapp:+14155550123", "anonymous", "+14151110123"] {
        let posted = fixture.message("id-1", sender, "hello");
        let parsed = fixture.webhooks().parse_message(&posted.request());
        assert_eq!(parsed, Err(MalformedWebhook::UnsupportedSender), "{sender}");
    }
}

pub(crate) fn a_repeated_delivery_reads_the_same(fixture: &dyn Fixture) {
    let webhooks = fixture.webhooks();
    let (first, again) = (fixture.message("id-1", PHONE, "hello"), fixture.message("id-1", PHONE, "hello"));
    assert_eq!(webhooks.parse_message(&first.request()), webhooks.parse_message(&again.request()));
}

pub(crate) fn a_text_keeps_every_character(fixture: &dyn Fixture) {
    let webhooks = fixture.webhooks();
    for text in TEXTS {
        let posted = fixture.message("id-1", PHONE, text);
        assert_eq!(webhooks.verify(&posted.request()), Ok(()), "{text:?}");
        assert_eq!(webhooks.parse_message(&posted.request()).unwrap().body, *text);
    }
}

pub(crate) fn nothing_shows_texts_or_numbers_in_debug(fixture: &dyn Fixture) {
    let webhooks = fixture.webhooks();
    let posted = fixture.message("id-1", PHONE, "my secret");
    let shown = format!("{:?} {:?} {webhooks:?}", webhooks.parse_message(&posted.request()).unwrap(), posted.request());
    assert!(!shown.contains("my secret") && !shown.contains(PHONE), "{shown}");
    let posted = call_from(fixture, PHONE, &[("DialCallStatus", "busy")]);
    let (call, report) = (webhooks.parse_call(&posted.request()), webhooks.parse_call_report(&posted.request()));
    let shown = format!("{call:?} {report:?} {:?} {:?}", CallInstruction::Forward(forward()), posted.request());
    assert!(!shown.contains("415555") && !shown.contains("646555") && !shown.contains("415234"), "{shown}");
}

fn all(fixture: &dyn Fixture) -> [Posted; 4] {
    [
        fixture.message("id-1", PHONE, "hello"),
        fixture.receipt(Id::new(), "id-1"),
        call_from(fixture, PHONE, &[("CallStatus", "ringing")]),
        call_from(fixture, PHONE, &[("DialCallStatus", "completed"), ("DialCallDuration", "17")]),
    ]
}

pub(crate) fn a_good_call_is_accepted_and_read(fixture: &dyn Fixture) {
    let webhooks = fixture.webhooks();
    let posted = call_from(fixture, PHONE, &[("CallStatus", "ringing")]);
    assert_eq!(webhooks.verify(&posted.request()), Ok(()));
    let expected = InboundCall {
        carrier_call_id: "call-1".into(),
        from: Some(number(PHONE)),
        caller_id: Some(PHONE.into()),
        to: number(OURS),
    };
    assert_eq!(webhooks.parse_call(&posted.request()), Ok(expected));
}

pub(crate) fn a_withheld_caller_is_absent(fixture: &dyn Fixture) {
    for from in ["anonymous", "unknown", "", "Restricted", "client:desk", "sip:a@b.example", "+", "72345"] {
        let call = fixture.webhooks().parse_call(&call_from(fixture, from, &[]).request()).unwrap();
        assert_eq!((call.from, call.caller_id), (None, None), "{from}");
    }
    let posted = fixture.call(&[("CallSid", "call-1"), ("To", OURS)]);
    assert_eq!(fixture.webhooks().parse_call(&posted.request()).unwrap().caller_id, None);
}

pub(crate) fn a_caller_from_another_country_keeps_the_number_to_show(fixture: &dyn Fixture) {
    let call = fixture.webhooks().parse_call(&call_from(fixture, "+442079460958", &[]).request()).unwrap();
    assert_eq!((call.from, call.caller_id.as_deref()), (None, Some("+442079460958")));
}

pub(crate) fn a_call_without_an_id_or_to_no_number_of_ours_is_malformed(fixture: &dyn Fixture) {
    for (params, expected) in [
        ([("CallSid", ""), ("To", OURS)], MalformedWebhook::MissingField("CallSid")),
        ([("CallSid", "call-1"), ("To", "")], MalformedWebhook::MissingField("To")),
        ([("CallSid", "call-1"), ("To", "sip:a@b.example")], MalformedWebhook::InvalidField("To")),
    ] {
        let posted = fixture.call(&params);
        assert_eq!(fixture.webhooks().parse_call(&posted.request()), Err(expected));
        assert_eq!(fixture.webhooks().parse_call_report(&posted.request()), Err(expected));
    }
}

pub(crate) fn every_end_of_a_forwarded_call_is_reported(fixture: &dyn Fixture) {
    use CallResult::{Answered, Busy, Failed, NoAnswer};
    let webhooks = fixture.webhooks();
    for (word, result) in [
        ("completed", Answered),
        ("answered", Answered),
        ("busy", Busy),
        ("no-answer", NoAnswer),
        ("canceled", NoAnswer),
        ("failed", Failed),
    ] {
        for (more, duration_s) in [
            (&[("DialCallStatus", word), ("DialCallDuration", "17"), ("CallStatus", "in-progress")][..], Some(17)),
            (&[("DialCallStatus", word), ("DialCallDuration", "")], None),
        ] {
            let posted = call_from(fixture, PHONE, more);
            assert_eq!(webhooks.verify(&posted.request()), Ok(()));
            let expected = CallReport {
                carrier_call_id: "call-1".into(),
                from: Some(number(PHONE)),
                to: number(OURS),
                result,
                duration_s,
            };
            assert_eq!(webhooks.parse_call_report(&posted.request()), Ok(Some(expected)), "{word}");
        }
    }
    let strange = call_from(fixture, PHONE, &[("DialCallStatus", "teleported")]);
    assert_eq!(webhooks.parse_call_report(&strange.request()), Err(MalformedWebhook::UnknownStatus));
}

/// The number's own callback: without a dial there may be nothing to say, and `completed` says only that it ended.
pub(crate) fn the_end_of_a_call_says_nothing_unless_it_came_to_nothing(fixture: &dyn Fixture) {
    for (word, expected) in [
        ("completed", None),
        ("in-progress", None),
        ("ringing", None),
        ("teleported", None),
        ("no-answer", Some(CallResult::NoAnswer)),
        ("canceled", Some(CallResult::NoAnswer)),
        ("busy", Some(CallResult::Busy)),
        ("failed", Some(CallResult::Failed)),
    ] {
        let posted = call_from(fixture, PHONE, &[("CallStatus", word), ("CallDuration", "3")]);
        let report = fixture.webhooks().parse_call_report(&posted.request()).unwrap();
        assert_eq!(report.map(|report| (report.result, report.duration_s)), expected.map(|it| (it, None)), "{word}");
    }
}

pub(crate) fn a_call_is_answered_in_xml_and_a_message_with_silence(fixture: &dyn Fixture) {
    let webhooks = fixture.webhooks();
    let answer = webhooks.call_answer(&CallInstruction::Forward(forward()));
    assert_eq!(answer.content_type, "text/xml");
    assert!(answer.body.contains("<Number>+14152345678</Number>"), "{}", answer.body);
    assert!(!webhooks.message_answer().body.contains("Message") && webhooks.receipt_answer().body.is_empty());
}

fn forward() -> Forward {
    Forward {
        to: number("+14152345678"),
        caller_id: PHONE.into(),
        ring_for: Duration::from_secs(25),
        then: Url::parse("https://in.example.com/voice/after?license=acme").unwrap(),
    }
}

fn number(e164: &str) -> PhoneNumber {
    PhoneNumber::from_e164(e164).unwrap()
}

/// The shared cases as tests of the calling module.
macro_rules! webhook_tests {
    ($fixture:expr) => {
        $crate::harness::webhooks::webhook_tests!($fixture;
            a_good_message_is_accepted_and_read
            a_good_receipt_is_accepted_and_read
            a_request_without_a_signature_is_refused
            a_bad_signature_is_refused
            a_changed_body_is_refused
            a_sender_that_is_no_north_american_number_is_told_apart
            a_repeated_delivery_reads_the_same
            a_text_keeps_every_character
            a_good_call_is_accepted_and_read
            a_withheld_caller_is_absent
            a_caller_from_another_country_keeps_the_number_to_show
            a_call_without_an_id_or_to_no_number_of_ours_is_malformed
            every_end_of_a_forwarded_call_is_reported
            the_end_of_a_call_says_nothing_unless_it_came_to_nothing
            a_call_is_answered_in_xml_and_a_message_with_silence
            nothing_shows_texts_or_numbers_in_debug
        );
    };
    ($fixture:expr; $($case:ident)*) => {
        $(#[test] fn $case() { $crate::harness::webhooks::$case(&$fixture); })*
    };
}
pub(crate) use webhook_tests;
