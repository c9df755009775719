//! What the engines of this machine can do at most with the same bytes, while the services are idle: JetStream
//! storing the events, PostgreSQL inserting the message rows. Nothing of the product runs here.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use async_nats::HeaderMap;
use async_nats::jetstream::{self, stream};
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::{StreamExt as _, TryStreamExt as _, stream as streams};
use proto::{Event, conversations, ingest, to_timestamp};
use sqlx::PgPool;
use uuid::Uuid;

use super::inbound::list_texts;
use super::world::World;

/// Each ceiling is measured for at most this long.
const LIMIT: Duration = Duration::from_secs(6);
/// Events and rows of each ceiling, as far as there are so many rows.
const COUNT: usize = 20_000;
/// As `bus` publishes: events of one atomic batch, and batches under way at the same time.
const ATOMIC_BATCH: usize = 500;
const BATCHES_IN_FLIGHT: usize = 4;
/// Single events that wait for their acknowledgement at the same time.
const SINGLES_IN_FLIGHT: usize = 512;
/// Rows of one statement: as many events as a consumer takes in one transaction.
const ROWS: usize = 256;
/// Connections that commit row by row, as requests do that are answered one by one.
const CONNECTIONS: usize = 16;

const STREAM: &str = "BENCH_CEILING";
const SUBJECT: &str = "bench_ceiling.message.stored.v1";

/// Per second.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ceilings {
    pub(super) events_singly: f64,
    pub(super) events_in_batches: f64,
    pub(super) rows_in_batches: f64,
    pub(super) rows_singly: f64,
}

/// An event as it goes to the stream.
struct Stored {
    event_id: String,
    payload: Bytes,
}

/// For what one webhook stores: its event and its row.
pub(super) async fn of_inbound(world: &World) -> Result<Ceilings> {
    let received_at = Some(to_timestamp(Utc::now()));
    let events = list_texts(&world.licenses, "in-ceil", COUNT).map(|text| {
        let event = ingest::MessageReceived {
            carrier: "twilio".to_owned(),
            carrier_message_id: text.message_sid.clone(),
            from: text.from.to_owned(),
            to: text.to.to_owned(),
            body: text.body,
            media: Vec::new(),
            received_at,
            follows: None,
        };
        Stored { event_id: format!("twilio:{}", text.message_sid), payload: encode(&event) }
    });
    measure(world, "inbound", events.collect()).await
}

/// For what one send stores: its event and its row.
pub(super) async fn of_outbound(world: &World) -> Result<Ceilings> {
    let queued_at = Some(to_timestamp(Utc::now()));
    let events = list_texts(&world.licenses, "out-ceil", COUNT).map(|text| {
        let event = conversations::MessageQueued {
            batch_id: None,
            follows: None,
            license_id: "bench-212".to_owned(),
            message_id: Uuid::now_v7().to_string(),
            conversation_id: Uuid::now_v7().to_string(),
            to: text.from.to_owned(),
            body: text.body,
            media_urls: Vec::new(),
            segments: 1,
            priority: conversations::Priority::Reply.into(),
            queued_at,
        };
        Stored { event_id: Uuid::now_v7().to_string(), payload: encode(&event) }
    });
    measure(world, "outbound", events.collect()).await
}

fn encode<E: Event>(event: &E) -> Bytes {
    event.encode_to_vec().into()
}

async fn measure(world: &World, direction: &str, events: Vec<Stored>) -> Result<Ceilings> {
    let jetstream = jetstream::new(world.nats.clone());
    let events_singly = with_stream(&jetstream, store_singly(&jetstream, &events)).await?;
    let events_in_batches = with_stream(&jetstream, store_in_batches(&world.nats, &events)).await?;
    let rows = Rows::load(&world.conversations, direction).await?;
    let rows_in_batches = with_table(&world.conversations, insert(&world.conversations, &rows, ROWS, 1)).await?;
    let rows_singly = with_table(&world.conversations, insert(&world.conversations, &rows, 1, CONNECTIONS)).await?;
    Ok(Ceilings { events_singly, events_in_batches, rows_in_batches, rows_singly })
}

