//! Lists of conversations as one manager sees them, and what he has read.
//!
//! Unread is counted for the manager who asks. Who asks for the first time has read everything up to then.

use chassis::Fault;
use domain::{Id, LicenseId, ManagerId};
use proto::conversations::{
    Conversation, GetConversationRequest, ListConversationsRequest, ListConversationsResponse, MarkReadRequest,
    ReadState,
};
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use super::cursor::{find_moment, write_moment};
use super::{Context, page_of, parse_license_id, parse_limit};
use crate::error;
use crate::store::licenses::{self, Subject};
use crate::store::reading::MarkKey;
use crate::store::search::{self, Filter, WALKED, Walked};
use crate::store::{Moment, StoreError, conversations, reading};

/// Longer ones find nothing that shorter ones do not.
const MAX_QUERY: usize = 200;

pub(super) async fn get_conversation(
    context: &Context,
    request: &GetConversationRequest,
) -> Result<Conversation, Fault> {
    let license_id = parse_license_id(&request.license_id)?;
    let manager_id = find_manager(&request.manager_id)?;
    let id = Uuid::try_parse(&request.conversation_id).map_err(|_| error::conversation_not_found())?;
    let mut connection = context.connection().await?;
    let conversation = load(&mut connection, &license_id, &[id]).await?.pop();
    let conversation = conversation.ok_or_else(error::conversation_not_found)?;
    let Some(manager_id) = manager_id else { return Ok(conversation) };
    // Perhaps his first look.
    get_total_unread(context, &mut connection, &license_id, &manager_id).await?;
    let mut shown = [conversation];
    add_unread(&mut connection, &license_id, &manager_id, &mut shown).await?;
    let [conversation] = shown;
    Ok(conversation)
}

pub(super) async fn list_conversations(
    context: &Context,
    request: &ListConversationsRequest,
) -> Result<ListConversationsResponse, Fault> {
    let license_id = parse_license_id(&request.license_id)?;
    let manager_id = find_manager(&request.manager_id)?;
    let limit = parse_limit(request.limit, 200)?;
    let after = find_moment(&request.cursor)?;
    let mut connection = context.connection().await?;
    let total_unread = match &manager_id {
        Some(manager_id) => get_total_unread(context, &mut connection, &license_id, manager_id).await?,
        None => 0,
    };
    let by_query = !request.query.trim().is_empty();
    if by_query {
        parse_query(&request.query)?;
    }
    // For nobody, nothing is unread.
    let nothing = request.unread_only && (manager_id.is_none() || total_unread == 0);
    let walk = if request.unread_only { WALKED } else { limit + 1 };
    let walked = if nothing {
        Vec::new()
    } else if !by_query {
        search::walk(&mut connection, &license_id, manager_id.as_ref(), after, walk).await?
    } else if let Some(filter) = Filter::find(&license_id, &request.query) {
        search::walk_found(&mut connection, &license_id, manager_id.as_ref(), &filter, after, walk).await?
    } else {
        Vec::new()
    };
    let (ids, last) = choose(&walked, request.unread_only, limit, walk);
    let mut conversations = load(&mut connection, &license_id, &ids).await?;
    if let Some(manager_id) = &manager_id {
        add_unread(&mut connection, &license_id, manager_id, &mut conversations).await?;
    }
    Ok(ListConversationsResponse {
        conversations,
        next_cursor: last.map(write_moment).unwrap_or_default(),
        total_unread,
    })
}

/// A page of what was walked, and where the next one begins. A page of unread ones ends where the walk ends: it may be
/// short, and others may follow all the same.
fn choose(walked: &[Walked], unread_only: bool, limit: i64, walk: i64) -> (Vec<Uuid>, Option<Moment>) {
    let chosen: Vec<Walked> = walked.iter().filter(|each| each.unread || !unread_only).copied().collect();
    let (page, mut last) = page_of(chosen, limit);
    if last.is_none() && unread_only && i64::try_from(walked.len()).is_ok_and(|walked| walked == walk) {
        last = walked.last().copied();
    }
    let last = last.map(|each| Moment { at: each.at, id: each.id });
    (page.into_iter().map(|each| each.id).collect(), last)
}

/// Conversations of one license in this order. Those that do not exist are left out.
async fn load(db: &mut PgConnection, license_id: &LicenseId, ids: &[Uuid]) -> Result<Vec<Conversation>, Fault> {
    let wanted: Vec<(LicenseId, Uuid)> = ids.iter().map(|id| (license_id.clone(), *id)).collect();
    let mut found = conversations::load(db, &wanted).await?;
    Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
}

