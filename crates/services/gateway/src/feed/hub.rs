//! Follows one license for all of its clients.
//!
//! Subscribes first and asks for the position then, so that nothing falls between. After that each push either comes
//! next, is old, or shows a gap; gaps and heads that are ahead are read from the source. It keeps one position
//! and no entries.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::LicenseId;
use futures_util::StreamExt as _;
use prost::Message as _;
use proto::conversations::{FeedEntry, FeedPush};
use tokio::sync::{broadcast, watch};

use super::block;
use super::sequence::plan_step;
use super::source::{Page, Patience, Source, own_entries};

/// With NATS away, waiting for it would keep the clients waiting; comparing heads finds what is not pushed.
const SUBSCRIBE_PATIENCE: Duration = Duration::from_secs(2);

/// What clients are told.
#[derive(Clone)]
pub(super) enum Happening {
    /// The entry at `seq`, written. With an addressee: for that manager, for others only the position.
    Entry { seq: u64, block: Bytes, addressee: Option<Arc<str>> },
    /// Positions before `head` lead nowhere.
    Reset { head: u64 },
}

pub(super) struct Hub {
    pub(super) license: LicenseId,
    pub(super) subject: String,
    pub(super) nats: async_nats::Client,
    pub(super) source: Source,
    pub(super) happenings: broadcast::Sender<Happening>,
    pub(super) position: watch::Sender<Option<u64>>,
    pub(super) head: watch::Receiver<u64>,
}

impl Hub {
    /// Runs until it is dropped.
    pub(super) async fn follow(mut self) {
        let mut pushes = self.subscribe().await;
        let mut position = self.source.read_head(&self.license).await;
        self.position.send_replace(Some(position));
        loop {
            let behind = tokio::select! {
                push = next_push(&mut pushes) => if let Some(push) = push {
                    self.take(&push, &mut position)
                } else {
                    // The subscription is gone for good only with the connection, at the end of the process.
                    pushes = None;
                    false
                },
                Ok(()) = self.head.changed() => *self.head.borrow_and_update() != position,
            };
            if behind {
                self.catch_up(&mut position).await;
            }
        }
    }

    /// None when it failed: the feed then lives from comparing heads.
    async fn subscribe(&self) -> Option<async_nats::Subscriber> {
        match self.nats.subscribe(self.subject.clone()).await {
            Ok(subscriber) => {
                // Flushed, the server knows of us before we ask for the position.
                let flushed = tokio::time::timeout(SUBSCRIBE_PATIENCE, self.nats.flush()).await;
                if !matches!(flushed, Ok(Ok(()))) {
                    tracing::warn!(license_id = %self.license, "NATS is away; the feed is late until it is back");
                }
                Some(subscriber)
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(license_id = %self.license, error, "the feed cannot be subscribed to");
                None
            }
        }
    }

    /// Tells what comes next of a push; answers whether something is missing.
    fn take(&self, push: &async_nats::Message, position: &mut u64) -> bool {
        let Ok(push) = FeedPush::decode(push.payload.clone()) else {
            tracing::error!(license_id = %self.license, "a push of the feed cannot be read");
            return true;
        };
        let step = plan_step(*position, own_entries(&self.license, push.entries));
        for (_, entry) in step.emit {
            self.tell(entry, position);
        }
        if step.gap {
            metrics::counter!("gateway_feed_gaps_total").increment(1);
        }
        step.gap
    }

    async fn catch_up(&self, position: &mut u64) {
        let mut patience = Patience::default();
        loop {
            match self.source.read_after(&self.license, *position, &mut patience).await {
                Page::Entries { entries, complete } => {
                    for entry in entries {
                        self.tell(entry, position);
                    }
                    if complete {
                        return;
                    }
                }
                Page::Reset { head } => {
                    *position = head;
                    self.position.send_replace(Some(head));
                    // Fails when nobody listens; then nobody has to be told.
                    let _ = self.happenings.send(Happening::Reset { head });
                    return;
                }
            }
        }
    }

    /// The position moves first: a client that joins in between reads it and does not wait for this entry again.
    fn tell(&self, entry: FeedEntry, position: &mut u64) {
        let seq = entry.seq;
        *position = seq;
        self.position.send_replace(Some(seq));
        let addressee = block::find_addressee(&entry);
        let _ = self.happenings.send(Happening::Entry { seq, block: block::of_entry(entry), addressee });
    }
}

async fn next_push(pushes: &mut Option<async_nats::Subscriber>) -> Option<async_nats::Message> {
    match pushes {
        Some(pushes) => pushes.next().await,
        None => std::future::pending().await,
    }
}
