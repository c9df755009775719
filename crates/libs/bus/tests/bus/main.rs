//! What the crate promises, on a real PostgreSQL and a real NATS. Each test has a database and a namespace of its own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests stop at the first surprise")]

mod consumer;
mod dead_letters;
mod intake;
mod latest;
mod outbox;
mod probe;
mod publisher;
mod trace;
mod world;
