//! What each manager has read. Nothing here counts messages one by one, except those after the one that was read last.
//!
//! Marks move under the license's lock: an inbound message that comes meanwhile is unread.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::{Conversation, Id, LicenseId, ManagerId};
use proto::conversations as wire;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Result, Tx};

/// Whose reading of which conversation.
pub(crate) type MarkKey = (String, String, Uuid);

/// The manager's unread messages over all conversations. `None`: this manager has never looked.
pub(crate) async fn find_total_unread(
    db: &mut PgConnection,
    license_id: &LicenseId,
    manager_id: &ManagerId,
) -> Result<Option<u64>> {
    let total = sqlx::query_scalar!(
        r#"select licenses.inbound_total - managers.read_total as "unread!"
           from managers join licenses on licenses.license_id = managers.license_id
           where managers.license_id = $1 and managers.manager_id = $2"#,
        license_id.as_str(),
        manager_id.as_str(),
    )
    .fetch_optional(db)
    .await?;
    Ok(total.map(|total| u64::try_from(total).unwrap_or_default()))
}

/// A manager who looks for the first time has read everything up to now. Done before: changes nothing. One statement, so
/// the totals and the marks are of the same moment.
pub(crate) async fn record_first_look(
    tx: &mut Tx<'_>,
    license_id: &LicenseId,
    manager_id: &ManagerId,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "with new as (
           insert into managers (license_id, manager_id, read_total, since)
           select license_id, $2, inbound_total, $3 from licenses where license_id = $1
           on conflict do nothing returning license_id, manager_id)
         insert into read_marks (license_id, manager_id, conversation_id, read_count)
         select new.license_id, new.manager_id, conversations.conversation_id, conversations.inbound_count
         from new join conversations on conversations.license_id = new.license_id
         where conversations.inbound_count > 0",
        license_id.as_str(),
        manager_id.as_str(),
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Moves a manager's mark up to a message of the conversation, never back. The license is locked and the manager is
/// known. `None`: there is no such message; else whether the mark moved.
pub(crate) async fn mark_read(
    tx: &mut Tx<'_>,
    license_id: &LicenseId,
    manager_id: &ManagerId,
    conversation_id: Id<Conversation>,
    message_id: Uuid,
) -> Result<Option<bool>> {
    // What came after it is mostly nothing, and what came before may be very much. (The direction is no condition: for one
    // the planner takes the index of inbound messages, which leads through all of the license.)
    let row = sqlx::query!(
        r#"select conversations.inbound_count - (
               select count(*) filter (where newer.direction = 'inbound') from messages newer
               where newer.license_id = m.license_id and newer.conversation_id = m.conversation_id
                 and (newer.created_at, newer.message_id) > (m.created_at, m.message_id))::int as "up_to!",
             coalesce((select read_count from read_marks mark
                       where mark.license_id = m.license_id and mark.manager_id = $2
                         and mark.conversation_id = m.conversation_id), 0) as "before!"
           from messages m
           join conversations
             on conversations.license_id = m.license_id and conversations.conversation_id = m.conversation_id
           where m.license_id = $1 and m.message_id = $4 and m.conversation_id = $3"#,
        license_id.as_str(),
        manager_id.as_str(),
        conversation_id.uuid(),
        message_id,
    )
    .fetch_optional(&mut **tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    if row.up_to <= row.before {
        return Ok(Some(false));
    }
    sqlx::query!(
        "with mark as (
           insert into read_marks (license_id, manager_id, conversation_id, read_count) values ($1, $2, $3, $4)
           on conflict (license_id, manager_id, conversation_id) do update set read_count = excluded.read_count)
         update managers set read_total = read_total + $5 where license_id = $1 and manager_id = $2",
        license_id.as_str(),
        manager_id.as_str(),
        conversation_id.uuid(),
        row.up_to,
        i64::from(row.up_to - row.before),
    )
    .execute(&mut **tx)
    .await?;
    Ok(Some(true))
}

/// What managers have read, as it is now. Left out: conversations that are gone, managers who have never looked.
pub(crate) async fn load_states(
    db: &mut PgConnection,
    wanted: &[MarkKey],
) -> Result<HashMap<MarkKey, wire::ReadState>> {
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let license_ids: Vec<String> = wanted.iter().map(|(license_id, ..)| license_id.clone()).collect();
    let manager_ids: Vec<String> = wanted.iter().map(|(_, manager_id, _)| manager_id.clone()).collect();
    let ids: Vec<Uuid> = wanted.iter().map(|(.., id)| *id).collect();
    let rows = sqlx::query!(
        // The limit says to the planner that a key leads to one row. Else it may join all of a license's conversations.
        r#"select m.license_id, m.manager_id, c.conversation_id,
             c.inbound_count - coalesce((
               select read_count from read_marks mark
               where mark.license_id = wanted.license_id and mark.manager_id = wanted.manager_id
                 and mark.conversation_id = wanted.conversation_id), 0) as "unread!",
             l.inbound_total - m.read_total as "total!"
           from unnest($1::text[], $2::text[], $3::uuid[]) as wanted (license_id, manager_id, conversation_id)
           join managers m on m.license_id = wanted.license_id and m.manager_id = wanted.manager_id
           join licenses l on l.license_id = wanted.license_id
           cross join lateral (
             select conversation_id, inbound_count from conversations each
             where each.license_id = wanted.license_id and each.conversation_id = wanted.conversation_id limit 1) as c"#,
        &license_ids,
        &manager_ids,
        &ids,
    )
    .fetch_all(db)
    .await?;
    let states = rows.into_iter().map(|row| {
        let state = wire::ReadState {
            conversation_id: row.conversation_id.to_string(),
            unread: u32::try_from(row.unread).unwrap_or_default(),
            total_unread: u64::try_from(row.total).unwrap_or_default(),
        };
        ((row.license_id, row.manager_id, row.conversation_id), state)
    });
    Ok(states.collect())
}
