//! What is known of recipients' lines (rule 12), for all licenses together.
//!
//! That a line cannot receive texts is not overwritten by a lookup that says otherwise while it is known: the carrier
//! tried. Rows are written in the order of their numbers, after all other tables.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{Id, Message, Network, PhoneNumber};
use sqlx::PgTransaction;
use uuid::Uuid;

use super::Store;
use crate::error::StoreError;
use crate::model::Line;

/// Rows of one step.
const REMOVE_STEP: i64 = 5_000;

/// What was learned of a line.
#[derive(Clone, Copy, Debug)]
pub struct LearnedLine {
    pub number: PhoneNumber,
    pub line: Line,
    pub network: Option<Network>,
    /// When it is asked again.
    pub known_until: DateTime<Utc>,
}

/// Remembers what attempts brought. The same number may come several times.
pub async fn record_lines(
    tx: &mut PgTransaction<'_>,
    learned: impl IntoIterator<Item = LearnedLine>,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let mut by_number: BTreeMap<PhoneNumber, LearnedLine> = BTreeMap::new();
    for each in learned {
        let present = by_number.entry(each.number).or_insert(each);
        let network = present.network.or(each.network);
        if each.line.cannot_receive_sms() {
            *present = each;
        }
        present.network = network;
    }
    if by_number.is_empty() {
        return Ok(());
    }
    let numbers: Vec<String> = by_number.keys().map(|number| number.as_str().to_owned()).collect();
    let cannot: Vec<bool> = by_number.values().map(|each| each.line.cannot_receive_sms()).collect();
    let untils: Vec<DateTime<Utc>> = by_number.values().map(|each| each.known_until).collect();
    let networks: Vec<Option<&str>> = by_number.values().map(|each| each.network.map(Network::as_str)).collect();
    sqlx::query!(
        "insert into lines (number, cannot_receive_sms, learned_at, known_until, network)
         select learned.number, learned.cannot_receive_sms, $4, learned.known_until, learned.network
         from unnest($1::text[], $2::boolean[], $3::timestamptz[], $5::text[])
           as learned (number, cannot_receive_sms, known_until, network)
         order by learned.number
         on conflict (number) do update set
           cannot_receive_sms = excluded.cannot_receive_sms, learned_at = excluded.learned_at,
           known_until = excluded.known_until, network = coalesce(excluded.network, lines.network)
         where excluded.cannot_receive_sms or not lines.cannot_receive_sms or lines.known_until <= $4",
        &numbers,
        &cannot,
        &untils,
        now,
        networks.as_slice() as _,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Remembers that the recipients of these messages cannot receive texts. Messages that are not known are left out.
pub async fn record_recipients_that_cannot_receive(
    tx: &mut PgTransaction<'_>,
    messages: &[Id<Message>],
    known_until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = messages.iter().map(|message_id| message_id.uuid()).collect();
    sqlx::query!(
        "insert into lines (number, cannot_receive_sms, learned_at, known_until)
         select distinct to_number, true, $2::timestamptz, $3::timestamptz
         from deliveries where message_id = any($1)
         order by to_number
         on conflict (number) do update set
           cannot_receive_sms = true, learned_at = excluded.learned_at, known_until = excluded.known_until",
        &ids,
        now,
        known_until,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

impl Store {
    /// Forgets what is no longer known. Returns how many lines went.
    pub async fn remove_expired_lines(&self, now: DateTime<Utc>) -> Result<u64, StoreError> {
        let removed = sqlx::query!(
            "with old as materialized (
               select number from lines where known_until <= $1
               order by known_until limit $2
               for update skip locked
             )
             delete from lines using old where lines.number = old.number",
            now,
            REMOVE_STEP,
        )
        .execute(&self.pool)
        .await?;
        Ok(removed.rows_affected())
    }
}
