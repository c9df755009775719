//! `GET /v2/PhoneNumbers/{number}`: is it a number, and what kind of line. A number that is none is an answer, not an error.
//! Every phone is a mobile until a fault makes it a landline; data packages other than the line type are refused.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::answer::Refusal;
use super::{CARRIER, suffer};
use crate::e164::{self, format_nationally};
use crate::faults::{Fault, Kind, Point, Subject};
use crate::fields::Fields;
use crate::networks::find_network;
use crate::state::Simulator;

const LINE_TYPE: &str = "line_type_intelligence";

pub(super) async fn lookup(
    State(simulator): State<Arc<Simulator>>,
    Path(number): Path<String>,
    fields: Fields,
) -> Result<Response, Refusal> {
    let subject = Subject::number(&number);
    let fault = simulator.take_fault(CARRIER, Point::Lookup, subject);
    if let Some(trouble) = fault.as_ref().and_then(Fault::before_accept) {
        return Ok(suffer(trouble).await);
    }
    fields.refuse_others(&["Fields"])?;
    let wanted = fields.find("Fields");
    if wanted.is_some_and(|wanted| wanted != LINE_TYPE) {
        return Err(Refusal::bad_request(20001, format!("The simulator plays no Fields but {LINE_TYPE}")));
    }
    let valid = e164::is_dialable(&number);
    // A landline is one for sends and lookups alike.
    let landline = fault.is_some_and(|fault| fault.kind == Kind::Landline)
        || simulator.faults().is_set(CARRIER, Point::Send, Kind::Landline, subject);
    let network = find_network(&number);
    let line = wanted.filter(|_| valid).map(|_| {
        json!({
            "type": if landline { "landline" } else { "mobile" },
            "carrier_name": if landline { "Simulated Telephone" } else { network.twilio_name },
            "mobile_country_code": (!landline).then_some(network.mcc),
            "mobile_network_code": (!landline).then_some(network.mnc),
            "error_code": null,
        })
    });
    let body = json!({
        "calling_country_code": valid.then_some("1"),
        "country_code": valid.then_some("US"),
        "phone_number": number,
        "national_format": valid.then(|| format_nationally(&number)),
        "valid": valid,
        "validation_errors": if valid { Vec::new() } else { vec!["NOT_A_NUMBER"] },
        LINE_TYPE: line,
        "url": format!("https://lookups.twilio.com/v2/PhoneNumbers/{number}"),
    });
    Ok(Json(body).into_response())
}
