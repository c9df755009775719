//! Numbers at Telnyx: search, find, configure, release. Buying is in [`super::orders`].
//!
//! A number's `customer_reference` is the license id, so that what a crash left behind can be found (rule 5).
//! Filters may match more than they are asked, so every answer is compared again here.

use domain::{LicenseId, PhoneNumber};
use http::Method;
use serde::{Deserialize, Serialize};

use super::{
    errors::{self, TABLES},
    events::null_as_default,
    profiles::{self, Setup, fetch_page, list},
    rest::Rest,
};
use crate::{
    CallError, NumberOrder, NumberRefusal, NumberRefusalKind, NumberSearch, OwnedNumber, OwnedPage, exchange::Trouble,
};

/// The most that one search gives.
const MAX_RESULTS: u16 = 250;
/// What a messages number must be able to do (rule 2).
const FEATURES: [&str; 2] = ["sms", "voice"];
/// As [`crate::Carrier::list_owned_by`] promises.
const MAX_OWNED_BY: usize = 1_000;

#[derive(Deserialize)]
struct Available {
    phone_number: String,
    #[serde(default, deserialize_with = "null_as_default")]
    features: Vec<Feature>,
}

#[derive(Deserialize)]
struct Feature {
    name: String,
}

/// A number as Telnyx keeps it.
#[derive(Deserialize)]
pub(super) struct Kept {
    id: String,
    phone_number: String,
    #[serde(default)]
    customer_reference: Option<String>,
    #[serde(default)]
    status: Option<String>,
}

/// What a status says about whose a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Ours,
    /// Being bought or ported: may become ours.
    Open,
    Gone,
}

/// `status` of a number (CARRIERS §2). A word that is not here is [`Standing::Open`]: neither yes nor no.
#[rustfmt::skip]
const STATUSES: &[(&str, Standing)] = &[
    ("active",           Standing::Ours),
    ("emergency-only",   Standing::Ours),
    ("port-out-pending", Standing::Ours),
    ("purchase-failed",  Standing::Gone),
    ("port-failed",      Standing::Gone),
    ("ported-out",       Standing::Gone),
    ("deleted",          Standing::Gone),
];

pub(super) async fn search(rest: &Rest, search: &NumberSearch) -> Result<Vec<PhoneNumber>, CallError> {
    let limit = search.limit.min(MAX_RESULTS);
    let area_code = search.area_code.map(|area_code| area_code.to_string());
    let filter: Vec<_> =
        area_code.as_deref().map(|area_code| ("filter[national_destination_code]", area_code)).into_iter().collect();
    let found = search_with(rest, &filter, limit).await?;
    let matching = found.into_iter().filter(|number| search.area_code.is_none_or(|code| number.area_code() == code));
    Ok(matching.take(usize::from(limit)).collect())
}

/// Does Telnyx offer exactly this number? Asking is also what permits us to order it (code 85000).
pub(super) async fn is_offered(rest: &Rest, number: &PhoneNumber) -> Result<bool, CallError> {
    let area_code = number.area_code().to_string();
    let filter = [
        ("filter[national_destination_code]", area_code.as_str()),
        ("filter[phone_number][ends_with]", number.last4()),
    ];
    Ok(search_with(rest, &filter, MAX_RESULTS).await?.contains(number))
}

async fn search_with(rest: &Rest, filter: &[(&str, &str)], limit: u16) -> Result<Vec<PhoneNumber>, CallError> {
    let limit = limit.to_string();
    let query = [
        ("filter[country_code]", "US"),
        ("filter[phone_number_type]", "local"),
        ("filter[features][]", FEATURES[0]),
        ("filter[features][]", FEATURES[1]),
        // Other area codes than the one asked for are our decision, and said so (rule 2).
        ("filter[best_effort]", "false"),
        ("filter[limit]", limit.as_str()),
    ];
    let request = rest.request(Method::GET, &["available_phone_numbers"]).query(&query).query(filter);
    let found: Vec<Available> = rest.fetch(request).await.map_err(|trouble| TABLES.call_error(trouble))?;
    let usable = found.into_iter().filter(|available| {
        let can = |feature: &&str| available.features.iter().any(|known| known.name == **feature);
        available.features.is_empty() || FEATURES.iter().all(can)
    });
    // What our own rules refuse (rule 12) is no number to offer.
    Ok(usable.filter_map(|available| PhoneNumber::from_e164(&available.phone_number).ok()).collect())
}

