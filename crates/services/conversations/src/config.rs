//! The service's settings. Their comments and defaults stand in `defaults.toml`.

use bus::NatsSettings;
use chassis::{DatabaseSettings, ListenSettings, ProcessSettings};
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
pub struct Settings {
    pub grpc: ListenSettings,
    pub database: DatabaseSettings,
    pub nats: NatsSettings,
    pub phone_numbers: PhoneNumberSettings,
    #[serde(flatten)]
    pub process: ProcessSettings,
}

#[derive(Debug, Clone, Deserialize)]
pub struct PhoneNumberSettings {
    pub allow_fictional: bool,
}
