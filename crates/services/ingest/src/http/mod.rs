//! What carriers can reach: one address per carrier and kind of webhook. Anything else is 404.

mod problem;
mod receive;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use chassis::Fault;

use self::problem::problem;
use self::receive::Kind;
pub(crate) use self::receive::Receiver;

pub(crate) fn router(receiver: Receiver) -> Router {
    Router::new()
        .route("/webhooks/twilio/message", post(twilio_message))
        .route("/webhooks/twilio/status", post(twilio_status))
        .fallback(async || problem(&Fault::not_found("not_found", "There is nothing here.")))
        .with_state(Arc::new(receiver))
}

async fn twilio_message(State(receiver): State<Arc<Receiver>>, request: Request) -> Response {
    receiver.receive(Kind::Message, request).await
}

async fn twilio_status(State(receiver): State<Arc<Receiver>>, request: Request) -> Response {
    receiver.receive(Kind::Receipt, request).await
}
