//! Buying at Telnyx: an order is placed, and settled some time later (rule 5).
//!
//! Placing it is the one request that may cost money, and it is made once. What follows only asks, so it may ask
//! again. Whatever is not settled in time is [`CallError::Unknown`], and [`find_owned`] tells later what became of it:
//! it looks at open orders before it looks at numbers, because an order that is settled between the two looks would
//! be missed the other way round.

use std::time::Duration;

use domain::{LicenseId, PhoneNumber};
use http::Method;
use serde::{Deserialize, Serialize};

use super::{
    errors::{SEARCH_FIRST, TABLES},
    events::null_as_default,
    numbers::{self, Standing},
    profiles::{self, Setup, list},
    rest::Rest,
};
use crate::{CallError, NumberOrder, NumberRefusal, NumberRefusalKind, OwnedNumber, exchange::Trouble};

/// Between two looks at an order: short at first, because most are settled at once.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

const STILL_OPEN: &str = "an order for the number is still open";

#[derive(Serialize)]
struct NewOrder<'a> {
    phone_numbers: [OrderedNumber<'a>; 1],
    messaging_profile_id: &'a str,
    connection_id: &'a str,
    customer_reference: &'a str,
}

#[derive(Serialize)]
struct OrderedNumber<'a> {
    phone_number: &'a str,
}

/// An order as Telnyx keeps it.
#[derive(Deserialize)]
struct Placed {
    id: String,
    status: Option<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    phone_numbers: Vec<PlacedNumber>,
}

#[derive(Deserialize)]
struct PlacedNumber {
    phone_number: Option<String>,
    status: Option<String>,
    requirements_met: Option<bool>,
}

/// How far an order is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Pending,
    Bought,
    Failed(NumberRefusalKind),
}

/// Words for an order, and for a number of it, that came to nothing.
const FAILED: &[&str] = &["failure", "cancelled", "deleted"];
const BOUGHT: &str = "success";

pub(super) async fn buy(rest: &Rest, order: &NumberOrder) -> Result<OwnedNumber, CallError> {
    let setup = profiles::ensure(rest, order).await?;
    let placed = place(rest, order, &setup).await?;
    match tokio::time::timeout(rest.order_timeout(), settle(rest, order, &setup, placed)).await {
        Ok(settled) => settled,
        Err(_) => Err(CallError::Unknown { cause: STILL_OPEN.into() }),
    }
}

/// Places the order. Telnyx sells only what a recent search of ours has shown: nearly always one has, when the
/// candidate was generated. If not, it refuses, nothing is ordered, and one search later the order is placed again.
async fn place(rest: &Rest, order: &NumberOrder, setup: &Setup) -> Result<Placed, CallError> {
    let trouble = match place_once(rest, order, setup).await {
        Ok(placed) => return Ok(placed),
        Err(trouble) => trouble,
    };
    let search_first = matches!(&trouble, Trouble::Refused { code: Some(code), .. } if code == SEARCH_FIRST);
    if search_first && numbers::is_offered(rest, &order.number).await? {
        return place_once(rest, order, setup).await.map_err(|trouble| TABLES.call_error(trouble));
    }
    Err(TABLES.call_error(trouble))
}

async fn place_once(rest: &Rest, order: &NumberOrder, setup: &Setup) -> Result<Placed, Trouble> {
    let body = NewOrder {
        phone_numbers: [OrderedNumber { phone_number: order.number.as_str() }],
        messaging_profile_id: &setup.messaging_profile_id,
        connection_id: &setup.application_id,
        customer_reference: order.license_id.as_str(),
    };
    rest.fetch(rest.request(Method::POST, &["number_orders"]).json(&body)).await
}

