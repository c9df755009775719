//! The control API under `/_sim`: makes phones text and call, shows what they got, sets faults.
//! It has no authentication: it is for loopback. Bad input gets a problem document that names the field.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use axum::Json;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::e164;
use crate::faults::{Fault, Kind, Point, Subject};
use crate::history::{Direction, Message, Status};
use crate::segments::count_segments;
use crate::sid;
use crate::state::{CountsNow, Simulator};
use crate::twilio::Fields;
use crate::twiml::find_dialed;
use crate::webhook::{Delivery, Params};

/// The most messages that one look into an inbox shows.
const MAX_INBOX: usize = 10_000;
const MAX_TEXT_CHARACTERS: usize = 1_600;
const MAX_MEDIA: usize = 10;

type Shared = State<Arc<Simulator>>;

pub(crate) fn router() -> Router<Arc<Simulator>> {
    Router::new()
        .route("/_sim/health", get(health))
        .route("/_sim/phones/{number}/text", post(text))
        .route("/_sim/phones/{number}/call", post(call))
        .route("/_sim/phones/{number}/inbox", get(inbox))
        .route("/_sim/numbers", get(numbers))
        .route("/_sim/faults", put(set_faults).get(show_faults).delete(clear_faults))
        .route("/_sim/requests", get(requests))
        .route("/_sim/counts", get(counts))
}

pub(crate) fn is_control_path(path: &str) -> bool {
    path == "/_sim" || path.starts_with("/_sim/")
}

