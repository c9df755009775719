//! The loop that gets numbers: the first of every license, and the replacements that Saves begin (rules 1, 2 and 5).
//!
//! Any number of replicas run it: an acquisition is claimed under a lease, each step is stored before it is done, and
//! what a crash left is picked up when its lease ends. It decides nothing itself: see [`crate::model::acquisition`].

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bus::Relay;
use carriers::{Carrier, NumberOrder, NumberSearch, OwnedNumber, WebhookAddresses};
use chassis::Clock;
use domain::PhoneNumber;
use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::calls::Calls;
use crate::error::StoreError;
use crate::model::acquisition::{self as model, Acquisition, Decision, Next};
use crate::model::license::Assignment;
use crate::model::search::{SEARCH_LIMIT, WIDE_SEARCH_LIMIT, list_choices, plan_search, read_search};
use crate::model::setback::Setback;
use crate::routes::RoutePublisher;
use crate::store::Store;

/// Acquisitions worked on at the same time by one replica.
const BATCH: i64 = 8;
/// How soon work is found that nobody hinted at: of another replica, or due again.
const POLL: Duration = Duration::from_secs(1);

/// Gets numbers. Clones work on the same hints.
#[derive(Clone, Debug)]
pub(crate) struct Acquirer {
    store: Store,
    calls: Calls,
    webhooks: WebhookAddresses,
    /// How long a replaced number is kept after the cut-over.
    release_delay: Duration,
    clock: Clock,
    relay: Relay,
    routes: RoutePublisher,
    hint: Arc<Notify>,
}

impl Acquirer {
    pub(crate) fn new(
        store: Store,
        calls: Calls,
        webhooks: WebhookAddresses,
        release_delay: Duration,
        clock: Clock,
        relay: Relay,
        routes: RoutePublisher,
    ) -> Self {
        Self { store, calls, webhooks, release_delay, clock, relay, routes, hint: Arc::default() }
    }

    /// Says that an acquisition was committed.
    pub(crate) fn hint(&self) {
        self.hint.notify_one();
    }

    /// How long a fresh claim is held.
    pub(crate) fn lease(&self) -> Duration {
        self.calls.lease()
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
        let due = self.store.claim_due_acquisitions(BATCH, self.lease(), self.clock.now()).await?;
        let claimed = due.len();
        join_all(due.into_iter().map(|acquisition| {
            let next = model::plan_first(&acquisition);
            self.work_on(acquisition, next)
        }))
        .await;
        Ok(claimed)
    }

    /// Works on an acquisition that this replica holds, until nothing more can be done now.
    pub(crate) async fn work_on(&self, mut acquisition: Acquisition, next: Next) {
        let span = tracing::info_span!(
            "acquire",
            license_id = %acquisition.license_id,
            purpose = acquisition.purpose.as_str(),
        );
        let work = async {
            let mut next = Some(next);
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
        };
        work.instrument(span).await;
    }

    /// One step: at most one purchase or one commit. `None` when there is nothing more to do now.
    async fn take_step(&self, acquisition: &mut Acquisition, step: Next) -> Result<Option<Next>, StoreError> {
        let decision = match (self.calls.find(acquisition.carrier), step) {
            (_, Next::Assign(owned)) => {
                self.assign(acquisition, owned).await?;
                return Ok(None);
            }
            (None, _) => model::decide_without_carrier(acquisition, self.clock.now()),
            (Some(carrier), step) => self.call(acquisition, &carrier, step).await?,
        };
        match decision {
            Decision::Go(next) => return Ok(Some(next)),
            Decision::Retry { setback, delay } => {
                note_setback(setback);
                self.store.record_setback(acquisition, setback, self.clock.now() + delay).await?;
            }
            Decision::GiveUp { number, setback } => {
                note_setback(setback);
                let (skipped, delay) = model::plan_after_giving_up(acquisition, number);
                let next_attempt_at = self.clock.now() + delay;
                self.store.mark_searching(acquisition, &skipped, setback, next_attempt_at).await?;
            }
            Decision::End { setback, surplus } => {
                note_setback(setback);
                self.store.record_end(acquisition, setback, surplus.as_ref(), self.clock.now()).await?;
                metrics::counter!("numbers_changes_total", "outcome" => setback.as_str()).increment(1);
                tracing::warn!(code = setback.as_str(), "a change of number came to nothing; the old one stays");
            }
        }
        Ok(None)
    }

