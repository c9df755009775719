//! The recorder: writes what became of calls, many outcomes in one transaction.
//!
//! An outcome that cannot be written now is kept and written later; meanwhile its slot stays taken, so what is kept is
//! bounded. One that the database refuses for good is left to the sweeper, as after a crash: its message is `unknown`.

use std::time::Duration;

use bus::Relay;
use carriers::SendOutcome;
use chassis::Clock;
use chrono::TimeDelta;
use tokio::sync::mpsc;

use crate::call::{Called, Ending};
use crate::lookup::Lookup;
use crate::model::{decide_outcome, decide_withheld};
use crate::slots::Slot;
use crate::store::{Claimed, LearnedLine, LimitWord, Settlement, Store};

/// Outcomes of one transaction.
const BATCH: usize = 500;
const RETRY: Duration = Duration::from_millis(200);

/// A call that ended.
#[derive(Debug)]
pub struct Finished {
    pub claimed: Claimed,
    pub called: Called,
    /// Free again once the outcome is recorded.
    pub slot: Slot,
}

/// See the module.
#[derive(Debug)]
pub struct Recorder {
    store: Store,
    clock: Clock,
    relay: Relay,
    keep_lines: TimeDelta,
    outcomes: mpsc::Receiver<Finished>,
}

/// Given back when an outcome is recorded.
type Held = (Slot, Option<Lookup>);

impl Recorder {
    /// `keep_lines`: for how long it is known what was learned of a line.
    pub const fn new(
        store: Store,
        clock: Clock,
        relay: Relay,
        keep_lines: TimeDelta,
        outcomes: mpsc::Receiver<Finished>,
    ) -> Self {
        Self { store, clock, relay, keep_lines, outcomes }
    }

    /// Records until the last call has ended.
    pub async fn run(mut self) {
        let mut batch = Vec::new();
        while self.outcomes.recv_many(&mut batch, BATCH).await > 0 {
            // What a limit stopped is in line again only when its limit is closed.
            let words: Vec<LimitWord> = batch.iter().filter_map(find_limit_word).collect();
            let (settlements, held): (Vec<Settlement>, Vec<Held>) =
                batch.drain(..).map(|finished| self.settle(finished)).unzip();
            self.close_limits(&words).await;
            self.record(&settlements).await;
            self.relay.hint();
            drop(held);
        }
    }

    /// A word that cannot be kept is said again.
    async fn close_limits(&self, words: &[LimitWord]) {
        if words.is_empty() {
            return;
        }
        if let Err(error) = self.store.close_limits(words, self.clock.now()).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot close limits now");
        }
    }

    async fn record(&self, settlements: &[Settlement]) {
        let mut parts = vec![settlements];
        while let Some(part) = parts.pop() {
            let error = match self.store.record_outcomes(part, self.clock.now()).await {
                Ok(withdrawn) => {
                    metrics::counter!("dispatch_withdrawn_total").increment(withdrawn as u64);
                    continue;
                }
                Err(error) => error,
            };
            if error.is_transient() {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    outcomes = part.len(),
                    "cannot record outcomes now"
                );
                parts.push(part);
                tokio::time::sleep(RETRY).await;
            } else if let [only] = part {
                let message_id = only.key.message_id;
                tracing::error!(%message_id, error = &error as &dyn std::error::Error, "cannot record an outcome ever");
            } else {
                // Halved until the culprit stands alone, so that it holds up no other.
                let (left, right) = part.split_at(part.len() / 2);
                parts.extend([right, left]);
            }
        }
    }

    fn settle(&self, finished: Finished) -> (Settlement, Held) {
        let Finished { claimed, called: Called { ending, learned, network, lookup }, slot } = finished;
        let message_id = claimed.key.message_id;
        match &ending {
            Ending::Sent(SendOutcome::Accepted { .. } | SendOutcome::Throttled { .. }) => {}
            Ending::Sent(SendOutcome::Rejected(refusal)) => {
                tracing::info!(%message_id, code = refusal.code, carrier_code = refusal.carrier_code, "rejected");
            }
            Ending::Sent(SendOutcome::Unreachable { cause }) => {
                tracing::warn!(%message_id, cause, "the carrier cannot be reached");
            }
            Ending::Sent(SendOutcome::Unknown { cause }) => {
                tracing::warn!(%message_id, cause, "it is not known what the carrier did");
            }
            Ending::Withheld(refusal) => tracing::info!(%message_id, code = refusal.code, "withheld"),
        }
        let now = self.clock.now();
        let decision = match ending {
            Ending::Sent(outcome) => decide_outcome(outcome, claimed.setbacks, now),
            Ending::Withheld(refusal) => decide_withheld(refusal, claimed.setbacks),
        };
        let labels = [("carrier", claimed.carrier.as_str()), ("outcome", decision.outcome)];
        metrics::counter!("dispatch_attempts_total", &labels).increment(1);
        let learned =
            learned.map(|(number, line)| LearnedLine { number, line, network, known_until: now + self.keep_lines });
        let settlement =
            Settlement { key: claimed.key, from: claimed.from, carrier: claimed.carrier, decision, learned };
        (settlement, (slot, lookup))
    }
}

/// The limit that a carrier's answer speaks of.
fn find_limit_word(finished: &Finished) -> Option<LimitWord> {
    let limit = match &finished.called.ending {
        Ending::Sent(SendOutcome::Throttled { limit, .. }) => (*limit)?,
        Ending::Sent(SendOutcome::Rejected(refusal)) => refusal.limit?,
        _ => return None,
    };
    let network = finished.called.network.or(Some(finished.claimed.network));
    Some(LimitWord { message_id: finished.claimed.key.message_id, limit, network })
}
