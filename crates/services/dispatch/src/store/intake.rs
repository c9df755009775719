//! What comes in by events: messages to send, numbers to send from, receipts that settle.
//! All inside the consumer's transaction.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{Batch, CarrierName, Conversation, Id, LicenseId, Message, MessageBody, PhoneNumber};
use sqlx::PgTransaction;
use url::Url;
use uuid::Uuid;

use super::withdrawals::find_canceled;
use crate::model::InquiryTimes;

/// So long a message waits for the one that it follows and that has not come. Longer than the stream takes to bring an event
/// again.
const FOLLOWS_FOR: TimeDelta = TimeDelta::minutes(1);

/// Which class of its lane a message is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    Reply,
    Batch,
}

/// A message to send.
#[derive(Clone)]
pub struct NewDelivery {
    pub license_id: LicenseId,
    pub message_id: Id<Message>,
    pub conversation_id: Id<Conversation>,
    /// Of a send to several recipients.
    pub batch_id: Option<Id<Batch>>,
    pub priority: Priority,
    /// Goes first.
    pub follows: Option<Id<Message>>,
    pub to: PhoneNumber,
    pub body: MessageBody,
    pub media_urls: Vec<Url>,
    /// At least 1.
    pub segments: i32,
    pub queued_at: DateTime<Utc>,
}

impl fmt::Debug for NewDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewDelivery")
            .field("license_id", &self.license_id)
            .field("message_id", &self.message_id)
            .finish_non_exhaustive()
    }
}

/// A license's number.
#[derive(Clone, Debug)]
pub struct NewNumber {
    pub license_id: LicenseId,
    pub number: PhoneNumber,
    pub carrier: CarrierName,
    /// Only a higher one replaces what is there.
    pub version: i64,
}