/// The number as Telnyx keeps it, and whose it is.
pub(super) async fn find(rest: &Rest, number: &PhoneNumber) -> Result<Option<(Standing, OwnedNumber)>, CallError> {
    // Digits only: with any other character the filter matches nothing, and "not ours" would buy a second time.
    let digits = number.as_str().trim_start_matches('+');
    let kept: Vec<Kept> = list(rest, "phone_numbers", &[("filter[phone_number]", digits)]).await?;
    let mut found: Vec<_> = kept
        .into_iter()
        .map(|kept| (kept.standing(), kept.into_owned()))
        .filter_map(|(standing, owned)| Some((standing, owned.filter(|owned| owned.number == *number)?)))
        .collect();
    // A number that was deleted and bought again may be there twice.
    found.sort_by_key(|(standing, _)| *standing as u8);
    Ok(found.into_iter().next())
}

pub(super) async fn list_owned_by(rest: &Rest, license_id: &LicenseId) -> Result<Vec<OwnedNumber>, CallError> {
    let kept = list(rest, "phone_numbers", &[("filter[customer_reference]", license_id.as_str())]).await?;
    let mut owned = ours(kept);
    owned.retain(|owned| owned.license_id.as_ref() == Some(license_id));
    owned.truncate(MAX_OWNED_BY);
    Ok(owned)
}

pub(super) async fn list_owned(rest: &Rest, page: Option<&str>) -> Result<OwnedPage, CallError> {
    let number: u32 = page.map_or(Ok(1), str::parse).map_err(|_| {
        CallError::Refused(NumberRefusal {
            kind: NumberRefusalKind::Invalid,
            carrier_code: None,
            detail: "There is no such page of numbers.".into(),
        })
    })?;
    let page = fetch_page(rest, "phone_numbers", &[], number).await?;
    let next = (number < page.meta.total_pages).then(|| (number + 1).to_string());
    Ok(OwnedPage { numbers: ours(page.data), next })
}

fn ours(kept: Vec<Kept>) -> Vec<OwnedNumber> {
    kept.into_iter().filter(|kept| kept.standing() == Standing::Ours).filter_map(Kept::into_owned).collect()
}

#[derive(Serialize)]
struct NumberSettings<'a> {
    connection_id: &'a str,
    customer_reference: &'a str,
}

#[derive(Serialize)]
struct MessagingSettings<'a> {
    messaging_profile_id: &'a str,
}

pub(super) async fn configure(rest: &Rest, owned: &OwnedNumber, order: &NumberOrder) -> Result<OwnedNumber, CallError> {
    let setup = profiles::ensure(rest, order).await?;
    let owned = set_voice_and_tag(rest, owned, order, &setup).await?;
    let path = ["phone_numbers", &owned.carrier_number_id, "messaging"];
    let messaging = MessagingSettings { messaging_profile_id: &setup.messaging_profile_id };
    rest.run(rest.request(Method::PATCH, &path).json(&messaging))
        .await
        .map_err(|trouble| TABLES.call_error(trouble))?;
    Ok(owned)
}

/// An answer about another number proves nothing about this one.
pub(super) async fn set_voice_and_tag(
    rest: &Rest,
    owned: &OwnedNumber,
    order: &NumberOrder,
    setup: &Setup,
) -> Result<OwnedNumber, CallError> {
    let settings =
        NumberSettings { connection_id: &setup.application_id, customer_reference: order.license_id.as_str() };
    let request = rest.request(Method::PATCH, &["phone_numbers", &owned.carrier_number_id]).json(&settings);
    let kept: Kept = rest.fetch(request).await.map_err(|trouble| TABLES.call_error(trouble))?;
    kept.into_owned()
        .filter(|owned| owned.number == order.number)
        .ok_or_else(|| CallError::Unknown { cause: "the answer is not about the number of the order".into() })
}

