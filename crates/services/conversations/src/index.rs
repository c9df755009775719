//! Writes the words of messages for the search, beside everything else and at leisure.
//!
//! The feed says which messages are new: it has every one, in the order of the commits and without a gap, so a position per
//! license skips none. Where the feed does not go back so far, the license's messages are read by their id. A turn takes a
//! few licenses and a bounded number of messages. Licenses with a change in this process are due at once; a walk
//! over all finds what a crash or another replica left. Several replicas may work side by side: one at a time in a license.
//! It refuses to compete: after a turn it rests five times as long as the turn took.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::LicenseId;
use sqlx::PgPool;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::model::{Mark, advance, advance_scan};
use crate::store::{Result, search_index};

/// When there is nothing to do.
const EVERY: Duration = Duration::from_secs(1);
/// After a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// How long to rest for each moment of work.
const REST: u32 = 5;
/// Licenses of one turn that had a change.
const CHANGED: usize = 40;
/// Licenses of one turn that lag behind for other reasons: they never wait for ever.
const BEHIND: usize = 10;
/// Licenses that one step of the walk looks at.
const STEP: i64 = 500;
/// Feed entries of one turn, and as many messages that are read by their id.
const MESSAGES: usize = 60;
/// Of one license at least.
const LEAST: usize = 6;

/// Licenses that wait for their turn, each once, in the order in which they came. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waiting(Arc<Mutex<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    order: VecDeque<LicenseId>,
    known: HashSet<LicenseId>,
}

impl Waiting {
    pub(crate) fn add(&self, license_ids: impl IntoIterator<Item = LicenseId>) {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for license_id in license_ids {
            if queue.known.insert(license_id.clone()) {
                queue.order.push_back(license_id);
            }
        }
    }

    fn take(&self, most: usize) -> Vec<LicenseId> {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = most.min(queue.order.len());
        let taken: Vec<LicenseId> = queue.order.drain(..count).collect();
        for license_id in &taken {
            queue.known.remove(license_id);
        }
        taken
    }

    fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).order.is_empty()
    }
}

/// Runs until the service stops.
pub(crate) async fn run(pool: PgPool, changed: Waiting, stopping: CancellationToken) -> anyhow::Result<()> {
    let behind = Waiting::default();
    let mut walked = String::new();
    let mut rest = EVERY;
    loop {
        tokio::select! {
            () = stopping.cancelled() => return Ok(()),
            () = tokio::time::sleep(rest) => {}
        }
        let begun = Instant::now();
        let worked = work(&pool, &changed, &behind, &mut walked).await;
        rest = match worked {
            Err(error) => {
                tracing::warn!(error = %format!("{:#}", anyhow::Error::from(error)), "will note words later");
                AFTER_FAILURE
            }
            Ok(()) if changed.is_empty() && behind.is_empty() => EVERY,
            Ok(()) => begun.elapsed() * REST,
        };
    }
}

/// A step of the walk, and a turn. Licenses that are not done wait again.
async fn work(pool: &PgPool, changed: &Waiting, behind: &Waiting, walked: &mut String) -> Result<()> {
    if behind.is_empty() {
        let (found, last) = search_index::list_behind(pool, walked, STEP).await?;
        behind.add(found);
        *walked = last.unwrap_or_default();
    }
    let mut due = changed.take(CHANGED);
    for license_id in behind.take(BEHIND) {
        if !due.contains(&license_id) {
            due.push(license_id);
        }
    }
    let done = turn(pool, &due).await;
    if done.is_err() && due.len() > 1 {
        // One license that cannot be done holds up no other.
        for license_id in due {
            match turn(pool, std::slice::from_ref(&license_id)).await {
                Ok(more) => behind.add(more),
                Err(_) => behind.add([license_id]),
            }
        }
        return done.map(drop);
    }
    behind.add(done?);
    Ok(())
}

/// Writes words of some licenses, a bounded number of messages. Returns the licenses that are not done: there is more, or
/// somebody else is at them.
pub(crate) async fn turn(pool: &PgPool, due: &[LicenseId]) -> Result<Vec<LicenseId>> {
    if due.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<String> = due.iter().map(ToString::to_string).collect();
    let mut tx = pool.begin().await?;
    search_index::create_marks(&mut tx, &names).await?;
    let mut marks = search_index::lock_marks(&mut tx, &names).await?;
    let limit = (MESSAGES / marks.len().max(1)).max(LEAST);
    let most = i64::try_from(limit).unwrap_or(i64::MAX);

    let mut messages: Vec<(String, Uuid)> = Vec::new();
    let mut full = HashSet::new();
    for (license_id, (head, entries)) in search_index::list_news(&mut tx, &marks, most).await? {
        let Some(mark) = marks.get_mut(&license_id) else { continue };
        let new = advance(mark, head, &entries, limit);
        messages.extend(new.into_iter().map(|id| (license_id.clone(), id)));
        if mark.indexed_to < head {
            full.insert(license_id);
        }
    }
    let scans: Vec<(String, Uuid)> =
        marks.iter().filter_map(|(license_id, mark)| Some((license_id.clone(), mark.scan_after?))).collect();
    let read = search_index::list_messages_after(&mut tx, &scans, most).await?;
    for (license_id, _) in scans {
        let ids = read.get(&license_id).map_or(&[][..], Vec::as_slice);
        if let Some(mark) = marks.get_mut(&license_id) {
            advance_scan(mark, ids, limit);
        }
        messages.extend(ids.iter().map(|id| (license_id.clone(), *id)));
    }
    let written = search_index::record_words(&mut tx, &messages).await?;
    search_index::record_marks(&mut tx, &marks).await?;
    tx.commit().await?;
    metrics::counter!("conversations_messages_indexed_total").increment(written);
    let is_done = |license_id: &LicenseId, marks: &BTreeMap<String, Mark>| {
        let mark = marks.get(license_id.as_str());
        mark.is_some_and(|mark| mark.scan_after.is_none() && !full.contains(license_id.as_str()))
    };
    Ok(due.iter().filter(|license_id| !is_done(license_id, &marks)).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_license_waits_once_and_in_its_turn() {
        let waiting = Waiting::default();
        let id = |id: &str| LicenseId::parse(id).unwrap();
        waiting.add([id("b"), id("a"), id("b"), id("c")]);
        assert_eq!(waiting.take(2), [id("b"), id("a")]);
        waiting.add([id("c"), id("b")]);
        assert_eq!(waiting.take(9), [id("c"), id("b")]);
        assert!(waiting.is_empty());
    }
}