/// Copies messages into the queue and wakes their lanes. A message that is there already stays as it is. One that was
/// withdrawn before it came is not queued; the events of those whose batch was canceled are returned.
///
/// `by_network`: networks have limits, so what is known of the recipients' networks is kept with the messages.
pub async fn record_deliveries(
    tx: &mut PgTransaction<'_>,
    new: &[NewDelivery],
    by_network: bool,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<proto::dispatch::MessageProgressed>> {
    // The lanes first: their locks keep a turn from looking before these deliveries are visible, and a withdrawal from
    // passing unseen. Only the next statement sees what the holder of the lock has committed.
    let licenses: Vec<String> = new.iter().map(|delivery| delivery.license_id.to_string()).collect();
    sqlx::query!(
        "insert into lanes (license_id)
         select distinct license_id from unnest($1::text[]) as license_id order by license_id
         on conflict (license_id) do update set due_at =
           case when lanes.number is null then null
                -- After a pause one message is tried first, alone.
                when lanes.setbacks > 0 and lanes.due_at is not null then lanes.due_at
                -- It may look later only because of what waits for something else.
                else least(lanes.due_at, greatest($2, lanes.tat, lanes.paused_until)) end",
        &licenses,
        now,
    )
    .execute(&mut **tx)
    .await?;

    let ids: Vec<Uuid> = new.iter().map(|delivery| delivery.message_id.uuid()).collect();
    let conversations: Vec<Uuid> = new.iter().map(|delivery| delivery.conversation_id.uuid()).collect();
    let batches: Vec<Option<Uuid>> = new.iter().map(|delivery| delivery.batch_id.map(Id::uuid)).collect();
    let priorities: Vec<i16> = new.iter().map(|delivery| delivery.priority as i16).collect();
    let numbers: Vec<String> = new.iter().map(|delivery| delivery.to.as_str().to_owned()).collect();
    let bodies: Vec<String> = new.iter().map(|delivery| delivery.body.as_str().to_owned()).collect();
    // An array of arrays must be rectangular in PostgreSQL: each row's addresses travel as one JSON text.
    let media: Vec<sqlx::types::Json<Vec<&str>>> =
        new.iter().map(|delivery| sqlx::types::Json(delivery.media_urls.iter().map(Url::as_str).collect())).collect();
    let segments: Vec<i32> = new.iter().map(|delivery| delivery.segments).collect();
    let queued: Vec<DateTime<Utc>> = new.iter().map(|delivery| delivery.queued_at).collect();
    let follows: Vec<Option<Uuid>> = new.iter().map(|delivery| delivery.follows.map(Id::uuid)).collect();
    let queued_now = sqlx::query!(
        "insert into deliveries
           (license_id, message_id, conversation_id, batch_id, priority, to_number, body, media_urls, segments, state,
            queued_at, network, follows, follows_until)
         select new.license_id, new.message_id, new.conversation_id, new.batch_id, new.priority, new.to_number, new.body,
                array(select jsonb_array_elements_text(new.media_urls)), new.segments, 'waiting', new.queued_at,
                case when $11 then
                  coalesce((select lines.network from lines where lines.number = new.to_number), 'other') end,
                new.follows, case when new.follows is not null then $13::timestamptz end
         from unnest($1::text[], $2::uuid[], $3::smallint[], $4::text[], $5::text[], $6::jsonb[], $7::integer[],
                     $8::timestamptz[], $9::uuid[], $10::uuid[], $12::uuid[])
           with ordinality
           as new (license_id, message_id, priority, to_number, body, media_urls, segments, queued_at, conversation_id,
                   batch_id, follows, n)
         where not exists (
           select from withdrawals
           where withdrawals.license_id = new.license_id
             and withdrawals.of = any(array[new.conversation_id, new.batch_id]))
         order by new.n
         on conflict do nothing",
        &licenses,
        &ids,
        &priorities,
        &numbers,
        &bodies,
        media.as_slice() as _,
        &segments,
        &queued,
        &conversations,
        batches.as_slice() as _,
        by_network,
        follows.as_slice() as _,
        now + FOLLOWS_FOR,
    )
    .execute(&mut **tx)
    .await?;
    if queued_now.rows_affected() == new.len() as u64 {
        return Ok(Vec::new());
    }
    find_canceled(tx, new, now).await
}

/// Keeps the highest version of each license's number. A new number has its own pace and no setbacks, and what waits
/// goes out from it at once, also over another carrier. At most one per license.
pub async fn record_numbers(tx: &mut PgTransaction<'_>, new: &[NewNumber], now: DateTime<Utc>) -> sqlx::Result<()> {
    let licenses: Vec<String> = new.iter().map(|number| number.license_id.to_string()).collect();
    let numbers: Vec<String> = new.iter().map(|number| number.number.as_str().to_owned()).collect();
    let carriers: Vec<String> = new.iter().map(|number| number.carrier.to_string()).collect();
    let versions: Vec<i64> = new.iter().map(|number| number.version).collect();
    sqlx::query!(
        "insert into lanes (license_id, number, carrier, number_version, due_at)
         select new.license_id, new.number, new.carrier, new.version, $5
         from unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) as new (license_id, number, carrier, version)
         order by new.license_id
         on conflict (license_id) do update set
           number = excluded.number, carrier = excluded.carrier, number_version = excluded.number_version,
           tat = null, paused_until = null, pause_reason = null, setbacks = 0, due_at = excluded.due_at
         where excluded.number_version > lanes.number_version",
        &licenses,
        &numbers,
        &carriers,
        &versions,
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What receipts say of one message.
#[derive(Clone, Debug)]
pub struct Said {
    pub message_id: Id<Message>,
    pub carrier_message_id: String,
    /// Nothing more will be said.
    pub is_end: bool,
}

/// Receipts prove that the carrier has these messages: whatever has not come to its end becomes accepted, also what is
/// still being attempted (its receipt may overtake its answer) or waits again. One that speaks of the end also ends the
/// asking. Returns the events of those that became accepted.
///
/// At most one for each message.
pub async fn settle_by_receipts(
    tx: &mut PgTransaction<'_>,
    receipts: &[Said],
    times: &InquiryTimes,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<proto::dispatch::MessageProgressed>> {
    let ids: Vec<Uuid> = receipts.iter().map(|said| said.message_id.uuid()).collect();
    let ends: Vec<bool> = receipts.iter().map(|said| said.is_end).collect();
    let carrier_ids: Vec<String> = receipts.iter().map(|said| said.carrier_message_id.clone()).collect();
    let mut settled = sqlx::query!(
        r#"with found as materialized (
             select deliveries.message_id, said.is_end,
                    deliveries.state in ('waiting', 'held', 'attempting', 'unknown', 'unconfirmed') as was_open
             from unnest($1::uuid[], $3::boolean[]) as said (message_id, is_end)
             join deliveries using (message_id)
             where deliveries.state in ('waiting', 'held', 'attempting', 'unknown', 'unconfirmed')
                or said.is_end and deliveries.ask_at is not null
             order by deliveries.message_id for update of deliveries
           )
           update deliveries set
             state = 'accepted', body = null, media_urls = '{}', held_until = null, held_reason = null,
             settled_at = case when found.was_open then $2 else deliveries.settled_at end,
             ask_at = case when found.is_end or deliveries.tries = 0 then null
                           when found.was_open then $4::timestamptz else deliveries.ask_at end,
             asked = 0
           from found
           where deliveries.message_id = found.message_id
             and (deliveries.state in ('waiting', 'held', 'attempting', 'unknown', 'unconfirmed') or deliveries.ask_at is not null)
           returning deliveries.license_id, deliveries.message_id, deliveries.tries, found.was_open as "was_open!""#,
        &ids,
        now,
        &ends,
        times.first_receipt(now),
    )
    .fetch_all(&mut **tx)
    .await?;
    settled.retain(|row| row.was_open);
    if settled.is_empty() {
        return Ok(Vec::new());
    }

    let licenses: Vec<String> = settled.iter().map(|row| row.license_id.clone()).collect();
    let messages: Vec<Uuid> = settled.iter().map(|row| row.message_id).collect();
    let tries: Vec<i32> = settled.iter().map(|row| row.tries).collect();
    // A delivery without an attempt has a receipt only after this database was set back; it is believed all the same.
    let rows = sqlx::query!(
        r#"with settled as (
             select settled.license_id, settled.message_id, settled.try, said.carrier_message_id
             from unnest($1::text[], $2::uuid[], $3::integer[]) as settled (license_id, message_id, try)
             join unnest($4::uuid[], $5::text[]) as said (message_id, carrier_message_id) using (message_id)
           ), ended as (
             update attempts
             set ended_at = coalesce(attempts.ended_at, $6), outcome = 'accepted', code = null,
                 carrier_message_id = settled.carrier_message_id
             from settled
             where (attempts.license_id, attempts.message_id, attempts.try)
                 = (settled.license_id, settled.message_id, settled.try)
             returning attempts.license_id, attempts.message_id, attempts.from_number, attempts.carrier
           )
           select settled.license_id as "license_id!", settled.message_id as "message_id!",
                  settled.carrier_message_id as "carrier_message_id!",
                  ended.from_number as "from_number?", ended.carrier as "carrier?"
           from settled left join ended using (license_id, message_id)"#,
        &licenses,
        &messages,
        &tries,
        &ids,
        &carrier_ids,
        now,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| proto::dispatch::MessageProgressed {
            license_id: row.license_id,
            message_id: row.message_id.to_string(),
            status: domain::MessageStatus::Sending.as_str().to_owned(),
            from: row.from_number,
            carrier: row.carrier,
            carrier_message_id: Some(row.carrier_message_id).filter(|id| !id.is_empty()),
            segments: None,
            error: None,
            occurred_at: Some(proto::to_timestamp(now)),
        })
        .collect())
}
