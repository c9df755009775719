//! Problem documents (RFC 9457), for the engineer who reads the carrier's console.

use axum::response::{IntoResponse, Response};
use chassis::Fault;
use http::header;
use serde_json::json;

pub(super) fn problem(fault: &Fault) -> Response {
    let status = fault.http_status();
    let body = json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or_default(),
        "status": status.as_u16(),
        "code": fault.code,
        "detail": fault.detail,
    });
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
}
