//! `ingest.call.updated`: who called, and what came of it (rule 6). The events of a call come doubled and in any order.

use std::collections::BTreeSet;

use bus::{Classify, HandleError, Handler, Received};
use chrono::{DateTime, Utc};
use domain::{Id, LicenseId, PhoneNumber};
use proto::{from_timestamp, ingest};
use sqlx::PgTransaction;

use super::not_applied;
use crate::model::{CallEnd, Homes, KnownCall, decide_call};
use crate::push::Pusher;
use crate::store::StoreError;
use crate::store::calls::{self, Call, CallKey};
use crate::store::conversations::load_homes;
use crate::store::licenses::{self, FeedRange, Subject};

#[derive(Debug)]
pub(crate) struct CallUpdated {
    pusher: Pusher,
}

impl CallUpdated {
    pub(crate) fn new(pusher: Pusher) -> Self {
        Self { pusher }
    }
}

/// An event with its parts read.
struct Report {
    key: CallKey,
    from: Option<PhoneNumber>,
    to: PhoneNumber,
    end: Option<CallEnd>,
    occurred_at: DateTime<Utc>,
}

impl Handler for CallUpdated {
    type Event = ingest::CallUpdated;
    type Done = Vec<FeedRange>;

    async fn handle(
        &self,
        tx: &mut PgTransaction<'_>,
        events: &[Received<ingest::CallUpdated>],
    ) -> Result<Vec<FeedRange>, HandleError> {
        let reports: anyhow::Result<Vec<Report>> = events.iter().map(|received| read(&received.event)).collect();
        apply(tx, &reports.permanent()?).await.map_err(not_applied)
    }

    async fn committed(&self, ranges: Vec<FeedRange>) {
        self.pusher.push(ranges);
    }
}

fn read(event: &ingest::CallUpdated) -> anyhow::Result<Report> {
    let occurred_at = from_timestamp(event.occurred_at)?;
    let duration_s = event.duration_s.map(i32::try_from).transpose()?;
    let result = event.result.as_deref().map(str::parse).transpose()?;
    Ok(Report {
        key: CallKey {
            license_id: LicenseId::parse(event.license_id.as_str())?,
            carrier: event.carrier.clone(),
            carrier_call_id: event.carrier_call_id.clone(),
        },
        from: event.from.as_deref().map(PhoneNumber::from_e164).transpose()?,
        to: PhoneNumber::from_e164(&event.to)?,
        end: result.map(|result| CallEnd { result, duration_s, ended_at: occurred_at }),
        occurred_at,
    })
}

async fn apply(tx: &mut PgTransaction<'_>, reports: &[Report]) -> Result<Vec<FeedRange>, StoreError> {
    let mut locked = licenses::lock(tx, reports.iter().map(|report| report.key.license_id.clone())).await?;
    let keys: BTreeSet<CallKey> = reports.iter().map(|report| report.key.clone()).collect();
    let mut calls = calls::load_known(tx, &keys).await?;
    let callers = reports.iter().filter(|report| !calls.contains_key(&report.key));
    let callers = callers.filter_map(|report| Some((report.key.license_id.clone(), report.from?))).collect();
    let homes = load_homes(tx, &callers).await?;
    let mut changed = BTreeSet::new();
    for report in reports {
        let known = calls.get(&report.key).map(|call| call.known);
        let Some(after) = decide_call(known, report.occurred_at, report.end) else { continue };
        let call = calls.entry(report.key.clone()).or_insert_with(|| begin(report, &homes, after));
        call.known = after;
        // Several events of one batch show as one change.
        if changed.insert(&report.key) {
            locked.record(&report.key.license_id, Subject::CallUpdated(call.id), report.occurred_at);
        }
    }
    if changed.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<_> = changed.iter().filter_map(|key| Some((*key, calls.get(key)?))).collect();
    calls::record(tx, &rows).await?;
    locked.write(tx).await
}

/// A call that nobody has told of yet. The caller is whoever the number belongs to now.
fn begin(report: &Report, homes: &Homes, known: KnownCall) -> Call {
    let find = |from| homes.find_people(&report.key.license_id, from);
    let (people, conversation_id) = report.from.map(find).unwrap_or_default();
    Call { id: Id::new(), from: report.from, to: report.to, conversation_id, people, known }
}
