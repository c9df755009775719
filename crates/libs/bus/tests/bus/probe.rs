//! A handler that writes down what it is given and fails where it is told to.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};

use bus::{Classify, HandleError, Handler, Received};
use proto::Event;
use proto::catalogue::Consumer;
use proto::dispatch::MessageProgressed;
use proto::ingest::ReceiptReceived;
use sqlx::PgTransaction;
use tokio::sync::Semaphore;

/// An event that a test knows by a name.
pub(crate) trait Named: Event + Clone {
    fn named(name: &str) -> Self;
    fn name(&self) -> &str;
}

impl Named for MessageProgressed {
    fn named(name: &str) -> Self {
        Self { message_id: name.to_owned(), ..Self::default() }
    }
    fn name(&self) -> &str {
        &self.message_id
    }
}

impl Named for ReceiptReceived {
    fn named(name: &str) -> Self {
        Self { message_id: name.to_owned(), ..Self::default() }
    }
    fn name(&self) -> &str {
        &self.message_id
    }
}

#[derive(Clone, Copy)]
pub(crate) enum Failure {
    /// Fails so many times, then no more.
    Transient(u32),
    Permanent,
    Panic,
}

/// Clones are the same probe: several replicas of one service.
pub(crate) struct Probe<E> {
    pub(crate) consumer: Consumer,
    failures: Arc<Mutex<HashMap<String, Failure>>>,
    attempts: Arc<Mutex<Vec<Vec<String>>>>,
    /// A batch with the event `gate` waits for a permit, before its effects.
    pub(crate) gate: Arc<Semaphore>,
    event: PhantomData<fn() -> E>,
}

impl<E> Clone for Probe<E> {
    fn clone(&self) -> Self {
        Self {
            consumer: self.consumer,
            failures: self.failures.clone(),
            attempts: self.attempts.clone(),
            gate: self.gate.clone(),
            event: PhantomData,
        }
    }
}

impl<E> Probe<E> {
    pub(crate) fn new(consumer: Consumer) -> Self {
        Self {
            consumer,
            failures: Arc::default(),
            attempts: Arc::default(),
            gate: Arc::new(Semaphore::new(0)),
            event: PhantomData,
        }
    }

    pub(crate) fn fail(self, name: &str, failure: Failure) -> Self {
        self.failures.lock().unwrap().insert(name.to_owned(), failure);
        self
    }

    /// From now on nothing fails.
    pub(crate) fn heal(&self) {
        self.failures.lock().unwrap().clear();
    }

    /// The batches that were handed over, also those that failed.
    pub(crate) fn attempts(&self) -> Vec<Vec<String>> {
        self.attempts.lock().unwrap().clone()
    }

    /// How often an event was handed over.
    pub(crate) fn attempts_of(&self, name: &str) -> usize {
        self.attempts().iter().flatten().filter(|attempted| *attempted == name).count()
    }

    fn failure_of(&self, name: &str) -> Option<Failure> {
        let mut failures = self.failures.lock().unwrap();
        let failure = failures.get_mut(name)?;
        match failure {
            Failure::Transient(0) => return None,
            Failure::Transient(left) => *left -= 1,
            Failure::Permanent | Failure::Panic => {}
        }
        Some(*failure)
    }
}

impl<E: Named> Handler for Probe<E> {
    type Event = E;
    type Done = ();

    async fn handle(&self, tx: &mut PgTransaction<'_>, events: &[Received<E>]) -> Result<(), HandleError> {
        let names: Vec<String> = events.iter().map(|received| received.event.name().to_owned()).collect();
        self.attempts.lock().unwrap().push(names.clone());
        if names.iter().any(|name| name == "gate") {
            self.gate.acquire().await.transient()?.forget();
        }
        let ids: Vec<String> = events.iter().map(|received| received.event_id.clone()).collect();
        let mut trace = None;
        chassis::trace_context::inject(&mut |name, value| {
            if name == "traceparent" {
                trace = Some(value);
            }
        });
        sqlx::query(
            "insert into applied (consumer, name, event_id, trace)
             select $1, event.name, event.id, $4 from unnest($2::text[], $3::text[]) as event (name, id)",
        )
        .bind(self.consumer.name)
        .bind(&names)
        .bind(&ids)
        .bind(trace)
        .execute(&mut **tx)
        .await
        .transient()?;
        // Failures come after the effects: these have to be undone.
        for name in &names {
            match self.failure_of(name) {
                Some(Failure::Transient(_)) => Err(anyhow::anyhow!("not today")).transient()?,
                Some(Failure::Permanent) => Err(anyhow::anyhow!("never\never")).permanent()?,
                Some(Failure::Panic) => panic!("a mistake of the handler"),
                None => {}
            }
        }
        Ok(())
    }

    async fn committed(&self, (): ()) {}
}
