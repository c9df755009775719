//! One client's stream of server-sent events, with a position of its own.
//!
//! Whatever the client missed (before it came, or by reading slowly) is read from the source after its position; what
//! happens now comes from the hub. A slow client holds back nobody and costs one page of memory.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use domain::ManagerId;
use futures_util::{Stream, stream};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, Interval, MissedTickBehavior, Sleep};
use tokio_util::sync::CancellationToken;

use super::hub::Happening;
use super::source::{Page, Patience, Source};
use super::{Membership, block};

/// When a stream ends by itself.
pub(super) struct End {
    pub(super) stopping: CancellationToken,
    /// Until the token is not accepted any more.
    pub(super) duration: Duration,
}

/// After `last`, or from now on. Begins with a block that says where it stands, so that a client that is cut off
/// before the first event resumes as well.
pub(super) fn stream(
    membership: Membership,
    source: Source,
    last: Option<u64>,
    heartbeat: Duration,
    end: End,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
    let mut heartbeat = tokio::time::interval_at(Instant::now() + heartbeat, heartbeat);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let client = Client {
        membership,
        source,
        position: last.unwrap_or(0),
        phase: if last.is_some() { Phase::Resuming } else { Phase::Starting },
        ready: last.map(block::of_position).into_iter().collect(),
        patience: Patience::default(),
        heartbeat,
        stopping: end.stopping,
        token_ends: Box::pin(tokio::time::sleep(end.duration)),
    };
    stream::unfold(client, async |mut client| {
        let block = client.next().await?;
        Some((Ok(block), client))
    })
}

#[derive(Clone, Copy)]
enum Phase {
    /// Waits for the hub's position and begins there.
    Starting,
    /// Waits for the hub's position and reads what comes before it.
    Resuming,
    /// Reads what it missed.
    Reading,
    /// Hears from the hub.
    Live,
}

struct Client {
    membership: Membership,
    source: Source,
    /// The last one that is written or ready to be.
    position: u64,
    phase: Phase,
    ready: VecDeque<Bytes>,
    patience: Patience,
    heartbeat: Interval,
    stopping: CancellationToken,
    token_ends: Pin<Box<Sleep>>,
}

impl Client {
    /// The next block; None at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.stopping.is_cancelled() || self.token_ends.is_elapsed() {
                return None;
            }
            if let Some(block) = self.ready.pop_front() {
                return Some(block);
            }
            let Self { membership, source, position, phase, ready, patience, .. } = self;
            // What is cut by a heartbeat is done again: an advance changes nothing before its last wait.
            tokio::select! {
                biased;
                () = self.stopping.cancelled() => return None,
                () = &mut self.token_ends => return None,
                next = advance(membership, source, position, *phase, ready, patience) => *phase = next?,
                _ = self.heartbeat.tick() => return Some(block::HEARTBEAT),
            }
        }
    }
}

/// One step; answers the phase after it. None: the hub is gone, and so is the service.
async fn advance(
    membership: &mut Membership,
    source: &Source,
    position: &mut u64,
    phase: Phase,
    ready: &mut VecDeque<Bytes>,
    patience: &mut Patience,
) -> Option<Phase> {
    match phase {
        Phase::Starting => {
            *position = hub_position(membership).await?;
            ready.push_back(block::of_position(*position));
            Some(Phase::Live)
        }
        // Read before the hub knows its position, the end of the backlog could lie before the hub's beginning.
        Phase::Resuming => hub_position(membership).await.map(|_| Phase::Reading),
        Phase::Reading => match source.read_after(&membership.license, *position, patience).await {
            Page::Entries { entries, complete } => {
                if let Some(last) = entries.last() {
                    *position = last.seq;
                }
                ready.extend(entries.into_iter().map(|entry| {
                    let (seq, addressee) = (entry.seq, block::find_addressee(&entry));
                    for_manager(&membership.manager, seq, addressee.as_deref(), || block::of_entry(entry))
                }));
                Some(if complete { Phase::Live } else { Phase::Reading })
            }
            Page::Reset { head } => {
                *position = head;
                ready.push_back(block::of_reset(head));
                Some(Phase::Live)
            }
        },
        Phase::Live => match membership.happenings.recv().await {
            Ok(Happening::Entry { seq, .. }) if seq <= *position => Some(Phase::Live),
            Ok(Happening::Entry { seq, block, addressee }) if seq - *position == 1 => {
                *position = seq;
                ready.push_back(for_manager(&membership.manager, seq, addressee.as_deref(), || block));
                Some(Phase::Live)
            }
            Ok(Happening::Entry { .. }) | Err(RecvError::Lagged(_)) => {
                metrics::counter!("gateway_feed_refills_total").increment(1);
                Some(Phase::Reading)
            }
            Ok(Happening::Reset { head }) => {
                if head != *position {
                    *position = head;
                    ready.push_back(block::of_reset(head));
                }
                Some(Phase::Live)
            }
            Err(RecvError::Closed) => None,
        },
    }
}

/// What this client gets of an entry that may be for one manager only.
fn for_manager(manager: &ManagerId, seq: u64, addressee: Option<&str>, block: impl FnOnce() -> Bytes) -> Bytes {
    match addressee {
        Some(other) if other != manager.as_str() => block::of_position(seq),
        _ => block(),
    }
}

async fn hub_position(membership: &mut Membership) -> Option<u64> {
    *membership.position.wait_for(Option::is_some).await.ok()?
}
