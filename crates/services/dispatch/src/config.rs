//! The settings of dispatch. `defaults.toml` is the reference; here are only the shapes.

use std::time::Duration;

use bus::NatsSettings;
use carriers::telnyx::TelnyxSettings;
use carriers::twilio::TwilioSettings;
use chassis::{DatabaseSettings, ListenSettings, ProcessSettings};
use chrono::TimeDelta;
use serde::Deserialize;

/// Everything that can be set.
#[derive(Clone, Debug, Deserialize)]
pub struct Settings {
    pub grpc: ListenSettings,
    pub database: DatabaseSettings,
    pub nats: NatsSettings,
    pub pace: PaceSettings,
    pub delivery: DeliverySettings,
    pub lookup: LookupSettings,
    pub twilio: TwilioSettings,
    pub telnyx: TelnyxSettings,
    pub webhooks: WebhookSettings,
    #[serde(flatten)]
    pub process: ProcessSettings,
}

/// `[pace]`
#[derive(Clone, Debug, Deserialize)]
pub struct PaceSettings {
    /// Of one number. 0: off.
    pub segments_per_second: f64,
}

/// `[delivery]`
#[derive(Clone, Debug, Deserialize)]
pub struct DeliverySettings {
    /// Calls under way at the same time in this process.
    pub in_flight: usize,
    /// Of these, for one license.
    pub in_flight_per_lane: usize,
    /// After this time an attempt without an end has been left behind.
    pub attempt_deadline_ms: u64,
    /// After this time since it was queued, a waiting message has failed.
    pub give_up_after_s: u32,
}

impl DeliverySettings {
    /// See `attempt_deadline_ms`.
    pub fn attempt_deadline(&self) -> Duration {
        Duration::from_millis(self.attempt_deadline_ms)
    }

    /// See `give_up_after_s`.
    pub fn give_up_after(&self) -> Duration {
        Duration::from_secs(self.give_up_after_s.into())
    }
}

/// `[lookup]`
#[derive(Clone, Debug, Deserialize)]
pub struct LookupSettings {
    /// Whether lines are looked up before the first send.
    pub enabled: bool,
    /// For how long it is known what was learned of a line.
    pub keep_days: u32,
    /// A lookup that takes longer has failed.
    pub timeout_ms: u64,
}

impl LookupSettings {
    /// See `keep_days`.
    pub fn keep(&self) -> TimeDelta {
        TimeDelta::days(self.keep_days.into())
    }

    /// See `timeout_ms`.
    pub const fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

/// `[webhooks]`
#[derive(Clone, Debug, Deserialize)]
pub struct WebhookSettings {
    /// Where carriers reach ingest, without a path.
    pub base_url: String,
}
