//! Erases the texts of deleted conversations where a deletion cannot wait for them (rule 11): dead letters, which are
//! NATS's, and what a relay had in hand when the conversation was deleted.
//!
//! Looks after each deletion and every few minutes, page by page. Several replicas may look side by side. It decides
//! only by what a letter's event says; one that cannot be read stays, and goes with its age.

use std::sync::Arc;
use std::time::Duration;

use bus::{Buried, Bus, DeadLetters, outbox};
use chassis::Clock;
use chrono::{DateTime, TimeDelta, Utc};
use proto::catalogue::{CONVERSATIONS_MESSAGE_RECEIVED, Consumer, DISPATCH_MESSAGE_QUEUED};
use proto::conversations::MessageQueued;
use proto::from_timestamp;
use proto::ingest::MessageReceived;
use sqlx::PgPool;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::store::StoreError;
use crate::store::deletions::{self, Arrived};

const EVERY: Duration = Duration::from_mins(3);
/// A text that came before a deletion may become a dead letter after it: `libs/bus` tries for about 6 minutes.
const LETTERS_COME_FOR: TimeDelta = TimeDelta::minutes(10);
/// Waiting events of one step.
const STEP: i64 = 1_000;
/// Letters of one page.
const PAGE: usize = 100;

/// Erases what deletions left to it.
#[derive(Debug, Clone)]
pub(crate) struct Eraser {
    pool: PgPool,
    bus: Bus,
    clock: Clock,
    hint: Arc<Notify>,
}

impl Eraser {
    pub(crate) fn new(pool: PgPool, bus: Bus, clock: Clock) -> Self {
        Self { pool, bus, clock, hint: Arc::new(Notify::new()) }
    }

    /// Says that a conversation was deleted.
    pub(crate) fn hint(&self) {
        self.hint.notify_one();
    }

    pub(crate) async fn run(self, stopping: CancellationToken) -> anyhow::Result<()> {
        tokio::select! {
            () = self.bus.declared() => {}
            () = stopping.cancelled() => return Ok(()),
        }
        loop {
            tokio::select! {
                () = stopping.cancelled() => return Ok(()),
                () = self.hint.notified() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
            match stopping.run_until_cancelled(self.erase_once()).await {
                Some(Ok(0)) | None => {}
                Some(Ok(letters)) => tracing::info!(letters, "dead letters of deleted conversations are erased"),
                Some(Err(error)) => {
                    tracing::warn!(error = %format!("{error:#}"), "will look for texts of deleted conversations later");
                }
            }
        }
    }

    /// Looks through everything once. Returns how many letters went.
    pub(crate) async fn erase_once(&self) -> anyhow::Result<usize> {
        let now = self.clock.now();
        self.take_back().await?;
        self.bus.check().map_err(anyhow::Error::msg)?;
        let mut letters = self.walk(DISPATCH_MESSAGE_QUEUED, Self::list_withdrawn).await?;
        if deletions::is_any_pending(&self.pool).await? {
            letters += self.walk(CONVERSATIONS_MESSAGE_RECEIVED, Self::list_unwanted).await?;
            deletions::forget_pending(&self.pool, now - LETTERS_COME_FOR).await?;
        }
        Ok(letters)
    }

    /// Takes back what a relay had in hand and could not publish. A message and its event are written together, so an
    /// event without a message is one of a deleted conversation.
    async fn take_back(&self) -> Result<(), StoreError> {
        let mut after = 0;
        loop {
            let waiting = {
                let mut connection = self.pool.acquire().await?;
                outbox::list_waiting::<MessageQueued>(&mut connection, after, STEP).await?
            };
            let Some(last) = waiting.last() else { return Ok(()) };
            after = last.position;
            let ids: Vec<Uuid> = waiting.iter().map(|each| each.event_id).collect();
            let missing = deletions::list_missing_messages(&self.pool, &ids).await?;
            if !missing.is_empty() {
                let mut connection = self.pool.acquire().await?;
                outbox::take_back::<MessageQueued>(&mut connection, &missing).await?;
            }
        }
    }

    /// Removes those of a consumer's letters that `choose` names by their places in a page.
    async fn walk(
        &self,
        consumer: Consumer,
        choose: impl AsyncFn(&Self, &[Buried]) -> Result<Vec<u64>, StoreError>,
    ) -> anyhow::Result<usize> {
        let letters = DeadLetters::new(self.bus.clone());
        let (mut after, mut removed) = (0, 0);
        loop {
            let page = letters.read(consumer, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(removed) };
            after = last.number;
            for number in choose(self, &page).await? {
                removed += usize::from(letters.remove(number).await?);
            }
        }
    }

    /// What was to be sent and never will be.
    async fn list_withdrawn(&self, page: &[Buried]) -> Result<Vec<u64>, StoreError> {
        let (numbers, conversations): (Vec<u64>, Vec<(String, Uuid)>) = page
            .iter()
            .filter_map(|letter| {
                let event: MessageQueued = letter.find_event()?;
                Some((letter.number, (event.license_id, Uuid::try_parse(&event.conversation_id).ok()?)))
            })
            .unzip();
        Ok(pick(&numbers, deletions::list_deleted(&self.pool, &conversations).await?))
    }

    /// What came in before the deletion and never became a message.
    async fn list_unwanted(&self, page: &[Buried]) -> Result<Vec<u64>, StoreError> {
        let (letters, texts): (Vec<(u64, Option<String>)>, Vec<Arrived>) = page
            .iter()
            .filter_map(|letter| {
                let event: MessageReceived = letter.find_event()?;
                let at: Option<DateTime<Utc>> = from_timestamp(event.received_at).ok();
                let arrived = Arrived { from: event.from.clone(), to: event.to.clone(), at };
                Some(((letter.number, event.identify().ok().map(|(event_id, _)| event_id)), arrived))
            })
            .unzip();
        let unwanted = pick(&letters, deletions::list_pending(&self.pool, &texts).await?);
        // The carrier still lists them: they are not missed.
        let event_ids: Vec<String> = unwanted.iter().filter_map(|(_, event_id)| event_id.clone()).collect();
        bus::renounce(&self.pool, CONVERSATIONS_MESSAGE_RECEIVED, &event_ids, self.clock.now()).await?;
        Ok(unwanted.into_iter().map(|(number, _)| number).collect())
    }
}

fn pick<T: Clone>(letters: &[T], places: Vec<i64>) -> Vec<T> {
    places.into_iter().filter_map(|place| letters.get(usize::try_from(place).ok()?).cloned()).collect()
}
