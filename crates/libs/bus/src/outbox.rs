//! The outbox: the event of a change is written in the change's own transaction.
//!
//! Nothing is published from here; see [`crate::Relay`].

use chrono::{DateTime, Utc};
use proto::Event;
use sqlx::PgTransaction;
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
    let ids: Vec<Uuid> = events.iter().map(|_| Uuid::now_v7()).collect();
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
