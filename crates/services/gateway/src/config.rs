//! The shapes of the gateway's settings. Defaults and comments stand in `defaults.toml`.

use std::time::Duration;

use bus::NatsSettings;
use chassis::{ListenSettings, ProcessSettings, Secret};
use serde::Deserialize;

/// Everything that can be set.
#[derive(Clone, Debug, Deserialize)]
pub struct Settings {
    pub http: ListenSettings,
    pub cors: CorsSettings,
    pub auth: AuthSettings,
    pub upstreams: UpstreamSettings,
    pub feed: FeedSettings,
    pub console: ConsoleSettings,
    pub nats: NatsSettings,
    #[serde(flatten)]
    pub process: ProcessSettings,
}

/// `[cors]`
#[derive(Clone, Debug, Deserialize)]
pub struct CorsSettings {
    /// Origins, or `*` for all.
    pub allowed_origins: Vec<String>,
}

/// `[auth]`
#[derive(Clone, Debug, Deserialize)]
pub struct AuthSettings {
    pub issuer: String,
    pub audience: String,
    /// Secrets of HS256 tokens.
    pub static_keys: Vec<Secret>,
    /// `""`: no public keys are fetched.
    pub jwks_url: String,
}

/// `[upstreams]`: the addresses are `http://host:port` each.
#[derive(Clone, Debug, Deserialize)]
pub struct UpstreamSettings {
    pub numbers_url: String,
    pub conversations_url: String,
    pub dispatch_url: String,
    pub timeout_ms: u64,
    pub carrier_timeout_ms: u64,
}

impl UpstreamSettings {
    /// How long a request may take as a whole. A service that is slower counts as away.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms.max(1))
    }

    /// The same where a service asks a carrier meanwhile.
    pub fn carrier_timeout(&self) -> Duration {
        Duration::from_millis(self.carrier_timeout_ms.max(1))
    }
}

/// `[feed]`
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct FeedSettings {
    pub heads_interval_ms: u64,
    pub heartbeat_ms: u64,
    /// Entries per license.
    pub buffer: usize,
}

impl FeedSettings {
    pub fn heads_interval(&self) -> Duration {
        Duration::from_millis(self.heads_interval_ms.max(1))
    }

    pub fn heartbeat(&self) -> Duration {
        Duration::from_millis(self.heartbeat_ms.max(1))
    }
}

/// `[console]`
#[derive(Clone, Debug, Deserialize)]
pub struct ConsoleSettings {
    pub enabled: bool,
    /// `""`: nobody to choose from.
    pub sign_in_file: String,
    /// `""`: no phones.
    pub phones_url: String,
    pub embedding_origins: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_complete_and_their_secrets_are_not_shown() {
        let variables = |name: &str| (name == "LEASELINE_AUTH_STATIC_KEYS").then(|| "first,second".to_owned());
        let settings: Settings = chassis::config::load(crate::DEFAULTS, None, &variables).unwrap();
        assert_eq!(settings.auth.static_keys.len(), 2);
        assert_eq!(settings.auth.static_keys[1].expose(), "second");
        assert!(!format!("{settings:?}").contains("second"));
        assert!(settings.feed.heads_interval() <= Duration::from_secs(15));
    }
}
