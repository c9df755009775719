//! What the carriers know, for a person or a test to look at.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::Shared;
use crate::fields::Fields;
use crate::history::Direction;
use crate::numbers::Settings;

/// The most messages that one look at a number shows.
const MAX_SENT: usize = 10_000;

/// Newest first, both carriers in the same words: for a number of Telnyx the addresses are those of its profile and its
/// application, and its name is its customer reference.
pub(super) async fn numbers(State(simulator): Shared) -> Json<Value> {
    let world = simulator.world();
    let numbers: Vec<Value> = world
        .numbers
        .list()
        .map(|owned| {
            let Settings { friendly_name, sms_url, sms_fallback_url, voice_url, voice_fallback_url, status_callback } =
                world.numbers.get_settings(owned);
            json!({
                "carrier": owned.carrier,
                "sid": owned.sid,
                "phone_number": owned.number,
                "friendly_name": friendly_name,
                "sms_url": sms_url,
                "sms_fallback_url": sms_fallback_url,
                "voice_url": voice_url,
                "voice_fallback_url": voice_fallback_url,
                "status_callback": status_callback,
                "bought_at": rfc_3339(owned.created_at),
            })
        })
        .collect();
    Json(json!({ "numbers": numbers }))
}

/// What was accepted from a number, oldest first, with the time of the acceptance: for measuring its pace.
pub(super) async fn sent(State(simulator): Shared, Path(number): Path<String>) -> Json<Value> {
    let world = simulator.world();
    let mut messages: Vec<Value> = world
        .history
        .list(None, Some(&number))
        .filter(|message| message.direction == Direction::OutboundApi)
        .take(MAX_SENT)
        .map(|message| {
            json!({
                "message_sid": message.sid,
                "to": message.to,
                "segments": message.segments,
                "status": message.status.as_str(),
                "accepted_at": rfc_3339(message.created_at),
            })
        })
        .collect();
    messages.reverse();
    Json(json!({ "messages": messages }))
}

/// Newest first. A body is shown as the form that it is, or as the JSON.
pub(super) async fn requests(State(simulator): Shared) -> Json<Value> {
    let newest: Vec<_> = simulator.requests().list().cloned().collect();
    let shown: Vec<Value> = newest
        .iter()
        .map(|request| {
            let json: Option<Value> = serde_json::from_slice(&request.body).ok();
            let form = if json.is_some() { BTreeMap::new() } else { show_fields(&request.body) };
            json!({
                "carrier": request.carrier,
                "method": request.method.as_str(),
                "path": request.uri.path(),
                "query": show_fields(request.uri.query().unwrap_or_default().as_bytes()),
                "form": form,
                "json": json,
                "status": request.answer.map(|status| status.as_u16()),
                "received_at": rfc_3339(request.received_at),
            })
        })
        .collect();
    Json(json!({ "requests": shown }))
}

/// Every name with all its values.
fn show_fields(encoded: &[u8]) -> BTreeMap<String, Vec<String>> {
    let mut shown: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in Fields::parse(encoded).iter() {
        shown.entry(name.to_owned()).or_default().push(value.to_owned());
    }
    shown
}

pub(super) fn rfc_3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}
