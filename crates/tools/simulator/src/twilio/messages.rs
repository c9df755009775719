//! `Messages`: send one, list and fetch them. An accepted message is on the phone at once; its receipts follow.
//! There is no idempotency, as there is none at the real carrier: what is asked twice is sent twice.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{NaiveDate, Utc};
use serde_json::{Value, json};
use tokio::time::Instant;
use url::Url;

use super::answer::{Refusal, page};
use super::texts::Receipts;
use super::{CARRIER, answer_after, bare_sid, media, rfc_2822, suffer, suffer_read};
use crate::e164;
use crate::faults::{Fault, Kind, Point, Subject};
use crate::fields::{Fields, is_web_address};
use crate::history::{Direction, Message, Status};
use crate::receipts::{Course, Report, plan_steps, reaches_phone};
use crate::segments::count_segments;
use crate::sid;
use crate::state::Simulator;

const MAX_BODY_CHARACTERS: usize = 1_600;
const MAX_MEDIA: usize = 10;
/// `ValidityPeriod` is taken and has no effect: nothing waits in this carrier's queue.
const PLAYED: [&str; 6] = ["To", "From", "Body", "MediaUrl", "StatusCallback", "ValidityPeriod"];

pub(super) async fn send(
    State(simulator): State<Arc<Simulator>>,
    Path(account): Path<String>,
    fields: Fields,
) -> Result<Response, Refusal> {
    let subject = fields.find("To").map_or(Subject::default(), Subject::number);
    let fault = simulator.take_fault(CARRIER, Point::Send, subject);
    if let Some(trouble) = fault.as_ref().and_then(Fault::before_accept) {
        return Ok(suffer(trouble).await);
    }
    if simulator.courses.is_full() {
        return Err(Refusal::too_many_requests());
    }
    let message = check(&simulator, &fields)?;
    if fault.as_ref().is_some_and(|fault| fault.kind == Kind::Landline) {
        return Err(Refusal::bad_request(21614, format!("'To' number {} is not a valid mobile number", message.to)));
    }
    if fault.as_ref().is_some_and(|fault| fault.kind == Kind::QueueFull) {
        return Err(Refusal::queue_full(&message.from));
    }
    let answer = show(&account, &message);
    accept(&simulator, message, fields.find("StatusCallback"));
    Ok(answer_after(fault.as_ref(), (StatusCode::CREATED, Json(answer)).into_response()).await)
}

/// Everything that the carrier refuses at once.
fn check(simulator: &Simulator, fields: &Fields) -> Result<Message, Refusal> {
    fields.refuse_others(&PLAYED)?;
    let to = fields.find("To").ok_or_else(|| Refusal::bad_request(21604, "A 'To' phone number is required."))?;
    let from = fields.find("From").ok_or_else(|| Refusal::bad_request(21603, "A 'From' phone number is required."))?;
    let body = fields.find("Body").unwrap_or_default();
    let media_urls = fields.list("MediaUrl");
    if body.is_empty() && media_urls.is_empty() {
        return Err(Refusal::bad_request(21602, "Message body is required."));
    }
    if body.chars().count() > MAX_BODY_CHARACTERS {
        return Err(Refusal::bad_request(21617, "The concatenated message body exceeds the 1600 character limit."));
    }
    if media_urls.len() > MAX_MEDIA || !media_urls.iter().all(|url| is_web_address(url)) {
        return Err(Refusal::bad_request(21620, "Invalid media URL(s)"));
    }
    if !e164::is_dialable(to) || to == from {
        return Err(Refusal::bad_request(21211, format!("The 'To' number {to} is not a valid phone number.")));
    }
    if fields.find("StatusCallback").is_some_and(|url| !is_callback(url)) {
        return Err(Refusal::bad_request(21609, "The 'StatusCallback' URL is not a valid URL."));
    }
    let world = simulator.world();
    if world.numbers.find_by_number(from).is_none_or(|owned| owned.carrier != CARRIER) {
        return Err(Refusal::bad_request(
            21606,
            format!("The 'From' phone number {from} is not a valid, SMS-capable number of this account."),
        ));
    }
    if world.opt_outs.is_stopped(to, from) {
        return Err(Refusal::bad_request(21610, "Attempt to send to unsubscribed recipient"));
    }
    let now = Utc::now();
    Ok(Message {
        carrier: CARRIER,
        sid: sid::make(if media_urls.is_empty() { "SM" } else { "MM" }),
        direction: Direction::OutboundApi,
        from: from.to_owned(),
        to: to.to_owned(),
        body: body.to_owned(),
        segments: count_segments(body),
        media_urls,
        media_types: Vec::new(),
        status: Status::Queued,
        error_code: None,
        on_phone_at: None,
        created_at: now,
        updated_at: now,
        sent_at: None,
    })
}

/// A web address whose host has no underscore, as Twilio demands for callbacks.
fn is_callback(text: &str) -> bool {
    is_web_address(text) && Url::parse(text).is_ok_and(|url| url.host_str().is_some_and(|host| !host.contains('_')))
}

