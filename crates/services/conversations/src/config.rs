//! The service's settings. Their comments and defaults stand in `defaults.toml`.

use bus::NatsSettings;
use chassis::{DatabaseSettings, ProcessSettings};
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
pub struct Settings {
    pub grpc: GrpcSettings,
    pub database: DatabaseSettings,
    pub nats: NatsSettings,
    pub phone_numbers: PhoneNumberSettings,
    #[serde(flatten)]
    pub process: ProcessSettings,
}

#[derive(Debug, Clone, Deserialize)]
pub struct GrpcSettings {
    pub listen: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct PhoneNumberSettings {
    pub allow_fictional: bool,
}
