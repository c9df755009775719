//! Where messages of one license stand, for those who ask why they wait.

use chrono::{DateTime, Utc};
use domain::{Batch, CarrierName, Id, LicenseId, Message, Network, PhoneNumber};

use super::claims::find_quiet;
use super::limits::read_network;
use super::{Priority, Store};
use crate::error::StoreError;
use crate::model::{CampaignNow, Hold, HoldReason, InLine, LaneNow, LimitTree, NETWORKS, PauseReason, Waits};

/// So many deliveries of a lane are counted; nobody says when those further back go.
const COUNTED: i64 = 10_000;
/// So many are looked at one by one where that is needed.
const LINE: i64 = 30_000;

/// A message that waits.
#[derive(Clone, Copy, Debug)]
pub struct Waiter {
    pub message_id: Id<Message>,
    pub waits: Waits,
    pub lane: LaneNow,
}

/// Up to where a line is looked at.
#[derive(Clone, Copy, Debug)]
pub enum LastOf<'a> {
    Messages(&'a [Id<Message>]),
    Batch(Id<Batch>),
}

/// What stands in a line, as far as it is looked at.
#[derive(Clone, Debug)]
pub struct Line {
    pub lane: LaneNow,
    pub campaign: CampaignNow,
    /// In the order in which they go.
    pub messages: Vec<(Id<Message>, Option<Id<Batch>>, InLine)>,
    /// There is more behind.
    pub is_cut: bool,
}

/// What stands before a message that is queued now.
#[derive(Clone, Copy, Debug)]
pub struct Queue {
    /// `None`: more than are counted.
    pub segments: Option<u64>,
    pub lane: LaneNow,
}

impl Store {
    /// What waits in a license's lane: everything, or only replies. A license that is not known has no number.
    /// `carriers` are those that this process can call.
    pub async fn find_queue(
        &self,
        license_id: &LicenseId,
        last: Priority,
        carriers: &[CarrierName],
    ) -> Result<Queue, StoreError> {
        let carriers: Vec<String> = carriers.iter().map(ToString::to_string).collect();
        let row = sqlx::query!(
            r#"select lanes.number is not null as "has_number!", coalesce(lanes.carrier = any($2), false) as "served!",
                      lanes.tat, lanes.paused_until, lanes.pause_reason, lanes.quiet_from, lanes.quiet_until,
                      ahead.messages as "messages!", ahead.segments as "segments!"
               from lanes
               cross join lateral (
                 select count(*) as messages, coalesce(sum(front.segments), 0) as segments
                 from (
                   select segments from deliveries
                   where deliveries.license_id = lanes.license_id and state = 'waiting' and priority <= $3
                   order by priority, position limit $4
                 ) as front
               ) as ahead
               where lanes.license_id = $1"#,
            license_id.as_str(),
            &carriers,
            last as i16,
            COUNTED + 1,
        )
        .fetch_optional(&self.pool)
        .await?;
        let nobody = LaneNow { has_number: false, served: false, tat: None, pause: None, quiet: None };
        Ok(row.map_or(Queue { segments: Some(0), lane: nobody }, |row| Queue {
            segments: u64::try_from(row.segments).ok().filter(|_| row.messages <= COUNTED),
            lane: LaneNow {
                has_number: row.has_number,
                served: row.served,
                tat: row.tat,
                pause: pause(row.pause_reason.as_deref(), row.paused_until),
                quiet: find_quiet(row.quiet_from, row.quiet_until),
            },
        }))
    }

