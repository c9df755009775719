//! Finds texts that carriers took and we never heard of: a webhook that failed is not always repeated.
//!
//! Each license's present number is looked at regularly, and soon after texts may have been turned away: the carrier's list
//! is compared with the inbox, and what is missing goes through the same door as every text, with the id that its webhook
//! would have had. So whichever comes second has no effect. It asks carriers for texts to numbers that are somebody's now,
//! since they were, and for nothing older than the inbox surely knows; and never faster than it is told.
//!
//! Several replicas work side by side: each number is claimed by one, for longer than a look may take.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bus::{HandleError, Intake, Received};
use carriers::{CallError, Carriers, ReceivedMessage};
use chassis::Clock;
use chrono::{DateTime, TimeDelta, Utc};
use domain::CarrierName;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use proto::{ingest, to_timestamp};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::config::BackfillSettings;
use crate::events::MessageReceived;
use crate::model::{Reach, plan_next_look, plan_since};
use crate::pace::Pace;
use crate::store::StoreError;
use crate::store::backfills::{self, Claimed};

/// Between two looks for numbers that are due.
const TICK: Duration = Duration::from_secs(1);
/// After a claim that PostgreSQL did not take.
const PAUSE: Duration = Duration::from_secs(10);
/// Numbers that are looked at at the same time: a slow answer does not slow the others down.
const IN_FLIGHT: usize = 8;
/// One look, with all pages.
const LOOK: Duration = Duration::from_mins(4);
/// Longer than a look: nobody else begins meanwhile.
const LEASE: TimeDelta = TimeDelta::minutes(5);
/// A carrier that asks for patience and does not say how much.
const PATIENCE: Duration = Duration::from_secs(5);
/// Missing texts that are held in memory until the list has ended: then the oldest goes first.
const HOLD: usize = 1_000;
/// Texts of one transaction: others wait for their licenses.
const BATCH: usize = 100;

/// What the work is done with.
#[derive(Clone)]
pub(crate) struct Backfiller {
    pool: PgPool,
    clock: Clock,
    carriers: Carriers,
    intake: Arc<Intake<MessageReceived>>,
    pace: Arc<Pace>,
    every: Duration,
    reach: Reach,
}

/// How a look ended.
enum Looked {
    /// Everything is taken in; so many were missing.
    Complete(usize),
    /// The carrier has no list.
    Unlisted,
}

/// Texts that never came, the newest first.
#[derive(Default)]
struct Missing {
    texts: Vec<Received<ingest::MessageReceived>>,
    /// Of each sender the place of the oldest one, while the list has not shown what came before it.
    oldest: HashMap<String, usize>,
}

/// Why a look brought nothing, or not all.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the carrier has no credentials here")]
    NoCredentials,
    #[error("the carrier did not list its texts")]
    Carrier(#[from] CallError),
    #[error("the inbox could not be read")]
    Database(#[from] sqlx::Error),
    #[error("what was missing could not be taken in")]
    NotApplied(#[from] HandleError),
    #[error("it took too long")]
    TimedOut,
    #[error("the service stops")]
    Stopping,
}

impl Failure {
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Carrier(CallError::Throttled { retry_after }) => Some(retry_after.unwrap_or(PATIENCE)),
            _ => None,
        }
    }
}

impl Backfiller {
    pub(crate) fn new(
        pool: PgPool,
        clock: Clock,
        carriers: Carriers,
        intake: Intake<MessageReceived>,
        settings: &BackfillSettings,
    ) -> Self {
        let pace = Arc::new(Pace::new(settings.calls_per_second));
        let every = Duration::from_secs(settings.every_s);
        Self { pool, clock, carriers, intake: Arc::new(intake), pace, every, reach: settings.reach() }
    }

