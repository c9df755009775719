//! `GET AvailablePhoneNumbers/US/Local.json`: what can be bought. Nothing found is an empty list, not an error,
//! and a search reserves nothing.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::answer::Refusal;
use super::{CARRIER, suffer};
use crate::e164::{self, format_nationally};
use crate::faults::{Fault, Kind, Point, Subject};
use crate::fields::Fields;
use crate::inventory::list_for_sale;
use crate::state::Simulator;

const PLAYED: [&str; 9] = [
    "AreaCode",
    "Contains",
    "SmsEnabled",
    "MmsEnabled",
    "VoiceEnabled",
    "ExcludeAllAddressRequired",
    "Beta",
    "PageSize",
    "Page",
];

pub(super) async fn search(
    State(simulator): State<Arc<Simulator>>,
    Path((account, country)): Path<(String, String)>,
    fields: Fields,
) -> Result<Response, Refusal> {
    let area_code = fields.find("AreaCode");
    let fault = simulator.take_fault(CARRIER, Point::Search, Subject::area_code(area_code));
    if let Some(trouble) = fault.as_ref().and_then(Fault::before_accept) {
        return Ok(suffer(trouble).await);
    }
    fields.refuse_others(&PLAYED)?;
    let size = fields.get_number("PageSize", 50)?.clamp(1, 1_000);
    let page = fields.get_number("Page", 0)?;
    let area_code = area_code.map(parse_area_code).transpose()?;
    let emptied = fault
        .is_some_and(|fault| fault.kind == Kind::SoldOut || (fault.kind == Kind::AreaCodeEmpty && area_code.is_some()));
    let mut found = Vec::new();
    if !emptied && country == "US" {
        let (world, faults) = (simulator.world(), simulator.faults());
        // A search anywhere does not offer what a search for the area code would deny.
        let hidden = |number: &str| {
            area_code.is_none() && faults.is_set(CARRIER, Point::Search, Kind::AreaCodeEmpty, Subject::number(number))
        };
        let fits = |number: &String| {
            !hidden(number) && fields.find("Contains").is_none_or(|pattern| e164::contains_pattern(number, pattern))
        };
        found =
            list_for_sale(&world.numbers, area_code).filter(fits).skip(page.saturating_mul(size)).take(size).collect();
    }
    let shown: Vec<Value> = found.iter().map(|number| show(number)).collect();
    let uri = format!("/2010-04-01/Accounts/{account}/AvailablePhoneNumbers/{country}/Local.json");
    Ok(Json(json!({ "available_phone_numbers": shown, "uri": uri })).into_response())
}

fn parse_area_code(text: &str) -> Result<u16, Refusal> {
    text.parse()
        .ok()
        .filter(|_| text.len() == 3)
        .ok_or_else(|| Refusal::bad_request(21451, format!("AreaCode {text} is not a North American area code")))
}

fn show(number: &str) -> Value {
    json!({
        "phone_number": number,
        "friendly_name": format_nationally(number),
        "lata": null,
        "locality": null,
        "rate_center": null,
        "latitude": null,
        "longitude": null,
        "region": null,
        "postal_code": null,
        "iso_country": "US",
        "address_requirements": "none",
        "beta": false,
        "capabilities": { "mms": true, "sms": true, "voice": true },
    })
}
