//! The front door: who calls, what they ask, what happens while they look.
//!
//! It holds nothing durable and decides no rule of the product: it authenticates, checks shapes, asks the services
//! behind over gRPC, shows their answers as JSON, and follows the feed of every license that has clients
//! (rule 15). Any number of replicas may run.

mod auth;
mod config;
mod console;
mod error;
mod feed;
mod http;
mod upstreams;
mod views;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bus::Bus;
use chassis::health::serve_admin;
use chassis::serve::{listen, serve_http};
use chassis::{Clock, Health, Lifecycle};
use tokio::net::TcpListener;

pub use config::{AuthSettings, ConsoleSettings, CorsSettings, FeedSettings, Settings, UpstreamSettings};

use crate::auth::Verifier;
use crate::feed::Feeds;
use crate::http::App;
use crate::upstreams::Upstreams;

/// Every setting with its default: the reference.
pub const DEFAULTS: &str = include_str!("../defaults.toml");

/// Rule 15: a lost push is noticed at the latest then.
const LATEST_COMPARISON: Duration = Duration::from_secs(15);

/// The ports of the service, open.
#[derive(Debug)]
pub struct Listeners {
    /// REST and the live feed, for the public.
    pub http: TcpListener,
    /// Health and metrics.
    pub admin: TcpListener,
}

impl Listeners {
    pub async fn bind(settings: &Settings) -> anyhow::Result<Self> {
        let http = listen("the API", &settings.http.listen).await?;
        let admin = listen("health and metrics", &settings.process.admin.listen).await?;
        Ok(Self { http, admin })
    }
}

/// Starts the gateway on its listeners and returns; it runs until the lifecycle stops.
///
/// # Errors
/// Only settings that cannot work. Services and NATS may be away: then their calls answer 503 and the feed waits.
pub async fn run(settings: Settings, listeners: Listeners, clock: Clock, lifecycle: Lifecycle) -> anyhow::Result<()> {
    if settings.feed.heads_interval() > LATEST_COMPARISON {
        tracing::warn!("`feed.heads_interval_ms` is more than 15 seconds: a lost push shows later than clients expect");
    }
    let bus = Bus::connect(&settings.nats, "gateway").await?;
    let upstreams = Upstreams::new(&settings.upstreams)?;
    let verifier = Arc::new(Verifier::start(&settings.auth, clock.clone(), &lifecycle)?);
    let feeds = Feeds::start(settings.feed, bus, upstreams.feed.clone(), &lifecycle);
    let app = App { upstreams, verifier, feeds, clock, lifecycle: lifecycle.clone() };
    let console = console::pages(&settings.console)?;
    let router = http::router(app, &settings.cors, &settings.upstreams, console)?;

    // No checks: with a service or NATS away the rest still works, and another replica would see the same.
    let health = Health::new();
    serve_http("http", listeners.http, router, &lifecycle);
    serve_admin(listeners.admin, &health, &lifecycle);
    health.mark_started();
    Ok(())
}