/// A stream like those of the bus, except that it keeps what is stored.
async fn with_stream(jetstream: &jetstream::Context, work: impl Future<Output = Result<f64>>) -> Result<f64> {
    let config = stream::Config {
        name: STREAM.to_owned(),
        subjects: vec![SUBJECT.to_owned()],
        storage: stream::StorageType::File,
        discard: stream::DiscardPolicy::New,
        duplicate_window: Duration::from_mins(2),
        allow_atomic_publish: true,
        ..Default::default()
    };
    jetstream.create_stream(config).await?;
    let outcome = work.await;
    jetstream.delete_stream(STREAM).await?;
    outcome
}

/// The envelope of the bus.
fn headers(event: &Stored, occurred_at: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", event.event_id.as_str());
    headers.insert("Leaseline-Time", occurred_at);
    headers
}

fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true)
}

async fn store_singly(jetstream: &jetstream::Context, events: &[Stored]) -> Result<f64> {
    let (begun, now) = (Instant::now(), now());
    let stored = streams::iter(events)
        .take_while(|_| std::future::ready(begun.elapsed() < LIMIT))
        .map(|event| async {
            let published = jetstream.publish_with_headers(SUBJECT, headers(event, &now), event.payload.clone());
            published.await?.await?;
            anyhow::Ok(1)
        })
        .buffer_unordered(SINGLES_IN_FLIGHT)
        .try_fold(0_usize, |sum, stored| std::future::ready(Ok(sum + stored)))
        .await?;
    let rate = per_second(stored, begun);
    check_kept(jetstream, stored).await?;
    Ok(rate)
}

async fn store_in_batches(nats: &async_nats::Client, events: &[Stored]) -> Result<f64> {
    let (begun, now) = (Instant::now(), now());
    let stored = streams::iter(events.chunks(ATOMIC_BATCH))
        .take_while(|_| std::future::ready(begun.elapsed() < LIMIT))
        .map(|batch| store_batch(nats, batch, &now))
        .buffer_unordered(BATCHES_IN_FLIGHT)
        .try_fold(0_usize, |sum, stored| std::future::ready(Ok(sum + stored)))
        .await?;
    let rate = per_second(stored, begun);
    check_kept(&jetstream::new(nats.clone()), stored).await?;
    Ok(rate)
}

/// An acknowledgement that stands for nothing is no ceiling.
async fn check_kept(jetstream: &jetstream::Context, stored: usize) -> Result<()> {
    let kept = jetstream.get_stream(STREAM).await?.cached_info().state.messages;
    ensure!(u64::try_from(stored)? == kept, "JetStream keeps {kept} of {stored} events that it acknowledged");
    Ok(())
}

/// An atomic batch (ADR-50), as the bus publishes it.
async fn store_batch(nats: &async_nats::Client, batch: &[Stored], now: &str) -> Result<usize> {
    let batch_id = Uuid::now_v7().simple().to_string();
    let numbered = |event: &Stored, number: usize| {
        let mut headers = headers(event, now);
        headers.insert("Nats-Batch-Id", batch_id.as_str());
        headers.insert("Nats-Batch-Sequence", number.to_string().as_str());
        headers
    };
    let Some((last, members)) = batch.split_last() else { return Ok(0) };
    for (index, event) in members.iter().enumerate() {
        nats.publish_with_headers(SUBJECT, numbered(event, index + 1), event.payload.clone()).await?;
    }
    let mut commit = numbered(last, batch.len());
    commit.insert("Nats-Batch-Commit", "1");
    let answer = nats.request_with_headers(SUBJECT, commit, last.payload.clone()).await?;
    let answer: serde_json::Value = serde_json::from_slice(&answer.payload)?;
    ensure!(answer["count"] == batch.len(), "JetStream did not store a batch: {answer}");
    Ok(batch.len())
}

/// Message rows as the services wrote them, column by column.
#[derive(Default)]
struct Rows {
    license_ids: Vec<String>,
    message_ids: Vec<Uuid>,
    conversation_ids: Vec<Uuid>,
    directions: Vec<String>,
    bodies: Vec<String>,
    from: Vec<Option<String>>,
    to: Vec<String>,
    manager_ids: Vec<Option<String>>,
    manager_names: Vec<Option<String>>,
    statuses: Vec<String>,
    segments: Vec<i32>,
    carrier_ids: Vec<Option<String>>,
    times: Vec<DateTime<Utc>>,
}

#[derive(sqlx::FromRow)]
struct Row {
    license_id: String,
    message_id: Uuid,
    conversation_id: Uuid,
    direction: String,
    body: String,
    from_number: Option<String>,
    to_number: String,
    manager_id: Option<String>,
    manager_name: Option<String>,
    status: String,
    segments: i32,
    carrier_message_id: Option<String>,
    created_at: DateTime<Utc>,
}

