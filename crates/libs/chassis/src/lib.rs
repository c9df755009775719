//! How a process of Leaseline lives: settings, clock, telemetry, health, servers, shutdown, the database
//! pool, and the one mapping from an error to a status.
//!
//! A service is a library whose `run` takes settings, listeners and a [`Lifecycle`]; its `main.rs` is one call of
//! [`process::main`]. Five services may run in one process (tests, the dev stack), so nothing here is global
//! except the tracing subscriber and the metrics recorder, and both tolerate a second installation.
//!
//! This crate knows nothing about messages, numbers, licenses or NATS.

pub mod clock;
pub mod config;
pub mod database;
pub mod fault;
pub mod health;
pub mod lifecycle;
pub mod process;
pub mod secret;
pub mod serve;
pub mod settings;
pub mod steps;
pub mod telemetry;
pub mod trace_context;

pub use clock::Clock;
pub use fault::{Fault, FaultKind};
pub use health::Health;
pub use lifecycle::Lifecycle;
pub use secret::Secret;
pub use settings::{
    DatabaseSettings, ListenSettings, LogFormat, LogSettings, ProcessSettings, ShutdownSettings, TracingSettings,
};
