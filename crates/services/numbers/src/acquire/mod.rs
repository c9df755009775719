//! The loop that gets a number for every license that has none (rules 1, 2 and 5).
//!
//! Any number of replicas run it: an acquisition is claimed under a lease, each step is stored before it is done, and
//! what a crash left is picked up when its lease ends. It decides nothing itself: see [`crate::model::acquisition`].

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bus::Relay;
use carriers::{Carrier, NumberOrder, NumberSearch, NumberWebhooks, OwnedNumber};
use chassis::Clock;
use domain::PhoneNumber;
use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::error::StoreError;
use crate::model::acquisition::{self as model, Acquisition, Decision, Next, Setback};
use crate::model::license::{Assignment, plan_search};
use crate::store::Store;

/// Acquisitions worked on at the same time by one replica.
const BATCH: i64 = 8;
/// How soon work is found that nobody hinted at: of another replica, or due again.
const POLL: Duration = Duration::from_secs(1);
/// What a lease leaves for our own database besides one call to the carrier.
const LEASE_MARGIN: Duration = Duration::from_secs(5);

/// Gets numbers. Clones work on the same hints.
#[derive(Clone, Debug)]
pub(crate) struct Acquirer {
    store: Store,
    carrier: Arc<dyn Carrier>,
    webhooks: NumberWebhooks,
    lease: Duration,
    clock: Clock,
    relay: Relay,
    hint: Arc<Notify>,
}

impl Acquirer {
    /// `call_timeout` is the longest that one call to the carrier takes.
    pub(crate) fn new(
        store: Store,
        carrier: Arc<dyn Carrier>,
        webhooks: NumberWebhooks,
        call_timeout: Duration,
        clock: Clock,
        relay: Relay,
    ) -> Self {
        let lease = call_timeout + LEASE_MARGIN;
        Self { store, carrier, webhooks, lease, clock, relay, hint: Arc::default() }
    }

    /// Says that an acquisition was committed.
    pub(crate) fn hint(&self) {
        self.hint.notify_one();
    }

    /// Runs until `stopping`; what is in hand is finished first, as far as the deadline lets it.
    pub(crate) async fn run(self, stopping: CancellationToken) -> anyhow::Result<()> {
        while !stopping.is_cancelled() {
            match self.run_due().await {
                // More may be due by now: a number that was given up is followed by another search at once.
                Ok(worked) if worked > 0 => continue,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "will look for acquisitions later");
                }
            }
            tokio::select! {
                () = stopping.cancelled() => {}
                () = self.hint.notified() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
        Ok(())
    }

    /// Works once on what is due now. Returns how many acquisitions that were.
    pub(crate) async fn run_due(&self) -> Result<usize, StoreError> {
        let due = self.store.claim_due_acquisitions(BATCH, self.lease, self.clock.now()).await?;
        let claimed = due.len();
        join_all(due.into_iter().map(|acquisition| {
            let span = tracing::info_span!("acquire", license_id = %acquisition.license_id);
            self.work_on(acquisition).instrument(span)
        }))
        .await;
        Ok(claimed)
    }

    async fn work_on(&self, mut acquisition: Acquisition) {
        let mut next = Some(model::plan_first(&acquisition));
        while let Some(step) = next {
            next = match self.take_step(&mut acquisition, step).await {
                Ok(next) => next,
                Err(error) => {
                    // The lease ends, then somebody goes on from what is stored.
                    tracing::warn!(error = &error as &dyn std::error::Error, "an acquisition is left for later");
                    None
                }
            };
        }
    }

    /// One step: at most one purchase or one commit. `None` when there is nothing more to do now.
    async fn take_step(&self, acquisition: &mut Acquisition, step: Next) -> Result<Option<Next>, StoreError> {
        let decision = match step {
            Next::Assign(owned) => {
                self.assign(acquisition, owned).await?;
                return Ok(None);
            }
            Next::Search => self.search(acquisition).await?,
            Next::FindLeftBehind => {
                self.hold(acquisition).await?;
                let found = self.carrier.list_owned_by(&acquisition.license_id).await;
                model::decide_after_find(acquisition, found)
            }
            Next::Look(number, if_absent) => {
                self.hold(acquisition).await?;
                let found = self.carrier.find_owned_number(&number).await;
                model::decide_after_look(acquisition, number, if_absent, found)
            }
            Next::Buy(number) => {
                self.hold(acquisition).await?;
                let bought = self.carrier.buy_number(&self.order(acquisition, number)).await;
                model::decide_after_buy(acquisition, number, bought)
            }
            Next::Configure(owned) => {
                self.hold(acquisition).await?;
                let order = self.order(acquisition, owned.number);
                let configured = self.carrier.configure_number(&owned, &order).await;
                model::decide_after_configure(acquisition, configured)
            }
        };
        match decision {
            Decision::Go(next) => Ok(Some(next)),
            Decision::Retry { setback, delay } => {
                note_setback(setback);
                let next_attempt_at = self.clock.now() + delay;
                self.store.record_setback(acquisition, setback, next_attempt_at).await?;
                Ok(None)
            }
            Decision::GiveUp { number, setback } => {
                note_setback(setback);
                let (skipped, delay) = model::plan_after_giving_up(acquisition, number);
                let next_attempt_at = self.clock.now() + delay;
                self.store.mark_searching(acquisition, &skipped, setback, next_attempt_at).await?;
                Ok(None)
            }
        }
    }

    /// The lease covers the call that follows; a replica that lost it does not call at all.
    async fn hold(&self, acquisition: &Acquisition) -> Result<(), StoreError> {
        self.store.extend_lease(acquisition, self.clock.now() + self.lease).await
    }

    /// Looks for a number, best place first, and stores the choice before it is bought.
    async fn search(&self, acquisition: &mut Acquisition) -> Result<Decision, StoreError> {
        for area_code in plan_search(acquisition.company_phone) {
            self.hold(acquisition).await?;
            let search = NumberSearch { area_code, limit: model::SEARCH_LIMIT };
            let found = match model::read_search(self.carrier.search_numbers(&search).await) {
                Ok(found) => found,
                Err(error) => return Ok(model::plan_retry(acquisition, &error)),
            };
            let taken = self.store.list_taken(&found).await?;
            for number in model::list_choices(acquisition, found, &taken) {
                if self.store.mark_buying(acquisition, number).await? {
                    // What is stored is what we hold: tries are counted anew for each step.
                    acquisition.chosen = Some(number);
                    acquisition.attempts = 0;
                    return Ok(Decision::Go(Next::Buy(number)));
                }
            }
        }
        Ok(model::decide_without_choice(acquisition))
    }

    async fn assign(&self, acquisition: &Acquisition, owned: OwnedNumber) -> Result<(), StoreError> {
        let license_id = acquisition.license_id.clone();
        let assignment = Assignment::first(license_id, self.carrier.name(), owned, self.clock.now());
        self.store.record_assignment(acquisition, &assignment).await?;
        self.relay.hint();
        metrics::counter!("numbers_assigned_total").increment(1);
        tracing::info!(carrier = %assignment.carrier, "a license has its messages number");
        Ok(())
    }

    fn order(&self, acquisition: &Acquisition, number: PhoneNumber) -> NumberOrder {
        NumberOrder { number, license_id: acquisition.license_id.clone(), webhooks: self.webhooks.clone() }
    }
}

fn note_setback(setback: Setback) {
    metrics::counter!("numbers_acquisition_setbacks_total", "code" => setback.as_str()).increment(1);
    tracing::warn!(code = setback.as_str(), "a try to get a number failed");
}
