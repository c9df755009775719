//! The connection to NATS, the namespace, and the declaration of what the catalogue lists.
//!
//! Connecting never blocks a start: a service comes up with NATS away and reports it through its readiness.

use std::time::Duration;

use async_nats::jetstream::{self, consumer, kv, stream};
use chassis::{Health, Lifecycle};
use proto::catalogue::{BUCKETS, CONSUMERS, DEAD_LETTER_PREFIX, DEAD_LETTERS, Retention, STREAMS};
use tokio::sync::watch;

use crate::{NatsSettings, dead_letters};

/// How long a publish may wait for its acknowledgement, the connection included.
pub(crate) const PUBLISH_TIMEOUT: Duration = Duration::from_secs(4);
/// Within this time the stream itself refuses an event id it has seen.
const DUPLICATE_WINDOW: Duration = Duration::from_mins(2);
/// An event that was not acknowledged within this time is given to another replica.
const ACK_WAIT: Duration = Duration::from_secs(10);
/// Dead letters are kept this long.
const DEAD_LETTER_AGE: Duration = Duration::from_hours(30 * 24);

/// Something on NATS did not work; all of it is worth a retry.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    #[error("the NATS settings are not usable")]
    Settings(#[source] anyhow::Error),
    #[error("stream {name} cannot be declared")]
    Stream { name: String, source: anyhow::Error },
    #[error("consumer {name} cannot be declared")]
    Consumer { name: String, source: anyhow::Error },
}

/// A connection to NATS under one namespace. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bus {
    client: async_nats::Client,
    jetstream: jetstream::Context,
    namespace: String,
    replicas: usize,
    declared: watch::Sender<bool>,
}

impl Bus {
    /// The bus of a service: connected in the background, watched by its readiness, and declaring the catalogue.
    ///
    /// # Errors
    /// Only for an unusable address.
    pub async fn start(
        settings: &NatsSettings,
        name: &str,
        health: &Health,
        lifecycle: &Lifecycle,
    ) -> Result<Self, BusError> {
        let bus = Self::connect(settings, name).await?;
        health.check("nats", {
            let bus = bus.clone();
            move || std::future::ready(bus.check())
        });
        lifecycle.spawn("declare streams", {
            let (bus, stopping) = (bus.clone(), lifecycle.stopping());
            async move {
                // Stopped before: the next start declares.
                let _ = stopping.run_until_cancelled(bus.declare_until_done()).await;
                Ok(())
            }
        });
        lifecycle.spawn("count dead letters", {
            let (bus, stopping) = (bus.clone(), lifecycle.stopping());
            async move {
                let _ = stopping.run_until_cancelled(dead_letters::keep_count(bus)).await;
                Ok(())
            }
        });
        Ok(bus)
    }

    /// Connects in the background: returns at once, also when NATS is away.
    ///
    /// # Errors
    /// Only for an unusable address.
    pub async fn connect(settings: &NatsSettings, name: &str) -> Result<Self, BusError> {
        let mut options = async_nats::ConnectOptions::new()
            .name(name)
            .retry_on_initial_connect()
            .connection_timeout(Duration::from_secs(5))
            .ping_interval(Duration::from_secs(10))
            .reconnect_delay_callback(|tries| {
                Duration::from_millis(100 * 2_u64.saturating_pow(u32::try_from(tries).unwrap_or(5).min(4)))
            })
            .event_callback(|event| async move { tracing::info!(%event, "NATS connection") });
        if !settings.user.is_empty() {
            options = options.user_and_password(settings.user.clone(), settings.password.expose().to_owned());
        }
        let servers: Vec<&str> = settings.url.split(',').map(str::trim).collect();
        let client = options.connect(servers).await.map_err(|error| BusError::Settings(error.into()))?;
        let jetstream = jetstream::ContextBuilder::new()
            .timeout(PUBLISH_TIMEOUT)
            .ack_timeout(PUBLISH_TIMEOUT)
            .build(client.clone());
        Ok(Self {
            client,
            jetstream,
            namespace: settings.namespace.clone(),
            replicas: settings.replicas,
            declared: watch::Sender::new(false),
        })
    }

    /// The connection itself, for what is not stored (the feed's pushes).
    pub fn client(&self) -> &async_nats::Client {
        &self.client
    }

    pub(crate) fn jetstream(&self) -> &jetstream::Context {
        &self.jetstream
    }

    /// A subject under this installation's namespace.
    pub fn subject(&self, subject: &str) -> String {
        if self.namespace.is_empty() { subject.to_owned() } else { format!("{}.{subject}", self.namespace) }
    }

