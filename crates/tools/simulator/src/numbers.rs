//! The numbers that the account owns, with their webhook settings, and those that were sold to somebody else.
//! A number has one owner; a released one is for sale again.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};

/// Where the carrier calls for a number. All addresses are absolute http(s) URLs, always posted to.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    pub(crate) friendly_name: Option<String>,
    pub(crate) sms_url: Option<String>,
    pub(crate) sms_fallback_url: Option<String>,
    pub(crate) voice_url: Option<String>,
    pub(crate) voice_fallback_url: Option<String>,
    pub(crate) status_callback: Option<String>,
}

#[derive(Clone)]
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
}

impl Numbers {
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

    pub(crate) fn find_by_sid_mut(&mut self, sid: &str) -> Option<&mut OwnedNumber> {
        self.owned.get_mut(self.by_sid.get(sid)?)
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
    }

    pub(crate) fn record_release(&mut self, sid: &str) -> Option<OwnedNumber> {
        let released = self.owned.remove(&self.by_sid.remove(sid)?)?;
        self.by_number.remove(&released.number);
        Some(released)
    }

    /// Somebody else bought it.
    pub(crate) fn record_sold(&mut self, number: &str) {
        self.sold.insert(number.to_owned());
    }
}
