//! The loop that gives numbers back to their carriers (rule 5): after a cut-over, after a change that came to nothing,
//! and what an audit found.
//!
//! A number stays in the list until the carrier says that it is gone, whatever happens to this process. It decides
//! nothing about which numbers: whoever stops using one writes it down in the same transaction.

use std::time::Duration;

use carriers::CallError;
use chassis::{Clock, steps};
use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use crate::calls::Calls;
use crate::error::StoreError;
use crate::model::setback::{Setback, plan_delay};
use crate::store::{Release, Store};

/// Numbers given back at the same time by one replica.
const BATCH: i64 = 8;
const POLL: Duration = Duration::from_secs(1);
/// A carrier that refuses is asked again at least so often.
const MAX_DELAY: Duration = Duration::from_hours(1);

/// Gives numbers back. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Releaser {
    store: Store,
    calls: Calls,
    clock: Clock,
}

impl Releaser {
    pub(crate) fn new(store: Store, calls: Calls, clock: Clock) -> Self {
        Self { store, calls, clock }
    }

    /// Runs until `stopping`; what is in hand is finished first.
    pub(crate) async fn run(self, stopping: CancellationToken) -> anyhow::Result<()> {
        steps::run(POLL, "will look for releases later", &stopping, async || {
            Ok::<_, StoreError>(self.run_due().await? > 0)
        })
        .await
    }

    /// Works once on what is due now. Returns how many numbers that were.
    pub(crate) async fn run_due(&self) -> Result<usize, StoreError> {
        let due = self.store.claim_due_releases(BATCH, self.calls.lease(), self.clock.now()).await?;
        let claimed = due.len();
        for outcome in join_all(due.iter().map(|release| self.release(release))).await {
            if let Err(error) = outcome {
                tracing::warn!(error = &error as &dyn std::error::Error, "a release is left for later");
            }
        }
        Ok(claimed)
    }

    async fn release(&self, release: &Release) -> Result<(), StoreError> {
        let (license_id, carrier_name) = (&release.license_id, release.carrier);
        let Some(carrier) = self.calls.find(carrier_name) else {
            let later = self.clock.now() + MAX_DELAY;
            return self.store.record_release_setback(release, Setback::CarrierNotConfigured, later).await;
        };
        match self.calls.bounded(carrier.release_number(&release.carrier_number_id)).await {
            Ok(()) => {
                self.store.record_released(release).await?;
                metrics::counter!("numbers_released_total", "carrier" => carrier_name.as_str()).increment(1);
                tracing::info!(%license_id, carrier = %carrier_name, "a number was given back");
                Ok(())
            }
            Err(error) => self.record_setback(release, &error).await,
        }
    }

    async fn record_setback(&self, release: &Release, error: &CallError) -> Result<(), StoreError> {
        let setback = Setback::of(error);
        metrics::counter!("numbers_release_setbacks_total", "code" => setback.as_str()).increment(1);
        tracing::warn!(
            license_id = %release.license_id, carrier = %release.carrier, attempts = release.attempts + 1,
            error = error as &dyn std::error::Error, "a number could not be given back yet"
        );
        let delay = plan_delay(release.attempts, error, MAX_DELAY);
        self.store.record_release_setback(release, setback, self.clock.now() + delay).await
    }
}
