//! The service against a real database, real NATS and the real adapters, with the simulator as carrier.
//! A replica is driven step by step; a crash is a replica that is dropped.

#![expect(clippy::large_futures, reason = "a test owns its world")]

mod audit;
mod changes;
mod faults;
mod kills;
mod releases;
mod routes;
mod sending;
mod service;
mod wire;
pub(crate) mod world;
