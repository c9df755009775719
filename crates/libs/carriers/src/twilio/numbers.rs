//! Numbers at Twilio: search, buy, find, configure, release.
//!
//! A number is bought by its digits, never by area code: Twilio calls exactly that "idempotent by nature". Its
//! `FriendlyName` is the license id, so that what a crash left behind can be found (rule 5). Twilio's filters match
//! more than they are asked (a part of a number), so every answer is compared again here.

use domain::{LicenseId, PhoneNumber};
use http::Method;
use reqwest::RequestBuilder;
use serde::Deserialize;
use url::{Url, form_urlencoded};

use super::{errors::TABLES, rest::Rest, webhooks};
use crate::{CallError, NumberOrder, NumberSearch, OwnedNumber, OwnedPage, exchange::Trouble};

/// Twilio's largest page.
const PAGE: &str = "1000";

#[derive(Deserialize)]
struct AvailablePage {
    available_phone_numbers: Vec<Available>,
}

#[derive(Deserialize)]
struct Available {
    phone_number: String,
}

#[derive(Deserialize)]
struct IncomingPage {
    incoming_phone_numbers: Vec<Incoming>,
    /// Path and query of the next page.
    #[serde(default)]
    next_page_uri: Option<String>,
}

#[derive(Deserialize)]
struct Incoming {
    sid: String,
    phone_number: String,
    #[serde(default)]
    friendly_name: Option<String>,
    #[serde(default)]
    sms_url: Option<String>,
}

pub(super) async fn search(rest: &Rest, search: &NumberSearch) -> Result<Vec<PhoneNumber>, CallError> {
    let limit = search.limit.to_string();
    let area_code = search.area_code.map(|area_code| area_code.to_string());
    let mut query = vec![
        ("SmsEnabled", "true"),
        ("VoiceEnabled", "true"),
        ("ExcludeAllAddressRequired", "true"),
        ("PageSize", limit.as_str()),
    ];
    query.extend(area_code.as_deref().map(|area_code| ("AreaCode", area_code)));
    let request = rest.request(Method::GET, &["AvailablePhoneNumbers", "US", "Local.json"]).query(&query);
    let page: AvailablePage = rest.fetch(request).await.map_err(|trouble| TABLES.call_error(trouble))?;
    Ok(page
        .available_phone_numbers
        .iter()
        // What our own rules refuse (rule 12) is no number to offer.
        .filter_map(|available| PhoneNumber::from_e164(&available.phone_number).ok())
        .filter(|number| search.area_code.is_none_or(|area_code| number.area_code() == area_code))
        .take(usize::from(search.limit))
        .collect())
}

pub(super) async fn buy(rest: &Rest, order: &NumberOrder) -> Result<OwnedNumber, CallError> {
    let mut form = settings_form(order);
    form.push(("PhoneNumber", order.number.as_str().to_owned()));
    let request = rest.request(Method::POST, &["IncomingPhoneNumbers.json"]).form(&form);
    fetch_ordered(rest, request, order).await
}

pub(super) async fn configure(rest: &Rest, owned: &OwnedNumber, order: &NumberOrder) -> Result<OwnedNumber, CallError> {
    let file = format!("{}.json", owned.carrier_number_id);
    let request = rest.request(Method::POST, &["IncomingPhoneNumbers", &file]).form(&settings_form(order));
    fetch_ordered(rest, request, order).await
}

pub(super) async fn find_owned(rest: &Rest, number: &PhoneNumber) -> Result<Option<OwnedNumber>, CallError> {
    let owned = list(rest, ("PhoneNumber", number.as_str())).await?;
    Ok(owned.into_iter().find(|owned| owned.number == *number))
}

pub(super) async fn list_owned_by(rest: &Rest, license_id: &LicenseId) -> Result<Vec<OwnedNumber>, CallError> {
    let mut owned = list(rest, ("FriendlyName", license_id.as_str())).await?;
    owned.retain(|owned| owned.license_id.as_ref() == Some(license_id));
    Ok(owned)
}

