//! ingest: takes what carriers say about texts and calls and records it as events; answers calls.
//!
//! Verifies, normalises, publishes, and answers a text with 200 only after JetStream has stored the event. It owns
//! nothing and needs nothing but NATS, so that it keeps working while every other service and PostgreSQL are down; calls
//! are forwarded even without NATS, along the last known routes. What a message means, to whom it belongs and whether it
//! came before is decided by whoever consumes the event.

mod account;
mod config;
mod error;
mod http;
mod model;
mod public_url;
mod record;
mod resumed;
mod routes;

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use bus::{Bus, follow_latest};
use chassis::serve::{listen, serve_http};
use chassis::{Clock, Health, Lifecycle, health};
use tokio::net::TcpListener;

use self::account::Account;
pub use self::config::{CallSettings, Settings, TelnyxSettings, TwilioSettings, WebhookSettings};
use self::http::{Places, Receiver};
use self::model::Forwarding;
use self::public_url::PublicUrl;
use self::record::Recorder;
use self::resumed::TurnedAway;
use self::routes::Routes;

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

/// Composes the service on the lifecycle and returns. Does not wait for NATS: until it is there, texts get 503, and
/// calls until the routes have been read once.
pub async fn run(settings: Settings, listeners: Listeners, clock: Clock, lifecycle: Lifecycle) -> anyhow::Result<()> {
    let public_url = PublicUrl::parse(&settings.webhooks.public_url)?;
    ensure!(settings.webhooks.max_in_flight > 0, "`webhooks.max_in_flight` must be at least 1");
    ensure!((5..=120).contains(&settings.calls.ring_seconds), "`calls.ring_seconds` must be 5 to 120");
    let accounts = [Account::twilio(&settings.twilio), Account::telnyx(&settings.telnyx)?];
    warn_about(&settings, &public_url);

    let bus = Bus::connect(&settings.nats, "ingest").await?;
    let recorder = Recorder::start(&bus, clock.clone(), &lifecycle);
    let turned_away = Arc::new(TurnedAway::before_start(Duration::from_secs(settings.webhooks.resumed_every_s)));
    lifecycle.spawn("tell that texts are taken again", {
        let (turned_away, recorder, stopping) = (turned_away.clone(), recorder.clone(), lifecycle.stopping());
        async move { turned_away.tell(stopping, || recorder.record_resumed()).await }
    });
    let routes = Routes::default();
    lifecycle.spawn("follow routes", follow_latest(bus.clone(), routes.clone(), lifecycle.stopping()));

    let receiver = Receiver {
        places: Places::new(settings.webhooks.max_in_flight),
        routes: routes.clone(),
        forwarding: Forwarding {
            addresses: public_url.addresses().clone(),
            ring_for: Duration::from_secs(settings.calls.ring_seconds),
        },
        public_url,
        recorder,
        turned_away,
        clock,
        lifecycle: lifecycle.clone(),
    };
    serve_http("webhooks", listeners.http, http::router(receiver, accounts), &lifecycle);

    let health = Health::new();
    // Calls need the routes and not NATS; and a text is answered 503 by the next replica as well.
    health.note("nats", move || std::future::ready(bus.check()));
    health.check("routes", move || std::future::ready(routes.check()));
    health::serve_admin(listeners.admin, &health, &lifecycle);
    health.mark_started();
    Ok(())
}

fn warn_about(settings: &Settings, public_url: &PublicUrl) {
    let twilio = settings.twilio.auth_tokens.iter().any(|token| !token.is_empty());
    let telnyx = settings.telnyx.public_keys.iter().any(|key| !key.is_empty());
    match (twilio, telnyx) {
        (true, true) => {}
        (true, false) => tracing::info!("`telnyx.public_keys` is empty: every webhook of Telnyx will be refused"),
        (false, true) => tracing::info!("`twilio.auth_tokens` is empty: every webhook of Twilio will be refused"),
        (false, false) => {
            tracing::warn!("`twilio.auth_tokens` and `telnyx.public_keys` are empty: every webhook will be refused");
        }
    }
    if public_url.is_plain_and_remote() {
        tracing::warn!("`webhooks.public_url` is http: message texts travel unencrypted");
    }
}

#[cfg(test)]
mod tests;
