//! dispatch: the delivery queue. Hands each message to a carrier at most once (rule 16), at the pace of its number
//! (rule 18), and says what became of it.
//!
//! It copies what is queued into its own database, calls carriers, and publishes the outcomes. It does not know
//! conversations, people or consent, and it never sends again what a carrier may have taken.

mod call;
mod config;
mod error;
mod events;
mod inquire;
mod lookup;
mod model;
mod record;
mod release;
mod rpc;
mod send;
mod slots;
mod store;
mod sweep;

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use bus::{Bus, Handler, Relay};
use carriers::{Carriers, WebhookAddresses};
use chassis::serve::{listen, serve_grpc};
use chassis::{Clock, Health, Lifecycle, database, health};
use proto::catalogue::{
    Consumer, DISPATCH_MESSAGE_QUEUED, DISPATCH_NUMBER_ASSIGNED, DISPATCH_RECEIPT_RECEIVED, DISPATCH_SENDING_CHANGED,
    DISPATCH_SENDING_WITHDRAWN,
};
use proto::dispatch::dispatch_service_server::DispatchServiceServer;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use self::call::Caller;
pub use self::config::{
    DeliverySettings, InquirySettings, LimitError, LimitSettings, LookupSettings, PaceSettings, Settings,
    WebhookSettings,
};
use self::events::{
    MessageQueuedHandler, NumberAssignedHandler, ReceiptReceivedHandler, SendingChangedHandler, SendingWithdrawnHandler,
};
use self::inquire::Inquirer;
use self::lookup::Lookups;
use self::model::Pace;
use self::release::Releaser;
use self::rpc::Rpc;
use self::send::{Hint, Limits, Sender};
use self::store::Store;
use self::sweep::Sweeper;

/// Every setting with its default, commented: the reference.
pub const DEFAULTS: &str = include_str!("../defaults.toml");

/// The tables of this service.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../../../migrations/dispatch");

/// Of what a caller may send us, in bytes.
const MESSAGE_LIMIT: usize = 8 << 20;

/// The ports of the service.
#[derive(Debug)]
pub struct Listeners {
    /// For the other services.
    pub grpc: TcpListener,
    /// Health and metrics: not public.
    pub admin: TcpListener,
}

impl Listeners {
    /// Opens the ports of the settings.
    pub async fn bind(settings: &Settings) -> anyhow::Result<Self> {
        Ok(Self {
            grpc: listen("gRPC", &settings.grpc.listen).await?,
            admin: listen("health and metrics", &settings.process.admin.listen).await?,
        })
    }
}

/// Composes the service on the lifecycle and returns. Waits for PostgreSQL, up to a minute, and not for NATS.
pub async fn run(settings: Settings, listeners: Listeners, clock: Clock, lifecycle: Lifecycle) -> anyhow::Result<()> {
    let limits = read_limits(&settings)?;
    let caller = connect_carriers(&settings)?;
    let carriers = caller.carriers.names();
    let times = settings.inquiries.times();

    let health = Health::new();
    health::serve_admin(listeners.admin, &health, &lifecycle);
    let migrations = [("_bus_migrations", &bus::MIGRATIONS), ("_migrations", &MIGRATIONS)];
    let pool = database::start(&settings.database, "dispatch", &migrations, &health).await?;
    let bus = Bus::start(&settings.nats, "dispatch", &health, &lifecycle).await?;

    let store = Store::new(pool.clone(), times);
    let hint = Hint::default();
    let relay = Relay::new(pool.clone(), bus.clone());

    let consumers = Consumers { bus, pool: pool.clone(), clock: clock.clone(), lifecycle: &lifecycle };
    consumers.spawn(
        "consume number assigned",
        DISPATCH_NUMBER_ASSIGNED,
        NumberAssignedHandler { clock: clock.clone(), hint: hint.clone(), carriers: carriers.clone() },
    );
    consumers.spawn(
        "consume sending changed",
        DISPATCH_SENDING_CHANGED,
        SendingChangedHandler { clock: clock.clone(), hint: hint.clone() },
    );
    let by_network = limits.tree.is_on();
    consumers.spawn(
        "consume message queued",
        DISPATCH_MESSAGE_QUEUED,
        MessageQueuedHandler { clock: clock.clone(), by_network, hint: hint.clone(), relay: relay.clone() },
    );
    consumers.spawn(
        "consume sending withdrawn",
        DISPATCH_SENDING_WITHDRAWN,
        SendingWithdrawnHandler { clock: clock.clone(), relay: relay.clone() },
    );
    consumers.spawn(
        "consume receipt received",
        DISPATCH_RECEIPT_RECEIVED,
        ReceiptReceivedHandler { clock: clock.clone(), relay: relay.clone(), keep_lines: limits.keep_lines, times },
    );

    let releaser = Releaser { store: store.clone(), clock: clock.clone(), hint: hint.clone() };
    lifecycle.spawn("release", releaser.run(lifecycle.stopping()));
    let inquirer = Inquirer {
        store: store.clone(),
        carriers: caller.carriers.clone(),
        clock: clock.clone(),
        in_flight: settings.inquiries.in_flight,
        lease: limits.attempt_deadline,
        keep_lines: limits.keep_lines,
        hint: hint.clone(),
        relay: relay.clone(),
    };
    lifecycle.spawn("ask carriers", inquirer.run(lifecycle.stopping()));

    // The relay outlives the sender, so that the outcomes of the last calls are published before the end.
    let all_recorded = CancellationToken::new();
    let (pace, tree) = (limits.pace, Arc::clone(&limits.tree));
    let sender = Sender::new(store.clone(), caller, clock.clone(), limits, hint, relay.clone());
    lifecycle.spawn("send", {
        let (stopping, recorded) = (lifecycle.stopping(), all_recorded.clone().drop_guard());
        async move {
            let outcome = sender.run(stopping).await;
            drop(recorded);
            outcome
        }
    });
    lifecycle.spawn("relay", relay.clone().run(all_recorded));

    let sweeper = Sweeper { store: store.clone(), clock: clock.clone(), settings: settings.delivery.clone(), relay };
    lifecycle.spawn("sweep", sweeper.run(lifecycle.stopping()));
    lifecycle.spawn("sweep inbox", sweep::sweep_inbox(pool.clone(), clock.clone(), lifecycle.stopping()));

    let service = DispatchServiceServer::new(Rpc::new(store, clock, pace, tree, carriers))
        .max_decoding_message_size(MESSAGE_LIMIT);
    serve_grpc("gRPC", listeners.grpc, Routes::new(service), &lifecycle);

    health.mark_started();
    Ok(())
}

