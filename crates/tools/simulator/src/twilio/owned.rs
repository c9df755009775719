//! `IncomingPhoneNumbers`: buy, list, configure and release. Any valid number may be bought that nobody owns,
//! also one that no search has shown.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use serde_json::{Value, json};
use url::Url;

use super::answer::{Refusal, page};
use super::search::{format_nationally, list_for_sale};
use super::{Fields, bare_sid, rfc_2822, suffer};
use crate::e164;
use crate::faults::{Fault, Kind, Point, Subject};
use crate::numbers::{OwnedNumber, Settings};
use crate::sid;
use crate::state::{Simulator, World};

pub(super) async fn buy(
    State(simulator): State<Arc<Simulator>>,
    Path(account): Path<String>,
    fields: Fields,
) -> Result<Response, Refusal> {
    let (number, area_code) = (fields.find("PhoneNumber"), fields.find("AreaCode"));
    let subject = number.map_or(Subject::area_code(area_code), Subject::number);
    let fault = simulator.take_fault(Point::Buy, subject);
    if let Some(trouble) = fault.as_ref().and_then(Fault::before_accept) {
        return Ok(suffer(trouble).await);
    }
    let mut settings = Settings::default();
    apply(&mut settings, &fields, &["PhoneNumber", "AreaCode"])?;
    let number = match (number, area_code) {
        (Some(number), None) => number.to_owned(),
        (None, Some(area_code)) => find_in_area(&simulator, area_code)?,
        _ => return Err(Refusal::bad_request(21421, "Give either PhoneNumber or AreaCode")),
    };
    let bought = purchase(&mut simulator.world(), &number, settings, fault.as_ref())?;
    match fault.as_ref().and_then(Fault::after_accept) {
        Some(trouble) => Ok(suffer(trouble).await),
        None => Ok((StatusCode::CREATED, Json(show(&account, &bought))).into_response()),
    }
}

fn find_in_area(simulator: &Simulator, area_code: &str) -> Result<String, Refusal> {
    let parsed: u16 = area_code
        .parse()
        .map_err(|_| Refusal::bad_request(21451, format!("AreaCode {area_code} is not a North American area code")))?;
    let nothing = || Refusal::bad_request(21452, format!("No phone numbers found in area code {area_code}"));
    if simulator.faults().is_set(Point::Search, Kind::AreaCodeEmpty, Subject::area_code(Some(area_code))) {
        return Err(nothing());
    }
    list_for_sale(&simulator.world().numbers, Some(parsed)).next().ok_or_else(nothing)
}

fn purchase(
    world: &mut World,
    number: &str,
    settings: Settings,
    fault: Option<&Fault>,
) -> Result<OwnedNumber, Refusal> {
    if !e164::is_dialable(number) {
        return Err(Refusal::bad_request(21421, format!("PhoneNumber {number} is not valid for purchase")));
    }
    if fault.is_some_and(|fault| fault.kind == Kind::SoldMeanwhile) && !world.numbers.is_taken(number) {
        world.numbers.record_sold(number);
    }
    if world.numbers.is_taken(number) {
        return Err(Refusal::bad_request(21422, format!("{number} is not available")));
    }
    let now = Utc::now();
    let bought =
        OwnedNumber { sid: sid::make("PN"), number: number.to_owned(), settings, created_at: now, updated_at: now };
    world.numbers.record_purchase(bought.clone());
    Ok(bought)
}

/// Filters: `PhoneNumber` is a pattern that may match anywhere, `FriendlyName` is exact.
pub(super) async fn list(
    State(simulator): State<Arc<Simulator>>,
    Path(account): Path<String>,
    fields: Fields,
) -> Result<Response, Refusal> {
    if let Some(trouble) = simulator.take_fault(Point::List, Subject::default()).and_then(|fault| fault.before_accept())
    {
        return Ok(suffer(trouble).await);
    }
    fields.refuse_others(&["PhoneNumber", "FriendlyName", "PageSize", "Page"])?;
    let (pattern, name) = (fields.find("PhoneNumber"), fields.find("FriendlyName"));
    let fits = |owned: &&OwnedNumber| {
        pattern.is_none_or(|pattern| e164::contains_pattern(&owned.number, pattern))
            && name.is_none_or(|name| shown_name(owned) == name)
    };
    let path = format!("/2010-04-01/Accounts/{account}/IncomingPhoneNumbers.json");
    let world = simulator.world();
    page("incoming_phone_numbers", &path, &fields, world.numbers.list().filter(fits), |owned| show(&account, owned))
}

