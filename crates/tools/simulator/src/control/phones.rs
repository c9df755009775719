//! Phones text and call, and show what they got.

use axum::Json;
use axum::extract::{Path, State};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::show::rfc_3339;
use super::{Problem, Shared, nobody_owns, parse};
use crate::calls::{self, Called, Dialling, Outcome};
use crate::e164;
use crate::media::Attachment;
use crate::texts::{self, Text, Texted};

/// The most messages that one look into an inbox shows.
const MAX_INBOX: usize = 10_000;
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
                "received_at": rfc_3339(message.created_at),
            })
        })
        .collect();
    Ok(Json(json!({ "messages": messages })))
}

fn check_phone(phone: &str) -> Result<(), Problem> {
    if e164::is_dialable(phone) {
        return Ok(());
    }
    Err(Problem::not_found(format!("{phone} is not a North American number; write it as +14155550123.")))
}
