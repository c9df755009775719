//! A running ingest, the carrier that signs what it gets, and a look into the stream.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream;
use bus::{Bus, NatsSettings};
use carriers::twilio::signature;
use chassis::Lifecycle;
use chassis::Secret;
use proto::Event;
use proto::ingest::{CallUpdated, MessageReceived, ReceiptReceived};
use proto::numbers::Route;
use url::form_urlencoded;

use crate::{DEFAULTS, Listeners, Settings};

/// Not where the tests connect to: signatures cover the configured address.
pub(super) const PUBLIC: &str = "https://in.example.com/leaseline";
pub(super) const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
pub(super) const TOKEN: &str = "the-token";
pub(super) const OLD_TOKEN: &str = "the-token-before";

pub(super) struct Service {
    pub(super) address: String,
    admin: String,
    pub(super) nats: NatsSettings,
    pub(super) lifecycle: Lifecycle,
    pub(super) client: reqwest::Client,
}

/// A stored event as it lies in the stream.
#[derive(Debug)]
pub(super) struct Stored<E> {
    pub(super) headers: HeaderMap,
    pub(super) event: E,
}

pub(super) fn settings(nats: NatsSettings) -> Settings {
    let settings: Settings = chassis::config::load(DEFAULTS, None, &|_| None).unwrap();
    Settings {
        webhooks: crate::WebhookSettings { public_url: PUBLIC.to_owned(), ..settings.webhooks },
        twilio: crate::TwilioSettings {
            account_sid: ACCOUNT.to_owned(),
            auth_tokens: [TOKEN, OLD_TOKEN].map(Secret::from).to_vec(),
        },
        telnyx: crate::TelnyxSettings { public_keys: vec![super::telnyx::public_key()] },
        nats,
        ..settings
    }
}

impl Service {
    /// With a namespace of its own, ready.
    pub(super) async fn start() -> Self {
        let service = Self::start_with(settings(testkit::nats())).await;
        service.until_ready().await;
        service
    }

    pub(super) async fn start_with(settings: Settings) -> Self {
        chassis::process::install_tls();
        let listeners = Listeners { http: testkit::listener().await, admin: testkit::listener().await };
        let address = listeners.http.local_addr().unwrap().to_string();
        let admin = listeners.admin.local_addr().unwrap().to_string();
        let (lifecycle, nats) = (Lifecycle::new(), settings.nats.clone());
        crate::run(settings, listeners, testkit::clock(), lifecycle.clone()).await.unwrap();
        Self { address, admin, nats, lifecycle, client: reqwest::Client::new() }
    }

    /// Stops in order and leaves nothing in NATS.
    pub(super) async fn stop(self) {
        self.lifecycle.finish(Duration::from_secs(20)).await.unwrap();
        self.bus().await.delete_streams().await.unwrap();
    }

    pub(super) async fn until_ready(&self) {
        testkit::eventually("readiness", async || match self.ready().await {
            200 => Ok(()),
            status => Err(status),
        })
        .await;
        self.stream().await;
    }

    /// Its client has noticed that the connection is gone.
    pub(super) async fn until_nats_is_missed(&self) {
        testkit::eventually("the loss of NATS", async || match self.ask_admin("/health/ready").await {
            (200, readiness) if readiness.contains("NATS is not connected") => Ok(()),
            other => Err(other),
        })
        .await;
    }

    /// Status of the readiness check.
    pub(super) async fn ready(&self) -> u16 {
        self.ask_admin("/health/ready").await.0
    }

