//! The world of one journey: a stack, a license with people, managers, phones, and what can be counted at the ends.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use anyhow::{Context as _, Result};
use carriers::twilio::signature;
use chassis::Secret;
use domain::CarrierName;
use leaseline::client::{Answer, Api, Event, Phones};
use leaseline::newcomer;
pub use leaseline::newcomer::{COMPANY_PHONE, phone};
use leaseline::stack::{Options, Stack};
use leaseline::token::Signer;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use testkit::Gate;
use tokio::sync::mpsc;

pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct World {
    pub stack: Stack,
    pub postgres: Gate,
    pub nats: Gate,
    pub signer: Signer,
    pub outside: Outside,
    /// Of the databases, the streams and the license.
    id: String,
}

/// What drives a journey and counts at its ends: two managers and the phones.
#[derive(Clone)]
pub struct Outside {
    pub number: String,
    /// May change the settings.
    pub adam: Api,
    pub mia: Api,
    pub noah: Api,
    pub phones: Phones,
    pub gateways: Vec<String>,
    pub ingests: Vec<String>,
    pub twilio_auth_token: Secret,
}

impl std::ops::Deref for World {
    type Target = Outside;

    fn deref(&self) -> &Outside {
        &self.outside
    }
}

impl World {
    /// A stack with one license that has its number at Twilio, and `people` people.
    pub async fn start(replicas: usize, people: usize) -> Self {
        Self::start_at(CarrierName::Twilio, replicas, people).await
    }

    /// The same, with a number at this carrier.
    pub async fn start_at(carrier: CarrierName, replicas: usize, people: usize) -> Self {
        Self::start_with(carrier, replicas, people, &[]).await
    }

    /// The same, with further settings of the services.
    pub async fn start_with(carrier: CarrierName, replicas: usize, people: usize, more: &[(&str, &str)]) -> Self {
        super::secrecy::capture_logs();
        let database_url = testkit::engine("LEASELINE_TEST_DATABASE_URL");
        let nats_url = testkit::engine("LEASELINE_TEST_NATS_URL");
        let postgres = Gate::start(&database_url).await;
        let nats = Gate::start(&nats_url).await;
        let id = uuid::Uuid::now_v7().simple().to_string();
        let signer = Signer::new("a-key-of-this-journeys-own-32-bytes-long".to_owned());
        let settings = [
            ("LEASELINE_PACE_SEGMENTS_PER_SECOND", "0"),
            ("LEASELINE_FEED_HEADS_INTERVAL_MS", "1000"),
            ("LEASELINE_DELIVERY_ATTEMPT_DEADLINE_MS", "4000"),
            ("LEASELINE_TWILIO_REQUEST_TIMEOUT_MS", "1000"),
            ("LEASELINE_TELNYX_REQUEST_TIMEOUT_MS", "1000"),
            ("LEASELINE_LOOKUP_TIMEOUT_MS", "1000"),
            ("LEASELINE_INQUIRIES_CONFIRM_WITHIN_S", "12"),
            ("LEASELINE_INQUIRIES_RECEIPTS_AFTER_S", "5"),
        ];
        let options = Options {
            database_prefix: format!("journey_{id}_"),
            namespace: format!("j{id}"),
            replicas,
            settings: settings
                .iter()
                .chain(more)
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            receipt_delay: Duration::from_millis(20),
            ..Options::new(&postgres.through(&database_url), &nats.through(&nats_url), &signer)
        };
        let stack = Stack::start(&options).await.expect("the stack starts");
        let license = format!("lic-{id}");
        let gateway = &stack.gateway_urls[0];
        let backend = Api::new(gateway, &signer.sign("", "service", "backend", "Backend").unwrap());
        let adam = Api::new(gateway, &signer.sign(&license, "admin", "adam", "Adam Admin").unwrap());
        let mia = Api::new(gateway, &signer.sign(&license, "manager", "mia", "Mia Manager").unwrap());
        let noah = Api::new(gateway, &signer.sign(&license, "manager", "noah", "Noah Manager").unwrap());
        let created = newcomer::create_license(&backend, &mia, &license, carrier.as_str(), people).await;
        let number = created.expect("the license gets its number by itself");
        let phones = Phones::new(&stack.simulator_url);
        let outside = Outside {
            number,
            adam,
            mia,
            noah,
            phones,
            gateways: stack.gateway_urls.clone(),
            ingests: stack.ingest_urls.clone(),
            twilio_auth_token: Secret::new(stack.twilio_auth_token.clone()),
        };
        Self { stack, postgres, nats, signer, outside, id }
    }

