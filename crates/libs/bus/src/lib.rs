//! Everything that is hard about distributed messaging, written once.
//!
//! - [`Bus`]: the connection, the namespace, and the declaration of all streams and durables of the catalogue.
//! - [`outbox`] and [`Relay`]: a state change and its event are one transaction; the relay publishes afterwards.
//! - [`Publisher`]: for ingest, which has no database: stores events directly, many in one go.
//! - [`Bus::put_latest`] and [`follow_latest`]: a state instead of a fact, for every replica of a reader.
//! - [`consume`]: runs a [`Handler`] over batches of events: one transaction, deduplicated, retried, dead-lettered.
//! - [`Intake`]: the same for events that a service finds by itself, because they never came through a stream.
//! - [`DeadLetters`]: look at what could not be digested, put it back, or drop it.
//!
//! A handler never acknowledges, retries or dead-letters: only this crate does.

mod connection;
mod consume;
mod dead_letters;
mod envelope;
mod fields;
mod inbox;
mod intake;
mod latest;
pub mod outbox;
mod publisher;
mod relay;
mod settings;

pub use connection::{Bus, BusError};
pub use consume::{Classify, HandleError, Handler, Received, consume};
pub use dead_letters::{Buried, DeadLetter, DeadLetters, Opened};
pub use envelope::Outgoing;
pub use fields::{Field, Shape};
pub use inbox::{renounce, sweep as sweep_inbox};
pub use intake::Intake;
pub use latest::{Follower, follow_latest};
pub use publisher::{PublishError, Publisher};
pub use relay::Relay;
pub use settings::NatsSettings;

/// The tables of this crate, applied to the database of every service that publishes or consumes.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../../../migrations/bus");
