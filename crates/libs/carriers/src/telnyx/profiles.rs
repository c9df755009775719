//! Where Telnyx posts: not a number's own settings, but those of the messaging profile and of the TeXML application
//! that it belongs to. Both are found by name, made if there is none, and set right if somebody changed them.
//!
//! One messaging profile per license: Telnyx keeps opt-outs per profile, so STOP to one company must not silence
//! another. It outlives its numbers for the same reason. One application for all calls of the installation. Two
//! processes at once may make two of a kind; the one with the smallest id is used from then on.

use domain::LicenseId;
use http::Method;
use reqwest::RequestBuilder;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{errors::TABLES, rest::Rest};
use crate::{CallError, NumberOrder, NumberWebhooks};

/// Telnyx' largest page.
pub(super) const PAGE: &str = "250";
/// A carrier's mistake must not become our loop.
const MAX_PAGES: u32 = 100;

const APPLICATION: &str = "leaseline";

/// Where messages may go: the United States with their territories, and Canada. The rest of +1 is charged as
/// international and a favourite of fraudsters (CARRIERS §10). Only for new profiles: who narrows or widens it in
/// the portal is not overruled.
const DESTINATIONS: &[&str] = &["US", "PR", "VI", "GU", "AS", "MP", "CA"];

/// Telnyx' ids of what a number must belong to.
pub(super) struct Setup {
    pub(super) messaging_profile_id: String,
    pub(super) application_id: String,
}

/// Makes sure that both are there and post to these addresses.
pub(super) async fn ensure(rest: &Rest, order: &NumberOrder) -> Result<Setup, CallError> {
    Ok(Setup {
        messaging_profile_id: ensure_profile(rest, &order.license_id, &order.webhooks).await?,
        application_id: ensure_application(rest, &order.webhooks).await?,
    })
}

#[derive(Deserialize)]
struct Profile {
    id: String,
    name: String,
    webhook_url: Option<String>,
    webhook_failover_url: Option<String>,
    webhook_api_version: Option<String>,
}

/// What is ours to set on a messaging profile.
#[derive(Serialize)]
struct ProfileSettings<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    whitelisted_destinations: Option<&'a [&'a str]>,
    webhook_url: &'a str,
    /// Asked after three failures. The same address: behind it are several replicas.
    webhook_failover_url: &'a str,
    webhook_api_version: &'a str,
}

async fn ensure_profile(rest: &Rest, license_id: &LicenseId, webhooks: &NumberWebhooks) -> Result<String, CallError> {
    let name = format!("{APPLICATION} {license_id}");
    let wanted = ProfileSettings {
        name: &name,
        whitelisted_destinations: None,
        webhook_url: webhooks.message_url.as_str(),
        webhook_failover_url: webhooks.message_url.as_str(),
        webhook_api_version: "2",
    };
    let profiles: Vec<Profile> = list(rest, "messaging_profiles", &[("filter[name]", &name)]).await?;
    // The filter may match a part of the name.
    let found = profiles.into_iter().filter(|profile| profile.name == name).min_by(|a, b| a.id.cmp(&b.id));
    match found {
        Some(profile) if wanted.is_as(&profile) => Ok(profile.id),
        Some(profile) => {
            put(rest, rest.request(Method::PATCH, &["messaging_profiles", &profile.id]).json(&wanted)).await
        }
        None => {
            let wanted = ProfileSettings { whitelisted_destinations: Some(DESTINATIONS), ..wanted };
            put(rest, rest.request(Method::POST, &["messaging_profiles"]).json(&wanted)).await
        }
    }
}

impl ProfileSettings<'_> {
    fn is_as(&self, profile: &Profile) -> bool {
        profile.webhook_url.as_deref() == Some(self.webhook_url)
            && profile.webhook_failover_url.as_deref() == Some(self.webhook_failover_url)
            && profile.webhook_api_version.as_deref() == Some(self.webhook_api_version)
    }
}

#[derive(Deserialize)]
struct Application {
    id: String,
    friendly_name: String,
    voice_url: Option<String>,
    voice_method: Option<String>,
    voice_fallback_url: Option<String>,
    status_callback: Option<String>,
    #[serde(default)]
    outbound: Option<ApplicationOutbound>,
}

#[derive(Deserialize)]
struct ApplicationOutbound {
    outbound_voice_profile_id: Option<String>,
}

/// What is ours to set on the TeXML application.
#[derive(Serialize)]
struct ApplicationSettings<'a> {
    friendly_name: &'a str,
    voice_url: &'a str,
    /// Telnyx' own pages disagree about the default.
    voice_method: &'a str,
    voice_fallback_url: &'a str,
    status_callback: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    outbound: Option<OutboundSettings<'a>>,
}

#[derive(Serialize)]
struct OutboundSettings<'a> {
    outbound_voice_profile_id: &'a str,
}

