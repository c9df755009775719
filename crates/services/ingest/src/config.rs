//! The settings of ingest. `defaults.toml` is the reference; here are only the shapes.

use bus::NatsSettings;
use chassis::{ListenSettings, ProcessSettings, Secret};
use serde::Deserialize;

/// Everything that can be set.
#[derive(Clone, Debug, Deserialize)]
pub struct Settings {
    pub http: ListenSettings,
    pub webhooks: WebhookSettings,
    pub twilio: TwilioSettings,
    pub nats: NatsSettings,
    #[serde(flatten)]
    pub process: ProcessSettings,
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
