//! Telnyx' webhooks, with real ed25519 signatures: JSON about messages, forms about calls (`TeXML`).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use carriers::telnyx::signature;
use domain::{Id, Message};
use proto::ingest::{CallUpdated, MessageReceived, ReceiptReceived};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::form_urlencoded;

use super::calls::{CALLED, COMPANY, action, number};
use super::relay::Relay;
use super::service::{Service, Webhook, settings};

const CALLER: &str = "+14155550123";
const MESSAGE_ID: &str = "40385f64-5717-4562-b3fc-2c963f66afa6";
const CALL_ID: &str = "v3:MdI91X4lWFEs7IgbBEOT9M4AigoY08M0WWZFISt1Yw2axZ_IiE4pqg";
const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

fn key() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
}

/// As the settings name it.
pub(super) fn public_key() -> String {
    BASE64_STANDARD.encode(key().public_key())
}

/// What Telnyx would post.
#[derive(Clone)]
struct Posted {
    target: String,
    content_type: &'static str,
    timestamp: i64,
    signature: Option<String>,
    body: String,
}

impl Posted {
    /// Signed now.
    fn new(target: &str, content_type: &'static str, body: String) -> Self {
        let timestamp = testkit::clock().now().timestamp();
        let unsigned = Self { target: target.to_owned(), content_type, timestamp, signature: None, body };
        unsigned.signed_at(timestamp)
    }

    fn signed_at(self, timestamp: i64) -> Self {
        let signature = Some(signature::sign(&key(), timestamp, self.body.as_bytes()));
        Self { timestamp, signature, ..self }
    }

    fn message(text: &str) -> Self {
        let payload = json!({
            "id": MESSAGE_ID, "direction": "inbound", "type": "SMS", "record_type": "message", "text": text, "parts": 1,
            "from": {"phone_number": CALLER, "carrier": "AT&T", "line_type": "Wireless"},
            "to": [{"phone_number": CALLED, "status": "webhook_delivered"}],
            "media": [], "errors": [],
        });
        Self::new("/webhooks/telnyx/message", JSON, event("message.received", &payload))
    }

    fn receipt(message_id: &str, status: &str, errors: &Value) -> Self {
        let payload = json!({
            "id": MESSAGE_ID, "direction": "outbound", "from": {"phone_number": CALLED},
            "to": [{"phone_number": CALLER, "status": status}], "errors": errors,
        });
        let target = format!("/webhooks/telnyx/status?mid={message_id}");
        Self::new(&target, JSON, event("message.finalized", &payload))
    }

    fn form(target: &str, params: &[(&str, &str)]) -> Self {
        let usual = [("AccountSid", "7b4f"), ("CallSid", CALL_ID), ("From", CALLER), ("To", CALLED)];
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(usual).extend_pairs(params).finish();
        Self::new(target, FORM, form)
    }

