//! Where messages of one license stand, for those who ask why they wait.

use chrono::{DateTime, Utc};
use domain::{CarrierName, Id, LicenseId, Message};

use super::{Priority, Store};
use crate::error::StoreError;
use crate::model::{LaneNow, PauseReason, Waits};

/// So many deliveries of a lane are counted; nobody says when those further back go.
const COUNTED: i64 = 10_000;

/// A message that waits.
#[derive(Clone, Copy, Debug)]
pub struct Waiter {
    pub message_id: Id<Message>,
    pub waits: Waits,
    pub lane: LaneNow,
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
                      lanes.tat, lanes.paused_until, lanes.pause_reason,
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
        let nobody = LaneNow { has_number: false, served: false, tat: None, pause: None };
        Ok(row.map_or(Queue { segments: Some(0), lane: nobody }, |row| Queue {
            segments: u64::try_from(row.segments).ok().filter(|_| row.messages <= COUNTED),
            lane: LaneNow {
                has_number: row.has_number,
                served: row.served,
                tat: row.tat,
                pause: pause(row.pause_reason.as_deref(), row.paused_until),
            },
        }))
    }

    /// Those of the messages that wait for their turn or for word of the carrier. One that is being handed over
    /// right now does not wait. `carriers` are those that this process can call.
    pub async fn list_waiters(
        &self,
        license_id: &LicenseId,
        message_ids: &[Id<Message>],
        carriers: &[CarrierName],
    ) -> Result<Vec<Waiter>, StoreError> {
        let ids: Vec<uuid::Uuid> = message_ids.iter().map(|id| id.uuid()).collect();
        let carriers: Vec<String> = carriers.iter().map(ToString::to_string).collect();
        let rows = sqlx::query!(
            r#"with asked as materialized (
                 select message_id, state, priority, position from deliveries
                 where license_id = $1 and message_id = any($2) and state in ('waiting', 'unknown')
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
                      lanes.tat, lanes.paused_until, lanes.pause_reason
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
                    Waits::Confirmation
                } else {
                    Waits::Turn { segments_ahead: row.ahead.and_then(|ahead| u64::try_from(ahead).ok()) }
                },
                lane: LaneNow {
                    has_number: row.has_number,
                    served: row.served,
                    tat: row.tat,
                    pause: pause(row.pause_reason.as_deref(), row.paused_until),
                },
            })
            .collect())
    }
}

fn pause(reason: Option<&str>, until: Option<DateTime<Utc>>) -> Option<(PauseReason, DateTime<Utc>)> {
    Some((PauseReason::find(reason?)?, until?))
}
