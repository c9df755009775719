//! What became of messages: outcomes of attempts (`dispatch.message.progressed`) and receipts of carriers
//! (`ingest.receipt.received`). Both come doubled and in any order; a status never goes backwards.

use std::collections::BTreeSet;

use bus::{Classify, HandleError, Handler, Received};
use domain::{Id, Message, PhoneNumber};
use proto::{dispatch, from_timestamp, ingest};
use sqlx::PgTransaction;
use uuid::Uuid;

use super::not_applied;
use crate::model::{Report, plan_progress};
use crate::push::Pusher;
use crate::store::licenses::{self, FeedRange, Subject};
use crate::store::{StoreError, messages};

#[derive(Debug)]
pub(crate) struct MessageProgressed {
    pusher: Pusher,
}

impl MessageProgressed {
    pub(crate) fn new(pusher: Pusher) -> Self {
        Self { pusher }
    }
}

impl Handler for MessageProgressed {
    type Event = dispatch::MessageProgressed;
    type Done = Vec<FeedRange>;

    async fn handle(
        &self,
        tx: &mut PgTransaction<'_>,
        events: &[Received<dispatch::MessageProgressed>],
    ) -> Result<Vec<FeedRange>, HandleError> {
        let mut reports = Vec::with_capacity(events.len());
        for Received { event, .. } in events {
            reports.push(Report {
                message_id: event.message_id.parse().permanent()?,
                status: event.status.parse().permanent()?,
                from: event.from.as_deref().map(PhoneNumber::from_e164).transpose().permanent()?,
                carrier_message_id: event.carrier_message_id.clone(),
                segments: event.segments.map(i32::try_from).transpose().permanent()?,
                error: event.error.clone().map(|error| (error.code, error.detail)),
                occurred_at: from_timestamp(event.occurred_at).permanent()?,
            });
        }
        apply(tx, &reports).await.map_err(not_applied)
    }

    async fn committed(&self, ranges: Vec<FeedRange>) {
        self.pusher.push(ranges);
    }
}

#[derive(Debug)]
pub(crate) struct ReceiptReceived {
    pusher: Pusher,
}

impl ReceiptReceived {
    pub(crate) fn new(pusher: Pusher) -> Self {
        Self { pusher }
    }
}

impl Handler for ReceiptReceived {
    type Event = ingest::ReceiptReceived;
    type Done = Vec<FeedRange>;

    async fn handle(
        &self,
        tx: &mut PgTransaction<'_>,
        events: &[Received<ingest::ReceiptReceived>],
    ) -> Result<Vec<FeedRange>, HandleError> {
        let mut reports = Vec::with_capacity(events.len());
        for Received { event, .. } in events {
            reports.push(Report {
                message_id: event.message_id.parse().permanent()?,
                status: event.status.parse().permanent()?,
                from: None,
                carrier_message_id: Some(event.carrier_message_id.clone()),
                segments: None,
                error: event.error.clone().map(|error| (error.code, error.detail)),
                occurred_at: from_timestamp(event.received_at).permanent()?,
            });
        }
        apply(tx, &reports).await.map_err(not_applied)
    }

    async fn committed(&self, ranges: Vec<FeedRange>) {
        self.pusher.push(ranges);
    }
}

/// Applies reports to the messages they name. A report for a message that is gone changes nothing (rule 11).
async fn apply(tx: &mut PgTransaction<'_>, reports: &[Report]) -> Result<Vec<FeedRange>, StoreError> {
    let ids: Vec<Uuid> = reports.iter().map(|report| report.message_id.uuid()).collect();
    let licenses = messages::list_licenses(tx, &ids).await?;
    let mut locked = licenses::lock(tx, licenses).await?;
    let mut followed = messages::load_known(tx, &ids).await?;
    let mut changed: BTreeSet<Id<Message>> = BTreeSet::new();
    let mut shown = Vec::new();
    for report in reports {
        let Some(message) = followed.get_mut(&report.message_id) else { continue };
        let Some(after) = plan_progress(&message.known, report) else { continue };
        message.known = after;
        // Several reports of one batch show as one change.
        if changed.insert(report.message_id) {
            shown.push((report.message_id, report.occurred_at));
        }
    }
    if changed.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<_> = changed.iter().filter_map(|id| Some((*id, followed.get(id)?))).collect();
    messages::record_known(tx, &rows).await?;
    for (message_id, occurred_at) in shown {
        if let Some(message) = followed.get(&message_id) {
            let subject = Subject::MessageUpdated(message.conversation_id, message_id);
            locked.record(&message.license_id, subject, occurred_at);
        }
    }
    locked.write(tx).await
}
