//! `POST Messages`: hands one message over. Rule 16 lives in [`crate::exchange`]; here is only the form and its answer.

use http::Method;
use serde::Deserialize;
use serde_json::Value;

use super::{errors::TABLES, rest::Rest, webhooks};
use crate::{OutboundMessage, SendOutcome, exchange::Trouble};

/// What we read of the answer. Only the sid must be there: a success that lacks the rest is still a success.
#[derive(Deserialize)]
struct Created {
    sid: String,
    /// A string of digits; "0" while Twilio does not know.
    #[serde(default)]
    num_segments: Value,
}

pub(super) async fn send(rest: &Rest, message: &OutboundMessage) -> SendOutcome {
    let receipt_url = webhooks::with_retries(&message.receipt_url);
    let mut form = vec![
        ("From", message.from.as_str()),
        ("To", message.to.as_str()),
        ("Body", message.body.as_str()),
        ("StatusCallback", receipt_url.as_str()),
    ];
    form.extend(message.media_urls.iter().map(|url| ("MediaUrl", url.as_str())));
    let request = rest.request(Method::POST, &["Messages.json"]).form(&form);
    match rest.fetch::<Created>(request).await {
        Ok(created) if created.sid.is_empty() => {
            TABLES.send_outcome(Trouble::Unknown { cause: "the answer names no message".into() })
        }
        Ok(created) => {
            SendOutcome::Accepted { segments: read_count(&created.num_segments), carrier_message_id: created.sid }
        }
        Err(trouble) => TABLES.send_outcome(trouble),
    }
}

/// Twilio writes counts as strings of digits. `None` for zero and for what is no count.
pub(super) fn read_count(value: &Value) -> Option<u32> {
    let count = match value {
        Value::String(digits) => digits.parse().ok()?,
        Value::Number(count) => u32::try_from(count.as_u64()?).ok()?,
        _ => return None,
    };
    (count > 0).then_some(count)
}

#[cfg(test)]
mod tests {
    use domain::{Id, MessageBody, PhoneNumber};
    use url::Url;

    use super::{super::fixture::twilio_at, *};
    use crate::{
        Carrier,
        harness::scripted::{Act, Scripted},
    };

    async fn send(answer: &'static str, body: &str, media: &[&str]) -> (SendOutcome, Vec<(String, String)>) {
        let server = Scripted::start(&[Act::Answer(201, "", answer)]).await;
        let message = OutboundMessage {
            message_id: Id::new(),
            from: PhoneNumber::from_e164("+16465550111").unwrap(),
            to: PhoneNumber::from_e164("+14155550123").unwrap(),
            body: MessageBody::parse(body).unwrap(),
            media_urls: media.iter().map(|url| Url::parse(url).unwrap()).collect(),
            receipt_url: Url::parse("https://in.example.com/status?mid=1#rc=3&rp=all").unwrap(),
        };
        let outcome = twilio_at(&server.url).send_message(&message).await;
        (outcome, server.only_request().form)
    }

    fn accepted(segments: Option<u32>) -> SendOutcome {
        SendOutcome::Accepted { carrier_message_id: "SM1".into(), segments }
    }

    #[tokio::test]
    async fn a_message_goes_out_with_every_character_its_media_and_its_own_receipt_address() {
        let text = " 1+1=2 & 100%\n👍🏽 ";
        let (outcome, form) =
            send(r#"{"sid":"SM1","num_segments":"3"}"#, text, &["https://a.b/1", "https://a.b/2"]).await;
        assert_eq!(outcome, accepted(Some(3)));
        let expected = [
            ("From", "+16465550111"),
            ("To", "+14155550123"),
            ("Body", text),
            ("StatusCallback", "https://in.example.com/status?mid=1#rc=3&rp=all"),
            ("MediaUrl", "https://a.b/1"),
            ("MediaUrl", "https://a.b/2"),
        ];
        assert_eq!(form, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[tokio::test]
    async fn a_success_stays_one_whatever_it_says_about_segments() {
        for (answer, segments) in [
            (r#"{"sid":"SM1","num_segments":"0"}"#, None),
            (r#"{"sid":"SM1","num_segments":2}"#, Some(2)),
            (r#"{"sid":"SM1","num_segments":null}"#, None),
            (r#"{"sid":"SM1","num_segments":["x"]}"#, None),
            (r#"{"sid":"SM1"}"#, None),
        ] {
            assert_eq!(send(answer, "hello", &[]).await.0, accepted(segments));
        }
    }
}
