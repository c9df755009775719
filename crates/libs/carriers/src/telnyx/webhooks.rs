//! What Telnyx posts: JSON events about messages, one each, and forms about calls (TeXML).
//!
//! Other events may reach the same addresses and new ones are added without notice: they are
//! [`MalformedWebhook::UnknownStatus`], answered with 200 and counted. Repeated deliveries are normal; the payload's
//! id names the message, not the delivery.

use domain::{CarrierName, PhoneNumber};

use super::{
    errors::{self, TABLES},
    events::Payload,
    signature::{self, InvalidPublicKey, PublicKey},
};
use crate::{
    CallInstruction, CallReport, InboundCall, InboundMessage, MalformedWebhook, Receipt, ReceiptStatus, SignatureError,
    WebhookAnswer, WebhookRequest, Webhooks, calls, twiml,
};

const RECEIVED: &str = "message.received";
/// `message.finalized` may come before `message.sent`; the status tells what is true, not the kind of event.
const RECEIPTS: &[&str] = &["message.sent", "message.finalized"];

/// `to[].status` of a receipt or a message, and what it is to us.
#[rustfmt::skip]
const STATUSES: &[(&str, ReceiptStatus)] = &[
    ("queued",               ReceiptStatus::Sending),
    ("sending",              ReceiptStatus::Sending),
    ("sent",                 ReceiptStatus::Sent),
    ("delivered",            ReceiptStatus::Delivered),
    // The recipient's network took it and never says more. That is what `Sent` means, not a failure.
    ("delivery_unconfirmed", ReceiptStatus::Sent),
    ("sending_failed",       ReceiptStatus::Failed),
    ("delivery_failed",      ReceiptStatus::Undelivered),
    // It waited at Telnyx until it was too late.
    ("expired",              ReceiptStatus::Failed),
];

/// What Telnyx' word for the status of a message is to us.
pub(super) fn find_status(word: &str) -> Option<ReceiptStatus> {
    STATUSES.iter().find(|(known, _)| *known == word).map(|(_, status)| *status)
}

/// Telnyx' side of [`Webhooks`].
#[derive(Debug)]
pub struct TelnyxWebhooks {
    public_keys: Vec<PublicKey>,
}

impl TelnyxWebhooks {
    /// Accepts requests signed with any of these keys (32 bytes in base64, as the portal shows them): two while one is
    /// being rotated. Without a key nothing is accepted. An empty text counts as no key, because that is how a setting
    /// is left out.
    ///
    /// # Errors
    /// [`InvalidPublicKey`] for a text that is no key: with it every webhook would be refused.
    pub fn new<K: AsRef<str>>(public_keys: &[K]) -> Result<Self, InvalidPublicKey> {
        let set = public_keys.iter().map(AsRef::as_ref).filter(|key| !key.is_empty());
        Ok(Self { public_keys: set.map(PublicKey::parse).collect::<Result<_, _>>()? })
    }
}

impl Webhooks for TelnyxWebhooks {
    fn name(&self) -> CarrierName {
        CarrierName::Telnyx
    }

    fn verify(&self, request: &WebhookRequest<'_>) -> Result<(), SignatureError> {
        signature::verify(&self.public_keys, request)
    }

    fn parse_message(&self, request: &WebhookRequest<'_>) -> Result<InboundMessage, MalformedWebhook> {
        let payload = Payload::read(request, &[RECEIVED])?;
        let from = payload.from.phone_number.as_deref().ok_or(MalformedWebhook::MissingField("from"))?;
        let to = payload.recipient().and_then(|party| party.phone_number.as_deref());
        let to = to.ok_or(MalformedWebhook::MissingField("to"))?;
        Ok(InboundMessage {
            from: PhoneNumber::from_e164(from).map_err(|_| MalformedWebhook::UnsupportedSender)?,
            to: PhoneNumber::from_e164(to).map_err(|_| MalformedWebhook::InvalidField("to"))?,
            carrier_message_id: payload.id()?.to_owned(),
            media: payload.media()?,
            segments: payload.parts.as_u64().and_then(|parts| u32::try_from(parts).ok()).filter(|parts| *parts > 0),
            body: payload.text.unwrap_or_default(),
        })
    }

