//! The service as a whole, on free ports, with a database and a JetStream namespace of its own.
//!
//! A [`World`] plays everybody around it: managers over gRPC; ingest, dispatch and numbers through the streams.
//! Nothing here waits for time to pass: a test publishes, and goes on when the effect is committed.

mod accepting;
mod backfill;
mod batch;
mod batches;
mod calls;
mod companies;
mod consent;
mod deletion;
mod erasing;
mod feed;
mod homes;
mod imports;
mod isolation;
mod media;
mod merge;
mod number_changes;
mod people;
mod plans;
mod poison;
mod reading;
mod reports;
mod scheduled;
mod search;
mod sending_again;
mod textless;
mod texts;
mod unmatched;
mod words;

use std::time::Duration;

use async_nats::jetstream;
use bus::{Bus, DeadLetter, DeadLetters, Publisher};
use chassis::serve::{ChannelTimeouts, TracedChannel};
use chassis::{Clock, Fault, Lifecycle, Secret, serve};
use futures_util::future::{join_all, try_join_all};
use prost::Message as _;
use proto::catalogue::{CONSUMERS, Consumer};
use proto::conversations as wire;
use proto::conversations::batches_service_client::BatchesServiceClient;
use proto::conversations::calls_service_client::CallsServiceClient;
use proto::conversations::conversations_service_client::ConversationsServiceClient;
use proto::conversations::feed_entry::Content;
use proto::conversations::feed_service_client::FeedServiceClient;
use proto::conversations::media_service_client::MediaServiceClient;
use proto::conversations::people_service_client::PeopleServiceClient;
use proto::conversations::scheduled_service_client::ScheduledServiceClient;
use proto::conversations::search_service_client::SearchServiceClient;
use proto::conversations::unmatched_service_client::UnmatchedServiceClient;
use proto::{Event, dispatch, ingest, numbers, to_timestamp};
use sqlx::PgPool;
use tempfile::TempDir;
use testkit::Database;
use tokio_util::sync::CancellationToken;
use tonic::{Response, Status};
use url::Url;
use uuid::Uuid;

use crate::config::PhoneNumberSettings;
use crate::erase::Eraser;
use crate::objects::Objects;
use crate::push::Pusher;
use crate::rpc::Context;
use crate::{DEFAULTS, Listeners, Settings};

/// The license of most tests, and its messages number.
const ACME: &str = "acme";
const OFFICE: &str = "+16462000100";
const ANN: &str = "+14152000001";
const BOB: &str = "+14152000002";

/// Nothing listens on the discard port: no test but those of media talks to a carrier.
const NO_CARRIER: &str = "http://127.0.0.1:9";

const LARGEST_ANSWER: usize = 32 * 1024 * 1024;

struct World {
    conversations: ConversationsServiceClient<TracedChannel>,
    people: PeopleServiceClient<TracedChannel>,
    feed: FeedServiceClient<TracedChannel>,
    calls: CallsServiceClient<TracedChannel>,
    batches: BatchesServiceClient<TracedChannel>,
    scheduled: ScheduledServiceClient<TracedChannel>,
    unmatched: UnmatchedServiceClient<TracedChannel>,
    search: SearchServiceClient<TracedChannel>,
    media: MediaServiceClient<TracedChannel>,
    clock: Clock,
    database: Database,
    bus: Bus,
    namespace: String,
    publisher: Publisher,
    lifecycle: Lifecycle,
    objects: TempDir,
}

impl World {
    async fn start() -> Self {
        Self::start_at(NO_CARRIER).await
    }

