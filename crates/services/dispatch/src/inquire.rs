//! The loop that asks carriers: whether they took a message whose outcome nobody knows (rule 16), and what became of one
//! whose receipts do not come. What follows from an answer is decided in `model/inquiry.rs`.
//!
//! Several replicas ask side by side: each question is claimed by one, for longer than a call may take. Nothing is sent
//! here. What was surely not taken waits in its lane again, and the sender sends it.

use std::error::Error;
use std::time::Duration;

use bus::Relay;
use carriers::{Carrier, Carriers, SentMessage};
use chassis::{Clock, steps};
use chrono::TimeDelta;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::error::StoreError;
use crate::model::{Confirmation, Evidence, Knowledge};
use crate::send::Hint;
use crate::store::{About, Inquiry, Store};

const EVERY: Duration = Duration::from_secs(1);

/// See the module. Clones ask the same.
#[derive(Clone, Debug)]
pub struct Inquirer {
    pub store: Store,
    pub carriers: Carriers,
    pub clock: Clock,
    /// Questions at the same time.
    pub in_flight: usize,
    /// Longer than a call to a carrier takes.
    pub lease: Duration,
    /// For how long it is known what was learned of a line.
    pub keep_lines: TimeDelta,
    /// Wakes the sender.
    pub hint: Hint,
    pub relay: Relay,
}

impl Inquirer {
    /// Asks until `stopping`. What is not answered then is asked again when its lease is over.
    pub async fn run(self, stopping: CancellationToken) -> anyhow::Result<()> {
        let asking = steps::run(EVERY, "will ask carriers later", &stopping, async || {
            Ok::<_, StoreError>(self.ask_once().await? == self.in_flight)
        });
        // Nothing is lost by dropping a question.
        stopping.run_until_cancelled(asking).await.unwrap_or(Ok(()))
    }

    /// Asks about what is due now, as far as there is room. Returns about how many.
    pub async fn ask_once(&self) -> Result<usize, StoreError> {
        let now = self.clock.now();
        let lease = now + TimeDelta::from_std(self.lease).unwrap_or(TimeDelta::MAX);
        let due = self.store.claim_inquiries(&self.carriers.names(), self.in_flight, lease, now).await?;
        let asked = due.len();
        let mut questions = JoinSet::new();
        for inquiry in due {
            let inquirer = self.clone();
            questions.spawn(async move { inquirer.ask(&inquiry).await });
        }
        while let Some(done) = questions.join_next().await {
            // A question that panicked is asked again when its lease is over.
            if let Ok(Err(error)) = done {
                tracing::warn!(
                    error = &error as &dyn Error,
                    "an answer cannot be recorded; it will be asked for again"
                );
            }
        }
        if asked > 0 {
            self.hint.wake();
            self.relay.hint();
        }
        Ok(asked)
    }

    async fn ask(&self, inquiry: &Inquiry) -> Result<(), StoreError> {
        // Claims name our carriers only.
        let Some(carrier) = self.carriers.find(inquiry.carrier) else { return Ok(()) };
        let (about, answer) = match &inquiry.about {
            About::Outcome { to, body, attempted_at } => {
                let message =
                    SentMessage { from: inquiry.from, to: *to, body: body.clone(), attempted_at: *attempted_at };
                let evidence = look_for(carrier.as_ref(), &message).await;
                let now = self.clock.now();
                let answer = match self.store.record_evidence(inquiry, *attempted_at, evidence, now).await? {
                    Confirmation::Taken(_) => "taken",
                    Confirmation::NotTaken => "not_taken",
                    Confirmation::AskAgain(_) => "later",
                    Confirmation::Unconfirmed => {
                        let message_id = inquiry.key.message_id;
                        tracing::warn!(%message_id, "nobody knows whether the carrier took it; a person decides");
                        "unconfirmed"
                    }
                };
                ("outcome", answer)
            }
            About::Receipt { carrier_message_id, accepted_at } => {
                let knowledge = learn(carrier.as_ref(), carrier_message_id).await;
                let now = self.clock.now();
                let report =
                    self.store.record_knowledge(inquiry, *accepted_at, knowledge, self.keep_lines, now).await?;
                ("receipt", if report.ask_at.is_some() { "later" } else { "done" })
            }
        };
        let labels = [("carrier", inquiry.carrier.as_str()), ("about", about), ("answer", answer)];
        metrics::counter!("dispatch_inquiries_total", &labels).increment(1);
        Ok(())
    }
}

async fn look_for(carrier: &dyn Carrier, message: &SentMessage) -> Evidence {
    match carrier.find_sent(message).await {
        Ok(Some(copies)) => Evidence::List(copies),
        Ok(None) => Evidence::NoList,
        Err(error) => {
            tracing::warn!(carrier = %carrier.name(), error = &error as &dyn Error, "cannot ask for sent messages now");
            Evidence::Failed
        }
    }
}

async fn learn(carrier: &dyn Carrier, carrier_message_id: &str) -> Knowledge {
    match carrier.get_sent(carrier_message_id).await {
        Ok(Some(copy)) => Knowledge::Known(copy),
        Ok(None) => Knowledge::Gone,
        Err(error) => {
            tracing::warn!(carrier = %carrier.name(), error = &error as &dyn Error, "cannot ask for a message now");
            Knowledge::Failed
        }
    }
}
