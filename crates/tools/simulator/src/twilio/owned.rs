//! `IncomingPhoneNumbers`: buy, list, configure and release. Any valid number may be bought that nobody owns,
//! also one that no search has shown.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use serde_json::{Value, json};

use super::answer::{Refusal, page_by_token};
use super::{CARRIER, answer_after, bare_sid, rfc_2822, suffer, suffer_read};
use crate::e164::{self, format_nationally};
use crate::faults::{Fault, Kind, Point, Subject};
use crate::fields::{BadField, Fields, is_web_address};
use crate::inventory::list_for_sale;
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
    let fault = simulator.take_fault(CARRIER, Point::Buy, subject);
    if let Some(trouble) = fault.as_ref().and_then(Fault::before_accept) {
        return Ok(suffer(trouble).await);
    }
    if fault.as_ref().is_some_and(Fault::is_refusal) {
        return Err(Refusal::bad_request(21404, "The account may not buy this number"));
    }
    let mut settings = Settings::default();
    apply(&mut settings, &fields, &["PhoneNumber", "AreaCode"])?;
    let number = match (number, area_code) {
        (Some(number), None) => number.to_owned(),
        (None, Some(area_code)) => find_in_area(&simulator, area_code)?,
        _ => return Err(Refusal::bad_request(21421, "Give either PhoneNumber or AreaCode")),
    };
    let bought = purchase(&mut simulator.world(), &number, settings, fault.as_ref())?;
    Ok(answer_after(fault.as_ref(), (StatusCode::CREATED, Json(show(&account, &bought))).into_response()).await)
}

fn find_in_area(simulator: &Simulator, area_code: &str) -> Result<String, Refusal> {
    let parsed: u16 = area_code
        .parse()
        .map_err(|_| Refusal::bad_request(21451, format!("AreaCode {area_code} is not a North American area code")))?;
    let nothing = || Refusal::bad_request(21452, format!("No phone numbers found in area code {area_code}"));
    if simulator.faults().is_set(CARRIER, Point::Search, Kind::AreaCodeEmpty, Subject::area_code(Some(area_code))) {
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
    let bought = OwnedNumber {
        carrier: CARRIER,
        sid: sid::make("PN"),
        number: number.to_owned(),
        settings,
        profile_id: None,
        application_id: None,
        created_at: now,
        updated_at: now,
    };
    world.numbers.record_purchase(bought.clone());
    Ok(bought)
}

/// Filters: `PhoneNumber` is a pattern that may match anywhere, `FriendlyName` is exact.
pub(super) async fn list(
    State(simulator): State<Arc<Simulator>>,
    Path(account): Path<String>,
    fields: Fields,
) -> Result<Response, Refusal> {
    if let Some(broken) = suffer_read(&simulator).await {
        return Ok(broken);
    }
    fields.refuse_others(&["PhoneNumber", "FriendlyName", "PageSize", "Page", "PageToken"])?;
    let (pattern, name) = (fields.find("PhoneNumber"), fields.find("FriendlyName"));
    let fits = |(_, owned): &(u64, &OwnedNumber)| {
        owned.carrier == CARRIER
            && pattern.is_none_or(|pattern| e164::contains_pattern(&owned.number, pattern))
            && name.is_none_or(|name| shown_name(owned) == name)
    };
    let path = format!("/2010-04-01/Accounts/{account}/IncomingPhoneNumbers.json");
    let world = simulator.world();
    let owned = world.numbers.list_placed().filter(fits);
    page_by_token("incoming_phone_numbers", &path, &fields, owned, |owned| show(&account, owned))
}

pub(super) async fn fetch(
    State(simulator): State<Arc<Simulator>>,
    Path((account, sid)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    if let Some(broken) = suffer_read(&simulator).await {
        return Ok(broken);
    }
    let world = simulator.world();
    let owned = world.numbers.find_by_sid(CARRIER, bare_sid(&sid)).ok_or_else(|| missing(&account, &sid))?;
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
    if fault.as_ref().is_some_and(Fault::is_refusal) {
        return Err(Refusal::bad_request(21402, "SmsUrl is not a valid URL"));
    }
    let configured = {
        let mut world = simulator.world();
        let sid = bare_sid(&sid);
        let mut owned = world.numbers.find_by_sid(CARRIER, sid).ok_or_else(|| missing(&account, sid))?.clone();
        apply(&mut owned.settings, &fields, &[])?;
        owned.updated_at = Utc::now();
        world.numbers.record_change(owned.clone());
        show(&account, &owned)
    };
    Ok(answer_after(fault.as_ref(), Json(configured).into_response()).await)
}

pub(super) async fn release(
    State(simulator): State<Arc<Simulator>>,
    Path((account, sid)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let fault = take_fault_of(&simulator, Point::Release, &sid);
    if let Some(trouble) = fault.as_ref().and_then(Fault::before_accept) {
        return Ok(suffer(trouble).await);
    }
    if fault.as_ref().is_some_and(Fault::is_refusal) {
        return Err(Refusal::bad_request(20001, "The number has an emergency address, which must be removed first"));
    }
    {
        let mut world = simulator.world();
        let released = world.numbers.record_release(CARRIER, bare_sid(&sid)).ok_or_else(|| missing(&account, &sid))?;
        world.opt_outs.forget_scope(&released.number);
    }
    Ok(answer_after(fault.as_ref(), StatusCode::NO_CONTENT.into_response()).await)
}

fn take_fault_of(simulator: &Simulator, on: Point, sid: &str) -> Option<Fault> {
    let number = simulator.world().numbers.find_by_sid(CARRIER, bare_sid(sid)).map(|owned| owned.number.clone());
    simulator.take_fault(CARRIER, on, number.as_deref().map_or(Subject::default(), Subject::number))
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
            _ => return Err(BadField::Unplayed(name.to_owned()).into()),
        };
        if !value.is_empty() && !is_web_address(value) {
            return Err(Refusal::bad_request(21402, format!("{name} is not a valid URL")));
        }
        *address = Some(value.to_owned()).filter(|value| !value.is_empty());
    }
    Ok(())
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
