//! How events get into the stream: now, with somebody waiting for it, or as soon as it works.
//!
//! A text is answered after it is stored. A call is answered first: its caller is listening.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bus::{Bus, PublishError, Publisher};
use chassis::{Clock, Lifecycle};
use domain::Id;
use proto::Event;
use proto::ingest::{CallUpdated, ReceivingResumed};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::model::Identified;

/// Within this time a cluster of NATS has chosen a new leader. Shorter than the stream's memory for repeats (2 min).
const RECORD_CALL_WITHIN: Duration = Duration::from_mins(1);
/// After the stream refused a call at once.
const PAUSE: Duration = Duration::from_secs(1);

/// Stores events. One per process.
#[derive(Debug)]
pub(crate) struct Recorder {
    publisher: Publisher,
    /// Keeps the publisher's loop alive, past the stop, for as long as somebody may need it.
    _publisher_in_use: DropGuard,
    clock: Clock,
    lifecycle: Lifecycle,
}

impl Recorder {
    /// Declares the streams, then stores events until the last webhook is answered.
    ///
    /// The publisher does not watch the stop but the recorder: an orderly stop answers nobody 503, and without NATS
    /// nothing waits that nobody waits for.
    pub(crate) fn start(bus: &Bus, clock: Clock, lifecycle: &Lifecycle) -> Arc<Self> {
        let (publisher, publishing) = Publisher::new(bus.clone(), CancellationToken::new());
        let (bus, unused) = (bus.clone(), CancellationToken::new());
        let in_use = unused.clone().drop_guard();
        lifecycle.spawn("publish events", async move {
            let work = async {
                bus.declare_until_done().await;
                publishing.await
            };
            tokio::select! {
                outcome = work => outcome,
                () = unused.cancelled() => Ok(()),
            }
        });
        Arc::new(Self { publisher, _publisher_in_use: in_use, clock, lifecycle: lifecycle.clone() })
    }

    /// Returns after the stream's acknowledgement.
    ///
    /// # Errors
    /// [`PublishError`] within this time, or within the publisher's own. The stream may have the event.
    pub(crate) async fn store<E: Event>(
        &self,
        Identified { event_id, event }: &Identified<E>,
        within: Duration,
    ) -> Result<(), PublishError> {
        let storing = self.publisher.publish(event, event_id.clone(), self.clock.now());
        tokio::time::timeout(within, storing).await.unwrap_or(Err(PublishError::TimedOut))
    }

    /// Tells that texts are taken again. True: it is stored. Each try is an event of its own: a later one tells more.
    pub(crate) async fn record_resumed(&self) -> bool {
        let (id, now) = (Id::<ReceivingResumed>::new(), self.clock.now());
        let event = ReceivingResumed { resumed_at: Some(proto::to_timestamp(now)) };
        match self.publisher.publish(&event, format!("resumed:{id}"), now).await {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "texts cannot be taken yet");
                false
            }
        }
    }

    /// Stores what is known of a call, for up to a minute while NATS is away; tells whether it is stored. Goes on when
    /// nobody waits for it; a stop waits for one try.
    pub(crate) fn record_call(self: &Arc<Self>, call: Identified<CallUpdated>) -> JoinHandle<bool> {
        let recorder = self.clone();
        self.lifecycle.spawn_tracked(async move {
            let began = Instant::now();
            let Identified { event_id, event } = call;
            while let Err(error) = recorder.publisher.publish(&event, event_id.clone(), recorder.clock.now()).await {
                if recorder.lifecycle.is_stopping() || began.elapsed() > RECORD_CALL_WITHIN {
                    tracing::error!(error = &error as &dyn std::error::Error, "a call is not recorded");
                    metrics::counter!("ingest_calls_lost_total", "carrier" => event.carrier).increment(1);
                    return false;
                }
                tracing::warn!(error = &error as &dyn std::error::Error, "a call is not recorded yet");
                let stopping = recorder.lifecycle.stopping();
                let _ = stopping.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
            }
            true
        })
    }
}