    /// Those of the messages that wait for their turn, are held, or wait for word of the carrier. One that is being handed
    /// over right now does not wait. `carriers` are those that this process can call; `are_limited` whether there are
    /// limits above the pace.
    pub async fn list_waiters(
        &self,
        license_id: &LicenseId,
        message_ids: &[Id<Message>],
        carriers: &[CarrierName],
        are_limited: bool,
    ) -> Result<Vec<Waiter>, StoreError> {
        let ids: Vec<uuid::Uuid> = message_ids.iter().map(|id| id.uuid()).collect();
        let carriers: Vec<String> = carriers.iter().map(ToString::to_string).collect();
        let rows = sqlx::query!(
            r#"with asked as materialized (
                 select message_id, state, priority, position, ask_at from deliveries
                 where license_id = $1 and message_id = any($2) and state in ('waiting', 'held', 'unknown')
               ), queue as (
                 select message_id, sum(segments) over (order by priority, position) - segments as ahead
                 from (
                   select message_id, segments, priority, position from deliveries
                   where license_id = $1 and state = 'waiting'
                     -- Nobody behind the last of those asked for matters; nothing is read when none of them waits.
                     and (priority, position) <= (
                       select priority, position from asked where state = 'waiting'
                       order by priority desc, position desc limit 1)
                   order by priority, position limit $3
                 ) as front
               )
               select asked.message_id as "message_id!", asked.state as "state!", queue.ahead as "ahead?",
                      lanes.number is not null as "has_number!", coalesce(lanes.carrier = any($4), false) as "served!",
                      lanes.tat, lanes.paused_until, lanes.pause_reason, lanes.quiet_from, lanes.quiet_until,
                      asked.priority as "priority!", asked.ask_at
               from asked
               join lanes on lanes.license_id = $1
               left join queue using (message_id)"#,
            license_id.as_str(),
            &ids,
            COUNTED,
            &carriers,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| Waiter {
                message_id: Id::from_uuid(row.message_id),
                waits: if row.state == "unknown" {
                    Waits::Confirmation { until: row.ask_at }
                } else if row.state == "held"
                    || are_limited
                    || row.quiet_from.is_some() && row.priority == Priority::Batch as i16
                {
                    Waits::InLine
                } else {
                    Waits::Turn { segments_ahead: row.ahead.and_then(|ahead| u64::try_from(ahead).ok()) }
                },
                lane: LaneNow {
                    has_number: row.has_number,
                    served: row.served,
                    tat: row.tat,
                    pause: pause(row.pause_reason.as_deref(), row.paused_until),
                    quiet: find_quiet(row.quiet_from, row.quiet_until),
                },
            })
            .collect())
    }

    /// The line of a license as far as the last of these messages: what waits and what is held. `None`: it has no lane,
    /// or none of them is in line.
    pub async fn find_line(
        &self,
        license_id: &LicenseId,
        last: LastOf<'_>,
        carriers: &[CarrierName],
        limits: &LimitTree,
    ) -> Result<Option<Line>, StoreError> {
        let carriers: Vec<String> = carriers.iter().map(ToString::to_string).collect();
        let (asked, batch) = match last {
            LastOf::Messages(ids) => (ids.iter().map(|id| id.uuid()).collect(), None),
            LastOf::Batch(id) => (Vec::new(), Some(id.uuid())),
        };
        let lane = sqlx::query!(
            r#"select number is not null as "has_number!", coalesce(carrier = any($4), false) as "served!",
                      tat, paused_until, pause_reason, quiet_from, quiet_until, campaign,
                      (select array[last.priority::bigint, last.position] from (
                         select priority, position from deliveries
                         where license_id = $1 and message_id = any($2) and state in ('waiting', 'held')
                         union all
                         select * from (
                           select priority, position from deliveries
                           where license_id = $1 and batch_id = $3 and batch_id is not null and state = 'waiting'
                           order by priority desc, position desc limit 1) as waiting
                         union all
                         select * from (
                           select priority, position from deliveries
                           where license_id = $1 and batch_id = $3 and batch_id is not null and state = 'held'
                           order by priority desc, position desc limit 1) as held
                         order by priority desc, position desc limit 1
                       ) as last) as last
               from lanes where license_id = $1"#,
            license_id.as_str(),
            &asked,
            batch,
            &carriers,
        )
        .fetch_optional(&self.pool)
        .await?;
        let Some(lane) = lane else { return Ok(None) };
        let Some([priority, position]) = lane.last.and_then(|last| <[i64; 2]>::try_from(last).ok()) else {
            return Ok(None);
        };
        let rows = sqlx::query!(
            r#"select message_id as "message_id!", batch_id, priority as "priority!", to_number as "to_number!",
                      segments as "segments!", held_until, held_reason, network
               from (
                 (select message_id, batch_id, priority, position, to_number, segments, held_until, held_reason, network
                  from deliveries
                  where license_id = $1 and state = 'waiting' and (priority, position) <= ($2, $3)
                  order by priority, position limit $4)
                 union all
                 (select message_id, batch_id, priority, position, to_number, segments, held_until, held_reason, network
                  from deliveries
                  where license_id = $1 and state = 'held' and (priority, position) <= ($2, $3)
                  order by priority, position limit $4)
               ) as line
               order by priority, position limit $4"#,
            license_id.as_str(),
            i16::try_from(priority).unwrap_or(i16::MAX),
            position,
            LINE + 1,
        )
        .fetch_all(&self.pool)
        .await?;
        let counted = usize::try_from(LINE).unwrap_or(usize::MAX);
        let is_cut = rows.len() > counted;
        let mut messages = Vec::with_capacity(rows.len().min(counted));
        for row in rows.into_iter().take(counted) {
            let in_line = InLine {
                is_batch: row.priority == Priority::Batch as i16,
                recipient: PhoneNumber::from_e164(&row.to_number)
                    .map_err(|_| StoreError::Corrupt { what: "recipient" })?,
                segments: u32::try_from(row.segments).unwrap_or(1),
                network: read_network(row.network.as_deref()),
                hold: row
                    .held_reason
                    .and_then(|reason| Some(Hold { until: row.held_until?, reason: HoldReason::find(&reason)? })),
            };
            messages.push((Id::from_uuid(row.message_id), row.batch_id.map(Id::from_uuid), in_line));
        }
        let campaign = self.find_campaign(license_id, lane.campaign.as_deref(), limits).await?;
        let lane = LaneNow {
            has_number: lane.has_number,
            served: lane.served,
            tat: lane.tat,
            pause: pause(lane.pause_reason.as_deref(), lane.paused_until),
            quiet: find_quiet(lane.quiet_from, lane.quiet_until),
        };
        Ok(Some(Line { lane, campaign, messages, is_cut }))
    }

    /// How fast a campaign goes. Nothing is read where nothing is limited.
    async fn find_campaign(
        &self,
        license_id: &LicenseId,
        name: Option<&str>,
        limits: &LimitTree,
    ) -> Result<CampaignNow, StoreError> {
        let mut campaign = CampaignNow { limits: *limits.of_campaign(name), tats: [None; NETWORKS] };
        if !limits.is_on() {
            return Ok(campaign);
        }
        let rows = sqlx::query!(
            "select network, tat from limits where scope = 'campaign' and name = coalesce($1, '.' || $2)",
            name,
            license_id.as_str(),
        )
        .fetch_all(&self.pool)
        .await?;
        for (network, tat) in Network::ALL.iter().zip(&mut campaign.tats) {
            *tat = rows.iter().find(|row| row.network == network.as_str()).and_then(|row| row.tat);
        }
        Ok(campaign)
    }
}

fn pause(reason: Option<&str>, until: Option<DateTime<Utc>>) -> Option<(PauseReason, DateTime<Utc>)> {
    Some((PauseReason::find(reason?)?, until?))
}