/// What each consumer of the bus needs.
struct Consumers<'a> {
    bus: Bus,
    pool: PgPool,
    clock: Clock,
    lifecycle: &'a Lifecycle,
}

impl Consumers<'_> {
    fn spawn<H: Handler>(&self, name: &'static str, consumer: Consumer, handler: H) {
        let (bus, pool, clock) = (self.bus.clone(), self.pool.clone(), self.clock.clone());
        self.lifecycle.spawn(name, bus::consume(bus, pool, clock, consumer, handler, self.lifecycle.stopping()));
    }
}

fn read_limits(settings: &Settings) -> anyhow::Result<Limits> {
    let delivery = &settings.delivery;
    ensure!(delivery.in_flight > 0, "`delivery.in_flight` must be at least 1");
    ensure!(
        (1..=delivery.in_flight).contains(&delivery.in_flight_per_lane),
        "`delivery.in_flight_per_lane` must be at least 1 and at most `delivery.in_flight`"
    );
    let inquiries = &settings.inquiries;
    ensure!(inquiries.in_flight > 0, "`inquiries.in_flight` must be at least 1");
    ensure!(
        (12..=86_400).contains(&inquiries.confirm_within_s),
        "`inquiries.confirm_within_s` must be between 12 and 86,400"
    );
    let lookup = &settings.lookup;
    ensure!(lookup.keep_days > 0, "`lookup.keep_days` must be at least 1");
    ensure!(lookup.timeout_ms > 0, "`lookup.timeout_ms` must be at least 1");
    ensure!(
        delivery.attempt_deadline_ms >= longest_call_ms(settings).saturating_mul(2),
        "`delivery.attempt_deadline_ms` must be at least twice as long as a call may take: the `request_timeout_ms` of \
         the slowest carrier in use, and `lookup.timeout_ms` before it; else calls that are still under way would \
         count as left behind"
    );
    Ok(Limits {
        tree: Arc::new(settings.limits.read()?),
        pace: Pace::per_second(settings.pace.segments_per_second)
            .context("`pace.segments_per_second` is not usable")?,
        in_flight: delivery.in_flight,
        in_flight_per_lane: delivery.in_flight_per_lane,
        attempt_deadline: delivery.attempt_deadline(),
        keep_lines: lookup.keep(),
    })
}

/// A lookup and a send happen in one attempt.
fn longest_call_ms(settings: &Settings) -> u64 {
    let timeouts = [
        settings.twilio.is_set().then_some(settings.twilio.request_timeout_ms),
        settings.telnyx.is_set().then_some(settings.telnyx.request_timeout_ms),
    ];
    let send = timeouts.into_iter().flatten().max().unwrap_or(0);
    let lookup = if settings.lookup.enabled { settings.lookup.timeout_ms } else { 0 };
    send.saturating_add(lookup)
}

fn connect_carriers(settings: &Settings) -> anyhow::Result<Caller> {
    let addresses = WebhookAddresses::parse(&settings.webhooks.base_url)
        .context("`webhooks.base_url` must be the public address of ingest, for example https://hooks.example.com")?;
    Ok(Caller {
        carriers: Carriers::connect(&settings.twilio, &settings.telnyx)?,
        addresses,
        lookups: settings.lookup.enabled.then(|| Lookups::new(settings.lookup.timeout())),
    })
}

#[cfg(test)]
mod tests;
