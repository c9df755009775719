//! The live feed as server-sent events (rule 15).

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use chassis::Fault;
use http::{HeaderMap, HeaderValue, header};

use super::App;
use super::extract::Query;
use crate::auth::Manager;
use crate::error::Problem;

/// What happens in the license, as it happens: in order, without a gap and without a double.
///
/// `id:` is the position, `event:` and `data:` say what happened: `message.created` and `message.updated` (the message),
/// `conversation.updated` (the conversation), `person.updated` (the person), `number.changed` (`{number, carrier,
/// assigned_at}`), `company.updated` (`{company_name, company_phone}`; told also when quiet hours or the registration have
/// changed: `GET /v1/settings` has all), `call.updated` (the call),
/// `conversation.event` (a line of a conversation), `conversation.read` (`{conversation_id, unread, total_unread}`: you
/// have read, perhaps on another device; nobody else sees it), `conversation.deleted` (the receipt; the messages before
/// it have become blocks with only an `id:`), `batch.updated` (the batch, at most twice a second), `scheduled.updated`
/// (the scheduled send), `unmatched.updated` (`{messages}`: how many messages of unknown senders there are now, at most
/// 1,000) or `reset` (`{head}`).
/// A block with only an `id:` moves the position. With `Last-Event-ID` the feed goes on after
/// that position, without from now: the first block says where it begins, and what you fetch after it has all that came
/// before. After `reset` the position is too old: fetch what is shown again. The stream
/// ends when the token expires; connect again with a new one.
#[utoipa::path(
    get, path = "/v1/feed", tag = "feed",
    params(("Last-Event-ID" = Option<u64>, Header, description = "The last position that the client has.")),
    responses(
        (status = 200, description = "The stream.", content_type = "text/event-stream", body = String),
        (status = 422, description = "`invalid_last_event_id`."),
    ),
)]
pub(crate) async fn follow_feed(
    State(app): State<App>,
    Manager(actor): Manager,
    _: Query<()>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let last = find_last_event_id(&headers)?;
    let token_left = (actor.accepted_until - app.clock.now()).to_std().unwrap_or_default();
    let mut response = Response::new(Body::from_stream(app.feeds.follow(actor.license, actor.id, last, token_left)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // Proxies that collect before they pass on would hold the feed back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

fn find_last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Fault> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(None);
    };
    let parsed = value.to_str().ok().and_then(|text| text.parse().ok());
    let detail = "The last event id is the `id` of a block of this feed: a whole number.";
    parsed.map(Some).ok_or_else(|| Fault::invalid("Last-Event-ID", "invalid_last_event_id", detail))
}
