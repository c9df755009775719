//! The numbers that the account owns, with their webhook settings, and those that were sold to somebody else.
//! A number has one owner; a released one is for sale again. With a file, what the account owns outlives the program,
//! as it does at a carrier: who comes back finds the numbers that he paid for.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Where the carrier calls for a number. All addresses are absolute http(s) URLs, always posted to.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) friendly_name: Option<String>,
    pub(crate) sms_url: Option<String>,
    pub(crate) sms_fallback_url: Option<String>,
    pub(crate) voice_url: Option<String>,
    pub(crate) voice_fallback_url: Option<String>,
    pub(crate) status_callback: Option<String>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct OwnedNumber {
    pub(crate) sid: String,
    pub(crate) number: String,
    pub(crate) settings: Settings,
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
    file: Option<PathBuf>,
}

impl Numbers {
    /// The numbers that a file remembers, if it is there, and that it will remember from now on.
    pub(crate) fn open(file: Option<PathBuf>) -> anyhow::Result<Self> {
        let mut numbers = Self::default();
        if let Some(file) = file.as_deref().filter(|file| file.exists()) {
            let unreadable = || format!("{} is not a list of owned numbers", file.display());
            let text = std::fs::read(file).with_context(unreadable)?;
            let owned: Vec<OwnedNumber> = serde_json::from_slice(&text).with_context(unreadable)?;
            for number in owned {
                numbers.record_purchase(number);
            }
        }
        numbers.file = file;
        Ok(numbers)
    }

    /// Writes the file anew: numbers are few and change rarely.
    fn remember(&self) {
        let Some(file) = &self.file else { return };
        if let Err(error) = self.write(file) {
            tracing::error!(%error, "the owned numbers could not be written down");
        }
    }

    fn write(&self, file: &Path) -> anyhow::Result<()> {
        let owned: Vec<&OwnedNumber> = self.owned.values().collect();
        let unfinished = file.with_extension("unfinished");
        std::fs::write(&unfinished, serde_json::to_vec_pretty(&owned)?)?;
        std::fs::rename(&unfinished, file)?;
        Ok(())
    }

    /// Owned by the account or sold to somebody else.
    pub(crate) fn is_taken(&self, number: &str) -> bool {
        self.by_number.contains_key(number) || self.sold.contains(number)
    }

    pub(crate) fn find_by_number(&self, number: &str) -> Option<&OwnedNumber> {
        self.owned.get(self.by_number.get(number)?)
    }

    pub(crate) fn find_by_sid(&self, sid: &str) -> Option<&OwnedNumber> {
        self.owned.get(self.by_sid.get(sid)?)
    }

    pub(crate) fn record_settings(
        &mut self,
        sid: &str,
        settings: Settings,
        now: DateTime<Utc>,
    ) -> Option<&OwnedNumber> {
        let owned = self.owned.get_mut(self.by_sid.get(sid)?)?;
        owned.settings = settings;
        owned.updated_at = now;
        self.remember();
        self.find_by_sid(sid)
    }

    /// Newest purchase first.
    pub(crate) fn list(&self) -> impl Iterator<Item = &OwnedNumber> {
        self.owned.values().rev()
    }

    /// The caller has checked that the number is not taken.
    pub(crate) fn record_purchase(&mut self, number: OwnedNumber) {
        self.bought += 1;
        self.by_number.insert(number.number.clone(), self.bought);
        self.by_sid.insert(number.sid.clone(), self.bought);
        self.owned.insert(self.bought, number);
        self.remember();
    }

    pub(crate) fn record_release(&mut self, sid: &str) -> Option<OwnedNumber> {
        let released = self.owned.remove(&self.by_sid.remove(sid)?)?;
        self.by_number.remove(&released.number);
        self.remember();
        Some(released)
    }

    /// Somebody else bought it.
    pub(crate) fn record_sold(&mut self, number: &str) {
        self.sold.insert(number.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_owned_outlives_the_program() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("numbers.json");
        let number = |sid: &str, number: &str| OwnedNumber {
            sid: sid.to_owned(),
            number: number.to_owned(),
            settings: Settings::default(),
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        };
        let mut numbers = Numbers::open(Some(file.clone())).unwrap();
        numbers.record_purchase(number("PN1", "+14155550001"));
        numbers.record_purchase(number("PN2", "+14155550002"));
        let settings = Settings { sms_url: Some("http://127.0.0.1/sms".to_owned()), ..Settings::default() };
        numbers.record_settings("PN2", settings, DateTime::UNIX_EPOCH).unwrap();
        numbers.record_release("PN1").unwrap();

        let again = Numbers::open(Some(file.clone())).unwrap();
        assert!(!again.is_taken("+14155550001"));
        let owned = again.find_by_number("+14155550002").unwrap();
        assert_eq!((owned.sid.as_str(), owned.settings.sms_url.as_deref()), ("PN2", Some("http://127.0.0.1/sms")));
        std::fs::write(&file, "no list").unwrap();
        assert!(Numbers::open(Some(file)).is_err());
    }
}
