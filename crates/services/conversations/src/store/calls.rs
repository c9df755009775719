//! Calls to a license's messages number, and who called.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use domain::{Call as CallOf, Conversation, Id, LicenseId, PhoneNumber};
use proto::conversations as wire;
use proto::to_timestamp;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Moment, Result, Tx, stored};
use crate::model::{CallEnd, KnownCall, TiedPerson};

/// Which call an event is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CallKey {
    pub license_id: LicenseId,
    pub carrier: String,
    pub carrier_call_id: String,
}

/// A call as it is written.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub id: Id<CallOf>,
    /// `None`: withheld.
    pub from: Option<PhoneNumber>,
    pub to: PhoneNumber,
    pub conversation_id: Option<Id<Conversation>>,
    /// Who has to be noted as the caller. Of a call that was read: nobody any more.
    pub people: Vec<TiedPerson>,
    pub known: KnownCall,
}

/// The calls that exist. Their licenses are locked, so nobody else moves them on.
pub(crate) async fn load_known(tx: &mut Tx<'_>, keys: &BTreeSet<CallKey>) -> Result<HashMap<CallKey, Call>> {
    let license_ids: Vec<String> = keys.iter().map(|key| key.license_id.to_string()).collect();
    let carriers: Vec<&str> = keys.iter().map(|key| key.carrier.as_str()).collect();
    let carrier_ids: Vec<&str> = keys.iter().map(|key| key.carrier_call_id.as_str()).collect();
    let rows = sqlx::query!(
        "select c.license_id, c.carrier, c.carrier_call_id, c.call_id, c.from_number, c.to_number, c.conversation_id,
                c.result, c.duration_s, c.started_at, c.ended_at
         from unnest($1::text[], $2::text[], $3::text[]) as wanted (license_id, carrier, carrier_call_id)
         join calls c on c.license_id = wanted.license_id and c.carrier = wanted.carrier
           and c.carrier_call_id = wanted.carrier_call_id",
        &license_ids,
        &carriers as _,
        &carrier_ids as _,
    )
    .fetch_all(&mut **tx)
    .await?;
    let calls = rows.into_iter().map(|row| {
        let key = CallKey {
            license_id: stored(LicenseId::parse(row.license_id), "license id")?,
            carrier: row.carrier,
            carrier_call_id: row.carrier_call_id,
        };
        let result = row.result.map(|result| stored(result.parse(), "result of a call")).transpose()?;
        let end =
            result.zip(row.ended_at).map(|(result, ended_at)| CallEnd { result, duration_s: row.duration_s, ended_at });
        let from = row.from_number.map(|number| stored(PhoneNumber::from_e164(&number), "number")).transpose()?;
        let call = Call {
            id: Id::from_uuid(row.call_id),
            from,
            to: stored(PhoneNumber::from_e164(&row.to_number), "number")?,
            conversation_id: row.conversation_id.map(Id::from_uuid),
            people: Vec::new(),
            known: KnownCall { started_at: row.started_at, end },
        };
        Ok((key, call))
    });
    calls.collect()
}

/// Writes calls: new ones whole, and what is known now of the others.
pub(crate) async fn record(tx: &mut Tx<'_>, calls: &[(&CallKey, &Call)]) -> Result<()> {
    let license_ids: Vec<String> = calls.iter().map(|(key, _)| key.license_id.to_string()).collect();
    let ids: Vec<Uuid> = calls.iter().map(|(_, call)| call.id.uuid()).collect();
    let carriers: Vec<&str> = calls.iter().map(|(key, _)| key.carrier.as_str()).collect();
    let carrier_ids: Vec<&str> = calls.iter().map(|(key, _)| key.carrier_call_id.as_str()).collect();
    let from: Vec<Option<&str>> = calls.iter().map(|(_, call)| call.from.as_ref().map(PhoneNumber::as_str)).collect();
    let to: Vec<&str> = calls.iter().map(|(_, call)| call.to.as_str()).collect();
    let conversation_ids: Vec<Option<Uuid>> =
        calls.iter().map(|(_, call)| call.conversation_id.map(Id::uuid)).collect();
    let ends = || calls.iter().map(|(_, call)| call.known.end);
    let results: Vec<Option<&str>> = ends().map(|end| end.map(|end| end.result.as_str())).collect();
    let durations: Vec<Option<i32>> = ends().map(|end| end.and_then(|end| end.duration_s)).collect();
    let started: Vec<DateTime<Utc>> = calls.iter().map(|(_, call)| call.known.started_at).collect();
    let ended: Vec<Option<DateTime<Utc>>> = ends().map(|end| end.map(|end| end.ended_at)).collect();
    sqlx::query!(
        "insert into calls (license_id, call_id, carrier, carrier_call_id, from_number, to_number, conversation_id,
           result, duration_s, started_at, ended_at)
         select * from unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::uuid[],
           $8::text[], $9::int[], $10::timestamptz[], $11::timestamptz[])
         on conflict (license_id, carrier, carrier_call_id) do update
           set result = excluded.result, duration_s = excluded.duration_s, started_at = excluded.started_at,
               ended_at = excluded.ended_at",
        &license_ids,
        &ids,
        &carriers as _,
        &carrier_ids as _,
        &from as _,
        &to as _,
        &conversation_ids as _,
        &results as _,
        &durations as _,
        &started,
        &ended as _,
    )
    .execute(&mut **tx)
    .await?;
    record_people(tx, calls).await
}