pub(super) async fn list_owned(rest: &Rest, page: Option<&str>) -> Result<OwnedPage, CallError> {
    let query: Vec<(String, String)> = match page {
        Some(page) => form_urlencoded::parse(page.as_bytes()).into_owned().collect(),
        None => vec![("PageSize".to_owned(), PAGE.to_owned())],
    };
    let page = fetch_page(rest, &query).await?;
    // Only the query: the rest of the address is ours to know.
    let next = page.next_page_uri.and_then(|uri| Some(uri.split_once('?')?.1.to_owned()));
    Ok(OwnedPage { numbers: page.incoming_phone_numbers.into_iter().filter_map(Incoming::into_owned).collect(), next })
}

pub(super) async fn release(rest: &Rest, carrier_number_id: &str) -> Result<(), CallError> {
    let file = format!("{carrier_number_id}.json");
    let request = rest.request(Method::DELETE, &["IncomingPhoneNumbers", &file]);
    match rest.run(request).await {
        Ok(_) | Err(Trouble::Refused { status: 404, .. }) => Ok(()),
        Err(trouble) => Err(TABLES.call_error(trouble)),
    }
}

/// Tag and webhooks: all that is ours to set on a number.
fn settings_form(order: &NumberOrder) -> Vec<(&'static str, String)> {
    let post = || "POST".to_owned();
    vec![
        ("FriendlyName", order.license_id.as_str().to_owned()),
        ("SmsUrl", webhooks::with_retries(&order.webhooks.message_url)),
        ("SmsMethod", post()),
        ("SmsFallbackUrl", order.webhooks.message_url.as_str().to_owned()),
        ("SmsFallbackMethod", post()),
        ("VoiceUrl", webhooks::with_retries(&order.webhooks.voice_url)),
        ("VoiceMethod", post()),
        ("VoiceFallbackUrl", order.webhooks.voice_url.as_str().to_owned()),
        ("VoiceFallbackMethod", post()),
        ("StatusCallback", order.webhooks.voice_status_url.as_str().to_owned()),
        ("StatusCallbackMethod", post()),
    ]
}

/// Sends an order and reads the number back. An answer about another number proves nothing about this one.
async fn fetch_ordered(rest: &Rest, request: RequestBuilder, order: &NumberOrder) -> Result<OwnedNumber, CallError> {
    let incoming: Incoming = rest.fetch(request).await.map_err(|trouble| TABLES.call_error(trouble))?;
    incoming
        .into_owned()
        .filter(|owned| owned.number == order.number)
        .ok_or_else(|| CallError::Unknown { cause: "the answer is not about the number of the order".into() })
}

async fn list(rest: &Rest, filter: (&str, &str)) -> Result<Vec<OwnedNumber>, CallError> {
    let query = [filter, ("PageSize", PAGE)].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let page = fetch_page(rest, &query).await?;
    Ok(page.incoming_phone_numbers.into_iter().filter_map(Incoming::into_owned).collect())
}

async fn fetch_page(rest: &Rest, query: &[(String, String)]) -> Result<IncomingPage, CallError> {
    let request = rest.request(Method::GET, &["IncomingPhoneNumbers.json"]).query(query);
    rest.fetch(request).await.map_err(|trouble| TABLES.call_error(trouble))
}

impl Incoming {
    /// `None` for what is not a North American number: the account may own others, they are not ours to see.
    fn into_owned(self) -> Option<OwnedNumber> {
        Some(OwnedNumber {
            number: PhoneNumber::from_e164(&self.phone_number).ok()?,
            license_id: self.friendly_name.and_then(|tag| LicenseId::parse(tag).ok()),
            message_url: self.sms_url.and_then(|url| Url::parse(&url).ok()).map(|mut url| {
                url.set_fragment(None);
                url
            }),
            carrier_number_id: self.sid,
        })
    }
}

#[cfg(test)]
mod tests {
    use domain::AreaCode;

    use super::{super::fixture::twilio_at, *};
    use crate::{
        Carrier,
        harness::{
            rest::{license, number, order},
            scripted::{Act, Recorded, Scripted},
        },
    };

    fn owned() -> OwnedNumber {
        OwnedNumber {
            carrier_number_id: "PN1".into(),
            number: number("+14155550123"),
            license_id: Some(license()),
            message_url: None,
        }
    }

