//! Generate: finds a number that could replace the license's own (rules 2 and 3). Nothing is bought and nothing is
//! reserved at the carrier; no transaction is open while it is asked.

use std::sync::Arc;

use carriers::{CallError, Carrier, NumberSearch};
use chassis::Clock;
use domain::{AreaCode, Id, LicenseId, PhoneNumber};

use crate::calls::Calls;
use crate::error::Error;
use crate::model::search::{
    CANDIDATE_LIFETIME, Offer, SEARCH_LIMIT, WIDE_SEARCH_LIMIT, list_choices, plan_search_in, read_search,
};
use crate::model::setback::Setback;
use crate::store::Store;

/// Finds candidates. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Generator {
    store: Store,
    calls: Calls,
    clock: Clock,
}

impl Generator {
    pub(crate) fn new(store: Store, calls: Calls, clock: Clock) -> Self {
        Self { store, calls, clock }
    }

    /// In the area code, else anywhere in the United States; the offer says which of the two.
    pub(crate) async fn generate(&self, license_id: &LicenseId, area_code: Option<AreaCode>) -> Result<Offer, Error> {
        let candidate_id = Id::new();
        // Counted before the carrier is asked, whatever comes of it: searches cost.
        let name = self.store.record_search(license_id, candidate_id, self.clock.now()).await?;
        let carrier = self.calls.find(name).ok_or(Error::Ended(Setback::CarrierNotConfigured))?;
        for place in plan_search_in(area_code) {
            for number in self.search(&carrier, place).await? {
                let now = self.clock.now();
                let offer = Offer {
                    candidate_id,
                    number,
                    carrier: name,
                    area_code_matched: place.is_some(),
                    expires_at: now + CANDIDATE_LIFETIME,
                };
                if self.store.record_offer(&offer, now).await? {
                    metrics::counter!("numbers_candidates_total").increment(1);
                    return Ok(offer);
                }
            }
        }
        Err(Error::Ended(Setback::NoNumbersAvailable))
    }

    /// Numbers that nobody here has a use for yet. When all of a full page are spoken for, one more look sees further.
    async fn search(&self, carrier: &Arc<dyn Carrier>, area_code: Option<AreaCode>) -> Result<Vec<PhoneNumber>, Error> {
        for limit in [SEARCH_LIMIT, WIDE_SEARCH_LIMIT] {
            let search = NumberSearch { area_code, limit };
            let found = read_search(self.calls.bounded(carrier.search_numbers(&search)).await).map_err(failed)?;
            let is_all = found.len() < usize::from(limit);
            let taken = self.store.list_taken(&found, self.clock.now()).await?;
            let choices = list_choices(found, &[], &taken);
            if is_all || !choices.is_empty() {
                return Ok(choices);
            }
        }
        Ok(Vec::new())
    }
}

fn failed(error: CallError) -> Error {
    tracing::warn!(error = &error as &dyn std::error::Error, "a search for candidates failed");
    match error {
        CallError::Throttled { retry_after } => Error::CarrierThrottled { retry_after },
        // A search that may have been done is one that was not.
        CallError::Unknown { .. } => Error::Ended(Setback::CarrierUnreachable),
        other => Error::Ended(Setback::of(&other)),
    }
}
