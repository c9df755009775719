//! The loop that sends: claims what is due, calls carriers, hands the outcomes to the recorder.
//!
//! An attempt is three steps (rule 16): its beginning is committed, then the carrier is called with no transaction open,
//! then its outcome is committed. Whatever ends between them leaves an attempt without an end, which the sweeper finds.
//! Nothing here sends twice for one claim.

use std::sync::Arc;
use std::time::Duration;

use bus::Relay;
use chassis::Clock;
use chrono::TimeDelta;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::call::Caller;
use crate::error::StoreError;
use crate::model::{LimitTree, Pace};
use crate::record::{Finished, Recorder};
use crate::slots::Slots;
use crate::store::{ClaimRequest, Store};

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

/// How fast and how much.
#[derive(Clone, Debug)]
pub struct Limits {
    pub pace: Pace,
    /// Above the pace of a number.
    pub tree: Arc<LimitTree>,
    pub in_flight: usize,
    pub in_flight_per_lane: usize,
    pub attempt_deadline: Duration,
    /// For how long it is known what was learned of a line.
    pub keep_lines: TimeDelta,
}

/// The loop's parts.
#[derive(Debug)]
pub struct Sender {
    store: Store,
    caller: Caller,
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
    pub fn new(store: Store, caller: Caller, clock: Clock, limits: Limits, hint: Hint, relay: Relay) -> Self {
        let slots = Slots::new(limits.in_flight, hint.clone());
        Self { store, caller, clock, limits, hint, relay, slots }
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
        let keep_lines = self.limits.keep_lines;
        let recorder = Recorder::new(self.store.clone(), self.clock.clone(), self.relay.clone(), keep_lines, outcomes);
        (recorder, finished)
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
            carriers: self.caller.carriers.names(),
            pace: self.limits.pace,
            limits: Arc::clone(&self.limits.tree),
            attempt_deadline: self.limits.attempt_deadline,
        };
        let claim = self.store.claim(&request, self.clock.now()).await?;
        for claimed in claim.claimed {
            let slot = self.slots.take(claimed.key.license_id.clone());
            let (caller, finished) = (self.caller.clone(), finished.clone());
            let span =
                tracing::info_span!("attempt", message_id = %claimed.key.message_id, attempt = claimed.key.number);
            let call = async move {
                let mut claimed = claimed;
                let result = caller.deliver(&mut claimed).await;
                // Fails only when the recorder is gone, and then so is this process.
                let _ = finished.send(Finished { claimed, called: result, slot }).await;
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
