//! What time brings: attempts that a crash left behind, messages that waited too long, rows that nobody needs.
//! Each step is bounded and takes only what no other replica has in hand.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{Id, LicenseId, MessageStatus, PhoneNumber};
use proto::dispatch::{Error, MessageProgressed};

use super::{AttemptKey, Settlement, Store, record_outcomes};
use crate::error::StoreError;
use crate::model::{Decision, Next, PauseReason, decide_expiry};

/// Attempts or messages of one step.
const STEP: i64 = 500;
/// Settled rows of one step.
const REMOVE_STEP: i64 = 5_000;
/// How long it can be seen what became of a message.
const KEEP: TimeDelta = TimeDelta::days(14);

impl Store {
    /// Attempts begun before `deadline` ago and not ended: their process has died, and nobody knows whether the
    /// carrier has the message (rule 16). Returns how many there were.
    pub async fn mark_left_behind(&self, deadline: Duration, now: DateTime<Utc>) -> Result<usize, StoreError> {
        let mut tx = self.pool.begin().await?;
        let rows = sqlx::query!(
            "select attempts.license_id, attempts.message_id, attempts.try, attempts.from_number, attempts.carrier
             from attempts
             join deliveries using (license_id, message_id)
             where attempts.ended_at is null and attempts.started_at < $1
               and deliveries.state = 'attempting' and deliveries.tries = attempts.try
             order by attempts.started_at limit $2
             for update of deliveries skip locked",
            now - deadline,
            STEP,
        )
        .fetch_all(&mut *tx)
        .await?;
        if rows.is_empty() {
            return Ok(0);
        }
        let mut settlements = Vec::with_capacity(rows.len());
        for row in rows {
            settlements.push(Settlement {
                key: AttemptKey {
                    license_id: LicenseId::parse(row.license_id)
                        .map_err(|_| StoreError::Corrupt { what: "license" })?,
                    message_id: Id::from_uuid(row.message_id),
                    number: row.r#try,
                },
                from: PhoneNumber::from_e164(&row.from_number).map_err(|_| StoreError::Corrupt { what: "number" })?,
                carrier: row.carrier.parse().map_err(|_| StoreError::Corrupt { what: "carrier" })?,
                // A crash of ours says nothing about the carrier: the lane goes on.
                decision: Decision { outcome: "unknown", next: Next::Unknown, lane: None },
                learned: None,
            });
        }
        record_outcomes(&mut tx, &settlements, &self.times, now).await?;
        tx.commit().await?;
        Ok(settlements.len())
    }

    /// Messages that could not be handed over for so long have failed. Returns how many there were.
    pub async fn mark_expired(&self, give_up_after: Duration, now: DateTime<Utc>) -> Result<usize, StoreError> {
        let mut tx = self.pool.begin().await?;
        let expired = sqlx::query!(
            "with expired as materialized (
               select license_id, message_id from deliveries
               where state = 'waiting' and queued_at < $1
               order by queued_at limit $3
               for update skip locked
             )
             update deliveries set state = 'failed', settled_at = $2, body = null, media_urls = '{}'
             from expired join lanes using (license_id)
             where (deliveries.license_id, deliveries.message_id) = (expired.license_id, expired.message_id)
             returning deliveries.license_id, deliveries.message_id, lanes.pause_reason",
            now - give_up_after,
            now,
            STEP,
        )
        .fetch_all(&mut *tx)
        .await?;
        let events: Vec<MessageProgressed> = expired
            .into_iter()
            .map(|row| {
                let (code, detail) = decide_expiry(row.pause_reason.as_deref().and_then(PauseReason::find));
                MessageProgressed {
                    license_id: row.license_id,
                    message_id: row.message_id.to_string(),
                    status: MessageStatus::Failed.as_str().to_owned(),
                    error: Some(Error { code: code.to_owned(), detail: detail.to_owned() }),
                    occurred_at: Some(proto::to_timestamp(now)),
                    ..MessageProgressed::default()
                }
            })
            .collect();
        bus::outbox::record(&mut tx, &events, now).await?;
        tx.commit().await?;
        Ok(events.len())
    }

    /// Removes deliveries that were settled two weeks ago, and their attempts. Returns how many deliveries went.
    pub async fn remove_settled(&self, now: DateTime<Utc>) -> Result<i64, StoreError> {
        let removed = sqlx::query_scalar!(
            r#"with old as materialized (
                 select license_id, message_id from deliveries
                 where settled_at < $1 order by settled_at limit $2
                 for update skip locked
               ), removed as (
                 delete from deliveries using old
                 where (deliveries.license_id, deliveries.message_id) = (old.license_id, old.message_id)
               ), tried as (
                 delete from attempts using old
                 where (attempts.license_id, attempts.message_id) = (old.license_id, old.message_id)
               )
               select count(*) as "count!" from old"#,
            now - KEEP,
            REMOVE_STEP,
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(removed)
    }
}
