//! The settings of ingest. `defaults.toml` is the reference; here are only the shapes.

use bus::NatsSettings;
use chassis::{ProcessSettings, Secret};
use serde::Deserialize;

/// Everything that can be set.
#[derive(Clone, Debug, Deserialize)]
pub struct Settings {
    pub http: HttpSettings,
    pub webhooks: WebhookSettings,
    pub twilio: TwilioSettings,
    pub nats: NatsSettings,
    #[serde(flatten)]
    pub process: ProcessSettings,
}

impl AsRef<ProcessSettings> for Settings {
    fn as_ref(&self) -> &ProcessSettings {
        &self.process
    }
}

/// `[http]`
#[derive(Clone, Debug, Deserialize)]
pub struct HttpSettings {
    /// Address and port.
    pub listen: String,
}

/// `[webhooks]`
#[derive(Clone, Debug, Deserialize)]
pub struct WebhookSettings {
    /// The address that carriers call and sign, without `/webhooks/…`.
    pub public_url: String,
    /// Webhooks under way at the same time.
    pub max_in_flight: usize,
}

/// `[twilio]`
#[derive(Clone, Debug, Deserialize)]
pub struct TwilioSettings {
    /// The account whose webhooks are taken. Empty: any that signs with our tokens.
    pub account_sid: String,
    /// Tokens that sign webhooks.
    pub auth_tokens: Vec<Secret>,
}