    fn parse_receipt(&self, request: &WebhookRequest<'_>) -> Result<Receipt, MalformedWebhook> {
        let payload = Payload::read(request, RECEIPTS)?;
        let status = payload.to.first().and_then(|party| party.status.as_deref());
        let status = status.ok_or(MalformedWebhook::MissingField("status"))?;
        let status = find_status(status).ok_or(MalformedWebhook::UnknownStatus)?;
        Ok(Receipt {
            message_id: request.message_id()?,
            carrier_message_id: payload.id()?.to_owned(),
            status,
            error: status.is_failure().then(|| TABLES.receipt_refusal(errors::first_code(&payload.errors))),
        })
    }

    fn parse_call(&self, request: &WebhookRequest<'_>) -> Result<InboundCall, MalformedWebhook> {
        calls::parse_call(request)
    }

    fn parse_call_report(&self, request: &WebhookRequest<'_>) -> Result<Option<CallReport>, MalformedWebhook> {
        calls::parse_call_report(request)
    }

    fn call_answer(&self, instruction: &CallInstruction) -> WebhookAnswer {
        twiml::answer(instruction)
    }

    fn message_answer(&self) -> WebhookAnswer {
        nothing()
    }

    fn receipt_answer(&self) -> WebhookAnswer {
        nothing()
    }
}