    /// With a carrier at this address.
    async fn start_at(carrier: &str) -> Self {
        let database =
            testkit::database(&[("_bus_migrations", &bus::MIGRATIONS), ("_migrations", &crate::MIGRATIONS)]).await;
        let objects = tempfile::tempdir().unwrap();
        let settings = settings(&database, &testkit::nats(), &objects, carrier);
        let namespace = settings.nats.namespace.clone();
        let bus = Bus::connect(&settings.nats, "conversations tests").await.unwrap();
        bus.declare_until_done().await;

        let listeners = Listeners { grpc: testkit::listener().await, admin: testkit::listener().await };
        let address = format!("http://{}", listeners.grpc.local_addr().unwrap());
        let (lifecycle, clock) = (Lifecycle::new(), testkit::clock());
        crate::run(settings, listeners, clock.clone(), lifecycle.clone()).await.unwrap();
        let (publisher, publishing) = Publisher::new(bus.clone(), lifecycle.stopping());
        lifecycle.spawn("publish for the others", publishing);

        let timeouts = ChannelTimeouts { request: Duration::from_mins(1), ..Default::default() };
        let channel = serve::traced(serve::grpc_channel(&address, timeouts).unwrap());
        Self {
            conversations: ConversationsServiceClient::new(channel.clone())
                .max_encoding_message_size(LARGEST_ANSWER)
                .max_decoding_message_size(LARGEST_ANSWER),
            people: PeopleServiceClient::new(channel.clone()),
            calls: CallsServiceClient::new(channel.clone()),
            batches: BatchesServiceClient::new(channel.clone())
                .max_encoding_message_size(LARGEST_ANSWER)
                .max_decoding_message_size(LARGEST_ANSWER),
            scheduled: ScheduledServiceClient::new(channel.clone()).max_decoding_message_size(LARGEST_ANSWER),
            unmatched: UnmatchedServiceClient::new(channel.clone()),
            search: SearchServiceClient::new(channel.clone()),
            media: MediaServiceClient::new(channel.clone()),
            feed: FeedServiceClient::new(channel).max_decoding_message_size(LARGEST_ANSWER),
            clock,
            database,
            bus,
            namespace,
            publisher,
            lifecycle,
            objects,
        }
    }

    /// With a license that has its number, and Ann with hers.
    async fn with_ann() -> Self {
        let world = Self::start().await;
        world.assign(ACME, OFFICE, 1).await;
        world.put_person(ACME, "ann", &[ANN]).await.unwrap();
        world
    }

    /// Ends the service in order. A test may leave no failed task, no event that nobody digested and no dead letter.
    async fn finish(self) {
        self.until_relayed().await;
        for consumer in CONSUMERS.iter().filter(|consumer| consumer.name.starts_with("conversations-")) {
            self.until_digested(consumer).await;
        }
        let letters = self.list_dead_letters().await;
        assert!(letters.is_empty(), "{letters:?}");
        self.lifecycle.finish(Duration::from_secs(20)).await.unwrap();
        self.bus.delete_streams().await.unwrap();
    }

    fn pool(&self) -> &PgPool {
        &self.database.pool
    }

    fn open_objects(&self) -> Objects {
        open_objects(&self.objects)
    }

    async fn count(&self, table: &'static str) -> i64 {
        let counted = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select count(*) from {table}")));
        counted.fetch_one(self.pool()).await.unwrap()
    }

    // What managers and the company's backend do.

    async fn put_person(&self, license_id: &str, person_id: &str, phones: &[&str]) -> Result<wire::Person, Fault> {
        let person = wire::Person {
            person_id: person_id.to_owned(),
            kind: "tenant".to_owned(),
            name: person_id.to_owned(),
            phones: phones.iter().map(ToString::to_string).collect(),
        };
        let request = wire::PutPersonRequest { license_id: license_id.to_owned(), person: Some(person) };
        answer(self.people.clone().put_person(request).await)
    }

    async fn send(&self, request: wire::SendMessagesRequest) -> Result<wire::SendMessagesResponse, Fault> {
        answer(self.conversations.clone().send_messages(request).await)
    }

    /// A send to one recipient that is accepted.
    async fn send_one(&self, recipient: wire::Recipient, body: &str) -> wire::Message {
        let mut answer = self.send(send(vec![recipient], body)).await.unwrap();
        assert_eq!(answer.rejected, []);
        answer.messages.pop().unwrap()
    }

