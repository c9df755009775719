//! How a request to Twilio is addressed and authenticated. What its end proves is decided in [`crate::exchange`].

use std::fmt;

use chassis::Secret;
use domain::PhoneNumber;
use http::Method;
use reqwest::RequestBuilder;
use serde::de::DeserializeOwned;
use url::Url;

use super::{SetupError, TwilioSettings, errors::TABLES, media};
use crate::exchange::{Exchange, Trouble, below, find_base};
use crate::media::MediaPlaces;

/// The client, bound to one account.
pub(super) struct Rest {
    exchange: Exchange,
    base_url: Url,
    lookups_url: Url,
    account_sid: String,
    auth_token: Secret,
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rest")
            .field("host", &self.base_url.host_str())
            .field("account_sid", &self.account_sid)
            .finish_non_exhaustive()
    }
}

impl Rest {
    pub(super) fn new(settings: &TwilioSettings) -> Result<Self, SetupError> {
        if settings.auth_token.is_empty() {
            return Err(SetupError::NoCredentials);
        }
        let sid = settings.account_sid.strip_prefix("AC").unwrap_or_default();
        if sid.len() != 32 || !sid.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(SetupError::InvalidAccountSid);
        }
        Ok(Self {
            base_url: find_base(&settings.base_url).ok_or(SetupError::InvalidBaseUrl)?,
            lookups_url: find_base(&settings.lookups_url).ok_or(SetupError::InvalidBaseUrl)?,
            exchange: Exchange::new(settings.request_timeout(), &TABLES).map_err(SetupError::Client)?,
            account_sid: settings.account_sid.clone(),
            auth_token: settings.auth_token.clone(),
        })
    }

    /// A request below this account, authenticated.
    pub(super) fn request(&self, method: Method, segments: &[&str]) -> RequestBuilder {
        self.authenticated(method, self.address(segments))
    }

    /// An address below this account.
    pub(super) fn address(&self, segments: &[&str]) -> Url {
        let account = ["2010-04-01", "Accounts", &self.account_sid];
        below(&self.base_url, &[&account, segments].concat())
    }

    /// What is known of a number: another host of Twilio's, the same account.
    pub(super) fn lookup(&self, number: &PhoneNumber) -> RequestBuilder {
        self.authenticated(Method::GET, below(&self.lookups_url, &["v2", "PhoneNumbers", number.as_str()]))
    }

    fn authenticated(&self, method: Method, url: Url) -> RequestBuilder {
        self.exchange.request(method, url).basic_auth(&self.account_sid, Some(self.auth_token.expose()))
    }

    /// The client, for what is not an exchange with the API.
    pub(super) fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// Where media may be.
    pub(super) fn media_places(&self) -> MediaPlaces<'_> {
        MediaPlaces { base_url: &self.base_url, hosts: media::HOSTS }
    }

    /// Credentials for the API, and for nothing else.
    pub(super) fn authorise(&self, url: &Url, request: RequestBuilder) -> RequestBuilder {
        let is_api = url.origin() == self.base_url.origin()
            || (self.base_url.scheme() == "https"
                && url.scheme() == "https"
                && url.host_str() == Some("api.twilio.com"));
        if is_api { request.basic_auth(&self.account_sid, Some(self.auth_token.expose())) } else { request }
    }

    /// See [`Exchange::fetch`].
    pub(super) async fn fetch<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Trouble> {
        self.exchange.fetch(request).await
    }

    /// See [`Exchange::run`].
    pub(super) async fn run(&self, request: RequestBuilder) -> Result<Vec<u8>, Trouble> {
        self.exchange.run(request).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, twilio_at};
    use crate::{
        Carrier,
        harness::{
            rest::{Fixture as _, message, rest_tests},
            scripted::Scripted,
        },
    };

    rest_tests!(Fixture);

    #[tokio::test]
    async fn every_request_is_authenticated_and_names_the_account() {
        let server = Scripted::start(&[Fixture.taken()]).await;
        twilio_at(&server.url).send_message(&message()).await;
        let request = server.only_request();
        assert_eq!(request.line, "POST /2010-04-01/Accounts/AC0123456789abcdef0123456789abcdef/Messages.json HTTP/1.1");
        assert!(request.head.contains("authorization: basic "), "{}", request.head);
    }
}