/// Waits until the order is settled and the number is there. Ends only with an answer; whoever calls sets the limit.
async fn settle(rest: &Rest, order: &NumberOrder, setup: &Setup, mut placed: Placed) -> Result<OwnedNumber, CallError> {
    let mut pause = FIRST_PAUSE;
    loop {
        match placed.progress(&order.number) {
            Progress::Bought => break,
            Progress::Failed(kind) => return Err(refused(kind)),
            Progress::Pending => wait(&mut pause).await,
        }
        // A question that fails changes nothing: it is asked again.
        if let Ok(now) = rest.fetch(rest.request(Method::GET, &["number_orders", &placed.id])).await {
            placed = now;
        }
    }
    pause = FIRST_PAUSE;
    loop {
        match numbers::find(rest, &order.number).await {
            Ok(Some((Standing::Ours, owned))) if owned.license_id.as_ref() == Some(&order.license_id) => {
                return Ok(owned);
            }
            // The order's tag should be the number's. If Telnyx does not pass it on, we do. The number is bought:
            // no answer to that makes it one that is not.
            Ok(Some((Standing::Ours, owned))) => {
                let tagged = numbers::set_voice_and_tag(rest, &owned, order, setup).await;
                return tagged
                    .map_err(|error| CallError::Unknown { cause: format!("bought, and not tagged: {error}") });
            }
            _ => wait(&mut pause).await,
        }
    }
}

async fn wait(pause: &mut Duration) {
    tokio::time::sleep(*pause).await;
    *pause = (*pause * 2).min(LONGEST_PAUSE);
}

fn refused(kind: NumberRefusalKind) -> CallError {
    let detail = match kind {
        NumberRefusalKind::NeedsAddress => "The number needs an address or documents.",
        _ => "The number is no longer available.",
    };
    CallError::Refused(NumberRefusal { kind, carrier_code: None, detail: detail.into() })
}

impl Placed {
    fn progress(&self, number: &PhoneNumber) -> Progress {
        let ours = self.phone_numbers.iter().find(|placed| placed.phone_number.as_deref() == Some(number.as_str()));
        let words = [ours.and_then(|placed| placed.status.as_deref()), self.status.as_deref()];
        if words.iter().flatten().any(|word| FAILED.contains(word)) {
            let needs_address = ours.is_some_and(|placed| placed.requirements_met == Some(false));
            let kind = if needs_address { NumberRefusalKind::NeedsAddress } else { NumberRefusalKind::NotAvailable };
            Progress::Failed(kind)
        } else if words.contains(&Some(BOUGHT)) {
            Progress::Bought
        } else {
            Progress::Pending
        }
    }

    /// Is it, or may it be, about this number? An order that does not say is taken for one.
    fn may_be_for(&self, number: &PhoneNumber) -> bool {
        self.phone_numbers.is_empty()
            || self.phone_numbers.iter().any(|placed| placed.phone_number.as_deref() == Some(number.as_str()))
    }
}

pub(super) async fn find_owned(
    rest: &Rest,
    number: &PhoneNumber,
    license_id: &LicenseId,
) -> Result<Option<OwnedNumber>, CallError> {
    let filter = [("filter[customer_reference]", license_id.as_str()), ("filter[status]", "pending")];
    let open: Vec<Placed> = list(rest, "number_orders", &filter).await?;
    let is_open = |placed: &Placed| placed.may_be_for(number) && placed.progress(number) == Progress::Pending;
    if open.iter().any(is_open) {
        return Err(CallError::Unknown { cause: STILL_OPEN.into() });
    }
    match numbers::find(rest, number).await? {
        // Bought, and whoever did so came no further: the order says for whom.
        Some((Standing::Ours, owned)) if owned.license_id.is_none() => {
            let ordered = is_ordered(rest, number, license_id).await?;
            Ok(Some(OwnedNumber { license_id: ordered.then(|| license_id.clone()), ..owned }))
        }
        Some((Standing::Ours, owned)) => Ok(Some(owned)),
        Some((Standing::Open, _)) => Err(CallError::Unknown { cause: STILL_OPEN.into() }),
        Some((Standing::Gone, _)) | None => Ok(None),
    }
}