    pub fn license_id(&self) -> String {
        format!("lic-{}", self.id)
    }

    /// For events that a journey publishes itself.
    pub fn nats_settings(&self) -> bus::NatsSettings {
        bus::NatsSettings { namespace: format!("j{}", self.id), ..testkit::nats() }
    }

    /// Rows of all services' databases, and messages of all streams, that hold a text.
    pub async fn find_everywhere(&self, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        for service in ["numbers", "conversations", "dispatch"] {
            let address: PgConnectOptions = testkit::engine("LEASELINE_TEST_DATABASE_URL").parse().expect("an address");
            let address = address.database(&format!("journey_{}_{service}", self.id));
            let pool = PgPoolOptions::new().max_connections(1).connect_with(address).await.expect("the database");
            found.extend(
                testkit::find_text(&pool, text).await.into_iter().map(|(table, _)| format!("{service} {table}")),
            );
            pool.close().await;
        }
        let client = async_nats::connect(testkit::engine("LEASELINE_TEST_NATS_URL")).await.expect("NATS");
        let streams = testkit::find_text_in_streams(&client, &self.nats_settings().namespace, text).await;
        found.extend(streams.into_iter().map(|(stream, number)| format!("{stream} {number}")));
        found
    }

    pub async fn stop(self) {
        self.stack.stop().await.expect("the stack stops in order");
    }
}

impl Outside {
    /// The newest position of the feed, as a client learns it that opens it now.
    pub async fn head(&self) -> u64 {
        let feed = self.mia.feed(None).await.expect("the feed opens");
        feed.position().expect("a feed that is open has a position")
    }

