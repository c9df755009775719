//! Fetches what came with inbound messages from their carriers and keeps it; removes what deletions left behind.
//!
//! Several replicas work side by side: each medium is claimed by one, for longer than a try may take. First the bytes are
//! in the object store, then the medium says so; a crash between the two repeats the first. What is refused, and what the
//! carrier does not have any more, has failed at once; everything else is tried again for a day.

use std::time::Duration;

use bytes::Bytes;
use carriers::{Carriers, InboundMedia, MediaError, MediaLimits};
use chassis::Clock;
use chrono::TimeDelta;
use domain::CarrierName;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::model::plan_retry;
use crate::objects::Objects;
use crate::push::Pusher;
use crate::store::StoreError;
use crate::store::licenses::{self, Subject};
use crate::store::media::{self, Claimed, End, Marked};

const EVERY: Duration = Duration::from_secs(1);
/// After a step that PostgreSQL did not take.
const PAUSE: Duration = Duration::from_secs(10);
/// One try, with all its redirects and the way to the object store.
const TRY: Duration = Duration::from_mins(2);
/// Longer than a try, by far: nobody else may begin, and nothing may be removed, while it runs.
const LEASE: TimeDelta = TimeDelta::minutes(5);
/// Objects that are removed in one go.
const ERASURES: i64 = 100;

/// What the work is done with.
#[derive(Debug, Clone)]
pub(crate) struct Fetcher {
    pub pool: PgPool,
    pub clock: Clock,
    pub pusher: Pusher,
    pub carriers: Carriers,
    pub objects: Objects,
    pub limits: MediaLimits,
    /// Media that are fetched at the same time.
    pub in_flight: usize,
}

/// Why a try brought nothing.
enum Failure {
    ForGood(String),
    Later { retry_after: Option<Duration>, cause: String },
}