impl Rows {
    /// Messages of one direction, in the order in which they were made.
    async fn load(database: &PgPool, direction: &str) -> Result<Self> {
        let rows: Vec<Row> = sqlx::query_as(
            "select license_id, message_id, conversation_id, direction, body, from_number, to_number, manager_id,
               manager_name, status, segments, carrier_message_id, created_at
             from messages where direction = $1 order by created_at, message_id limit $2",
        )
        .bind(direction)
        .bind(i64::try_from(COUNT)?)
        .fetch_all(database)
        .await?;
        let mut columns = Self::default();
        for row in rows {
            columns.push(row);
        }
        Ok(columns)
    }

    fn push(&mut self, row: Row) {
        self.license_ids.push(row.license_id);
        self.message_ids.push(row.message_id);
        self.conversation_ids.push(row.conversation_id);
        self.directions.push(row.direction);
        self.bodies.push(row.body);
        self.from.push(row.from_number);
        self.to.push(row.to_number);
        self.manager_ids.push(row.manager_id);
        self.manager_names.push(row.manager_name);
        self.statuses.push(row.status);
        self.segments.push(row.segments);
        self.carrier_ids.push(row.carrier_message_id);
        self.times.push(row.created_at);
    }

    /// One statement, one commit.
    async fn insert(&self, database: &PgPool, range: std::ops::Range<usize>) -> Result<usize> {
        let outside = "a row is missing";
        let inserted = sqlx::query(
            "insert into messages_ceiling (license_id, message_id, conversation_id, direction, body, media_urls,
               media_types, from_number, to_number, manager_id, manager_name, status, segments, carrier_message_id,
               created_at)
             select license_id, message_id, conversation_id, direction, body, '{}', '{}', from_number, to_number,
               manager_id, manager_name, status, segments, carrier_message_id, created_at
             from unnest($1::text[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                 $9::text[], $10::text[], $11::int[], $12::text[], $13::timestamptz[])
               as new (license_id, message_id, conversation_id, direction, body, from_number, to_number, manager_id,
                 manager_name, status, segments, carrier_message_id, created_at)
             on conflict (license_id, carrier_message_id) where direction = 'inbound' do nothing",
        )
        .bind(self.license_ids.get(range.clone()).context(outside)?)
        .bind(self.message_ids.get(range.clone()).context(outside)?)
        .bind(self.conversation_ids.get(range.clone()).context(outside)?)
        .bind(self.directions.get(range.clone()).context(outside)?)
        .bind(self.bodies.get(range.clone()).context(outside)?)
        .bind(self.from.get(range.clone()).context(outside)?)
        .bind(self.to.get(range.clone()).context(outside)?)
        .bind(self.manager_ids.get(range.clone()).context(outside)?)
        .bind(self.manager_names.get(range.clone()).context(outside)?)
        .bind(self.statuses.get(range.clone()).context(outside)?)
        .bind(self.segments.get(range.clone()).context(outside)?)
        .bind(self.carrier_ids.get(range.clone()).context(outside)?)
        .bind(self.times.get(range).context(outside)?)
        .execute(database)
        .await?;
        Ok(usize::try_from(inserted.rows_affected())?)
    }
}

/// A table like that of the messages, with its indexes.
async fn with_table(database: &PgPool, work: impl Future<Output = Result<f64>>) -> Result<f64> {
    sqlx::query("create table messages_ceiling (like messages including all)").execute(database).await?;
    let outcome = work.await;
    sqlx::query("drop table messages_ceiling").execute(database).await?;
    outcome
}

async fn insert(database: &PgPool, rows: &Rows, at_a_time: usize, connections: usize) -> Result<f64> {
    let begun = Instant::now();
    let count = rows.message_ids.len();
    let inserted = streams::iter((0..count).step_by(at_a_time))
        .take_while(|_| std::future::ready(begun.elapsed() < LIMIT))
        .map(|first| rows.insert(database, first..count.min(first + at_a_time)))
        .buffer_unordered(connections)
        .try_fold(0_usize, |sum, inserted| std::future::ready(Ok(sum + inserted)))
        .await?;
    Ok(per_second(inserted, begun))
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn per_second(count: usize, begun: Instant) -> f64 {
    count as f64 / begun.elapsed().as_secs_f64()
}