    /// Sends to person `n` and does not give up: with the same key, as a careful client does.
    pub async fn send_until_accepted(&self, n: usize, body: &str) -> Value {
        let key = uuid::Uuid::now_v7().to_string();
        let recipients = [json!({ "person_id": format!("t{n}") })];
        let mut last = String::new();
        for attempt in 0..200 {
            let api = self.mia.at(&self.gateways[attempt % self.gateways.len()]);
            match api.send(&key, &recipients, body).await {
                Ok(answer) if answer.status == 202 => return answer.body["messages"][0].clone(),
                Ok(answer) => last = format!("{} {}", answer.status, answer.body),
                Err(error) => last = format!("{error:#}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the send was never accepted: {last}");
    }

    /// The phone texts once, and the carrier takes it to ingest.
    pub async fn text(&self, n: usize, body: &str) {
        let answer = self.phones.text(&phone(n), &self.number, body).await.expect("the simulator answers");
        assert_eq!(answer["webhook_status"], 200, "{answer}");
    }

    /// The license's messages number as the settings show it now.
    pub async fn settings(&self) -> Value {
        self.mia.get("/v1/settings").await.expect("the settings are shown")
    }

    /// Generates a number.
    pub async fn generate(&self, area_code: Option<&str>) -> Answer {
        let body = json!({ "area_code": area_code });
        self.adam.call(Method::POST, "/v1/number/candidates", Some(&body)).await.expect("the gateway answers")
    }

    /// Saves a candidate.
    pub async fn save(&self, candidate: &Value) -> Answer {
        let body = json!({ "candidate_id": candidate["candidate_id"] });
        self.adam.call(Method::PUT, "/v1/number", Some(&body)).await.expect("the gateway answers")
    }

    /// The numbers that the carriers' accounts own.
    pub async fn owned(&self) -> Vec<String> {
        let answer = self.phones.get("/_sim/numbers").await.expect("the simulator answers");
        let numbers = answer["numbers"].as_array().cloned().unwrap_or_default();
        numbers.iter().filter_map(|owned| Some(owned["phone_number"].as_str()?.to_owned())).collect()
    }

    /// Waits until exactly this number is owned at the carriers.
    pub async fn wait_until_owned_is(&self, number: &str) {
        testkit::eventually("one owned number", async || {
            let owned = self.owned().await;
            if owned == [number] { Ok(()) } else { Err(owned) }
        })
        .await;
    }

    /// A webhook as the carrier makes it. Every replica of ingest stands behind the one public address.
    pub fn webhook(&self, replica: usize, sid: &str, n: usize, body: &str) -> reqwest::RequestBuilder {
        self.webhook_to(&self.number, replica, sid, n, body)
    }

    /// The same, to any number.
    pub fn webhook_to(&self, to: &str, replica: usize, sid: &str, n: usize, body: &str) -> reqwest::RequestBuilder {
        const PATH: &str = "/webhooks/twilio/message";
        let form = [
            ("MessageSid", sid),
            ("AccountSid", leaseline::stack::ACCOUNT_SID),
            ("From", &phone(n)),
            ("To", to),
            ("Body", body),
        ];
        let signature = signature::sign(&self.twilio_auth_token, &format!("{}{PATH}", self.ingests[0]), &form);
        let url = format!("{}{PATH}", self.ingests[replica % self.ingests.len()]);
        reqwest::Client::new().post(url).header(signature::SIGNATURE_HEADER, signature).form(&form)
    }

    /// A carrier that does not give up brings one and the same text, until it is taken.
    pub async fn bring_until_taken(&self, n: usize, body: &str) {
        let sid = format!("SM{}", uuid::Uuid::now_v7().simple());
        for attempt in 0..200 {
            if let Ok(answer) = self.webhook(attempt, &sid, n, body).send().await
                && answer.status() == 200
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the webhook was never taken");
    }

    /// Texts with exactly this body that the phone got.
    pub async fn received(&self, n: usize, body: &str) -> usize {
        let inbox = self.phones.inbox(&phone(n)).await.expect("the simulator answers");
        inbox.iter().filter(|text| text["body"] == body).count()
    }

    /// Every message of every conversation, by body: how often, and with which status.
    pub async fn messages(&self) -> Result<HashMap<String, Vec<String>>> {
        let mut found: HashMap<String, Vec<String>> = HashMap::new();
        let conversations = self.noah.get("/v1/conversations?limit=200").await?;
        for conversation in conversations["items"].as_array().context("no items")? {
            let id = conversation["conversation_id"].as_str().context("no id")?;
            let mut path = format!("/v1/conversations/{id}/messages?limit=200");
            loop {
                let page = self.noah.get(&path).await?;
                for message in page["items"].as_array().context("no items")? {
                    let text = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
                    found.entry(text("body")).or_default().push(text("status"));
                }
                let Some(next) = page["next_cursor"].as_str() else { break };
                path = format!("/v1/conversations/{id}/messages?limit=200&before={next}");
            }
        }
        Ok(found)
    }

    /// Waits until each body is in the conversations exactly once with this status.
    pub async fn wait_for_messages(&self, bodies: &[String], status: &str) {
        testkit::eventually(&format!("{} messages {status}", bodies.len()), async || {
            let found = self.messages().await.map_err(|error| format!("{error:#}"))?;
            let mut wrong = BTreeMap::new();
            for body in bodies {
                match found.get(body).map(Vec::as_slice) {
                    Some([only]) if only == status => {}
                    other => drop(wrong.insert(body.clone(), format!("{other:?}"))),
                }
            }
            if wrong.is_empty() {
                Ok(())
            } else {
                Err(format!("{} are not: {:?}", wrong.len(), wrong.iter().take(3).collect::<Vec<_>>()))
            }
        })
        .await;
    }

    /// A client of the feed that reconnects whenever its stream ends, at any of the gateways, from a position.
    pub fn follow(&self, after: u64) -> mpsc::UnboundedReceiver<Event> {
        let (events, received) = mpsc::unbounded_channel();
        let (api, gateways) = (self.mia.clone(), self.gateways.clone());
        tokio::spawn(async move {
            let mut position = after;
            for attempt in 0.. {
                let gateway: &String = &gateways[attempt % gateways.len()];
                if let Ok(mut feed) = api.at(gateway).feed(Some(position)).await {
                    while let Ok(Some(block)) = feed.next_block().await {
                        if block.kind.is_empty() && block.seq == position {
                            // The greeting: where the stream begins.
                            continue;
                        }
                        position = block.seq;
                        if events.send(block).is_err() {
                            return;
                        }
                    }
                }
                if events.is_closed() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        received
    }
}

/// Takes what a client got until it has `count` positions and checks that they are after + 1, after + 2, …
pub async fn take_in_sequence(events: &mut mpsc::UnboundedReceiver<Event>, after: u64, until: u64) -> Vec<Event> {
    let mut taken = Vec::new();
    for expected in after + 1..=until {
        let event = tokio::time::timeout(PATIENCE, events.recv())
            .await
            .unwrap_or_else(|_| panic!("position {expected} of {until} did not come"))
            .expect("the client goes on");
        assert_eq!(event.seq, expected, "the feed has a gap or a double");
        taken.push(event);
    }
    taken
}