impl Fetcher {
    /// Fetches until it is stopped. What it leaves half done is done again when its lease is over.
    pub(crate) async fn run(self, stopping: CancellationToken) -> anyhow::Result<()> {
        let mut running = FuturesUnordered::new();
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stopping.cancelled() => return Ok(()),
                Some(()) = running.next() => {}
                _ = tick.tick() => {}
            }
            match self.claim(self.in_flight - running.len()).await {
                Ok(claimed) => running.extend(claimed.into_iter().map(|each| self.fetch(each))),
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "will fetch media later");
                    tick.reset_after(PAUSE);
                }
            }
        }
    }

    async fn claim(&self, free: usize) -> Result<Vec<Claimed>, StoreError> {
        if free == 0 {
            return Ok(Vec::new());
        }
        let now = self.clock.now();
        media::claim(&self.pool, now, now + LEASE, i64::try_from(free).unwrap_or(i64::MAX)).await
    }

    /// One try, and what follows from it.
    pub(crate) async fn fetch(&self, claimed: Claimed) {
        let timed_out = || Failure::Later { retry_after: None, cause: "it took too long".into() };
        let tried = tokio::time::timeout(TRY, self.store(&claimed)).await.unwrap_or_else(|_| Err(timed_out()));
        let settled = match tried {
            Ok(end) => self.settle(&claimed, end).await,
            Err(Failure::ForGood(cause)) => self.give_up(&claimed, &cause).await,
            Err(Failure::Later { retry_after, cause }) => match plan_retry(claimed.tries.unsigned_abs(), retry_after) {
                Some(wait) => {
                    count("retried");
                    tracing::debug!(media_id = %claimed.media_id, %cause, "a medium will be tried again");
                    let wait = TimeDelta::from_std(wait).unwrap_or(TimeDelta::MAX);
                    media::postpone(&self.pool, &claimed, self.clock.now() + wait).await
                }
                None => self.give_up(&claimed, &cause).await,
            },
        };
        if let Err(error) = settled {
            tracing::warn!(error = &error as &dyn std::error::Error, "a medium will be fetched again");
        }
    }

    /// From the carrier to the object store.
    async fn store(&self, claimed: &Claimed) -> Result<End, Failure> {
        let url = Url::parse(&claimed.source_url).map_err(|_| Failure::ForGood("its address is none".into()))?;
        let name: CarrierName = claimed.carrier.parse().map_err(|_| Failure::ForGood("its carrier is none".into()))?;
        let carrier = self
            .carriers
            .find(name)
            .ok_or_else(|| Failure::Later { retry_after: None, cause: format!("{name} has no credentials here") })?;
        let source = InboundMedia { url, content_type: claimed.content_type.clone() };
        let fetched = carrier.fetch_media(&source, &self.limits).await.map_err(|error| match error {
            MediaError::Later { retry_after, cause } => Failure::Later { retry_after, cause },
            MediaError::Gone | MediaError::Refused(_) => Failure::ForGood(error.to_string()),
        })?;
        let size_bytes = i64::try_from(fetched.bytes.len()).unwrap_or(i64::MAX);
        self.put(claimed, fetched.bytes).await?;
        Ok(End::Stored { content_type: fetched.content_type, size_bytes })
    }

    async fn put(&self, claimed: &Claimed, bytes: Bytes) -> Result<(), Failure> {
        let key = media::object_key(&claimed.license_id, claimed.media_id);
        self.objects.put(&key, bytes).await.map_err(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "the object store did not take a medium");
            Failure::Later { retry_after: None, cause: "the object store did not take it".into() }
        })
    }

    async fn give_up(&self, claimed: &Claimed, cause: &str) -> Result<(), StoreError> {
        tracing::warn!(license_id = %claimed.license_id, media_id = %claimed.media_id, cause, "a medium is not to be had");
        self.settle(claimed, End::Failed).await
    }

    /// Notes the end, for clients to see.
    async fn settle(&self, claimed: &Claimed, end: End) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        let mut locked = licenses::lock(&mut tx, [claimed.license_id.clone()]).await?;
        match media::mark_ended(&mut tx, claimed, &end).await? {
            Marked::Now => {
                let subject = Subject::MessageUpdated(claimed.conversation_id, claimed.message_id);
                locked.record(&claimed.license_id, subject, self.clock.now());
                let ranges = locked.write(&mut tx).await?;
                tx.commit().await?;
                self.pusher.push(ranges);
                count(if end == End::Failed { "failed" } else { "stored" });
            }
            Marked::Before => {}
            Marked::Gone => {
                drop(tx);
                self.remove(&media::object_key(&claimed.license_id, claimed.media_id)).await;
            }
        }
        Ok(())
    }

    /// True: it is not there any more.
    async fn remove(&self, key: &str) -> bool {
        match self.objects.remove(key).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "an object will be removed later");
                false
            }
        }
    }

    /// Removes the objects of deleted conversations until it is stopped.
    pub(crate) async fn run_erasing(self, stopping: CancellationToken) -> anyhow::Result<()> {
        let mut wait = EVERY;
        loop {
            tokio::select! {
                () = stopping.cancelled() => return Ok(()),
                () = tokio::time::sleep(wait) => {}
            }
            wait = match self.erase_once().await {
                Ok(true) => Duration::ZERO,
                Ok(false) => EVERY,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "will remove objects later");
                    PAUSE
                }
            };
        }
    }

    /// One step. True when there may be more to do at once.
    pub(crate) async fn erase_once(&self) -> Result<bool, StoreError> {
        let due = media::list_erasures(&self.pool, self.clock.now(), ERASURES).await?;
        let mut removed = Vec::with_capacity(due.len());
        for key in &due {
            if self.remove(key).await {
                removed.push(key.clone());
            }
        }
        if !removed.is_empty() {
            media::forget_erasures(&self.pool, &removed).await?;
        }
        Ok(removed.len() as u64 >= ERASURES.unsigned_abs())
    }
}

fn count(outcome: &'static str) {
    metrics::counter!("conversations_media_total", "outcome" => outcome).increment(1);
}