    async fn send(&self, service: &Service) -> (u16, String) {
        let mut request = service
            .client
            .post(format!("http://{}{}", service.address, self.target))
            .header("content-type", self.content_type)
            .header(signature::TIMESTAMP_HEADER, self.timestamp)
            .body(self.body.clone());
        if let Some(signature) = &self.signature {
            request = request.header(signature::SIGNATURE_HEADER, signature);
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }
}

fn event(event_type: &str, payload: &Value) -> String {
    let data =
        json!({"event_type": event_type, "id": Id::<Message>::new(), "record_type": "event", "payload": payload});
    json!({"data": data, "meta": {"attempt": 1}}).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_from_telnyx_is_stored_once_with_every_character() {
    let service = Service::start().await;
    let text = "  Ünï & \"x\"\r\n日本 😀 \u{1} ";
    // The same message in two deliveries.
    for posted in [Posted::message(text), Posted::message(text)] {
        assert_eq!(posted.send(&service).await, (200, String::new()));
    }
    let stored = service.list_stored::<MessageReceived>().await;
    assert_eq!(stored.len(), 1);
    let event = &stored[0].event;
    assert_eq!((event.carrier.as_str(), event.carrier_message_id.as_str()), ("telnyx", MESSAGE_ID));
    assert_eq!((event.from.as_str(), event.to.as_str(), event.body.as_str()), (CALLER, CALLED, text));
    assert_eq!(stored[0].headers.get("Nats-Msg-Id").unwrap().as_str(), format!("telnyx:{MESSAGE_ID}"));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_from_telnyx_is_stored_in_our_words() {
    let service = Service::start().await;
    let mid = Id::<Message>::new().to_string();
    let landline = json!([{"code": "40001", "title": "Not routable", "detail": "The number is a landline."}]);
    for posted in [
        Posted::receipt(&mid, "delivered", &json!([])),
        Posted::receipt(&mid, "delivery_failed", &landline),
        Posted::receipt(&mid, "teleported", &json!([])),
    ] {
        assert_eq!(posted.send(&service).await, (200, String::new()));
    }
    let stored = service.list_stored::<ReceiptReceived>().await;
    let words: Vec<_> = stored.iter().map(|stored| stored.event.status.as_str()).collect();
    assert_eq!(words, ["delivered", "undelivered"]);
    assert!(stored.iter().all(|stored| stored.event.message_id == mid && stored.event.carrier == "telnyx"));
    assert_eq!(stored[1].event.error.as_ref().unwrap().code, "cannot_receive_sms");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_telnyx_brings_is_forwarded_and_its_result_recorded() {
    let service = Service::start().await;
    service.set_route("acme", CALLED, Some(COMPANY), 1).await;
    let call = Posted::form("/webhooks/telnyx/voice", &[("CallStatus", "ringing")]);
    let answer = testkit::eventually("the forwarding", async || {
        let (status, body) = call.send(&service).await;
        if status == 200 && body.contains(&number(COMPANY)) { Ok(body) } else { Err((status, body)) }
    })
    .await;
    assert_eq!(action(&answer), "/webhooks/telnyx/voice/after?license=acme");
    let busy = Posted::form(&action(&answer), &[("DialCallStatus", "busy")]);
    let (status, answer) = busy.send(&service).await;
    assert_eq!(status, 200);
    assert!(answer.contains("<Say>Nobody can take your call"), "{answer}");
    let recorded = service.calls(2).await;
    for (id, result) in [("ringing", None), ("busy", Some("busy"))] {
        let CallUpdated { license_id, carrier, result: recorded, .. } = &recorded[&format!("telnyx:{CALL_ID}:{id}")];
        assert_eq!((license_id.as_str(), carrier.as_str(), recorded.as_deref()), ("acme", "telnyx", result));
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_telnyx_did_not_sign_just_now_gets_403_and_makes_no_event() {
    let service = Service::start().await;
    service.set_route("acme", CALLED, Some(COMPANY), 1).await;
    let now = testkit::clock().now().timestamp();
    let message = Posted::message("hello");
    let call = Posted::form("/webhooks/telnyx/voice", &[]);
    for (what, posted) in [
        ("unsigned", Posted { signature: None, ..message.clone() }),
        ("unsigned call", Posted { signature: None, ..call.clone() }),
        (
            "unsigned report",
            Posted { target: "/webhooks/telnyx/voice/after".to_owned(), signature: None, ..call.clone() },
        ),
        ("old", message.clone().signed_at(now - 301)),
        ("old call", call.clone().signed_at(now - 301)),
        ("from the future", message.clone().signed_at(now + 301)),
        ("another time than the signed one", Posted { timestamp: now + 1, ..message.clone() }),
        ("changed text", Posted { body: message.body.replace("hello", "hullo"), ..message.clone() }),
        ("changed call", Posted { body: call.body.replace("0123", "0124"), ..call.clone() }),
        ("at Twilio's address", Posted { target: "/webhooks/twilio/message".to_owned(), ..message.clone() }),
    ] {
        assert_eq!(posted.send(&service).await.0, 403, "{what}");
    }
    assert_eq!(service.count_stored().await, 0);
    let old_but_good = message.signed_at(now - 300);
    assert_eq!(old_but_good.send(&service).await.0, 200);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_key_every_webhook_of_telnyx_is_refused() {
    let mut settings = settings(testkit::nats());
    settings.telnyx.public_keys = Vec::new();
    let service = Service::start_with(settings).await;
    service.until_ready().await;
    assert_eq!(Posted::message("hello").send(&service).await.0, 403);
    assert_eq!(service.count_stored().await, 0);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn telnyx_is_told_to_try_again_before_it_stops_listening() {
    let (relay, nats) = Relay::start(testkit::nats()).await;
    let service = Service::start_with(settings(nats)).await;
    // Sent first, and waits longer: Twilio listens for 15 s, Telnyx for 2.
    let mut twilio = TcpStream::connect(&service.address).await.unwrap();
    twilio.write_all(&Webhook::message("SM1", "x").raw()).await.unwrap();
    let (telnyx, mut answer) = (Posted::message("x"), [0; 12]);
    tokio::select! {
        (status, _) = telnyx.send(&service) => assert_eq!(status, 503),
        _ = twilio.read_exact(&mut answer) => unreachable!("Twilio's came first"),
    }
    relay.mend();
    service.until_ready().await;
    service.stop().await;
}
