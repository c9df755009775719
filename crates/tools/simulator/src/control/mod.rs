//! The control API under `/_sim`: makes phones text and call, shows what they got, sets faults.
//! It has no authentication: it is for loopback. Bad input gets a problem document that names the field.

mod changes;
mod phones;
mod show;

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::faults::Fault;
use crate::media::MAX_FILE;
use crate::state::{CountsNow, Simulator};

/// A text with a file or two in it.
const MAX_TEXT_BYTES: usize = 3 * MAX_FILE;

type Shared = State<Arc<Simulator>>;

pub(crate) fn router() -> Router<Arc<Simulator>> {
    Router::new()
        .route("/_sim/health", get(health))
        .route("/_sim/changes", get(changes::follow))
        .route("/_sim/phones", get(phones::list))
        .route("/_sim/phones/{number}/text", post(phones::text).layer(DefaultBodyLimit::max(MAX_TEXT_BYTES)))
        .route("/_sim/phones/{number}/call", post(phones::call))
        .route("/_sim/phones/{number}/inbox", get(phones::inbox))
        .route("/_sim/phones/{number}/messages", get(phones::messages))
        .route(
            "/_sim/phones/{number}/airplane",
            get(phones::airplane).put(phones::begin_airplane).delete(phones::end_airplane),
        )
        .route("/_sim/numbers", get(show::numbers))
        .route("/_sim/numbers/{number}", delete(lose_number))
        .route("/_sim/numbers/{number}/sent", get(show::sent))
        .route("/_sim/faults", put(set_faults).get(show_faults).delete(clear_faults))
        .route("/_sim/requests", get(show::requests))
        .route("/_sim/counts", get(counts))
}

pub(crate) fn is_path(path: &str) -> bool {
    path == "/_sim" || path.starts_with("/_sim/")
}

/// A path that this API does not have.
pub(crate) fn refuse_path(uri: &Uri) -> Response {
    Problem::not_found(format!("There is no call {} here; the README lists them.", uri.path())).into_response()
}

/// A path that exists, with a method that it does not take.
pub(crate) fn refuse_method(uri: &Uri) -> Response {
    let detail = format!("{} does not take this method.", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail).into_response()
}

/// An RFC 9457 problem document.
struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into() }
    }

    fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({ "type": "about:blank", "title": self.status.canonical_reason(), "status": self.status.as_u16(), "code": self.code, "detail": self.detail });
        (self.status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultsRequest {
    faults: Vec<Fault>,
}

async fn health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

async fn counts(State(simulator): Shared) -> Json<CountsNow> {
    Json(simulator.counts.now())
}

/// The number is gone at its carrier, as if somebody had released it there by hand.
async fn lose_number(State(simulator): Shared, Path(number): Path<String>) -> Result<StatusCode, Problem> {
    let mut world = simulator.world();
    let owned = world.numbers.find_by_number(&number).ok_or_else(|| nobody_owns(&number))?;
    let (carrier, sid) = (owned.carrier, owned.sid.clone());
    world.numbers.record_release(carrier, &sid);
    world.opt_outs.forget_scope(&number);
    Ok(StatusCode::NO_CONTENT)
}

async fn set_faults(State(simulator): Shared, body: Bytes) -> Result<Json<Value>, Problem> {
    let request: FaultsRequest = parse(&body)?;
    let mut faults = simulator.faults();
    faults.replace(request.faults).map_err(|refused| Problem::invalid(refused.to_string()))?;
    Ok(Json(json!({ "faults": faults.list() })))
}

async fn show_faults(State(simulator): Shared) -> Json<Value> {
    Json(json!({ "faults": simulator.faults().list() }))
}

async fn clear_faults(State(simulator): Shared) -> StatusCode {
    simulator.faults().clear();
    StatusCode::NO_CONTENT
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        let status = if error.is_data() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::BAD_REQUEST };
        Problem::new(status, "invalid_request", format!("The body does not fit: {error}"))
    })
}

fn nobody_owns(number: &str) -> Problem {
    Problem::not_found(format!("At these carriers nobody owns {number}; GET /_sim/numbers shows what is owned."))
}