/// Has an order of this license bought exactly this number?
async fn is_ordered(rest: &Rest, number: &PhoneNumber, license_id: &LicenseId) -> Result<bool, CallError> {
    let orders: Vec<Placed> =
        list(rest, "number_orders", &[("filter[customer_reference]", license_id.as_str())]).await?;
    Ok(orders.iter().any(|placed| {
        !placed.phone_numbers.is_empty() && placed.may_be_for(number) && placed.progress(number) == Progress::Bought
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::fixture::{APPLICATIONS, NOTHING, PROFILES, telnyx_at},
        *,
    };
    use crate::{
        Carrier,
        harness::{
            rest::{license, number, order},
            scripted::{Act, Recorded, Scripted},
        },
    };

    const PENDING: Act = Act::Answer(
        200,
        "",
        r#"{"data":{"id":"o-1","status":"pending","phone_numbers":[{"id":"n-1","phone_number":"+14155550123","status":"pending"}]}}"#,
    );
    const SUCCESS: Act = Act::Answer(
        200,
        "",
        r#"{"data":{"id":"o-1","status":"success","phone_numbers":[{"id":"n-1","phone_number":"+14155550123","status":"success"}]}}"#,
    );
    const OURS: Act = Act::Answer(
        200,
        "",
        r#"{"data":[{"id":"1","phone_number":"+14155550123","customer_reference":"acme-1","status":"active"}]}"#,
    );
    const UNTAGGED: Act =
        Act::Answer(200, "", r#"{"data":[{"id":"1","phone_number":"+14155550123","status":"active"}]}"#);
    const SEARCH_FIRST: Act = Act::Answer(422, "", r#"{"errors":[{"code":"85000"}]}"#);

    fn owned() -> OwnedNumber {
        OwnedNumber {
            carrier_number_id: "1".into(),
            number: number("+14155550123"),
            license_id: Some(license()),
            message_url: None,
        }
    }

    /// Buys from a server that acts so once profile and application are found.
    async fn buy(acts: &[Act]) -> (Result<OwnedNumber, CallError>, Vec<Recorded>) {
        let server = Scripted::start(&[&[PROFILES, APPLICATIONS], acts].concat()).await;
        let bought = telnyx_at(&server.url).buy_number(&order()).await;
        (bought, server.requests().split_off(2))
    }

    fn paths(requests: &[Recorded]) -> Vec<&str> {
        requests.iter().map(Recorded::path).collect()
    }

    fn kind(bought: Result<OwnedNumber, CallError>) -> NumberRefusalKind {
        match bought.unwrap_err() {
            CallError::Refused(refusal) => refusal.kind,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_number_is_ordered_by_its_digits_with_its_tag_profile_and_application() {
        let (bought, requests) = buy(&[SUCCESS, OURS]).await;
        assert_eq!(bought, Ok(owned()));
        assert_eq!(paths(&requests), ["POST /v2/number_orders", "GET /v2/phone_numbers"]);
        let expected = json!({
            "phone_numbers": [{"phone_number": "+14155550123"}],
            "messaging_profile_id": "mp-1",
            "connection_id": "app-1",
            "customer_reference": "acme-1",
        });
        assert_eq!(requests[0].json(), expected);
    }

    #[tokio::test]
    async fn an_order_is_asked_about_until_it_is_settled_and_the_number_is_there() {
        let down = Act::Answer(503, "", "");
        let (bought, requests) = buy(&[PENDING, down, SUCCESS, NOTHING, OURS]).await;
        assert_eq!(bought, Ok(owned()));
        assert_eq!(paths(&requests).iter().filter(|path| **path == "POST /v2/number_orders").count(), 1);
        assert_eq!(paths(&requests)[1], "GET /v2/number_orders/o-1");
    }

    #[tokio::test]
    async fn an_order_that_is_not_settled_in_time_is_unknown() {
        let (bought, requests) = buy(&[[PENDING; 20], [PENDING; 20]].concat()).await;
        assert!(matches!(bought, Err(CallError::Unknown { .. })), "{bought:?}");
        assert!((2..10).contains(&requests.len()), "asked with growing pauses: {}", requests.len());
    }

    #[tokio::test]
    async fn an_order_that_cannot_be_followed_is_unknown_and_not_repeated() {
        for act in [Act::HangUp, Act::Answer(404, "", r#"{"errors":[{"code":"10005"}]}"#), Act::Answer(401, "", "")] {
            let (bought, requests) = buy(&[&[PENDING][..], &[act; 20]].concat()).await;
            assert!(matches!(bought, Err(CallError::Unknown { .. })), "{bought:?}");
            assert_eq!(paths(&requests).iter().filter(|path| **path == "POST /v2/number_orders").count(), 1);
        }
    }

    #[tokio::test]
    async fn an_order_that_fails_is_refused_as_not_available_or_for_its_documents() {
        for (body, expected) in [
            (
                r#"{"data":{"id":"o-1","status":"failure","phone_numbers":[{"phone_number":"+14155550123","status":"failure"}]}}"#,
                NumberRefusalKind::NotAvailable,
            ),
            (
                r#"{"data":{"id":"o-1","status":"pending","phone_numbers":[{"phone_number":"+14155550123","status":"failure"}]}}"#,
                NumberRefusalKind::NotAvailable,
            ),
            (r#"{"data":{"id":"o-1","status":"cancelled","phone_numbers":[]}}"#, NumberRefusalKind::NotAvailable),
            (
                r#"{"data":{"id":"o-1","status":"failure","phone_numbers":[{"phone_number":"+14155550123","status":"failure","requirements_met":false}]}}"#,
                NumberRefusalKind::NeedsAddress,
            ),
        ] {
            let (bought, _) = buy(&[PENDING, Act::Answer(200, "", body)]).await;
            assert_eq!(kind(bought), expected, "{body}");
        }
    }

    #[tokio::test]
    async fn a_tag_that_the_carrier_does_not_pass_on_is_set() {
        const TAGGED: &str = r#"{"data":{"id":"1","phone_number":"+14155550123","customer_reference":"acme-1"}}"#;
        let (bought, requests) = buy(&[SUCCESS, UNTAGGED, Act::Answer(200, "", TAGGED)]).await;
        assert_eq!(bought, Ok(owned()));
        assert_eq!(requests[2].path(), "PATCH /v2/phone_numbers/1");
        assert_eq!(requests[2].json()["customer_reference"], "acme-1");
    }

    /// Refused, throttled or not reached: the number is bought all the same, and must not be given up.
    #[tokio::test]
    async fn a_number_that_was_bought_and_cannot_be_tagged_yet_is_unknown() {
        for act in [Act::Answer(422, "", r#"{"errors":[{"code":"10027"}]}"#), Act::Answer(429, "", ""), Act::HangUp] {
            let (bought, requests) = buy(&[SUCCESS, UNTAGGED, act]).await;
            assert!(matches!(bought, Err(CallError::Unknown { .. })), "{bought:?}");
            assert_eq!(requests[2].path(), "PATCH /v2/phone_numbers/1");
        }
    }

    #[tokio::test]
    async fn a_number_without_a_tag_is_the_license_s_only_if_an_order_of_the_license_bought_it() {
        const OTHER: Act = Act::Answer(
            200,
            "",
            r#"{"data":[{"id":"o-1","status":"success","phone_numbers":[{"phone_number":"+14155550124","status":"success"}]},
                {"id":"o-2","status":"failure","phone_numbers":[{"phone_number":"+14155550123","status":"failure"}]}]}"#,
        );
        const BOUGHT_IT: Act = Act::Answer(
            200,
            "",
            r#"{"data":[{"id":"o-1","status":"success","phone_numbers":[{"phone_number":"+14155550123","status":"success"}]}]}"#,
        );
        for (orders, tag) in [(BOUGHT_IT, Some(license())), (OTHER, None), (NOTHING, None)] {
            let server = Scripted::start(&[NOTHING, UNTAGGED, orders]).await;
            let found = telnyx_at(&server.url).find_owned_number(&number("+14155550123"), &license()).await;
            assert_eq!(found, Ok(Some(OwnedNumber { license_id: tag, ..owned() })));
            let last = server.requests().remove(2);
            assert_eq!(last.path(), "GET /v2/number_orders");
            assert_eq!(last.asked("filter[customer_reference]"), ["acme-1"]);
            assert!(last.asked("filter[status]").is_empty());
        }
    }

    #[tokio::test]
    async fn a_number_that_no_recent_search_has_shown_is_searched_once_and_ordered_again() {
        const OFFERED: &str = r#"{"data":[{"phone_number":"+14155550123"}]}"#;
        let (bought, requests) = buy(&[SEARCH_FIRST, Act::Answer(200, "", OFFERED), SUCCESS, OURS]).await;
        assert_eq!(bought, Ok(owned()));
        assert_eq!(requests[1].path(), "GET /v2/available_phone_numbers");
        assert_eq!(requests[1].asked("filter[national_destination_code]"), ["415"]);
        assert_eq!(requests[1].asked("filter[phone_number][ends_with]"), ["0123"]);
    }

    #[tokio::test]
    async fn an_order_whose_answer_is_lost_is_not_placed_again_even_if_the_number_is_still_offered() {
        const OFFERED: &str = r#"{"data":[{"phone_number":"+14155550123"}]}"#;
        for lost in [Act::HangUp, Act::Answer(500, "", r#"{"errors":[{"code":"85000"}]}"#)] {
            let (bought, requests) = buy(&[lost, Act::Answer(200, "", OFFERED), SUCCESS, OURS]).await;
            assert!(matches!(bought, Err(CallError::Unknown { .. })), "{bought:?}");
            assert_eq!(requests.len(), 1);
        }
    }

    #[tokio::test]
    async fn a_number_that_no_search_shows_any_more_is_not_available() {
        let (bought, requests) = buy(&[SEARCH_FIRST, NOTHING]).await;
        assert_eq!(kind(bought), NumberRefusalKind::NotAvailable);
        assert_eq!(requests.len(), 2);
        let (bought, requests) =
            buy(&[SEARCH_FIRST, Act::Answer(200, "", r#"{"data":[{"phone_number":"+14155550123"}]}"#), SEARCH_FIRST])
                .await;
        assert_eq!(kind(bought), NumberRefusalKind::NotAvailable);
        assert_eq!(requests.len(), 3, "one search, then it is given up");
    }

    #[tokio::test]
    async fn while_an_order_of_the_license_is_open_its_number_is_neither_ours_nor_not() {
        let find = async |open: &'static str| {
            let server = Scripted::start(&[Act::Answer(200, "", open), NOTHING]).await;
            let found = telnyx_at(&server.url).find_owned_number(&number("+14155550123"), &license()).await;
            let first = server.requests().remove(0);
            assert_eq!(first.path(), "GET /v2/number_orders", "orders first: one may be settled between the two looks");
            assert_eq!(first.asked("filter[customer_reference]"), ["acme-1"]);
            assert_eq!(first.asked("filter[status]"), ["pending"]);
            found
        };
        for open in [
            r#"{"data":[{"id":"o-1","status":"pending","phone_numbers":[{"phone_number":"+14155550123","status":"pending"}]}]}"#,
            r#"{"data":[{"id":"o-1","status":"pending"}]}"#,
        ] {
            let found = find(open).await;
            assert!(matches!(found, Err(CallError::Unknown { .. })), "{found:?}");
        }
        for other in [
            r#"{"data":[{"id":"o-1","status":"pending","phone_numbers":[{"phone_number":"+14155550124","status":"pending"}]}]}"#,
            r#"{"data":[{"id":"o-1","status":"failure","phone_numbers":[{"phone_number":"+14155550123","status":"failure"}]}]}"#,
        ] {
            assert_eq!(find(other).await, Ok(None));
        }
    }
}