async fn ensure_application(rest: &Rest, webhooks: &NumberWebhooks) -> Result<String, CallError> {
    let voice_profile = Some(rest.outbound_voice_profile_id()).filter(|id| !id.is_empty());
    let wanted = ApplicationSettings {
        friendly_name: APPLICATION,
        voice_url: webhooks.voice_url.as_str(),
        voice_method: "post",
        voice_fallback_url: webhooks.voice_url.as_str(),
        status_callback: webhooks.voice_status_url.as_str(),
        outbound: voice_profile.map(|outbound_voice_profile_id| OutboundSettings { outbound_voice_profile_id }),
    };
    if let Some(application) = find_application(rest).await? {
        return set_right(rest, application, &wanted).await;
    }
    // Purchases at the same moment would make one each, and what is set later would reach the numbers of only one.
    let _making = rest.making_application().lock().await;
    match find_application(rest).await? {
        Some(application) => set_right(rest, application, &wanted).await,
        None => put(rest, rest.request(Method::POST, &["texml_applications"]).json(&wanted)).await,
    }
}

async fn find_application(rest: &Rest) -> Result<Option<Application>, CallError> {
    let filter = [("filter[friendly_name]", APPLICATION)];
    let applications: Vec<Application> = list(rest, "texml_applications", &filter).await?;
    // The filter matches a part of the name.
    let ours = applications.into_iter().filter(|application| application.friendly_name == APPLICATION);
    Ok(ours.min_by(|a, b| a.id.cmp(&b.id)))
}

async fn set_right(
    rest: &Rest,
    application: Application,
    wanted: &ApplicationSettings<'_>,
) -> Result<String, CallError> {
    if wanted.is_as(&application) {
        return Ok(application.id);
    }
    put(rest, rest.request(Method::PATCH, &["texml_applications", &application.id]).json(wanted)).await
}

impl ApplicationSettings<'_> {
    fn is_as(&self, application: &Application) -> bool {
        let voice_profile = application.outbound.as_ref().and_then(|known| known.outbound_voice_profile_id.as_deref());
        application.voice_url.as_deref() == Some(self.voice_url)
            && application.voice_method.as_deref().is_some_and(|word| word.eq_ignore_ascii_case(self.voice_method))
            && application.voice_fallback_url.as_deref() == Some(self.voice_fallback_url)
            && application.status_callback.as_deref() == Some(self.status_callback)
            && self.outbound.as_ref().is_none_or(|wanted| voice_profile == Some(wanted.outbound_voice_profile_id))
    }
}

#[derive(Deserialize)]
struct Kept {
    id: String,
}

/// Makes or changes one, and answers its id.
async fn put(rest: &Rest, request: RequestBuilder) -> Result<String, CallError> {
    let kept: Kept = rest.fetch(request).await.map_err(|trouble| TABLES.call_error(trouble))?;
    Ok(kept.id)
}

/// A page of anything that Telnyx lists.
#[derive(Deserialize)]
pub(super) struct Page<T> {
    pub(super) data: Vec<T>,
    #[serde(default)]
    pub(super) meta: Meta,
}

#[derive(Default, Deserialize)]
pub(super) struct Meta {
    #[serde(default)]
    pub(super) total_pages: u32,
}

/// Everything that a filter matches.
pub(super) async fn list<T: DeserializeOwned>(
    rest: &Rest,
    kind: &str,
    filter: &[(&str, &str)],
) -> Result<Vec<T>, CallError> {
    let mut all = Vec::new();
    for number in 1..=MAX_PAGES {
        let page: Page<T> = fetch_page(rest, kind, filter, number).await?;
        all.extend(page.data);
        if number >= page.meta.total_pages {
            break;
        }
    }
    Ok(all)
}

