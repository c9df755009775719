//! Calls under way in this process: how many there may be, and of which lane they are.
//!
//! A slot is taken for a claimed delivery and given back when its outcome is recorded, so that an outage of the
//! database stops the claiming and never piles up outcomes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::LicenseId;

use crate::send::Hint;

/// Counts calls under way. Clones are the same.
#[derive(Clone, Debug)]
pub struct Slots(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    most: usize,
    hint: Hint,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    total: usize,
    by_lane: HashMap<LicenseId, usize>,
}

/// One call under way; gives itself back when it is dropped, also by a panic.
#[derive(Debug)]
pub struct Slot {
    slots: Slots,
    license_id: LicenseId,
}

impl Slots {
    /// At most `most` at the same time. The hint is given whenever one becomes free.
    pub fn new(most: usize, hint: Hint) -> Self {
        Self(Arc::new(Inner { most, hint, taken: Mutex::default() }))
    }

    /// How many more may begin.
    pub fn count_free(&self) -> usize {
        self.0.most.saturating_sub(self.taken().total)
    }

    /// What lanes have under way.
    pub fn by_lane(&self) -> HashMap<LicenseId, usize> {
        self.taken().by_lane.clone()
    }

    /// Takes one. The caller has seen that there is room, and is the only one who takes.
    pub fn take(&self, license_id: LicenseId) -> Slot {
        let mut taken = self.taken();
        taken.total += 1;
        *taken.by_lane.entry(license_id.clone()).or_default() += 1;
        drop(taken);
        Slot { slots: self.clone(), license_id }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.taken();
        taken.total = taken.total.saturating_sub(1);
        if let Some(count) = taken.by_lane.get_mut(&self.license_id) {
            *count -= 1;
            if *count == 0 {
                taken.by_lane.remove(&self.license_id);
            }
        }
        drop(taken);
        self.slots.0.hint.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_that_is_dropped_is_free_again() {
        let slots = Slots::new(2, Hint::default());
        let acme = LicenseId::parse("acme").unwrap();
        let (one, other) = (slots.take(acme.clone()), slots.take(acme.clone()));
        assert_eq!((slots.count_free(), slots.by_lane().get(&acme)), (0, Some(&2)));
        drop(one);
        assert_eq!((slots.count_free(), slots.by_lane().get(&acme)), (1, Some(&1)));
        drop(other);
        assert!(slots.by_lane().is_empty());
    }
}
