//! A client of one license's feed that lives through everything: it connects again with `Last-Event-ID`, to one gateway
//! after the other, also when a connection falls silent, as a browser's page does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use tokio::task::AbortHandle;

use super::count::FeedSeen;
use crate::client::{Api, Event, Feed};

/// Of the stream, and of the answer that opens it. Gateways of these runs show more often that they live.
const SILENCE: Duration = Duration::from_secs(4);
const LOOK: Duration = Duration::from_millis(500);
const CONNECT_AGAIN: Duration = Duration::from_millis(100);

/// A client. It goes when this is dropped.
#[derive(Debug)]
pub(super) struct Watcher {
    seen: Arc<Mutex<Seen>>,
    task: AbortHandle,
}

#[derive(Debug, Default)]
struct Seen {
    /// Told of in an earlier row.
    after: u64,
    positions: Vec<u64>,
    /// `message.created` by its body.
    created: HashMap<String, usize>,
    connections: usize,
}

impl Watcher {
    /// Sees what comes after a position.
    pub(super) fn start(managers: &[Api], after: u64) -> Self {
        let seen = Arc::new(Mutex::new(Seen { after, ..Seen::default() }));
        let task = tokio::spawn(watch(managers.to_vec(), after, Arc::clone(&seen))).abort_handle();
        Self { seen, task }
    }

    /// The newest position that came.
    pub(super) fn position(&self) -> u64 {
        let seen = lock(&self.seen);
        seen.positions.last().copied().unwrap_or(seen.after)
    }

    /// What came since the last row, and what the database has.
    pub(super) fn look(&self, head: u64) -> FeedSeen {
        let seen = lock(&self.seen);
        FeedSeen { after: seen.after, head, positions: seen.positions.clone() }
    }

    /// Whether a message with this body came.
    pub(super) fn has_created(&self, body: &str) -> bool {
        lock(&self.seen).created.contains_key(body)
    }

    /// How often these messages came as new ones.
    pub(super) fn count_created(&self, bodies: &[String], created: &mut HashMap<String, usize>) {
        let seen = lock(&self.seen);
        for (body, times) in bodies.iter().filter_map(|body| Some((body, seen.created.get(body)?))) {
            *created.entry(body.clone()).or_default() += times;
        }
    }

    /// The row is over: what is after this position, or has not come, belongs to the next one. Returns how often it had to
    /// connect again.
    pub(super) fn turn_over(&self, head: u64) -> usize {
        let mut seen = lock(&self.seen);
        let rest = seen.positions.iter().position(|position| *position > head).unwrap_or(seen.positions.len());
        let last = seen.positions.drain(..rest).next_back();
        seen.after = last.unwrap_or(seen.after);
        std::mem::take(&mut seen.connections)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn watch(managers: Vec<Api>, mut position: u64, seen: Arc<Mutex<Seen>>) {
    for manager in managers.iter().cycle() {
        if let Ok(Ok(mut feed)) = tokio::time::timeout(SILENCE, manager.feed(Some(position))).await {
            while let Ok(Some(event)) = next(&mut feed).await {
                // Where a stream begins, it says so.
                if event.kind.is_empty() && event.seq == position {
                    continue;
                }
                position = event.seq;
                note(&mut lock(&seen), &event);
            }
        }
        tokio::time::sleep(CONNECT_AGAIN).await;
        lock(&seen).connections += 1;
    }
}

/// The next block. `None`: the stream has ended or is silent.
async fn next(feed: &mut Feed) -> Result<Option<Event>> {
    loop {
        match tokio::time::timeout(LOOK, feed.next_block()).await {
            Ok(event) => return event,
            Err(_) if feed.silent_for() > SILENCE => return Ok(None),
            Err(_) => {}
        }
    }
}

fn note(seen: &mut Seen, event: &Event) {
    seen.positions.push(event.seq);
    if let ("message.created", Some(body)) = (event.kind.as_str(), event.data["body"].as_str()) {
        *seen.created.entry(body.to_owned()).or_default() += 1;
    }
}
