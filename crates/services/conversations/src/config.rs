//! The service's settings. Their comments and defaults stand in `defaults.toml`.

use bus::NatsSettings;
use carriers::telnyx::TelnyxSettings;
use carriers::twilio::TwilioSettings;
use carriers::{Carriers, MediaLimits};
use chassis::{DatabaseSettings, ListenSettings, ProcessSettings};
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
pub struct Settings {
    pub grpc: ListenSettings,
    pub database: DatabaseSettings,
    pub nats: NatsSettings,
    pub phone_numbers: PhoneNumberSettings,
    pub media: MediaSettings,
    pub twilio: TwilioSettings,
    pub telnyx: TelnyxSettings,
    #[serde(flatten)]
    pub process: ProcessSettings,
}

impl Settings {
    /// The carriers that have credentials: media are fetched from them.
    pub(crate) fn connect_carriers(&self) -> anyhow::Result<Carriers> {
        Ok(Carriers::connect(&self.twilio, &self.telnyx)?)
    }
}

/// `[media]`
#[derive(Debug, Clone, Deserialize)]
pub struct MediaSettings {
    /// A folder or a bucket.
    pub store: String,
    /// A larger medium is refused.
    pub max_bytes: usize,
    /// Media that are fetched at the same time.
    pub in_flight: usize,
    /// Further hosts of carriers.
    pub hosts: Vec<String>,
}

impl MediaSettings {
    pub(crate) fn limits(&self) -> MediaLimits {
        MediaLimits { max_bytes: self.max_bytes, hosts: self.hosts.clone() }
    }
}

#[derive(Debug, Clone, Deserialize)]
pub struct PhoneNumberSettings {
    pub allow_fictional: bool,
}
