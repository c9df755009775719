//! `number_orders`: a purchase that is settled after it was answered. An order takes exactly one number, which a search has
//! shown before; nobody else can have it while the order is open.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use serde::Deserialize;
use serde_json::{Value, json};

use super::account::{Order, OrderStatus};
use super::answer::{Body, Refusal, data, page};
use super::{CARRIER, answer_after, iso_8601, make_numeric_id, make_uuid, suffer, suffer_read};
use crate::e164;
use crate::faults::{Fault, Kind, Point, Subject};
use crate::fields::Fields;
use crate::numbers::{OwnedNumber, Settings};
use crate::state::{Simulator, World};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderRequest {
    phone_numbers: Vec<OrderedNumber>,
    customer_reference: Option<String>,
    messaging_profile_id: Option<String>,
    connection_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderedNumber {
    phone_number: String,
}

pub(super) async fn create(State(simulator): State<Arc<Simulator>>, body: Body) -> Result<Response, Refusal> {
    let subject = body.0["phone_numbers"][0]["phone_number"].as_str().map_or(Subject::default(), Subject::number);
    let fault = simulator.take_fault(CARRIER, Point::Buy, subject);
    if let Some(trouble) = fault.as_ref().and_then(Fault::before_accept) {
        return Ok(suffer(trouble).await);
    }
    if fault.as_ref().is_some_and(Fault::is_refusal) {
        let detail = "You do not have enough funds to perform this action.";
        return Err(Refusal::new(StatusCode::FORBIDDEN, 20100, detail));
    }
    let request: OrderRequest = body.read()?;
    let order = place(&mut simulator.world(), request, fault.as_ref())?;
    let answer = data(show(&order));
    let (delay, succeeds) = fault.as_ref().map_or((None, true), Fault::order_end);
    simulator.tasks.spawn(settle_after(
        Arc::clone(&simulator),
        delay.unwrap_or(simulator.config.order_delay),
        order.id,
        succeeds,
    ));
    Ok(answer_after(fault.as_ref(), answer).await)
}

/// Everything that the carrier refuses at once; else the open order.
fn place(world: &mut World, request: OrderRequest, fault: Option<&Fault>) -> Result<Order, Refusal> {
    let [OrderedNumber { phone_number: number }] = request.phone_numbers.try_into().map_err(|_| {
        Refusal::unprocessable(10027, "The simulator plays orders of exactly one number").at_pointer("/phone_numbers")
    })?;
    let at_number = |refusal: Refusal| refusal.at_pointer("/phone_numbers/0/phone_number");
    if !e164::is_dialable(&number) {
        let detail = format!("{number} is not a phone number in +E.164 format.");
        return Err(at_number(Refusal::unprocessable(10027, detail)));
    }
    if let Some(id) = request.connection_id.as_deref().filter(|id| world.numbers.find_application(id).is_none()) {
        let detail = format!("The connection {id} does not exist.");
        return Err(Refusal::unprocessable(85004, detail).at_pointer("/connection_id"));
    }
    if let Some(id) = request.messaging_profile_id.as_deref().filter(|id| world.numbers.find_profile(id).is_none()) {
        let detail = format!("The messaging profile {id} does not exist.");
        return Err(Refusal::unprocessable(85005, detail).at_pointer("/messaging_profile_id"));
    }
    if fault.is_some_and(|fault| fault.kind == Kind::SoldMeanwhile) && !world.numbers.is_taken(&number) {
        world.numbers.record_sold(&number);
    }
    if world.numbers.is_taken(&number) {
        let detail = format!("The number {number} is no longer available.");
        return Err(at_number(Refusal::unprocessable(85001, detail)));
    }
    if !world.telnyx.was_shown(&number) {
        let detail = format!("The number {number} was not part of a recent search.");
        return Err(at_number(Refusal::unprocessable(85000, detail)));
    }
    let now = Utc::now();
    let order = Order {
        id: make_uuid(),
        line_id: make_uuid(),
        number,
        status: OrderStatus::Pending,
        customer_reference: request.customer_reference.filter(|reference| !reference.is_empty()),
        profile_id: request.messaging_profile_id,
        application_id: request.connection_id,
        created_at: now,
        updated_at: now,
    };
    world.numbers.record_held(&order.number);
    world.telnyx.record_order(order.clone());
    Ok(order)
}

async fn settle_after(simulator: Arc<Simulator>, delay: Duration, id: String, succeeds: bool) {
    tokio::select! {
        () = tokio::time::sleep(delay) => settle(&mut simulator.world(), &id, succeeds),
        () = simulator.shutdown.cancelled() => {}
    }
}

fn settle(world: &mut World, id: &str, succeeds: bool) {
    let status = if succeeds { OrderStatus::Success } else { OrderStatus::Failure };
    let now = Utc::now();
    let Some(order) = world.telnyx.record_settled(id, status, now) else { return };
    if !succeeds {
        world.numbers.record_sold(&order.number);
        return;
    }
    world.numbers.record_purchase(OwnedNumber {
        carrier: CARRIER,
        sid: make_numeric_id(),
        number: order.number,
        settings: Settings { friendly_name: order.customer_reference, ..Settings::default() },
        profile_id: order.profile_id,
        application_id: order.application_id,
        created_at: now,
        updated_at: now,
    });
}

/// Newest first.
pub(super) async fn list(State(simulator): State<Arc<Simulator>>, fields: Fields) -> Result<Response, Refusal> {
    if let Some(broken) = suffer_read(&simulator).await {
        return Ok(broken);
    }
    fields.refuse_others(&["filter[customer_reference]", "filter[status]", "page[number]", "page[size]"])?;
    let (reference, status) = (fields.find("filter[customer_reference]"), fields.find("filter[status]"));
    let world = simulator.world();
    let orders = world.telnyx.list_orders().filter(|order| {
        reference.is_none_or(|reference| order.customer_reference.as_deref() == Some(reference))
            && status.is_none_or(|status| order.status.as_str() == status)
    });
    page(&fields, orders, show)
}

pub(super) async fn fetch(
    State(simulator): State<Arc<Simulator>>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    if let Some(broken) = suffer_read(&simulator).await {
        return Ok(broken);
    }
    let world = simulator.world();
    let order = world.telnyx.find_order(&id).ok_or_else(Refusal::not_found)?;
    Ok(data(show(order)).into_response())
}

fn show(order: &Order) -> Value {
    json!({
        "id": order.id,
        "record_type": "number_order",
        "status": order.status.as_str(),
        "phone_numbers_count": 1,
        "phone_numbers": [{
            "id": order.line_id,
            "record_type": "number_order_phone_number",
            "phone_number": order.number,
            "phone_number_type": "local",
            "country_code": "US",
            "status": order.status.as_str(),
            "requirements_met": true,
            "requirements_status": "approved",
            "regulatory_requirements": [],
        }],
        "customer_reference": order.customer_reference,
        "messaging_profile_id": order.profile_id,
        "connection_id": order.application_id,
        "billing_group_id": null,
        "requirements_met": true,
        "sub_number_orders_ids": [],
        "created_at": iso_8601(order.created_at),
        "updated_at": iso_8601(order.updated_at),
    })
}
