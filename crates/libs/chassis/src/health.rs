//! The admin port: is this process alive, started, ready; and its metrics.
//!
//! `live` says only that the runtime answers, so that a database outage never restarts a service. `ready` asks
//! every dependency, each at most a second long. The port stays open while the service stops (`ready` is 503
//! then) and closes last. It is not for the public.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures_util::future::{BoxFuture, join_all};
use http::{StatusCode, header};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::lifecycle::Lifecycle;
use crate::telemetry::metrics_handle;

const CHECK_TIMEOUT: Duration = Duration::from_secs(1);
/// Histograms keep every sample until somebody drains them; this bounds it when nobody fetches the metrics.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

type Ask = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;
type Failures = BTreeMap<&'static str, String>;

#[derive(Clone)]
struct Check {
    name: &'static str,
    required: bool,
    ask: Ask,
}

/// What a service knows about its own health. Clones are the same.
#[derive(Clone, Default)]
pub struct Health(Arc<Inner>);

#[derive(Default)]
struct Inner {
    started: AtomicBool,
    checks: Mutex<Vec<Check>>,
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.checks().into_iter().map(|check| check.name).collect();
        f.debug_struct("Health").field("started", &self.is_started()).field("checks", &names).finish()
    }
}

impl Health {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a dependency that has to work before requests are welcome. The closure answers `Err(why)` in words that
    /// may be shown to an operator; it is given one second.
    pub fn check<F, Fut>(&self, name: &'static str, check: F)
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.add(name, true, check);
    }

    /// Adds a dependency without which a part of the service still works: its loss is shown, and requests stay welcome.
    pub fn note<F, Fut>(&self, name: &'static str, check: F)
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.add(name, false, check);
    }

    fn add<F, Fut>(&self, name: &'static str, required: bool, check: F)
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        let check = Check { name, required, ask: Arc::new(move || Box::pin(check())) };
        self.0.checks.lock().unwrap_or_else(PoisonError::into_inner).push(check);
    }

    /// Everything is composed: migrations ran, listeners listen, consumers consume.
    pub fn mark_started(&self) {
        self.0.started.store(true, Ordering::Release);
    }

    fn is_started(&self) -> bool {
        self.0.started.load(Ordering::Acquire)
    }

