//! `messaging_profiles`: where the texts of a profile's numbers are posted. A STOP holds for the whole profile.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use chrono::Utc;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Body, Given, Refusal, data, page};
use super::owned::refuse_if_told;
use super::{CARRIER, ORGANIZATION, answer_after, iso_8601, make_uuid, suffer, suffer_read};
use crate::faults::{Fault, Point, Subject};
use crate::fields::{Fields, is_web_address};
use crate::ledger::Profile;
use crate::state::Simulator;

/// What a profile is made of, and what a change of it names.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: Option<String>,
    whitelisted_destinations: Option<Vec<String>>,
    enabled: Option<bool>,
    #[serde(default)]
    webhook_url: Given,
    #[serde(default)]
    webhook_failover_url: Given,
    webhook_api_version: Option<String>,
}

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
    let answer = {
        let mut world = simulator.world();
        let now = Utc::now();
        let mut profile = match id {
            Some(id) => world.numbers.find_profile(id).ok_or_else(Refusal::not_found)?.clone(),
            None => Profile {
                id: make_uuid(),
                name: String::new(),
                destinations: Vec::new(),
                webhook_url: None,
                webhook_failover_url: None,
                created_at: now,
                updated_at: now,
            },
        };
        apply(&mut profile, body.read()?)?;
        profile.updated_at = now;
        world.numbers.record_profile(profile.clone());
        data(show(&profile))
    };
    Ok(answer_after(fault.as_ref(), answer).await)
}

fn apply(profile: &mut Profile, wanted: Wanted) -> Result<(), Refusal> {
    if wanted.enabled == Some(false) {
        return Err(Refusal::unprocessable(10027, "The simulator plays no disabled profiles").at_pointer("/enabled"));
    }
    if wanted.webhook_api_version.is_some_and(|version| version != "2") {
        let detail = "The simulator plays only version 2 of the webhooks";
        return Err(Refusal::unprocessable(10027, detail).at_pointer("/webhook_api_version"));
    }
    for (pointer, url) in
        [("/webhook_url", &wanted.webhook_url), ("/webhook_failover_url", &wanted.webhook_failover_url)]
    {
        if url.find().is_some_and(|url| !is_web_address(url)) {
            return Err(Refusal::unprocessable(10027, "This is not a valid URL.").at_pointer(pointer));
        }
    }
    profile.name = wanted.name.unwrap_or_else(|| std::mem::take(&mut profile.name));
    profile.destinations = wanted.whitelisted_destinations.unwrap_or_else(|| std::mem::take(&mut profile.destinations));
    if profile.name.is_empty() {
        return Err(Refusal::missing("name"));
    }
    if profile.destinations.is_empty() {
        return Err(Refusal::missing("whitelisted_destinations"));
    }
    wanted.webhook_url.apply(&mut profile.webhook_url);
    wanted.webhook_failover_url.apply(&mut profile.webhook_failover_url);
    Ok(())
}

/// Oldest first. `filter[name]` is exact.
pub(super) async fn list(State(simulator): State<Arc<Simulator>>, fields: Fields) -> Result<Response, Refusal> {
    if let Some(broken) = suffer_read(&simulator).await {
        return Ok(broken);
    }
    fields.refuse_others(&["filter[name]", "filter[name][eq]", "page[number]", "page[size]"])?;
    let name = fields.find("filter[name]").or_else(|| fields.find("filter[name][eq]"));
    let world = simulator.world();
    let profiles = world.numbers.list_profiles().into_iter();
    page(&fields, profiles.filter(|profile| name.is_none_or(|name| profile.name == name)), show)
}

pub(super) async fn fetch(
    State(simulator): State<Arc<Simulator>>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    if let Some(broken) = suffer_read(&simulator).await {
        return Ok(broken);
    }
    let world = simulator.world();
    Ok(data(show(world.numbers.find_profile(&id).ok_or_else(Refusal::not_found)?)))
}

fn show(profile: &Profile) -> Value {
    json!({
        "id": profile.id,
        "record_type": "messaging_profile",
        "organization_id": ORGANIZATION,
        "name": profile.name,
        "enabled": true,
        "whitelisted_destinations": profile.destinations,
        "webhook_url": profile.webhook_url,
        "webhook_failover_url": profile.webhook_failover_url,
        "webhook_api_version": "2",
        "created_at": iso_8601(profile.created_at),
        "updated_at": iso_8601(profile.updated_at),
    })
}
