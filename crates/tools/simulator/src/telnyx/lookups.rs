//! `GET number_lookup/{number}?type=carrier`: what kind of line. Every phone is a mobile until a fault makes it a landline.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use serde_json::json;

use super::answer::{Refusal, data};
use super::{CARRIER, suffer};
use crate::e164;
use crate::faults::{Fault, Kind, Point, Subject};
use crate::fields::Fields;
use crate::networks::find_network;
use crate::state::Simulator;

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
    fields.refuse_others(&["type"])?;
    if fields.find("type") != Some("carrier") {
        return Err(Refusal::unprocessable(10027, "The simulator plays only type=carrier").at_parameter("type"));
    }
    if !e164::is_dialable(&number) {
        return Err(Refusal::unprocessable(10002, format!("{number} is not a valid phone number.")));
    }
    // A landline is one for sends and lookups alike.
    let landline = fault.is_some_and(|fault| fault.kind == Kind::Landline)
        || simulator.faults().is_set(CARRIER, Point::Send, Kind::Landline, subject);
    let network = find_network(&number);
    Ok(data(json!({
        "record_type": "number_lookup",
        "phone_number": number,
        "country_code": "US",
        "national_format": e164::format_nationally(&number),
        "fraud": null,
        "caller_name": null,
        "carrier": {
            "name": if landline { "Simulated Telephone" } else { network.telnyx_name },
            "normalized_carrier": network.normalized.filter(|_| !landline),
            "type": if landline { "fixed line" } else { "mobile" },
            "mobile_country_code": if landline { "" } else { network.mcc },
            "mobile_network_code": if landline { "" } else { network.mnc },
            "error_code": null,
        },
        "portability": {
            "line_type": if landline { "fixed line" } else { "mobile" },
            "ported_status": "",
            "lrn": "",
            "ocn": "",
            "city": "",
            "state": "",
        },
    })))
}
