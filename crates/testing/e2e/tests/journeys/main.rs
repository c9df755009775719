//! Journeys: all five services, real PostgreSQL and NATS, the real adapters of carriers against the carrier simulator,
//! driven from outside through the public API, the phones and the feed.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a journey stops at the first surprise")]

mod architecture;
mod calls;
mod consent;
mod kills;
mod lines;
mod live;
mod main_job;
mod number_changes;
mod outages;
mod people;
mod queries;
mod secrecy;
mod world;
