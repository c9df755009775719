//! The rules that dispatch holds, against a real PostgreSQL and the carrier simulator. The loop is driven, not awaited.

mod at_most_one;
mod cut_over;
mod erasure;
mod estimates;
mod inquiries;
mod lanes;
mod limits;
mod lines;
mod never_lost;
mod order;
mod quiet_hours;
mod races;
mod service;
mod withdrawals;

use std::collections::HashSet;
use std::time::Duration;

use bus::{Bus, Handler as _, Received, Relay};
use carriers::telnyx::TelnyxSettings;
use carriers::twilio::TwilioSettings;
use carriers::{Carriers, NumberOrder, NumberSearch, OwnedNumber, WebhookAddresses};
use chassis::Clock;
use chrono::TimeDelta;
use domain::{CarrierName, Id, LicenseId, Message, PhoneNumber};
use prost::Message as _;
use proto::conversations::{MessageQueued, Priority};
use proto::dispatch::MessageProgressed;
use proto::ingest::ReceiptReceived;
use proto::numbers::NumberAssigned;
use testkit::Simulator;
use tokio::task::JoinSet;

use crate::call::Caller;
use crate::config::DeliverySettings;
use crate::events::{MessageQueuedHandler, NumberAssignedHandler, ReceiptReceivedHandler};
use crate::inquire::Inquirer;
use crate::lookup::Lookups;
use crate::model::{InquiryTimes, LimitTree, Pace};
use crate::send::{After, Hint, Limits, Sender};
use crate::store::{ClaimRequest, Store};
use crate::sweep::Sweeper;

const PHONE: &str = "+14155550123";
const OTHER_PHONE: &str = "+14155550124";
const KEEP_LINES: TimeDelta = TimeDelta::days(90);

struct World {
    database: testkit::Database,
    simulator: Simulator,
    clock: Clock,
    relay: Relay,
    store: Store,
    limits: LimitTree,
}

impl World {
    async fn new() -> Self {
        Self::with_clock(testkit::clock()).await
    }

    async fn with_clock(clock: Clock) -> Self {
        let database =
            testkit::database(&[("_bus_migrations", &bus::MIGRATIONS), ("_migrations", &crate::MIGRATIONS)]).await;
        let simulator = Simulator::start().await;
        let bus = Bus::connect(&testkit::nats(), "dispatch-test").await.unwrap();
        let relay = Relay::new(database.pool.clone(), bus);
        let store = Store::new(database.pool.clone(), times());
        Self { database, simulator, clock, relay, store, limits: LimitTree::OFF }
    }

    /// A process of dispatch; the same carriers, its own slots. It does not look lines up.
    fn replica(&self, pace: f64) -> Sender {
        self.replica_with(Pace::per_second(pace).unwrap(), 64, both(self.simulator.url(), Duration::from_millis(400)))
    }

    /// A process that looks lines up.
    fn asking_replica(&self, pace: f64) -> Sender {
        let carriers = both(self.simulator.url(), Duration::from_mins(1));
        let lookups = Lookups::new(Duration::from_millis(400));
        self.replica_from(Pace::per_second(pace).unwrap(), 64, carriers, Some(lookups))
    }

    fn replica_with(&self, pace: Pace, in_flight: usize, carriers: Carriers) -> Sender {
        self.replica_from(pace, in_flight, carriers, None)
    }

    fn replica_from(&self, pace: Pace, in_flight: usize, carriers: Carriers, lookups: Option<Lookups>) -> Sender {
        let limits = Limits {
            pace,
            tree: self.tree(),
            in_flight,
            in_flight_per_lane: in_flight.div_ceil(2),
            attempt_deadline: Duration::from_mins(1),
            keep_lines: KEEP_LINES,
        };
        let caller = Caller { carriers, addresses: addresses(), lookups };
        Sender::new(self.store.clone(), caller, self.clock.clone(), limits, Hint::default(), self.relay.clone())
    }

    fn tree(&self) -> std::sync::Arc<LimitTree> {
        std::sync::Arc::new(self.limits.clone())
    }

    /// Everything that is due now is sent and recorded.
    async fn work(&self, sender: &Sender) {
        loop {
            let (recorder, finished) = sender.recorder();
            let mut calls = JoinSet::new();
            let after = sender.take_turn(&mut calls, &finished).await.unwrap();
            drop(finished);
            recorder.run().await;
            if after != After::Again {
                return;
            }
        }
    }

    async fn sweep(&self) {
        let settings = DeliverySettings {
            in_flight: 1,
            in_flight_per_lane: 1,
            attempt_deadline_ms: 60_000,
            give_up_after_s: 36_000,
        };
        let sweeper =
            Sweeper { store: self.store.clone(), clock: self.clock.clone(), settings, relay: self.relay.clone() };
        sweeper.sweep_once().await.unwrap();
    }

