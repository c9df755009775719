//! The relay: publishes what stands in the outbox and removes it after the acknowledgement.
//!
//! Rows are claimed with `for update skip locked`, so any number of replicas relay side by side.
//! A crash between acknowledgement and commit publishes twice: consumers know the event by its id.
//! No `NOTIFY`, which takes a global lock at commit: the writer hints in the process, and a poll finds the rest.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::envelope::Outgoing;
use crate::publisher::publish_all;
use crate::{Bus, PublishError};

/// Events in one go: JetStream syncs an atomic batch once.
const BATCH: i64 = 500;
/// How soon the rows of a writer that could not hint (another replica that died) are found.
const POLL: Duration = Duration::from_millis(500);

/// Publishes the outbox of one database.
#[derive(Debug, Clone)]
pub struct Relay {
    pool: PgPool,
    bus: Bus,
    hint: Arc<Notify>,
}

#[derive(Debug, thiserror::Error)]
enum RelayError {
    #[error("the outbox cannot be read")]
    Database(#[from] sqlx::Error),
    #[error("the outbox cannot be published")]
    Publish(#[from] PublishError),
}

impl Relay {
    pub fn new(pool: PgPool, bus: Bus) -> Self {
        Self { pool, bus, hint: Arc::new(Notify::new()) }
    }

    /// Says that something was committed to the outbox.
    pub fn hint(&self) {
        self.hint.notify_one();
    }

    /// Runs until `stopping`.
    ///
    /// # Errors
    /// None: what fails is tried again.
    pub async fn run(self, stopping: CancellationToken) -> anyhow::Result<()> {
        tokio::select! {
            // Once declared, a stop that came early still lets out what waits.
            biased;
            () = self.bus.declared() => {}
            () = stopping.cancelled() => return Ok(()),
        }
        let mut delay = Duration::from_millis(50);
        while !stopping.is_cancelled() {
            let wait = match self.relay_once().await {
                Ok(published) => {
                    delay = Duration::from_millis(50);
                    if published == usize::try_from(BATCH).unwrap_or(usize::MAX) { Duration::ZERO } else { POLL }
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "will publish the outbox later");
                    delay = (delay * 2).min(Duration::from_secs(2));
                    if matches!(error, RelayError::Publish(_)) {
                        // The stream may be gone (a new server): declaring is idempotent.
                        let _ = stopping.run_until_cancelled(Box::pin(self.bus.declare())).await;
                    }
                    delay
                }
            };
            if wait == Duration::ZERO {
                continue;
            }
            tokio::select! {
                () = stopping.cancelled() => {}
                () = self.hint.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        // A batch of what was committed until now goes out before the process ends, if NATS lets it.
        if let Err(error) = self.relay_once().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the rest of the outbox waits for the next start");
        }
        Ok(())
    }

    /// Publishes one batch. Returns how many events it was. What the stream acknowledged is removed, also when it
    /// refused others: an event that cannot be stored holds up nobody.
    async fn relay_once(&self) -> Result<usize, RelayError> {
        // What is handed over while disconnected piles up in the client, and rows would be locked for nothing.
        self.bus.check().map_err(|missing| PublishError::NotStored(anyhow::Error::msg(missing)))?;
        let mut tx = self.pool.begin().await?;
        let rows = sqlx::query!(
            "select position, event_id, subject, payload, traceparent, occurred_at
             from outbox order by position limit $1 for update skip locked",
            BATCH,
        )
        .fetch_all(&mut *tx)
        .await?;
        if rows.is_empty() {
            return Ok(0);
        }
        let (positions, outgoing): (Vec<i64>, Vec<Outgoing>) = rows
            .into_iter()
            .map(|row| {
                let outgoing = Outgoing {
                    event_id: row.event_id.to_string(),
                    subject: row.subject,
                    payload: row.payload.into(),
                    occurred_at: row.occurred_at,
                    trace: row.traceparent.map(|value| ("traceparent".to_owned(), value)).into_iter().collect(),
                };
                (row.position, outgoing)
            })
            .unzip();
        let mut stored = Vec::with_capacity(positions.len());
        let mut refused = None;
        for (position, outcome) in positions.into_iter().zip(publish_all(&self.bus, &outgoing).await) {
            match outcome {
                Ok(()) => stored.push(position),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        sqlx::query!("delete from outbox where position = any($1)", &stored).execute(&mut *tx).await?;
        tx.commit().await?;
        metrics::counter!("bus_published_total").increment(stored.len() as u64);
        match refused {
            Some(error) => Err(error.into()),
            None => Ok(stored.len()),
        }
    }
}
