//! The settings of dispatch. `defaults.toml` is the reference; here are only the shapes.

use std::collections::BTreeMap;
use std::time::Duration;

use bus::NatsSettings;
use carriers::telnyx::TelnyxSettings;
use carriers::twilio::TwilioSettings;
use chassis::{DatabaseSettings, ListenSettings, ProcessSettings};
use chrono::TimeDelta;
use serde::Deserialize;

use crate::model::{BrandLimits, CampaignLimits, InquiryTimes, LimitTree, Pace};

/// Everything that can be set.
#[derive(Clone, Debug, Deserialize)]
pub struct Settings {
    pub grpc: ListenSettings,
    pub database: DatabaseSettings,
    pub nats: NatsSettings,
    pub pace: PaceSettings,
    pub limits: LimitSettings,
    pub delivery: DeliverySettings,
    pub lookup: LookupSettings,
    pub inquiries: InquirySettings,
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

/// `[limits]`
#[derive(Clone, Debug, Deserialize)]
pub struct LimitSettings {
    /// Segments of one campaign. 0: off. So are the next three.
    pub att_per_minute: f64,
    pub t_mobile_per_minute: f64,
    pub verizon_per_minute: f64,
    pub other_per_minute: f64,
    /// Segments of one brand to T-Mobile. 0: off.
    pub brand_t_mobile_per_day: u32,
    /// Segments of one brand. 0: off.
    pub brand_per_day: u32,
    /// `NAME att=240 t_mobile=75`, each.
    pub campaigns: Vec<String>,
    /// `NAME t_mobile=2000 all=10000`, each.
    pub brands: Vec<String>,
}

/// Why limits cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    #[error("`limits.{setting}` is not a pace: 0 (off), or 1/60 to 6,000,000 segments a minute")]
    Pace { setting: String },
    #[error("`limits.{setting}` has an entry that is not a name and limits, such as \"{example}\"")]
    Entry { setting: &'static str, example: &'static str },
}

impl LimitSettings {
    /// The tree that they describe.
    pub fn read(&self) -> Result<LimitTree, LimitError> {
        let pace = |name: &str, per_minute: f64| {
            Pace::per_second(per_minute / 60.0).map_err(|_| LimitError::Pace { setting: format!("{name}_per_minute") })
        };
        let campaign = CampaignLimits {
            att: pace("att", self.att_per_minute)?,
            t_mobile: pace("t_mobile", self.t_mobile_per_minute)?,
            verizon: pace("verizon", self.verizon_per_minute)?,
            other: pace("other", self.other_per_minute)?,
        };
        let brand = BrandLimits { t_mobile_per_day: self.brand_t_mobile_per_day, per_day: self.brand_per_day };
        let wrong = || LimitError::Entry { setting: "campaigns", example: "NAME att=240 t_mobile=75" };
        let mut campaigns = BTreeMap::new();
        for entry in &self.campaigns {
            let mut limits = campaign;
            let name = read_entry(entry, |word, value| {
                let pace = Pace::per_second(value.parse::<f64>().ok()? / 60.0).ok()?;
                match word {
                    "att" => limits.att = pace,
                    "t_mobile" => limits.t_mobile = pace,
                    "verizon" => limits.verizon = pace,
                    "other" => limits.other = pace,
                    _ => return None,
                }
                Some(())
            });
            campaigns.insert(name.ok_or_else(wrong)?, limits);
        }
        let wrong = || LimitError::Entry { setting: "brands", example: "NAME t_mobile=2000 all=10000" };
        let mut brands = BTreeMap::new();
        for entry in &self.brands {
            let mut limits = brand;
            let name = read_entry(entry, |word, value| {
                let value = value.parse().ok()?;
                match word {
                    "t_mobile" => limits.t_mobile_per_day = value,
                    "all" => limits.per_day = value,
                    _ => return None,
                }
                Some(())
            });
            brands.insert(name.ok_or_else(wrong)?, limits);
        }
        Ok(LimitTree { campaign, brand, campaigns, brands })
    }
}

/// `NAME word=value word=value`: returns the name. `None`: it is not that, or `take` does not know a word.
fn read_entry(entry: &str, mut take: impl FnMut(&str, &str) -> Option<()>) -> Option<String> {
    let mut words = entry.split_whitespace();
    let name = words.next().filter(|name| !name.contains('='))?;
    for word in words {
        let (word, value) = word.split_once('=')?;
        take(word, value)?;
    }
    Some(name.to_owned())
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

/// `[inquiries]`
#[derive(Clone, Debug, Deserialize)]
pub struct InquirySettings {
    /// The last look for a message whose outcome is not known.
    pub confirm_within_s: u32,
    /// When a carrier is asked what became of a message without a receipt. 0: never.
    pub receipts_after_s: u32,
    /// Questions at the same time in this process.
    pub in_flight: usize,
}

impl InquirySettings {
    /// When carriers are asked.
    pub(crate) fn times(&self) -> InquiryTimes {
        let seconds = |count: u32| Duration::from_secs(count.into());
        InquiryTimes::new(seconds(self.confirm_within_s), seconds(self.receipts_after_s))
    }
}

/// `[webhooks]`
#[derive(Clone, Debug, Deserialize)]
pub struct WebhookSettings {
    /// Where carriers reach ingest, without a path.
    pub base_url: String,
}

#[cfg(test)]
mod tests {
    use domain::Network;

    use super::*;

    fn settings() -> LimitSettings {
        LimitSettings {
            att_per_minute: 60.0,
            t_mobile_per_minute: 0.0,
            verizon_per_minute: 0.0,
            other_per_minute: 0.0,
            brand_t_mobile_per_day: 2_000,
            brand_per_day: 0,
            campaigns: vec!["C1 t_mobile=120".to_owned()],
            brands: vec!["B1 all=5  t_mobile=0".to_owned()],
        }
    }

    #[test]
    fn each_level_of_the_limits_is_configured() {
        let tree = settings().read().unwrap();
        let pace = |per_second| Pace::per_second(per_second).unwrap();
        assert_eq!(tree.of_campaign(None).at(Network::Att), pace(1.0));
        assert_eq!(tree.of_campaign(Some("C1")).at(Network::Att), pace(1.0), "as above");
        assert_eq!(tree.of_campaign(Some("C1")).at(Network::TMobile), pace(2.0));
        assert_eq!(tree.of_campaign(None).at(Network::TMobile), Pace::OFF);
        assert_eq!(tree.of_brand(None).per_day(Some(Network::TMobile)), Some(2_000));
        assert_eq!(tree.of_brand(Some("B1")).per_day(Some(Network::TMobile)), None);
        assert_eq!(tree.of_brand(Some("B1")).per_day(None), Some(5));
    }

    #[test]
    fn limits_that_cannot_be_meant_are_refused() {
        assert!(LimitSettings { att_per_minute: -1.0, ..settings() }.read().is_err());
        for entry in ["", "att=1", "C1 att", "C1 att=x", "C1 sprint=1", "C1 att=-1"] {
            let refused = LimitSettings { campaigns: vec![entry.to_owned()], ..settings() }.read();
            assert!(matches!(refused, Err(LimitError::Entry { setting: "campaigns", .. })), "{entry}");
        }
        for entry in ["t_mobile=1", "B1 att=1", "B1 all=1.5"] {
            let refused = LimitSettings { brands: vec![entry.to_owned()], ..settings() }.read();
            assert!(matches!(refused, Err(LimitError::Entry { setting: "brands", .. })), "{entry}");
        }
    }
}
