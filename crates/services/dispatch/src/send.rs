//! The loop that sends: claims what is due, calls carriers, hands the outcomes to the recorder.
//!
//! An attempt is three steps (rule 16): its beginning is committed, then the carrier is called with no transaction open,
//! then its outcome is committed. Whatever ends between them leaves an attempt without an end, which the sweeper finds.
//! Nothing here calls a carrier twice for one claim.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bus::Relay;
use carriers::{Carrier, Refusal, SendOutcome};
use chassis::Clock;
use domain::{CarrierName, Id, Message};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use url::Url;

use crate::error::StoreError;
use crate::model::{Pace, failure_code};
use crate::record::{Finished, Recorder};
use crate::slots::Slots;
use crate::store::{ClaimRequest, Claimed, Store};

/// How soon the work of another replica, which cannot hint, is found.
const POLL: Duration = Duration::from_millis(500);
/// A lane that is due and was not to be had is in another replica's hands; it will not be for long.
const CONTENDED: Duration = Duration::from_millis(5);

/// Wakes the loop. Clones wake the same one.
#[derive(Clone, Debug, Default)]
pub struct Hint(Arc<Notify>);

impl Hint {
    /// There may be something to do.
    pub fn wake(&self) {
        self.0.notify_one();
    }
}

/// The carriers that this process can call, and where they report.
#[derive(Clone, Debug)]
pub struct Carriers {
    by_name: HashMap<CarrierName, Arc<dyn Carrier>>,
    receipts: Url,
}

impl Carriers {
    /// `receipts` is the public address of ingest, without a path.
    pub fn new(carriers: impl IntoIterator<Item = Arc<dyn Carrier>>, receipts: Url) -> Self {
        Self { by_name: carriers.into_iter().map(|carrier| (carrier.name(), carrier)).collect(), receipts }
    }

    fn names(&self) -> Vec<CarrierName> {
        self.by_name.keys().copied().collect()
    }

    fn receipt_url(&self, carrier: CarrierName, message_id: Id<Message>) -> Url {
        let mut url = self.receipts.clone();
        url.set_path(&format!("{}/webhooks/{carrier}/status", self.receipts.path().trim_end_matches('/')));
        url.query_pairs_mut().append_pair("mid", &message_id.to_string());
        url
    }

    /// Calls the carrier, once.
    async fn send(&self, claimed: &mut Claimed) -> SendOutcome {
        let (message_id, name) = (claimed.key.message_id, claimed.carrier);
        let Some(content) = claimed.content.take() else {
            tracing::error!(%message_id, "a stored message cannot be read");
            return SendOutcome::Rejected(Refusal {
                code: failure_code::UNREADABLE,
                detail: "Something went wrong on our side.".to_owned(),
                carrier_code: None,
            });
        };
        let Some(carrier) = self.by_name.get(&name) else {
            // Claims name our carriers only.
            return SendOutcome::Unreachable { cause: "no such carrier is configured".to_owned() };
        };
        let message = content.into_outbound(message_id, claimed.from, self.receipt_url(name, message_id));
        carrier.send_message(&message).await
    }
}

/// How fast and how much.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub pace: Pace,
    pub in_flight: usize,
    pub in_flight_per_lane: usize,
    pub attempt_deadline: Duration,
}

/// The loop's parts.
#[derive(Debug)]
pub struct Sender {
    store: Store,
    carriers: Carriers,
    clock: Clock,
    limits: Limits,
    hint: Hint,
    relay: Relay,
    slots: Slots,
}

/// What to do after a turn.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// There may be more.
    Again,
    /// Nothing before this time, unless a hint comes.
    Wait(Duration),
}

impl Sender {
    pub fn new(store: Store, carriers: Carriers, clock: Clock, limits: Limits, hint: Hint, relay: Relay) -> Self {
        let slots = Slots::new(limits.in_flight, hint.clone());
        Self { store, carriers, clock, limits, hint, relay, slots }
    }

    /// Sends until `stopping`; then what is under way is awaited and recorded. Dropping it is a crash.
    pub async fn run(self, stopping: CancellationToken) -> anyhow::Result<()> {
        let (recorder, finished) = self.recorder();
        tokio::join!(self.claim_until(stopping, finished), recorder.run());
        Ok(())
    }

    pub(crate) fn recorder(&self) -> (Recorder, mpsc::Sender<Finished>) {
        // Never full: each entry holds a slot.
        let (finished, outcomes) = mpsc::channel(self.limits.in_flight);
        (Recorder::new(self.store.clone(), self.clock.clone(), self.relay.clone(), outcomes), finished)
    }

    async fn claim_until(&self, stopping: CancellationToken, finished: mpsc::Sender<Finished>) {
        let mut calls = JoinSet::new();
        while !stopping.is_cancelled() {
            let after = self.take_turn(&mut calls, &finished).await.unwrap_or_else(|error| {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot claim deliveries now");
                After::Wait(POLL)
            });
            while calls.try_join_next().is_some() {}
            if let After::Wait(wait) = after {
                tokio::select! {
                    () = stopping.cancelled() => {}
                    () = self.hint.0.notified() => {}
                    () = tokio::time::sleep(wait) => {}
                }
            }
        }
        while calls.join_next().await.is_some() {}
    }

    /// Claims what is due, as far as there is room, and begins the calls.
    pub(crate) async fn take_turn(
        &self,
        calls: &mut JoinSet<()>,
        finished: &mpsc::Sender<Finished>,
    ) -> Result<After, StoreError> {
        let free = self.slots.count_free();
        if free == 0 {
            return Ok(After::Wait(POLL));
        }
        let request = ClaimRequest {
            free,
            most_per_lane: self.limits.in_flight_per_lane,
            under_way: self.slots.by_lane(),
            carriers: self.carriers.names(),
            pace: self.limits.pace,
            attempt_deadline: self.limits.attempt_deadline,
        };
        let claim = self.store.claim(&request, self.clock.now()).await?;
        for claimed in claim.claimed {
            let slot = self.slots.take(claimed.key.license_id.clone());
            let (carriers, finished) = (self.carriers.clone(), finished.clone());
            let span =
                tracing::info_span!("attempt", message_id = %claimed.key.message_id, attempt = claimed.key.number);
            let call = async move {
                let mut claimed = claimed;
                let begun = std::time::Instant::now();
                let outcome = carriers.send(&mut claimed).await;
                metrics::histogram!("dispatch_carrier_call_seconds", "carrier" => claimed.carrier.as_str())
                    .record(begun.elapsed().as_secs_f64());
                // Fails only when the recorder is gone, and then so is this process.
                let _ = finished.send(Finished { claimed, outcome, slot }).await;
            };
            calls.spawn(call.instrument(span));
        }
        if claim.lanes > 0 {
            return Ok(After::Again);
        }
        let due = self.store.find_next_due(&request).await?;
        let wait = due.map_or(POLL, |due| (due - self.clock.now()).to_std().unwrap_or_default());
        Ok(After::Wait(wait.clamp(CONTENDED, POLL)))
    }
}
