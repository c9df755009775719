//! Pushes committed feed entries to the gateways, on core NATS, subject `feed.<license_id>`.
//!
//! A push may be lost without harm: gateways see the gap by `seq` and read it. So nothing here is retried.
//! Ranges that wait are merged, so that many commits of one license become one push.

use std::collections::BTreeMap;

use bus::Bus;
use domain::LicenseId;
use prost::Message;
use proto::catalogue::FEED_SUBJECT_PREFIX;
use proto::conversations::{FeedEntry, FeedPush};
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::index::Waiting;
use crate::store::feed;
use crate::store::licenses::FeedRange;

/// Ranges that may wait. More are dropped: gateways find them by themselves.
const QUEUE: usize = 10_000;
/// Entries read in one go.
const BATCH: i64 = 1_000;
/// A push ends with the entry that takes it over this size: far below the largest NATS payload (1 MiB), as an entry
/// is at most some 100 KiB.
const PUSH_BYTES: usize = 256 * 1024;

/// Hands committed ranges to the pushing loop. Never waits.
#[derive(Debug, Clone)]
pub(crate) struct Pusher {
    queue: mpsc::Sender<FeedRange>,
    changed: Waiting,
}

impl Pusher {
    /// The pusher and its loop.
    pub(crate) fn new(
        pool: PgPool,
        bus: Bus,
        stopping: CancellationToken,
    ) -> (Self, impl Future<Output = anyhow::Result<()>> + Send) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        (Self { queue, changed: Waiting::default() }, run(pool, bus, waiting, stopping))
    }

    /// Licenses that had a change in this process: perhaps there are words to note.
    pub(crate) fn changed(&self) -> Waiting {
        self.changed.clone()
    }

    pub(crate) fn push(&self, ranges: Vec<FeedRange>) {
        self.changed.add(ranges.iter().map(|range| range.license_id.clone()));
        for range in ranges {
            if self.queue.try_send(range).is_err() {
                metrics::counter!("conversations_feed_pushes_dropped_total").increment(1);
            }
        }
    }
}

async fn run(
    pool: PgPool,
    bus: Bus,
    mut waiting: mpsc::Receiver<FeedRange>,
    stopping: CancellationToken,
) -> anyhow::Result<()> {
    let mut ranges = Vec::new();
    loop {
        let received = tokio::select! {
            received = waiting.recv_many(&mut ranges, QUEUE) => received,
            () = stopping.cancelled() => 0,
        };
        if received == 0 {
            return Ok(());
        }
        for chunk in merge(std::mem::take(&mut ranges)) {
            if let Err(error) = push_range(&pool, &bus, &chunk).await {
                tracing::warn!(error = %format!("{error:#}"), "a push of the feed is lost; gateways will read it");
            }
        }
    }
}

/// Ranges of one license that touch become one; the result is cut into reads of at most [`BATCH`] entries.
fn merge(ranges: Vec<FeedRange>) -> Vec<Vec<FeedRange>> {
    let mut by_license: BTreeMap<LicenseId, (i64, i64)> = BTreeMap::new();
    for range in ranges {
        by_license
            .entry(range.license_id)
            .and_modify(|(first, last)| (*first, *last) = ((*first).min(range.first), (*last).max(range.last)))
            .or_insert((range.first, range.last));
    }
    let mut reads = vec![Vec::new()];
    let mut entries = 0;
    for (license_id, (mut first, last)) in by_license {
        while first <= last {
            let end = last.min(first + BATCH - 1);
            entries += end - first + 1;
            if entries > BATCH {
                reads.push(Vec::new());
                entries = end - first + 1;
            }
            if let Some(read) = reads.last_mut() {
                read.push(FeedRange { license_id: license_id.clone(), first, last: end });
            }
            first = end + 1;
        }
    }
    reads
}

async fn push_range(pool: &PgPool, bus: &Bus, ranges: &[FeedRange]) -> anyhow::Result<()> {
    let entries = {
        let mut connection = pool.acquire().await?;
        feed::load(&mut connection, ranges).await?
    };
    for of_license in entries.chunk_by(|left, right| left.license_id == right.license_id) {
        for part in cut(of_license) {
            publish(bus, part).await?;
        }
    }
    Ok(())
}

/// Consecutive entries in pushes of bounded size.
fn cut(mut entries: &[FeedEntry]) -> Vec<&[FeedEntry]> {
    let mut pushes = Vec::new();
    while !entries.is_empty() {
        let mut bytes = 0;
        let fit = entries.iter().position(|entry| {
            bytes += entry.encoded_len();
            bytes > PUSH_BYTES
        });
        let (push, rest) = entries.split_at(fit.map_or(entries.len(), |last| last + 1));
        pushes.push(push);
        entries = rest;
    }
    pushes
}

async fn publish(bus: &Bus, entries: &[FeedEntry]) -> anyhow::Result<()> {
    let Some(first) = entries.first() else { return Ok(()) };
    let subject = bus.subject(&format!("{FEED_SUBJECT_PREFIX}.{}", first.license_id));
    let push = FeedPush { entries: entries.to_vec() };
    bus.client().publish(subject, push.encode_to_vec().into()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(license: &str, first: i64, last: i64) -> FeedRange {
        FeedRange { license_id: LicenseId::parse(license).unwrap(), first, last }
    }

    #[test]
    fn a_push_is_bounded_and_no_entry_is_left_out() {
        let content = FeedEntry {
            content: Some(proto::conversations::feed_entry::Content::MessageCreated(proto::conversations::Message {
                body: "x".repeat(20_000),
                ..Default::default()
            })),
            ..Default::default()
        };
        let entries: Vec<FeedEntry> = (0..100).map(|seq| FeedEntry { seq, ..content.clone() }).collect();
        let pushes = cut(&entries);
        assert!(pushes.iter().all(|push| push.iter().map(FeedEntry::encoded_len).sum::<usize>() < 2 * PUSH_BYTES));
        assert_eq!(pushes.concat(), entries);
        assert!(cut(&[]).is_empty());
    }

    #[test]
    fn ranges_of_one_license_become_one_and_long_ones_are_cut() {
        let reads = merge(vec![range("b", 1, 1), range("a", 3, 4), range("a", 5, 9), range("b", 2, 1_500)]);
        assert_eq!(reads.concat(), vec![range("a", 3, 9), range("b", 1, 1_000), range("b", 1_001, 1_500)]);
        for read in reads {
            assert!(read.iter().map(|each| each.last - each.first + 1).sum::<i64>() <= BATCH);
        }
    }
}
