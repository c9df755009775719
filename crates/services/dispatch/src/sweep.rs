//! The slow loops: what crashes leave behind, what waited too long, what is old. Any number of replicas may run them.

use std::time::Duration;

use bus::Relay;
use chassis::{Clock, steps};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::config::DeliverySettings;
use crate::error::StoreError;
use crate::store::Store;

const EVERY: Duration = Duration::from_secs(5);
const INBOX_EVERY: Duration = Duration::from_hours(1);

/// Sweeps the queue.
#[derive(Debug)]
pub struct Sweeper {
    pub store: Store,
    pub clock: Clock,
    pub settings: DeliverySettings,
    pub relay: Relay,
}

impl Sweeper {
    /// Runs until `stopping`.
    pub async fn run(self, stopping: CancellationToken) -> anyhow::Result<()> {
        steps::run(EVERY, "will sweep later", &stopping, async || self.sweep_once().await.map(|()| false)).await
    }

    /// One bounded step of each kind.
    pub async fn sweep_once(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let left_behind = self.store.mark_left_behind(self.settings.attempt_deadline(), now).await?;
        let expired = self.store.mark_expired(self.settings.give_up_after(), now).await?;
        if left_behind > 0 {
            tracing::warn!(attempts = left_behind, "attempts were left behind by a crash; their outcome is unknown");
            metrics::counter!("dispatch_left_behind_total").increment(left_behind as u64);
        }
        if expired > 0 {
            tracing::warn!(messages = expired, "messages waited too long and have failed");
            metrics::counter!("dispatch_expired_total").increment(expired as u64);
        }
        if left_behind + expired > 0 {
            self.relay.hint();
        }
        self.store.remove_settled(now).await?;
        self.store.remove_expired_lines(now).await?;
        self.store.remove_old_withdrawals(now).await?;
        Ok(())
    }
}

/// Forgets events that were consumed long ago, in steps, until none is left.
pub async fn sweep_inbox(pool: PgPool, clock: Clock, stopping: CancellationToken) -> anyhow::Result<()> {
    steps::run(INBOX_EVERY, "will sweep the inbox later", &stopping, async || {
        bus::sweep_inbox(&pool, clock.now()).await.map(|swept| swept > 0)
    })
    .await
}
