//! Notes every request to a carrier and what it was answered, and lets only those in who may.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chrono::Utc;

use crate::carrier::CarrierName;
use crate::connection::NoAnswer;
use crate::requests::LoggedRequest;
use crate::state::Simulator;

/// Larger than any request that a message can make.
pub(crate) const MAX_BODY: usize = 64 * 1024;

/// Answers the request, or what `authorise` says against it.
pub(crate) async fn watch<R: IntoResponse>(
    simulator: Arc<Simulator>,
    carrier: CarrierName,
    request: Request,
    next: Next,
    authorise: fn(&Simulator, &Parts) -> Result<(), R>,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let noted = LoggedRequest {
        carrier,
        method: parts.method.clone(),
        uri: parts.uri.clone(),
        body: body.clone(),
        received_at: Utc::now(),
        answer: None,
    };
    let ticket = simulator.requests().record(noted);
    let response = match authorise(&simulator, &parts) {
        Ok(()) => next.run(Request::from_parts(parts, Body::from(body))).await,
        Err(refusal) => refusal.into_response(),
    };
    if response.extensions().get::<NoAnswer>().is_none() {
        simulator.requests().mark_answered(ticket, response.status());
    }
    response
}
