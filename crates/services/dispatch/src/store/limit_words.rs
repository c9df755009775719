//! What carriers say of limits: a number's full queue pauses its lane, the others close what licenses share.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::{Id, LicenseId, Message, Network, SendingLimit};
use sqlx::PgTransaction;
use uuid::Uuid;

use super::Store;
use super::limits::{Key, Registration, Scope, insert_missing, select_for_update};
use crate::error::StoreError;
use crate::model::{Closing, decide_closing};

/// A carrier said of a message that a limit was reached.
#[derive(Clone, Copy, Debug)]
pub struct LimitWord {
    pub message_id: Id<Message>,
    pub limit: SendingLimit,
    /// Of the recipient, if it is known already.
    pub network: Option<Network>,
}

/// A full queue of a sender, told by a receipt: its lane pauses, if it still has that number. Takes the locks of lanes: to
/// be called before deliveries are locked.
pub async fn pause_senders(tx: &mut PgTransaction<'_>, words: &[LimitWord], now: DateTime<Utc>) -> sqlx::Result<()> {
    let messages: Vec<Uuid> =
        words.iter().filter(|word| word.limit == SendingLimit::Sender).map(|word| word.message_id.uuid()).collect();
    if messages.is_empty() {
        return Ok(());
    }
    let lanes = sqlx::query!(
        "select license_id, overflowed_until, overflows from lanes
         where license_id in (
           select deliveries.license_id
           from unnest($1::uuid[]) as said (message_id)
           join deliveries using (message_id)
           join lanes as sender on sender.license_id = deliveries.license_id
           join attempts on attempts.license_id = deliveries.license_id
             and attempts.message_id = deliveries.message_id and attempts.try = deliveries.tries
             and attempts.from_number = sender.number)
         order by license_id for update",
        &messages,
    )
    .fetch_all(&mut **tx)
    .await?;
    for lane in lanes {
        let count = u32::try_from(lane.overflows).unwrap_or(0);
        let present = lane.overflowed_until.map(|until| Closing { until, count });
        let Some(closing) = decide_closing(SendingLimit::Sender, present, now) else { continue };
        sqlx::query!(
            "update lanes set
               overflowed_until = $2, overflows = $3,
               pause_reason = case when paused_until > $2 then pause_reason else 'throttled' end,
               paused_until = greatest(paused_until, $2), setbacks = greatest(setbacks, 1),
               due_at = case when due_at is not null then greatest(due_at, $2) end
             where license_id = $1",
            lane.license_id,
            closing.until,
            i32::try_from(closing.count).unwrap_or(i32::MAX),
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// What campaigns and brands were told closes them. Locks limits: the last thing of its transaction.
pub async fn close_limits(tx: &mut PgTransaction<'_>, words: &[LimitWord], now: DateTime<Utc>) -> sqlx::Result<()> {
    let words: Vec<&LimitWord> = words.iter().filter(|word| word.limit != SendingLimit::Sender).collect();
    if words.is_empty() {
        return Ok(());
    }
    let messages: Vec<Uuid> = words.iter().map(|word| word.message_id.uuid()).collect();
    let rows = sqlx::query!(
        r#"select deliveries.message_id, deliveries.license_id, lanes.campaign, lanes.brand,
                  coalesce(lines.network, deliveries.network) as network
           from unnest($1::uuid[]) as said (message_id)
           join deliveries using (message_id)
           join lanes using (license_id)
           left join lines on lines.number = deliveries.to_number"#,
        &messages,
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut closed: BTreeMap<Key, SendingLimit> = BTreeMap::new();
    for row in rows {
        let Ok(license_id) = LicenseId::parse(row.license_id) else { continue };
        let registration = Registration::new(license_id, row.campaign, row.brand);
        let stored = row.network.and_then(|network| network.parse().ok());
        for word in words.iter().filter(|word| word.message_id.uuid() == row.message_id) {
            let network = word.network.or(stored).unwrap_or(Network::Other);
            let key = match word.limit {
                SendingLimit::Sender => continue,
                SendingLimit::Campaign => registration.key(Scope::Campaign, Some(network)),
                SendingLimit::NetworkDay => registration.key(Scope::Brand, Some(network)),
                SendingLimit::BrandDay => registration.key(Scope::Brand, None),
            };
            closed.insert(key, word.limit);
        }
    }
    let keys: BTreeSet<Key> = closed.keys().cloned().collect();
    insert_missing(tx, &keys).await?;
    let buckets = select_for_update(tx, &keys).await?;
    for (key, limit) in closed {
        let bucket = buckets.get(&key);
        let present = bucket.closed_until.map(|until| Closing { until, count: bucket.closings });
        let Some(closing) = decide_closing(limit, present, now) else { continue };
        tracing::warn!(scope = key.scope.as_str(), until = %closing.until, "a carrier speaks of a limit");
        metrics::counter!("dispatch_limits_closed_total", "limit" => limit.as_str()).increment(1);
        sqlx::query!(
            "update limits set closed_until = $4, closings = $5 where (scope, name, network) = ($1, $2, $3)",
            key.scope.as_str(),
            key.name,
            key.network_word(),
            closing.until,
            i32::try_from(closing.count).unwrap_or(i32::MAX),
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

impl Store {
    /// What carriers said of limits when they did not take messages. The lanes pause by their outcomes.
    pub async fn close_limits(&self, words: &[LimitWord], now: DateTime<Utc>) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        close_limits(&mut tx, words, now).await?;
        tx.commit().await?;
        Ok(())
    }
}