async fn record_people(tx: &mut Tx<'_>, calls: &[(&CallKey, &Call)]) -> Result<()> {
    let people: Vec<(&LicenseId, Id<CallOf>, &TiedPerson)> = calls
        .iter()
        .flat_map(|(key, call)| call.people.iter().map(|person| (&key.license_id, call.id, person)))
        .collect();
    if people.is_empty() {
        return Ok(());
    }
    let license_ids: Vec<String> = people.iter().map(|(license_id, ..)| license_id.to_string()).collect();
    let ids: Vec<Uuid> = people.iter().map(|(_, id, _)| id.uuid()).collect();
    let person_ids: Vec<String> = people.iter().map(|(.., person)| person.person_id.to_string()).collect();
    let kinds: Vec<&str> = people.iter().map(|(.., person)| person.kind.as_str()).collect();
    let names: Vec<&str> = people.iter().map(|(.., person)| person.name.as_str()).collect();
    sqlx::query!(
        "insert into call_people (license_id, call_id, person_id, kind, name)
         select * from unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[])",
        &license_ids,
        &ids,
        &person_ids,
        &kinds as _,
        &names as _,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// One page of a license's calls, newest first, after a place.
pub(crate) async fn list_moments(
    db: &mut PgConnection,
    license_id: &LicenseId,
    after: Option<Moment>,
    limit: i64,
) -> Result<Vec<Moment>> {
    let moments = sqlx::query_as!(
        Moment,
        "select started_at as at, call_id as id from calls
         where license_id = $1
           and (started_at, call_id) <
               (coalesce($2::timestamptz, 'infinity'), coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
         order by started_at desc, call_id desc limit $4",
        license_id.as_str(),
        after.map(|moment| moment.at),
        after.map(|moment| moment.id),
        limit,
    )
    .fetch_all(db)
    .await?;
    Ok(moments)
}

/// Calls as clients see them now, by id. Those that do not exist are left out.
pub(crate) async fn load(db: &mut PgConnection, wanted: &[(LicenseId, Uuid)]) -> Result<HashMap<Uuid, wire::Call>> {
    let (license_ids, ids): (Vec<String>, Vec<Uuid>) =
        wanted.iter().map(|(license_id, id)| (license_id.to_string(), *id)).unzip();
    let rows = sqlx::query!(
        "select c.license_id, c.call_id, c.from_number, c.to_number, c.conversation_id, c.result, c.duration_s,
                c.started_at, c.ended_at
         from unnest($1::text[], $2::uuid[]) as wanted (license_id, call_id)
         join calls c on c.license_id = wanted.license_id and c.call_id = wanted.call_id",
        &license_ids,
        &ids,
    )
    .fetch_all(&mut *db)
    .await?;
    let mut people = load_people(db, &license_ids, &ids).await?;
    let calls = rows.into_iter().map(|row| {
        let call = wire::Call {
            license_id: row.license_id,
            call_id: row.call_id.to_string(),
            from: row.from_number,
            to: row.to_number,
            people: people.remove(&row.call_id).unwrap_or_default(),
            conversation_id: row.conversation_id.map(|id| id.to_string()),
            result: row.result,
            duration_s: row.duration_s.map(i32::unsigned_abs),
            started_at: Some(to_timestamp(row.started_at)),
            ended_at: row.ended_at.map(to_timestamp),
        };
        (row.call_id, call)
    });
    Ok(calls.collect())
}

async fn load_people(
    db: &mut PgConnection,
    license_ids: &[String],
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Vec<wire::ConversationPerson>>> {
    let rows = sqlx::query!(
        "select p.call_id, p.person_id, p.kind, p.name
         from unnest($1::text[], $2::uuid[]) as wanted (license_id, call_id)
         join call_people p on p.license_id = wanted.license_id and p.call_id = wanted.call_id
         order by p.name, p.person_id",
        license_ids,
        ids,
    )
    .fetch_all(db)
    .await?;
    let mut people: HashMap<Uuid, Vec<wire::ConversationPerson>> = HashMap::new();
    for row in rows {
        let person = wire::ConversationPerson { person_id: row.person_id, kind: row.kind, name: row.name };
        people.entry(row.call_id).or_default().push(person);
    }
    Ok(people)
}