/// What the manager, who has looked before, has not read of these conversations.
async fn add_unread(
    db: &mut PgConnection,
    license_id: &LicenseId,
    manager_id: &ManagerId,
    shown: &mut [Conversation],
) -> Result<(), Fault> {
    let ids = shown.iter().filter_map(|each| Uuid::try_parse(&each.conversation_id).ok());
    let keys: Vec<MarkKey> = ids.map(|id| (license_id.to_string(), manager_id.to_string(), id)).collect();
    let states = reading::load_states(db, &keys).await?;
    for (conversation, key) in shown.iter_mut().zip(&keys) {
        conversation.unread = states.get(key).map_or(0, |state| state.unread);
    }
    Ok(())
}

/// Notes the first look of a manager who has never looked.
async fn get_total_unread(
    context: &Context,
    db: &mut PgConnection,
    license_id: &LicenseId,
    manager_id: &ManagerId,
) -> Result<u64, Fault> {
    if let Some(total) = reading::find_total_unread(db, license_id, manager_id).await? {
        return Ok(total);
    }
    let mut tx = db.begin().await.map_err(StoreError::from)?;
    licenses::lock(&mut tx, [license_id.clone()]).await?;
    reading::record_first_look(&mut tx, license_id, manager_id, context.clock.now()).await?;
    let total = reading::find_total_unread(&mut tx, license_id, manager_id).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(total.unwrap_or_default())
}

pub(super) async fn mark_read(context: &Context, request: &MarkReadRequest) -> Result<ReadState, Fault> {
    let license_id = parse_license_id(&request.license_id)?;
    let manager_id = find_manager(&request.manager_id)?
        .ok_or_else(|| Fault::invalid("manager_id", "missing_field", "Say who has read."))?;
    let conversation_id: Id<_> = request.conversation_id.parse().map_err(|_| error::message_not_found())?;
    let message_id = Uuid::try_parse(&request.message_id).map_err(|_| error::message_not_found())?;
    let now = context.clock.now();
    let mut tx = context.begin().await?;
    let mut locked = licenses::lock(&mut tx, [license_id.clone()]).await?;
    reading::record_first_look(&mut tx, &license_id, &manager_id, now).await?;
    let moved = reading::mark_read(&mut tx, &license_id, &manager_id, conversation_id, message_id).await?;
    if moved.ok_or_else(error::message_not_found)? {
        locked.record(&license_id, Subject::ReadUpdated(manager_id.clone(), conversation_id), now);
    }
    let ranges = locked.write(&mut tx).await?;
    let key = (license_id.to_string(), manager_id.to_string(), conversation_id.uuid());
    let state = reading::load_states(&mut tx, std::slice::from_ref(&key)).await?.remove(&key);
    tx.commit().await.map_err(StoreError::from)?;
    context.pusher.push(ranges);
    state.ok_or_else(error::message_not_found)
}

/// Empty: nobody.
fn find_manager(manager_id: &str) -> Result<Option<ManagerId>, Fault> {
    if manager_id.is_empty() {
        return Ok(None);
    }
    ManagerId::parse(manager_id).map(Some).map_err(|invalid| error::invalid_id("sub", &invalid))
}

/// PostgreSQL stores no zero character, so no text has one.
pub(super) fn parse_query(query: &str) -> Result<(), Fault> {
    if query.chars().count() <= MAX_QUERY && !query.contains('\0') {
        return Ok(());
    }
    let detail = format!("Give at most {MAX_QUERY} characters, and none that nobody can type.");
    Err(Fault::invalid("query", "invalid_query", detail))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn walked(unread: &[bool]) -> Vec<Walked> {
        let walked = unread.iter().zip(0..);
        let place = |(unread, n): (&bool, i64)| Walked {
            at: DateTime::UNIX_EPOCH - chrono::TimeDelta::seconds(n),
            id: Uuid::from_u128(u128::from(n.unsigned_abs())),
            unread: *unread,
        };
        walked.map(place).collect()
    }

    /// The chosen, and after which the next page begins.
    fn chosen(unread: &[bool], unread_only: bool, limit: i64, walk: i64) -> (Vec<u128>, Option<u128>) {
        let (ids, last) = choose(&walked(unread), unread_only, limit, walk);
        (ids.iter().map(Uuid::as_u128).collect(), last.map(|moment| moment.id.as_u128()))
    }

    #[test]
    fn a_page_of_unread_conversations_goes_on_where_the_walk_ended_and_leaves_none_out() {
        let (yes, no) = (true, false);
        assert_eq!(chosen(&[yes, no, yes, yes], true, 2, 10), (vec![0, 2], Some(2)), "a page is full");
        assert_eq!(chosen(&[yes, no, no, no], true, 2, 4), (vec![0], Some(3)), "the walk is at its bound");
        assert_eq!(chosen(&[no, no, no, no], true, 2, 4), (vec![], Some(3)), "nothing yet");
        assert_eq!(chosen(&[yes, no, yes], true, 2, 4), (vec![0, 2], None), "there are no more");
        assert_eq!(chosen(&[yes, no, no], false, 2, 3), (vec![0, 1], Some(1)), "a list of all");
        assert_eq!(chosen(&[yes, no], false, 2, 3), (vec![0, 1], None));
    }
}
