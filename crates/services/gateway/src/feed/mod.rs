//! The live feed (rule 15): what happens in a license reaches every connected client, in order, without a gap and
//! without a double, whatever is lost on the way.
//!
//! A license with clients has one [`hub`]. It follows the pushes of `conversations`, sees by their positions what is
//! missing ([`sequence`]), reads that by gRPC ([`source`]), and hands each entry, written once ([`block`]),
//! to all clients. Each client is a [`sse`] stream with a position of its own. Nothing is kept.

mod block;
mod hub;
mod sequence;
mod source;
mod sse;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bus::Bus;
use bytes::Bytes;
use chassis::Lifecycle;
use chassis::serve::TracedChannel;
use domain::{LicenseId, ManagerId};
use futures_util::Stream;
use proto::conversations::feed_service_client::FeedServiceClient;
use tokio::sync::{broadcast, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::config::FeedSettings;
use hub::{Happening, Hub};
use source::Source;

/// All licenses with clients. Clones are the same.
#[derive(Clone)]
pub(crate) struct Feeds(Arc<Inner>);

struct Inner {
    settings: FeedSettings,
    bus: Bus,
    source: Source,
    lifecycle: Lifecycle,
    hubs: Mutex<HashMap<LicenseId, Entry>>,
}

/// A running hub, as its clients need it.
struct Entry {
    clients: usize,
    happenings: broadcast::Sender<Happening>,
    /// None until the hub knows where the license stands.
    position: watch::Receiver<Option<u64>>,
    /// What the last comparison said is the newest position.
    head: watch::Sender<u64>,
    last_client_left: CancellationToken,
}

/// One client's part in a hub. The hub ends with the last of them.
struct Membership {
    feeds: Feeds,
    license: LicenseId,
    /// Whose client it is.
    manager: ManagerId,
    happenings: broadcast::Receiver<Happening>,
    position: watch::Receiver<Option<u64>>,
}

impl Feeds {
    pub(crate) fn start(
        settings: FeedSettings,
        bus: Bus,
        client: FeedServiceClient<TracedChannel>,
        lifecycle: &Lifecycle,
    ) -> Self {
        let source = Source::new(client);
        let inner = Inner { settings, bus, source, lifecycle: lifecycle.clone(), hubs: Mutex::default() };
        let feeds = Self(Arc::new(inner));
        let (comparing, stopping) = (feeds.clone(), lifecycle.stopping());
        lifecycle.spawn("compare feed heads", async move {
            stopping.run_until_cancelled(comparing.compare_heads()).await;
            Ok(())
        });
        feeds
    }

    /// A client's stream: after position `last`, or from now on. Ends after `duration` and when the service stops.
    pub(crate) fn follow(
        &self,
        license: LicenseId,
        manager: ManagerId,
        last: Option<u64>,
        duration: Duration,
    ) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
        let source = self.0.source.clone();
        let end = sse::End { stopping: self.0.lifecycle.stopping(), duration };
        sse::stream(self.join(license, manager), source, last, self.0.settings.heartbeat(), end)
    }

    fn join(&self, license: LicenseId, manager: ManagerId) -> Membership {
        let mut hubs = self.hubs();
        let entry = hubs.entry(license.clone()).or_insert_with(|| self.start_hub(license.clone()));
        entry.clients += 1;
        let (happenings, position) = (entry.happenings.subscribe(), entry.position.clone());
        drop(hubs);
        metrics::gauge!("gateway_feed_clients").increment(1.0);
        Membership { feeds: self.clone(), license, manager, happenings, position }
    }

    fn leave(&self, license: &LicenseId) {
        metrics::gauge!("gateway_feed_clients").decrement(1.0);
        let mut hubs = self.hubs();
        if let Some(entry) = hubs.get_mut(license) {
            entry.clients -= 1;
            if entry.clients == 0 {
                entry.last_client_left.cancel();
                hubs.remove(license);
            }
        }
    }

    fn start_hub(&self, license: LicenseId) -> Entry {
        let happenings = broadcast::Sender::new(self.0.settings.buffer.max(1));
        let (position, position_seen) = watch::channel(None);
        let (head, head_seen) = watch::channel(0);
        // Also cancelled when the service stops.
        let last_client_left = self.0.lifecycle.stopping().child_token();
        let hub = Hub {
            subject: self.0.bus.subject(&format!("{}.{license}", proto::catalogue::FEED_SUBJECT_PREFIX)),
            license,
            nats: self.0.bus.client().clone(),
            source: self.0.source.clone(),
            happenings: happenings.clone(),
            position,
            head: head_seen,
        };
        let over = last_client_left.clone();
        self.0.lifecycle.spawn("follow the feed of a license", async move {
            metrics::gauge!("gateway_feed_licenses").increment(1.0);
            over.run_until_cancelled(hub.follow()).await;
            metrics::gauge!("gateway_feed_licenses").decrement(1.0);
            Ok(())
        });
        Entry { clients: 0, happenings, position: position_seen, head, last_client_left }
    }

    /// A push that was the last one leaves no gap to be seen; only this finds it.
    async fn compare_heads(&self) {
        let mut ticks = tokio::time::interval(self.0.settings.heads_interval());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let licenses: Vec<LicenseId> = self.hubs().keys().cloned().collect();
            for (license, head) in self.0.source.list_heads(&licenses).await {
                if let Some(entry) = self.hubs().get(&license) {
                    entry.head.send_replace(head);
                }
            }
        }
    }

    fn hubs(&self) -> MutexGuard<'_, HashMap<LicenseId, Entry>> {
        self.0.hubs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn count_hubs(&self) -> usize {
        self.hubs().len()
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.feeds.leave(&self.license);
    }
}
