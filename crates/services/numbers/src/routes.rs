//! Publishes where a call to each number goes (rule 6) into the bucket ROUTES, for whoever answers calls.
//!
//! The present state is put while its mark is locked, so that two replicas cannot leave the older value behind. The
//! bucket can be lost: it is then filled again from here, because PostgreSQL holds the truth.

use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, PublishError};
use chassis::Clock;
use futures_util::future::try_join_all;
use proto::numbers::Route;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::StoreError;
use crate::store::Store;

/// Routes put at the same time.
const BATCH: i64 = 64;
/// How soon marks are found that nobody hinted at.
const POLL: Duration = Duration::from_secs(1);
/// How often the bucket is counted.
const RECOUNT: Duration = Duration::from_hours(1);

/// Publishes routes. Clones work on the same hints.
#[derive(Clone, Debug)]
pub(crate) struct RoutePublisher {
    store: Store,
    bus: Bus,
    clock: Clock,
    hint: Arc<Notify>,
}

/// Why routes were not published. All of it is worth another try.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RouteError {
    #[error("the stale routes cannot be read")]
    Store(#[from] StoreError),
    #[error("the bucket cannot be written")]
    Bucket(#[from] PublishError),
}

impl RoutePublisher {
    pub(crate) fn new(store: Store, bus: Bus, clock: Clock) -> Self {
        Self { store, bus, clock, hint: Arc::default() }
    }

    /// Says that a route was marked as stale.
    pub(crate) fn hint(&self) {
        self.hint.notify_one();
    }

    /// Runs until `stopping`.
    pub(crate) async fn run(self, stopping: CancellationToken) -> anyhow::Result<()> {
        let _ = stopping.run_until_cancelled(self.bus.declared()).await;
        let mut recount_at = Instant::now();
        while !stopping.is_cancelled() {
            match self.work(&mut recount_at).await {
                Ok(published) if published > 0 => continue,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "will publish routes later");
                    if matches!(error, RouteError::Bucket(_)) {
                        // The bucket may be gone (a new server): declaring is idempotent.
                        let _ = stopping.run_until_cancelled(Box::pin(self.bus.declare())).await;
                        recount_at = Instant::now();
                    }
                    let _ = stopping.run_until_cancelled(tokio::time::sleep(POLL)).await;
                }
            }
            tokio::select! {
                () = stopping.cancelled() => {}
                () = self.hint.notified() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
        Ok(())
    }

    async fn work(&self, recount_at: &mut Instant) -> Result<usize, RouteError> {
        // Marks are not locked for a server that is away.
        if self.bus.check().is_err() {
            return Ok(0);
        }
        if *recount_at <= Instant::now() {
            self.recount().await?;
            *recount_at = Instant::now() + RECOUNT;
        }
        self.publish_stale().await
    }

    /// Puts up to a batch of stale routes. Returns how many marks were removed.
    pub(crate) async fn publish_stale(&self) -> Result<usize, RouteError> {
        let stale = self.store.claim_stale_routes(BATCH).await?;
        let marks = stale.len();
        if marks > 0 {
            try_join_all(stale.routes.iter().map(|route| self.bus.put_latest(&route.license_id, route))).await?;
            stale.record_published().await?;
            metrics::counter!("numbers_routes_published_total").increment(u64::try_from(marks).unwrap_or(u64::MAX));
        }
        Ok(marks)
    }

    /// Fewer routes in the bucket than there should be: it was lost, and all of them are told again.
    pub(crate) async fn recount(&self) -> Result<(), RouteError> {
        let (there, expected) = (self.bus.count_latest::<Route>().await?, self.store.count_routes().await?);
        if there < expected {
            tracing::info!(there, expected, "the bucket lacks routes and is filled again");
            self.store.mark_all_stale(self.clock.now()).await?;
        }
        Ok(())
    }
}
