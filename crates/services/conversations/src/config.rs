//! The service's settings. Their comments and defaults stand in `defaults.toml`.

use bus::NatsSettings;
use carriers::telnyx::TelnyxSettings;
use carriers::twilio::TwilioSettings;
use carriers::{Carriers, MediaLimits};
use chassis::{DatabaseSettings, ListenSettings, ProcessSettings};
use chrono::TimeDelta;
use serde::Deserialize;

use crate::model::Reach;

#[derive(Debug, Clone, Deserialize)]
pub struct Settings {
    pub grpc: ListenSettings,
    pub database: DatabaseSettings,
    pub nats: NatsSettings,
    pub phone_numbers: PhoneNumberSettings,
    pub media: MediaSettings,
    pub backfill: BackfillSettings,
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

/// `[backfill]`
#[derive(Debug, Clone, Deserialize)]
pub struct BackfillSettings {
    /// Between two looks at a number. 0: never.
    pub every_s: u64,
    /// How far a look goes back before the last one.
    pub overlap_s: u32,
    /// How far a look goes back at most.
    pub furthest_s: u32,
    /// Of this process.
    pub calls_per_second: u32,
}

impl BackfillSettings {
    /// Two days less than the inbox keeps: what it may have forgotten would be taken in again.
    const FURTHEST: u32 = 30 * 24 * 3_600;

    pub(crate) fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.calls_per_second > 0, "LEASELINE_BACKFILL_CALLS_PER_SECOND must be at least 1");
        anyhow::ensure!(self.furthest_s <= Self::FURTHEST, "LEASELINE_BACKFILL_FURTHEST_S may be 30 days");
        Ok(())
    }

    pub(crate) fn reach(&self) -> Reach {
        Reach {
            overlap: TimeDelta::seconds(self.overlap_s.into()),
            furthest: TimeDelta::seconds(self.furthest_s.into()),
        }
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
