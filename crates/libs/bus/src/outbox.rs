//! The outbox: the event of a change is written in the change's own transaction.
//!
//! Nothing is published from here; see [`crate::Relay`]. An event that has the id of what it tells of can be found and
//! taken back while it waits.

use chrono::{DateTime, Utc};
use proto::Event;
use sqlx::{PgConnection, PgTransaction};
use uuid::Uuid;

/// Records events, all of one kind, in one statement. They are published after the commit.
///
/// # Errors
/// What the database says.
pub async fn record<E: Event>(
    tx: &mut PgTransaction<'_>,
    events: &[E],
    occurred_at: DateTime<Utc>,
) -> sqlx::Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let own = |event: &E| event.event_id().and_then(|id| Uuid::try_parse(id).ok());
    let ids: Vec<Uuid> = events.iter().map(|event| own(event).unwrap_or_else(Uuid::now_v7)).collect();
    let payloads: Vec<Vec<u8>> = events.iter().map(prost::Message::encode_to_vec).collect();
    let mut traceparent = None;
    chassis::trace_context::inject(&mut |name, value| {
        if name == "traceparent" {
            traceparent = Some(value);
        }
    });
    sqlx::query!(
        "insert into outbox (event_id, subject, payload, traceparent, occurred_at)
         select event.id, $3, event.payload, $4, $5
         from unnest($1::uuid[], $2::bytea[]) with ordinality as event (id, payload, n)
         order by event.n",
        &ids,
        &payloads,
        E::SUBJECT,
        traceparent,
        occurred_at,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// An event that waits for its publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Its place in the outbox.
    pub position: i64,
    pub event_id: Uuid,
}

/// Events of one kind that wait, after a place, at most `limit` of them.
///
/// # Errors
/// What the database says.
pub async fn list_waiting<E: Event>(db: &mut PgConnection, after: i64, limit: i64) -> sqlx::Result<Vec<Waiting>> {
    sqlx::query_as!(
        Waiting,
        "select position, event_id from outbox where position > $1 and subject = $2 order by position limit $3",
        after,
        E::SUBJECT,
        limit,
    )
    .fetch_all(db)
    .await
}

/// Takes back events of one kind. One that a relay has in hand goes out or waits on: nobody waits for a relay. Returns
/// how many went.
///
/// # Errors
/// What the database says.
pub async fn take_back<E: Event>(db: &mut PgConnection, event_ids: &[Uuid]) -> sqlx::Result<u64> {
    if event_ids.is_empty() {
        return Ok(0);
    }
    let taken = sqlx::query!(
        "delete from outbox where position in
           (select position from outbox where event_id = any($1) and subject = $2 for update skip locked)",
        event_ids,
        E::SUBJECT,
    )
    .execute(db)
    .await?;
    Ok(taken.rows_affected())
}
