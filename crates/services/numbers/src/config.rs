//! The settings of this service. Defaults and comments stand in `defaults.toml`, which is the reference.
//!
//! Addresses are checked here, at start, so that a wrong one is found before a number is bought with it.

use std::time::Duration;

use anyhow::{Context as _, bail};
use bus::NatsSettings;
use carriers::telnyx::TelnyxSettings;
use carriers::twilio::TwilioSettings;
use carriers::{Carriers, WebhookAddresses};
use chassis::{DatabaseSettings, ListenSettings, ProcessSettings};
use domain::CarrierName;
use serde::Deserialize;

use crate::calls::Calls;

/// Everything that can be set.
#[derive(Clone, Debug, Deserialize)]
pub struct Settings {
    pub grpc: ListenSettings,
    pub database: DatabaseSettings,
    pub nats: NatsSettings,
    pub carriers: CarrierSettings,
    pub twilio: TwilioSettings,
    pub telnyx: TelnyxSettings,
    pub webhooks: WebhookSettings,
    pub phone_numbers: PhoneNumberSettings,
    pub release: ReleaseSettings,
    pub audit: AuditSettings,
    #[serde(flatten)]
    pub process: ProcessSettings,
}

impl Settings {
    /// The carriers that have credentials, and the one where new licenses buy.
    pub(crate) fn connect_carriers(&self) -> anyhow::Result<(Calls, CarrierName)> {
        let carriers = Carriers::connect(&self.twilio, &self.telnyx)?;
        let Ok(default) = self.carriers.default.parse::<CarrierName>() else {
            bail!("LEASELINE_CARRIERS_DEFAULT is no carrier that this program knows");
        };
        if carriers.find(default).is_none() {
            bail!("LEASELINE_CARRIERS_DEFAULT names {default}, whose credentials are not set");
        }
        // The longest that one call may take: a purchase at Telnyx waits for its order after it was made.
        let telnyx = 2 * self.telnyx.request_timeout() + self.telnyx.order_timeout();
        let limit = if self.telnyx.is_set() {
            self.twilio.request_timeout().max(telnyx)
        } else {
            self.twilio.request_timeout()
        };
        Ok((Calls::new(carriers, limit), default))
    }
}

/// `[carriers]`
#[derive(Clone, Debug, Deserialize)]
pub struct CarrierSettings {
    /// Where a new license buys its number, unless it names another carrier.
    pub default: String,
}

/// `[release]`
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct ReleaseSettings {
    /// How long a replaced number is kept after the cut-over. 0: it is given back at once.
    pub delay_s: u64,
}

impl ReleaseSettings {
    pub(crate) fn delay(self) -> Duration {
        Duration::from_secs(self.delay_s)
    }
}

/// `[audit]`
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct AuditSettings {
    /// How often the carriers' accounts are compared with ours. 0: never.
    pub interval_s: u64,
    /// Repair what is safe.
    pub repair: bool,
}

impl AuditSettings {
    /// `None`: never.
    pub(crate) fn interval(self) -> Option<Duration> {
        (self.interval_s > 0).then(|| Duration::from_secs(self.interval_s))
    }
}

/// `[webhooks]`
#[derive(Clone, Debug, Deserialize)]
pub struct WebhookSettings {
    /// The public address of ingest.
    pub base_url: String,
}

impl WebhookSettings {
    pub(crate) fn addresses(&self) -> anyhow::Result<WebhookAddresses> {
        WebhookAddresses::parse(&self.base_url).context("LEASELINE_WEBHOOKS_BASE_URL cannot be used")
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
        assert!(settings.connect_carriers().is_err());
        assert!(settings.webhooks.addresses().is_err());
        assert!(!settings.phone_numbers.allow_fictional);
        assert_eq!(settings.release.delay(), Duration::from_mins(1));
        assert_eq!((settings.audit.interval(), settings.audit.repair), (Some(Duration::from_hours(1)), true));
    }

    #[test]
    fn secrets_are_not_seen_in_debug_output() {
        let settings =
            load(&[("LEASELINE_TWILIO_AUTH_TOKEN", "hush"), ("LEASELINE_DATABASE_URL", "postgres://a:pw@b/c")]);
        let shown = format!("{settings:?}");
        assert!(!shown.contains("hush") && !shown.contains("pw"), "{shown}");
    }

    #[test]
    fn numbers_are_bought_with_the_addresses_that_ingest_serves_also_below_a_path() {
        let addresses = |base| load(&[("LEASELINE_WEBHOOKS_BASE_URL", base)]).webhooks.addresses();
        let webhooks = addresses("https://example.com/in").unwrap().of_number(CarrierName::Twilio);
        assert_eq!(webhooks.message_url.as_str(), "https://example.com/in/webhooks/twilio/message");
        for wrong in ["", "in.example.com", "ftp://in.example.com", "https://a.b/?c"] {
            assert!(addresses(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_default_carrier_must_be_one_that_has_credentials() {
        let sid = "ACdead0000beef0000dead0000beef0000";
        let start = |default| {
            let settings = load(&[
                ("LEASELINE_TWILIO_ACCOUNT_SID", sid),
                ("LEASELINE_TWILIO_AUTH_TOKEN", "hush"),
                ("LEASELINE_CARRIERS_DEFAULT", default),
            ]);
            settings.connect_carriers().map(|(_, default)| default).map_err(|error| error.to_string())
        };
        assert_eq!(start("twilio"), Ok(CarrierName::Twilio));
        assert!(start("telnyx").unwrap_err().contains("not set"));
        assert!(start("pigeons").unwrap_err().contains("no carrier"));
    }
}
