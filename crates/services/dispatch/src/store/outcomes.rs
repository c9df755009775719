//! What became of attempts: many in one transaction, with their events.

use chrono::{DateTime, Utc};
use domain::{CarrierName, Id, Message, MessageStatus, PhoneNumber};
use proto::dispatch::{Error, MessageProgressed};
use sqlx::PgTransaction;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

use super::lines::record_lines;
use super::withdrawals::{canceled, find_withdrawn};
use super::{AttemptKey, LearnedLine, Store};
use crate::error::StoreError;
use crate::model::{
    Decision, DeliveryState, InquiryTimes, LaneChange, Next, decide_withdrawn, failure_code, merge_lane_changes,
};

/// What is to be recorded of one attempt.
#[derive(Clone, Debug)]
pub struct Settlement {
    pub key: AttemptKey,
    pub from: PhoneNumber,
    pub carrier: CarrierName,
    pub decision: Decision,
    /// What is new about the recipient's line.
    pub learned: Option<LearnedLine>,
}

impl Store {
    /// Records outcomes in one transaction. Returns how many deliveries were withdrawn meanwhile and end with it.
    pub async fn record_outcomes(&self, settlements: &[Settlement], now: DateTime<Utc>) -> Result<usize, StoreError> {
        let mut tx = self.pool.begin().await?;
        let withdrawn = record_outcomes(&mut tx, settlements, &self.times, now).await?;
        tx.commit().await?;
        Ok(withdrawn)
    }
}

/// Records outcomes, lane changes, what was learned of lines, and events.
///
/// An outcome applies to the newest attempt of a delivery that is not settled. It applies to an `unknown` one too: the
/// sweeper may have given up on a call whose answer comes after all. What a receipt has settled stays so. Returns how
/// many deliveries were withdrawn meanwhile and end with it.
pub async fn record_outcomes(
    tx: &mut PgTransaction<'_>,
    settlements: &[Settlement],
    times: &InquiryTimes,
    now: DateTime<Utc>,
) -> sqlx::Result<usize> {
    mark_lanes(tx, settlements, now).await?;
    let settlements = apply_withdrawals(tx, settlements).await?;
    let settlements = settlements.as_ref();
    let changed = mark_deliveries(tx, settlements, times, now).await?;
    mark_attempts(tx, settlements, now).await?;
    record_lines(tx, settlements.iter().filter_map(|settlement| settlement.learned), now).await?;
    let changed = || settlements.iter().filter(|settlement| changed.contains(&settlement.key.message_id));
    let events: Vec<MessageProgressed> = changed().filter_map(|settlement| find_event(settlement, now)).collect();
    bus::outbox::record(tx, &events, now).await?;
    Ok(changed().filter(|settlement| settlement.decision.next.state() == DeliveryState::Canceled).count())
}

/// What would wait again or stay unknown may have been withdrawn while it was attempted. Costs nothing where all is
/// settled. What would wait again has its lane locked by now, as every withdrawal has: none is overlooked.
async fn apply_withdrawals<'a>(
    tx: &mut PgTransaction<'_>,
    settlements: &'a [Settlement],
) -> sqlx::Result<Cow<'a, [Settlement]>> {
    let open: Vec<&AttemptKey> = settlements
        .iter()
        .filter(|settlement| !settlement.decision.next.state().is_settled())
        .map(|settlement| &settlement.key)
        .collect();
    let withdrawn = find_withdrawn(tx, &open).await?;
    if withdrawn.is_empty() {
        return Ok(Cow::Borrowed(settlements));
    }
    let mut settlements = settlements.to_vec();
    for settlement in &mut settlements {
        if let Some(withdrawal) = withdrawn.get(&settlement.key.message_id) {
            let next = settlement.decision.next.clone();
            settlement.decision.next = decide_withdrawn(next, *withdrawal);
        }
    }
    Ok(Cow::Owned(settlements))
}

