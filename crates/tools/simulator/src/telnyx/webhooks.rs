//! Posts Telnyx's webhooks: events as JSON, calls as forms, both signed anew with the time of each attempt.
//! An event is tried up to three times at each address, with growing pauses; only a 200 within two seconds counts.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::Client;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use url::form_urlencoded;

use super::signature::Signer;
use super::{iso_8601, make_uuid};
use crate::webhook::{Answer, Delivery, Failure, Params, attempt};

const USER_AGENT: &str = "telnyx-webhooks";
const EVENT_TIMEOUT: Duration = Duration::from_secs(2);
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
const ATTEMPTS_PER_ADDRESS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Something that happened. It keeps its id however often it is posted.
pub(crate) struct Event {
    id: String,
    kind: &'static str,
    occurred_at: DateTime<Utc>,
    payload: Value,
}

impl Event {
    pub(super) fn new(kind: &'static str, payload: Value) -> Self {
        Self { id: make_uuid(), kind, occurred_at: Utc::now(), payload }
    }

    fn to_body(&self, attempt: u32, url: &str) -> Vec<u8> {
        let body = json!({
            "data": {
                "event_type": self.kind,
                "id": self.id,
                "occurred_at": iso_8601(self.occurred_at),
                "payload": self.payload,
                "record_type": "event",
            },
            "meta": { "attempt": attempt, "delivered_to": url },
        });
        body.to_string().into_bytes()
    }
}

#[derive(Debug)]
pub(crate) struct Webhooks {
    client: Client,
    signer: Signer,
    shutdown: CancellationToken,
}

impl Webhooks {
    pub(crate) fn new(client: Client, signer: Signer, shutdown: CancellationToken) -> Self {
        Self { client, signer, shutdown }
    }

    /// Ends early without an answer on shutdown.
    pub(crate) async fn deliver(&self, url: &str, failover: Option<&str>, event: &Event) -> Delivery {
        tokio::select! {
            delivery = self.deliver_with_retries(url, failover, event) => delivery,
            () = self.shutdown.cancelled() => Delivery::default(),
        }
    }

    async fn deliver_with_retries(&self, url: &str, failover: Option<&str>, event: &Event) -> Delivery {
        let mut last = Delivery::default();
        let mut attempted = 0;
        for (url, from_fallback) in [(Some(url), false), (failover, true)] {
            let Some(url) = url else { continue };
            for turn in 0..ATTEMPTS_PER_ADDRESS {
                if turn > 0 {
                    tokio::time::sleep(FIRST_PAUSE * 2_u32.pow(turn - 1)).await;
                }
                attempted += 1;
                let body = event.to_body(attempted, url);
                let answer = self.post(url, "application/json", body, EVENT_TIMEOUT).await;
                let taken = matches!(&answer, Ok(answer) if answer.status == 200);
                last = Delivery { answer: answer.ok(), taken, from_fallback };
                if taken {
                    return last;
                }
            }
        }
        tracing::info!(attempted, "an event was not taken");
        last
    }

    /// Asks what a call shall do, or tells its end: once at each address.
    pub(crate) async fn ask(&self, url: &str, fallback: Option<&str>, params: &Params) -> Delivery {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish().into_bytes();
        let mut last = Delivery::default();
        for (url, from_fallback) in [(Some(url), false), (fallback, true)] {
            let Some(url) = url.filter(|_| !last.taken) else { continue };
            let post = self.post(url, "application/x-www-form-urlencoded", body.clone(), CALL_TIMEOUT);
            let answer = tokio::select! {
                answer = post => answer,
                () = self.shutdown.cancelled() => return Delivery::default(),
            };
            let taken = matches!(&answer, Ok(answer) if answer.status == 200);
            last = Delivery { answer: answer.ok(), taken, from_fallback };
        }
        last
    }

    async fn post(
        &self,
        url: &str,
        content_type: &'static str,
        body: Vec<u8>,
        timeout: Duration,
    ) -> Result<Answer, Failure> {
        let timestamp = Utc::now().timestamp();
        let request = self
            .client
            .post(url)
            .header("User-Agent", USER_AGENT)
            .header("Content-Type", content_type)
            .header("telnyx-timestamp", timestamp)
            .header("telnyx-signature-ed25519", self.signer.sign(timestamp, &body))
            .body(body)
            .timeout(timeout);
        attempt(request).await
    }
}
