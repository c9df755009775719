//! The settings of ingest. `defaults.toml` is the reference; here are only the shapes.

use bus::NatsSettings;
use chassis::{ListenSettings, ProcessSettings, Secret};
use serde::Deserialize;

/// Everything that can be set.
#[derive(Clone, Debug, Deserialize)]
pub struct Settings {
    pub http: ListenSettings,
    pub webhooks: WebhookSettings,
    pub calls: CallSettings,
    pub twilio: TwilioSettings,
    pub telnyx: TelnyxSettings,
    pub nats: NatsSettings,
    #[serde(flatten)]
    pub process: ProcessSettings,
}

/// `[webhooks]`
#[derive(Clone, Debug, Deserialize)]
pub struct WebhookSettings {
    /// The address that carriers call and sign, without `/webhooks/…`.
    pub public_url: String,
    /// Webhooks of texts under way at the same time, and as many of calls.
    pub max_in_flight: usize,
    /// At least so long between two events that say that texts are taken again.
    pub resumed_every_s: u64,
}

/// `[calls]`
#[derive(Clone, Debug, Deserialize)]
pub struct CallSettings {
    /// How long the company phone rings: 5 to 120.
    pub ring_seconds: u64,
}

/// `[twilio]`
#[derive(Clone, Debug, Deserialize)]
pub struct TwilioSettings {
    /// The account whose webhooks are taken. Empty: any that signs with our tokens.
    pub account_sid: String,
    /// Tokens that sign webhooks.
    pub auth_tokens: Vec<Secret>,
}

/// `[telnyx]`
#[derive(Clone, Debug, Deserialize)]
pub struct TelnyxSettings {
    /// Keys that sign webhooks: ed25519, base64.
    pub public_keys: Vec<String>,
}