async fn mark_lanes(tx: &mut PgTransaction<'_>, settlements: &[Settlement], now: DateTime<Utc>) -> sqlx::Result<()> {
    let troubled: Vec<String> = settlements
        .iter()
        .filter(|each| each.decision.lane.is_some())
        .map(|each| each.key.license_id.to_string())
        .collect();
    if troubled.is_empty() {
        return Ok(());
    }
    let lanes = sqlx::query!(
        "select license_id, number from lanes where license_id = any($1) order by license_id for update",
        &troubled,
    )
    .fetch_all(&mut **tx)
    .await?;
    let numbers: HashMap<String, PhoneNumber> = lanes
        .into_iter()
        .filter_map(|lane| Some((lane.license_id, PhoneNumber::from_e164(lane.number.as_deref()?).ok()?)))
        .collect();
    let changes = merge_lane_changes(settlements.iter().filter_map(|each| {
        let license_id = &each.key.license_id;
        Some((license_id, each.decision.lane?.on(each.from, numbers.get(license_id.as_str()).copied())))
    }));
    let (mut licenses, mut untils, mut reasons, mut setbacks) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (license_id, change) in changes {
        licenses.push(license_id.to_string());
        match change {
            LaneChange::Again => {
                untils.push(None);
                reasons.push(None);
                setbacks.push(None);
            }
            LaneChange::Resume => {
                untils.push(None);
                reasons.push(None);
                setbacks.push(Some(0));
            }
            LaneChange::Pause { until, reason, setbacks: count } => {
                untils.push(Some(until));
                reasons.push(Some(reason.as_str()));
                setbacks.push(Some(i32::try_from(count).unwrap_or(i32::MAX)));
            }
        }
    }
    // A longer pause that is there stays, with its reason; a change without setbacks (`Again`) leaves everything but
    // when it is due. What waits again must find its lane due, whatever it was before.
    sqlx::query!(
        "update lanes set
           paused_until = case when change.setbacks is null then lanes.paused_until
                               when change.until is not null then greatest(lanes.paused_until, change.until) end,
           pause_reason = case when change.setbacks is null or lanes.paused_until > change.until
                               then lanes.pause_reason else change.reason end,
           setbacks = case when change.setbacks is null then lanes.setbacks
                           when change.until is not null then greatest(lanes.setbacks, change.setbacks)
                           else 0 end,
           due_at = greatest($5, lanes.tat, change.until,
                             case when change.setbacks is null or change.until is not null then lanes.paused_until end)
         from unnest($1::text[], $2::timestamptz[], $3::text[], $4::integer[])
           as change (license_id, until, reason, setbacks)
         where lanes.license_id = change.license_id",
        &licenses,
        untils.as_slice() as _,
        reasons.as_slice() as _,
        setbacks.as_slice() as _,
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Returns the messages whose state changed.
async fn mark_deliveries(
    tx: &mut PgTransaction<'_>,
    settlements: &[Settlement],
    times: &InquiryTimes,
    now: DateTime<Utc>,
) -> sqlx::Result<HashSet<Id<Message>>> {
    let licenses: Vec<String> = settlements.iter().map(|each| each.key.license_id.to_string()).collect();
    let messages: Vec<Uuid> = settlements.iter().map(|each| each.key.message_id.uuid()).collect();
    let tries: Vec<i32> = settlements.iter().map(|each| each.key.number).collect();
    let states: Vec<&str> = settlements.iter().map(|each| each.decision.next.state().as_str()).collect();
    let settled: Vec<bool> = settlements.iter().map(|each| each.decision.next.state().is_settled()).collect();
    let ask_at: Vec<Option<DateTime<Utc>>> = settlements
        .iter()
        .map(|each| match each.decision.next {
            Next::Unknown => Some(times.first_look(now)),
            Next::Accepted { .. } => times.first_receipt(now),
            _ => None,
        })
        .collect();
    let changed = sqlx::query_scalar!(
        "with found as materialized (
           select deliveries.license_id, deliveries.message_id
           from unnest($1::text[], $2::uuid[]) as wanted (license_id, message_id)
           join deliveries using (license_id, message_id)
           order by deliveries.message_id for update of deliveries
         )
         update deliveries set
           state = change.state,
           settled_at = case when change.settled then $6::timestamptz end,
           body = case when not change.settled then deliveries.body end,
           media_urls = case when change.settled then '{}' else deliveries.media_urls end,
           ask_at = change.ask_at, asked = 0
         from unnest($1::text[], $2::uuid[], $3::integer[], $4::text[], $5::boolean[], $7::timestamptz[])
           as change (license_id, message_id, try, state, settled, ask_at)
         join found using (license_id, message_id)
         where (deliveries.license_id, deliveries.message_id) = (change.license_id, change.message_id)
           and deliveries.tries = change.try
           and deliveries.state in ('attempting', 'unknown') and deliveries.state <> change.state
         returning deliveries.message_id",
        &licenses,
        &messages,
        &tries,
        states.as_slice() as _,
        &settled,
        now,
        ask_at.as_slice() as _,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(changed.into_iter().map(Id::from_uuid).collect())
}

/// A better word replaces "unknown"; anything else stays as it was recorded first.
async fn mark_attempts(tx: &mut PgTransaction<'_>, settlements: &[Settlement], now: DateTime<Utc>) -> sqlx::Result<()> {
    let licenses: Vec<String> = settlements.iter().map(|each| each.key.license_id.to_string()).collect();
    let messages: Vec<Uuid> = settlements.iter().map(|each| each.key.message_id.uuid()).collect();
    let tries: Vec<i32> = settlements.iter().map(|each| each.key.number).collect();
    let outcomes: Vec<&str> = settlements.iter().map(|each| each.decision.outcome).collect();
    let (carrier_ids, codes): (Vec<Option<&str>>, Vec<Option<&str>>) = settlements
        .iter()
        .map(|each| match &each.decision.next {
            Next::Accepted { carrier_message_id, .. } => (Some(carrier_message_id.as_str()), None),
            Next::Failed { code, .. } | Next::Withheld { code, .. } => (None, Some(*code)),
            Next::Waiting | Next::Unknown | Next::Unconfirmed | Next::Canceled | Next::Erased => (None, None),
        })
        .unzip();
    sqlx::query!(
        "update attempts set
           ended_at = $7, outcome = change.outcome,
           carrier_message_id = change.carrier_message_id, code = change.code
         from unnest($1::text[], $2::uuid[], $3::integer[], $4::text[], $5::text[], $6::text[])
           as change (license_id, message_id, try, outcome, carrier_message_id, code)
         where (attempts.license_id, attempts.message_id, attempts.try)
             = (change.license_id, change.message_id, change.try)
           and (attempts.ended_at is null or attempts.outcome = 'unknown')",
        &licenses,
        &messages,
        &tries,
        outcomes.as_slice() as _,
        carrier_ids.as_slice() as _,
        codes.as_slice() as _,
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// `None`: nothing that anybody else must know.
fn find_event(settlement: &Settlement, now: DateTime<Utc>) -> Option<MessageProgressed> {
    let mut event = MessageProgressed {
        license_id: settlement.key.license_id.to_string(),
        message_id: settlement.key.message_id.to_string(),
        from: Some(settlement.from.as_str().to_owned()),
        carrier: Some(settlement.carrier.to_string()),
        occurred_at: Some(proto::to_timestamp(now)),
        ..MessageProgressed::default()
    };
    let status = match &settlement.decision.next {
        Next::Waiting | Next::Erased => return None,
        Next::Canceled => return Some(canceled(event.license_id, settlement.key.message_id, now)),
        Next::Accepted { carrier_message_id, segments } => {
            event.carrier_message_id = Some(carrier_message_id.clone());
            event.segments = *segments;
            MessageStatus::Sending
        }
        Next::Failed { code, detail } => {
            event.error = Some(Error { code: (*code).to_owned(), detail: detail.clone() });
            MessageStatus::Failed
        }
        Next::Withheld { code, detail } => {
            event.error = Some(Error { code: (*code).to_owned(), detail: detail.clone() });
            (event.from, event.carrier) = (None, None);
            MessageStatus::Failed
        }
        Next::Unknown => MessageStatus::Unknown,
        Next::Unconfirmed => {
            let detail = "The carrier did not say whether it took this message. It may have arrived.".to_owned();
            event.error = Some(Error { code: failure_code::NOT_CONFIRMED.to_owned(), detail });
            MessageStatus::Unknown
        }
    };
    status.as_str().clone_into(&mut event.status);
    Some(event)
}
