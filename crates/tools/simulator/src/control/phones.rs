//! Phones text and call, and show what they got.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::show::rfc_3339;
use super::{Problem, Shared, nobody_owns, parse};
use crate::calls::{self, Called, Dialling, Outcome};
use crate::e164;
use crate::history::Direction;
use crate::media::Attachment;
use crate::state::{Simulator, World};
use crate::texts::{self, Text, Texted};

/// The most messages that one look into an inbox shows.
const MAX_INBOX: usize = 10_000;
/// The most messages that a phone shows, and the most phones that are listed.
const MAX_SHOWN: usize = 500;
const MAX_PHONES: usize = 200;
/// How many messages are looked at for phones.
const MAX_LOOK: usize = 20_000;
const MAX_TEXT_CHARACTERS: usize = 1_600;
const MAX_MEDIA: usize = 10;
/// Seconds that a call lasts which names no duration.
const TALK: u32 = 30;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TextRequest {
    to: String,
    #[serde(default)]
    body: String,
    #[serde(default)]
    media_urls: Vec<String>,
}

/// `webhook_status` is null when nobody answered or nobody was asked.
#[derive(Serialize)]
pub(super) struct TextAnswer {
    message_sid: String,
    webhook_status: Option<u16>,
    /// Where the carrier says the media are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    media_urls: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallRequest {
    to: String,
    #[serde(default)]
    outcome: Outcome,
    duration_s: Option<u32>,
    #[serde(default)]
    withheld: bool,
}

pub(super) async fn text(
    State(simulator): Shared,
    Path(phone): Path<String>,
    body: Bytes,
) -> Result<Json<TextAnswer>, Problem> {
    let TextRequest { to, body, media_urls } = parse(&body)?;
    check_phone(&phone)?;
    check_reach(&simulator, &phone)?;
    if body.is_empty() && media_urls.is_empty() {
        return Err(Problem::invalid("body: a text needs a body or media_urls"));
    }
    if body.chars().count() > MAX_TEXT_CHARACTERS {
        return Err(Problem::invalid("body: longer than 1600 characters"));
    }
    if media_urls.len() > MAX_MEDIA {
        return Err(Problem::invalid("media_urls: more than 10"));
    }
    let unreadable = || Problem::invalid("media_urls: a data: address is data:<type>;base64,<at most 8 MiB>");
    let attachments: Option<Vec<Attachment>> = media_urls.into_iter().map(Attachment::parse).collect();
    let attachments = attachments.ok_or_else(unreadable)?;
    let missing = nobody_owns(&to);
    let texted = texts::play(&simulator, Text { from: phone, to, body, attachments }).await;
    let Texted { sid, webhook_status, media_urls } = texted.ok_or(missing)?;
    Ok(Json(TextAnswer { message_sid: sid, webhook_status, media_urls }))
}

pub(super) async fn call(
    State(simulator): Shared,
    Path(phone): Path<String>,
    body: Bytes,
) -> Result<Json<Called>, Problem> {
    let CallRequest { to, outcome, duration_s, withheld } = parse(&body)?;
    check_phone(&phone)?;
    check_reach(&simulator, &phone)?;
    if duration_s.is_some() && outcome != Outcome::Answered {
        return Err(Problem::invalid("duration_s: only a call that is answered lasts"));
    }
    let missing = nobody_owns(&to);
    let dialling = Dialling { phone, to, withheld, outcome, duration_s: duration_s.unwrap_or(TALK) };
    Ok(Json(calls::play(&simulator, dialling).await.ok_or(missing)?))
}

pub(super) async fn inbox(State(simulator): Shared, Path(phone): Path<String>) -> Result<Json<Value>, Problem> {
    check_phone(&phone)?;
    let world = simulator.world();
    let messages: Vec<Value> = world
        .history
        .list_inbox(&phone, MAX_INBOX)
        .into_iter()
        .map(|message| {
            json!({
                "message_sid": message.sid,
                "from": message.from,
                "body": message.body,
                "media_urls": message.media_urls,
                "received_at": message.on_phone_at.map(rfc_3339),
            })
        })
        .collect();
    Ok(Json(json!({ "messages": messages })))
}

/// The phones that wrote or got something, or are in airplane mode, newest first.
pub(super) async fn list(State(simulator): Shared) -> Json<Value> {
    let world = simulator.world();
    let phones: Vec<Value> = world
        .history
        .list_phones(MAX_LOOK, MAX_PHONES)
        .into_iter()
        .map(|(phone, last)| {
            json!({
                "phone": phone,
                "airplane": world.count_waiting(phone).is_some(),
                "last_body": last.body,
                "last_at": rfc_3339(last.shown_at()),
            })
        })
        .collect();
    Json(json!({ "phones": phones }))
}

/// What the phone shows: what it wrote and what it got, oldest first.
pub(super) async fn messages(State(simulator): Shared, Path(phone): Path<String>) -> Result<Json<Value>, Problem> {
    check_phone(&phone)?;
    let world = simulator.world();
    let messages: Vec<Value> = world
        .history
        .list_phone(&phone, MAX_SHOWN)
        .into_iter()
        .map(|message| {
            let written = message.direction == Direction::Inbound;
            json!({
                "message_sid": message.sid,
                "direction": if written { "written" } else { "received" },
                "number": if written { &message.to } else { &message.from },
                "body": message.body,
                "media_urls": world.files.locate(&message.sid, &message.media_urls),
                "at": rfc_3339(message.shown_at()),
            })
        })
        .collect();
    Ok(Json(json!({ "messages": messages, "airplane": show_airplane(&world, &phone) })))
}

pub(super) async fn airplane(State(simulator): Shared, Path(phone): Path<String>) -> Result<Json<Value>, Problem> {
    check_phone(&phone)?;
    Ok(Json(show_airplane(&simulator.world(), &phone)))
}

/// From now on, what is sent to the phone waits.
pub(super) async fn begin_airplane(
    State(simulator): Shared,
    Path(phone): Path<String>,
) -> Result<Json<Value>, Problem> {
    check_phone(&phone)?;
    let mut world = simulator.world();
    if !world.begin_airplane(&phone) {
        return Err(Problem::invalid("too many phones are in airplane mode"));
    }
    Ok(Json(show_airplane(&world, &phone)))
}

/// What waited arrives, and is told to its sender.
pub(super) async fn end_airplane(State(simulator): Shared, Path(phone): Path<String>) -> Result<StatusCode, Problem> {
    check_phone(&phone)?;
    let waiting = simulator.world().end_airplane(&phone);
    for course in waiting {
        simulator.courses.resume(course);
    }
    Ok(StatusCode::NO_CONTENT)
}

fn show_airplane(world: &World, phone: &str) -> Value {
    let waiting = world.count_waiting(phone);
    json!({ "on": waiting.is_some(), "waiting": waiting.unwrap_or_default() })
}

/// A phone in airplane mode reaches nobody.
fn check_reach(simulator: &Simulator, phone: &str) -> Result<(), Problem> {
    if simulator.world().count_waiting(phone).is_none() {
        return Ok(());
    }
    let detail = format!("{phone} is in airplane mode; DELETE /_sim/phones/{phone}/airplane ends it.");
    Err(Problem::new(StatusCode::CONFLICT, "airplane_mode", detail))
}

fn check_phone(phone: &str) -> Result<(), Problem> {
    if e164::is_dialable(phone) {
        return Ok(());
    }
    Err(Problem::not_found(format!("{phone} is not a North American number; write it as +14155550123.")))
}
