//! Publishing to JetStream: one event, or many in an atomic batch, which the server syncs to disk once.
//!
//! Nothing counts as published before the stream's acknowledgement (core NATS "succeeds" while disconnected).

use std::time::Duration;

use async_nats::jetstream;
use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use proto::Event;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::Bus;
use crate::connection::PUBLISH_TIMEOUT;
use crate::envelope::Outgoing;

/// The server takes at most 1,000 messages in an atomic batch.
const ATOMIC_BATCH: usize = 500;
/// How long an atomic batch may take: a caller of [`Publisher::publish`] hears of it before it gives up.
const BATCH_TIMEOUT: Duration = Duration::from_millis(3_500);
/// Publishes that wait for their turn; beyond it the caller is told at once.
const QUEUE: usize = 20_000;
/// Batches under way at the same time: one syncs while the next one fills.
const IN_FLIGHT: usize = 4;

/// The stream did not acknowledge. It may still have stored the event: publish again under the same id.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error("JetStream did not store the event")]
    NotStored(#[source] anyhow::Error),
    #[error("JetStream did not answer in time")]
    TimedOut,
    #[error("too many events wait to be stored")]
    Overloaded,
}

/// Publishes events of a service that has no outbox (ingest). What arrives while a batch is being
/// synced goes into the next batch: no event waits for company, and many share one sync.
#[derive(Debug, Clone)]
pub struct Publisher {
    queue: mpsc::Sender<Waiting>,
}

struct Waiting {
    event: Outgoing,
    done: oneshot::Sender<Result<(), PublishError>>,
}

impl Publisher {
    /// The publisher and its loop, which the caller runs until it is told to stop.
    pub fn new(bus: Bus, stopping: CancellationToken) -> (Self, impl Future<Output = anyhow::Result<()>> + Send) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        (Self { queue }, run(bus, waiting, stopping))
    }

    /// Stores one event; returns after the acknowledgement. `event_id` must be the same whenever the
    /// same fact is published again.
    ///
    /// # Errors
    /// [`PublishError`] within about [`PUBLISH_TIMEOUT`].
    pub async fn publish<E: Event>(&self, event: &E, event_id: String, now: DateTime<Utc>) -> Result<(), PublishError> {
        let (done, answer) = oneshot::channel();
        let waiting = Waiting { event: Outgoing::new(event, event_id, now), done };
        self.queue.try_send(waiting).map_err(|_| PublishError::Overloaded)?;
        match tokio::time::timeout(PUBLISH_TIMEOUT, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) | Err(_) => Err(PublishError::TimedOut),
        }
    }
}

async fn run(bus: Bus, mut queue: mpsc::Receiver<Waiting>, stopping: CancellationToken) -> anyhow::Result<()> {
    tokio::select! {
        // Once declared, a stop that came early still lets out what waits.
        biased;
        () = bus.declared() => {}
        () = stopping.cancelled() => return Ok(()),
    }
    let slots = std::sync::Arc::new(tokio::sync::Semaphore::new(IN_FLIGHT));
    let mut batches = tokio::task::JoinSet::new();
    loop {
        // First a free slot, then the batch: what waits meanwhile travels together.
        let Ok(slot) = slots.clone().acquire_owned().await else { break };
        let mut batch = Vec::new();
        tokio::select! {
            received = queue.recv_many(&mut batch, ATOMIC_BATCH) => if received == 0 { break },
            () = stopping.cancelled() => {
                queue.close();
                if queue.recv_many(&mut batch, ATOMIC_BATCH).await == 0 { break }
            }
        }
        // A caller that gave up has answered "try again" already.
        batch.retain(|waiting| !waiting.done.is_closed());
        let bus = bus.clone();
        batches.spawn(async move {
            store(&bus, batch).await;
            drop(slot);
        });
        while batches.try_join_next().is_some() {}
    }
    while batches.join_next().await.is_some() {}
    Ok(())
}

async fn store(bus: &Bus, batch: Vec<Waiting>) {
    let (events, done): (Vec<_>, Vec<_>) = batch.into_iter().map(|waiting| (waiting.event, waiting.done)).unzip();
    for (done, stored) in done.into_iter().zip(publish_all(bus, &events).await) {
        let _ = done.send(stored);
    }
}

/// Publishes events of one stream, in order as far as they go in one batch. Says of each event whether it was
/// acknowledged; one that the stream refuses does not fail its neighbours.
pub(crate) async fn publish_all(bus: &Bus, events: &[Outgoing]) -> Vec<Result<(), PublishError>> {
    let mut stored = Vec::with_capacity(events.len());
    for batch in events.chunks(ATOMIC_BATCH) {
        stored.extend(publish_batch(bus, batch).await);
    }
    stored
}

async fn publish_batch(bus: &Bus, events: &[Outgoing]) -> Vec<Result<(), PublishError>> {
    if events.len() > 1 {
        match tokio::time::timeout(BATCH_TIMEOUT, publish_atomically(bus, events)).await {
            Ok(Ok(())) => return events.iter().map(|_| Ok(())).collect(),
            // A batch is refused whole when one event of it is stored already (a relay that died after
            // the acknowledgement): then one by one, where a repeat counts as stored.
            Ok(Err(error)) => tracing::debug!(error = %format!("{error:#}"), "no atomic batch: one by one"),
            // Singles would only wait for the same absent server a second time.
            Err(_) => return events.iter().map(|_| Err(PublishError::TimedOut)).collect(),
        }
    }
    join_all(events.iter().map(|event| async move {
        // Also bounds the hand-over to the client, which blocks when its buffer is full because NATS is away.
        let published = tokio::time::timeout(PUBLISH_TIMEOUT, publish_one(bus, event)).await;
        published.map_err(|_| PublishError::TimedOut)?.map_err(PublishError::NotStored)
    }))
    .await
}

async fn publish_one(bus: &Bus, event: &Outgoing) -> anyhow::Result<()> {
    let subject = bus.subject(&event.subject);
    bus.jetstream().publish_with_headers(subject, event.headers(), event.payload.clone()).await?.await?;
    Ok(())
}

/// All or nothing (ADR-50): every message carries the batch's id and its number, the last one commits.
async fn publish_atomically(bus: &Bus, events: &[Outgoing]) -> anyhow::Result<()> {
    let [members @ .., last] = events else { return Ok(()) };
    let batch_id = uuid::Uuid::now_v7().simple().to_string();
    let headers = |event: &Outgoing, number: usize| {
        let mut headers = event.headers();
        headers.insert("Nats-Batch-Id", batch_id.as_str());
        headers.insert("Nats-Batch-Sequence", number.to_string().as_str());
        headers
    };
    for (index, event) in members.iter().enumerate() {
        bus.client()
            .publish_with_headers(bus.subject(&event.subject), headers(event, index + 1), event.payload.clone())
            .await?;
    }
    let mut commit = headers(last, events.len());
    commit.insert("Nats-Batch-Commit", "1");
    let answer = bus.client().request_with_headers(bus.subject(&last.subject), commit, last.payload.clone()).await?;
    let response: jetstream::response::Response<jetstream::publish::PublishAck> =
        serde_json::from_slice(&answer.payload)?;
    match response {
        jetstream::response::Response::Ok(ack) if ack.batch_size == Some(events.len() as u64) => Ok(()),
        jetstream::response::Response::Ok(_) => {
            anyhow::bail!("the server does not know atomic batches (2.12 or newer is needed)")
        }
        jetstream::response::Response::Err { error } => Err(error.into()),
    }
}
