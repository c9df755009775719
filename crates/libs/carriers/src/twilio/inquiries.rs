//! `GET Messages`: whether Twilio took a message whose answer was lost (rule 16), what became of one, and which texts
//! came in.
//!
//! The list holds both directions, newest first. Its filters know days and `date_sent`, which a message does not have
//! before it is sent: so what may have just been taken is searched by its two numbers alone, and compared here.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use domain::PhoneNumber;
use http::Method;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use url::form_urlencoded;

use super::{errors::TABLES, messages::read_count, rest::Rest, webhooks};
use crate::{
    CallError, InboundMedia, InboundMessage, ReceiptStatus, ReceivedMessage, ReceivedPage, SentCopy, SentMessage,
    exchange::Trouble,
};

/// Messages of a page. Far below what one answer may hold (`MAX_BODY_BYTES`), were each as long as Twilio takes.
const PAGE: &str = "100";
/// How many pages are searched for a message. More than this between two numbers since one attempt is not a conversation.
const MAX_PAGES: usize = 10;
/// How far Twilio's clock, which shows whole seconds, may be behind ours.
const CLOCK_TOLERANCE: TimeDelta = TimeDelta::seconds(5);
/// A trial account's messages begin with it.
const TRIAL: &str = "Sent from your Twilio trial account - ";

#[derive(Deserialize)]
struct Page {
    messages: Vec<Listed>,
    /// Path and query of the next page.
    #[serde(default)]
    next_page_uri: Option<String>,
}

