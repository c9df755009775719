//! Runs a [`Handler`] over a durable consumer.
//!
//! One batch is one transaction: note the event ids in the inbox, hand the new ones to the handler, commit,
//! acknowledge. When a batch fails for good or again and again, it is halved until the culprit stands alone, so that
//! one poison event holds up nobody; the culprit is tried later or becomes a dead letter. While the database is away
//! nothing is counted against an event: the batch waits.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use async_nats::jetstream::consumer::pull::MessagesError;
use async_nats::jetstream::{self, AckKind};
use chassis::Clock;
use chrono::{DateTime, Utc};
use futures_util::{FutureExt, Stream, StreamExt};
use proto::Event;
use proto::catalogue::Consumer;
use sqlx::{PgPool, PgTransaction};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::dead_letters::Corpse;
use crate::{Bus, dead_letters, envelope, inbox};

/// Events of one transaction.
pub(crate) const BATCH: usize = 256;
/// Deliveries after which a batch that keeps failing is halved: a deadlock passes by itself, a culprit does not.
const PATIENCE: i64 = 2;
/// Deliveries after which an event that keeps failing becomes a dead letter.
const MAX_DELIVERIES: i64 = 20;
/// What the server has handed out reaches a stopping consumer within this time.
const SETTLE: Duration = Duration::from_millis(50);
/// Without a pause the server would hand it to our own pull, which has not ended yet.
const GIVEN_BACK: Duration = Duration::from_millis(500);
/// How long a stopping consumer waits for what it gives back to reach NATS.
const FLUSH: Duration = Duration::from_secs(1);
/// Pause between two looks for a database that is away.
const AWAY: Duration = Duration::from_millis(500);
/// A pull that brings no heartbeat for this long is given up and made anew.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// An event as a handler gets it.
#[derive(Debug, Clone)]
pub struct Received<E> {
    /// The same whenever the same fact comes again.
    pub event_id: String,
    pub event: E,
    /// When the fact happened, by its publisher's clock.
    pub occurred_at: DateTime<Utc>,
}

/// What a service does with one kind of event.
pub trait Handler: Send + Sync + 'static {
    type Event: Event + Clone;
    /// What is to be done once the transaction is committed.
    type Done: Send;

    /// Applies events that were not applied before, all in the given transaction.
    fn handle(
        &self,
        tx: &mut PgTransaction<'_>,
        events: &[Received<Self::Event>],
    ) -> impl Future<Output = Result<Self::Done, HandleError>> + Send;

    /// Runs after the commit. A crash may skip it: nothing may depend on it.
    fn committed(&self, done: Self::Done) -> impl Future<Output = ()> + Send;
}

