//! `texml_applications`: where the calls to its numbers are posted, and whether they may be dialled on.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Body, Given, Refusal, data, page};
use super::owned::refuse_if_told;
use super::{CARRIER, answer_after, iso_8601, make_numeric_id, suffer, suffer_read};
use crate::faults::{Fault, Point, Subject};
use crate::fields::{Fields, is_web_address};
use crate::ledger::Application;
use crate::state::Simulator;

/// What an application is made of, and what a change of it names. The command time-out is taken and has no effect.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    friendly_name: Option<String>,
    active: Option<bool>,
    voice_url: Option<String>,
    voice_method: Option<String>,
    #[serde(default)]
    voice_fallback_url: Given,
    #[serde(default)]
    status_callback: Given,
    status_callback_method: Option<String>,
    #[serde(default, rename = "first_command_timeout_secs")]
    _first_command_timeout_secs: Option<u32>,
    outbound: Option<Outbound>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Outbound {
    #[serde(default)]
    outbound_voice_profile_id: Given,
}

/// 201, unlike everything else that Telnyx makes.
pub(super) async fn create(State(simulator): State<Arc<Simulator>>, body: Body) -> Result<Response, Refusal> {
    write(&simulator, body, None).await
}

pub(super) async fn change(
    State(simulator): State<Arc<Simulator>>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Response, Refusal> {
    write(&simulator, body, Some(&id)).await
}

async fn write(simulator: &Simulator, body: Body, id: Option<&str>) -> Result<Response, Refusal> {
    let fault = simulator.take_fault(CARRIER, Point::Configure, Subject::default());
    if let Some(trouble) = fault.as_ref().and_then(Fault::before_accept) {
        return Ok(suffer(trouble).await);
    }
    refuse_if_told(fault.as_ref())?;
    let shown = {
        let mut world = simulator.world();
        let now = Utc::now();
        let mut application = match id {
            Some(id) => world.numbers.find_application(id).ok_or_else(Refusal::not_found)?.clone(),
            None => Application {
                id: make_numeric_id(),
                friendly_name: String::new(),
                voice_url: String::new(),
                voice_fallback_url: None,
                status_callback: None,
                outbound_voice_profile_id: None,
                created_at: now,
                updated_at: now,
            },
        };
        apply(&mut application, body.read()?)?;
        application.updated_at = now;
        world.numbers.record_application(application.clone());
        json!({ "data": show(&application) })
    };
    let status = if id.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    Ok(answer_after(fault.as_ref(), (status, Json(shown)).into_response()).await)
}

fn apply(application: &mut Application, wanted: Wanted) -> Result<(), Refusal> {
    if wanted.active == Some(false) {
        let detail = "The simulator plays no inactive applications";
        return Err(Refusal::unprocessable(10027, detail).at_pointer("/active"));
    }
    for (pointer, method) in
        [("/voice_method", &wanted.voice_method), ("/status_callback_method", &wanted.status_callback_method)]
    {
        if method.as_deref().is_some_and(|method| !method.eq_ignore_ascii_case("post")) {
            return Err(Refusal::unprocessable(10027, "The simulator only posts").at_pointer(pointer));
        }
    }
    let urls = [wanted.voice_url.as_deref(), wanted.voice_fallback_url.find(), wanted.status_callback.find()];
    if let Some(url) = urls.into_iter().flatten().find(|url| !is_web_address(url)) {
        return Err(Refusal::unprocessable(10027, format!("{url} is not a valid URL.")));
    }
    for (name, text, wanted) in [
        ("friendly_name", &mut application.friendly_name, wanted.friendly_name),
        ("voice_url", &mut application.voice_url, wanted.voice_url),
    ] {
        if let Some(wanted) = wanted {
            *text = wanted;
        }
        if text.is_empty() {
            return Err(Refusal::missing(name));
        }
    }
    wanted.voice_fallback_url.apply(&mut application.voice_fallback_url);
    wanted.status_callback.apply(&mut application.status_callback);
    if let Some(outbound) = wanted.outbound {
        outbound.outbound_voice_profile_id.apply(&mut application.outbound_voice_profile_id);
    }
    Ok(())
}

/// Oldest first. `filter[friendly_name]` matches anywhere in a name, in whatever case.
pub(super) async fn list(State(simulator): State<Arc<Simulator>>, fields: Fields) -> Result<Response, Refusal> {
    if let Some(broken) = suffer_read(&simulator).await {
        return Ok(broken);
    }
    fields.refuse_others(&["filter[friendly_name]", "page[number]", "page[size]"])?;
    let name = fields.find("filter[friendly_name]").map(str::to_lowercase);
    let world = simulator.world();
    let applications = world.numbers.list_applications().into_iter().filter(|application| {
        name.as_deref().is_none_or(|name| application.friendly_name.to_lowercase().contains(name))
    });
    page(&fields, applications, show)
}

pub(super) async fn fetch(
    State(simulator): State<Arc<Simulator>>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    if let Some(broken) = suffer_read(&simulator).await {
        return Ok(broken);
    }
    let world = simulator.world();
    Ok(data(show(world.numbers.find_application(&id).ok_or_else(Refusal::not_found)?)))
}

fn show(application: &Application) -> Value {
    json!({
        "id": application.id,
        "record_type": "texml_application",
        "friendly_name": application.friendly_name,
        "active": true,
        "voice_url": application.voice_url,
        "voice_method": "post",
        "voice_fallback_url": application.voice_fallback_url.clone().unwrap_or_default(),
        "status_callback": application.status_callback.clone().unwrap_or_default(),
        "status_callback_method": "post",
        "outbound": { "channel_limit": null, "outbound_voice_profile_id": application.outbound_voice_profile_id },
        "created_at": iso_8601(application.created_at),
        "updated_at": iso_8601(application.updated_at),
    })
}
