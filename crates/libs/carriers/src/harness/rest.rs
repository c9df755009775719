//! The cases of rule 16 and rule 5 that every adapter must pass: what is known after a call, for every way in which a
//! call can end, and that nothing is ever asked for twice.

use std::time::Duration;

use domain::{CarrierName, Id, LicenseId, MessageBody, PhoneNumber, SendingLimit};
use url::Url;

use super::scripted::{Act, Scripted};
use crate::{
    CallError, Carrier, NumberOrder, NumberRefusalKind, NumberSearch, NumberWebhooks, OutboundMessage, SendOutcome,
    exchange::MAX_RETRY_AFTER, refusal_code,
};

/// What a carrier says in the body of a refusal.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Said {
    TooManyRequests,
    /// The queue of the sending number is full: too fast as well, though not a 429.
    QueueFull,
    WrongCredentials,
    /// The recipient said STOP. Quotes the recipient's number, as carriers do.
    OptedOut,
    Sold,
    NotFound,
    /// A code that we do not know.
    SomethingNew,
}

/// One carrier, as seen by the shared cases.
pub(crate) trait Fixture {
    fn carrier(&self) -> CarrierName;
    /// An adapter that loses patience after half a second.
    fn connect(&self, base_url: &Url) -> Box<dyn Carrier>;
    /// Method and path of the request that hands a message over.
    fn sends(&self) -> &'static str;
    /// Method and path of the request that buys.
    fn buys(&self) -> &'static str;
    /// The answer to a message that was taken as `id-1` with two segments.
    fn taken(&self) -> Act;
    /// Answers that say success about a message and do not name it.
    fn nameless(&self) -> Vec<&'static str>;
    /// A body in the carrier's format.
    fn error(&self, said: Said) -> &'static str;
    /// What is asked and answered before the request that buys.
    fn before_buying(&self) -> Vec<Act>;
    /// The answers to "do we own it?" when we do not.
    fn not_owned(&self) -> Vec<Act>;
    /// The answer to a search without a match.
    fn none_found(&self) -> Act;
    /// Method and path of the request for the message `id-1`.
    fn asks_for_sent(&self) -> &'static str;
    /// The message `id-1`, made at noon of 2026-11-23, not delivered because it is a landline.
    fn undelivered(&self) -> Act;
    /// Answers that say success and nothing of the message `id-1`.
    fn says_nothing(&self) -> Vec<&'static str>;
}

const TO: &str = "+14155550123";

pub(crate) fn message() -> OutboundMessage {
    OutboundMessage {
        message_id: Id::new(),
        from: PhoneNumber::from_e164("+16465550111").unwrap(),
        to: PhoneNumber::from_e164(TO).unwrap(),
        body: MessageBody::parse("hello").unwrap(),
        media_urls: Vec::new(),
        receipt_url: Url::parse("https://in.example.com/status?mid=1").unwrap(),
    }
}

pub(crate) fn number(e164: &str) -> PhoneNumber {
    PhoneNumber::from_e164(e164).unwrap()
}

pub(crate) fn license() -> LicenseId {
    LicenseId::parse("acme-1").unwrap()
}

pub(crate) fn order() -> NumberOrder {
    NumberOrder {
        number: number("+14155550123"),
        license_id: license(),
        webhooks: NumberWebhooks {
            message_url: Url::parse("https://in.example.com/message").unwrap(),
            voice_url: Url::parse("https://in.example.com/voice").unwrap(),
            voice_status_url: Url::parse("https://in.example.com/voice/after").unwrap(),
        },
    }
}

/// Sends one message to a server that acts so, and checks that it was asked at most once.
async fn send_to(fixture: &dyn Fixture, act: Act) -> SendOutcome {
    let server = Scripted::start(&[act, act]).await;
    let outcome = fixture.connect(&server.url).send_message(&message()).await;
    assert!(server.requests().len() <= 1, "nothing is sent twice");
    outcome
}