    /// Looks until it is stopped. What it has in hand then is due at once.
    pub(crate) async fn run(self, stopping: CancellationToken) -> anyhow::Result<()> {
        let mut running = FuturesUnordered::new();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stopping.cancelled() => break,
                Some(()) = running.next() => {}
                _ = tick.tick() => {}
            }
            match self.claim(IN_FLIGHT - running.len()).await {
                Ok(claimed) => running.extend(claimed.into_iter().map(|each| self.look_at(each, &stopping))),
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "will look for missed texts later");
                    tick.reset_after(PAUSE);
                }
            }
        }
        while running.next().await.is_some() {}
        Ok(())
    }

    pub(crate) async fn claim(&self, free: usize) -> Result<Vec<Claimed>, StoreError> {
        if free == 0 {
            return Ok(Vec::new());
        }
        let now = self.clock.now();
        backfills::claim(&self.pool, now, now + LEASE, i64::try_from(free).unwrap_or(i64::MAX)).await
    }

    /// One look, and when the next one is due.
    pub(crate) async fn look_at(&self, claimed: Claimed, stopping: &CancellationToken) {
        let began = self.clock.now();
        let looked = tokio::select! {
            biased;
            () = stopping.cancelled() => Err(Failure::Stopping),
            looked = tokio::time::timeout(LOOK, self.look(&claimed, began)) => {
                looked.unwrap_or(Err(Failure::TimedOut))
            }
        };
        let settled = match looked {
            Ok(Looked::Complete(missed)) => {
                if missed > 0 {
                    tracing::warn!(license_id = %claimed.license_id, missed, "texts were missed and are taken in now");
                }
                count(&claimed, "complete");
                backfills::record_checked(&self.pool, &claimed, began, self.after(self.every)).await
            }
            Ok(Looked::Unlisted) => {
                count(&claimed, "unlisted");
                backfills::put_off(&self.pool, &claimed, None).await
            }
            Err(Failure::Stopping) => backfills::put_off(&self.pool, &claimed, Some(began)).await,
            Err(failure) => {
                count(&claimed, "failed");
                if let Some(wait) = failure.retry_after() {
                    self.pace.hold(wait);
                }
                let wait = plan_next_look(claimed.tries.unsigned_abs(), failure.retry_after(), self.every);
                tracing::warn!(
                    license_id = %claimed.license_id,
                    error = %format!("{:#}", anyhow::Error::new(failure)),
                    "will look for missed texts later"
                );
                backfills::put_off(&self.pool, &claimed, Some(self.after(wait))).await
            }
        };
        if let Err(error) = settled {
            tracing::warn!(error = &error as &dyn std::error::Error, "missed texts will be looked for again");
        }
    }

    fn after(&self, wait: Duration) -> DateTime<Utc> {
        self.clock.now() + TimeDelta::from_std(wait).unwrap_or(TimeDelta::MAX)
    }

    async fn look(&self, claimed: &Claimed, began: DateTime<Utc>) -> Result<Looked, Failure> {
        let name: CarrierName = claimed.carrier.parse().map_err(|_| Failure::NoCredentials)?;
        let carrier = self.carriers.find(name).ok_or(Failure::NoCredentials)?;
        let since = plan_since(self.reach, claimed.checked_to, claimed.assigned_at, began);
        let (mut page, mut missing, mut missed) = (None, Missing::default(), 0);
        loop {
            self.pace.turn().await;
            let listed = carrier.list_received(&claimed.number, since, page.as_deref()).await?;
            let Some(listed) = listed else { return Ok(Looked::Unlisted) };
            let texts = listed.messages.into_iter().filter(|text| text.received_at >= since);
            self.keep_unknown(name, texts, &mut missing).await?;
            page = listed.next;
            if missing.texts.len() >= HOLD || page.is_none() {
                missed += self.take_in(name, std::mem::take(&mut missing).texts).await?;
            }
            if page.is_none() {
                return Ok(Looked::Complete(missed));
            }
        }
    }

    /// Those of a page that never came, as the events that their webhooks would have been. Each names the text before it,
    /// since the list has seconds and a webhook the time at which it came.
    async fn keep_unknown(
        &self,
        carrier: CarrierName,
        texts: impl Iterator<Item = ReceivedMessage>,
        missing: &mut Missing,
    ) -> Result<(), Failure> {
        let now = self.clock.now();
        let mut events = Vec::new();
        for text in texts {
            match event_of(carrier, text).identify() {
                Ok((event_id, event)) => events.push(Received { event_id, event, occurred_at: now }),
                Err(error) => tracing::error!(%error, "a listed text cannot be taken in"),
            }
        }
        let ids: Vec<String> = events.iter().map(|each| each.event_id.clone()).collect();
        let unknown: HashSet<String> = self.intake.list_unknown(&ids).await?;
        for each in events {
            let (id, sender) = (&each.event.carrier_message_id, &each.event.from);
            if let Some(next) = missing.oldest.remove(sender).and_then(|at| missing.texts.get_mut(at)) {
                next.event.follows = Some(id.clone());
            }
            if unknown.contains(&each.event_id) {
                missing.oldest.insert(sender.clone(), missing.texts.len());
                missing.texts.push(each);
            }
        }
        Ok(())
    }

    /// Takes them in, the oldest first; they come newest first. Returns how many had not come meanwhile.
    async fn take_in(
        &self,
        carrier: CarrierName,
        mut missing: Vec<Received<ingest::MessageReceived>>,
    ) -> Result<usize, Failure> {
        let mut taken = 0;
        while !missing.is_empty() {
            let mut oldest = missing.split_off(missing.len().saturating_sub(BATCH));
            oldest.reverse();
            let new = self.intake.apply(oldest).await?;
            metrics::counter!("conversations_backfilled_total", "carrier" => carrier.as_str()).increment(new as u64);
            taken += new;
        }
        Ok(taken)
    }
}

fn event_of(carrier: CarrierName, text: ReceivedMessage) -> ingest::MessageReceived {
    let ReceivedMessage { message, received_at } = text;
    let media = message.media.into_iter();
    ingest::MessageReceived {
        carrier: carrier.to_string(),
        carrier_message_id: message.carrier_message_id,
        from: message.from.as_str().to_owned(),
        to: message.to.as_str().to_owned(),
        body: message.body,
        media: media.map(|each| ingest::Media { url: each.url.into(), content_type: each.content_type }).collect(),
        received_at: Some(to_timestamp(received_at)),
        follows: None,
    }
}

fn count(claimed: &Claimed, outcome: &'static str) {
    metrics::counter!(
        "conversations_backfill_checks_total", "carrier" => claimed.carrier.clone(), "outcome" => outcome
    )
    .increment(1);
}
