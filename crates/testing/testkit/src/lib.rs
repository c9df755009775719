//! What tests stand on. Each test owns its world: a database, a NATS namespace, ports, a clock, a carrier.
//!
//! The engines are real and shared. `scripts/test` starts them and sets `LEASELINE_TEST_DATABASE_URL` and
//! `LEASELINE_TEST_NATS_URL`; without them a test fails and says so: nothing is skipped.

#![expect(clippy::panic, clippy::expect_used, reason = "a test that cannot get its world stops at once")]

mod database;
mod find;
mod gate;
mod simulator;

use std::time::Duration;

use chassis::Clock;
use chrono::{TimeZone, Utc};
use tokio::net::TcpListener;

pub use database::{Database, database, until_locked_out};
pub use find::{find_text, find_text_in_streams};
pub use gate::Gate;
pub use simulator::Simulator;

/// How long [`eventually`] waits for something that other tasks do.
const PATIENCE: Duration = Duration::from_secs(40);

/// NATS settings with a namespace that nobody else uses.
pub fn nats() -> bus::NatsSettings {
    bus::NatsSettings {
        url: engine("LEASELINE_TEST_NATS_URL"),
        user: String::new(),
        password: chassis::Secret::default(),
        namespace: format!("t{}", uuid::Uuid::now_v7().simple()),
        replicas: 1,
    }
}

/// A clock that stands still at 2026-03-02 15:00 UTC until it is moved.
pub fn clock() -> Clock {
    Clock::manual(Utc.with_ymd_and_hms(2026, 3, 2, 15, 0, 0).single().expect("a valid date"))
}

/// A free port on loopback.
pub async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a free port on loopback")
}

/// Asks until the answer is there, and fails with the last state when it does not come.
pub async fn eventually<T, S, F>(what: &str, mut ask: F) -> T
where
    S: std::fmt::Debug,
    F: AsyncFnMut() -> Result<T, S>,
{
    let start = tokio::time::Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(state) if start.elapsed() > PATIENCE => panic!("{what} did not happen; last seen: {state:?}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// The address of a shared engine: `LEASELINE_TEST_DATABASE_URL` or `LEASELINE_TEST_NATS_URL`.
pub fn engine(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: run the tests with scripts/test"))
}
