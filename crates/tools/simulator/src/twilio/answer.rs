//! Twilio's error body, and lists cut into pages.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::fields::{BadField, Fields};

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

    /// The queue of the sender is full.
    pub(super) fn queue_full(from: &str) -> Self {
        let message = format!("The 'From' phone number {from} has exceeded the maximum number of queued messages");
        Self::new(StatusCode::TOO_MANY_REQUESTS, 21611, message)
    }

    pub(super) fn server_error() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, 20500, "An internal server error has occurred")
    }
}

impl From<BadField> for Refusal {
    fn from(bad: BadField) -> Self {
        match bad {
            BadField::Unplayed(name) => {
                Self::bad_request(20001, format!("The simulator does not play the parameter {name}"))
            }
            BadField::NotANumber(name) => Self::bad_request(20001, format!("{name} must be a whole number")),
        }
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
    let shown = items.by_ref().take(size).map(show).collect();
    let uri = |page: usize| format!("{path}?{}", fields.to_query_with(&[("Page", Some(&page.to_string()))]));
    let next = items.next().map(|_| uri(page + 1));
    let previous = page.checked_sub(1).map(uri);
    Ok(wrap(name, shown, (page, size), [Some(uri(0)), Some(uri(page)), next, previous]))
}

/// The same, cut by places instead of counts: `PageToken` names the place after which a page begins, so that what is bought
/// or released between two pages moves nothing from one to the other. The items come with falling places.
pub(super) fn page_by_token<T>(
    name: &str,
    path: &str,
    fields: &Fields,
    items: impl Iterator<Item = (u64, T)>,
    show: impl Fn(T) -> Value,
) -> Result<Response, Refusal> {
    let size = fields.get_number("PageSize", 50)?.clamp(1, 1_000);
    let page = fields.get_number("Page", 0)?;
    let bad_token = || Refusal::bad_request(20001, "PageToken must be that of a next_page_uri");
    let after = match fields.find("PageToken") {
        Some(token) => {
            let place = token.strip_prefix("PA").and_then(|place| u64::from_str_radix(place, 16).ok());
            Some(place.ok_or_else(bad_token)?)
        }
        None if page > 0 => return Err(bad_token()),
        None => None,
    };
    let mut items = items.filter(|(place, _)| after.is_none_or(|after| *place < after));
    let mut last = after;
    let shown = items
        .by_ref()
        .take(size)
        .map(|(place, item)| {
            last = Some(place);
            show(item)
        })
        .collect();
    let uri = |page: usize, after: Option<u64>| {
        let (page, token) = (page.to_string(), after.map(|place| format!("PA{place:032x}")));
        format!("{path}?{}", fields.to_query_with(&[("Page", Some(&page)), ("PageToken", token.as_deref())]))
    };
    let next = items.next().map(|_| uri(page + 1, last));
    Ok(wrap(name, shown, (page, size), [Some(uri(0, None)), Some(uri(page, after)), next, None]))
}

fn wrap(
    name: &str,
    shown: Vec<Value>,
    (page, size): (usize, usize),
    [first, own, next, previous]: [Option<String>; 4],
) -> Response {
    let mut body = json!({
        "page": page,
        "page_size": size,
        "first_page_uri": first,
        "next_page_uri": next,
        "previous_page_uri": previous,
        "uri": own,
    });
    body[name] = Value::Array(shown);
    Json(body).into_response()
}
