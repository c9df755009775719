//! What every carrier's webhooks must do, written once.
//!
//! A carrier folder implements [`Fixture`] in its tests and calls `webhook_tests!`; it gets these cases for free and
//! adds only what is particular to it. A carrier that needs an exception here needs a reason in its README line.

use domain::{CarrierName, Id, Message, PhoneNumber};
use http::{HeaderMap, Method};
use url::Url;

use crate::{MalformedWebhook, Receipt, ReceiptStatus, SignatureError, WebhookRequest, Webhooks};

/// A request that a test owns and may spoil.
pub(crate) struct Posted {
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Posted {
    pub(crate) fn request(&self) -> WebhookRequest<'_> {
        WebhookRequest { method: &Method::POST, url: &self.url, headers: &self.headers, body: &self.body }
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
}

const PHONE: &str = "+14155550123";

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
    for mut posted in both(fixture) {
        posted.headers.remove(fixture.signature_header());
        assert_eq!(fixture.webhooks().verify(&posted.request()), Err(SignatureError::Missing));
    }
}

pub(crate) fn a_bad_signature_is_refused(fixture: &dyn Fixture) {
    for bad in ["", "AAAA", "not base64!", "RSOYDt4T1cUTdK1PDd93/VVr8B8="] {
        for mut posted in both(fixture) {
            posted.headers.insert(fixture.signature_header(), bad.parse().unwrap());
            assert_eq!(fixture.webhooks().verify(&posted.request()), Err(SignatureError::Mismatch), "{bad}");
        }
    }
}

pub(crate) fn a_changed_body_is_refused(fixture: &dyn Fixture) {
    for mut posted in both(fixture) {
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
}

fn both(fixture: &dyn Fixture) -> [Posted; 2] {
    [fixture.message("id-1", PHONE, "hello"), fixture.receipt(Id::new(), "id-1")]
}

/// The shared cases as tests of the calling module.
macro_rules! webhook_tests {
    ($fixture:expr) => {
        $crate::harness::webhook_tests!($fixture;
            a_good_message_is_accepted_and_read
            a_good_receipt_is_accepted_and_read
            a_request_without_a_signature_is_refused
            a_bad_signature_is_refused
            a_changed_body_is_refused
            a_sender_that_is_no_north_american_number_is_told_apart
            a_repeated_delivery_reads_the_same
            a_text_keeps_every_character
            nothing_shows_texts_or_numbers_in_debug
        );
    };
    ($fixture:expr; $($case:ident)*) => {
        $(#[test] fn $case() { $crate::harness::$case(&$fixture); })*
    };
}
pub(crate) use webhook_tests;
