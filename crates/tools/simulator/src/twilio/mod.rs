//! The carrier's REST API under Twilio's paths, as much of it as the product uses (CARRIERS §1–3, §7).
//! Every request is noted and authenticated here. A parameter that the simulator does not play is refused by name,
//! so that nobody relies on an effect that is not there.

mod answer;
pub(crate) mod calls;
mod lookups;
pub(crate) mod media;
mod messages;
mod owned;
mod retry;
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
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};

use self::answer::Refusal;
use crate::carrier::CarrierName;
use crate::connection::drop_connection;
use crate::faults::{Fault, Point, Subject, Trouble};
use crate::state::Simulator;
use crate::witness;

const CARRIER: CarrierName = CarrierName::Twilio;

pub(crate) fn router(simulator: &Arc<Simulator>) -> Router<Arc<Simulator>> {
    let account = Router::new()
        .route("/AvailablePhoneNumbers/{country}/Local.json", get(search::search))
        .route("/IncomingPhoneNumbers.json", get(owned::list).post(owned::buy))
        .route("/IncomingPhoneNumbers/{sid}", get(owned::fetch).post(owned::configure).delete(owned::release))
        .route("/Messages.json", get(messages::list).post(messages::send))
        .route("/Messages/{sid}", get(messages::fetch))
        .route("/Messages/{sid}/Media.json", get(messages::list_media))
        .route("/Messages/{sid}/Media/{media}", get(media::fetch));
    Router::new()
        .nest("/2010-04-01/Accounts/{account}", account)
        .route("/v2/PhoneNumbers/{number}", get(lookups::lookup))
        .route_layer(middleware::from_fn_with_state(Arc::clone(simulator), watch))
}

async fn watch(State(simulator): State<Arc<Simulator>>, request: Request, next: Next) -> Response {
    witness::watch(simulator, CARRIER, request, next, authorise).await
}

fn authorise(simulator: &Simulator, parts: &Parts) -> Result<(), Refusal> {
    let config = &simulator.config;
    let wanted = format!("{}:{}", config.account_sid, config.auth_token);
    let given = parts
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Basic "))
        .and_then(|value| STANDARD.decode(value).ok());
    if given.as_deref() != Some(wanted.as_bytes()) {
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, 20003, "Authenticate"));
    }
    let account = parts.uri.path().strip_prefix("/2010-04-01/Accounts/").and_then(|rest| rest.split('/').next());
    if account.is_some_and(|account| account != config.account_sid) {
        return Err(Refusal::not_found(parts.uri.path()));
    }
    Ok(())
}

/// Plays a fault out.
async fn suffer(trouble: Trouble) -> Response {
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

/// A path that this API does not have.
pub(crate) fn refuse_path(uri: &Uri) -> Response {
    Refusal::not_found(uri.path()).into_response()
}

/// A path that exists, with a method that it does not take.
pub(crate) fn refuse_method() -> Response {
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, 20004, "Method not allowed").into_response()
}

/// Twilio's way of writing times.
fn rfc_2822(time: DateTime<Utc>) -> String {
    time.format("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

/// An id from a path that may end in `.json`.
fn bare_sid(segment: &str) -> &str {
    segment.strip_suffix(".json").unwrap_or(segment)
}
