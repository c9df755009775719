//! Reads the feed where it is kept: `conversations`, by gRPC.
//!
//! What comes from here is complete. It checks that, and that it is the license's own.

use std::time::Duration;

use chassis::serve::TracedChannel;
use domain::LicenseId;
use proto::conversations::feed_service_client::FeedServiceClient;
use proto::conversations::{FeedEntry, ListFeedHeadsRequest, ListFeedRequest};

use super::sequence::plan_step;

const PAGE: u32 = 500;
/// As many as one question may name.
const HEADS_AT_ONCE: usize = 1_000;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What follows after a position.
pub(super) enum Page {
    /// The next entries, without a gap. `complete`: there was nothing after them.
    Entries { entries: Vec<FeedEntry>, complete: bool },
    /// There is no going on from the position: start over at `head`.
    Reset { head: u64 },
}

/// Why nothing could be read. All of it is worth a retry.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error("conversations does not answer ({0:?})")]
    Away(tonic::Code),
    #[error("conversations answered with a gap")]
    Gap,
    #[error("conversations does not know the license's position")]
    NoHead,
}

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Source(FeedServiceClient<TracedChannel>);

/// How long to wait before the next try: longer each time.
#[derive(Default)]
pub(super) struct Patience(Option<Duration>);

impl Patience {
    fn next_pause(&mut self) -> Duration {
        let pause = self.0.unwrap_or(FIRST_PAUSE);
        self.0 = Some((pause * 2).min(LONGEST_PAUSE));
        pause
    }
}

impl Source {
    pub(super) fn new(client: FeedServiceClient<TracedChannel>) -> Self {
        Self(client)
    }

    /// What follows after `position`, tried until it works.
    ///
    /// `patience` is the caller's, so that it outlives a call that is cut.
    pub(super) async fn read_after(&self, license: &LicenseId, position: u64, patience: &mut Patience) -> Page {
        loop {
            match self.try_read_after(license, position).await {
                Ok(page) => {
                    *patience = Patience::default();
                    return page;
                }
                Err(error) => pause_after(license, &error, patience).await,
            }
        }
    }

    /// Where a license stands, tried until it works.
    pub(super) async fn read_head(&self, license: &LicenseId) -> u64 {
        let mut patience = Patience::default();
        loop {
            let heads = self.try_list_heads(std::slice::from_ref(license)).await;
            match heads.and_then(|heads| heads.into_iter().next().ok_or(ReadError::NoHead)) {
                Ok((_, head)) => return head,
                Err(error) => pause_after(license, &error, &mut patience).await,
            }
        }
    }

    /// Where licenses stand. Those that could not be asked are left out; the next comparison asks again.
    pub(super) async fn list_heads(&self, licenses: &[LicenseId]) -> Vec<(LicenseId, u64)> {
        let mut heads = Vec::with_capacity(licenses.len());
        for chunk in licenses.chunks(HEADS_AT_ONCE) {
            match self.try_list_heads(chunk).await {
                Ok(some) => heads.extend(some),
                Err(error) => tracing::warn!(%error, "feed heads cannot be compared now"),
            }
        }
        heads
    }

    async fn try_list_heads(&self, licenses: &[LicenseId]) -> Result<Vec<(LicenseId, u64)>, ReadError> {
        let license_ids = licenses.iter().map(LicenseId::to_string).collect();
        let answer = self.0.clone().list_feed_heads(ListFeedHeadsRequest { license_ids }).await;
        let heads = answer.map_err(|status| ReadError::Away(status.code()))?.into_inner().heads;
        Ok(heads.into_iter().filter_map(|head| Some((LicenseId::parse(head.license_id).ok()?, head.seq))).collect())
    }

    async fn try_read_after(&self, license: &LicenseId, position: u64) -> Result<Page, ReadError> {
        let request = ListFeedRequest { license_id: license.to_string(), after: position, limit: PAGE };
        let answer = self.0.clone().list_feed(request).await;
        let answer = answer.map_err(|status| ReadError::Away(status.code()))?.into_inner();
        // A head before the position: the license never had that position, or lost it (a restored backup).
        if answer.reset || answer.head < position {
            return Ok(Page::Reset { head: answer.head });
        }
        let step = plan_step(position, own_entries(license, answer.entries));
        let last = step.emit.last().map_or(position, |(seq, _)| *seq);
        let complete = last >= answer.head;
        if step.gap || (step.emit.is_empty() && !complete) {
            return Err(ReadError::Gap);
        }
        Ok(Page::Entries { entries: step.emit.into_iter().map(|(_, entry)| entry).collect(), complete })
    }
}

async fn pause_after(license: &LicenseId, error: &ReadError, patience: &mut Patience) {
    metrics::counter!("gateway_feed_read_failures_total").increment(1);
    tracing::warn!(license_id = %license, %error, "the feed cannot be read; it is tried again");
    tokio::time::sleep(patience.next_pause()).await;
}

/// Entries by position. No client ever receives another license's entry, whoever may have mixed them up.
pub(super) fn own_entries(license: &LicenseId, entries: Vec<FeedEntry>) -> Vec<(u64, FeedEntry)> {
    let (own, foreign): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.license_id == license.as_str());
    if !foreign.is_empty() {
        metrics::counter!("gateway_feed_foreign_entries_total").increment(foreign.len() as u64);
        tracing::error!(license_id = %license, entries = foreign.len(), "the feed brought another license's entries");
    }
    own.into_iter().map(|entry| (entry.seq, entry)).collect()
}
