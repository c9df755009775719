//! Twilio. REST with form bodies and HTTP Basic, webhooks as signed forms.
//!
//! Particular to it: purchases are synchronous, webhooks sit on the number itself, receipts are asked for per
//! message, and inbound webhooks are retried only if their address says so. The base address is configurable,
//! so that this very adapter talks to the simulator.

mod errors;
mod messages;
mod numbers;
mod rest;
#[cfg(test)]
mod scripted;
pub mod signature;
mod webhooks;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use domain::{CarrierName, LicenseId, PhoneNumber};
use thiserror::Error;
use url::Url;

pub use self::webhooks::TwilioWebhooks;
use crate::{CallError, Carrier, NumberOrder, NumberSearch, OutboundMessage, OwnedNumber, Secret, SendOutcome};

/// Long enough for Twilio's slow days: a time-out costs a reconciliation (rule 16).
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(20);

/// Which account, with what credentials, where.
#[derive(Clone)]
pub struct TwilioConfig {
    account_sid: String,
    user: String,
    secret: Secret,
    base_url: Url,
    timeout: Duration,
}

impl TwilioConfig {
    /// An account that authenticates with its auth token.
    /// `account_sid` is `AC` and 32 hexadecimal digits, `base_url` is `https://api.twilio.com` or the simulator.
    pub fn new(account_sid: impl Into<String>, auth_token: Secret, base_url: Url) -> Self {
        let account_sid = account_sid.into();
        Self { user: account_sid.clone(), account_sid, secret: auth_token, base_url, timeout: DEFAULT_TIMEOUT }
    }

    /// Authenticates with an API key (`SK…` and its secret) instead of the auth token.
    #[must_use]
    pub fn with_api_key(mut self, key_sid: impl Into<String>, key_secret: Secret) -> Self {
        self.user = key_sid.into();
        self.secret = key_secret;
        self
    }

    /// How long one call may take in all; 20 s by default. The connection alone gets at most 5 s of it.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl fmt::Debug for TwilioConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TwilioConfig")
            .field("account_sid", &self.account_sid)
            .field("secret", &self.secret)
            .field("host", &self.base_url.host_str())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// Why an adapter cannot be made from its configuration.
#[derive(Debug, Error)]
pub enum SetupError {
    /// Not `AC` and 32 hexadecimal digits.
    #[error("the account sid is not AC followed by 32 hexadecimal digits")]
    InvalidAccountSid,
    /// Not an http or https address with a host.
    #[error("the base address is not http or https with a host")]
    InvalidBaseUrl,
    /// TLS parameters that this build does not support.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// The HTTP client cannot be built.
    #[error("the HTTP client cannot be built")]
    Client(#[source] reqwest::Error),
}

/// The adapter. Holds one client with warm connections: make one per process and account.
#[derive(Debug)]
pub struct Twilio {
    rest: rest::Rest,
}

impl Twilio {
    /// Checks the configuration and builds the client. Does not connect.
    pub fn new(config: TwilioConfig) -> Result<Self, SetupError> {
        Ok(Self { rest: rest::Rest::new(config)? })
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

    async fn find_owned_number(&self, number: &PhoneNumber) -> Result<Option<OwnedNumber>, CallError> {
        numbers::find_owned(&self.rest, number).await
    }

    async fn list_owned_by(&self, license_id: &LicenseId) -> Result<Vec<OwnedNumber>, CallError> {
        numbers::list_owned_by(&self.rest, license_id).await
    }

    async fn configure_number(&self, owned: &OwnedNumber, order: &NumberOrder) -> Result<OwnedNumber, CallError> {
        numbers::configure(&self.rest, owned, order).await
    }

    async fn release_number(&self, carrier_number_id: &str) -> Result<(), CallError> {
        numbers::release(&self.rest, carrier_number_id).await
    }

    async fn send_message(&self, message: &OutboundMessage) -> SendOutcome {
        messages::send(&self.rest, message).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(account_sid: &str, base_url: &str) -> Result<Twilio, SetupError> {
        Twilio::new(TwilioConfig::new(account_sid, Secret::new("hush"), Url::parse(base_url).unwrap()))
    }

    #[test]
    fn a_client_is_built_for_http_and_https_without_a_process_wide_tls_provider() {
        assert!(setup(scripted::ACCOUNT, "http://127.0.0.1:4010").is_ok());
        assert!(setup(scripted::ACCOUNT, "https://api.twilio.com").is_ok());
        assert!(rustls::crypto::CryptoProvider::get_default().is_none());
    }

    #[test]
    fn a_wrong_configuration_is_found_at_start() {
        for sid in ["", "AC1", "SK0123456789abcdef0123456789abcdef", "AC0123456789abcdef0123456789abcdeg"] {
            assert!(matches!(setup(sid, "http://127.0.0.1"), Err(SetupError::InvalidAccountSid)), "{sid}");
        }
        assert!(matches!(setup(scripted::ACCOUNT, "ftp://example.com"), Err(SetupError::InvalidBaseUrl)));
        assert!(matches!(setup(scripted::ACCOUNT, "mailto:a@b.c"), Err(SetupError::InvalidBaseUrl)));
    }

    #[test]
    fn debug_shows_no_secret() {
        let twilio = setup(scripted::ACCOUNT, "http://127.0.0.1:1").unwrap();
        assert!(!format!("{twilio:?}").contains("hush"));
    }
}