/// One page, counted from 1.
pub(super) async fn fetch_page<T: DeserializeOwned>(
    rest: &Rest,
    kind: &str,
    filter: &[(&str, &str)],
    number: u32,
) -> Result<Page<T>, CallError> {
    let paging = [("page[number]", number.to_string()), ("page[size]", PAGE.to_owned())];
    let request = rest.request(Method::GET, &[kind]).query(filter).query(&paging);
    rest.fetch_whole(request).await.map_err(|trouble| TABLES.call_error(trouble))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::fixture::{APPLICATIONS, NOTHING, PROFILES, telnyx_at},
        *,
    };
    use crate::harness::{
        rest::order,
        scripted::{Act, Recorded, Scripted},
    };

    async fn ensured(acts: &[Act]) -> ((String, String), Vec<Recorded>) {
        let server = Scripted::start(acts).await;
        let setup = ensure(&telnyx_at(&server.url).rest, &order()).await.unwrap();
        ((setup.messaging_profile_id, setup.application_id), server.requests())
    }

    fn ids(profile: &str, application: &str) -> (String, String) {
        (profile.into(), application.into())
    }

    #[tokio::test]
    async fn what_is_there_and_right_is_left_as_it_is() {
        let (found, requests) = ensured(&[PROFILES, APPLICATIONS]).await;
        assert_eq!(found, ids("mp-1", "app-1"));
        assert_eq!(requests[0].path(), "GET /v2/messaging_profiles");
        assert_eq!(requests[0].asked("filter[name]"), ["leaseline acme-1"]);
        assert_eq!(requests[1].path(), "GET /v2/texml_applications");
        assert_eq!(requests[1].asked("filter[friendly_name]"), ["leaseline"]);
        assert_eq!(requests.len(), 2);
    }

    #[tokio::test]
    async fn a_license_without_a_profile_gets_one_with_an_address_to_fall_back_to() {
        const OTHERS: &str = r#"{"data":[{"id":"mp-0","name":"leaseline acme-10"}]}"#;
        let made =
            [Act::Answer(200, "", r#"{"data":{"id":"mp-1"}}"#), Act::Answer(201, "", r#"{"data":{"id":"app-1"}}"#)];
        let (found, requests) = ensured(&[Act::Answer(200, "", OTHERS), made[0], NOTHING, NOTHING, made[1]]).await;
        assert_eq!(found, ids("mp-1", "app-1"));
        assert_eq!(requests[1].path(), "POST /v2/messaging_profiles");
        let profile = json!({
            "name": "leaseline acme-1",
            "whitelisted_destinations": ["US", "PR", "VI", "GU", "AS", "MP", "CA"],
            "webhook_url": "https://in.example.com/message",
            "webhook_failover_url": "https://in.example.com/message",
            "webhook_api_version": "2",
        });
        assert_eq!(requests[1].json(), profile);
        assert_eq!(requests[4].path(), "POST /v2/texml_applications");
        let application = json!({
            "friendly_name": "leaseline",
            "voice_url": "https://in.example.com/voice",
            "voice_method": "post",
            "voice_fallback_url": "https://in.example.com/voice",
            "status_callback": "https://in.example.com/voice/after",
            "outbound": {"outbound_voice_profile_id": "ovp-1"},
        });
        assert_eq!(requests[4].json(), application);
    }

    #[tokio::test]
    async fn what_posts_elsewhere_is_set_right_and_destinations_stay_as_an_operator_set_them() {
        const PROFILE: &str = r#"{"data":[{"id":"mp-1","name":"leaseline acme-1","webhook_url":"https://old.example.com",
            "webhook_failover_url":null,"webhook_api_version":"2","whitelisted_destinations":["US"]}]}"#;
        const APPLICATION: &str = r#"{"data":[{"id":"app-1","friendly_name":"leaseline",
            "voice_url":"https://old.example.com/voice","voice_method":"get"}]}"#;
        let kept =
            [Act::Answer(200, "", r#"{"data":{"id":"mp-1"}}"#), Act::Answer(200, "", r#"{"data":{"id":"app-1"}}"#)];
        let acts = [Act::Answer(200, "", PROFILE), kept[0], Act::Answer(200, "", APPLICATION), kept[1]];
        let (found, requests) = ensured(&acts).await;
        assert_eq!(found, ids("mp-1", "app-1"));
        assert_eq!(requests[1].path(), "PATCH /v2/messaging_profiles/mp-1");
        assert_eq!(requests[1].json()["webhook_url"], "https://in.example.com/message");
        assert!(requests[1].json().get("whitelisted_destinations").is_none());
        assert_eq!(requests[3].path(), "PATCH /v2/texml_applications/app-1");
        assert_eq!(requests[3].json()["voice_method"], "post");
    }

    #[tokio::test]
    async fn of_two_with_the_same_name_every_process_takes_the_same_one() {
        const TWO: &str = r#"{"data":[
            {"id":"mp-2","name":"leaseline acme-1","webhook_url":"https://in.example.com/message",
             "webhook_failover_url":"https://in.example.com/message","webhook_api_version":"2"},
            {"id":"mp-1","name":"leaseline acme-1","webhook_url":"https://in.example.com/message",
             "webhook_failover_url":"https://in.example.com/message","webhook_api_version":"2"}]}"#;
        let (found, _) = ensured(&[Act::Answer(200, "", TWO), APPLICATIONS]).await;
        assert_eq!(found.0, "mp-1");
    }

    #[tokio::test]
    async fn a_profile_on_a_later_page_is_found() {
        const FIRST: &str = r#"{"data":[{"id":"mp-0","name":"leaseline acme-10"}],"meta":{"total_pages":2}}"#;
        let (found, requests) = ensured(&[Act::Answer(200, "", FIRST), PROFILES, APPLICATIONS]).await;
        assert_eq!(found.0, "mp-1");
        assert_eq!(requests[1].asked("page[number]"), ["2"]);
    }
}