/// An RFC 9457 problem document.
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into() }
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({ "type": "about:blank", "title": self.status.canonical_reason(), "status": self.status.as_u16(), "code": self.code, "detail": self.detail });
        (self.status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TextRequest {
    to: String,
    #[serde(default)]
    body: String,
    #[serde(default)]
    media_urls: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallRequest {
    to: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultsRequest {
    faults: Vec<Fault>,
}

/// `webhook_status` is null when nobody answered or nobody was asked.
#[derive(Serialize)]
struct TextAnswer {
    message_sid: String,
    webhook_status: Option<u16>,
}

/// `response` is the XML that the call got; `dialed` the number that it would dial.
#[derive(Serialize)]
struct CallAnswer {
    call_sid: String,
    response: Option<String>,
    dialed: Option<String>,
}

async fn health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

async fn counts(State(simulator): Shared) -> Json<CountsNow> {
    Json(simulator.counts.now())
}

async fn text(State(simulator): Shared, Path(phone): Path<String>, body: Bytes) -> Result<Json<TextAnswer>, Problem> {
    let request: TextRequest = parse(&body)?;
    check_phone(&phone)?;
    if request.body.is_empty() && request.media_urls.is_empty() {
        return Err(Problem::invalid("body: a text needs a body or media_urls"));
    }
    if request.body.chars().count() > MAX_TEXT_CHARACTERS {
        return Err(Problem::invalid("body: longer than 1600 characters"));
    }
    if request.media_urls.len() > MAX_MEDIA {
        return Err(Problem::invalid("media_urls: more than 10"));
    }
    let settings = get_settings(&simulator, &request.to)?;
    let fault = simulator.take_fault(Point::Inbound, Subject::number(&request.to));
    let message = record_text(&simulator, &phone, request);
    let params = list_text_params(&simulator.config.account_sid, &message);
    let Some(url) = settings.sms_url else {
        return Ok(Json(TextAnswer { message_sid: message.sid, webhook_status: None }));
    };
    // The webhook goes out whether or not the one who asked for the text stays to hear about it.
    let ask = deliver_text(Arc::clone(&simulator), url, settings.sms_fallback_url, params, fault);
    let delivery = simulator.tasks.spawn(ask).await.ok().flatten();
    let webhook_status = delivery.and_then(|delivery| delivery.answer).map(|answer| answer.status);
    Ok(Json(TextAnswer { message_sid: message.sid, webhook_status }))
}

/// Notes the text and plays the carrier's own part of STOP, START and HELP.
fn record_text(simulator: &Simulator, phone: &str, request: TextRequest) -> Message {
    let now = Utc::now();
    let message = Message {
        sid: sid::make(if request.media_urls.is_empty() { "SM" } else { "MM" }),
        direction: Direction::Inbound,
        from: phone.to_owned(),
        to: request.to,
        segments: count_segments(&request.body),
        body: request.body,
        media_urls: request.media_urls,
        status: Status::Received,
        error_code: None,
        on_phone: false,
        created_at: now,
        updated_at: now,
        sent_at: Some(now),
    };
    let mut world = simulator.world();
    let reply = world.opt_outs.record_text(&message.from, &message.to, &message.body);
    world.history.record(message.clone());
    if let Some(reply) = reply {
        world.history.record(Message {
            sid: sid::make("SM"),
            direction: Direction::OutboundReply,
            from: message.to.clone(),
            to: message.from.clone(),
            segments: count_segments(reply),
            body: reply.to_owned(),
            media_urls: Vec::new(),
            status: Status::Delivered,
            on_phone: true,
            ..message.clone()
        });
    }
    message
}

/// Nothing when a fault loses the webhook; the last delivery when one doubles it.
async fn deliver_text(
    simulator: Arc<Simulator>,
    url: String,
    fallback: Option<String>,
    params: Params,
    fault: Option<Fault>,
) -> Option<Delivery> {
    let mut posts = 1;
    if let Some(fault) = fault {
        match fault.kind {
            Kind::Lost => posts = 0,
            Kind::Doubled => posts = 2,
            _ => tokio::select! {
                () = tokio::time::sleep(fault.lateness()) => {}
                () = simulator.shutdown.cancelled() => posts = 0,
            },
        }
    }
    let mut last = None;
    for _ in 0..posts {
        last = Some(deliver_counted(&simulator, &url, fallback.as_deref(), &params).await);
    }
    last
}

async fn deliver_counted(simulator: &Simulator, url: &str, fallback: Option<&str>, params: &Params) -> Delivery {
    let delivery = simulator.webhooks.deliver_with_fallback(url, fallback, params).await;
    let counter =
        if delivery.is_success() { &simulator.counts.webhooks_delivered } else { &simulator.counts.webhooks_failed };
    counter.fetch_add(1, Relaxed);
    delivery
}

fn list_text_params(account_sid: &str, message: &Message) -> Params {
    let mut params: Params = [
        ("ApiVersion", "2010-04-01"),
        ("AccountSid", account_sid),
        ("MessageSid", &message.sid),
        ("SmsSid", &message.sid),
        ("SmsMessageSid", &message.sid),
        ("SmsStatus", "received"),
        ("From", &message.from),
        ("To", &message.to),
        ("FromCountry", "US"),
        ("ToCountry", "US"),
        ("Body", &message.body),
        ("NumSegments", &message.segments.to_string()),
        ("NumMedia", &message.media_urls.len().to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    for (index, url) in message.media_urls.iter().enumerate() {
        params.push((format!("MediaUrl{index}"), url.clone()));
        params.push((format!("MediaContentType{index}"), "image/jpeg".to_owned()));
    }
    params
}

async fn call(State(simulator): Shared, Path(phone): Path<String>, body: Bytes) -> Result<Json<CallAnswer>, Problem> {
    let request: CallRequest = parse(&body)?;
    check_phone(&phone)?;
    let settings = get_settings(&simulator, &request.to)?;
    let call_sid = sid::make("CA");
    let Some(url) = settings.voice_url else { return Ok(Json(CallAnswer { call_sid, response: None, dialed: None })) };
    let params: Params = [
        ("ApiVersion", "2010-04-01"),
        ("AccountSid", &simulator.config.account_sid),
        ("CallSid", &call_sid),
        ("CallStatus", "ringing"),
        ("Direction", "inbound"),
        ("From", &phone),
        ("Caller", &phone),
        ("To", &request.to),
        ("Called", &request.to),
        ("FromCountry", "US"),
        ("ToCountry", "US"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let ask = {
        let simulator = Arc::clone(&simulator);
        async move { deliver_counted(&simulator, &url, settings.voice_fallback_url.as_deref(), &params).await }
    };
    let delivery = simulator.tasks.spawn(ask).await.ok();
    let (heard, response) = match delivery {
        Some(delivery) => (delivery.is_success(), delivery.answer.map(|answer| answer.body)),
        None => (false, None),
    };
    let dialed = response.as_deref().filter(|_| heard).and_then(find_dialed);
    Ok(Json(CallAnswer { call_sid, response, dialed }))
}

async fn inbox(State(simulator): Shared, Path(phone): Path<String>) -> Result<Json<Value>, Problem> {
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

async fn numbers(State(simulator): Shared) -> Json<Value> {
    let world = simulator.world();
    let numbers: Vec<Value> = world
        .numbers
        .list()
        .map(|owned| {
            json!({
                "sid": owned.sid,
                "phone_number": owned.number,
                "friendly_name": owned.settings.friendly_name,
                "sms_url": owned.settings.sms_url,
                "sms_fallback_url": owned.settings.sms_fallback_url,
                "voice_url": owned.settings.voice_url,
                "voice_fallback_url": owned.settings.voice_fallback_url,
                "status_callback": owned.settings.status_callback,
                "bought_at": rfc_3339(owned.created_at),
            })
        })
        .collect();
    Json(json!({ "numbers": numbers }))
}

async fn set_faults(State(simulator): Shared, body: Bytes) -> Result<Json<Value>, Problem> {
    let request: FaultsRequest = parse(&body)?;
    let mut faults = simulator.faults();
    faults.replace(request.faults).map_err(|refused| Problem::invalid(refused.to_string()))?;
    Ok(Json(json!({ "faults": faults.list() })))
}

async fn show_faults(State(simulator): Shared) -> Json<Value> {
    Json(json!({ "faults": simulator.faults().list() }))
}

async fn clear_faults(State(simulator): Shared) -> StatusCode {
    simulator.faults().clear();
    StatusCode::NO_CONTENT
}

async fn requests(State(simulator): Shared) -> Json<Value> {
    let newest: Vec<_> = simulator.requests().list().cloned().collect();
    let shown: Vec<Value> = newest
        .iter()
        .map(|request| {
            json!({
                "method": request.method.as_str(),
                "path": request.uri.path(),
                "query": show_fields(request.uri.query().unwrap_or_default().as_bytes()),
                "form": show_fields(&request.body),
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

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        let status = if error.is_data() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::BAD_REQUEST };
        Problem::new(status, "invalid_request", format!("The body does not fit: {error}"))
    })
}

fn check_phone(phone: &str) -> Result<(), Problem> {
    if e164::is_dialable(phone) {
        return Ok(());
    }
    Err(Problem::not_found(format!("{phone} is not a North American number; write it as +14155550123.")))
}

fn get_settings(simulator: &Simulator, number: &str) -> Result<crate::numbers::Settings, Problem> {
    let world = simulator.world();
    let owned = world.numbers.find_by_number(number).ok_or_else(|| {
        Problem::not_found(format!("to: nobody owns {number} at this carrier; GET /_sim/numbers shows what is owned."))
    })?;
    Ok(owned.settings.clone())
}

fn rfc_3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}
