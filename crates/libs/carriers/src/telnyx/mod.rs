//! Telnyx. REST with JSON bodies and a bearer key, webhooks as JSON signed with ed25519, calls as TeXML.
//!
//! Particular to it: a purchase is an order that is settled later; addresses sit on a messaging profile (one per
//! license, because opt-outs are kept per profile) and on one TeXML application, not on the number; receipts are asked
//! for per message. The base address is configurable, so that this very adapter talks to the simulator.

mod errors;
mod events;
#[cfg(test)]
mod fixture;
mod inquiries;
mod lookups;
mod media;
mod messages;
mod numbers;
mod orders;
mod profiles;
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

pub use self::{signature::InvalidPublicKey, webhooks::TelnyxWebhooks};
use crate::{
    CallError, Carrier, ClientError, FetchedMedia, InboundMedia, LineInfo, MediaError, MediaLimits, NumberOrder,
    NumberSearch, OutboundMessage, OwnedNumber, OwnedPage, ReceivedPage, SendOutcome, SentCopy, SentMessage,
};

/// `[telnyx]` of a service that calls: with what key, and where.
#[derive(Clone, Debug, Deserialize)]
pub struct TelnyxSettings {
    /// `https://api.telnyx.com`, or the simulator.
    pub base_url: String,
    /// An API v2 key. Empty: Telnyx is not used.
    pub api_key: Secret,
    /// The outbound voice profile with which calls are forwarded. Empty: the application is left as it is in that
    /// respect, and Telnyx forwards no calls before somebody gives it one.
    pub outbound_voice_profile_id: String,
    /// How long one call may take in all. The connection alone gets at most 5 s of it.
    pub request_timeout_ms: u64,
    /// How long a purchase waits for its order to be settled, before it is asked about later.
    pub order_timeout_ms: u64,
}

impl TelnyxSettings {
    /// Is Telnyx used?
    pub fn is_set(&self) -> bool {
        !self.api_key.is_empty()
    }

    /// See `request_timeout_ms`.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// See `order_timeout_ms`.
    pub fn order_timeout(&self) -> Duration {
        Duration::from_millis(self.order_timeout_ms)
    }
}

/// Why an adapter cannot be made from its configuration.
#[derive(Debug, Error)]
pub enum SetupError {
    /// Calls would be refused, one by one.
    #[error("`telnyx.api_key` is not set")]
    NoCredentials,
    /// Not an http or https address with a host.
    #[error("`telnyx.base_url` is not http or https with a host")]
    InvalidBaseUrl,
    /// See its source.
    #[error("the client for Telnyx cannot be built")]
    Client(#[source] ClientError),
}

/// The adapter. Holds one client with warm connections: make one per process and account.
#[derive(Debug)]
pub struct Telnyx {
    rest: rest::Rest,
}

impl Telnyx {
    /// Checks the settings and builds the client. Does not connect.
    ///
    /// # Errors
    /// [`SetupError`]
    pub fn new(settings: &TelnyxSettings) -> Result<Self, SetupError> {
        Ok(Self { rest: rest::Rest::new(settings)? })
    }
}

#[async_trait]
impl Carrier for Telnyx {
    fn name(&self) -> CarrierName {
        CarrierName::Telnyx
    }

    async fn search_numbers(&self, search: &NumberSearch) -> Result<Vec<PhoneNumber>, CallError> {
        numbers::search(&self.rest, search).await
    }

    async fn buy_number(&self, order: &NumberOrder) -> Result<OwnedNumber, CallError> {
        orders::buy(&self.rest, order).await
    }

    async fn find_owned_number(
        &self,
        number: &PhoneNumber,
        license_id: &LicenseId,
    ) -> Result<Option<OwnedNumber>, CallError> {
        orders::find_owned(&self.rest, number, license_id).await
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

    /// Telnyx has no list of messages. Its detail records show a message only after delivery, and without its text.
    async fn find_sent(&self, _: &SentMessage) -> Result<Option<Vec<SentCopy>>, CallError> {
        Ok(None)
    }

    async fn get_sent(&self, carrier_message_id: &str) -> Result<Option<SentCopy>, CallError> {
        inquiries::get_sent(&self.rest, carrier_message_id).await
    }

    /// As `find_sent`: there is no list, and a detail record has no text to take in.
    async fn list_received(
        &self,
        _: &PhoneNumber,
        _: DateTime<Utc>,
        _: Option<&str>,
    ) -> Result<Option<ReceivedPage>, CallError> {
        Ok(None)
    }

    async fn fetch_media(&self, media: &InboundMedia, limits: &MediaLimits) -> Result<FetchedMedia, MediaError> {
        media::fetch(&self.rest, media, limits).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(api_key: &str, base_url: &str) -> Result<Telnyx, SetupError> {
        Telnyx::new(&TelnyxSettings {
            base_url: base_url.to_owned(),
            api_key: Secret::new(api_key),
            outbound_voice_profile_id: String::new(),
            request_timeout_ms: 1_000,
            order_timeout_ms: 1_000,
        })
    }

    #[test]
    fn a_wrong_configuration_is_found_at_start() {
        assert!(setup("key", "https://api.telnyx.com").is_ok());
        assert!(matches!(setup("", "https://api.telnyx.com"), Err(SetupError::NoCredentials)));
        for wrong in ["", "ftp://example.com", "mailto:a@b.c"] {
            assert!(matches!(setup("key", wrong), Err(SetupError::InvalidBaseUrl)), "{wrong}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        assert!(!format!("{:?}", setup("hush", "http://127.0.0.1:1").unwrap()).contains("hush"));
    }
}