    fn path(request: &Recorded) -> String {
        let target = request.line.split(' ').nth(1).unwrap();
        let path = target.split('?').next().unwrap();
        format!("{} {}", request.line.split(' ').next().unwrap(), path.rsplit_once("abcdef/").unwrap().1)
    }

    fn value<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
        pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    const BOUGHT: &str = r#"{"sid":"PN1","phone_number":"+14155550123","friendly_name":"acme-1"}"#;

    #[tokio::test]
    async fn a_search_asks_for_texts_and_voice_and_keeps_only_what_was_asked_for() {
        let server = Scripted::start(&[Act::Answer(
            200,
            "",
            r#"{"available_phone_numbers":[{"phone_number":"+14152330001"},{"phone_number":"+442071838750"},
                {"phone_number":"+12122330002"},{"phone_number":"+14152330003"},{"phone_number":"+14152330004"}]}"#,
        )])
        .await;
        let search = NumberSearch { area_code: Some(AreaCode::parse_us("415").unwrap()), limit: 2 };
        let found = twilio_at(&server.url).search_numbers(&search).await.unwrap();
        assert_eq!(found, [number("+14152330001"), number("+14152330003")]);
        let request = server.only_request();
        assert_eq!(path(&request), "GET AvailablePhoneNumbers/US/Local.json");
        for (name, expected) in [
            ("AreaCode", "415"),
            ("SmsEnabled", "true"),
            ("VoiceEnabled", "true"),
            ("ExcludeAllAddressRequired", "true"),
            ("PageSize", "2"),
        ] {
            assert_eq!(value(&request.query, name), Some(expected), "{name}");
        }
    }

    #[tokio::test]
    async fn a_number_is_bought_by_its_digits_tagged_and_with_its_webhooks() {
        let server = Scripted::start(&[Act::Answer(201, "", BOUGHT)]).await;
        assert_eq!(twilio_at(&server.url).buy_number(&order()).await, Ok(owned()));
        let request = server.only_request();
        assert_eq!(path(&request), "POST IncomingPhoneNumbers.json");
        for (name, expected) in [
            ("PhoneNumber", "+14155550123"),
            ("FriendlyName", "acme-1"),
            ("SmsUrl", "https://in.example.com/message#rc=3&rp=all"),
            ("SmsMethod", "POST"),
            ("SmsFallbackUrl", "https://in.example.com/message"),
            ("VoiceUrl", "https://in.example.com/voice#rc=3&rp=all"),
            ("VoiceMethod", "POST"),
            ("VoiceFallbackUrl", "https://in.example.com/voice"),
            ("VoiceFallbackMethod", "POST"),
            ("SmsFallbackMethod", "POST"),
            ("StatusCallback", "https://in.example.com/voice/after"),
            ("StatusCallbackMethod", "POST"),
        ] {
            assert_eq!(value(&request.form, name), Some(expected), "{name}");
        }
        assert_eq!(value(&request.form, "AreaCode"), None);
    }

    #[tokio::test]
    async fn an_answer_about_another_number_is_unknown() {
        const OTHER: &str = r#"{"sid":"PN1","phone_number":"+14152330001","friendly_name":"acme-1"}"#;
        let server = Scripted::start(&[Act::Answer(201, "", OTHER)]).await;
        let bought = twilio_at(&server.url).buy_number(&order()).await;
        assert!(matches!(bought, Err(CallError::Unknown { .. })), "{bought:?}");
    }

    #[tokio::test]
    async fn an_owned_number_is_found_by_exact_match_only() {
        const MANY: &str = r#"{"incoming_phone_numbers":[
            {"sid":"PN0","phone_number":"+14155550124","friendly_name":"acme-1"},
            {"sid":"PN1","phone_number":"+14155550123","friendly_name":"(415) 555-0123"}]}"#;
        let server =
            Scripted::start(&[Act::Answer(200, "", MANY), Act::Answer(200, "", r#"{"incoming_phone_numbers":[]}"#)])
                .await;
        let twilio = twilio_at(&server.url);
        let found = twilio.find_owned_number(&number("+14155550123"), &license()).await.unwrap().unwrap();
        assert_eq!(found, OwnedNumber { license_id: None, ..owned() });
        assert_eq!(twilio.find_owned_number(&number("+14155550123"), &license()).await, Ok(None));
        assert_eq!(value(&server.requests()[0].query, "PhoneNumber"), Some("+14155550123"));
    }

    #[tokio::test]
    async fn numbers_of_a_license_are_found_by_their_tag() {
        const MANY: &str = r#"{"incoming_phone_numbers":[
            {"sid":"PN1","phone_number":"+14155550123","friendly_name":"acme-1"},
            {"sid":"PN2","phone_number":"+14155550124","friendly_name":"acme-10"},
            {"sid":"PN3","phone_number":"+442071838750","friendly_name":"acme-1"},
            {"sid":"PN4","phone_number":"+14155550125"}]}"#;
        let server = Scripted::start(&[Act::Answer(200, "", MANY)]).await;
        assert_eq!(twilio_at(&server.url).list_owned_by(&license()).await, Ok(vec![owned()]));
        assert_eq!(value(&server.only_request().query, "FriendlyName"), Some("acme-1"));
    }

    #[tokio::test]
    async fn a_number_is_configured_in_place() {
        let server = Scripted::start(&[Act::Answer(200, "", BOUGHT)]).await;
        assert_eq!(twilio_at(&server.url).configure_number(&owned(), &order()).await, Ok(owned()));
        let request = server.only_request();
        assert_eq!(path(&request), "POST IncomingPhoneNumbers/PN1.json");
        assert_eq!(value(&request.form, "FriendlyName"), Some("acme-1"));
        assert_eq!(value(&request.form, "PhoneNumber"), None);
    }

    #[tokio::test]
    async fn a_search_without_an_area_code_names_none() {
        let server = Scripted::start(&[Act::Answer(200, "", r#"{"available_phone_numbers":[]}"#)]).await;
        let search = NumberSearch { area_code: None, limit: 5 };
        assert_eq!(twilio_at(&server.url).search_numbers(&search).await, Ok(Vec::new()));
        assert_eq!(value(&server.only_request().query, "AreaCode"), None);
    }

    #[tokio::test]
    async fn all_numbers_of_the_account_are_read_a_page_at_a_time() {
        const FIRST: &str = r#"{"incoming_phone_numbers":[
            {"sid":"PN1","phone_number":"+14155550123","friendly_name":"acme-1",
             "sms_url":"https://in.example.com/message#rc=3&rp=all"},
            {"sid":"PN2","phone_number":"+442071838750","friendly_name":"London","sms_url":""}],
            "next_page_uri":"/2010-04-01/Accounts/AC1/IncomingPhoneNumbers.json?PageSize=1000&Page=1&PageToken=PAPN%2B1"}"#;
        const LAST: &str = r#"{"incoming_phone_numbers":[
            {"sid":"PN3","phone_number":"+14155550124","friendly_name":null,"sms_url":""}],"next_page_uri":null}"#;
        let server = Scripted::start(&[Act::Answer(200, "", FIRST), Act::Answer(200, "", LAST)]).await;
        let twilio = twilio_at(&server.url);
        let first = twilio.list_owned_numbers(None).await.unwrap();
        let message_url = Some(order().webhooks.message_url);
        assert_eq!(first.numbers, [OwnedNumber { message_url, ..owned() }], "without the fragment");
        let last = twilio.list_owned_numbers(first.next.as_deref()).await.unwrap();
        assert_eq!(last.numbers.iter().map(|owned| owned.carrier_number_id.as_str()).collect::<Vec<_>>(), ["PN3"]);
        assert_eq!((&last.numbers[0].license_id, &last.numbers[0].message_url, last.next), (&None, &None, None));
        let asked = server.requests();
        assert_eq!(value(&asked[0].query, "PageSize"), Some("1000"));
        assert_eq!(path(&asked[1]), "GET IncomingPhoneNumbers.json");
        assert_eq!(value(&asked[1].query, "PageToken"), Some("PAPN+1"));
    }
}
