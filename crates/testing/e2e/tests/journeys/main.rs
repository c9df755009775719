//! Journeys: all five services, real PostgreSQL and NATS, the real adapters of carriers against the carrier simulator,
//! driven from outside through the public API, the phones and the feed.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a journey stops at the first surprise")]

mod adapters;
mod architecture;
mod backfill;
mod batches;
mod calls;
mod consent;
mod deletion;
mod finding_out;
mod kills;
mod lines;
mod live;
mod main_job;
mod media;
mod number_changes;
mod outages;
mod people;
mod queries;
mod secrecy;
mod strangers;
mod world;