/// Telnyx ignores the body, but wants exactly 200 (CARRIERS §4).
fn nothing() -> WebhookAnswer {
    WebhookAnswer { content_type: "text/plain", body: "".into() }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, prelude::BASE64_STANDARD};
    use domain::{Id, Message};
    use http::HeaderMap;
    use ring::signature::{Ed25519KeyPair, KeyPair};
    use serde_json::{Value, json};
    use url::{Url, form_urlencoded};

    use super::*;
    use crate::harness::webhooks::{Fixture, Posted, now, webhook_tests};

    const OURS: &str = "+16465550111";

    struct Telnyx;

    fn key() -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
    }

    fn public_key() -> String {
        BASE64_STANDARD.encode(key().public_key())
    }

    fn posted(url: &str, content_type: &'static str, body: String) -> Posted {
        let signature = signature::sign(&key(), now().timestamp(), body.as_bytes());
        let mut headers = HeaderMap::new();
        headers.insert("content-type", content_type.parse().unwrap());
        headers.insert(signature::SIGNATURE_HEADER, signature.parse().unwrap());
        headers.insert(signature::TIMESTAMP_HEADER, now().timestamp().to_string().parse().unwrap());
        Posted { url: Url::parse(url).unwrap(), headers, body: body.into_bytes() }
    }

    fn event(path: &str, event_type: &str, payload: &Value) -> Posted {
        let body = json!({
            "data": {
                "event_type": event_type,
                "id": "1f3a0c52-0000-4000-8000-000000000001",
                "occurred_at": "2026-11-23T09:00:00.000Z",
                "record_type": "event",
                "never_seen_before": {"a": [1]},
                "payload": payload,
            },
            "meta": {"attempt": 1, "delivered_to": "https://in.example.com"},
        });
        posted(&format!("https://in.example.com/webhooks/telnyx/{path}"), "application/json", body.to_string())
    }

    fn message_with(more: &[(&str, Value)]) -> Posted {
        let mut payload = json!({
            "id": "m-1",
            "direction": "inbound",
            "type": "SMS",
            "from": {"phone_number": "+14155550123", "carrier": "x", "line_type": "Wireless"},
            "to": [{"phone_number": OURS, "status": "webhook_delivered"}],
            "text": "hello",
            "media": [],
            "parts": 1,
            "messaging_profile_id": "mp-1",
            "never_seen_before": null,
        });
        for (name, value) in more {
            payload[*name] = value.clone();
        }
        event("message", "message.received", &payload)
    }

    fn receipt_with(query: &str, event_type: &str, status: &str, errors: &Value) -> Posted {
        let payload = json!({
            "id": "m-1",
            "direction": "outbound",
            "from": {"phone_number": OURS},
            "to": [{"phone_number": "+14155550123", "status": status, "carrier": "x", "line_type": "Wireless"}],
            "errors": errors,
            "never_seen_before": "+ ",
        });
        event(&format!("status{query}"), event_type, &payload)
    }

    fn mid() -> String {
        format!("?mid={}", Id::<Message>::new())
    }

    impl Fixture for Telnyx {
        fn carrier(&self) -> CarrierName {
            CarrierName::Telnyx
        }

        fn webhooks(&self) -> Box<dyn Webhooks> {
            Box::new(TelnyxWebhooks::new(&[public_key()]).unwrap())
        }

        fn signature_header(&self) -> &'static str {
            signature::SIGNATURE_HEADER
        }

        fn message(&self, carrier_message_id: &str, from: &str, body: &str) -> Posted {
            let from = json!({"phone_number": from, "carrier": "x", "line_type": "Wireless"});
            message_with(&[("id", carrier_message_id.into()), ("from", from), ("text", body.into())])
        }

        fn receipt(&self, message_id: Id<Message>, carrier_message_id: &str) -> Posted {
            let payload = json!({
                "id": carrier_message_id,
                "to": [{"phone_number": "+14155550123", "status": "delivered"}],
                "errors": [],
                "never_seen_before": "+ ",
            });
            event(&format!("status?mid={message_id}"), "message.finalized", &payload)
        }

        fn call(&self, params: &[(&str, &str)]) -> Posted {
            let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
            posted("https://in.example.com/webhooks/telnyx/voice", "application/x-www-form-urlencoded", body)
        }
    }

    webhook_tests!(Telnyx);

    #[test]
    fn pictures_come_in_order_and_may_come_without_a_text() {
        let posted = message_with(&[
            ("text", Value::Null),
            ("errors", Value::Null),
            ("type", "MMS".into()),
            ("parts", Value::Null),
            (
                "media",
                json!([{"url": "https://media.telnyx.com/b", "content_type": "image/png", "size": 3},
                       {"url": "https://media.telnyx.com/a", "content_type": null, "sha256": "x"}]),
            ),
        ]);
        let message = Telnyx.webhooks().parse_message(&posted.request()).unwrap();
        let media: Vec<_> = message.media.iter().map(|item| (item.url.path(), item.content_type.as_str())).collect();
        assert_eq!(media, [("/b", "image/png"), ("/a", "")]);
        assert_eq!((message.body.as_str(), message.segments), ("", None));
    }

    #[test]
    fn of_a_group_the_one_is_ours_that_the_webhook_is_for() {
        let to = json!([{"phone_number": "+14155550199", "status": "queued"},
                        {"phone_number": OURS, "status": "webhook_delivered"}]);
        let message = Telnyx.webhooks().parse_message(&message_with(&[("to", to)]).request()).unwrap();
        assert_eq!(message.to.as_str(), OURS);
    }

    #[test]
    fn a_message_that_lacks_something_names_it() {
        for (field, value, expected) in [
            ("id", json!(""), MalformedWebhook::MissingField("id")),
            ("from", json!({}), MalformedWebhook::MissingField("from")),
            ("to", json!([]), MalformedWebhook::MissingField("to")),
            ("to", json!([{"phone_number": "72345"}]), MalformedWebhook::InvalidField("to")),
            ("media", json!([{"url": "nowhere"}]), MalformedWebhook::InvalidField("media")),
            ("to", json!("x"), MalformedWebhook::UnreadableBody),
        ] {
            let parsed = Telnyx.webhooks().parse_message(&message_with(&[(field, value)]).request());
            assert_eq!(parsed, Err(expected), "{field}");
        }
    }

    #[test]
    fn other_events_at_the_same_address_are_told_apart_and_nonsense_is_unreadable() {
        let webhooks = Telnyx.webhooks();
        let other = event("message", "message.finalized", &json!({"to": "another shape"}));
        assert_eq!(webhooks.parse_message(&other.request()), Err(MalformedWebhook::UnknownStatus));
        let other = event(&format!("status{}", mid()), "message.received", &json!([]));
        assert_eq!(webhooks.parse_receipt(&other.request()), Err(MalformedWebhook::UnknownStatus));
        for body in ["", "[]", "{\"data\":{}}", "a=b"] {
            let posted = posted("https://in.example.com/webhooks/telnyx/message", "application/json", body.into());
            assert_eq!(webhooks.parse_message(&posted.request()), Err(MalformedWebhook::UnreadableBody), "{body}");
        }
    }

    #[test]
    fn every_status_of_telnyx_has_a_meaning() {
        for (word, expected) in STATUSES {
            for event_type in RECEIPTS {
                let posted = receipt_with(&mid(), event_type, word, &json!([]));
                let receipt = Telnyx.webhooks().parse_receipt(&posted.request()).unwrap();
                assert_eq!(receipt.status, *expected);
                assert_eq!(
                    receipt.error.is_some(),
                    matches!(expected, ReceiptStatus::Failed | ReceiptStatus::Undelivered),
                    "only what went wrong has a reason"
                );
            }
        }
    }

    #[test]
    fn a_failed_receipt_says_why() {
        let errors = json!([{"code": "40001", "title": "Not routable", "detail": "+14155550123"}]);
        let posted = receipt_with(&mid(), "message.finalized", "delivery_failed", &errors);
        let error = Telnyx.webhooks().parse_receipt(&posted.request()).unwrap().error.unwrap();
        assert_eq!(error.code, crate::refusal_code::CANNOT_RECEIVE_SMS);
        assert_eq!(error.carrier_code.as_deref(), Some("40001"));
        assert!(!error.detail.contains("4155550123"));
    }

    #[test]
    fn a_receipt_without_our_id_or_with_a_strange_status_is_malformed() {
        let parse = |query: &str, status: &str| {
            let posted = receipt_with(query, "message.sent", status, &json!([]));
            Telnyx.webhooks().parse_receipt(&posted.request()).unwrap_err()
        };
        assert_eq!(parse("", "sent"), MalformedWebhook::MissingField("mid"));
        assert_eq!(parse("?mid=17", "sent"), MalformedWebhook::InvalidField("mid"));
        assert_eq!(parse(&mid(), "teleported"), MalformedWebhook::UnknownStatus);
    }

    #[test]
    fn an_old_request_is_refused() {
        let mut request = Telnyx.message("m-1", "+14155550123", "x");
        let old = now().timestamp() - 301;
        let signature = signature::sign(&key(), old, &request.body);
        request.headers.insert(signature::TIMESTAMP_HEADER, old.to_string().parse().unwrap());
        request.headers.insert(signature::SIGNATURE_HEADER, signature.parse().unwrap());
        assert_eq!(Telnyx.webhooks().verify(&request.request()), Err(SignatureError::Expired));
    }

    #[test]
    fn a_text_that_is_no_key_is_an_error_and_without_a_key_nothing_is_accepted() {
        assert_eq!(TelnyxWebhooks::new(&["nonsense"]).unwrap_err(), InvalidPublicKey);
        let closed = TelnyxWebhooks::new(&["", ""]).unwrap();
        let good = Telnyx.message("m-1", "+14155550123", "x");
        assert_eq!(closed.verify(&good.request()), Err(SignatureError::Mismatch));
        let rotating = TelnyxWebhooks::new(&[BASE64_STANDARD.encode([9; 32]), public_key()]).unwrap();
        assert_eq!(rotating.verify(&good.request()), Ok(()));
    }
}
