//! The numbers that the account owns, with their webhook settings, and those that were sold to somebody else.
//! A number has one owner and one carrier; a released one is for sale again. With a file, what the account owns outlives
//! the program, as it does at a carrier: who comes back finds what he paid for.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::carrier::CarrierName;
use crate::ledger::{Application, Ledger, Profile};

/// Where the carrier calls for a number. All addresses are absolute http(s) URLs, always posted to.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// At Telnyx the customer reference.
    pub(crate) friendly_name: Option<String>,
    pub(crate) sms_url: Option<String>,
    pub(crate) sms_fallback_url: Option<String>,
    pub(crate) voice_url: Option<String>,
    pub(crate) voice_fallback_url: Option<String>,
    pub(crate) status_callback: Option<String>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct OwnedNumber {
    #[serde(default)]
    pub(crate) carrier: CarrierName,
    /// The carrier's id of it.
    pub(crate) sid: String,
    pub(crate) number: String,
    /// At Telnyx only the name: the addresses are those of its profile and its application.
    pub(crate) settings: Settings,
    #[serde(default)]
    pub(crate) profile_id: Option<String>,
    #[serde(default)]
    pub(crate) application_id: Option<String>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

#[derive(Default)]
pub(crate) struct Numbers {
    /// In the order of purchase.
    owned: BTreeMap<u64, OwnedNumber>,
    bought: u64,
    by_number: HashMap<String, u64>,
    by_sid: HashMap<String, u64>,
    sold: HashSet<String>,
    /// Ordered, and not yet delivered.
    held: HashSet<String>,
    profiles: HashMap<String, Profile>,
    applications: HashMap<String, Application>,
    file: Option<PathBuf>,
}

impl Numbers {
    /// What a file remembers, if it is there, and will remember from now on.
    pub(crate) fn open(file: Option<PathBuf>) -> anyhow::Result<Self> {
        let mut numbers = Self::default();
        if let Some(file) = &file {
            let ledger = Ledger::read(file)?;
            ledger.numbers.into_iter().for_each(|number| numbers.add(number));
            numbers.profiles = ledger.messaging_profiles.into_iter().map(|it| (it.id.clone(), it)).collect();
            numbers.applications = ledger.texml_applications.into_iter().map(|it| (it.id.clone(), it)).collect();
        }
        numbers.file = file;
        Ok(numbers)
    }

    fn remember(&self) {
        let Some(file) = &self.file else { return };
        let ledger = Ledger {
            numbers: self.owned.values().cloned().collect(),
            messaging_profiles: self.list_profiles().into_iter().cloned().collect(),
            texml_applications: self.list_applications().into_iter().cloned().collect(),
        };
        if let Err(error) = ledger.write(file) {
            tracing::error!(%error, "the owned numbers could not be written down");
        }
    }

    /// Owned by the account, on its way to it, or sold to somebody else.
    pub(crate) fn is_taken(&self, number: &str) -> bool {
        self.by_number.contains_key(number) || self.held.contains(number) || self.sold.contains(number)
    }

    /// At whichever carrier.
    pub(crate) fn find_by_number(&self, number: &str) -> Option<&OwnedNumber> {
        self.owned.get(self.by_number.get(number)?)
    }

    pub(crate) fn find_by_sid(&self, carrier: CarrierName, sid: &str) -> Option<&OwnedNumber> {
        self.owned.get(self.by_sid.get(sid)?).filter(|owned| owned.carrier == carrier)
    }

    /// The addresses that are in force for a number.
    pub(crate) fn get_settings(&self, owned: &OwnedNumber) -> Settings {
        if owned.carrier == CarrierName::Twilio {
            return owned.settings.clone();
        }
        let profile = owned.profile_id.as_deref().and_then(|id| self.find_profile(id));
        let application = owned.application_id.as_deref().and_then(|id| self.find_application(id));
        Settings {
            friendly_name: owned.settings.friendly_name.clone(),
            sms_url: profile.and_then(|profile| profile.webhook_url.clone()),
            sms_fallback_url: profile.and_then(|profile| profile.webhook_failover_url.clone()),
            voice_url: application.map(|application| application.voice_url.clone()),
            voice_fallback_url: application.and_then(|application| application.voice_fallback_url.clone()),
            status_callback: application.and_then(|application| application.status_callback.clone()),
        }
    }

    /// Writes a changed number down; its id, number and carrier are as they were.
    pub(crate) fn record_change(&mut self, changed: OwnedNumber) {
        let Some(owned) = self.by_sid.get(&changed.sid).and_then(|place| self.owned.get_mut(place)) else { return };
        *owned = changed;
        self.remember();
    }

    /// Newest purchase first, each with its place in the order of purchase.
    pub(crate) fn list_placed(&self) -> impl Iterator<Item = (u64, &OwnedNumber)> {
        self.owned.iter().rev().map(|(place, owned)| (*place, owned))
    }

    /// Newest purchase first.
    pub(crate) fn list(&self) -> impl Iterator<Item = &OwnedNumber> {
        self.owned.values().rev()
    }

    /// The caller has checked that the number is not taken.
    pub(crate) fn record_purchase(&mut self, number: OwnedNumber) {
        self.held.remove(&number.number);
        self.add(number);
        self.remember();
    }

    fn add(&mut self, number: OwnedNumber) {
        self.bought += 1;
        self.by_number.insert(number.number.clone(), self.bought);
        self.by_sid.insert(number.sid.clone(), self.bought);
        self.owned.insert(self.bought, number);
    }

    pub(crate) fn record_release(&mut self, carrier: CarrierName, sid: &str) -> Option<OwnedNumber> {
        self.find_by_sid(carrier, sid)?;
        let released = self.owned.remove(&self.by_sid.remove(sid)?)?;
        self.by_number.remove(&released.number);
        self.remember();
        Some(released)
    }

    /// Nobody else can have it while its order is open.
    pub(crate) fn record_held(&mut self, number: &str) {
        self.held.insert(number.to_owned());
    }

    /// Somebody else bought it.
    pub(crate) fn record_sold(&mut self, number: &str) {
        self.held.remove(number);
        self.sold.insert(number.to_owned());
    }

    pub(crate) fn find_profile(&self, id: &str) -> Option<&Profile> {
        self.profiles.get(id)
    }

    /// Oldest first.
    pub(crate) fn list_profiles(&self) -> Vec<&Profile> {
        let mut profiles: Vec<_> = self.profiles.values().collect();
        profiles.sort_by_key(|profile| (profile.created_at, &profile.id));
        profiles
    }

    /// A new one, or one that was changed.
    pub(crate) fn record_profile(&mut self, profile: Profile) {
        self.profiles.insert(profile.id.clone(), profile);
        self.remember();
    }

    pub(crate) fn find_application(&self, id: &str) -> Option<&Application> {
        self.applications.get(id)
    }

    /// Oldest first.
    pub(crate) fn list_applications(&self) -> Vec<&Application> {
        let mut applications: Vec<_> = self.applications.values().collect();
        applications.sort_by_key(|application| (application.created_at, &application.id));
        applications
    }

    /// A new one, or one that was changed.
    pub(crate) fn record_application(&mut self, application: Application) {
        self.applications.insert(application.id.clone(), application);
        self.remember();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(sid: &str, number: &str) -> OwnedNumber {
        OwnedNumber {
            carrier: CarrierName::Twilio,
            sid: sid.to_owned(),
            number: number.to_owned(),
            settings: Settings::default(),
            profile_id: None,
            application_id: None,
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn what_is_owned_outlives_the_program() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("numbers.json");
        let mut numbers = Numbers::open(Some(file.clone())).unwrap();
        numbers.record_purchase(number("PN1", "+14155550001"));
        numbers.record_purchase(number("PN2", "+14155550002"));
        let settings = Settings { sms_url: Some("http://127.0.0.1/sms".to_owned()), ..Settings::default() };
        numbers.record_change(OwnedNumber { settings, ..number("PN2", "+14155550002") });
        numbers.record_release(CarrierName::Twilio, "PN1").unwrap();
        numbers.record_profile(Profile {
            id: "profile".to_owned(),
            name: "license-1".to_owned(),
            destinations: vec!["US".to_owned()],
            webhook_url: Some("http://127.0.0.1/telnyx".to_owned()),
            webhook_failover_url: None,
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        });
        numbers.record_purchase(OwnedNumber {
            carrier: CarrierName::Telnyx,
            profile_id: Some("profile".to_owned()),
            ..number("3", "+14155550003")
        });

        let again = Numbers::open(Some(file.clone())).unwrap();
        assert!(!again.is_taken("+14155550001"));
        let url = |number: &str| again.get_settings(again.find_by_number(number).unwrap()).sms_url;
        assert_eq!(url("+14155550002").as_deref(), Some("http://127.0.0.1/sms"));
        assert_eq!(url("+14155550003").as_deref(), Some("http://127.0.0.1/telnyx"));
        assert!(again.find_by_sid(CarrierName::Twilio, "3").is_none());
        std::fs::write(&file, "no list").unwrap();
        assert!(Numbers::open(Some(file)).is_err());
    }

    #[test]
    fn a_file_from_before_telnyx_is_still_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("numbers.json");
        let old = r#"[{"sid":"PN1","number":"+14155550001","settings":{"friendly_name":"license-1","sms_url":"http://127.0.0.1/sms",
            "sms_fallback_url":null,"voice_url":null,"voice_fallback_url":null,"status_callback":null},
            "created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-01T00:00:00Z"}]"#;
        std::fs::write(&file, old).unwrap();
        let numbers = Numbers::open(Some(file)).unwrap();
        let owned = numbers.find_by_sid(CarrierName::Twilio, "PN1").unwrap();
        assert_eq!(numbers.get_settings(owned).sms_url.as_deref(), Some("http://127.0.0.1/sms"));
    }
}
