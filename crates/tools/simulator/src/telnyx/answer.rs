//! Telnyx's error body, its pages, and JSON bodies that name what is wrong with them.

use axum::Json;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde_json::{Value, json};

use crate::fields::{BadField, Fields};
use crate::witness::MAX_BODY;

const PAGE: usize = 20;
const MAX_PAGE: usize = 250;

/// An answer that says no, with a code of Telnyx's error list. Codes are texts there.
pub(super) struct Refusal {
    status: StatusCode,
    code: u32,
    detail: String,
    /// `pointer` into the body or `parameter` of the query.
    source: Option<Value>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: u32, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), source: None }
    }

    /// HTTP 422 with this code.
    pub(super) fn unprocessable(code: u32, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    /// HTTP 400 with this code: how Telnyx refuses a message.
    pub(super) fn bad_request(code: u32, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, 10005, "The requested resource or URL could not be found.")
    }

    pub(super) fn unauthorised() -> Self {
        let detail = "The required authentication headers were either invalid or not included in the request.";
        Self::new(StatusCode::UNAUTHORIZED, 10009, detail)
    }

    pub(super) fn too_many_requests() -> Self {
        let detail = "You have exceeded the maximum number of allowed requests.";
        Self::new(StatusCode::TOO_MANY_REQUESTS, 10011, detail)
    }

    /// The queue of the sender is full.
    pub(super) fn queue_full() -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, 40318, "The message queue of the sender is full.")
    }

    pub(super) fn server_error() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, 10007, "An unexpected error occured.")
    }

    pub(super) fn missing(parameter: &str) -> Self {
        Self::unprocessable(10004, format!("{parameter} is required.")).at_parameter(parameter)
    }

    pub(super) fn at_parameter(self, parameter: &str) -> Self {
        Self { source: Some(json!({ "parameter": parameter })), ..self }
    }

    pub(super) fn at_pointer(self, pointer: &str) -> Self {
        Self { source: Some(json!({ "pointer": pointer })), ..self }
    }
}

fn title(code: u32) -> &'static str {
    match code {
        10002 => "Invalid phone number",
        10004 => "Missing required parameter",
        10005 => "Resource not found",
        10007 => "Unexpected error",
        10009 => "Authentication failed",
        10011 => "Too many requests",
        10015 => "Bad Request",
        10027 => "Unprocessable Entity",
        20100 => "Insufficient Funds",
        40300 => "Blocked due to STOP message",
        40302 => "Message too large",
        40305 => "Invalid 'from' address",
        40310 => "Invalid 'to' address",
        40316 => "No content provided",
        40317 => "Invalid MMS content",
        40318 => "Message queue full",
        85000 => "Number was not searched for",
        85001 => "Phone numbers no longer available",
        85004 => "Invalid connection id",
        85005 => "Invalid messaging profile id",
        _ => "Error",
    }
}

impl From<BadField> for Refusal {
    fn from(bad: BadField) -> Self {
        match bad {
            BadField::Unplayed(name) => {
                Self::unprocessable(10027, format!("The simulator does not play the parameter {name}"))
                    .at_parameter(&name)
            }
            BadField::NotANumber(name) => {
                Self::unprocessable(10027, format!("{name} must be a whole number")).at_parameter(name)
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut error = json!({
            "code": self.code.to_string(),
            "title": title(self.code),
            "detail": self.detail,
            "meta": { "url": format!("https://developers.telnyx.com/docs/overview/errors/{}", self.code) },
        });
        if let Some(source) = self.source {
            error["source"] = source;
        }
        let mut response = (self.status, Json(json!({ "errors": [error] }))).into_response();
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            for (name, value) in [
                ("x-ratelimit-limit", "50"),
                ("x-ratelimit-remaining", "0"),
                ("x-ratelimit-reset", "1"),
                ("retry-after", "1"),
            ] {
                response.headers_mut().insert(name, HeaderValue::from_static(value));
            }
        }
        response
    }
}

#[derive(Serialize)]
struct Data {
    data: Value,
}

/// `{"data": …}`
pub(super) fn data(data: Value) -> Response {
    Json(Data { data }).into_response()
}

/// One page of a list, chosen by `page[number]` (from 1) and `page[size]`.
pub(super) fn page<T>(
    fields: &Fields,
    items: impl IntoIterator<Item = T>,
    show: impl Fn(T) -> Value,
) -> Result<Response, Refusal> {
    let size = fields.get_number("page[size]", PAGE)?.clamp(1, MAX_PAGE);
    let number = fields.get_number("page[number]", 1)?.max(1);
    let items: Vec<T> = items.into_iter().collect();
    let meta = json!({
        "total_pages": items.len().div_ceil(size),
        "total_results": items.len(),
        "page_number": number,
        "page_size": size,
    });
    let shown: Vec<Value> = items.into_iter().skip((number - 1).saturating_mul(size)).take(size).map(show).collect();
    Ok(Json(json!({ "data": shown, "meta": meta })).into_response())
}

/// A JSON body, not yet read as anything.
pub(super) struct Body(pub(super) Value);

impl Body {
    /// A field that the simulator does not play is refused by name.
    pub(super) fn read<T: DeserializeOwned>(self) -> Result<T, Refusal> {
        serde_json::from_value(self.0).map_err(|error| {
            let sentence = error.to_string();
            let code = if sentence.starts_with("missing field") { 10004 } else { 10027 };
            let named = sentence.split('`').nth(1).map(|name| format!("/{name}"));
            let refusal = if sentence.starts_with("unknown field") {
                Refusal::unprocessable(code, format!("The simulator does not play this: {sentence}"))
            } else {
                Refusal::unprocessable(code, sentence)
            };
            match named {
                Some(pointer) => refusal.at_pointer(&pointer),
                None => refusal,
            }
        })
    }
}

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Self::Rejection> {
        let malformed = || Refusal::bad_request(10015, "The request failed because it was not well-formed.");
        let body = axum::body::to_bytes(request.into_body(), MAX_BODY).await.map_err(|_| malformed())?;
        serde_json::from_slice(&body).map(Self).map_err(|_| malformed())
    }
}

/// A field of a change.
#[derive(Default)]
pub(super) enum Given {
    /// Not there, which leaves the setting as it is.
    #[default]
    Nothing,
    /// There; null or empty clears the setting.
    This(Option<String>),
}

impl Given {
    pub(super) fn find(&self) -> Option<&str> {
        match self {
            Self::This(Some(text)) => Some(text),
            _ => None,
        }
    }

    pub(super) fn apply(self, setting: &mut Option<String>) {
        if let Self::This(text) = self {
            *setting = text;
        }
    }
}

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::This(Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty())))
    }
}