/// Buys one number from a server that acts so after what comes before, and checks that it was ordered at most once.
async fn buy_from(fixture: &dyn Fixture, act: Act) -> CallError {
    let acts = [fixture.before_buying(), vec![act, act, act]].concat();
    let server = Scripted::start(&acts).await;
    let error = fixture.connect(&server.url).buy_number(&order()).await.unwrap_err();
    let orders = server.requests().iter().filter(|request| request.path() == fixture.buys()).count();
    assert_eq!(orders, 1, "nothing is bought twice");
    error
}

fn is_unknown(outcome: &SendOutcome) -> bool {
    matches!(outcome, SendOutcome::Unknown { .. })
}

fn kind(error: &CallError) -> NumberRefusalKind {
    match error {
        CallError::Refused(refusal) => refusal.kind,
        other => panic!("{other:?} is not a refusal"),
    }
}

pub(crate) async fn a_message_that_is_taken_has_the_carriers_id_and_count(fixture: &dyn Fixture) {
    let server = Scripted::start(&[fixture.taken()]).await;
    let carrier = fixture.connect(&server.url);
    let expected = SendOutcome::Accepted { carrier_message_id: "id-1".into(), segments: Some(2) };
    assert_eq!(carrier.send_message(&message()).await, expected);
    assert_eq!(carrier.name(), fixture.carrier());
    assert_eq!(server.only_request().path(), fixture.sends());
}

pub(crate) async fn a_refused_connection_is_unreachable(fixture: &dyn Fixture) {
    let url = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap()
    };
    let carrier = fixture.connect(&url);
    let outcome = carrier.send_message(&message()).await;
    assert!(matches!(outcome, SendOutcome::Unreachable { .. }), "{outcome:?}");
    let bought = carrier.buy_number(&order()).await;
    assert!(matches!(bought, Err(CallError::Unreachable { .. })), "{bought:?}");
}

pub(crate) async fn a_failed_tls_handshake_is_unreachable(fixture: &dyn Fixture) {
    let server = Scripted::start(&[Act::HangUpUnread]).await;
    let url = Url::parse(&server.url.as_str().replace("http:", "https:")).unwrap();
    let outcome = fixture.connect(&url).send_message(&message()).await;
    assert!(matches!(outcome, SendOutcome::Unreachable { .. }), "{outcome:?}");
}

pub(crate) async fn a_carrier_that_hangs_up_or_never_answers_leaves_it_unknown(fixture: &dyn Fixture) {
    for act in [Act::HangUp, Act::HangUpUnread, Act::Silence] {
        let outcome = send_to(fixture, act).await;
        assert!(is_unknown(&outcome), "{outcome:?}");
    }
}

pub(crate) async fn a_server_error_leaves_it_unknown(fixture: &dyn Fixture) {
    for status in [408, 500, 502, 503, 504] {
        let outcome = send_to(fixture, Act::Answer(status, "", fixture.error(Said::TooManyRequests))).await;
        assert!(is_unknown(&outcome), "{outcome:?}");
    }
}

pub(crate) async fn a_success_that_cannot_be_read_leaves_it_unknown(fixture: &dyn Fixture) {
    let Act::Answer(status, _, taken) = fixture.taken() else { panic!("a message that is taken has an answer") };
    for body in fixture.nameless().into_iter().chain(["<html>", "{}", ""]) {
        let outcome = send_to(fixture, Act::Answer(status, "", body)).await;
        assert!(is_unknown(&outcome), "{body}: {outcome:?}");
    }
    let outcome = send_to(fixture, Act::Cut(status, taken)).await;
    assert!(is_unknown(&outcome), "{outcome:?}");
}

pub(crate) async fn a_redirect_is_not_followed(fixture: &dyn Fixture) {
    let outcome = send_to(fixture, Act::Answer(307, "location: /elsewhere\r\n", "")).await;
    assert!(is_unknown(&outcome), "{outcome:?}");
}

