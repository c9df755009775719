//! The API of design §3: its routes, and what holds for all of them.
//!
//! A handler reads the request, asks a service, and shows the answer. Reads end with the client that asked;
//! writes go on without it ([`App::finish`]).

mod batches;
mod calls;
mod consent;
mod conversations;
mod deletion;
mod estimates;
mod extract;
mod feed;
mod import;
mod media;
mod messages;
mod number;
mod observe;
mod openapi;
mod people;
mod preview;
mod reading;
mod scheduled;
mod search;
mod sending;
mod settings;
mod transcript;
mod unmatched;

use std::any::Any;
use std::sync::Arc;

use anyhow::Context as _;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use chassis::{Clock, Fault, Lifecycle};
use http::{HeaderName, HeaderValue, Method, header};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{LICENSE_HEADER, Verifier};
use crate::config::{CorsSettings, UpstreamSettings};
use crate::error::Problem;
use crate::feed::Feeds;
use crate::upstreams::Upstreams;

/// A send names up to 10,000 recipients.
const MESSAGES_BODY_BYTES: usize = 2 * 1024 * 1024;
const BODY_BYTES: usize = 64 * 1024;
const PREFLIGHT_MAX_AGE: std::time::Duration = std::time::Duration::from_mins(10);

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) upstreams: Upstreams,
    pub(crate) verifier: Arc<Verifier>,
    pub(crate) feeds: Feeds,
    pub(crate) clock: Clock,
    pub(crate) lifecycle: Lifecycle,
}

impl App {
    /// Does a write to its end, also when the client hangs up in the middle of it.
    async fn finish<T, F>(&self, write: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Problem>> + Send + 'static,
    {
        match self.lifecycle.spawn_tracked(write).await {
            Ok(outcome) => outcome,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a write did not end");
                Err(Fault::internal().into())
            }
        }
    }
}

/// All of it: routes, limits, CORS, problem documents for what no route takes. The console's pages are not for other
/// origins, whatever CORS allows.
pub(crate) fn router(
    app: App,
    cors: &CorsSettings,
    limits: &UpstreamSettings,
    console: axum::Router,
) -> anyhow::Result<axum::Router> {
    let (routes, api) = routes(limits).split_for_parts();
    Ok(routes
        .fallback(async || Problem::unknown_path())
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .with_state(app)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(CatchPanicLayer::custom(answer_panic))
        .layer(middleware::map_response(forbid_storing))
        .merge(openapi::pages(api))
        .layer(middleware::from_fn(observe::observe))
        .layer(cors_layer(cors)?)
        .merge(console.layer(middleware::from_fn(observe::observe))))
}

fn routes(limits: &UpstreamSettings) -> OpenApiRouter<App> {
    let sends = OpenApiRouter::new()
        .routes(routes!(messages::send_messages))
        .routes(routes!(preview::preview_messages))
        .layer(DefaultBodyLimit::max(MESSAGES_BODY_BYTES));
    let asking_carriers = OpenApiRouter::new()
        .routes(routes!(number::create_candidate))
        .routes(routes!(number::put_number))
        .layer(middleware::from_fn_with_state(limits.carrier_timeout(), observe::limit_time));
    OpenApiRouter::with_openapi(openapi::description())
        .routes(routes!(settings::put_license))
        .routes(routes!(settings::get_settings))
        .routes(routes!(settings::put_company))
        .routes(routes!(sending::put_quiet_hours, sending::delete_quiet_hours))
        .routes(routes!(sending::put_registration))
        .routes(routes!(people::list_people))
        .routes(routes!(import::import_people))
        .routes(routes!(people::put_person, people::get_person, people::delete_person))
        .merge(sends)
        .routes(routes!(messages::get_message))
        .routes(routes!(messages::send_again))
        .routes(routes!(media::get_media))
        .routes(routes!(batches::list_batches))
        .routes(routes!(batches::get_batch))
        .routes(routes!(batches::list_batch_messages))
        .routes(routes!(batches::cancel_batch))
        .routes(routes!(scheduled::list_scheduled))
        .routes(routes!(scheduled::get_scheduled, scheduled::update_scheduled, scheduled::cancel_scheduled))
        .routes(routes!(conversations::list_conversations))
        .routes(routes!(conversations::get_conversation, deletion::delete_conversation))
        .routes(routes!(conversations::list_messages))
        .routes(routes!(reading::mark_read))
        .routes(routes!(transcript::get_transcript))
        .routes(routes!(consent::list_events))
        .routes(routes!(consent::put_consent))
        .routes(routes!(search::search))
        .routes(routes!(unmatched::list_unmatched))
        .routes(routes!(unmatched::tie_unmatched))
        .routes(routes!(unmatched::list_blocked_numbers, unmatched::block_number))
        .routes(routes!(unmatched::unblock_number))
        .routes(routes!(calls::list_calls))
        .routes(routes!(feed::follow_feed))
        .layer(middleware::from_fn_with_state(limits.timeout(), observe::limit_time))
        .merge(asking_carriers)
}

fn cors_layer(settings: &CorsSettings) -> anyhow::Result<CorsLayer> {
    let origins = if settings.allowed_origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        let parsed = settings.allowed_origins.iter().map(|origin| {
            HeaderValue::from_str(origin).with_context(|| format!("`{origin}` of `cors.allowed_origins` is no origin"))
        });
        AllowOrigin::list(parsed.collect::<anyhow::Result<Vec<_>>>()?)
    };
    Ok(CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::PUT, Method::POST, Method::PATCH, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("last-event-id"),
            HeaderName::from_static(LICENSE_HEADER),
        ])
        .expose_headers([header::RETRY_AFTER, header::CONTENT_DISPOSITION])
        .max_age(PREFLIGHT_MAX_AGE))
}

async fn forbid_storing(mut response: Response) -> Response {
    let headers = response.headers_mut();
    // Media say themselves who may keep them.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The panic itself was written to stderr where it happened.
fn answer_panic(_: Box<dyn Any + Send + 'static>) -> Response {
    metrics::counter!("gateway_panics_total").increment(1);
    Problem::from(Fault::internal()).into_response()
}
