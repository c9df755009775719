//! Conversations, the people in them, and the ties that decide about them.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use domain::{Conversation, Direction, Id, LicenseId, PersonId, PhoneNumber};
use proto::conversations as wire;
use proto::to_timestamp;
use sqlx::PgConnection;
use uuid::Uuid;

use super::messages::{self, NewMessage};
use super::{Result, Tx, consents, stored};
use crate::model::{CANNOT_RECEIVE_SMS, ConversationChanges, Homes, OpenConversation, RECIPIENT_OPTED_OUT, TiedPerson};

/// Reads what decides about the homes of these numbers, which of them cannot receive texts, and where none are wanted.
pub(crate) async fn load_homes(tx: &mut Tx<'_>, numbers: &BTreeSet<(LicenseId, PhoneNumber)>) -> Result<Homes> {
    let mut homes = Homes::default();
    if numbers.is_empty() {
        return Ok(homes);
    }
    let (license_ids, numbers): (Vec<String>, Vec<String>) =
        numbers.iter().map(|(license_id, number)| (license_id.to_string(), number.as_str().to_owned())).unzip();
    // One statement for all: sends wait for it under their license's lock.
    let tied = sqlx::query!(
        r#"select wanted.license_id as "license_id!", wanted.number as "number!", textless.number is not null as "textless!",
             consents.opted_out as "opted_out?", consents.source as "source?", consents.changed_at as "changed_at?",
             ties.person_id as "person_id?", people.kind as "kind?", people.name as "name?"
           from unnest($1::text[], $2::text[]) as wanted (license_id, number)
           left join textless_numbers textless
             on textless.license_id = wanted.license_id and textless.number = wanted.number
           left join consents on consents.license_id = wanted.license_id and consents.number = wanted.number
           left join ties on ties.license_id = wanted.license_id and ties.number = wanted.number
           left join people on people.license_id = ties.license_id and people.person_id = ties.person_id
           order by ties.tied_at, ties.person_id"#,
        &license_ids,
        &numbers,
    )
    .fetch_all(&mut **tx)
    .await?;
    for row in tied {
        let license_id = stored(LicenseId::parse(row.license_id), "license id")?;
        let number = stored(PhoneNumber::from_e164(&row.number), "number")?;
        if row.textless {
            homes.mark_textless(license_id.clone(), number);
        }
        if let (Some(opted_out), Some(source), Some(changed_at)) = (row.opted_out, row.source, row.changed_at) {
            let consent = consents::read_known(opted_out, &source, changed_at)?;
            homes.set_consent(license_id.clone(), number, consent);
        }
        let (Some(person_id), Some(kind), Some(name)) = (row.person_id, row.kind, row.name) else { continue };
        let person = TiedPerson {
            person_id: stored(PersonId::parse(person_id), "person id")?,
            kind: stored(kind.parse(), "kind of person")?,
            name,
        };
        homes.add_tied(license_id, number, person);
    }
    let open = sqlx::query!(
        // There is one at most. The limit says so to the planner, which else, before it knows the tables, reads all of them
        // for each number.
        r#"select open.license_id, open.number, open.conversation_id, open.last_message_seq,
             open.last_reply_id, open.last_reply_at,
             array(select p.person_id from conversation_people p
                   where p.license_id = open.license_id and p.conversation_id = open.conversation_id) as "people!"
           from unnest($1::text[], $2::text[]) as wanted (license_id, number)
           cross join lateral (
             select * from conversations c
             where c.license_id = wanted.license_id and c.number = wanted.number and c.closed_at is null limit 1) open"#,
        &license_ids,
        &numbers,
    )
    .fetch_all(&mut **tx)
    .await?;
    for row in open {
        let people =
            row.people.into_iter().map(|id| stored(PersonId::parse(id), "person id")).collect::<Result<_>>()?;
        let conversation_id = Id::from_uuid(row.conversation_id);
        let last_reply = row.last_reply_id.map(Id::from_uuid).zip(row.last_reply_at);
        let open = OpenConversation { conversation_id, people, last_message_seq: row.last_message_seq, last_reply };
        let license_id = stored(LicenseId::parse(row.license_id), "license id")?;
        homes.add_open(license_id, stored(PhoneNumber::from_e164(&row.number), "number")?, open);
    }
    Ok(homes)
}

