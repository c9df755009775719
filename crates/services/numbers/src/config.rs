//! The settings of this service. Defaults and comments stand in `defaults.toml`, which is the reference.
//!
//! Addresses are checked here, at start, so that a wrong one is found before a number is bought with it.

use anyhow::{Context as _, bail};
use bus::NatsSettings;
use carriers::NumberWebhooks;
use carriers::twilio::TwilioSettings;
use chassis::{DatabaseSettings, ListenSettings, ProcessSettings};
use serde::Deserialize;
use url::Url;

/// Everything that can be set.
#[derive(Clone, Debug, Deserialize)]
pub struct Settings {
    pub grpc: ListenSettings,
    pub database: DatabaseSettings,
    pub nats: NatsSettings,
    pub twilio: TwilioSettings,
    pub webhooks: WebhookSettings,
    pub phone_numbers: PhoneNumberSettings,
    #[serde(flatten)]
    pub process: ProcessSettings,
}

/// `[webhooks]`
#[derive(Clone, Debug, Deserialize)]
pub struct WebhookSettings {
    /// The public address of ingest, without a path.
    pub base_url: String,
}

impl WebhookSettings {
    /// Where Twilio posts for a number: the addresses that ingest serves (design §3).
    pub(crate) fn for_twilio(&self) -> anyhow::Result<NumberWebhooks> {
        const SETTING: &str = "LEASELINE_WEBHOOKS_BASE_URL must be http or https and a host, without a path";
        let base = Url::parse(&self.base_url).context(SETTING)?;
        let has_no_path = base.path() == "/" && base.query().is_none() && base.fragment().is_none();
        if !matches!(base.scheme(), "http" | "https") || !base.has_host() || !has_no_path {
            bail!(SETTING);
        }
        Ok(NumberWebhooks {
            message_url: base.join("/webhooks/twilio/message")?,
            voice_url: base.join("/webhooks/twilio/voice")?,
            voice_status_url: base.join("/webhooks/twilio/voice/after")?,
        })
    }
}

/// `[phone_numbers]`
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct PhoneNumberSettings {
    /// Accept 555-0100 to 555-0199, which nobody has.
    pub allow_fictional: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(variables: &[(&str, &str)]) -> Settings {
        let find = |name: &str| {
            let (_, value) = variables.iter().find(|(variable, _)| *variable == name)?;
            Some((*value).to_owned())
        };
        chassis::config::load(crate::DEFAULTS, None, &find).unwrap()
    }

    #[test]
    fn the_defaults_are_complete_and_hold_no_credentials() {
        let settings = load(&[]);
        assert_eq!(settings.grpc.listen, "127.0.0.1:9001");
        assert_eq!(settings.process.admin.listen, "127.0.0.1:9101");
        assert!(settings.twilio.auth_token.is_empty());
        assert!(carriers::twilio::Twilio::new(&settings.twilio).is_err());
        assert!(settings.webhooks.for_twilio().is_err());
        assert!(!settings.phone_numbers.allow_fictional);
    }

    #[test]
    fn secrets_are_not_seen_in_debug_output() {
        let settings =
            load(&[("LEASELINE_TWILIO_AUTH_TOKEN", "hush"), ("LEASELINE_DATABASE_URL", "postgres://a:pw@b/c")]);
        let shown = format!("{settings:?}");
        assert!(!shown.contains("hush") && !shown.contains("pw"), "{shown}");
    }

    #[test]
    fn numbers_are_bought_with_the_addresses_that_ingest_serves() {
        let webhooks =
            load(&[("LEASELINE_WEBHOOKS_BASE_URL", "https://in.example.com")]).webhooks.for_twilio().unwrap();
        assert_eq!(webhooks.message_url.as_str(), "https://in.example.com/webhooks/twilio/message");
        assert_eq!(webhooks.voice_url.as_str(), "https://in.example.com/webhooks/twilio/voice");
        assert_eq!(webhooks.voice_status_url.as_str(), "https://in.example.com/webhooks/twilio/voice/after");
        for wrong in ["", "in.example.com", "ftp://in.example.com", "https://in.example.com/path", "https://a.b/?c"] {
            assert!(load(&[("LEASELINE_WEBHOOKS_BASE_URL", wrong)]).webhooks.for_twilio().is_err(), "{wrong}");
        }
    }
}