    async fn get_message(&self, license_id: &str, message_id: &str) -> Result<wire::Message, Fault> {
        let request = wire::GetMessageRequest { license_id: license_id.to_owned(), message_id: message_id.to_owned() };
        answer(self.conversations.clone().get_message(request).await)
    }

    async fn get_conversation(&self, license_id: &str, conversation_id: &str) -> Result<wire::Conversation, Fault> {
        let request = wire::GetConversationRequest {
            license_id: license_id.to_owned(),
            conversation_id: conversation_id.to_owned(),
            manager_id: String::new(),
        };
        answer(self.conversations.clone().get_conversation(request).await)
    }

    /// All conversations of a license, newest first.
    async fn list_conversations(&self, license_id: &str) -> Vec<wire::Conversation> {
        let request =
            wire::ListConversationsRequest { license_id: license_id.to_owned(), limit: 200, ..Default::default() };
        answer(self.conversations.clone().list_conversations(request).await).unwrap().conversations
    }

    /// All messages of a conversation, newest first.
    async fn list_messages(&self, license_id: &str, conversation_id: &str) -> Result<Vec<wire::Message>, Fault> {
        let request = wire::ListMessagesRequest {
            license_id: license_id.to_owned(),
            conversation_id: conversation_id.to_owned(),
            limit: 200,
            before: String::new(),
            oldest_first: false,
        };
        Ok(answer(self.conversations.clone().list_messages(request).await)?.messages)
    }

    // What gateways do.

    async fn list_feed(&self, license_id: &str, after: u64, limit: u32) -> wire::ListFeedResponse {
        let request = wire::ListFeedRequest { license_id: license_id.to_owned(), after, limit };
        answer(self.feed.clone().list_feed(request).await).unwrap()
    }

    /// Entries after a position, as `list_feed` pages give them.
    async fn feed_after(&self, license_id: &str, mut after: u64) -> Vec<wire::FeedEntry> {
        let mut entries = Vec::new();
        loop {
            let page = self.list_feed(license_id, after, 50).await;
            assert!(!page.reset, "the feed of {license_id} cannot go on after {after}");
            let Some(last) = page.entries.last() else {
                assert_eq!(page.head, after);
                return entries;
            };
            after = last.seq;
            entries.extend(page.entries);
        }
    }

    async fn head(&self, license_id: &str) -> u64 {
        self.list_feed(license_id, 0, 1).await.head
    }

    // What the other services say.

    async fn assign(&self, license_id: &str, number: &str, version: u64) {
        self.apply(&[numbers::NumberAssigned {
            license_id: license_id.to_owned(),
            number: number.to_owned(),
            carrier: "twilio".to_owned(),
            assigned_at: Some(to_timestamp(self.clock.now())),
            version,
        }])
        .await;
    }

    /// A text to a number, as ingest announces it.
    fn text(&self, from: &str, to: &str, body: &str) -> ingest::MessageReceived {
        ingest::MessageReceived {
            carrier: "twilio".to_owned(),
            carrier_message_id: format!("SM{}", Uuid::now_v7().simple()),
            from: from.to_owned(),
            to: to.to_owned(),
            body: body.to_owned(),
            media: Vec::new(),
            received_at: Some(to_timestamp(self.clock.now())),
            follows: None,
        }
    }

    fn receipt(&self, message_id: &str, status: &str) -> ingest::ReceiptReceived {
        ingest::ReceiptReceived {
            carrier: "twilio".to_owned(),
            carrier_message_id: format!("SM-{message_id}"),
            message_id: message_id.to_owned(),
            status: status.to_owned(),
            error: None,
            received_at: Some(to_timestamp(self.clock.now())),
        }
    }

    fn outcome(&self, message_id: &str, status: &str) -> dispatch::MessageProgressed {
        dispatch::MessageProgressed {
            license_id: ACME.to_owned(),
            message_id: message_id.to_owned(),
            status: status.to_owned(),
            from: Some(OFFICE.to_owned()),
            carrier: Some("twilio".to_owned()),
            carrier_message_id: Some(format!("SM-{message_id}")),
            segments: Some(1),
            error: None,
            occurred_at: Some(to_timestamp(self.clock.now())),
        }
    }