pub(super) async fn release(rest: &Rest, carrier_number_id: &str) -> Result<(), CallError> {
    let request = rest.request(Method::DELETE, &["phone_numbers", carrier_number_id]);
    match rest.run(request).await {
        Ok(_) | Err(Trouble::Refused { status: 404, .. }) => Ok(()),
        Err(Trouble::Refused { code: Some(code), .. }) if code == errors::NOT_FOUND => Ok(()),
        Err(trouble) => Err(TABLES.call_error(trouble)),
    }
}

impl Kept {
    fn standing(&self) -> Standing {
        match self.status.as_deref() {
            // Listed as one of the account's numbers, and no more said.
            None => Standing::Ours,
            Some(word) => STATUSES.iter().find(|row| row.0 == word).map_or(Standing::Open, |row| row.1),
        }
    }

    /// `None` for what is not a North American number: the account may own others, they are not ours to see.
    fn into_owned(self) -> Option<OwnedNumber> {
        Some(OwnedNumber {
            number: PhoneNumber::from_e164(&self.phone_number).ok()?,
            license_id: self.customer_reference.and_then(|tag| LicenseId::parse(tag).ok()),
            carrier_number_id: self.id,
            // It sits on the profile.
            message_url: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use domain::AreaCode;
    use serde_json::json;

    use super::{
        super::fixture::{APPLICATIONS, NOTHING, PROFILES, telnyx_at},
        *,
    };
    use crate::{
        Carrier,
        harness::{
            rest::{license, number, order},
            scripted::{Act, Scripted},
        },
    };

    fn owned(id: &str, e164: &str) -> OwnedNumber {
        OwnedNumber {
            carrier_number_id: id.into(),
            number: number(e164),
            license_id: Some(license()),
            message_url: None,
        }
    }

    #[tokio::test]
    async fn a_search_asks_for_texts_and_voice_and_keeps_only_what_was_asked_for() {
        const MANY: &str = r#"{"data":[
            {"phone_number":"+14152330001","features":[{"name":"voice"},{"name":"sms"},{"name":"mms"}]},
            {"phone_number":"+14152330002","features":[{"name":"voice"}]},
            {"phone_number":"+12122330003","best_effort":true},
            {"phone_number":"+442071838750"},{"phone_number":"+14152330004"},{"phone_number":"+14152330005"}]}"#;
        let server = Scripted::start(&[Act::Answer(200, "", MANY)]).await;
        let search = NumberSearch { area_code: Some(AreaCode::parse_us("415").unwrap()), limit: 2 };
        let found = telnyx_at(&server.url).search_numbers(&search).await.unwrap();
        assert_eq!(found, [number("+14152330001"), number("+14152330004")]);
        let request = server.only_request();
        assert_eq!(request.path(), "GET /v2/available_phone_numbers");
        for (name, expected) in [
            ("filter[country_code]", &["US"][..]),
            ("filter[phone_number_type]", &["local"]),
            ("filter[features][]", &["sms", "voice"]),
            ("filter[national_destination_code]", &["415"]),
            ("filter[best_effort]", &["false"]),
            ("filter[limit]", &["2"]),
        ] {
            assert_eq!(request.asked(name), expected, "{name}");
        }
    }

    #[tokio::test]
    async fn a_search_without_an_area_code_names_none_and_asks_for_no_more_than_one_search_gives() {
        let server = Scripted::start(&[NOTHING]).await;
        let search = NumberSearch { area_code: None, limit: 1_000 };
        assert_eq!(telnyx_at(&server.url).search_numbers(&search).await, Ok(Vec::new()));
        let request = server.only_request();
        assert!(request.asked("filter[national_destination_code]").is_empty());
        assert_eq!(request.asked("filter[limit]"), ["250"]);
    }

    #[tokio::test]
    async fn an_owned_number_is_found_by_exact_match_only_and_asked_for_by_its_digits() {
        const MANY: &str = r#"{"data":[
            {"id":"1","phone_number":"+14155550124","customer_reference":"acme-1","status":"active"},
            {"id":"2","phone_number":"+14155550123","customer_reference":"acme-1","status":"deleted"},
            {"id":"3","phone_number":"+14155550123","customer_reference":"","status":"active"}]}"#;
        let server = Scripted::start(&[NOTHING, Act::Answer(200, "", MANY), NOTHING]).await;
        let found = telnyx_at(&server.url).find_owned_number(&number("+14155550123"), &license()).await.unwrap();
        assert_eq!(found, Some(OwnedNumber { license_id: None, ..owned("3", "+14155550123") }));
        assert_eq!(server.requests()[1].path(), "GET /v2/phone_numbers");
        assert_eq!(server.requests()[1].asked("filter[phone_number]"), ["14155550123"]);
    }

    #[tokio::test]
    async fn a_number_that_is_being_bought_is_neither_ours_nor_not() {
        for (answer, expected) in [
            (r#"{"data":[{"id":"1","phone_number":"+14155550123","status":"active"}]}"#, Some(true)),
            (r#"{"data":[{"id":"1","phone_number":"+14155550123"}]}"#, Some(true)),
            (r#"{"data":[{"id":"1","phone_number":"+14155550123","status":"emergency-only"}]}"#, Some(true)),
            (r#"{"data":[{"id":"1","phone_number":"+14155550123","status":"purchase-pending"}]}"#, None),
            (r#"{"data":[{"id":"1","phone_number":"+14155550123","status":"provision-pending"}]}"#, None),
            (r#"{"data":[{"id":"1","phone_number":"+14155550123","status":"never-seen-before"}]}"#, None),
            (r#"{"data":[{"id":"1","phone_number":"+14155550123","status":"purchase-failed"}]}"#, Some(false)),
            (r#"{"data":[{"id":"1","phone_number":"+14155550123","status":"deleted"}]}"#, Some(false)),
            (r#"{"data":[{"id":"1","phone_number":"+14155550123","status":"ported-out"}]}"#, Some(false)),
        ] {
            let server = Scripted::start(&[NOTHING, Act::Answer(200, "", answer), NOTHING]).await;
            let found = telnyx_at(&server.url).find_owned_number(&number("+14155550123"), &license()).await;
            match expected {
                Some(ours) => assert_eq!(found.unwrap().is_some(), ours, "{answer}"),
                None => assert!(matches!(found, Err(CallError::Unknown { .. })), "{answer}"),
            }
        }
    }

    #[tokio::test]
    async fn numbers_of_a_license_are_found_by_their_tag_over_all_pages() {
        const FIRST: &str = r#"{"data":[
            {"id":"1","phone_number":"+14155550123","customer_reference":"acme-1","status":"active"},
            {"id":"2","phone_number":"+14155550124","customer_reference":"acme-10","status":"active"},
            {"id":"3","phone_number":"+442071838750","customer_reference":"acme-1","status":"active"}],
            "meta":{"total_pages":2,"page_number":1}}"#;
        const LAST: &str = r#"{"data":[
            {"id":"4","phone_number":"+14155550125","customer_reference":"acme-1","status":"deleted"},
            {"id":"5","phone_number":"+14155550126","customer_reference":"acme-1","status":"active"}],
            "meta":{"total_pages":2,"page_number":2}}"#;
        let server = Scripted::start(&[Act::Answer(200, "", FIRST), Act::Answer(200, "", LAST)]).await;
        let found = telnyx_at(&server.url).list_owned_by(&license()).await.unwrap();
        assert_eq!(found, [owned("1", "+14155550123"), owned("5", "+14155550126")]);
        for (request, page) in server.requests().iter().zip(["1", "2"]) {
            assert_eq!(request.asked("filter[customer_reference]"), ["acme-1"]);
            assert_eq!(request.asked("page[number]"), [page]);
        }
        assert_eq!(server.requests().len(), 2);
    }

    #[tokio::test]
    async fn all_numbers_of_the_account_are_read_a_page_at_a_time() {
        const FIRST: &str = r#"{"data":[{"id":"1","phone_number":"+14155550123","customer_reference":"acme-1",
            "status":"active"}],"meta":{"total_pages":2}}"#;
        const LAST: &str = r#"{"data":[{"id":"2","phone_number":"+14155550124","customer_reference":null,
            "status":"active"}],"meta":{"total_pages":2}}"#;
        let server = Scripted::start(&[Act::Answer(200, "", FIRST), Act::Answer(200, "", LAST), NOTHING]).await;
        let telnyx = telnyx_at(&server.url);
        let first = telnyx.list_owned_numbers(None).await.unwrap();
        assert_eq!(first.numbers, [owned("1", "+14155550123")]);
        let last = telnyx.list_owned_numbers(first.next.as_deref()).await.unwrap();
        assert_eq!(last.numbers, [OwnedNumber { license_id: None, ..owned("2", "+14155550124") }]);
        assert_eq!(last.next, None);
        assert_eq!(telnyx.list_owned_numbers(None).await, Ok(OwnedPage::default()), "an account without numbers");
        let asked: Vec<_> = server.requests().iter().map(|request| request.asked("page[size]").concat()).collect();
        assert_eq!(asked, ["250", "250", "250"]);
        assert!(matches!(telnyx.list_owned_numbers(Some("x")).await, Err(CallError::Refused(_))));
    }

    #[tokio::test]
    async fn a_number_is_configured_by_what_it_belongs_to_and_its_tag() {
        const CHANGED: &str = r#"{"data":{"id":"1","phone_number":"+14155550123","customer_reference":"acme-1"}}"#;
        let changed = Act::Answer(200, "", CHANGED);
        let server = Scripted::start(&[PROFILES, APPLICATIONS, changed, Act::Answer(200, "", "{}")]).await;
        let before = OwnedNumber { license_id: None, ..owned("1", "+14155550123") };
        let after = telnyx_at(&server.url).configure_number(&before, &order()).await;
        assert_eq!(after, Ok(owned("1", "+14155550123")));
        let requests = server.requests();
        assert_eq!(requests[2].path(), "PATCH /v2/phone_numbers/1");
        assert_eq!(requests[2].json(), json!({"connection_id": "app-1", "customer_reference": "acme-1"}));
        assert_eq!(requests[3].path(), "PATCH /v2/phone_numbers/1/messaging");
        assert_eq!(requests[3].json(), json!({"messaging_profile_id": "mp-1"}));
    }

    #[tokio::test]
    async fn a_configuration_that_is_refused_or_about_another_number_is_not_taken_for_done() {
        const OTHER: &str = r#"{"data":{"id":"1","phone_number":"+14155550124","customer_reference":"acme-1"}}"#;
        for (act, refused) in [
            (Act::Answer(422, "", r#"{"errors":[{"code":"10027"}]}"#), true),
            (Act::Answer(200, "", OTHER), false),
            (Act::HangUp, false),
        ] {
            let server = Scripted::start(&[PROFILES, APPLICATIONS, act]).await;
            let outcome = telnyx_at(&server.url).configure_number(&owned("1", "+14155550123"), &order()).await;
            match outcome.unwrap_err() {
                CallError::Refused(refusal) => assert!(refused && refusal.kind == NumberRefusalKind::Other),
                CallError::Unknown { .. } => assert!(!refused),
                other => panic!("{other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn what_is_not_found_is_gone_whatever_the_status() {
        let server = Scripted::start(&[Act::Answer(422, "", r#"{"errors":[{"code":"10005"}]}"#)]).await;
        assert_eq!(telnyx_at(&server.url).release_number("1").await, Ok(()));
    }
}
