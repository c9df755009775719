//! Twilio. REST with form bodies and HTTP Basic, webhooks as signed forms.
//!
//! Particular to it: purchases are synchronous, webhooks sit on the number itself, receipts are asked for per
//! message, and inbound webhooks are retried only if their address says so. The base address is configurable,
//! so that this very adapter talks to the simulator.

mod errors;
#[cfg(test)]
mod fixture;
mod inquiries;
mod lookups;
mod media;
mod messages;
mod numbers;
mod rest;
pub mod signature;
mod webhooks;

use std::time::Duration;

use async_trait::async_trait;
use chassis::Secret;
use chrono::{DateTime, Utc};
use domain::{CarrierName, LicenseId, PhoneNumber};
use serde::Deserialize;
use thiserror::Error;

pub use self::webhooks::TwilioWebhooks;
use crate::{
    CallError, Carrier, ClientError, FetchedMedia, InboundMedia, LineInfo, MediaError, MediaLimits, NumberOrder,
    NumberSearch, OutboundMessage, OwnedNumber, OwnedPage, ReceivedPage, SendOutcome, SentCopy, SentMessage,
};

/// `[twilio]` of a service that calls: which account, with what credentials, where.
#[derive(Clone, Debug, Deserialize)]
pub struct TwilioSettings {
    /// `https://api.twilio.com`, or the simulator.
    pub base_url: String,
    /// `https://lookups.twilio.com`, or the simulator.
    pub lookups_url: String,
    /// `AC` and 32 hexadecimal digits.
    pub account_sid: String,
    pub auth_token: Secret,
    /// How long one call may take in all. The connection alone gets at most 5 s of it.
    pub request_timeout_ms: u64,
}

impl TwilioSettings {
    /// Is Twilio used? One of the two alone is a mistake that [`Twilio::new`] names.
    pub fn is_set(&self) -> bool {
        !self.account_sid.is_empty() || !self.auth_token.is_empty()
    }

    /// See `request_timeout_ms`.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }
}

/// Why an adapter cannot be made from its configuration.
#[derive(Debug, Error)]
pub enum SetupError {
    /// Calls would be refused, one by one.
    #[error("`twilio.auth_token` is not set")]
    NoCredentials,
    /// Not `AC` and 32 hexadecimal digits.
    #[error("`twilio.account_sid`: not AC followed by 32 hexadecimal digits")]
    InvalidAccountSid,
    /// Not an http or https address with a host.
    #[error("`twilio.base_url` or `twilio.lookups_url` is not http or https with a host")]
    InvalidBaseUrl,
    /// See its source.
    #[error("the client for Twilio cannot be built")]
    Client(#[source] ClientError),
}

/// The adapter. Holds one client with warm connections: make one per process and account.
#[derive(Debug)]
pub struct Twilio {
    rest: rest::Rest,
}

impl Twilio {
    /// Checks the settings and builds the client. Does not connect.
    ///
    /// # Errors
    /// [`SetupError`]
    pub fn new(settings: &TwilioSettings) -> Result<Self, SetupError> {
        Ok(Self { rest: rest::Rest::new(settings)? })
    }
}

#[async_trait]
impl Carrier for Twilio {
    fn name(&self) -> CarrierName {
        CarrierName::Twilio
    }

    async fn search_numbers(&self, search: &NumberSearch) -> Result<Vec<PhoneNumber>, CallError> {
        numbers::search(&self.rest, search).await
    }

    async fn buy_number(&self, order: &NumberOrder) -> Result<OwnedNumber, CallError> {
        numbers::buy(&self.rest, order).await
    }

    async fn find_owned_number(&self, number: &PhoneNumber, _: &LicenseId) -> Result<Option<OwnedNumber>, CallError> {
        numbers::find_owned(&self.rest, number).await
    }

    async fn list_owned_by(&self, license_id: &LicenseId) -> Result<Vec<OwnedNumber>, CallError> {
        numbers::list_owned_by(&self.rest, license_id).await
    }

    async fn list_owned_numbers(&self, page: Option<&str>) -> Result<OwnedPage, CallError> {
        numbers::list_owned(&self.rest, page).await
    }

    async fn configure_number(&self, owned: &OwnedNumber, order: &NumberOrder) -> Result<OwnedNumber, CallError> {
        numbers::configure(&self.rest, owned, order).await
    }

    async fn release_number(&self, carrier_number_id: &str) -> Result<(), CallError> {
        numbers::release(&self.rest, carrier_number_id).await
    }

    async fn look_up_line(&self, number: &PhoneNumber) -> Result<LineInfo, CallError> {
        lookups::look_up_line(&self.rest, number).await
    }

    async fn send_message(&self, message: &OutboundMessage) -> SendOutcome {
        messages::send(&self.rest, message).await
    }

    async fn find_sent(&self, message: &SentMessage) -> Result<Option<Vec<SentCopy>>, CallError> {
        inquiries::find_sent(&self.rest, message).await.map(Some)
    }

    async fn get_sent(&self, carrier_message_id: &str) -> Result<Option<SentCopy>, CallError> {
        inquiries::get_sent(&self.rest, carrier_message_id).await
    }

    async fn list_received(
        &self,
        to: &PhoneNumber,
        since: DateTime<Utc>,
        page: Option<&str>,
    ) -> Result<Option<ReceivedPage>, CallError> {
        inquiries::list_received(&self.rest, to, since, page).await.map(Some)
    }

    async fn fetch_media(&self, media: &InboundMedia, limits: &MediaLimits) -> Result<FetchedMedia, MediaError> {
        media::fetch(&self.rest, media, limits).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(account_sid: &str, base_url: &str) -> Result<Twilio, SetupError> {
        Twilio::new(&TwilioSettings {
            base_url: base_url.to_owned(),
            lookups_url: base_url.to_owned(),
            account_sid: account_sid.to_owned(),
            auth_token: Secret::new("hush"),
            request_timeout_ms: 1_000,
        })
    }

    #[test]
    fn a_client_is_built_for_http_and_https_without_a_process_wide_tls_provider() {
        assert!(setup(fixture::ACCOUNT, "http://127.0.0.1:4010").is_ok());
        assert!(setup(fixture::ACCOUNT, "https://api.twilio.com").is_ok());
        assert!(rustls::crypto::CryptoProvider::get_default().is_none());
    }

    #[test]
    fn a_wrong_configuration_is_found_at_start() {
        for sid in ["", "AC1", "SK0123456789abcdef0123456789abcdef", "AC0123456789abcdef0123456789abcdeg"] {
            assert!(matches!(setup(sid, "http://127.0.0.1"), Err(SetupError::InvalidAccountSid)), "{sid}");
        }
        assert!(matches!(setup(fixture::ACCOUNT, "ftp://example.com"), Err(SetupError::InvalidBaseUrl)));
        assert!(matches!(setup(fixture::ACCOUNT, "mailto:a@b.c"), Err(SetupError::InvalidBaseUrl)));
    }

    #[test]
    fn debug_shows_no_secret() {
        let twilio = setup(fixture::ACCOUNT, "http://127.0.0.1:1").unwrap();
        assert!(!format!("{twilio:?}").contains("hush"));
    }
}
