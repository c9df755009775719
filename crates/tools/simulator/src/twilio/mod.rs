//! The carrier's REST API under Twilio's paths, as much of it as the product uses (CARRIERS §1–3, §7).
//! Every request is noted and authenticated here. A parameter that the simulator does not play is refused by name,
//! so that nobody relies on an effect that is not there.

mod answer;
mod fields;
mod lookups;
mod messages;
mod owned;
mod search;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};

use self::answer::Refusal;
pub(crate) use self::fields::Fields;
use crate::connection::{NoAnswer, drop_connection};
use crate::control;
use crate::faults::Trouble;
use crate::requests::LoggedRequest;
use crate::state::Simulator;

/// Larger than any form that a message can make.
const MAX_BODY: usize = 64 * 1024;

pub(crate) fn router(simulator: &Arc<Simulator>) -> Router<Arc<Simulator>> {
    let account = Router::new()
        .route("/AvailablePhoneNumbers/{country}/Local.json", get(search::search))
        .route("/IncomingPhoneNumbers.json", get(owned::list).post(owned::buy))
        .route("/IncomingPhoneNumbers/{sid}", get(owned::fetch).post(owned::configure).delete(owned::release))
        .route("/Messages.json", get(messages::list).post(messages::send))
        .route("/Messages/{sid}", get(messages::fetch));
    Router::new()
        .nest("/2010-04-01/Accounts/{account}", account)
        .route("/v2/PhoneNumbers/{number}", get(lookups::lookup))
        .route_layer(middleware::from_fn_with_state(Arc::clone(simulator), witness))
}

/// Notes the request, checks who asks, and notes the answer.
async fn witness(State(simulator): State<Arc<Simulator>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, 20001, "The request is larger than any form may be.")
            .into_response();
    };
    let noted = LoggedRequest {
        method: parts.method.clone(),
        uri: parts.uri.clone(),
        body: body.clone(),
        received_at: Utc::now(),
        answer: None,
    };
    let ticket = simulator.requests().record(noted);
    let response = match authorise(&simulator, &parts.headers, &parts.uri) {
        Ok(()) => next.run(Request::from_parts(parts, Body::from(body))).await,
        Err(refusal) => refusal.into_response(),
    };
    if response.extensions().get::<NoAnswer>().is_none() {
        simulator.requests().mark_answered(ticket, response.status());
    }
    response
}

fn authorise(simulator: &Simulator, headers: &HeaderMap, uri: &Uri) -> Result<(), Refusal> {
    let config = &simulator.config;
    let wanted = format!("{}:{}", config.account_sid, config.auth_token);
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Basic "))
        .and_then(|value| STANDARD.decode(value).ok());
    if given.as_deref() != Some(wanted.as_bytes()) {
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, 20003, "Authenticate"));
    }
    let account = uri.path().strip_prefix("/2010-04-01/Accounts/").and_then(|rest| rest.split('/').next());
    if account.is_some_and(|account| account != config.account_sid) {
        return Err(Refusal::not_found(uri.path()));
    }
    Ok(())
}

/// Plays a fault out.
async fn suffer(trouble: Trouble) -> Response {
    match trouble {
        Trouble::TooManyRequests => Refusal::too_many_requests().into_response(),
        Trouble::ServerError => {
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, 20500, "An internal server error has occurred")
                .into_response()
        }
        Trouble::Hold(delay) => {
            tokio::time::sleep(delay).await;
            drop_connection()
        }
        Trouble::Reset => drop_connection(),
    }
}

/// A path that neither API has.
pub(crate) async fn refuse_unknown_path(uri: Uri) -> Response {
    if control::is_control_path(uri.path()) {
        return control::Problem::not_found(format!("There is no call {} here; the README lists them.", uri.path()))
            .into_response();
    }
    Refusal::not_found(uri.path()).into_response()
}

/// A path that exists, with a method that it does not take.
pub(crate) async fn refuse_method(uri: Uri) -> Response {
    if control::is_control_path(uri.path()) {
        return control::Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            format!("{} does not take this method.", uri.path()),
        )
        .into_response();
    }
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
