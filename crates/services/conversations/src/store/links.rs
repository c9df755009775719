//! Which conversation is the newer one of which (rule 9).

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::{Conversation, Id, LicenseId, PersonId};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Result, Tx, stored};
use crate::model::{ConversationChanges, LinkChange, Linkable, Reached, plan_links};

/// Conversations that look different now.
type Touched = BTreeSet<(LicenseId, Id<Conversation>)>;

/// Somebody whose conversations are looked at, less the one that he has just joined.
type Wanted = (LicenseId, PersonId, Option<Id<Conversation>>);

/// People joined conversations, mostly new ones: what was theirs before leads there. The changes are written and the
/// licenses locked.
pub(crate) async fn follow_changes(
    tx: &mut Tx<'_>,
    changes: &ConversationChanges,
    now: DateTime<Utc>,
) -> Result<Touched> {
    let joined = changes.joined.iter();
    let wanted: Vec<Wanted> =
        joined.map(|(license_id, id, person)| (license_id.clone(), person.person_id.clone(), Some(*id))).collect();
    let opened = changes.opened.iter().map(|opening| opening.conversation_id).collect();
    renew(tx, &wanted, &opened, now).await
}

/// Ties came or went, and made these conversations writable or read-only: everything of their people is looked at. The
/// ties are written and the license locked.
pub(crate) async fn follow_ties(
    tx: &mut Tx<'_>,
    license_id: &LicenseId,
    turned: &[Id<Conversation>],
    now: DateTime<Utc>,
) -> Result<Touched> {
    if turned.is_empty() {
        return Ok(Touched::new());
    }
    let ids: Vec<Uuid> = turned.iter().map(|id| id.uuid()).collect();
    let people = sqlx::query_scalar!(
        "select distinct p.person_id
         from unnest($2::uuid[]) as turned (conversation_id)
         join conversation_people p on p.license_id = $1 and p.conversation_id = turned.conversation_id",
        license_id.as_str(),
        &ids,
    )
    .fetch_all(&mut **tx)
    .await?;
    let wanted: Vec<Wanted> = people
        .into_iter()
        .map(|person_id| Ok((license_id.clone(), stored(PersonId::parse(person_id), "person id")?, None)))
        .collect::<Result<_>>()?;
    renew(tx, &wanted, &BTreeSet::new(), now).await
}

/// Looks at the conversations of these people and writes where they lead. Returns both sides of what changed.
async fn renew(
    tx: &mut Tx<'_>,
    wanted: &[Wanted],
    opened: &BTreeSet<Id<Conversation>>,
    now: DateTime<Utc>,
) -> Result<Touched> {
    if wanted.is_empty() {
        return Ok(Touched::new());
    }
    let changes = plan_links(&load(tx, wanted).await?, opened);
    record(tx, &changes, now).await?;
    let touched = changes.into_iter().flat_map(|LinkChange { license_id, older, before, newer }| {
        [Some(older), before, newer].into_iter().flatten().map(move |id| (license_id.clone(), id))
    });
    Ok(touched.collect())
}

