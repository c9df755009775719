//! Journeys: all five services, real PostgreSQL and NATS, the real Twilio adapter against the carrier simulator,
//! driven from outside through the public API, the phones and the feed.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a journey stops at the first surprise")]

mod architecture;
mod kills;
mod live;
mod main_job;
mod outages;
mod queries;
mod secrecy;
mod world;
