//! Outbound: managers post messages, each to one person and under a key of its own, until the carrier simulator has
//! taken them all and every phone has its texts exactly once. Pacing is off.
//!
//! When a text was taken is the simulator's own time of it, to the microsecond and by the same clock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, Utc};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};

use super::ledger::Ledger;
use super::load::{Load, drive};
use super::world::{LICENSES, License, PEOPLE, Watchers, World};
use super::{Measured, Progress};
use crate::client::Api;

/// Posts `count` messages and waits until the simulator has taken them.
///
/// # Errors
/// When one is refused, doubled or altered. When time runs out, the result says so.
pub(super) async fn measure(
    world: &World,
    progress: &Progress,
    tag: &'static str,
    count: usize,
    load: Load,
    limit: Duration,
) -> Result<Measured> {
    let ledger = Arc::new(Ledger::open(tag, count));
    let watchers = Watchers::open(world, None).await?;
    let taken_before = count_taken(world).await?;
    let deadline = Instant::now() + limit;
    let managers: Vec<Api> = world.licenses.iter().map(|license| license.manager.clone()).collect();
    let office = Arc::new(Office { tag, managers, ledger: ledger.clone() });
    let call = move |index, due| {
        let office = office.clone();
        async move { office.post(index, due).await }
    };
    let work = async {
        drive(load, count, deadline, call).await?;
        while count_taken(world).await? - taken_before < ledger.count_answered() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::Ok(())
    };
    progress.follow(&ledger, work).await?;
    let taken = count_taken(world).await? - taken_before;
    read_inboxes(world, &ledger).await?;
    watchers.close().await?;
    let measured = Measured::of(&ledger)?;
    ledger.check_once()?;
    ensure!(
        measured.done == taken || measured.is_early(),
        "the carrier took {taken} texts, the phones have {}",
        measured.done
    );
    Ok(measured)
}

async fn count_taken(world: &World) -> Result<usize> {
    let counts = world.phones.get("/_sim/counts").await?;
    let taken = counts["messages_taken"].as_u64().context("the simulator does not count")?;
    Ok(usize::try_from(taken)?)
}

async fn read_inboxes(world: &World, ledger: &Ledger) -> Result<()> {
    let phones = world.licenses.iter().flat_map(|license| &license.phones);
    let inboxes = stream::iter(phones.map(|phone| world.phones.inbox(phone))).buffer_unordered(8);
    inboxes.try_for_each(|texts| async move { texts.iter().try_for_each(|text| note_taken(ledger, text)) }).await
}

fn note_taken(ledger: &Ledger, text: &Value) -> Result<()> {
    let body = text["body"].as_str().context("a text has no body")?;
    let taken_at: DateTime<Utc> = text["received_at"].as_str().context("a text has no time")?.parse()?;
    ledger.arrive_at_time(body, taken_at);
    Ok(())
}

/// Where managers work.
struct Office {
    tag: &'static str,
    managers: Vec<Api>,
    ledger: Arc<Ledger>,
}

impl Office {
    /// Licenses take turns, and so do their people.
    async fn post(&self, index: usize, due: Instant) -> Result<()> {
        let Some(manager) = self.managers.get(index % LICENSES) else { return Ok(()) };
        let recipient = json!({ "person_id": License::person_id(index / LICENSES % PEOPLE) });
        let (key, body) = (format!("{}-{index}", self.tag), Ledger::text(self.tag, index));
        self.ledger.begin(index, due);
        let answer = manager.send(&key, &[recipient], &body).await?;
        ensure!(answer.status == 202, "a send was answered {} {}", answer.status, answer.body);
        self.ledger.answer(index);
        Ok(())
    }
}
