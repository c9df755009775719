//! The world of one test: a database with the tables of the crate and of the probe, a namespace, its parts.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::jetstream;
use bus::{Bus, DeadLetter, DeadLetters, NatsSettings, Relay};
use chassis::Clock;
use proto::catalogue::Consumer;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use testkit::Gate;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::probe::{Named, Probe};

pub(crate) struct World {
    pub(crate) pool: PgPool,
    url: String,
    pub(crate) nats: NatsSettings,
    pub(crate) bus: Bus,
    pub(crate) clock: Clock,
    pub(crate) stopping: CancellationToken,
    _stop: DropGuard,
    _database: testkit::Database,
}

pub(crate) fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("m{number}")).collect()
}

impl World {
    /// Streams and durables are declared.
    pub(crate) async fn new() -> Self {
        let database = testkit::database(&[("_bus_migrations", &bus::MIGRATIONS)]).await;
        sqlx::query("create table applied (consumer text, name text, event_id text, trace text)")
            .execute(&database.pool)
            .await
            .unwrap();
        let nats = testkit::nats();
        let bus = Bus::connect(&nats, "test").await.unwrap();
        bus.declare_until_done().await;
        let stopping = CancellationToken::new();
        Self {
            pool: database.pool.clone(),
            url: database.url.clone(),
            _database: database,
            nats,
            bus,
            clock: testkit::clock(),
            _stop: stopping.clone().drop_guard(),
            stopping,
        }
    }

    /// Leaves nothing on the shared server.
    pub(crate) async fn end(self) {
        self.stopping.cancel();
        self.bus.delete_streams().await.unwrap();
    }

    pub(crate) fn start_relay(&self) -> Relay {
        let relay = Relay::new(self.pool.clone(), self.bus.clone());
        tokio::spawn(relay.clone().run(self.stopping.clone()));
        relay
    }

    pub(crate) fn start<E: Named>(&self, probe: &Probe<E>) {
        self.start_on(&self.pool, &self.bus, probe, &self.stopping);
    }

    pub(crate) fn start_on<E: Named>(
        &self,
        pool: &PgPool,
        bus: &Bus,
        probe: &Probe<E>,
        stopping: &CancellationToken,
    ) -> JoinHandle<anyhow::Result<()>> {
        tokio::spawn(bus::consume(
            bus.clone(),
            pool.clone(),
            self.clock.clone(),
            probe.consumer,
            probe.clone(),
            stopping.clone(),
        ))
    }

    /// A second connection to NATS, which goes through a gate.
    pub(crate) async fn gated_bus(&self) -> (Gate, Bus) {
        let gate = Gate::start(&self.nats.url).await;
        let settings = NatsSettings { url: gate.through(&self.nats.url), ..self.nats.clone() };
        let bus = Bus::connect(&settings, "gated").await.unwrap();
        (gate, bus)
    }

    /// A second pool, which goes through a gate.
    pub(crate) async fn gated_pool(&self) -> (Gate, PgPool) {
        let gate = Gate::start(&self.url).await;
        let pool = PgPoolOptions::new()
            .acquire_timeout(Duration::from_millis(200))
            .connect_lazy(&gate.through(&self.url))
            .unwrap();
        (gate, pool)
    }

    /// Records events in one transaction and commits it.
    pub(crate) async fn record<E: Named>(&self, names: &[impl AsRef<str>]) {
        let events: Vec<E> = names.iter().map(|name| E::named(name.as_ref())).collect();
        let mut tx = self.pool.begin().await.unwrap();
        bus::outbox::record(&mut tx, &events, self.clock.now()).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Publishes past the outbox, with exactly these headers.
    pub(crate) async fn publish_raw(&self, subject: &str, headers: &[(&str, &str)], payload: Vec<u8>) {
        let mut map = async_nats::HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, *value);
        }
        self.jetstream()
            .publish_with_headers(self.bus.subject(subject), map, payload.into())
            .await
            .unwrap()
            .await
            .unwrap();
    }

    pub(crate) async fn outbox(&self) -> i64 {
        sqlx::query_scalar("select count(*) from outbox").fetch_one(&self.pool).await.unwrap()
    }

    pub(crate) async fn until_outbox_is_empty(&self) {
        testkit::eventually("an empty outbox", async || match self.outbox().await {
            0 => Ok(()),
            rows => Err(rows),
        })
        .await;
    }

    /// How often each event has had its effect at this consumer.
    pub(crate) async fn applied(&self, consumer: Consumer) -> BTreeMap<String, i64> {
        sqlx::query_as("select name, count(*) from applied where consumer = $1 group by name")
            .bind(consumer.name)
            .fetch_all(&self.pool)
            .await
            .unwrap()
            .into_iter()
            .collect()
    }

    /// Waits until these events and no others have had their effect, each once, and everything is acknowledged.
    pub(crate) async fn until_applied_once(&self, consumer: Consumer, names: &[impl AsRef<str>]) {
        let expected: BTreeMap<String, i64> = names.iter().map(|name| (name.as_ref().to_owned(), 1)).collect();
        testkit::eventually("every event applied", async || {
            let applied = self.applied(consumer).await;
            if applied.len() >= expected.len() { Ok(()) } else { Err((applied.len(), expected.len())) }
        })
        .await;
        self.until_nothing_is_left(consumer).await;
        assert_eq!(self.applied(consumer).await, expected);
    }

    /// Waits until the consumer owes the stream nothing.
    pub(crate) async fn until_nothing_is_left(&self, consumer: Consumer) {
        testkit::eventually("every event acknowledged", async || {
            let info = self.consumer(consumer).await;
            let left = (info.num_pending, info.num_ack_pending);
            if left == (0, 0) { Ok(()) } else { Err(left) }
        })
        .await;
    }

    pub(crate) async fn consumer(&self, consumer: Consumer) -> jetstream::consumer::Info {
        let stream = self.jetstream().get_stream_no_info(self.stream_name(consumer.stream)).await.unwrap();
        stream.consumer_info(consumer.name).await.unwrap()
    }

    /// Waits until so many events are handed out and not yet acknowledged.
    pub(crate) async fn until_handed_out(&self, consumer: Consumer, count: usize) {
        testkit::eventually("events handed out", async || match self.consumer(consumer).await.num_ack_pending {
            pending if pending == count => Ok(()),
            pending => Err(pending),
        })
        .await;
    }

    /// How many events a stream has stored since it exists.
    pub(crate) async fn stored(&self, stream: &str) -> u64 {
        let stream = self.jetstream().get_stream(self.stream_name(stream)).await.unwrap();
        stream.cached_info().state.last_sequence
    }

    pub(crate) fn dead_letters(&self) -> DeadLetters {
        DeadLetters::new(self.bus.clone())
    }

    pub(crate) async fn until_dead_letters(&self, count: usize) -> Vec<DeadLetter> {
        testkit::eventually("dead letters", async || {
            let letters = self.dead_letters().list(100).await.unwrap();
            if letters.len() == count { Ok(letters) } else { Err(letters) }
        })
        .await
    }

    fn jetstream(&self) -> jetstream::Context {
        jetstream::new(self.bus.client().clone())
    }

    fn stream_name(&self, name: &str) -> String {
        format!("{}_{name}", self.nats.namespace.to_uppercase())
    }
}