    async fn publish<E: Event>(&self, event: &E, event_id: &str) {
        self.publisher.publish(event, event_id.to_owned(), self.clock.now()).await.unwrap();
    }

    /// Publishes events together, each a fact of its own, and waits until their effect is committed.
    async fn apply<E: Event>(&self, events: &[E]) {
        let ids: Vec<String> = events.iter().map(|_| Uuid::now_v7().to_string()).collect();
        join_all(events.iter().zip(&ids).map(|(event, id)| self.publish(event, id))).await;
        self.until_applied::<E>(&ids).await;
    }

    async fn until_applied<E: Event>(&self, ids: &[String]) {
        let consumer = consumer_of::<E>();
        testkit::eventually("the effect of the events", async || {
            let applied: i64 =
                sqlx::query_scalar("select count(*) from inbox where consumer = $1 and event_id = any($2)")
                    .bind(consumer.name)
                    .bind(ids)
                    .fetch_one(self.pool())
                    .await
                    .unwrap();
            if usize::try_from(applied).unwrap() == ids.len() { Ok(()) } else { Err((applied, ids.len())) }
        })
        .await;
    }

    async fn stream(&self, name: &str) -> jetstream::stream::Stream {
        let name = format!("{}_{name}", self.namespace.to_uppercase());
        jetstream::new(self.bus.client().clone()).get_stream(name).await.unwrap()
    }

    /// Everything was acknowledged: applied, or buried.
    async fn until_digested(&self, consumer: &Consumer) {
        let stream = self.stream(consumer.stream).await;
        testkit::eventually(consumer.name, async || {
            let info = stream.consumer_info(consumer.name).await.unwrap();
            if info.num_pending == 0 && info.num_ack_pending == 0 { Ok(()) } else { Err(info) }
        })
        .await;
    }

    async fn until_relayed(&self) {
        testkit::eventually("the publication of the outbox", async || match self.count("outbox").await {
            0 => Ok(()),
            waiting => Err(waiting),
        })
        .await;
    }

    /// What dispatch will be asked to send, oldest first.
    async fn list_queued(&self) -> Vec<wire::MessageQueued> {
        self.until_relayed().await;
        let stream = self.stream("CONVERSATIONS").await;
        let state = &stream.cached_info().state;
        // An empty stream begins at 0, which is no message.
        let numbers = state.first_sequence.max(1)..=state.last_sequence;
        let stored = try_join_all(numbers.map(|number| stream.get_raw_message(number))).await.unwrap();
        let queued = self.bus.subject(wire::MessageQueued::SUBJECT);
        let stored = stored.iter().filter(|message| message.subject.as_str() == queued);
        stored.map(|message| wire::MessageQueued::decode(message.payload.clone()).unwrap()).collect()
    }

    async fn list_dead_letters(&self) -> Vec<DeadLetter> {
        DeadLetters::new(self.bus.clone()).list(100).await.unwrap()
    }
}

/// The calls of the service without its loops: nothing moves by itself.
fn calls_alone(pool: &PgPool, bus: &Bus, clock: &Clock, objects: Objects) -> Context {
    Context {
        pool: pool.clone(),
        clock: clock.clone(),
        relay: bus::Relay::new(pool.clone(), bus.clone()),
        pusher: Pusher::new(pool.clone(), bus.clone(), CancellationToken::new()).0,
        eraser: Eraser::new(pool.clone(), bus.clone(), clock.clone()),
        phone_numbers: PhoneNumberSettings { allow_fictional: false },
        objects,
    }
}

fn settings(database: &Database, nats: &bus::NatsSettings, objects: &TempDir, carrier: &str) -> Settings {
    let mut settings: Settings = chassis::config::load(DEFAULTS, None, &|_| None).unwrap();
    settings.database.url = Secret::new(database.url.clone());
    settings.nats = nats.clone();
    settings.media.store = Url::from_directory_path(objects.path()).unwrap().to_string();
    // Looks for missed texts are driven, in `backfill`.
    settings.backfill.every_s = 0;
    carrier.clone_into(&mut settings.twilio.base_url);
    testkit::Simulator::ACCOUNT_SID.clone_into(&mut settings.twilio.account_sid);
    settings.twilio.auth_token = Secret::new(testkit::Simulator::AUTH_TOKEN);
    settings
}