    pub(super) async fn ask_admin(&self, path: &str) -> (u16, String) {
        let response = self.client.get(format!("http://{}{path}", self.admin)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    pub(super) async fn send(&self, webhook: &Webhook) -> (u16, String) {
        let response = webhook.request(&self.client, &self.address).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// What the numbers service says of a license.
    pub(super) async fn set_route(&self, license_id: &str, number: &str, company_phone: Option<&str>, version: u64) {
        let route = Route {
            license_id: license_id.to_owned(),
            number: number.to_owned(),
            company_phone: company_phone.map(str::to_owned),
            version,
        };
        self.bus().await.put_latest(license_id, &route).await.unwrap();
    }

    /// Calls until the answer is this one: routes arrive when they arrive.
    pub(super) async fn call_until(&self, webhook: &Webhook, answer: &str) -> String {
        testkit::eventually(answer, async || {
            let (status, body) = self.send(webhook).await;
            if status == 200 && body.contains(answer) { Ok(body) } else { Err((status, body)) }
        })
        .await
    }

    /// The stored events of calls, by their ids, as soon as there are so many.
    pub(super) async fn calls(&self, count: usize) -> BTreeMap<String, CallUpdated> {
        testkit::eventually("the calls", async || {
            let stored = self.list_stored::<CallUpdated>().await;
            let by_id =
                stored.into_iter().map(|stored| (stored.headers.get("Nats-Msg-Id").unwrap().to_string(), stored.event));
            let by_id: BTreeMap<_, _> = by_id.collect();
            if by_id.len() == count { Ok(by_id) } else { Err(by_id) }
        })
        .await
    }

    /// Past the service, straight to the server.
    pub(super) async fn bus(&self) -> Bus {
        let nats = NatsSettings { url: std::env::var("LEASELINE_TEST_NATS_URL").unwrap(), ..self.nats.clone() };
        Bus::connect(&nats, "ingest tests").await.unwrap()
    }

    async fn stream(&self) -> jetstream::stream::Stream {
        let jetstream = jetstream::new(self.bus().await.client().clone());
        let name = format!("{}_INGEST", self.nats.namespace.to_uppercase());
        testkit::eventually("the stream", async || jetstream.get_stream(&name).await.map_err(|error| error.to_string()))
            .await
    }

    /// Every event of one kind, oldest first.
    pub(super) async fn list_stored<E: Event>(&self) -> Vec<Stored<E>> {
        let mut stream = self.stream().await;
        let state = stream.info().await.unwrap().state.clone();
        let subject = format!("{}.{}", self.nats.namespace, E::SUBJECT);
        let mut stored = Vec::new();
        // An empty stream begins at 0, which is no message.
        for sequence in state.first_sequence.max(1)..=state.last_sequence {
            let message = stream.get_raw_message(sequence).await.unwrap();
            if message.subject.as_str() == subject {
                let event = E::decode(message.payload.as_ref()).unwrap();
                stored.push(Stored { headers: message.headers, event });
            }
        }
        stored
    }

    /// Events of what carriers said.
    pub(super) async fn count_stored(&self) -> usize {
        self.list_stored::<MessageReceived>().await.len()
            + self.list_stored::<ReceiptReceived>().await.len()
            + self.list_stored::<CallUpdated>().await.len()
    }
}

/// What Twilio would post.
#[derive(Clone, Debug)]
pub(super) struct Webhook {
    pub(super) target: String,
    pub(super) signature: Option<String>,
    pub(super) body: String,
}

impl Webhook {
    /// Signed with `token` over `base` and `target`.
    pub(super) fn signed(token: &str, base: &str, target: &str, params: &[(&str, &str)]) -> Self {
        let signature = signature::sign(&Secret::new(token), &format!("{base}{target}"), params);
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
        Self { target: target.to_owned(), signature: Some(signature), body }
    }

    pub(super) fn message(sid: &str, body: &str) -> Self {
        Self::message_with(&[("MessageSid", sid), ("Body", body)])
    }

    /// A message whose parameters are these and, unless they say otherwise, the usual ones.
    pub(super) fn message_with(params: &[(&str, &str)]) -> Self {
        let mut all = params.to_vec();
        for usual in [("AccountSid", ACCOUNT), ("MessageSid", "SM1"), ("From", "+14155550123"), ("To", "+16465550111")]
        {
            if !params.iter().any(|(name, _)| *name == usual.0) {
                all.push(usual);
            }
        }
        Self::signed(TOKEN, PUBLIC, "/webhooks/twilio/message", &all)
    }

    pub(super) fn receipt(mid: &str, params: &[(&str, &str)]) -> Self {
        let all = [&[("AccountSid", ACCOUNT), ("MessageSid", "SM1")], params].concat();
        Self::signed(TOKEN, PUBLIC, &format!("/webhooks/twilio/status?mid={mid}"), &all)
    }

    /// A phone calls one of our numbers. `from` as Twilio says it.
    pub(super) fn call(sid: &str, from: &str, to: &str) -> Self {
        let params = [("AccountSid", ACCOUNT), ("CallSid", sid), ("From", from), ("To", to), ("CallStatus", "ringing")];
        Self::signed(TOKEN, PUBLIC, "/webhooks/twilio/voice", &params)
    }

    /// What came of a call, posted to this target.
    pub(super) fn call_report(target: &str, sid: &str, to: &str, params: &[(&str, &str)]) -> Self {
        let usual = [("AccountSid", ACCOUNT), ("CallSid", sid), ("From", "+14155550123"), ("To", to)];
        Self::signed(TOKEN, PUBLIC, target, &[&usual, params].concat())
    }

    pub(super) fn request(&self, client: &reqwest::Client, address: &str) -> reqwest::RequestBuilder {
        let request = client
            .post(format!("http://{address}{}", self.target))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(self.body.clone());
        match &self.signature {
            Some(signature) => request.header(signature::SIGNATURE_HEADER, signature),
            None => request,
        }
    }

    /// The bytes of the request, for a client that misbehaves.
    pub(super) fn raw(&self) -> Vec<u8> {
        let signature = self.signature.as_deref().unwrap_or_default();
        format!(
            "POST {} HTTP/1.1\r\nhost: in.example.com\r\ncontent-type: application/x-www-form-urlencoded\r\n\
             {}: {signature}\r\ncontent-length: {}\r\n\r\n{}",
            self.target,
            signature::SIGNATURE_HEADER,
            self.body.len(),
            self.body
        )
        .into_bytes()
    }
}