/// A message of either direction.
#[derive(Deserialize)]
struct Listed {
    sid: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    direction: String,
    /// Null where there is none, as with a number that is withheld.
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    to: Option<String>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    num_media: Value,
    #[serde(default)]
    num_segments: Value,
    #[serde(default)]
    error_code: Value,
    #[serde(deserialize_with = "time")]
    date_created: DateTime<Utc>,
    #[serde(default, deserialize_with = "time_or_none")]
    date_sent: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct MediaPage {
    media_list: Vec<ListedMedia>,
}

#[derive(Deserialize)]
struct ListedMedia {
    sid: String,
    #[serde(default)]
    content_type: Option<String>,
}

pub(super) async fn find_sent(rest: &Rest, message: &SentMessage) -> Result<Vec<SentCopy>, CallError> {
    let earliest = message.attempted_at - CLOCK_TOLERANCE;
    let mut query = vec![
        ("To".to_owned(), message.to.as_str().to_owned()),
        ("From".to_owned(), message.from.as_str().to_owned()),
        ("PageSize".to_owned(), PAGE.to_owned()),
    ];
    let mut copies = Vec::new();
    for _ in 0..MAX_PAGES {
        let page = fetch_page(rest, &query).await?;
        let is_over = page.messages.iter().all(|listed| listed.date_created < earliest);
        let fitting = page.messages.into_iter().filter(|listed| listed.is_copy_of(message, earliest));
        copies.extend(fitting.map(|listed| {
            let same_text = listed.has_text_of(message);
            listed.into_copy(same_text)
        }));
        match page.next_page_uri.as_deref().and_then(query_of) {
            Some(next) if !is_over => query = parse_query(next),
            _ => {
                copies.sort_by_key(|copy| copy.created_at);
                return Ok(copies);
            }
        }
    }
    Err(CallError::Unknown { cause: "there are more messages than are looked through".into() })
}

pub(super) async fn get_sent(rest: &Rest, carrier_message_id: &str) -> Result<Option<SentCopy>, CallError> {
    let file = format!("{carrier_message_id}.json");
    match rest.fetch::<Listed>(rest.request(Method::GET, &["Messages", &file])).await {
        Ok(listed) if listed.sid == carrier_message_id => Ok(Some(listed.into_copy(true))),
        Ok(_) => Err(CallError::Unknown { cause: "the answer is not about the message".into() }),
        Err(Trouble::Refused { status: 404, .. }) => Ok(None),
        Err(trouble) => Err(TABLES.call_error(trouble)),
    }
}

pub(super) async fn list_received(
    rest: &Rest,
    to: &PhoneNumber,
    since: DateTime<Utc>,
    page: Option<&str>,
) -> Result<ReceivedPage, CallError> {
    let query = match page {
        Some(page) => parse_query(page),
        // A text that came in has a `date_sent` from the start.
        None => vec![
            ("To".to_owned(), to.as_str().to_owned()),
            ("DateSent>".to_owned(), since.date_naive().to_string()),
            ("PageSize".to_owned(), PAGE.to_owned()),
        ],
    };
    let page = fetch_page(rest, &query).await?;
    // Twilio shows whole seconds.
    let since = since.trunc_subsecs(0);
    let is_over = page.messages.iter().all(|listed| listed.received_at() < since);
    let next = page.next_page_uri.as_deref().and_then(query_of).filter(|_| !is_over).map(str::to_owned);
    let mut messages = Vec::new();
    for listed in page.messages {
        if listed.direction != "inbound" || listed.received_at() < since {
            continue;
        }
        if let Some(mut received) = listed.find_received(to) {
            if read_count(&listed.num_media).is_some() {
                received.message.media = list_media(rest, &listed.sid).await?;
            }
            messages.push(received);
        }
    }
    Ok(ReceivedPage { messages, next })
}

/// What came with a message, with the addresses that its webhook names.
async fn list_media(rest: &Rest, message_sid: &str) -> Result<Vec<InboundMedia>, CallError> {
    match rest.fetch::<MediaPage>(rest.request(Method::GET, &["Messages", message_sid, "Media.json"])).await {
        Ok(page) => Ok(page
            .media_list
            .into_iter()
            .map(|media| InboundMedia {
                url: rest.address(&["Messages", message_sid, "Media", &media.sid]),
                content_type: media.content_type.unwrap_or_default(),
            })
            .collect()),
        // Deleted meanwhile. The text is still one.
        Err(Trouble::Refused { status: 404, .. }) => Ok(Vec::new()),
        Err(trouble) => Err(TABLES.call_error(trouble)),
    }
}

async fn fetch_page(rest: &Rest, query: &[(String, String)]) -> Result<Page, CallError> {
    let request = rest.request(Method::GET, &["Messages.json"]).query(query);
    rest.fetch(request).await.map_err(|trouble| TABLES.call_error(trouble))
}

/// Only the query of an address: the rest is ours to know.
fn query_of(uri: &str) -> Option<&str> {
    Some(uri.split_once('?')?.1)
}

fn parse_query(query: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

impl Listed {
    /// The filters may match more than they are asked.
    fn is_copy_of(&self, message: &SentMessage, earliest: DateTime<Utc>) -> bool {
        self.direction == "outbound-api"
            && self.date_created >= earliest
            && self.to.as_deref() == Some(message.to.as_str())
            && self.from.as_deref() == Some(message.from.as_str())
    }

    fn has_text_of(&self, message: &SentMessage) -> bool {
        let body = self.body.as_deref().unwrap_or_default();
        [body, body.strip_prefix(TRIAL).unwrap_or(body)].contains(&message.body.as_str())
    }

    fn into_copy(self, same_text: bool) -> SentCopy {
        // Twilio has it, whatever a word that is new may say of how far it is.
        let status = webhooks::find_status(&self.status).unwrap_or(ReceiptStatus::Sending);
        let code = match self.error_code {
            Value::Number(code) => Some(code.to_string()),
            Value::String(code) => Some(code),
            _ => None,
        };
        SentCopy {
            carrier_message_id: self.sid,
            created_at: self.date_created,
            status,
            error: status.is_failure().then(|| TABLES.receipt_refusal(code)),
            same_text,
        }
    }

    fn received_at(&self) -> DateTime<Utc> {
        self.date_sent.unwrap_or(self.date_created)
    }

    /// Without its media. `None` for a text to another number, and from what is no North American number: as with
    /// webhooks, those are not for us.
    fn find_received(&self, to: &PhoneNumber) -> Option<ReceivedMessage> {
        if self.to.as_deref() != Some(to.as_str()) {
            return None;
        }
        Some(ReceivedMessage {
            message: InboundMessage {
                carrier_message_id: self.sid.clone(),
                from: PhoneNumber::from_e164(self.from.as_deref()?).ok()?,
                to: *to,
                body: self.body.clone().unwrap_or_default(),
                media: Vec::new(),
                segments: read_count(&self.num_segments),
            },
            received_at: self.received_at(),
        })
    }
}

/// Twilio's way of writing times.
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
    parse_time(&String::deserialize(deserializer)?)
}

fn time_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    Option::<String>::deserialize(deserializer)?.as_deref().map(parse_time).transpose()
}

