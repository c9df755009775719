//! `numbers.number.assigned`: which number is whose, and `number.changed` on the feed.

use bus::{Classify, HandleError, Handler, Received};
use domain::{LicenseId, PhoneNumber};
use proto::{from_timestamp, numbers};
use sqlx::PgTransaction;

use super::not_applied;
use crate::push::Pusher;
use crate::store::backfills;
use crate::store::licenses::{self, Assignment, FeedRange, Subject};

#[derive(Debug)]
pub(crate) struct NumberAssigned {
    pusher: Pusher,
}

impl NumberAssigned {
    pub(crate) fn new(pusher: Pusher) -> Self {
        Self { pusher }
    }
}

impl Handler for NumberAssigned {
    type Event = numbers::NumberAssigned;
    type Done = Vec<FeedRange>;

    async fn handle(
        &self,
        tx: &mut PgTransaction<'_>,
        events: &[Received<numbers::NumberAssigned>],
    ) -> Result<Vec<FeedRange>, HandleError> {
        let mut assignments = Vec::with_capacity(events.len());
        for Received { event, .. } in events {
            assignments.push(Assignment {
                license_id: LicenseId::parse(event.license_id.as_str()).permanent()?,
                number: PhoneNumber::from_e164(&event.number).permanent()?,
                carrier: event.carrier.clone(),
                assigned_at: from_timestamp(event.assigned_at).permanent()?,
                version: i64::try_from(event.version).permanent()?,
            });
        }
        let licenses = assignments.iter().map(|each| each.license_id.clone());
        let mut locked = licenses::lock(tx, licenses).await.map_err(not_applied)?;
        let changed = licenses::record_assignments(tx, &assignments).await.map_err(not_applied)?;
        backfills::follow_assignments(tx, &changed).await.map_err(not_applied)?;
        for license_id in changed {
            let occurred_at =
                assignments.iter().filter(|each| each.license_id == license_id).map(|each| each.assigned_at);
            locked.record(&license_id, Subject::NumberChanged, occurred_at.max().unwrap_or_default());
        }
        locked.write(tx).await.map_err(not_applied)
    }

    async fn committed(&self, ranges: Vec<FeedRange>) {
        self.pusher.push(ranges);
    }
}
