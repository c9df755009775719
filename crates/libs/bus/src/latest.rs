//! States that one service publishes and any process may follow: one value a key, and the last one stays.
//!
//! An event is for one durable consumer of each service; a state is for every replica, also one that starts while the
//! publisher is down. It is kept in a key-value bucket, which holds nothing that PostgreSQL could not rebuild. A reader
//! keeps what it has when NATS goes away, and knows whether it has ever been up to date.

use std::time::Duration;

use async_nats::jetstream::kv;
use futures_util::StreamExt as _;
use proto::catalogue::Latest;
use tokio_util::sync::CancellationToken;

use crate::connection::PUBLISH_TIMEOUT;
use crate::{Bus, PublishError};

/// After something failed, before the bucket is read again from its beginning.
const PAUSE: Duration = Duration::from_secs(1);

/// What [`follow_latest`] brings. Values come again after a reconnect, and two values of one key may come in
/// the wrong order: a reader keeps the one with the highest version.
pub trait Follower<M>: Send + 'static {
    /// A value, as it is now or was a moment ago.
    fn value(&mut self, message: M);
    /// Every value that existed when reading began has been brought. May come more than once.
    fn current(&mut self);
}

impl Bus {
    /// Makes this the value of a key. Returns after the acknowledgement.
    ///
    /// It replaces the value that is there when this begins, or nothing: writers of one key take turns (a row lock), and
    /// a put that was given up and reaches NATS late must not come after its successor.
    ///
    /// # Errors
    /// [`PublishError`]; when it timed out the value may have been stored.
    pub async fn put_latest<M: Latest>(&self, key: &str, message: &M) -> Result<(), PublishError> {
        let put = async {
            let bucket = self.bucket::<M>().await?;
            let present = bucket.entry(key).await.map_err(|error| PublishError::NotStored(error.into()))?;
            let revision = present.map_or(0, |entry| entry.revision);
            let value = message.encode_to_vec().into();
            bucket.update(key, value, revision).await.map_err(|error| PublishError::NotStored(error.into()))
        };
        tokio::time::timeout(PUBLISH_TIMEOUT, put).await.map_err(|_| PublishError::TimedOut)?.map(|_| ())
    }

    /// How many keys have a value: fewer than there should be means that the bucket was lost.
    ///
    /// # Errors
    /// [`PublishError`] when NATS does not answer.
    pub async fn count_latest<M: Latest>(&self) -> Result<u64, PublishError> {
        let bucket = self.bucket::<M>().await?;
        Ok(bucket.status().await.map_err(|error| PublishError::NotStored(error.into()))?.values())
    }

    async fn bucket<M: Latest>(&self) -> Result<kv::Store, PublishError> {
        let name = self.stream_name(M::BUCKET);
        self.jetstream().get_key_value(name).await.map_err(|error| PublishError::NotStored(error.into()))
    }
}

/// Brings every value of the bucket, then every change, until `stopping`.
///
/// # Errors
/// None: what fails is tried again.
pub async fn follow_latest<M: Latest>(
    bus: Bus,
    mut follower: impl Follower<M>,
    stopping: CancellationToken,
) -> anyhow::Result<()> {
    let following = async {
        bus.declared().await;
        loop {
            if let Err(error) = follow_once(&bus, &mut follower).await {
                tracing::warn!(error = error.as_ref() as &dyn std::error::Error, "will read the bucket again");
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    let _ = stopping.run_until_cancelled(following).await;
    Ok(())
}

async fn follow_once<M: Latest>(bus: &Bus, follower: &mut impl Follower<M>) -> anyhow::Result<()> {
    let bucket = bus.bucket::<M>().await?;
    let is_empty = bucket.status().await?.values() == 0;
    let mut values = bucket.watch_with_history(">").await?;
    if is_empty {
        follower.current();
    }
    while let Some(entry) = values.next().await {
        let entry = entry?;
        match M::decode(entry.value) {
            Ok(message) => follower.value(message),
            Err(error) => tracing::error!(%error, bucket = M::BUCKET, "a value of the bucket cannot be read"),
        }
        if entry.delta == 0 {
            follower.current();
        }
    }
    Ok(())
}
