//! Takes events that a service finds by itself through the door of those that it consumes.
//!
//! A carrier's webhook may be lost, and its list shows later what it told. Such an event has the id that it would have had,
//! is handed to the same handler, and is noted in the same inbox: whichever of the two comes second has no effect.
//! Nothing here goes through NATS but a dead letter.

use std::collections::HashSet;

use chassis::Clock;
use proto::catalogue::Consumer;
use sqlx::PgPool;
use tracing::Instrument;

use crate::consume::{BATCH, Runner, is_database_away};
use crate::dead_letters::{self, Corpse};
use crate::{Bus, Classify as _, HandleError, Handler, Outgoing, Received};

/// A consumer's handler, for events that did not come through its stream.
pub struct Intake<H> {
    runner: Runner<H>,
}

impl<H> std::fmt::Debug for Intake<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Intake").field("consumer", &self.runner.consumer.name).finish_non_exhaustive()
    }
}

impl<H: Handler> Intake<H> {
    /// The consumer says whose inbox it is: the same handler runs over its stream.
    pub fn new(bus: Bus, pool: PgPool, clock: Clock, consumer: Consumer, handler: H) -> Self {
        Self { runner: Runner { bus, pool, clock, consumer, handler } }
    }

    /// Those of the events that were not applied yet. What is older than the inbox goes back (32 days) counts as such.
    ///
    /// # Errors
    /// What the database says.
    pub async fn list_unknown(&self, event_ids: &[String]) -> sqlx::Result<HashSet<String>> {
        if event_ids.is_empty() {
            return Ok(HashSet::new());
        }
        crate::inbox::list_unknown(&self.runner.pool, self.runner.consumer.name, event_ids).await
    }

    /// Applies events exactly as if they had been consumed: in transactions of a batch each, only those that were not
    /// applied before. A culprit is sought by halving; its neighbors are applied. One that fails for good becomes a dead
    /// letter, and is not noted: it may be put back, and found again.
    ///
    /// Returns how many were applied.
    ///
    /// # Errors
    /// [`HandleError::Transient`] when some could not be applied now. Give all of them again later: the others are known.
    pub async fn apply(&self, mut events: Vec<Received<H::Event>>) -> Result<usize, HandleError> {
        let mut parts = Vec::new();
        while !events.is_empty() {
            parts.push(events.split_off(events.len().saturating_sub(1) / BATCH * BATCH));
        }
        let (mut applied, mut failed) = (0, None);
        while let Some(mut part) = parts.pop() {
            let error = match self.apply_part(&part).await {
                Ok(new) => {
                    applied += new;
                    continue;
                }
                Err(error) if is_database_away(&error) => return Err(error),
                Err(error) => error,
            };
            match part.as_slice() {
                [only] if matches!(error, HandleError::Permanent(_)) => self.bury(only, error).await?,
                [_] => failed = Some(error),
                _ => {
                    let right = part.split_off(part.len() / 2);
                    parts.extend([right, part]);
                }
            }
        }
        failed.map_or(Ok(applied), Err)
    }

    async fn apply_part(&self, part: &[Received<H::Event>]) -> Result<usize, HandleError> {
        let span = tracing::info_span!("apply", consumer = self.runner.consumer.name, events = part.len());
        async {
            let tx = self.runner.pool.begin().await.transient()?;
            let (applied, done) = self.runner.apply_in(tx, part.iter()).await?;
            if let Some(done) = done {
                self.runner.handler.committed(done).await;
            }
            Ok(applied)
        }
        .instrument(span)
        .await
    }

    async fn bury(&self, received: &Received<H::Event>, error: HandleError) -> Result<(), HandleError> {
        let Runner { bus, clock, consumer, .. } = &self.runner;
        let error = anyhow::Error::new(error);
        tracing::error!(consumer = consumer.name, error = %format!("{error:#}"), "an event becomes a dead letter");
        let event = Outgoing::new(&received.event, received.event_id.clone(), received.occurred_at);
        let (headers, subject) = (event.headers(), bus.subject(&event.subject));
        let corpse = Corpse {
            headers: Some(&headers),
            subject: &subject,
            payload: event.payload,
            copy: format!("found:{}", received.event_id),
        };
        dead_letters::publish(bus, *consumer, corpse, &error, clock.now()).await.transient()?;
        metrics::counter!("bus_dead_letters_total", "consumer" => consumer.name).increment(1);
        Ok(())
    }
}