    /// The steps that ask the carrier.
    async fn call(
        &self,
        acquisition: &mut Acquisition,
        carrier: &Arc<dyn Carrier>,
        step: Next,
    ) -> Result<Decision, StoreError> {
        Ok(match step {
            Next::Search => self.search(acquisition, carrier).await?,
            Next::FindLeftBehind => {
                self.hold(acquisition).await?;
                let found = self.calls.bounded(carrier.list_owned_by(&acquisition.license_id)).await;
                match model::decide_after_find(acquisition, found) {
                    Decision::Go(Next::Configure(owned)) if !self.choose(acquisition, owned.number).await? => {
                        Decision::Go(Next::Search)
                    }
                    decision => decision,
                }
            }
            Next::Look(number, if_absent) => {
                self.hold(acquisition).await?;
                let look = carrier.find_owned_number(&number, &acquisition.license_id);
                let found = self.calls.bounded(look).await;
                model::decide_after_look(acquisition, number, if_absent, found, self.clock.now())
            }
            Next::Buy(number) => {
                // From here until the answer is recorded, only the carrier knows.
                let doubted_before = std::mem::replace(&mut acquisition.in_doubt, true);
                self.hold(acquisition).await?;
                let bought = self.calls.bounded(carrier.buy_number(&self.order(acquisition, number))).await;
                if !model::leaves_doubt(&bought) {
                    acquisition.in_doubt = doubted_before;
                }
                model::decide_after_buy(acquisition, number, bought)
            }
            Next::Configure(owned) => {
                self.hold(acquisition).await?;
                let order = self.order(acquisition, owned.number);
                let configured = self.calls.bounded(carrier.configure_number(&owned, &order)).await;
                model::decide_after_configure(acquisition, owned, configured)
            }
            Next::Assign(owned) => Decision::Go(Next::Assign(owned)),
        })
    }

    /// The lease covers the call that follows; a replica that lost it does not call at all.
    async fn hold(&self, acquisition: &Acquisition) -> Result<(), StoreError> {
        self.store.extend_lease(acquisition, self.clock.now() + self.lease()).await
    }

    /// Looks for a first number, best place first, and stores the choice before it is bought.
    async fn search(&self, acquisition: &mut Acquisition, carrier: &Arc<dyn Carrier>) -> Result<Decision, StoreError> {
        for area_code in plan_search(acquisition.company_phone) {
            // When all of a full page are spoken for, one more look sees further.
            for limit in [SEARCH_LIMIT, WIDE_SEARCH_LIMIT] {
                self.hold(acquisition).await?;
                let search = NumberSearch { area_code, limit };
                let found = match read_search(self.calls.bounded(carrier.search_numbers(&search)).await) {
                    Ok(found) => found,
                    Err(error) => return Ok(model::plan_retry(acquisition, &error)),
                };
                let is_all = found.len() < usize::from(limit);
                let taken = self.store.list_taken(&found, self.clock.now()).await?;
                for number in list_choices(found, &acquisition.skipped, &taken) {
                    if self.choose(acquisition, number).await? {
                        return Ok(Decision::Go(Next::Buy(number)));
                    }
                }
                if is_all {
                    break;
                }
            }
        }
        Ok(model::decide_without_choice(acquisition))
    }

    /// Stores that this is the number. False when it has another use by now.
    async fn choose(&self, acquisition: &mut Acquisition, number: PhoneNumber) -> Result<bool, StoreError> {
        let chosen = self.store.mark_buying(acquisition, number, self.clock.now()).await?;
        if chosen {
            // What is stored is what we hold: tries are counted anew for each step.
            acquisition.chosen = Some(number);
            acquisition.attempts = 0;
            acquisition.last_error = None;
        }
        Ok(chosen)
    }

    async fn assign(&self, acquisition: &Acquisition, owned: OwnedNumber) -> Result<(), StoreError> {
        let assignment = Assignment {
            license_id: acquisition.license_id.clone(),
            number: owned.number,
            carrier: acquisition.carrier,
            carrier_number_id: owned.carrier_number_id,
            candidate_id: acquisition.purpose.candidate_id(),
            assigned_at: self.clock.now(),
        };
        let release_at = assignment.assigned_at + self.release_delay;
        self.store.record_assignment(acquisition, &assignment, release_at).await?;
        self.relay.hint();
        self.routes.hint();
        metrics::counter!("numbers_assigned_total", "purpose" => acquisition.purpose.as_str()).increment(1);
        if assignment.candidate_id.is_some() {
            metrics::counter!("numbers_changes_total", "outcome" => "done").increment(1);
        }
        tracing::info!(carrier = %assignment.carrier, "a license has its messages number");
        Ok(())
    }

    fn order(&self, acquisition: &Acquisition, number: PhoneNumber) -> NumberOrder {
        NumberOrder {
            number,
            license_id: acquisition.license_id.clone(),
            webhooks: self.webhooks.of_number(acquisition.carrier),
        }
    }
}

fn note_setback(setback: Setback) {
    metrics::counter!("numbers_acquisition_setbacks_total", "code" => setback.as_str()).increment(1);
    tracing::warn!(code = setback.as_str(), "a try to get a number failed");
}
