//! Telnyx's REST API under `/v2`, as much of it as the product uses (CARRIERS §1–4, §7): JSON, a bearer key, Telnyx's own
//! error bodies and status codes; signed JSON events for messages, TeXML for calls. A parameter that the simulator does not
//! play is refused by name, so that nobody relies on an effect that is not there.

mod account;
mod answer;
mod applications;
pub(crate) mod calls;
mod lookups;
mod messages;
mod orders;
mod owned;
mod profiles;
mod search;
pub(crate) mod signature;
pub(crate) mod texts;
pub(crate) mod webhooks;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use chrono::{DateTime, SecondsFormat, Utc};

pub(crate) use self::account::Account;
use self::answer::Refusal;
use crate::carrier::CarrierName;
use crate::connection::drop_connection;
use crate::faults::{Fault, Point, Subject, Trouble};
use crate::state::Simulator;
use crate::witness;

const CARRIER: CarrierName = CarrierName::Telnyx;
/// Whose account it is; Telnyx tells it in messages and calls.
const ORGANIZATION: &str = "d5d5c1e2-0b2a-4f0e-9a31-6b1f0c5d7a90";

pub(crate) fn router(simulator: &Arc<Simulator>) -> Router<Arc<Simulator>> {
    let v2 = Router::new()
        .route("/available_phone_numbers", get(search::search))
        .route("/number_orders", get(orders::list).post(orders::create))
        .route("/number_orders/{id}", get(orders::fetch))
        .route("/phone_numbers", get(owned::list))
        .route("/phone_numbers/{id}", get(owned::fetch).patch(owned::configure).delete(owned::release))
        .route("/phone_numbers/{id}/messaging", patch(owned::configure_messaging))
        .route("/messaging_profiles", get(profiles::list).post(profiles::create))
        .route("/messaging_profiles/{id}", get(profiles::fetch).patch(profiles::change))
        .route("/texml_applications", get(applications::list).post(applications::create))
        .route("/texml_applications/{id}", get(applications::fetch).patch(applications::change))
        .route("/messages", post(messages::send))
        .route("/messages/{id}", get(messages::fetch))
        .route("/number_lookup/{number}", get(lookups::lookup));
    Router::new().nest("/v2", v2).route_layer(middleware::from_fn_with_state(Arc::clone(simulator), watch))
}

async fn watch(State(simulator): State<Arc<Simulator>>, request: Request, next: Next) -> Response {
    witness::watch(simulator, CARRIER, request, next, authorise).await
}

/// Without a configured key nobody has the right one.
fn authorise(simulator: &Simulator, parts: &Parts) -> Result<(), Refusal> {
    let wanted = &simulator.config.telnyx_api_key;
    let given = parts
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    if wanted.is_empty() || given != Some(wanted) { Err(Refusal::unauthorised()) } else { Ok(()) }
}

pub(crate) fn is_path(path: &str) -> bool {
    path.starts_with("/v2/") && !path.starts_with("/v2/PhoneNumbers")
}

/// A path that this API does not have.
pub(crate) fn refuse_path() -> Response {
    Refusal::not_found().into_response()
}

/// A path that exists, with a method that it does not take.
pub(crate) fn refuse_method(uri: &Uri) -> Response {
    let detail = format!("{} does not take this method.", uri.path());
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, 10015, detail).into_response()
}

/// Plays a fault out.
pub(crate) async fn suffer(trouble: Trouble) -> Response {
    match trouble {
        Trouble::TooManyRequests => Refusal::too_many_requests().into_response(),
        Trouble::ServerError => Refusal::server_error().into_response(),
        Trouble::Hold(delay) => {
            tokio::time::sleep(delay).await;
            drop_connection()
        }
        Trouble::Reset => drop_connection(),
    }
}

/// The answer of a read that a fault breaks.
async fn suffer_read(simulator: &Simulator) -> Option<Response> {
    let trouble = simulator.take_fault(CARRIER, Point::List, Subject::default())?.before_accept()?;
    Some(suffer(trouble).await)
}

/// What was done, or what a fault makes of the answer.
async fn answer_after(fault: Option<&Fault>, answer: Response) -> Response {
    match fault.and_then(Fault::after_accept) {
        Some(trouble) => suffer(trouble).await,
        None => answer,
    }
}

/// Telnyx's way of writing times.
fn iso_8601(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, false)
}

/// An id of a message, an order, a profile or an event.
pub(crate) fn make_uuid() -> String {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid().to_string()
}

/// An id of a number or an application: nineteen digits.
fn make_numeric_id() -> String {
    format!("{}", 1_000_000_000_000_000_000 + rand::random::<u64>() % 8_000_000_000_000_000_000)
}