fn parse_time<E: serde::de::Error>(text: &str) -> Result<DateTime<Utc>, E> {
    DateTime::parse_from_rfc2822(text).map(|time| time.to_utc()).map_err(|_| E::custom("not a time"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::fixture::{Fixture, twilio_at},
        *,
    };
    use crate::{
        Carrier,
        harness::{
            inquiries::{FROM, TO, inquiry_tests, noon, sent},
            rest::number,
            scripted::{Act, Scripted},
        },
        refusal_code,
    };

    inquiry_tests!(Fixture);

    const PATH: &str = "GET /2010-04-01/Accounts/AC0123456789abcdef0123456789abcdef/Messages.json";

    fn rfc_2822(time: DateTime<Utc>) -> String {
        time.format("%a, %d %b %Y %H:%M:%S +0000").to_string()
    }

    /// A message so many seconds after noon, as Twilio lists it.
    fn outbound(sid: &str, seconds: i64, change: &[(&str, Value)]) -> Value {
        let mut message = json!({
            "sid": sid, "direction": "outbound-api", "status": "sent", "from": FROM, "to": TO, "body": "hello",
            "num_media": "0", "num_segments": "1", "error_code": null, "date_sent": null,
            "date_created": rfc_2822(noon() + TimeDelta::seconds(seconds)), "never_seen_before": [1],
        });
        for (name, value) in change {
            message[*name] = value.clone();
        }
        message
    }

    /// A text to our number so many seconds after noon, as Twilio lists it.
    fn inbound(sid: &str, seconds: i64, change: &[(&str, Value)]) -> Value {
        let usual = [
            ("direction", "inbound".into()),
            ("status", "received".into()),
            ("from", TO.into()),
            ("to", FROM.into()),
            ("date_sent", rfc_2822(noon() + TimeDelta::seconds(seconds)).into()),
        ];
        outbound(sid, seconds - 3, &[&usual, change].concat())
    }

    fn page(messages: &[Value], next: Option<&str>) -> Act {
        let body = json!({"messages": messages, "next_page_uri": next}).to_string();
        Act::Answer(200, "", body.leak())
    }

    async fn find(acts: &[Act]) -> (Result<Vec<SentCopy>, CallError>, Scripted) {
        let server = Scripted::start(acts).await;
        let found = twilio_at(&server.url).find_sent(&sent("hello")).await;
        (found.map(|found| found.unwrap()), server)
    }

    async fn list(acts: &[Act], after: Option<&str>) -> (Result<ReceivedPage, CallError>, Scripted) {
        let server = Scripted::start(acts).await;
        let since = noon() + TimeDelta::milliseconds(999);
        let listed = twilio_at(&server.url).list_received(&number(FROM), since, after).await;
        (listed.map(|listed| listed.unwrap()), server)
    }

    fn sids(copies: &[SentCopy]) -> Vec<&str> {
        copies.iter().map(|copy| copy.carrier_message_id.as_str()).collect()
    }

    #[tokio::test]
    async fn a_message_is_found_by_its_numbers_its_text_and_its_time_oldest_first() {
        let messages = [
            outbound("SM9", 60, &[]),
            outbound("SM8", 2, &[("body", "hello ".into())]),
            outbound("SM7", 2, &[("body", Value::Null)]),
            outbound("SM6", 2, &[("direction", "outbound-reply".into())]),
            outbound("SM5", 2, &[("to", "+14155550199".into())]),
            outbound("SM4", 2, &[("from", "+14155550199".into())]),
            outbound("SM3", 1, &[("body", format!("{TRIAL}hello").into())]),
            outbound("SM2", -5, &[("status", "queued".into())]),
            outbound("SM1", -6, &[]),
        ];
        let (found, server) = find(&[page(&messages, None)]).await;
        let found = found.unwrap();
        assert_eq!(sids(&found), ["SM2", "SM3", "SM8", "SM7", "SM9"]);
        let (same, other): (Vec<_>, Vec<_>) = found.into_iter().partition(|copy| copy.same_text);
        assert_eq!((sids(&same), sids(&other)), (vec!["SM2", "SM3", "SM9"], vec!["SM8", "SM7"]));
        let request = server.only_request();
        assert_eq!(request.path(), PATH);
        assert_eq!((request.asked("To"), request.asked("From")), (vec![TO], vec![FROM]));
    }

    #[tokio::test]
    async fn a_message_that_is_not_sent_yet_is_not_filtered_away_by_its_day() {
        let (_, server) = find(&[page(&[], None)]).await;
        assert!(!server.only_request().line.contains("DateSent"), "a queued message has no such date");
    }

    #[tokio::test]
    async fn a_copy_says_how_far_it_is_and_why_it_failed() {
        let messages = [
            outbound("SM3", 3, &[("status", "teleported".into())]),
            outbound("SM2", 2, &[("status", "failed".into()), ("error_code", 30007.into())]),
            outbound("SM1", 1, &[("status", "accepted".into())]),
        ];
        let found = find(&[page(&messages, None)]).await.0.unwrap();
        let statuses: Vec<_> = found.iter().map(|copy| copy.status).collect();
        assert_eq!(statuses, [ReceiptStatus::Sending, ReceiptStatus::Failed, ReceiptStatus::Sending]);
        let error = found[1].error.as_ref().unwrap();
        assert_eq!((error.code, error.carrier_code.as_deref()), (refusal_code::FILTERED, Some("30007")));
        assert_eq!((&found[0].error, found[0].created_at), (&None, noon() + TimeDelta::seconds(1)));
    }

    #[tokio::test]
    async fn pages_are_followed_at_the_same_address_until_they_are_older_than_the_attempt() {
        let elsewhere = Some("https://evil.example.com/2010-04-01/Accounts/AC2/Calls.json?Page=1&PageToken=PASM%2B1");
        let pages = [
            page(&[outbound("SM3", 3, &[("body", "other".into())])], elsewhere),
            page(&[outbound("SM2", 1, &[]), outbound("SM1", -60, &[])], Some("/x?Page=2")),
            page(&[outbound("SM0", -120, &[])], Some("/x?Page=3")),
        ];
        let (found, server) = find(&pages).await;
        assert_eq!(sids(&found.unwrap()), ["SM2", "SM3"]);
        let requests = server.requests();
        assert_eq!(requests.len(), 3);
        assert!(requests.iter().all(|request| request.path() == PATH), "{:?}", requests[1].line);
        assert_eq!(requests[1].asked("PageToken"), ["PASM+1"]);
    }

    #[tokio::test]
    async fn a_search_that_does_not_end_proves_nothing() {
        let (found, server) = find(&[page(&[outbound("SM1", 1, &[])], Some("/x?Page=1")); 20]).await;
        assert!(matches!(found, Err(CallError::Unknown { .. })), "{found:?}");
        assert_eq!(server.requests().len(), MAX_PAGES);
    }

    #[tokio::test]
    async fn a_list_that_cannot_be_had_or_read_is_not_an_empty_one() {
        let unreadable = page(&[outbound("SM1", 1, &[("date_created", Value::Null)])], None);
        for act in [Act::HangUp, Act::Silence, Act::Answer(500, "", ""), Act::Answer(200, "", "{}"), unreadable] {
            for error in [find(&[act]).await.0.unwrap_err(), list(&[act], None).await.0.unwrap_err()] {
                assert!(matches!(error, CallError::Unknown { .. }), "{error:?}");
                let shown = format!("{error} {error:?}");
                assert!(!shown.contains("4155550123") && !shown.contains("hello"), "{shown}");
            }
        }
    }

    #[tokio::test]
    async fn texts_that_came_in_are_listed_as_their_webhooks_tell_them() {
        let messages = [
            inbound("SM7", 9, &[("body", " 👍🏽\r\n".into()), ("num_segments", "2".into())]),
            inbound("SM6", 8, &[("from", "72345".into())]),
            inbound("SM5", 8, &[("from", Value::Null)]),
            inbound("SM4", 8, &[("to", "+14155550199".into())]),
            inbound("SM3", 8, &[("direction", "outbound-api".into())]),
            inbound("SM2", 0, &[("body", Value::Null)]),
            inbound("SM1", -1, &[]),
        ];
        let (listed, server) = list(&[page(&messages, None)], None).await;
        let message = |sid: &str, body: &str, segments| InboundMessage {
            carrier_message_id: sid.into(),
            from: number(TO),
            to: number(FROM),
            body: body.into(),
            media: Vec::new(),
            segments: Some(segments),
        };
        let expected = vec![
            ReceivedMessage {
                message: message("SM7", " 👍🏽\r\n", 2), received_at: noon() + TimeDelta::seconds(9)
            },
            ReceivedMessage { message: message("SM2", "", 1), received_at: noon() },
        ];
        assert_eq!(listed, Ok(ReceivedPage { messages: expected, next: None }));
        let request = server.only_request();
        assert_eq!(request.path(), PATH);
        assert_eq!((request.asked("To"), request.asked("DateSent>")), (vec![FROM], vec!["2026-11-23"]));
    }

    #[tokio::test]
    async fn what_came_with_a_text_is_listed_with_the_addresses_of_its_webhook() {
        const MEDIA: &str = r#"{"media_list":[
            {"sid":"ME1","content_type":"image/png","uri":"https://evil.example.com/ME1.json"},
            {"sid":"../ME2","content_type":null}]}"#;
        let text = || page(&[inbound("MM1", 1, &[("num_media", "2".into())])], None);
        let (listed, server) = list(&[text(), Act::Answer(200, "", MEDIA)], None).await;
        let media = &listed.unwrap().messages[0].message.media;
        let base = server.url.join("/2010-04-01/Accounts/AC0123456789abcdef0123456789abcdef/Messages/MM1/").unwrap();
        assert_eq!(media[0].url, base.join("Media/ME1").unwrap());
        assert!(media[1].url.as_str().ends_with("/Media/..%2FME2"), "{}", media[1].url);
        assert_eq!((media[0].content_type.as_str(), media[1].content_type.as_str()), ("image/png", ""));
        assert_eq!(server.requests()[1].path(), format!("GET {}Media.json", base.path()));

        let (gone, _) = list(&[text(), Act::Answer(404, "", "")], None).await;
        assert_eq!(gone.unwrap().messages.len(), 1, "the text is still one");
        let (later, _) = list(&[text(), Act::Answer(503, "", "")], None).await;
        assert!(matches!(later, Err(CallError::Unknown { .. })), "{later:?}");
    }

    #[tokio::test]
    async fn texts_are_listed_a_page_at_a_time_until_they_are_older_than_asked() {
        let more = Some("https://evil.example.com/x?To=%2B16465550111&Page=1&PageToken=PASM%2B1");
        let (first, _) = list(&[page(&[inbound("SM2", 1, &[]), inbound("SM1", -1, &[])], more)], None).await;
        let shown = format!("{first:?}");
        assert!(!["6465550111", "4155550123", "hello"].iter().any(|hidden| shown.contains(hidden)), "{shown}");
        let next = first.unwrap().next.unwrap();
        let (last, server) = list(&[page(&[inbound("SM0", -2, &[])], more)], Some(&next)).await;
        assert_eq!(last, Ok(ReceivedPage::default()));
        let request = server.only_request();
        assert_eq!((request.path(), request.asked("PageToken")), (PATH, vec!["PASM+1"]));
    }
}
