//! `ingest.receiving.resumed`: texts may have been turned away. Every number is looked at as soon as its turn comes.
//!
//! One statement, however many say it: what was looked at since is left alone.

use bus::{Classify, HandleError, Handler, Received};
use proto::{from_timestamp, ingest};
use sqlx::PgTransaction;

use super::not_applied;
use crate::store::backfills;

#[derive(Debug)]
pub(crate) struct ReceivingResumed;

impl Handler for ReceivingResumed {
    type Event = ingest::ReceivingResumed;
    type Done = ();

    async fn handle(
        &self,
        tx: &mut PgTransaction<'_>,
        events: &[Received<ingest::ReceivingResumed>],
    ) -> Result<(), HandleError> {
        let mut last = None;
        for Received { event, .. } in events {
            last = last.max(Some(from_timestamp(event.resumed_at).permanent()?));
        }
        if let Some(resumed_at) = last {
            let numbers = backfills::make_due(tx, resumed_at).await.map_err(not_applied)?;
            tracing::info!(numbers, "texts are taken again: numbers are looked at");
        }
        Ok(())
    }

    async fn committed(&self, (): ()) {}
}