pub(crate) async fn a_connection_that_breaks_on_its_second_message_is_not_tried_again(fixture: &dyn Fixture) {
    let server = Scripted::start(&[fixture.taken(), Act::HangUp, fixture.taken()]).await;
    let carrier = fixture.connect(&server.url);
    assert!(matches!(carrier.send_message(&message()).await, SendOutcome::Accepted { .. }));
    assert!(is_unknown(&carrier.send_message(&message()).await));
    assert_eq!(server.requests().len(), 2);
}

pub(crate) async fn too_fast_is_throttled_with_the_wait_the_carrier_asks_for(fixture: &dyn Fixture) {
    let seven = Some(Duration::from_secs(7));
    let (many, full) = (fixture.error(Said::TooManyRequests), fixture.error(Said::QueueFull));
    let sender = Some(SendingLimit::Sender);
    for (act, retry_after, limit) in [
        (Act::Answer(429, "retry-after: 7\r\n", many), seven, None),
        (Act::Answer(429, "", "slow down"), None, None),
        (Act::Answer(429, "retry-after: Wed, 21 Oct 2026 07:28:00 GMT\r\n", ""), None, None),
        (Act::Answer(429, "retry-after: 99999999999\r\n", ""), Some(MAX_RETRY_AFTER), None),
        (Act::Answer(400, "retry-after: 7\r\n", full), seven, sender),
        (Act::Answer(403, "", full), None, sender),
        (Act::Answer(429, "", full), None, sender),
        (Act::Cut(429, "{"), None, None),
    ] {
        assert_eq!(send_to(fixture, act).await, SendOutcome::Throttled { retry_after, limit });
    }
    let error = buy_from(fixture, Act::Answer(429, "retry-after: 7\r\n", many)).await;
    assert_eq!(error, CallError::Throttled { retry_after: seven });
}

pub(crate) async fn a_refusal_counts_even_if_its_body_cannot_be_read(fixture: &dyn Fixture) {
    for (act, code) in [
        (Act::Answer(400, "", fixture.error(Said::OptedOut)), refusal_code::RECIPIENT_OPTED_OUT),
        (Act::Answer(400, "", fixture.error(Said::SomethingNew)), refusal_code::REJECTED_BY_CARRIER),
        (Act::Answer(404, "", "<html>"), refusal_code::REJECTED_BY_CARRIER),
        (Act::Cut(400, "{"), refusal_code::REJECTED_BY_CARRIER),
    ] {
        let SendOutcome::Rejected(refusal) = send_to(fixture, act).await else { panic!("not rejected") };
        assert_eq!(refusal.code, code);
        assert!(!refusal.detail.contains("4155550123"), "our sentence, not the carrier's");
    }
}

pub(crate) async fn wrong_credentials_are_a_problem_of_our_account(fixture: &dyn Fixture) {
    for body in [fixture.error(Said::WrongCredentials), ""] {
        for status in [401, 403] {
            let act = Act::Answer(status, "", body);
            let SendOutcome::Rejected(refusal) = send_to(fixture, act).await else { panic!("not rejected") };
            assert_eq!(refusal.code, refusal_code::ACCOUNT_PROBLEM);
            assert_eq!(kind(&buy_from(fixture, act).await), NumberRefusalKind::Account);
        }
    }
}

pub(crate) async fn a_number_that_was_sold_meanwhile_is_refused_as_not_available(fixture: &dyn Fixture) {
    let error = buy_from(fixture, Act::Answer(400, "", fixture.error(Said::Sold))).await;
    assert_eq!(kind(&error), NumberRefusalKind::NotAvailable);
}

pub(crate) async fn a_purchase_whose_answer_is_lost_is_unknown_and_not_repeated(fixture: &dyn Fixture) {
    for act in [Act::HangUp, Act::Silence, Act::Answer(500, "", ""), Act::Answer(200, "", "{}"), Act::Cut(201, "{")] {
        let error = buy_from(fixture, act).await;
        assert!(matches!(error, CallError::Unknown { .. }), "{error:?}");
    }
}

