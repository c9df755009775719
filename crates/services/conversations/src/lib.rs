//! The conversations service: people and their numbers, conversations, messages, and the feed of each license.
//!
//! Owns the truth of what was written and what became of it (rules 6–12, 15, 17 of the design). It sends nothing itself:
//! it announces what is to be sent (`conversations.message.queued`) and hears of the rest. From carriers it fetches what
//! came with messages beside their texts, and texts whose webhooks were lost.
//!
//! `model/` decides, `store/` holds the only SQL, `rpc/`, `events/` and `due.rs` (what was scheduled) are the ways in.

mod accept;
mod backfill;
mod config;
mod due;
mod erase;
mod error;
mod events;
mod fetch;
mod index;
mod model;
mod objects;
mod pace;
mod progress;
mod push;
mod rpc;
mod store;
mod sweep;
#[cfg(test)]
mod tests;

use bus::{Bus, Intake, Relay, consume};
use chassis::{Clock, Health, Lifecycle, database, health, serve};
use proto::catalogue;
use sqlx::migrate::Migrator;
use tokio::net::TcpListener;

pub use config::{BackfillSettings, MediaSettings, PhoneNumberSettings, Settings};

/// Every setting with its default and its comment.
pub const DEFAULTS: &str = include_str!("../defaults.toml");

/// The tables of this service, beside those of [`bus::MIGRATIONS`].
pub static MIGRATIONS: Migrator = sqlx::migrate!("../../../migrations/conversations");

/// The sockets that the service serves on.
#[derive(Debug)]
pub struct Listeners {
    pub grpc: TcpListener,
    pub admin: TcpListener,
}

impl Listeners {
    /// Binds what the settings name.
    ///
    /// # Errors
    /// When an address is taken or unusable.
    pub async fn bind(settings: &Settings) -> anyhow::Result<Self> {
        Ok(Self {
            grpc: serve::listen("gRPC", &settings.grpc.listen).await?,
            admin: serve::listen("admin", &settings.process.admin.listen).await?,
        })
    }
}

/// Composes the service and starts it on the lifecycle.
///
/// # Errors
/// When the settings are unusable, or the database cannot be reached and migrated in time.
pub async fn run(settings: Settings, listeners: Listeners, clock: Clock, lifecycle: Lifecycle) -> anyhow::Result<()> {
    anyhow::ensure!(settings.media.in_flight > 0, "LEASELINE_MEDIA_IN_FLIGHT must be at least 1");
    settings.backfill.check()?;
    let carriers = settings.connect_carriers()?;
    let objects = objects::Objects::open(&settings.media.store)?;

    let health = Health::new();
    health::serve_admin(listeners.admin, &health, &lifecycle);

    let migrations = [("_bus_migrations", &bus::MIGRATIONS), ("_migrations", &MIGRATIONS)];
    let pool = database::start(&settings.database, "conversations", &migrations, &health).await?;
    let bus = Bus::start(&settings.nats, "conversations", &health, &lifecycle).await?;

    let relay = Relay::new(pool.clone(), bus.clone());
    lifecycle.spawn("relay the outbox", relay.clone().run(lifecycle.stopping()));
    let (pusher, pushing) = push::Pusher::new(pool.clone(), bus.clone(), lifecycle.stopping());
    lifecycle.spawn("push the feed", pushing);
    lifecycle.spawn("index words", index::run(pool.clone(), pusher.changed(), lifecycle.stopping()));
    lifecycle.spawn("sweep", sweep::run(pool.clone(), clock.clone(), pusher.clone(), lifecycle.stopping()));
    lifecycle.spawn(
        "tell how batches get on",
        progress::run(pool.clone(), clock.clone(), pusher.clone(), lifecycle.stopping()),
    );
    let due = due::DueSends { pool: pool.clone(), clock: clock.clone(), relay: relay.clone(), pusher: pusher.clone() };
    lifecycle.spawn("send what is due", due.run(lifecycle.stopping()));
    let eraser = erase::Eraser::new(pool.clone(), bus.clone(), clock.clone());
    lifecycle.spawn("erase", eraser.clone().run(lifecycle.stopping()));

    let fetcher = fetch::Fetcher {
        pool: pool.clone(),
        clock: clock.clone(),
        pusher: pusher.clone(),
        carriers: carriers.clone(),
        objects: objects.clone(),
        limits: settings.media.limits(),
        in_flight: settings.media.in_flight,
    };
    lifecycle.spawn("fetch media", fetcher.clone().run(lifecycle.stopping()));
    lifecycle.spawn("erase media", fetcher.run_erasing(lifecycle.stopping()));

    if settings.backfill.every_s > 0 {
        let intake = Intake::new(
            bus.clone(),
            pool.clone(),
            clock.clone(),
            catalogue::CONVERSATIONS_MESSAGE_RECEIVED,
            events::MessageReceived::new(pusher.clone()),
        );
        let backfiller = backfill::Backfiller::new(pool.clone(), clock.clone(), carriers, intake, &settings.backfill);
        lifecycle.spawn("look for missed texts", backfiller.run(lifecycle.stopping()));
    }

    macro_rules! consume {
        ($name:literal, $consumer:expr, $handler:expr) => {
            lifecycle.spawn(
                $name,
                consume(bus.clone(), pool.clone(), clock.clone(), $consumer, $handler, lifecycle.stopping()),
            );
        };
    }
    consume!("learn numbers", catalogue::CONVERSATIONS_NUMBER_ASSIGNED, events::NumberAssigned::new(pusher.clone()));
    consume!("learn companies", catalogue::CONVERSATIONS_COMPANY_CHANGED, events::CompanyChanged::new(pusher.clone()));
    consume!("note calls", catalogue::CONVERSATIONS_CALL_UPDATED, events::CallUpdated::new(pusher.clone()));
    consume!(
        "take answers in",
        catalogue::CONVERSATIONS_MESSAGE_RECEIVED,
        events::MessageReceived::new(pusher.clone())
    );
    consume!("hear of outages", catalogue::CONVERSATIONS_RECEIVING_RESUMED, events::ReceivingResumed);
    consume!(
        "follow sends",
        catalogue::CONVERSATIONS_MESSAGE_PROGRESSED,
        events::Reported::<proto::dispatch::MessageProgressed>::new(pusher.clone())
    );
    consume!(
        "follow receipts",
        catalogue::CONVERSATIONS_RECEIPT_RECEIVED,
        events::Reported::<proto::ingest::ReceiptReceived>::new(pusher.clone())
    );

    let routes = rpc::routes(rpc::Context {
        pool,
        clock,
        relay,
        pusher,
        eraser,
        phone_numbers: settings.phone_numbers,
        objects,
    });
    serve::serve_grpc("gRPC", listeners.grpc, routes, &lifecycle);
    health.mark_started();
    Ok(())
}
