//! One span and one measurement for each request, and the time it may take. Every request starts a trace of its own:
//! a stranger's `traceparent` would choose what we keep.
//!
//! Addresses are recorded as their pattern (`/v1/people/{person_id}`), never as they were: a query may hold names.

use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use chassis::Fault;
use tracing::Instrument as _;

use crate::error::Problem;

/// Measures until the answer begins; a stream's length is not a request's duration.
pub(super) async fn observe(request: Request, next: Next) -> Response {
    let start = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    // Anybody can invent methods; a metric must not grow with them.
    let method = match request.method().as_str() {
        known @ ("GET" | "HEAD" | "PUT" | "POST" | "PATCH" | "DELETE" | "OPTIONS") => known.to_owned(),
        _ => "other".to_owned(),
    };
    let span = tracing::info_span!("request", %method, %route, status = tracing::field::Empty);
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    span.record("status", status);
    let labels = [("method", method), ("route", route), ("status", status.to_string())];
    metrics::histogram!("gateway_request_seconds", &labels).record(start.elapsed());
    response
}

/// A request that takes too long is answered; a write that it started goes on.
pub(super) async fn limit_time(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::from(Fault::service_unavailable()).into_response(),
    }
}