fn open_objects(folder: &TempDir) -> Objects {
    Objects::open(Url::from_directory_path(folder.path()).unwrap().as_str()).unwrap()
}

fn consumer_of<E: Event>() -> Consumer {
    let mut ours = CONSUMERS.iter().filter(|consumer| consumer.name.starts_with("conversations-"));
    *ours.find(|consumer| consumer.subject == E::SUBJECT).unwrap()
}

fn answer<T>(answer: Result<Response<T>, Status>) -> Result<T, Fault> {
    answer.map(Response::into_inner).map_err(|status| Fault::from_status(&status))
}

/// What a refusal says to programs: the code and the field.
fn refusal<T: std::fmt::Debug>(refused: Result<T, Fault>) -> (String, Option<String>) {
    let fault = refused.unwrap_err();
    (fault.code.into_owned(), fault.field)
}

fn person(id: &str) -> wire::Recipient {
    wire::Recipient { to: Some(wire::recipient::To::PersonId(id.to_owned())) }
}

fn conversation(id: &str) -> wire::Recipient {
    wire::Recipient { to: Some(wire::recipient::To::ConversationId(id.to_owned())) }
}

fn manager(id: &str, name: &str) -> wire::Manager {
    wire::Manager { id: id.to_owned(), name: name.to_owned() }
}

/// A send of Mia's, without a key.
fn send(recipients: Vec<wire::Recipient>, body: &str) -> wire::SendMessagesRequest {
    wire::SendMessagesRequest {
        license_id: ACME.to_owned(),
        manager: Some(manager("m-1", "Mia")),
        idempotency_key: String::new(),
        recipients,
        body: body.to_owned(),
        media_urls: Vec::new(),
        last_seen_seq: None,
        send_at: None,
    }
}

/// The same send under a key.
fn keyed(key: &str, request: &wire::SendMessagesRequest) -> wire::SendMessagesRequest {
    wire::SendMessagesRequest { idempotency_key: key.to_owned(), ..request.clone() }
}

/// The `n`-th of many phone numbers.
fn phone(n: u32) -> String {
    format!("+1415{:07}", 2_000_000 + n)
}

fn codes(rejected: &[wire::Rejection]) -> Vec<&str> {
    rejected.iter().map(|each| each.code.as_str()).collect()
}

fn bodies(messages: &[wire::Message]) -> Vec<&str> {
    messages.iter().map(|each| each.body.as_str()).collect()
}

fn seqs(entries: &[wire::FeedEntry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.seq).collect()
}

/// The kinds of entries, as clients see them.
fn kinds(entries: &[wire::FeedEntry]) -> Vec<&'static str> {
    let kind = |entry: &wire::FeedEntry| match &entry.content {
        Some(Content::MessageCreated(_)) => "message.created",
        Some(Content::MessageUpdated(_)) => "message.updated",
        Some(Content::ConversationUpdated(_)) => "conversation.updated",
        Some(Content::PersonUpdated(_)) => "person.updated",
        Some(Content::NumberChanged(_)) => "number.changed",
        Some(Content::CallUpdated(_)) => "call.updated",
        Some(Content::CompanyUpdated(_)) => "company.updated",
        Some(Content::ConversationEvent(_)) => "conversation.event",
        Some(Content::ReadUpdated(_)) => "read.updated",
        Some(Content::ConversationDeleted(_)) => "conversation.deleted",
        Some(Content::BatchUpdated(_)) => "batch.updated",
        Some(Content::ScheduledUpdated(_)) => "scheduled.updated",
        Some(Content::UnmatchedUpdated(_)) => "unmatched.updated",
        None => "gone",
    };
    entries.iter().map(kind).collect()
}