/// Why a batch was not applied. Handlers choose at each `?` (see [`Classify`]).
#[derive(Debug, thiserror::Error)]
pub enum HandleError {
    /// May work later: tried again with growing pauses.
    #[error("cannot apply the events now")]
    Transient(#[source] anyhow::Error),
    /// Will never work: the event becomes a dead letter.
    #[error("cannot apply the events ever")]
    Permanent(#[source] anyhow::Error),
}

/// `.transient()?` or `.permanent()?`: the handler's choice at each error.
pub trait Classify<T> {
    /// # Errors
    /// [`HandleError::Transient`]
    fn transient(self) -> Result<T, HandleError>;
    /// # Errors
    /// [`HandleError::Permanent`]
    fn permanent(self) -> Result<T, HandleError>;
}

impl<T, E: Into<anyhow::Error>> Classify<T> for Result<T, E> {
    fn transient(self) -> Result<T, HandleError> {
        self.map_err(|error| HandleError::Transient(error.into()))
    }
    fn permanent(self) -> Result<T, HandleError> {
        self.map_err(|error| HandleError::Permanent(error.into()))
    }
}

/// Consumes until `stopping`. What is in hand is finished first.
///
/// # Errors
/// None: a consumer stream that ends or stalls is made anew.
pub async fn consume<H: Handler>(
    bus: Bus,
    pool: PgPool,
    clock: Clock,
    consumer: Consumer,
    handler: H,
    stopping: CancellationToken,
) -> anyhow::Result<()> {
    let runner = Runner { bus, pool, clock, consumer, handler };
    while !stopping.is_cancelled() {
        if let Err(error) = runner.run_stream(&stopping).await {
            tracing::warn!(consumer = consumer.name, error = %format!("{error:#}"), "will read the stream anew");
            tokio::select! {
                () = stopping.cancelled() => {}
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
            // The durable may be gone (a new server): declaring is idempotent.
            let _ = stopping.run_until_cancelled(runner.bus.declare()).await;
        }
    }
    Ok(())
}

pub(crate) struct Runner<H> {
    pub(crate) bus: Bus,
    pub(crate) pool: PgPool,
    pub(crate) clock: Clock,
    pub(crate) consumer: Consumer,
    pub(crate) handler: H,
}

/// An event and the message it came in.
struct InHand<E> {
    received: Received<E>,
    message: jetstream::Message,
}

impl<E> InHand<E> {
    /// How often it was handed out, this time included.
    fn deliveries(&self) -> i64 {
        self.message.info().map_or(1, |info| info.delivered)
    }
}

impl<H: Handler> Runner<H> {
    async fn run_stream(&self, stopping: &CancellationToken) -> anyhow::Result<()> {
        tokio::select! {
            () = self.bus.declared() => {}
            () = stopping.cancelled() => return Ok(()),
        }
        let stream = self.bus.jetstream().get_stream_no_info(self.bus.stream_name(self.consumer.stream)).await?;
        let pull: jetstream::consumer::PullConsumer =
            stream.get_consumer(self.consumer.name).await.map_err(|error| anyhow::anyhow!(error))?;
        let messages = pull
            .stream()
            .max_messages_per_batch(BATCH)
            .heartbeat(HEARTBEAT)
            .expires(Duration::from_secs(30))
            .messages()
            .await?;
        // Whatever is there already travels together; a lone event does not wait for company.
        let mut batches = messages.ready_chunks(BATCH);
        loop {
            let batch = tokio::select! {
                biased;
                () = stopping.cancelled() => {
                    self.hand_back(batches).await;
                    return Ok(());
                }
                batch = batches.next() => batch,
            };
            let Some(batch) = batch else { anyhow::bail!("the pull ended") };
            let mut failed = None;
            let mut messages = Vec::with_capacity(batch.len());
            for message in batch {
                match message {
                    Ok(message) => messages.push(message),
                    Err(error) => failed = Some(error),
                }
            }
            self.apply(messages, stopping).await;
            if let Some(error) = failed {
                return Err(error.into());
            }
        }
    }

    /// Gives back what was handed out and not begun: it need not wait for its time to run out. Best effort.
    async fn hand_back(&self, mut batches: impl Stream<Item = Vec<Result<jetstream::Message, MessagesError>>> + Unpin) {
        // Not polled meanwhile, so that nothing more is asked for while the last of it arrives.
        tokio::time::sleep(SETTLE).await;
        for _ in 0..2 {
            let Some(Some(rest)) = batches.next().now_or_never() else { break };
            for message in rest.into_iter().flatten() {
                let _ = message.ack_with(AckKind::Nak(Some(GIVEN_BACK))).await;
            }
        }
        let _ = tokio::time::timeout(FLUSH, self.bus.client().flush()).await;
    }

    /// Applies one batch to its end: every message is acknowledged, given back, or a dead letter.
    async fn apply(&self, messages: Vec<jetstream::Message>, stopping: &CancellationToken) {
        let mut in_hand = Vec::with_capacity(messages.len());
        for message in messages {
            match self.decode(&message) {
                Ok(received) => in_hand.push(InHand { received, message }),
                Err(error) => self.bury(&message, &error).await,
            }
        }
        if in_hand.is_empty() {
            return;
        }
        let span = tracing::info_span!("consume", consumer = self.consumer.name, events = in_hand.len());
        if let [only] = in_hand.as_slice() {
            chassis::trace_context::set_parent(&span, &|name| header(&only.message, name));
        } else {
            for each in &in_hand {
                chassis::trace_context::link(&span, &|name| header(&each.message, name));
            }
        }
        async {
            // Parts of the batch still to do; a part that fails for good is replaced by its halves.
            let mut parts = vec![in_hand];
            while let Some(part) = parts.pop() {
                if let Some((left, right)) = self.apply_part(part, stopping).await {
                    parts.push(right);
                    parts.push(left);
                }
            }
        }
        .instrument(span)
        .await;
    }

    /// Applies a part in one transaction. Returns its halves when it failed and a culprit is to be found.
    async fn apply_part(
        &self,
        part: Vec<InHand<H::Event>>,
        stopping: &CancellationToken,
    ) -> Option<(Vec<InHand<H::Event>>, Vec<InHand<H::Event>>)> {
        let outcome = loop {
            let error = match self.pool.begin().await {
                Ok(tx) => match self.apply_in(tx, part.iter().map(|each| &each.received)).await {
                    Err(error) if is_database_away(&error) => error,
                    outcome => break outcome,
                },
                Err(error) => HandleError::Transient(error.into()),
            };
            tracing::warn!(error = &error as &dyn std::error::Error, "waiting for the database");
            if stopping.is_cancelled() {
                give_back(&part, |_| Duration::from_secs(1)).await;
                return None;
            }
            for each in &part {
                let _ = each.message.ack_with(AckKind::Progress).await;
            }
            tokio::time::sleep(AWAY).await;
        };
        match outcome {
            Ok((_, done)) => {
                for each in &part {
                    // A lost acknowledgement brings the event again; the inbox knows it.
                    let _ = each.message.ack().await;
                }
                metrics::counter!("bus_consumed_total", "consumer" => self.consumer.name).increment(part.len() as u64);
                if let Some(done) = done {
                    self.handler.committed(done).await;
                }
                None
            }
            Err(error) => self.sort_out(part, error).await,
        }
    }

    /// Says how many of the events were not applied before, and what is to be done about them after the commit.
    pub(crate) async fn apply_in<'a>(
        &self,
        mut tx: PgTransaction<'_>,
        part: impl Iterator<Item = &'a Received<H::Event>> + Clone + Send,
    ) -> Result<(usize, Option<H::Done>), HandleError> {
        let ids: Vec<String> = part.clone().map(|received| received.event_id.clone()).collect();
        let mut new: HashSet<String> =
            inbox::record_new(&mut tx, self.consumer.name, &ids, self.clock.now()).await.transient()?;
        // `remove`: an event that stands in the batch twice is handed over once.
        let events: Vec<Received<H::Event>> = part.filter(|received| new.remove(&received.event_id)).cloned().collect();
        if events.is_empty() {
            return Ok((0, None));
        }
        // A panic is a mistake that comes again with the same event: it must not take the service down each time.
        let done = AssertUnwindSafe(self.handler.handle(&mut tx, &events))
            .catch_unwind()
            .await
            .unwrap_or_else(|_| Err(HandleError::Permanent(anyhow::anyhow!("the handler panicked"))))?;
        tx.commit().await.transient()?;
        Ok((events.len(), Some(done)))
    }

    async fn sort_out(
        &self,
        mut part: Vec<InHand<H::Event>>,
        error: HandleError,
    ) -> Option<(Vec<InHand<H::Event>>, Vec<InHand<H::Event>>)> {
        let deliveries = part.iter().map(InHand::deliveries).max().unwrap_or(1);
        let permanent = matches!(error, HandleError::Permanent(_));
        if part.len() > 1 && (permanent || deliveries > PATIENCE) {
            let right = part.split_off(part.len() / 2);
            return Some((part, right));
        }
        match part.as_slice() {
            [only] if permanent || deliveries >= MAX_DELIVERIES => {
                self.bury(&only.message, &anyhow::Error::new(error)).await;
            }
            _ => {
                tracing::warn!(error = &error as &dyn std::error::Error, deliveries, "will apply the events later");
                metrics::counter!("bus_retries_total", "consumer" => self.consumer.name).increment(part.len() as u64);
                give_back(&part, |each| retry_delay(each.deliveries())).await;
            }
        }
        None
    }

    fn decode(&self, message: &jetstream::Message) -> anyhow::Result<Received<H::Event>> {
        let headers = message.headers.as_ref();
        let event_id = envelope::event_id(headers).ok_or_else(|| anyhow::anyhow!("the event has no id"))?.to_owned();
        let event = <H::Event as prost::Message>::decode(message.payload.clone())?;
        let occurred_at = envelope::occurred_at(headers).unwrap_or_else(|| self.clock.now());
        Ok(Received { event_id, event, occurred_at })
    }

    /// First the dead letter is stored, then the event ends. Without the letter, the event comes again.
    async fn bury(&self, message: &jetstream::Message, error: &anyhow::Error) {
        tracing::error!(consumer = self.consumer.name, error = %format!("{error:#}"), "an event becomes a dead letter");
        let stored = match Corpse::of_message(message) {
            Ok(corpse) => dead_letters::publish(&self.bus, self.consumer, corpse, error, self.clock.now()).await,
            Err(error) => Err(error),
        };
        match stored {
            Ok(()) => {
                metrics::counter!("bus_dead_letters_total", "consumer" => self.consumer.name).increment(1);
                let _ = message.ack_with(AckKind::Term).await;
            }
            Err(error) => {
                tracing::warn!(error = %format!("{error:#}"), "the dead letter could not be stored");
                let _ = message.ack_with(AckKind::Nak(Some(Duration::from_secs(5)))).await;
            }
        }
    }
}

fn header(message: &jetstream::Message, name: &str) -> Option<String> {
    message.headers.as_ref()?.get(name).map(|value| value.as_str().to_owned())
}

async fn give_back<E>(part: &[InHand<E>], delay: impl Fn(&InHand<E>) -> Duration) {
    for each in part {
        let _ = each.message.ack_with(AckKind::Nak(Some(delay(each)))).await;
    }
}

/// True when no event can be the cause.
pub(crate) fn is_database_away(error: &HandleError) -> bool {
    let HandleError::Transient(cause) = error else { return false };
    cause.chain().filter_map(|cause| cause.downcast_ref::<sqlx::Error>()).any(chassis::database::is_away)
}

/// 100 ms, 200 ms, … up to 30 s.
fn retry_delay(deliveries: i64) -> Duration {
    let doublings = u32::try_from(deliveries.clamp(1, 10)).unwrap_or(1) - 1;
    Duration::from_millis(100 * 2_u64.pow(doublings)).min(Duration::from_secs(30))
}