fn accept(simulator: &Simulator, mut message: Message, callback: Option<&str>) {
    let fault = simulator.take_fault(CARRIER, Point::Receipt, Subject::number(&message.to));
    let steps = plan_steps(CARRIER, simulator.config.receipt_delay, fault.as_ref());
    message.on_phone_at = reaches_phone(&steps).then_some(message.created_at);
    let course = Course {
        sid: message.sid.clone(),
        accepted_at: Instant::now(),
        steps,
        report: Report::Twilio(Receipts {
            callback: callback.map(str::to_owned),
            from: message.from.clone(),
            to: message.to.clone(),
        }),
    };
    simulator.world().record(message);
    simulator.counts.messages_taken.fetch_add(1, Relaxed);
    simulator.courses.start(course);
}

/// Both directions, newest first. `DateSent` has the precision of a day, as at Twilio; a message that is not sent yet has none,
/// so no filter of days finds it.
pub(super) async fn list(
    State(simulator): State<Arc<Simulator>>,
    Path(account): Path<String>,
    fields: Fields,
) -> Result<Response, Refusal> {
    let fault = simulator.take_fault(CARRIER, Point::List, Subject::message_list());
    if let Some(trouble) = fault.as_ref().and_then(Fault::before_accept) {
        return Ok(suffer(trouble).await);
    }
    let newest = Utc::now() - fault.as_ref().and_then(Fault::staleness).unwrap_or_default();
    fields.refuse_others(&["To", "From", "DateSent", "DateSent>", "DateSent<", "PageSize", "Page"])?;
    let day = |name| fields.find(name).map(|text| parse_day(name, text)).transpose();
    let (on, since, until) = (day("DateSent")?, day("DateSent>")?, day("DateSent<")?);
    let fits = |message: &&Message| {
        if message.carrier != CARRIER || message.created_at > newest {
            return false;
        }
        let sent = message.sent_at.map(|sent_at| sent_at.date_naive());
        on.is_none_or(|day| sent == Some(day))
            && since.is_none_or(|day| sent.is_some_and(|sent| sent >= day))
            && until.is_none_or(|day| sent.is_some_and(|sent| sent <= day))
    };
    let path = format!("/2010-04-01/Accounts/{account}/Messages.json");
    let world = simulator.world();
    let messages = world.history.list(fields.find("To"), fields.find("From")).filter(fits);
    page("messages", &path, &fields, messages, |message| show(&account, message))
}

fn parse_day(name: &str, text: &str) -> Result<NaiveDate, Refusal> {
    text.parse().map_err(|_| Refusal::bad_request(20001, format!("{name} must be a day such as 2026-01-31")))
}

pub(super) async fn fetch(
    State(simulator): State<Arc<Simulator>>,
    Path((account, sid)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    if let Some(broken) = suffer_read(&simulator).await {
        return Ok(broken);
    }
    let world = simulator.world();
    let missing = || Refusal::not_found(&format!("/2010-04-01/Accounts/{account}/Messages/{sid}"));
    let message =
        world.history.find(bare_sid(&sid)).filter(|message| message.carrier == CARRIER).ok_or_else(missing)?;
    Ok(Json(show(&account, message)).into_response())
}

/// The files of a message.
pub(super) async fn list_media(
    State(simulator): State<Arc<Simulator>>,
    Path((account, sid)): Path<(String, String)>,
    fields: Fields,
) -> Result<Response, Refusal> {
    if let Some(broken) = suffer_read(&simulator).await {
        return Ok(broken);
    }
    fields.refuse_others(&["PageSize", "Page"])?;
    let path = format!("/2010-04-01/Accounts/{account}/Messages/{sid}/Media.json");
    let world = simulator.world();
    let message = world.history.find(&sid).filter(|message| message.carrier == CARRIER);
    let message = message.ok_or_else(|| Refusal::not_found(&path))?;
    let date = rfc_2822(message.created_at);
    page("media_list", &path, &fields, message.media_urls.iter().enumerate(), |(index, url)| {
        let media_sid = media::sid_of(url, index);
        json!({
            "sid": media_sid,
            "account_sid": account,
            "parent_sid": sid,
            "content_type": message.media_type(index),
            "date_created": date,
            "date_updated": date,
            "uri": format!("/2010-04-01/Accounts/{account}/Messages/{sid}/Media/{media_sid}.json"),
        })
    })
}

fn show(account: &str, message: &Message) -> Value {
    let uri = format!("/2010-04-01/Accounts/{account}/Messages/{}", message.sid);
    json!({
        "sid": message.sid,
        "account_sid": account,
        "messaging_service_sid": null,
        "status": message.status.as_str(),
        "direction": message.direction.as_str(),
        "from": message.from,
        "to": message.to,
        "body": message.body,
        "num_segments": message.segments.to_string(),
        "num_media": message.media_urls.len().to_string(),
        "error_code": message.error_code,
        "error_message": null,
        "price": null,
        "price_unit": "USD",
        "api_version": "2010-04-01",
        "date_created": rfc_2822(message.created_at),
        "date_updated": rfc_2822(message.updated_at),
        "date_sent": message.sent_at.map(rfc_2822),
        "uri": format!("{uri}.json"),
        "subresource_uris": { "media": format!("{uri}/Media.json") },
    })
}