async fn load(db: &mut PgConnection, wanted: &[Wanted]) -> Result<Vec<Linkable>> {
    let license_ids: Vec<String> = wanted.iter().map(|(license_id, ..)| license_id.to_string()).collect();
    let person_ids: Vec<String> = wanted.iter().map(|(_, person_id, _)| person_id.to_string()).collect();
    let joined: Vec<Uuid> = wanted.iter().map(|(.., joined)| joined.map(Id::uuid).unwrap_or_default()).collect();
    let rows = sqlx::query!(
        // The limits say to the planner that a key leads to one row. Else it may join all of a license's conversations.
        r#"with theirs as materialized (
             select distinct p.license_id, p.conversation_id
             from unnest($1::text[], $2::text[], $3::uuid[]) as wanted (license_id, person_id, joined_id)
             join conversation_people p on p.license_id = wanted.license_id and p.person_id = wanted.person_id
               and p.conversation_id <> wanted.joined_id)
           select c.license_id, c.conversation_id,
             (select newer_id from conversation_links link
              where link.license_id = c.license_id and link.older_id = c.conversation_id) as "newer_id?",
             c.closed_at is null and exists (
               select from conversation_people p
               join ties t on t.license_id = p.license_id and t.person_id = p.person_id and t.number = c.number
               where p.license_id = c.license_id and p.conversation_id = c.conversation_id) as "tied!",
             reached.conversation_id as "reached_id?", reached.preferred as "preferred?",
             reached.last_activity_at as "last_activity_at?"
           from theirs
           cross join lateral (
             select * from conversations each
             where each.license_id = theirs.license_id and each.conversation_id = theirs.conversation_id limit 1) as c
           left join lateral (
             select open.conversation_id, open.last_activity_at, bool_or(t.position = 1) as preferred
             from conversation_people p
             join ties t on t.license_id = p.license_id and t.person_id = p.person_id
             cross join lateral (
               select * from conversations each
               where each.license_id = t.license_id and each.number = t.number and each.closed_at is null limit 1) as open
             where p.license_id = c.license_id and p.conversation_id = c.conversation_id
               and exists (
                 select from conversation_people also
                 where also.license_id = open.license_id and also.conversation_id = open.conversation_id
                   and also.person_id = p.person_id)
             group by open.conversation_id, open.last_activity_at) as reached on true"#,
        &license_ids,
        &person_ids,
        &joined,
    )
    .fetch_all(db)
    .await?;
    let mut known: BTreeMap<(String, Uuid), Linkable> = BTreeMap::new();
    for row in rows {
        let key = (row.license_id, row.conversation_id);
        if !known.contains_key(&key) {
            let linkable = Linkable {
                license_id: stored(LicenseId::parse(key.0.as_str()), "license id")?,
                conversation_id: Id::from_uuid(key.1),
                tied: row.tied,
                newer: row.newer_id.map(Id::from_uuid),
                reached: Vec::new(),
            };
            known.insert(key.clone(), linkable);
        }
        let reached = row.reached_id.zip(row.last_activity_at);
        if let (Some((id, last_activity_at)), Some(linkable)) = (reached, known.get_mut(&key)) {
            let preferred = row.preferred.unwrap_or_default();
            linkable.reached.push(Reached { preferred, last_activity_at, conversation_id: Id::from_uuid(id) });
        }
    }
    Ok(known.into_values().collect())
}

async fn record(tx: &mut Tx<'_>, changes: &[LinkChange], now: DateTime<Utc>) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let license_ids: Vec<String> = changes.iter().map(|change| change.license_id.to_string()).collect();
    let older: Vec<Uuid> = changes.iter().map(|change| change.older.uuid()).collect();
    let newer: Vec<Option<Uuid>> = changes.iter().map(|change| change.newer.map(Id::uuid)).collect();
    sqlx::query!(
        "with changed as materialized (
           select license_id, older_id, newer_id
           from unnest($1::text[], $2::uuid[], $3::uuid[]) as changed (license_id, older_id, newer_id)),
         gone as (
           delete from conversation_links link using changed
           where link.license_id = changed.license_id and link.older_id = changed.older_id and changed.newer_id is null)
         insert into conversation_links (license_id, older_id, newer_id, linked_at)
         select license_id, older_id, newer_id, $4 from changed where newer_id is not null
         on conflict (license_id, older_id) do update set newer_id = excluded.newer_id, linked_at = excluded.linked_at",
        &license_ids,
        &older,
        &newer as _,
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Erases what refers to a conversation that is being deleted (rule 11). The license is locked. Returns those to which it
/// was linked: they look different now.
pub(crate) async fn erase_conversation(
    tx: &mut Tx<'_>,
    license_id: &LicenseId,
    conversation_id: Id<Conversation>,
) -> Result<Vec<Id<Conversation>>> {
    let others = sqlx::query_scalar!(
        r#"with as_older as (delete from conversation_links where license_id = $1 and older_id = $2 returning newer_id),
             as_newer as (delete from conversation_links where license_id = $1 and newer_id = $2 returning older_id)
           select newer_id as "id!" from as_older union all select older_id from as_newer"#,
        license_id.as_str(),
        conversation_id.uuid(),
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(others.into_iter().map(Id::from_uuid).collect())
}