/// Writes what the homes need: first what closes, then what opens (one open conversation a number), then who joins.
pub(crate) async fn record_changes(tx: &mut Tx<'_>, changes: &ConversationChanges, now: DateTime<Utc>) -> Result<()> {
    if !changes.closed.is_empty() {
        let (license_ids, ids): (Vec<String>, Vec<Uuid>) =
            changes.closed.iter().map(|(license_id, id)| (license_id.to_string(), id.uuid())).unzip();
        sqlx::query!(
            "update conversations set closed_at = $3
             from unnest($1::text[], $2::uuid[]) as replaced (license_id, conversation_id)
             where conversations.license_id = replaced.license_id
               and conversations.conversation_id = replaced.conversation_id",
            &license_ids,
            &ids,
            now,
        )
        .execute(&mut **tx)
        .await?;
    }
    if !changes.opened.is_empty() {
        let license_ids: Vec<String> = changes.opened.iter().map(|each| each.license_id.to_string()).collect();
        let ids: Vec<Uuid> = changes.opened.iter().map(|each| each.conversation_id.uuid()).collect();
        let numbers: Vec<String> = changes.opened.iter().map(|each| each.number.as_str().to_owned()).collect();
        let times: Vec<DateTime<Utc>> = changes.opened.iter().map(|each| each.opened_at).collect();
        sqlx::query!(
            "insert into conversations (license_id, conversation_id, number, opened_at, last_activity_at)
             select license_id, conversation_id, number, opened_at, opened_at
             from unnest($1::text[], $2::uuid[], $3::text[], $4::timestamptz[])
               as opened (license_id, conversation_id, number, opened_at)",
            &license_ids,
            &ids,
            &numbers,
            &times,
        )
        .execute(&mut **tx)
        .await?;
    }
    if !changes.joined.is_empty() {
        let license_ids: Vec<String> = changes.joined.iter().map(|(license_id, ..)| license_id.to_string()).collect();
        let ids: Vec<Uuid> = changes.joined.iter().map(|(_, id, _)| id.uuid()).collect();
        let person_ids: Vec<String> = changes.joined.iter().map(|(.., person)| person.person_id.to_string()).collect();
        let kinds: Vec<String> = changes.joined.iter().map(|(.., person)| person.kind.to_string()).collect();
        let names: Vec<String> = changes.joined.iter().map(|(.., person)| person.name.clone()).collect();
        sqlx::query!(
            "insert into conversation_people (license_id, conversation_id, person_id, kind, name)
             select * from unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[])",
            &license_ids,
            &ids,
            &person_ids,
            &kinds,
            &names,
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// Notes the newest message of each conversation, its feed position, and how many there are to read. The messages stand
/// in order of time and of `seqs`.
pub(crate) async fn record_activity(tx: &mut Tx<'_>, messages: &[NewMessage], seqs: &[i64]) -> Result<()> {
    let mut newest: HashMap<_, (&NewMessage, i64, i32)> = HashMap::new();
    for (message, seq) in messages.iter().zip(seqs) {
        let new = newest.entry((&message.license_id, message.conversation_id)).or_insert((message, *seq, 0));
        (new.0, new.1) = (message, *seq);
        new.2 += i32::from(message.direction == Direction::Inbound);
    }
    let license_ids: Vec<String> = newest.keys().map(|(license_id, _)| license_id.to_string()).collect();
    let ids: Vec<Uuid> = newest.keys().map(|(_, id)| id.uuid()).collect();
    let times: Vec<DateTime<Utc>> = newest.values().map(|(message, ..)| message.created_at).collect();
    let message_ids: Vec<Uuid> = newest.values().map(|(message, ..)| message.message_id.uuid()).collect();
    let last_seqs: Vec<i64> = newest.values().map(|(_, seq, _)| *seq).collect();
    let inbound: Vec<i32> = newest.values().map(|(.., inbound)| *inbound).collect();
    let replies: Vec<bool> = newest.values().map(|(message, ..)| message.is_reply()).collect();
    sqlx::query!(
        // A message that comes late is not the newest by its time. It is new all the same.
        "update conversations
         set last_message_id = case when last_message_id is null or last_activity_at <= new.at
                               then new.message_id else last_message_id end,
             last_activity_at = case when last_message_id is null or last_activity_at <= new.at
                                then new.at else last_activity_at end,
             last_message_seq = new.seq, inbound_count = inbound_count + new.inbound,
             last_reply_id = case when new.is_reply then new.message_id else last_reply_id end,
             last_reply_at = case when new.is_reply then new.at else last_reply_at end
         from unnest($1::text[], $2::uuid[], $3::timestamptz[], $4::uuid[], $5::bigint[], $6::int[], $7::boolean[])
           as new (license_id, conversation_id, at, message_id, seq, inbound, is_reply)
         where conversations.license_id = new.license_id and conversations.conversation_id = new.conversation_id",
        &license_ids,
        &ids,
        &times,
        &message_ids,
        &last_seqs,
        &inbound,
        &replies,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The numbers of conversations of one license. Those that do not exist are left out.
pub(crate) async fn list_numbers(
    tx: &mut Tx<'_>,
    license_id: &LicenseId,
    ids: &[Uuid],
) -> Result<HashMap<Id<Conversation>, PhoneNumber>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query!(
        // The limit says to the planner that a key leads to one row. Else, with old statistics, it reads all of the license.
        "select found.conversation_id, found.number
         from unnest($2::uuid[]) as wanted (conversation_id)
         cross join lateral (
           select conversation_id, number from conversations each
           where each.license_id = $1 and each.conversation_id = wanted.conversation_id limit 1) as found",
        license_id.as_str(),
        ids,
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter()
        .map(|row| Ok((Id::from_uuid(row.conversation_id), stored(PhoneNumber::from_e164(&row.number), "number")?)))
        .collect()
}

/// Conversations of people that a change of these ties makes writable or read-only.
pub(crate) async fn list_of_ties(
    tx: &mut Tx<'_>,
    license_id: &LicenseId,
    ties: &[(&PersonId, PhoneNumber)],
) -> Result<Vec<Id<Conversation>>> {
    let (people, numbers): (Vec<String>, Vec<String>) =
        ties.iter().map(|(person_id, number)| (person_id.to_string(), number.as_str().to_owned())).unzip();
    let ids = sqlx::query_scalar!(
        "select distinct c.conversation_id
         from unnest($2::text[], $3::text[]) as tie (person_id, number)
         join conversation_people p on p.license_id = $1 and p.person_id = tie.person_id
         join conversations c
           on c.license_id = p.license_id and c.conversation_id = p.conversation_id and c.number = tie.number
         order by c.conversation_id",
        license_id.as_str(),
        &people,
        &numbers,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(ids.into_iter().map(Id::from_uuid).collect())
}

/// The open conversations of these numbers in which one of the people is still tied to the number: those that become
/// writable or read-only with what is known of the number.
pub(crate) async fn list_open(
    tx: &mut Tx<'_>,
    numbers: &BTreeSet<(LicenseId, PhoneNumber)>,
) -> Result<Vec<(LicenseId, Id<Conversation>)>> {
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    let (license_ids, numbers): (Vec<String>, Vec<String>) =
        numbers.iter().map(|(license_id, number)| (license_id.to_string(), number.as_str().to_owned())).unzip();
    let rows = sqlx::query!(
        // There is one open conversation at most. The limit says so to the planner, which else reads all of them.
        "select open.license_id, open.conversation_id
         from unnest($1::text[], $2::text[]) as wanted (license_id, number)
         cross join lateral (
           select * from conversations c
           where c.license_id = wanted.license_id and c.number = wanted.number and c.closed_at is null limit 1) open
         where exists (
           select from conversation_people p
           join ties t on t.license_id = p.license_id and t.person_id = p.person_id and t.number = open.number
           where p.license_id = open.license_id and p.conversation_id = open.conversation_id)
         order by open.license_id, open.conversation_id",
        &license_ids,
        &numbers,
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter()
        .map(|row| Ok((stored(LicenseId::parse(row.license_id), "license id")?, Id::from_uuid(row.conversation_id))))
        .collect()
}

pub(crate) async fn exists(db: &mut PgConnection, license_id: &LicenseId, id: Uuid) -> Result<bool> {
    let found = sqlx::query_scalar!(
        r#"select exists (select from conversations where license_id = $1 and conversation_id = $2) as "exists!""#,
        license_id.as_str(),
        id,
    )
    .fetch_one(db)
    .await?;
    Ok(found)
}

/// Conversations as clients see them now, by id. Those that do not exist are left out.
pub(crate) async fn load(
    db: &mut PgConnection,
    wanted: &[(LicenseId, Uuid)],
) -> Result<HashMap<Uuid, wire::Conversation>> {
    let (license_ids, ids): (Vec<String>, Vec<Uuid>) =
        wanted.iter().map(|(license_id, id)| (license_id.to_string(), *id)).unzip();
    let rows = sqlx::query!(
        r#"select c.license_id, c.conversation_id, c.number, c.opened_at, c.last_message_id,
                  c.closed_at is null and exists (
                    select from conversation_people p
                    join ties t on t.license_id = p.license_id and t.person_id = p.person_id and t.number = c.number
                    where p.license_id = c.license_id and p.conversation_id = c.conversation_id
                  ) as "tied!",
                  exists (
                    select from textless_numbers known where known.license_id = c.license_id and known.number = c.number
                  ) as "textless!",
                  k.opted_out as "opted_out?", k.source as "consent_source?", k.manager_id as "consent_manager_id?",
                  k.manager_name as "consent_manager_name?", k.reason as "consent_reason?",
                  k.changed_at as "consent_changed_at?",
                  (select newer_id from conversation_links link
                   where link.license_id = c.license_id and link.older_id = c.conversation_id) as "newer_id?",
                  array(select older_id from conversation_links link
                        where link.license_id = c.license_id and link.newer_id = c.conversation_id
                        order by older_id desc limit 20) as "older_ids!"
           from unnest($1::text[], $2::uuid[]) as wanted (license_id, conversation_id)
           -- The limit says to the planner that a key leads to one row. Else, with old statistics, it reads all of the license.
           cross join lateral (
             select * from conversations each
             where each.license_id = wanted.license_id and each.conversation_id = wanted.conversation_id limit 1) as c
           -- What a number's next people want is not for the conversation of those who had it before.
           left join consents k on k.license_id = c.license_id and k.number = c.number and c.closed_at is null"#,
        &license_ids,
        &ids,
    )
    .fetch_all(&mut *db)
    .await?;
    let last: Vec<(LicenseId, Uuid)> = rows
        .iter()
        .filter_map(|row| Some((row.license_id.clone(), row.last_message_id?)))
        .map(|(license_id, id)| Ok((stored(LicenseId::parse(license_id), "license id")?, id)))
        .collect::<Result<_>>()?;
    let mut last = messages::load(&mut *db, &last).await?;
    let mut people = load_people(db, &license_ids, &ids).await?;
    let conversations = rows.into_iter().map(|row| {
        let reason = match (row.tied, row.opted_out == Some(true), row.textless) {
            (false, ..) => Some("number_no_longer_tied"),
            (true, true, _) => Some(RECIPIENT_OPTED_OUT),
            (true, false, true) => Some(CANNOT_RECEIVE_SMS),
            (true, false, false) => None,
        };
        let manager = row.consent_manager_id.zip(row.consent_manager_name).map(|(id, name)| wire::Manager { id, name });
        let consent = row.opted_out.zip(row.consent_source).map(|(opted_out, source)| wire::Consent {
            opted_out,
            source,
            manager,
            reason: row.consent_reason,
            changed_at: row.consent_changed_at.map(to_timestamp),
        });
        let conversation = wire::Conversation {
            license_id: row.license_id,
            conversation_id: row.conversation_id.to_string(),
            number: row.number,
            people: people.remove(&row.conversation_id).unwrap_or_default(),
            last_message: row.last_message_id.and_then(|id| last.remove(&id)),
            sendable: reason.is_none(),
            reason: reason.map(str::to_owned),
            opened_at: Some(to_timestamp(row.opened_at)),
            consent,
            unread: 0,
            newer_conversation_id: row.newer_id.filter(|_| !row.tied).map(|id| id.to_string()),
            older_conversation_ids: row.older_ids.iter().map(ToString::to_string).collect(),
        };
        (row.conversation_id, conversation)
    });
    Ok(conversations.collect())
}

/// The people of conversations as clients see them, by conversation.
pub(crate) async fn load_people(
    db: &mut PgConnection,
    license_ids: &[String],
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Vec<wire::ConversationPerson>>> {
    let rows = sqlx::query!(
        // The offset keeps the planner from walking over the people of all conversations, which looks cheap with old statistics.
        "select p.conversation_id, p.person_id, p.kind, p.name
         from unnest($1::text[], $2::uuid[]) as wanted (license_id, conversation_id)
         cross join lateral (
           select * from conversation_people each
           where each.license_id = wanted.license_id and each.conversation_id = wanted.conversation_id offset 0) as p
         order by p.name, p.person_id",
        license_ids,
        ids,
    )
    .fetch_all(db)
    .await?;
    let mut people: HashMap<Uuid, Vec<wire::ConversationPerson>> = HashMap::new();
    for row in rows {
        let person = wire::ConversationPerson { person_id: row.person_id, kind: row.kind, name: row.name };
        people.entry(row.conversation_id).or_default().push(person);
    }
    Ok(people)
}