pub(crate) async fn a_search_without_a_match_is_empty(fixture: &dyn Fixture) {
    let server = Scripted::start(&[fixture.none_found()]).await;
    let found = fixture.connect(&server.url).search_numbers(&NumberSearch { area_code: None, limit: 5 }).await;
    assert_eq!(found, Ok(Vec::new()));
}

pub(crate) async fn a_number_that_we_do_not_own_is_not_found(fixture: &dyn Fixture) {
    let server = Scripted::start(&fixture.not_owned()).await;
    let found = fixture.connect(&server.url).find_owned_number(&number(TO), &license()).await;
    assert_eq!(found, Ok(None));
}

pub(crate) async fn a_number_that_is_already_gone_counts_as_released(fixture: &dyn Fixture) {
    for (act, released) in [
        (Act::Answer(200, "", "{}"), true),
        (Act::Answer(204, "", ""), true),
        (Act::Answer(404, "", fixture.error(Said::NotFound)), true),
        (Act::Answer(404, "", ""), true),
        (Act::Answer(400, "", fixture.error(Said::SomethingNew)), false),
        (Act::Answer(401, "", fixture.error(Said::WrongCredentials)), false),
        (Act::HangUp, false),
    ] {
        let server = Scripted::start(&[act, act]).await;
        let outcome = fixture.connect(&server.url).release_number("id-1").await;
        assert_eq!(outcome.is_ok(), released, "{outcome:?}");
        assert_eq!(server.requests().len(), 1);
    }
}

pub(crate) async fn a_number_id_cannot_lead_to_another_path(fixture: &dyn Fixture) {
    let server = Scripted::start(&[Act::Answer(204, "", "")]).await;
    fixture.connect(&server.url).release_number("../messages/1").await.unwrap();
    let request = server.only_request();
    assert!(request.path().contains("/..%2Fmessages%2F1"), "{}", request.path());
}

pub(crate) async fn a_cause_names_no_address_and_no_number(fixture: &dyn Fixture) {
    let server = Scripted::start(&[Act::HangUp]).await;
    let error = fixture.connect(&server.url).find_owned_number(&number(TO), &license()).await.unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("4155550123") && !shown.contains("127.0.0.1"), "{shown}");
    assert!(shown.len() > 40, "but says what failed: {shown}");
}

/// The shared cases as tests of the calling module.
macro_rules! rest_tests {
    ($fixture:expr) => {
        $crate::harness::rest::rest_tests!($fixture;
            a_message_that_is_taken_has_the_carriers_id_and_count
            a_refused_connection_is_unreachable
            a_failed_tls_handshake_is_unreachable
            a_carrier_that_hangs_up_or_never_answers_leaves_it_unknown
            a_server_error_leaves_it_unknown
            a_success_that_cannot_be_read_leaves_it_unknown
            a_redirect_is_not_followed
            a_connection_that_breaks_on_its_second_message_is_not_tried_again
            too_fast_is_throttled_with_the_wait_the_carrier_asks_for
            a_refusal_counts_even_if_its_body_cannot_be_read
            wrong_credentials_are_a_problem_of_our_account
            a_number_that_was_sold_meanwhile_is_refused_as_not_available
            a_purchase_whose_answer_is_lost_is_unknown_and_not_repeated
            a_search_without_a_match_is_empty
            a_number_that_we_do_not_own_is_not_found
            a_number_that_is_already_gone_counts_as_released
            a_number_id_cannot_lead_to_another_path
            a_cause_names_no_address_and_no_number
        );
    };
    ($fixture:expr; $($case:ident)*) => {
        $(#[tokio::test] async fn $case() { $crate::harness::rest::$case(&$fixture).await; })*
    };
}
pub(crate) use rest_tests;