pub(super) async fn fetch(
    State(simulator): State<Arc<Simulator>>,
    Path((account, sid)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    if let Some(trouble) = simulator.take_fault(Point::List, Subject::default()).and_then(|fault| fault.before_accept())
    {
        return Ok(suffer(trouble).await);
    }
    let world = simulator.world();
    let owned = world.numbers.find_by_sid(bare_sid(&sid)).ok_or_else(|| missing(&account, &sid))?;
    Ok(Json(show(&account, owned)).into_response())
}

pub(super) async fn configure(
    State(simulator): State<Arc<Simulator>>,
    Path((account, sid)): Path<(String, String)>,
    fields: Fields,
) -> Result<Response, Refusal> {
    let fault = take_fault_of(&simulator, Point::Configure, &sid);
    if let Some(trouble) = fault.as_ref().and_then(Fault::before_accept) {
        return Ok(suffer(trouble).await);
    }
    let configured = {
        let mut world = simulator.world();
        let sid = bare_sid(&sid);
        let mut settings = world.numbers.find_by_sid(sid).ok_or_else(|| missing(&account, sid))?.settings.clone();
        apply(&mut settings, &fields, &[])?;
        let owned = world.numbers.record_settings(sid, settings, Utc::now()).ok_or_else(|| missing(&account, sid))?;
        show(&account, owned)
    };
    match fault.as_ref().and_then(Fault::after_accept) {
        Some(trouble) => Ok(suffer(trouble).await),
        None => Ok(Json(configured).into_response()),
    }
}

pub(super) async fn release(
    State(simulator): State<Arc<Simulator>>,
    Path((account, sid)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let fault = take_fault_of(&simulator, Point::Release, &sid);
    if let Some(trouble) = fault.as_ref().and_then(Fault::before_accept) {
        return Ok(suffer(trouble).await);
    }
    {
        let mut world = simulator.world();
        let released = world.numbers.record_release(bare_sid(&sid)).ok_or_else(|| missing(&account, &sid))?;
        world.opt_outs.forget_number(&released.number);
    }
    match fault.as_ref().and_then(Fault::after_accept) {
        Some(trouble) => Ok(suffer(trouble).await),
        None => Ok(StatusCode::NO_CONTENT.into_response()),
    }
}

fn take_fault_of(simulator: &Simulator, on: Point, sid: &str) -> Option<Fault> {
    let number = simulator.world().numbers.find_by_sid(bare_sid(sid)).map(|owned| owned.number.clone());
    simulator.take_fault(on, number.as_deref().map_or(Subject::default(), Subject::number))
}

fn missing(account: &str, sid: &str) -> Refusal {
    Refusal::not_found(&format!("/2010-04-01/Accounts/{account}/IncomingPhoneNumbers/{sid}"))
}

/// Takes the settings out of a form; `also` names fields that belong to the call itself. An empty value clears a setting.
fn apply(settings: &mut Settings, fields: &Fields, also: &[&str]) -> Result<(), Refusal> {
    for (name, value) in fields.iter() {
        let address = match name {
            "FriendlyName" if value.chars().count() <= 64 => {
                settings.friendly_name = Some(value.to_owned()).filter(|name| !name.is_empty());
                continue;
            }
            "FriendlyName" => return Err(Refusal::bad_request(20001, "FriendlyName is longer than 64 characters")),
            "SmsMethod" | "SmsFallbackMethod" | "VoiceMethod" | "VoiceFallbackMethod" | "StatusCallbackMethod" => {
                if value != "POST" {
                    return Err(Refusal::bad_request(
                        20001,
                        format!("The simulator only posts; {name} cannot be {value}"),
                    ));
                }
                continue;
            }
            "SmsUrl" => &mut settings.sms_url,
            "SmsFallbackUrl" => &mut settings.sms_fallback_url,
            "VoiceUrl" => &mut settings.voice_url,
            "VoiceFallbackUrl" => &mut settings.voice_fallback_url,
            "StatusCallback" => &mut settings.status_callback,
            _ if also.contains(&name) => continue,
            _ => return Err(Refusal::unplayed(name)),
        };
        if !value.is_empty() && !is_web_address(value) {
            return Err(Refusal::bad_request(21402, format!("{name} is not a valid URL")));
        }
        *address = Some(value.to_owned()).filter(|value| !value.is_empty());
    }
    Ok(())
}

/// An absolute http(s) URL with a host.
pub(super) fn is_web_address(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

fn shown_name(owned: &OwnedNumber) -> String {
    owned.settings.friendly_name.clone().unwrap_or_else(|| format_nationally(&owned.number))
}

fn show(account: &str, owned: &OwnedNumber) -> Value {
    let settings = &owned.settings;
    let address = |setting: &Option<String>| setting.clone().unwrap_or_default();
    json!({
        "sid": owned.sid,
        "account_sid": account,
        "phone_number": owned.number,
        "friendly_name": shown_name(owned),
        "sms_url": address(&settings.sms_url),
        "sms_method": "POST",
        "sms_fallback_url": address(&settings.sms_fallback_url),
        "sms_fallback_method": "POST",
        "voice_url": address(&settings.voice_url),
        "voice_method": "POST",
        "voice_fallback_url": address(&settings.voice_fallback_url),
        "voice_fallback_method": "POST",
        "status_callback": address(&settings.status_callback),
        "status_callback_method": "POST",
        "capabilities": { "voice": true, "sms": true, "mms": true, "fax": false },
        "address_requirements": "none",
        "beta": false,
        "origin": "twilio",
        "status": "in-use",
        "type": "local",
        "api_version": "2010-04-01",
        "date_created": rfc_2822(owned.created_at),
        "date_updated": rfc_2822(owned.updated_at),
        "uri": format!("/2010-04-01/Accounts/{account}/IncomingPhoneNumbers/{}.json", owned.sid),
    })
}
