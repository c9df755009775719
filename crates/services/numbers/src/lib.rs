//! The numbers service: licenses' company settings and their one messages number.
//!
//! It owns who has which number (rules 1 and 2), offers numbers and changes them (rules 3 and 4), and buys and gives
//! back numbers at the carriers by a saga that survives a crash at every step (rule 5). It tells who answers calls
//! where a number rings (rule 6). It sends no texts and knows nothing about people, conversations or managers.

mod acquire;
mod audit;
mod calls;
mod config;
mod error;
mod generate;
mod licenses;
mod model;
mod release;
mod routes;
mod rpc;
mod save;
mod store;

use bus::{Bus, Relay};
use chassis::{Clock, Health, Lifecycle, database, health, serve};
use proto::numbers::numbers_service_server::NumbersServiceServer;
use tokio::net::TcpListener;
use tonic::service::Routes;

use crate::acquire::Acquirer;
use crate::audit::Auditor;
pub use crate::config::{
    AuditSettings, CarrierSettings, PhoneNumberSettings, ReleaseSettings, Settings, WebhookSettings,
};
use crate::generate::Generator;
use crate::licenses::Licenses;
use crate::release::Releaser;
use crate::routes::RoutePublisher;
use crate::rpc::Rpc;
use crate::save::{Patience, Saver};
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
    let (calls, default_carrier) = settings.connect_carriers()?;
    let webhooks = settings.webhooks.addresses()?;

    let health = Health::new();
    health::serve_admin(listeners.admin, &health, &lifecycle);
    let migrations = [("_bus_migrations", &bus::MIGRATIONS), ("_migrations", &MIGRATIONS)];
    let pool = database::start(&settings.database, "numbers", &migrations, &health).await?;
    let bus = Bus::start(&settings.nats, "numbers", &health, &lifecycle).await?;
    let relay = Relay::new(pool.clone(), bus.clone());
    lifecycle.spawn("relay", relay.clone().run(lifecycle.stopping()));

    let store = Store::new(pool);
    let routes = RoutePublisher::new(store.clone(), bus, clock.clone());
    lifecycle.spawn("publish routes", routes.clone().run(lifecycle.stopping()));
    let acquirer = Acquirer::new(
        store.clone(),
        calls.clone(),
        webhooks.clone(),
        settings.release.delay(),
        clock.clone(),
        relay.clone(),
        routes.clone(),
    );
    lifecycle.spawn("acquire numbers", acquirer.clone().run(lifecycle.stopping()));
    let releaser = Releaser::new(store.clone(), calls.clone(), clock.clone());
    lifecycle.spawn("release numbers", releaser.run(lifecycle.stopping()));
    let auditor = Auditor::new(store.clone(), calls.clone(), webhooks, clock.clone());
    if let Some(interval) = settings.audit.interval() {
        lifecycle.spawn("audit", auditor.clone().run(interval, settings.audit.repair, lifecycle.stopping()));
    }

    let generator = Generator::new(store.clone(), calls.clone(), clock.clone());
    let saver = Saver::new(store.clone(), acquirer.clone(), clock.clone(), lifecycle.clone(), Patience::OF_CALLERS);
    let phone_numbers = settings.phone_numbers;
    let licenses = Licenses { store, calls, default_carrier, phone_numbers, clock, acquirer, relay, routes };
    let rpc = Rpc::new(licenses, generator, saver, auditor, lifecycle.clone());
    let service = NumbersServiceServer::new(rpc).max_decoding_message_size(MAX_REQUEST);
    serve::serve_grpc("gRPC", listeners.grpc, Routes::new(service), &lifecycle);
    health.mark_started();
    Ok(())
}

#[cfg(test)]
mod tests;
