//! How a request to Telnyx is addressed and authenticated. What its end proves is decided in [`crate::exchange`].

use std::{fmt, time::Duration};

use chassis::Secret;
use http::Method;
use reqwest::RequestBuilder;
use serde::{Deserialize, de::DeserializeOwned};
use tokio::sync::Mutex;
use url::Url;

use super::{SetupError, TelnyxSettings, errors::TABLES, media};
use crate::exchange::{Exchange, Trouble, below, find_base};
use crate::media::MediaPlaces;

/// The client, bound to one account.
pub(super) struct Rest {
    exchange: Exchange,
    base_url: Url,
    api_key: Secret,
    outbound_voice_profile_id: String,
    order_timeout: Duration,
    making_application: Mutex<()>,
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rest").field("host", &self.base_url.host_str()).finish_non_exhaustive()
    }
}

/// Telnyx wraps every answer.
#[derive(Deserialize)]
struct Wrapped<T> {
    data: T,
}

impl Rest {
    pub(super) fn new(settings: &TelnyxSettings) -> Result<Self, SetupError> {
        if settings.api_key.is_empty() {
            return Err(SetupError::NoCredentials);
        }
        Ok(Self {
            base_url: find_base(&settings.base_url).ok_or(SetupError::InvalidBaseUrl)?,
            exchange: Exchange::new(settings.request_timeout(), &TABLES).map_err(SetupError::Client)?,
            api_key: settings.api_key.clone(),
            outbound_voice_profile_id: settings.outbound_voice_profile_id.clone(),
            order_timeout: settings.order_timeout(),
            making_application: Mutex::new(()),
        })
    }

    /// With which calls are forwarded; empty if it is not set.
    pub(super) fn outbound_voice_profile_id(&self) -> &str {
        &self.outbound_voice_profile_id
    }

    /// How long a purchase may wait for its order.
    pub(super) fn order_timeout(&self) -> Duration {
        self.order_timeout
    }

    /// Held by whoever makes the application for calls.
    pub(super) fn making_application(&self) -> &Mutex<()> {
        &self.making_application
    }

    /// A request, authenticated.
    pub(super) fn request(&self, method: Method, segments: &[&str]) -> RequestBuilder {
        let url = below(&self.base_url, &[&["v2"], segments].concat());
        self.exchange.request(method, url).bearer_auth(self.api_key.expose())
    }

    /// The client, for what is not an exchange with the API.
    pub(super) fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// Where media may be.
    pub(super) fn media_places(&self) -> MediaPlaces<'_> {
        MediaPlaces { base_url: &self.base_url, hosts: media::HOSTS }
    }

    /// Makes the exchange and reads the `data` of the answer.
    pub(super) async fn fetch<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Trouble> {
        Ok(self.fetch_whole::<Wrapped<T>>(request).await?.data)
    }

    /// Makes the exchange and reads the answer, for those whose `meta` counts.
    pub(super) async fn fetch_whole<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Trouble> {
        self.exchange.fetch(request).await
    }

    /// See [`Exchange::run`].
    pub(super) async fn run(&self, request: RequestBuilder) -> Result<Vec<u8>, Trouble> {
        self.exchange.run(request).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, telnyx_at};
    use crate::{
        Carrier,
        harness::{
            rest::{Fixture as _, message, rest_tests},
            scripted::Scripted,
        },
    };

    rest_tests!(Fixture);

    #[tokio::test]
    async fn every_request_is_authenticated() {
        let server = Scripted::start(&[Fixture.taken()]).await;
        telnyx_at(&server.url).send_message(&message()).await;
        let head = server.only_request().head;
        assert!(head.contains("authorization: bearer key"), "{head}");
    }
}