    /// Carriers are asked what is due now. Returns how much.
    async fn inquire(&self) -> usize {
        self.inquire_at(self.simulator.url()).await
    }

    async fn inquire_at(&self, url: &str) -> usize {
        let inquirer = Inquirer {
            store: self.store.clone(),
            carriers: both(url, Duration::from_secs(5)),
            clock: self.clock.clone(),
            in_flight: 8,
            lease: Duration::from_mins(1),
            keep_lines: KEEP_LINES,
            hint: Hint::default(),
            relay: self.relay.clone(),
        };
        inquirer.ask_once().await.unwrap()
    }

    /// Buys a number at Twilio and makes it the license's.
    async fn assign(&self, license: &str, version: u64) -> PhoneNumber {
        self.assign_at(CarrierName::Twilio, license, version).await.number
    }

    /// Buys a number at a carrier and makes it the license's.
    async fn assign_at(&self, carrier: CarrierName, license: &str, version: u64) -> OwnedNumber {
        let owned = buy(self.simulator.url(), carrier, license).await;
        self.announce(carrier, license, owned.number, version).await;
        owned
    }

    async fn announce(&self, carrier: CarrierName, license: &str, number: PhoneNumber, version: u64) {
        let event = NumberAssigned {
            license_id: license.to_owned(),
            number: number.as_str().to_owned(),
            carrier: carrier.to_string(),
            assigned_at: Some(proto::to_timestamp(self.clock.now())),
            version,
        };
        let handler = NumberAssignedHandler {
            clock: self.clock.clone(),
            hint: Hint::default(),
            carriers: CarrierName::ALL.to_vec(),
        };
        let mut tx = self.database.pool.begin().await.unwrap();
        handler.handle(&mut tx, &[received(event)]).await.unwrap();
        tx.commit().await.unwrap();
    }

    fn queued(&self, license: &str, to: &str, priority: Priority) -> MessageQueued {
        let message_id = Id::<Message>::new().to_string();
        MessageQueued {
            license_id: license.to_owned(),
            conversation_id: Id::<domain::Conversation>::new().to_string(),
            to: to.to_owned(),
            body: message_id.clone(),
            message_id,
            media_urls: vec!["https://files.example.com/a".to_owned()],
            segments: 1,
            priority: priority.into(),
            queued_at: Some(proto::to_timestamp(self.clock.now())),
            batch_id: None,
            follows: None,
        }
    }

    fn queued_handler(&self) -> MessageQueuedHandler {
        MessageQueuedHandler {
            clock: self.clock.clone(),
            by_network: self.limits.is_on(),
            hint: Hint::default(),
            relay: self.relay.clone(),
        }
    }

