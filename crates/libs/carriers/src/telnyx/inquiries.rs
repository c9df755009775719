//! `GET messages/{id}`: what became of a message that Telnyx took. It keeps them for ten days.
//!
//! That is all that Telnyx can be asked: it has no list of messages (CARRIERS §3). Whether it took a message whose answer
//! was lost, and which texts came in while nobody listened, is told by its webhooks alone.

use chrono::{DateTime, Utc};
use http::Method;
use serde::Deserialize;

use super::{
    errors::{self, ErrorItem, TABLES},
    events::{Party, null_as_default},
    rest::Rest,
    webhooks,
};
use crate::{CallError, ReceiptStatus, SentCopy, exchange::Trouble};

/// A message as Telnyx keeps it.
#[derive(Deserialize)]
struct Kept {
    id: String,
    #[serde(default, deserialize_with = "null_as_default")]
    to: Vec<Party>,
    #[serde(default, deserialize_with = "null_as_default")]
    errors: Vec<ErrorItem>,
    /// When Telnyx got the request.
    received_at: DateTime<Utc>,
}

pub(super) async fn get_sent(rest: &Rest, carrier_message_id: &str) -> Result<Option<SentCopy>, CallError> {
    let kept: Kept = match rest.fetch(rest.request(Method::GET, &["messages", carrier_message_id])).await {
        Ok(kept) => kept,
        Err(Trouble::Refused { status: 404, .. }) => return Ok(None),
        Err(Trouble::Refused { code: Some(code), .. }) if code == errors::NOT_FOUND => return Ok(None),
        Err(trouble) => return Err(TABLES.call_error(trouble)),
    };
    let word = kept.to.first().and_then(|party| party.status.as_deref());
    let (Some(word), true) = (word, kept.id == carrier_message_id) else {
        return Err(CallError::Unknown { cause: "the answer is not about the message".into() });
    };
    // Telnyx has it, whatever a word that is new may say of how far it is.
    let status = webhooks::find_status(word).unwrap_or(ReceiptStatus::Sending);
    Ok(Some(SentCopy {
        status,
        error: status.is_failure().then(|| TABLES.receipt_refusal(errors::first_code(&kept.errors))),
        created_at: kept.received_at,
        carrier_message_id: kept.id,
        same_text: true,
    }))
}

#[cfg(test)]
mod tests {
    use super::{
        super::fixture::{Fixture, telnyx_at},
        *,
    };
    use crate::{
        Carrier,
        harness::{
            inquiries::{inquiry_tests, noon, sent},
            rest::number,
            scripted::{Act, Scripted},
        },
    };

    inquiry_tests!(Fixture);

    #[tokio::test]
    async fn telnyx_cannot_be_asked_for_messages_and_is_not() {
        let server = Scripted::start(&[]).await;
        let telnyx = telnyx_at(&server.url);
        assert_eq!(telnyx.find_sent(&sent("hello")).await, Ok(None));
        assert_eq!(telnyx.list_received(&number("+16465550111"), noon(), None).await, Ok(None));
        assert_eq!(server.requests().len(), 0);
    }

    #[tokio::test]
    async fn a_status_that_we_do_not_know_is_still_a_message_that_was_taken() {
        const NEW: &str = r#"{"data":{"id":"m-1","received_at":"2026-11-23T12:00:00Z","to":[{"status":"teleported"}],"errors":null}}"#;
        let server = Scripted::start(&[Act::Answer(200, "", NEW)]).await;
        let copy = telnyx_at(&server.url).get_sent("m-1").await.unwrap().unwrap();
        assert_eq!((copy.status, copy.error), (ReceiptStatus::Sending, None));
    }
}
