//! `GET available_phone_numbers`: what can be ordered. Nothing found is an empty list, not an error. A search reserves
//! nothing, but only what it showed can be ordered afterwards.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::answer::Refusal;
use super::{CARRIER, suffer};
use crate::faults::{Fault, Kind, Point, Subject};
use crate::fields::Fields;
use crate::inventory::list_for_sale;
use crate::state::Simulator;

const PLAYED: [&str; 11] = [
    "filter[country_code]",
    "filter[national_destination_code]",
    "filter[features][]",
    "filter[phone_number_type]",
    "filter[limit]",
    "filter[best_effort]",
    "filter[reservable]",
    "filter[exclude_held_numbers]",
    "filter[phone_number][starts_with]",
    "filter[phone_number][ends_with]",
    "filter[phone_number][contains]",
];
/// What every number for sale can do.
const FEATURES: [&str; 5] = ["sms", "mms", "voice", "emergency", "local_calling"];
const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1_000;

pub(super) async fn search(State(simulator): State<Arc<Simulator>>, fields: Fields) -> Result<Response, Refusal> {
    let area_code = fields.find("filter[national_destination_code]");
    let fault = simulator.take_fault(CARRIER, Point::Search, Subject::area_code(area_code));
    if let Some(trouble) = fault.as_ref().and_then(Fault::before_accept) {
        return Ok(suffer(trouble).await);
    }
    fields.refuse_others(&PLAYED)?;
    let country = fields.find("filter[country_code]").ok_or_else(|| Refusal::missing("filter[country_code]"))?;
    if fields.find("filter[best_effort]") == Some("true") {
        let detail = "The simulator does not play filter[best_effort]=true";
        return Err(Refusal::unprocessable(10027, detail).at_parameter("filter[best_effort]"));
    }
    let limit = fields.get_number("filter[limit]", DEFAULT_LIMIT)?.min(MAX_LIMIT);
    let area_code = area_code.map(parse_area_code).transpose()?;
    let emptied = fault
        .is_some_and(|fault| fault.kind == Kind::SoldOut || (fault.kind == Kind::AreaCodeEmpty && area_code.is_some()));
    let able = fields.list("filter[features][]").iter().all(|feature| FEATURES.contains(&feature.as_str()))
        && fields.find("filter[phone_number_type]").is_none_or(|kind| kind == "local");
    let mut found = Vec::new();
    if !emptied && country == "US" && able {
        let mut world = simulator.world();
        let faults = simulator.faults();
        // A search anywhere does not offer what a search for the area code would deny.
        let hidden = |number: &str| {
            area_code.is_none() && faults.is_set(CARRIER, Point::Search, Kind::AreaCodeEmpty, Subject::number(number))
        };
        found = list_for_sale(&world.numbers, area_code)
            .filter(|number| !hidden(number) && fits(number, &fields))
            .take(limit)
            .collect();
        world.telnyx.record_shown(&found);
    }
    let shown: Vec<Value> = found.iter().map(|number| show(number)).collect();
    let meta = json!({ "total_results": shown.len(), "best_effort_results": 0 });
    Ok(Json(json!({ "data": shown, "meta": meta })).into_response())
}

fn parse_area_code(text: &str) -> Result<u16, Refusal> {
    text.parse().ok().filter(|_| text.len() == 3).ok_or_else(|| {
        Refusal::unprocessable(10027, format!("{text} is not a national destination code of three digits"))
            .at_parameter("filter[national_destination_code]")
    })
}

/// The patterns of a number, with or without its `+1`.
fn fits(number: &str, fields: &Fields) -> bool {
    let wanted = |name: &str| fields.find(name).map(|pattern| pattern.trim_start_matches('+'));
    let (digits, national) = (number.trim_start_matches('+'), number.trim_start_matches("+1"));
    wanted("filter[phone_number][starts_with]")
        .is_none_or(|start| digits.starts_with(start) || national.starts_with(start))
        && wanted("filter[phone_number][ends_with]").is_none_or(|end| digits.ends_with(end))
        && wanted("filter[phone_number][contains]").is_none_or(|part| digits.contains(part))
}

fn show(number: &str) -> Value {
    json!({
        "record_type": "available_phone_number",
        "phone_number": number,
        "features": FEATURES.map(|name| json!({ "name": name })),
        "cost_information": { "currency": "USD", "monthly_cost": "1.00", "upfront_cost": "1.00" },
        "region_information": [{ "region_type": "country_code", "region_name": "US" }],
        "best_effort": false,
        "quickship": true,
        "reservable": true,
        "vanity_format": null,
    })
}
