//! `phone_numbers`: list, configure and release. A number has no addresses of its own: it names a messaging profile for its
//! texts and a TeXML application, as `connection_id`, for its calls.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use chrono::Utc;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Body, Given, Refusal, data, page};
use super::{CARRIER, answer_after, iso_8601, suffer, suffer_read};
use crate::e164;
use crate::faults::{Fault, Point, Subject};
use crate::fields::Fields;
use crate::numbers::{Numbers, OwnedNumber};
use crate::state::Simulator;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    #[serde(default)]
    connection_id: Given,
    #[serde(default)]
    customer_reference: Given,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MessagingChange {
    #[serde(default)]
    messaging_profile_id: Given,
}

/// Filters: `filter[phone_number]` matches anywhere in a number, `filter[customer_reference]` is exact. Newest first.
pub(super) async fn list(State(simulator): State<Arc<Simulator>>, fields: Fields) -> Result<Response, Refusal> {
    if let Some(broken) = suffer_read(&simulator).await {
        return Ok(broken);
    }
    fields.refuse_others(&["filter[phone_number]", "filter[customer_reference]", "page[number]", "page[size]"])?;
    let (pattern, reference) = (fields.find("filter[phone_number]"), fields.find("filter[customer_reference]"));
    let world = simulator.world();
    let numbers = &world.numbers;
    let owned = numbers.list().filter(|owned| {
        owned.carrier == CARRIER
            && pattern.is_none_or(|pattern| e164::contains_pattern(&owned.number, pattern))
            && reference.is_none_or(|reference| owned.settings.friendly_name.as_deref() == Some(reference))
    });
    page(&fields, owned, |owned| show(numbers, owned, "active"))
}

pub(super) async fn fetch(
    State(simulator): State<Arc<Simulator>>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    if let Some(broken) = suffer_read(&simulator).await {
        return Ok(broken);
    }
    let world = simulator.world();
    let owned = world.numbers.find_by_sid(CARRIER, &id).ok_or_else(Refusal::not_found)?;
    Ok(data(show(&world.numbers, owned, "active")))
}

pub(super) async fn configure(
    State(simulator): State<Arc<Simulator>>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Response, Refusal> {
    change(&simulator, &id, body, |numbers, owned, change: Change| {
        if let Some(id) = change.connection_id.find().filter(|id| numbers.find_application(id).is_none()) {
            let detail = format!("The connection {id} does not exist.");
            return Err(Refusal::unprocessable(10027, detail).at_pointer("/connection_id"));
        }
        change.connection_id.apply(&mut owned.application_id);
        change.customer_reference.apply(&mut owned.settings.friendly_name);
        Ok(())
    })
    .await
}

pub(super) async fn configure_messaging(
    State(simulator): State<Arc<Simulator>>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Response, Refusal> {
    change(&simulator, &id, body, |numbers, owned, change: MessagingChange| {
        if let Some(id) = change.messaging_profile_id.find().filter(|id| numbers.find_profile(id).is_none()) {
            let detail = format!("The messaging profile {id} does not exist.");
            return Err(Refusal::unprocessable(10027, detail).at_pointer("/messaging_profile_id"));
        }
        change.messaging_profile_id.apply(&mut owned.profile_id);
        Ok(())
    })
    .await
}

/// Both kinds of change: faults, the number, what is changed in it, the answer.
async fn change<T: serde::de::DeserializeOwned>(
    simulator: &Simulator,
    id: &str,
    body: Body,
    apply: impl FnOnce(&Numbers, &mut OwnedNumber, T) -> Result<(), Refusal>,
) -> Result<Response, Refusal> {
    let fault = take_fault_of(simulator, Point::Configure, id);
    if let Some(trouble) = fault.as_ref().and_then(Fault::before_accept) {
        return Ok(suffer(trouble).await);
    }
    refuse_if_told(fault.as_ref())?;
    let answer = {
        let mut world = simulator.world();
        let mut owned = world.numbers.find_by_sid(CARRIER, id).ok_or_else(Refusal::not_found)?.clone();
        apply(&world.numbers, &mut owned, body.read()?)?;
        owned.updated_at = Utc::now();
        world.numbers.record_change(owned.clone());
        data(show(&world.numbers, &owned, "active"))
    };
    Ok(answer_after(fault.as_ref(), answer).await)
}

/// The refusal of a configuration that a fault asks for.
pub(super) fn refuse_if_told(fault: Option<&Fault>) -> Result<(), Refusal> {
    match fault {
        Some(fault) if fault.is_refusal() => Err(Refusal::unprocessable(10027, "The request could not be processed.")),
        _ => Ok(()),
    }
}

pub(super) async fn release(
    State(simulator): State<Arc<Simulator>>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let fault = take_fault_of(&simulator, Point::Release, &id);
    if let Some(trouble) = fault.as_ref().and_then(Fault::before_accept) {
        return Ok(suffer(trouble).await);
    }
    if fault.as_ref().is_some_and(Fault::is_refusal) {
        return Err(Refusal::bad_request(10027, "The number cannot be deleted: its deletion lock is enabled."));
    }
    let answer = {
        let mut world = simulator.world();
        let released = world.numbers.record_release(CARRIER, &id).ok_or_else(Refusal::not_found)?;
        data(show(&world.numbers, &released, "deleted"))
    };
    Ok(answer_after(fault.as_ref(), answer).await)
}

fn take_fault_of(simulator: &Simulator, on: Point, id: &str) -> Option<Fault> {
    let number = simulator.world().numbers.find_by_sid(CARRIER, id).map(|owned| owned.number.clone());
    simulator.take_fault(CARRIER, on, number.as_deref().map_or(Subject::default(), Subject::number))
}

fn show(numbers: &Numbers, owned: &OwnedNumber, status: &str) -> Value {
    let profile = owned.profile_id.as_deref().and_then(|id| numbers.find_profile(id));
    let application = owned.application_id.as_deref().and_then(|id| numbers.find_application(id));
    json!({
        "id": owned.sid,
        "record_type": "phone_number",
        "phone_number": owned.number,
        "phone_number_type": "local",
        "country_iso_alpha2": "US",
        "status": status,
        "tags": [],
        "customer_reference": owned.settings.friendly_name,
        "connection_id": owned.application_id,
        "connection_name": application.map(|application| &application.friendly_name),
        "messaging_profile_id": owned.profile_id,
        "messaging_profile_name": profile.map(|profile| &profile.name),
        "billing_group_id": null,
        "emergency_enabled": false,
        "deletion_lock_enabled": false,
        "purchased_at": iso_8601(owned.created_at),
        "created_at": iso_8601(owned.created_at),
        "updated_at": iso_8601(owned.updated_at),
    })
}
