//! The gateway as its callers see it: over HTTP, with real NATS and services that a test plays.

mod auth;
mod batches;
mod calls;
mod consent;
mod console;
mod deleting;
mod description;
mod feed;
mod importing;
mod marks;
mod media;
mod number;
mod reading;
mod scheduled;
mod searching;
mod sending;
mod services;
mod sse;
mod strangers;
mod tokens;
mod writing;

use std::time::Duration;

use chassis::{Clock, Lifecycle, Secret};
use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::{Listeners, Settings, run};
use services::Services;
use tokens::{Token, token};

/// A running gateway and what is behind it.
struct World {
    services: Services,
    settings: Settings,
    clock: Clock,
    gateway: Gateway,
    http: reqwest::Client,
}

struct Gateway {
    url: String,
    lifecycle: Lifecycle,
}

/// An answer, read.
struct Answer {
    status: u16,
    headers: http::HeaderMap,
    body: Value,
}

impl World {
    async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// `change` sees the settings before they are used.
    async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        chassis::process::install_tls();
        let services = Services::start().await;
        let mut settings: Settings = chassis::config::load(crate::DEFAULTS, None, &|_| None).unwrap();
        settings.nats = testkit::nats();
        settings.auth.static_keys = vec![Secret::new(tokens::SECRET)];
        settings.upstreams.numbers_url.clone_from(&services.url);
        settings.upstreams.conversations_url.clone_from(&services.url);
        settings.upstreams.dispatch_url.clone_from(&services.url);
        settings.feed.heads_interval_ms = 100;
        change(&mut settings);
        let clock = testkit::clock();
        let gateway = Gateway::start(&settings, &clock).await;
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap();
        Self { services, settings, clock, gateway, http }
    }

    /// Another gateway over the same services, instead of the first.
    async fn restart(&mut self) {
        self.gateway.lifecycle.finish(Duration::from_secs(10)).await.unwrap();
        self.gateway = Gateway::start(&self.settings, &self.clock).await;
    }

    fn request(&self, method: &str, path: &str, bearer: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.gateway.url);
        self.http.request(method.parse().unwrap(), url).bearer_auth(bearer)
    }

    /// Asks as a manager of `acme`.
    async fn get(&self, path: &str) -> Answer {
        read(self.request("GET", path, &token(Token::default()))).await
    }

    async fn send(&self, method: &str, path: &str, bearer: &str, body: &Value) -> Answer {
        read(self.request(method, path, bearer).json(body)).await
    }
}

impl Gateway {
    async fn start(settings: &Settings, clock: &Clock) -> Self {
        let listeners = Listeners { http: testkit::listener().await, admin: testkit::listener().await };
        let url = format!("http://{}", listeners.http.local_addr().unwrap());
        let lifecycle = Lifecycle::new();
        run(settings.clone(), listeners, clock.clone(), lifecycle.clone()).await.unwrap();
        Self { url, lifecycle }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.lifecycle.stop();
    }
}

impl Answer {
    /// (status, code, field) of a problem document.
    fn problem(&self) -> (u16, &str, Option<&str>) {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{}", self.body);
        assert_eq!(self.body["status"], self.status);
        (self.status, self.body["code"].as_str().unwrap(), self.body["field"].as_str())
    }
}

async fn read(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.bytes().await.unwrap();
    Answer { status, headers, body: serde_json::from_slice(&body).unwrap_or_default() }
}

/// When everything in these tests happened.
fn a_time() -> DateTime<Utc> {
    DateTime::from_timestamp(1_772_463_600, 0).unwrap()
}
