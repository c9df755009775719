//! The loop that puts back in line what was held until now. Any number of replicas may run it.

use std::time::Duration;

use chassis::{Clock, steps};
use tokio_util::sync::CancellationToken;

use crate::error::StoreError;
use crate::send::Hint;
use crate::store::Store;

const EVERY: Duration = Duration::from_millis(500);

/// Releases what is held.
#[derive(Debug)]
pub struct Releaser {
    pub store: Store,
    pub clock: Clock,
    pub hint: Hint,
}

impl Releaser {
    /// Runs until `stopping`.
    pub async fn run(self, stopping: CancellationToken) -> anyhow::Result<()> {
        steps::run(EVERY, "will release what is held later", &stopping, async || {
            Ok::<_, StoreError>(self.release_once().await? > 0)
        })
        .await
    }

    /// One bounded step. Returns how many messages are in line again.
    pub async fn release_once(&self) -> Result<u64, StoreError> {
        let released = self.store.release_due(self.clock.now()).await?;
        if released > 0 {
            self.hint.wake();
        }
        Ok(released)
    }
}
