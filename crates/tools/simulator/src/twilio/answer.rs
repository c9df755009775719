//! Twilio's error body, and lists cut into pages.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Fields;

/// An answer that says no, with a code of Twilio's error dictionary.
pub(super) struct Refusal {
    status: StatusCode,
    code: u32,
    message: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: u32, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// HTTP 400 with this code.
    pub(super) fn bad_request(code: u32, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(super) fn not_found(path: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, 20404, format!("The requested resource {path} was not found"))
    }

    pub(super) fn too_many_requests() -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, 20429, "Too Many Requests")
    }

    /// A parameter that Twilio may know and the simulator does not play.
    pub(super) fn unplayed(name: &str) -> Self {
        Self::bad_request(20001, format!("The simulator does not play the parameter {name}"))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({
            "code": self.code,
            "message": self.message,
            "more_info": format!("https://www.twilio.com/docs/errors/{}", self.code),
            "status": self.status.as_u16(),
        });
        (self.status, Json(body)).into_response()
    }
}

/// One page of a list, in Twilio's shape. `path` is the list's own, without query.
pub(super) fn page<T>(
    name: &str,
    path: &str,
    fields: &Fields,
    items: impl Iterator<Item = T>,
    show: impl Fn(T) -> Value,
) -> Result<Response, Refusal> {
    let size = fields.get_number("PageSize", 50)?.clamp(1, 1_000);
    let page = fields.get_number("Page", 0)?;
    let mut items = items.skip(size.saturating_mul(page));
    let shown: Vec<Value> = items.by_ref().take(size).map(show).collect();
    let uri = |page: usize| format!("{path}?{}", fields.to_query_with_page(page));
    let next = items.next().map(|_| uri(page + 1));
    let mut body = json!({
        "page": page,
        "page_size": size,
        "first_page_uri": uri(0),
        "next_page_uri": next,
        "previous_page_uri": page.checked_sub(1).map(uri),
        "uri": uri(page),
    });
    body[name] = Value::Array(shown);
    Ok(Json(body).into_response())
}
