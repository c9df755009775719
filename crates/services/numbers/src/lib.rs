//! The numbers service: licenses' company settings and their one messages number.
//!
//! It owns who has which number (rules 1 and 2) and buys numbers at the carrier by a saga that survives a crash at
//! every step (rule 5). It sends no texts and knows nothing about people, conversations or managers.

mod acquire;
mod config;
mod error;
mod model;
mod rpc;
mod store;

use std::sync::Arc;

use bus::{Bus, Relay};
use carriers::twilio::Twilio;
use chassis::{Clock, Health, Lifecycle, database, health, serve};
use proto::numbers::numbers_service_server::NumbersServiceServer;
use tokio::net::TcpListener;
use tonic::service::Routes;

use crate::acquire::Acquirer;
pub use crate::config::{PhoneNumberSettings, Settings, WebhookSettings};
use crate::rpc::Rpc;
use crate::store::Store;

/// Every setting with its default and its comment.
pub const DEFAULTS: &str = include_str!("../defaults.toml");

/// The tables of this service.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../../../migrations/numbers");

/// The largest gRPC request that is read, in bytes.
const MAX_REQUEST: usize = 8 << 20;

/// The open ports of one service.
#[derive(Debug)]
pub struct Listeners {
    pub grpc: TcpListener,
    pub admin: TcpListener,
}

impl Listeners {
    /// Opens the ports that the settings name.
    pub async fn bind(settings: &Settings) -> anyhow::Result<Self> {
        Ok(Self {
            grpc: serve::listen("gRPC", &settings.grpc.listen).await?,
            admin: serve::listen("health and metrics", &settings.process.admin.listen).await?,
        })
    }
}

/// Composes the service and starts it on the lifecycle.
pub async fn run(settings: Settings, listeners: Listeners, clock: Clock, lifecycle: Lifecycle) -> anyhow::Result<()> {
    let carrier = Arc::new(Twilio::new(&settings.twilio)?);
    let webhooks = settings.webhooks.for_twilio()?;

    let health = Health::new();
    health::serve_admin(listeners.admin, &health, &lifecycle);
    let migrations = [("_bus_migrations", &bus::MIGRATIONS), ("_migrations", &MIGRATIONS)];
    let pool = database::start(&settings.database, "numbers", &migrations, &health).await?;
    let bus = Bus::start(&settings.nats, "numbers", &health, &lifecycle).await?;
    let relay = Relay::new(pool.clone(), bus);
    lifecycle.spawn("relay", relay.clone().run(lifecycle.stopping()));

    let store = Store::new(pool);
    let acquirer =
        Acquirer::new(store.clone(), carrier, webhooks, settings.twilio.request_timeout(), clock.clone(), relay);
    lifecycle.spawn("acquire numbers", acquirer.clone().run(lifecycle.stopping()));

    let rpc = Rpc::new(store, acquirer, clock, settings.phone_numbers, lifecycle.clone());
    let service = NumbersServiceServer::new(rpc).max_decoding_message_size(MAX_REQUEST);
    serve::serve_grpc("gRPC", listeners.grpc, Routes::new(service), &lifecycle);
    health.mark_started();
    Ok(())
}

#[cfg(test)]
mod tests;