    fn checks(&self) -> Vec<Check> {
        self.0.checks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is wrong, by name of the check: of what is required (empty means ready), and of the rest.
    async fn list_failures(&self) -> (Failures, Failures) {
        let outcomes = self.checks().into_iter().map(|Check { name, required, ask }| async move {
            let outcome = tokio::time::timeout(CHECK_TIMEOUT, ask()).await;
            let why = match outcome {
                Ok(Ok(())) => return None,
                Ok(Err(why)) => why,
                Err(_) => "no answer within a second".to_owned(),
            };
            Some((required, name, why))
        });
        let (mut failed, mut impaired) = (Failures::new(), Failures::new());
        for (required, name, why) in join_all(outcomes).await.into_iter().flatten() {
            if required { &mut failed } else { &mut impaired }.insert(name, why);
        }
        (failed, impaired)
    }

    /// The routes of the admin port.
    pub fn router(&self, lifecycle: &Lifecycle) -> Router {
        let admin = Admin { health: self.clone(), stopping: lifecycle.stopping() };
        Router::new()
            .route("/health/live", get(live))
            .route("/health/startup", get(startup))
            .route("/health/ready", get(ready))
            .route("/metrics", get(metrics))
            .with_state(admin)
    }
}

/// Serves the admin port until all other work of the service has ended.
pub fn serve_admin(listener: TcpListener, health: &Health, lifecycle: &Lifecycle) {
    let ended = lifecycle.ended();
    let router = health.router(lifecycle);
    tokio::spawn(async move {
        let handle = metrics_handle();
        let upkeep = async {
            let mut ticks = tokio::time::interval(UPKEEP_INTERVAL);
            loop {
                ticks.tick().await;
                handle.run_upkeep();
            }
        };
        tokio::select! {
            served = async { axum::serve(listener, router).await } => {
                if let Err(error) = served {
                    tracing::error!(%error, "the admin port closed");
                }
            }
            () = upkeep => {}
            () = ended.cancelled() => {}
        }
    });
}

#[derive(Clone)]
struct Admin {
    health: Health,
    stopping: CancellationToken,
}

async fn live() -> Response {
    answer(StatusCode::OK, "live")
}

async fn startup(State(admin): State<Admin>) -> Response {
    if admin.health.is_started() {
        answer(StatusCode::OK, "started")
    } else {
        answer(StatusCode::SERVICE_UNAVAILABLE, "starting")
    }
}

async fn ready(State(admin): State<Admin>) -> Response {
    if admin.stopping.is_cancelled() {
        return answer(StatusCode::SERVICE_UNAVAILABLE, "stopping");
    }
    if !admin.health.is_started() {
        return answer(StatusCode::SERVICE_UNAVAILABLE, "starting");
    }
    let (failed, impaired) = admin.health.list_failures().await;
    let (code, status) =
        if failed.is_empty() { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") };
    (code, Json(json!({ "status": status, "failed": failed, "impaired": impaired }))).into_response()
}

async fn metrics() -> Response {
    let handle = metrics_handle();
    handle.run_upkeep();
    let format = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (format, handle.render()).into_response()
}

fn answer(code: StatusCode, status: &str) -> Response {
    (code, Json(json!({ "status": status }))).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use http::Request;
    use serde_json::Value;
    use tower::ServiceExt as _;

    use super::*;

    async fn ask(health: &Health, lifecycle: &Lifecycle, path: &str) -> (u16, Value) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = health.router(lifecycle).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    #[tokio::test]
    async fn a_service_is_alive_at_once_and_ready_when_it_has_started() {
        let (health, lifecycle) = (Health::new(), Lifecycle::new());
        assert_eq!(ask(&health, &lifecycle, "/health/live").await.0, 200);
        assert_eq!(ask(&health, &lifecycle, "/health/startup").await.0, 503);
        assert_eq!(ask(&health, &lifecycle, "/health/ready").await.0, 503);
        health.mark_started();
        assert_eq!(ask(&health, &lifecycle, "/health/startup").await.0, 200);
        assert_eq!(ask(&health, &lifecycle, "/health/ready").await.0, 200);
    }

    #[tokio::test]
    async fn what_is_wrong_is_named_and_a_check_that_hangs_is_wrong() {
        let (health, lifecycle) = (Health::new(), Lifecycle::new());
        health.mark_started();
        health.check("database", async || Err("away".to_owned()));
        health.check("nats", std::future::pending);
        health.check("numbers", async || Ok(()));
        let (status, body) = ask(&health, &lifecycle, "/health/ready").await;
        assert_eq!(status, 503);
        assert_eq!(body["failed"], json!({"database": "away", "nats": "no answer within a second"}));
    }

    #[tokio::test]
    async fn what_only_a_part_of_the_service_needs_is_shown_and_keeps_it_ready() {
        let (health, lifecycle) = (Health::new(), Lifecycle::new());
        health.mark_started();
        health.note("nats", async || Err("away".to_owned()));
        let (status, body) = ask(&health, &lifecycle, "/health/ready").await;
        assert_eq!((status, &body["impaired"]), (200, &json!({ "nats": "away" })));
        health.check("database", async || Err("away".to_owned()));
        assert_eq!(ask(&health, &lifecycle, "/health/ready").await.0, 503);
    }

    #[tokio::test]
    async fn a_service_that_stops_is_not_ready_but_still_answers() {
        let (health, lifecycle) = (Health::new(), Lifecycle::new());
        health.mark_started();
        lifecycle.stop();
        let (status, body) = ask(&health, &lifecycle, "/health/ready").await;
        assert_eq!((status, &body["status"]), (503, &json!("stopping")));
        assert_eq!(ask(&health, &lifecycle, "/health/live").await.0, 200);
    }

    #[tokio::test]
    async fn the_admin_port_closes_when_all_work_has_ended() {
        let (health, lifecycle) = (Health::new(), Lifecycle::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        serve_admin(listener, &health, &lifecycle);
        lifecycle.stop();
        tokio::net::TcpStream::connect(address).await.unwrap();
        lifecycle.finish(Duration::from_secs(5)).await.unwrap();
        let closed = async {
            while tokio::net::TcpStream::connect(address).await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), closed).await.unwrap();
    }
}
