//! `POST messages`: hands one message over. Rule 16 lives in [`crate::exchange`]; here is only the JSON and its answer.

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::{errors::TABLES, rest::Rest};
use crate::{OutboundMessage, SendOutcome, exchange::Trouble};

#[derive(Serialize)]
struct NewMessage<'a> {
    from: &'a str,
    to: &'a str,
    text: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    media_urls: Vec<&'a str>,
    #[serde(rename = "type")]
    kind: &'static str,
    webhook_url: &'a str,
    /// Telnyx tries an address up to three times and then this one as often: the same, because only it knows the message.
    webhook_failover_url: &'a str,
    /// The profile's address is for inbound messages.
    use_profile_webhooks: bool,
}

/// What we read of the answer. Only the id must be there: a success that lacks the rest is still a success.
#[derive(Deserialize)]
struct Created {
    id: String,
    #[serde(default)]
    parts: Value,
}

pub(super) async fn send(rest: &Rest, message: &OutboundMessage) -> SendOutcome {
    let request = rest.request(Method::POST, &["messages"]).json(&NewMessage {
        from: message.from.as_str(),
        to: message.to.as_str(),
        text: message.body.as_str(),
        media_urls: message.media_urls.iter().map(Url::as_str).collect(),
        kind: if message.media_urls.is_empty() { "SMS" } else { "MMS" },
        webhook_url: message.receipt_url.as_str(),
        webhook_failover_url: message.receipt_url.as_str(),
        use_profile_webhooks: false,
    });
    match rest.fetch::<Created>(request).await {
        Ok(created) if created.id.is_empty() => {
            TABLES.send_outcome(Trouble::Unknown { cause: "the answer names no message".into() })
        }
        Ok(created) => SendOutcome::Accepted {
            segments: created.parts.as_u64().and_then(|parts| u32::try_from(parts).ok()).filter(|parts| *parts > 0),
            carrier_message_id: created.id,
        },
        Err(trouble) => TABLES.send_outcome(trouble),
    }
}

#[cfg(test)]
mod tests {
    use domain::MessageBody;
    use serde_json::json;

    use super::{super::fixture::telnyx_at, *};
    use crate::{
        Carrier,
        harness::{
            rest::message,
            scripted::{Act, Scripted},
        },
    };

    async fn send(answer: &'static str, body: &str, media: &[&str]) -> (SendOutcome, Value) {
        let server = Scripted::start(&[Act::Answer(200, "", answer)]).await;
        let message = OutboundMessage {
            body: MessageBody::parse(body).unwrap(),
            media_urls: media.iter().map(|url| Url::parse(url).unwrap()).collect(),
            ..message()
        };
        let outcome = telnyx_at(&server.url).send_message(&message).await;
        (outcome, server.only_request().json())
    }

    #[tokio::test]
    async fn a_message_goes_out_with_every_character_and_its_own_receipt_address() {
        let text = " 1+1=2 & 100%\n\"👍🏽\" ";
        let (outcome, body) = send(r#"{"data":{"id":"m-1","parts":3}}"#, text, &[]).await;
        assert_eq!(outcome, SendOutcome::Accepted { carrier_message_id: "m-1".into(), segments: Some(3) });
        let expected = json!({
            "from": "+16465550111",
            "to": "+14155550123",
            "text": text,
            "type": "SMS",
            "webhook_url": "https://in.example.com/status?mid=1",
            "webhook_failover_url": "https://in.example.com/status?mid=1",
            "use_profile_webhooks": false,
        });
        assert_eq!(body, expected);
    }

    #[tokio::test]
    async fn a_message_with_pictures_is_an_mms() {
        let (_, body) = send(r#"{"data":{"id":"m-1"}}"#, "look", &["https://a.b/1", "https://a.b/2"]).await;
        assert_eq!((&body["type"], &body["media_urls"]), (&json!("MMS"), &json!(["https://a.b/1", "https://a.b/2"])));
    }

    #[tokio::test]
    async fn a_success_stays_one_whatever_it_says_about_parts() {
        for (answer, segments) in [
            (r#"{"data":{"id":"m-1","parts":0}}"#, None),
            (r#"{"data":{"id":"m-1","parts":null}}"#, None),
            (r#"{"data":{"id":"m-1","parts":["x"]}}"#, None),
            (r#"{"data":{"id":"m-1"}}"#, None),
        ] {
            let accepted = SendOutcome::Accepted { carrier_message_id: "m-1".into(), segments };
            assert_eq!(send(answer, "hello", &[]).await.0, accepted);
        }
    }
}
