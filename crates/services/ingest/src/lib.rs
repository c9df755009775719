//! ingest: takes what carriers say about texts and records it as events.
//!
//! Verifies, normalises, publishes, and answers 200 only after JetStream has stored the event. It owns nothing and
//! needs nothing but NATS, so that it keeps working while every other service and PostgreSQL are down. What a message
//! means, to whom it belongs and whether it came before is decided by whoever consumes the event.

mod config;
mod error;
mod http;
mod model;
mod public_url;
mod twilio;

use anyhow::ensure;
use bus::{Bus, Publisher};
use chassis::serve::{listen, serve_http};
use chassis::{Clock, Health, Lifecycle, health};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use self::config::{Settings, TwilioSettings, WebhookSettings};
use self::http::Receiver;
use self::public_url::PublicUrl;
use self::twilio::TwilioAccount;

/// Every setting with its default, commented: the reference.
pub const DEFAULTS: &str = include_str!("../defaults.toml");

/// The ports of the service.
#[derive(Debug)]
pub struct Listeners {
    /// Webhooks: public.
    pub http: TcpListener,
    /// Health and metrics: not public.
    pub admin: TcpListener,
}

impl Listeners {
    /// Opens the ports of the settings.
    pub async fn bind(settings: &Settings) -> anyhow::Result<Self> {
        Ok(Self {
            http: listen("webhooks", &settings.http.listen).await?,
            admin: listen("health and metrics", &settings.process.admin.listen).await?,
        })
    }
}

/// Composes the service on the lifecycle and returns. Does not wait for NATS: until it is there, webhooks get 503.
pub async fn run(settings: Settings, listeners: Listeners, clock: Clock, lifecycle: Lifecycle) -> anyhow::Result<()> {
    let public_url = PublicUrl::parse(&settings.webhooks.public_url)?;
    ensure!(settings.webhooks.max_in_flight > 0, "`webhooks.max_in_flight` must be at least 1");
    warn_about(&settings, &public_url);

    let bus = Bus::connect(&settings.nats, "ingest").await?;
    let (publisher, in_use) = spawn_publisher(&bus, &lifecycle);

    let twilio = TwilioAccount::new(&settings.twilio);
    let max_in_flight = settings.webhooks.max_in_flight;
    let receiver = Receiver::new(public_url, twilio, max_in_flight, publisher, in_use, clock, lifecycle.clone());
    serve_http("webhooks", listeners.http, http::router(receiver), &lifecycle);

    let health = Health::new();
    health.check("nats", move || std::future::ready(bus.check()));
    health::serve_admin(listeners.admin, &health, &lifecycle);
    health.mark_started();
    Ok(())
}

/// Declares the streams, then stores events until the last webhook is answered.
///
/// The publisher does not watch the stop but the guard, which the receiver holds: an orderly stop answers nobody 503,
/// and without NATS nothing waits that nobody waits for.
fn spawn_publisher(bus: &Bus, lifecycle: &Lifecycle) -> (Publisher, DropGuard) {
    let (publisher, publishing) = Publisher::new(bus.clone(), CancellationToken::new());
    let (bus, unused) = (bus.clone(), CancellationToken::new());
    let in_use = unused.clone().drop_guard();
    lifecycle.spawn("publish events", async move {
        let work = async {
            bus.declare_until_done().await;
            publishing.await
        };
        tokio::select! {
            outcome = work => outcome,
            () = unused.cancelled() => Ok(()),
        }
    });
    (publisher, in_use)
}

fn warn_about(settings: &Settings, public_url: &PublicUrl) {
    if settings.twilio.auth_tokens.iter().all(chassis::Secret::is_empty) {
        tracing::warn!("`twilio.auth_tokens` is empty: every webhook of Twilio will be refused");
    }
    if public_url.is_plain_and_remote() {
        tracing::warn!("`webhooks.public_url` is http: message texts travel unencrypted");
    }
}

#[cfg(test)]
mod tests;
