//! The cases of what every carrier can be asked afterwards: what became of a message that it took.

use chrono::{DateTime, Utc};
use domain::MessageBody;

use super::rest::{Fixture, Said, number};
use super::scripted::{Act, Scripted};
use crate::{CallError, ReceiptStatus, SentCopy, SentMessage, refusal_code};

/// Our number and a phone's, E.164.
pub(crate) const FROM: &str = "+16465550111";
pub(crate) const TO: &str = "+14155550123";

pub(crate) fn noon() -> DateTime<Utc> {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

/// A message of ours that was attempted at noon.
pub(crate) fn sent(body: &str) -> SentMessage {
    SentMessage { from: number(FROM), to: number(TO), body: MessageBody::parse(body).unwrap(), attempted_at: noon() }
}

async fn get(fixture: &dyn Fixture, act: Act) -> Result<Option<SentCopy>, CallError> {
    let server = Scripted::start(&[act]).await;
    let got = fixture.connect(&server.url).get_sent("id-1").await;
    assert_eq!(server.only_request().path(), fixture.asks_for_sent());
    got
}

pub(crate) async fn what_became_of_a_message_is_said_with_its_reason(fixture: &dyn Fixture) {
    let copy = get(fixture, fixture.undelivered()).await.unwrap().unwrap();
    let error = copy.error.as_ref().unwrap();
    assert_eq!(error.code, refusal_code::CANNOT_RECEIVE_SMS);
    assert!(!error.detail.contains("4155550123"), "our sentence, not the carrier's");
    let expected = SentCopy {
        carrier_message_id: "id-1".into(),
        created_at: noon(),
        status: ReceiptStatus::Undelivered,
        error: copy.error.clone(),
        same_text: true,
    };
    assert_eq!(copy, expected);
}

pub(crate) async fn a_message_that_the_carrier_does_not_know_is_none(fixture: &dyn Fixture) {
    for body in [fixture.error(Said::NotFound), ""] {
        assert_eq!(get(fixture, Act::Answer(404, "", body)).await, Ok(None));
    }
}

pub(crate) async fn a_question_that_gets_no_answer_says_nothing_of_the_message(fixture: &dyn Fixture) {
    let Act::Answer(_, _, whole) = fixture.undelivered() else { panic!("a message has an answer") };
    let unreadable = fixture.says_nothing().into_iter().chain(["<html>", "{}", ""]);
    let broken = [Act::HangUp, Act::Silence, Act::Cut(200, whole), Act::Answer(500, "", ""), Act::Answer(408, "", "")];
    for act in unreadable.map(|body| Act::Answer(200, "", body)).chain(broken) {
        let error = get(fixture, act).await.unwrap_err();
        assert!(matches!(error, CallError::Unknown { .. }), "{error:?}");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("id-1") && !shown.contains("127.0.0.1"), "{shown}");
    }
    let error = get(fixture, Act::Answer(429, "", fixture.error(Said::TooManyRequests))).await.unwrap_err();
    assert_eq!(error, CallError::Throttled { retry_after: None });
    let error = get(fixture, Act::Answer(401, "", fixture.error(Said::WrongCredentials))).await.unwrap_err();
    assert!(matches!(error, CallError::Refused(_)), "{error:?}");
}

pub(crate) async fn a_message_id_cannot_lead_to_another_path(fixture: &dyn Fixture) {
    let server = Scripted::start(&[Act::Answer(404, "", "")]).await;
    fixture.connect(&server.url).get_sent("../numbers/1").await.unwrap();
    let request = server.only_request();
    assert!(request.path().contains("/..%2Fnumbers%2F1"), "{}", request.path());
}

pub(crate) async fn debug_of_what_is_asked_and_answered_shows_neither_text_nor_numbers(fixture: &dyn Fixture) {
    let copy = get(fixture, fixture.undelivered()).await.unwrap().unwrap();
    let shown = format!("{:?} {copy:?}", sent("my secret"));
    for hidden in ["my secret", "hello", "6465550111", "4155550123"] {
        assert!(!shown.contains(hidden), "{shown}");
    }
}

/// The shared cases as tests of the calling module.
macro_rules! inquiry_tests {
    ($fixture:expr) => {
        $crate::harness::inquiries::inquiry_tests!($fixture;
            what_became_of_a_message_is_said_with_its_reason
            a_message_that_the_carrier_does_not_know_is_none
            a_question_that_gets_no_answer_says_nothing_of_the_message
            a_message_id_cannot_lead_to_another_path
            debug_of_what_is_asked_and_answered_shows_neither_text_nor_numbers
        );
    };
    ($fixture:expr; $($case:ident)*) => {
        $(#[tokio::test] async fn $case() { $crate::harness::inquiries::$case(&$fixture).await; })*
    };
}
pub(crate) use inquiry_tests;
