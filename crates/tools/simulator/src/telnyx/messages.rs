//! `messages`: send one and fetch one; there is no list. An accepted message is on the phone at once, its events follow.
//! There is no idempotency, as there is none at the real carrier: what is asked twice is sent twice.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use axum::extract::{Path, State};
use axum::response::Response;
use chrono::Utc;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::answer::{Body, Refusal, data};
use super::texts::{MessageReport, show};
use super::{CARRIER, answer_after, make_uuid, suffer, suffer_read};
use crate::e164;
use crate::faults::{Fault, Kind, Point, Subject};
use crate::fields::is_web_address;
use crate::history::{Direction, Message, Status};
use crate::receipts::{Course, NOT_ROUTABLE, Report, plan_refused, plan_steps, reaches_phone};
use crate::segments::count_segments;
use crate::state::Simulator;

const MAX_PARTS: usize = 10;
const MAX_MEDIA: usize = 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SendRequest {
    to: String,
    from: String,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    media_urls: Vec<String>,
    messaging_profile_id: Option<String>,
    #[serde(rename = "type")]
    kind: Option<MessageKind>,
    webhook_url: Option<String>,
    webhook_failover_url: Option<String>,
    #[serde(default = "yes")]
    use_profile_webhooks: bool,
}

/// Taken, and without effect: a message with media is an MMS.
#[derive(Deserialize)]
enum MessageKind {
    #[serde(rename = "SMS")]
    Sms,
    #[serde(rename = "MMS")]
    Mms,
}

fn yes() -> bool {
    true
}

/// A message that was taken, and where its events go.
struct Taken {
    message: Message,
    profile_id: String,
    webhook_url: Option<String>,
    webhook_failover_url: Option<String>,
}

pub(super) async fn send(State(simulator): State<Arc<Simulator>>, body: Body) -> Result<Response, Refusal> {
    let subject = body.0["to"].as_str().map_or(Subject::default(), Subject::number);
    let fault = simulator.take_fault(CARRIER, Point::Send, subject);
    if let Some(trouble) = fault.as_ref().and_then(Fault::before_accept) {
        return Ok(suffer(trouble).await);
    }
    if simulator.courses.is_full() {
        return Err(Refusal::too_many_requests());
    }
    let taken = check(&simulator, body.read()?)?;
    if fault.as_ref().is_some_and(|fault| fault.kind == Kind::QueueFull) {
        return Err(Refusal::queue_full());
    }
    let answer = accept(&simulator, taken, fault.as_ref());
    Ok(answer_after(fault.as_ref(), data(answer)).await)
}

/// Everything that the carrier refuses at once.
fn check(simulator: &Simulator, request: SendRequest) -> Result<Taken, Refusal> {
    let SendRequest { to, from, media_urls, .. } = request;
    let text = request.text.unwrap_or_default();
    if matches!(request.kind, Some(MessageKind::Mms)) && media_urls.is_empty() {
        return Err(Refusal::bad_request(40317, "An MMS needs media.").at_pointer("/media_urls"));
    }
    if text.is_empty() && media_urls.is_empty() {
        return Err(Refusal::bad_request(40316, "The message has neither text nor media.").at_pointer("/text"));
    }
    let segments = count_segments(&text);
    if segments > MAX_PARTS {
        let detail = format!("The message would be divided into {segments} parts, the maximum is {MAX_PARTS}.");
        return Err(Refusal::bad_request(40302, detail).at_pointer("/text"));
    }
    if media_urls.len() > MAX_MEDIA || !media_urls.iter().all(|url| is_web_address(url)) {
        return Err(Refusal::bad_request(40317, "The media URLs are not valid.").at_pointer("/media_urls"));
    }
    if !e164::is_dialable(&to) || to == from {
        let detail = format!("The 'to' address {to} is not a valid phone number.");
        return Err(Refusal::bad_request(40310, detail).at_pointer("/to"));
    }
    let mut urls = request.webhook_url.iter().chain(&request.webhook_failover_url);
    if let Some(url) = urls.find(|url| !is_web_address(url)) {
        return Err(Refusal::unprocessable(10027, format!("{url} is not a valid URL.")));
    }
    let world = simulator.world();
    let profile = world
        .numbers
        .find_by_number(&from)
        .filter(|owned| owned.carrier == CARRIER)
        .and_then(|owned| world.numbers.find_profile(owned.profile_id.as_deref()?))
        .filter(|profile| request.messaging_profile_id.as_ref().is_none_or(|wanted| *wanted == profile.id))
        .ok_or_else(|| {
            let detail = format!("The 'from' address {from} is not on a messaging profile of this account.");
            Refusal::bad_request(40305, detail).at_pointer("/from")
        })?;
    if world.opt_outs.is_stopped(&to, &profile.id) {
        return Err(Refusal::bad_request(40300, "The recipient has sent STOP to this messaging profile."));
    }
    let of_profile = |own: Option<String>, profile: &Option<String>| {
        own.or_else(|| profile.clone().filter(|_| request.use_profile_webhooks))
    };
    let now = Utc::now();
    Ok(Taken {
        profile_id: profile.id.clone(),
        webhook_failover_url: of_profile(request.webhook_failover_url, &profile.webhook_failover_url),
        webhook_url: of_profile(request.webhook_url, &profile.webhook_url),
        message: Message {
            carrier: CARRIER,
            sid: make_uuid(),
            direction: Direction::OutboundApi,
            from,
            to,
            body: text,
            segments,
            media_urls,
            media_types: Vec::new(),
            status: Status::Queued,
            error_code: None,
            on_phone_at: None,
            created_at: now,
            updated_at: now,
            sent_at: None,
        },
    })
}

/// Takes the message over; answers its record. A landline is found out on the way, not at once.
fn accept(simulator: &Simulator, taken: Taken, fault: Option<&Fault>) -> Value {
    let Taken { mut message, profile_id, webhook_url, webhook_failover_url } = taken;
    let delay = simulator.config.receipt_delay;
    let steps = if fault.is_some_and(|fault| fault.kind == Kind::Landline) {
        plan_refused(delay, NOT_ROUTABLE)
    } else {
        let fault = simulator.take_fault(CARRIER, Point::Receipt, Subject::number(&message.to));
        plan_steps(CARRIER, delay, fault.as_ref())
    };
    message.on_phone_at = reaches_phone(&steps).then_some(message.created_at);
    let mut record = show(&message, Some(&profile_id));
    record["webhook_url"] = json!(webhook_url);
    record["webhook_failover_url"] = json!(webhook_failover_url);
    let report = MessageReport { url: webhook_url, failover: webhook_failover_url, record: record.clone() };
    let course = Course {
        sid: message.sid.clone(),
        accepted_at: Instant::now(),
        steps,
        report: Report::Telnyx(Box::new(report)),
    };
    simulator.world().record(message);
    simulator.counts.messages_taken.fetch_add(1, Relaxed);
    simulator.courses.start(course);
    record
}

pub(super) async fn fetch(
    State(simulator): State<Arc<Simulator>>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    if let Some(broken) = suffer_read(&simulator).await {
        return Ok(broken);
    }
    let world = simulator.world();
    let message =
        world.history.find(&id).filter(|message| message.carrier == CARRIER).ok_or_else(Refusal::not_found)?;
    let ours = if message.direction == Direction::Inbound { &message.to } else { &message.from };
    let profile = world.numbers.find_by_number(ours).and_then(|owned| owned.profile_id.as_deref());
    Ok(data(show(message, profile)))
}