    async fn take_over(&self, events: &[MessageQueued]) {
        let handler = self.queued_handler();
        let events: Vec<_> = events.iter().cloned().map(received).collect();
        let mut tx = self.database.pool.begin().await.unwrap();
        handler.handle(&mut tx, &events).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Queues messages; their text is their id.
    async fn queue(&self, license: &str, to: &str, priority: Priority, count: usize) -> Vec<String> {
        let events: Vec<_> = (0..count).map(|_| self.queued(license, to, priority)).collect();
        self.take_over(&events).await;
        events.into_iter().map(|event| event.message_id).collect()
    }

    async fn receipt(&self, message_id: &str) {
        self.receipt_with(message_id, "delivered", None).await;
    }

    async fn receipt_with(&self, message_id: &str, status: &str, code: Option<&str>) {
        let error = |code: &str| proto::ingest::Error { code: code.to_owned(), detail: "No.".to_owned(), limit: None };
        self.receipt_of(message_id, status, code.map(error)).await;
    }

    async fn receipt_of(&self, message_id: &str, status: &str, error: Option<proto::ingest::Error>) {
        self.receipt_from("SM1", message_id, status, error).await;
    }

    /// Of the message that has this id at the carrier.
    async fn receipt_from(&self, sid: &str, message_id: &str, status: &str, error: Option<proto::ingest::Error>) {
        let handler = ReceiptReceivedHandler {
            clock: self.clock.clone(),
            relay: self.relay.clone(),
            keep_lines: KEEP_LINES,
            times: times(),
        };
        let event = ReceiptReceived {
            carrier: "twilio".to_owned(),
            carrier_message_id: sid.to_owned(),
            message_id: message_id.to_owned(),
            status: status.to_owned(),
            error,
            received_at: Some(proto::to_timestamp(self.clock.now())),
        };
        let mut tx = self.database.pool.begin().await.unwrap();
        handler.handle(&mut tx, &[received(event)]).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// The texts on a phone, oldest first.
    async fn texts(&self, phone: &str) -> Vec<String> {
        let texts = self.simulator.inbox(phone).await;
        texts.iter().map(|text| text["body"].as_str().unwrap().to_owned()).collect()
    }

    /// What was asked of the carriers so far, whose path contains this word.
    async fn asked(&self, word: &str) -> usize {
        let answer = self.simulator.get("/_sim/requests").await;
        let requests = answer["requests"].as_array().unwrap();
        requests.iter().filter(|request| request["path"].as_str().unwrap().to_lowercase().contains(word)).count()
    }

    /// Lookups so far.
    async fn lookups(&self) -> usize {
        self.asked("/v2/phonenumbers/").await + self.asked("/v2/number_lookup/").await
    }

    /// Sends so far.
    async fn sends(&self) -> usize {
        self.asked("/messages").await
    }

    async fn state(&self, message_id: &str) -> String {
        let id: uuid::Uuid = message_id.parse().unwrap();
        sqlx::query_scalar("select state from deliveries where message_id = $1")
            .bind(id)
            .fetch_one(&self.database.pool)
            .await
            .unwrap()
    }

    async fn count(&self, state: &str) -> i64 {
        sqlx::query_scalar("select count(*) from deliveries where state = $1")
            .bind(state)
            .fetch_one(&self.database.pool)
            .await
            .unwrap()
    }

    /// What was published of a message, in order.
    async fn events(&self, message_id: &str) -> Vec<MessageProgressed> {
        let payloads: Vec<Vec<u8>> = sqlx::query_scalar("select payload from outbox order by position")
            .fetch_all(&self.database.pool)
            .await
            .unwrap();
        let events = payloads.into_iter().map(|payload| MessageProgressed::decode(payload.as_slice()).unwrap());
        events.filter(|event| event.message_id == message_id).collect()
    }

    async fn statuses(&self, message_id: &str) -> Vec<String> {
        self.events(message_id).await.into_iter().map(|event| event.status).collect()
    }
}

fn received<E>(event: E) -> Received<E> {
    Received { event_id: uuid::Uuid::now_v7().to_string(), event, occurred_at: chrono::DateTime::UNIX_EPOCH }
}

/// Twilio and Telnyx, both played by the simulator.
fn both(url: &str, timeout: Duration) -> Carriers {
    Carriers::connect(&twilio(url, timeout), &telnyx(url, timeout)).unwrap()
}

fn twilio(url: &str, timeout: Duration) -> TwilioSettings {
    TwilioSettings {
        base_url: url.to_owned(),
        lookups_url: url.to_owned(),
        account_sid: Simulator::ACCOUNT_SID.to_owned(),
        auth_token: Simulator::AUTH_TOKEN.into(),
        request_timeout_ms: u64::try_from(timeout.as_millis()).unwrap(),
    }
}

fn telnyx(url: &str, timeout: Duration) -> TelnyxSettings {
    TelnyxSettings {
        base_url: url.to_owned(),
        api_key: Simulator::TELNYX_API_KEY.into(),
        outbound_voice_profile_id: String::new(),
        request_timeout_ms: u64::try_from(timeout.as_millis()).unwrap(),
        order_timeout_ms: 5_000,
    }
}

/// Looks after 10, 30 and 120 seconds; receipts are asked for after 10 minutes.
fn times() -> InquiryTimes {
    InquiryTimes::new(Duration::from_mins(2), Duration::from_mins(10))
}

fn addresses() -> WebhookAddresses {
    WebhookAddresses::parse("http://127.0.0.1:9/base/").unwrap()
}

async fn buy(url: &str, carrier: CarrierName, license: &str) -> OwnedNumber {
    let carriers = both(url, Duration::from_secs(5));
    let carrier = carriers.find(carrier).unwrap();
    let numbers = carrier.search_numbers(&NumberSearch { area_code: None, limit: 1 }).await.unwrap();
    let order = NumberOrder {
        number: numbers[0],
        license_id: LicenseId::parse(license).unwrap(),
        webhooks: addresses().of_number(carrier.name()),
    };
    carrier.buy_number(&order).await.unwrap()
}

/// What a process without limits would take.
fn everything(pace: Pace) -> ClaimRequest {
    ClaimRequest {
        free: 1_000,
        most_per_lane: 1_000,
        under_way: std::collections::HashMap::new(),
        carriers: CarrierName::ALL.to_vec(),
        pace,
        limits: std::sync::Arc::new(LimitTree::OFF),
        attempt_deadline: Duration::from_mins(1),
    }
}

fn is_distinct(texts: &[String]) -> bool {
    texts.iter().collect::<HashSet<_>>().len() == texts.len()
}