    /// A stream's name under this installation's namespace.
    pub(crate) fn stream_name(&self, name: &str) -> String {
        if self.namespace.is_empty() { name.to_owned() } else { format!("{}_{name}", self.namespace.to_uppercase()) }
    }

    /// Is NATS reachable right now? For readiness.
    ///
    /// # Errors
    /// A sentence that says what is missing.
    pub fn check(&self) -> Result<(), String> {
        match self.client.connection_state() {
            async_nats::connection::State::Connected => Ok(()),
            _ => Err("NATS is not connected".to_owned()),
        }
    }

    /// Declares every stream and durable of the catalogue. Idempotent; run by every service, in any order.
    ///
    /// # Errors
    /// [`BusError`] when NATS is away or refuses a definition.
    pub async fn declare(&self) -> Result<(), BusError> {
        for stream in STREAMS {
            let retention = match stream.retention {
                Retention::WorkQueue => stream::RetentionPolicy::WorkQueue,
                Retention::Interest => stream::RetentionPolicy::Interest,
            };
            self.declare_stream(stream::Config {
                name: self.stream_name(stream.name),
                subjects: vec![self.subject(stream.subjects)],
                retention,
                // Full means: refuse the new event and keep the old ones. The publisher tries again.
                discard: stream::DiscardPolicy::New,
                storage: stream::StorageType::File,
                num_replicas: self.replicas,
                duplicate_window: DUPLICATE_WINDOW,
                allow_atomic_publish: true,
                ..Default::default()
            })
            .await?;
        }
        self.declare_stream(stream::Config {
            name: self.stream_name(DEAD_LETTERS),
            subjects: vec![self.subject(&format!("{DEAD_LETTER_PREFIX}.>"))],
            storage: stream::StorageType::File,
            num_replicas: self.replicas,
            max_age: DEAD_LETTER_AGE,
            ..Default::default()
        })
        .await?;
        for bucket in BUCKETS {
            self.declare_bucket(bucket).await?;
        }
        for definition in CONSUMERS {
            let config = consumer::pull::Config {
                durable_name: Some(definition.name.to_owned()),
                filter_subject: self.subject(definition.subject),
                ack_policy: consumer::AckPolicy::Explicit,
                ack_wait: ACK_WAIT,
                max_ack_pending: 4_096,
                ..Default::default()
            };
            self.jetstream
                .create_consumer_on_stream(config, self.stream_name(definition.stream))
                .await
                .map_err(|error| BusError::Consumer { name: definition.name.to_owned(), source: error.into() })?;
        }
        self.declared.send_replace(true);
        Ok(())
    }

    async fn declare_bucket(&self, name: &str) -> Result<(), BusError> {
        let bucket = self.stream_name(name);
        let config = kv::Config {
            bucket: bucket.clone(),
            history: 1,
            storage: stream::StorageType::File,
            num_replicas: self.replicas,
            ..Default::default()
        };
        self.jetstream
            .create_or_update_key_value(config)
            .await
            .map_err(|error| BusError::Stream { name: bucket, source: error.into() })?;
        Ok(())
    }

    async fn declare_stream(&self, config: stream::Config) -> Result<(), BusError> {
        let name = config.name.clone();
        self.jetstream
            .create_or_update_stream(config)
            .await
            .map_err(|error| BusError::Stream { name, source: error.into() })?;
        Ok(())
    }

    /// Declares until it works. What publishes or consumes waits for it.
    pub async fn declare_until_done(&self) {
        let mut delay = Duration::from_millis(100);
        while let Err(error) = self.declare().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot declare streams yet");
            tokio::time::sleep(delay).await;
            delay = (delay * 2).min(Duration::from_secs(5));
        }
    }

    /// Waits until the catalogue is declared by this process.
    pub async fn declared(&self) {
        // The sender lives in `self`: this cannot fail while we wait.
        let _ = self.declared.subscribe().wait_for(|declared| *declared).await;
    }

    /// Removes everything of this namespace: for tests, which share one server.
    ///
    /// # Errors
    /// [`BusError`] when NATS is away.
    pub async fn delete_streams(&self) -> Result<(), BusError> {
        for name in STREAMS.iter().map(|stream| stream.name).chain([DEAD_LETTERS]) {
            let name = self.stream_name(name);
            self.jetstream
                .delete_stream(&name)
                .await
                .map_err(|error| BusError::Stream { name: name.clone(), source: error.into() })?;
        }
        for name in BUCKETS {
            let name = self.stream_name(name);
            self.jetstream
                .delete_key_value(&name)
                .await
                .map_err(|error| BusError::Stream { name: name.clone(), source: error.into() })?;
        }
        Ok(())
    }
}
