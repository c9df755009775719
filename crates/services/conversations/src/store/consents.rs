//! What people want, number by number (rule 13), and the lines in conversations that tell of it. Whether a number is
//! opted out is read with the homes of a send's numbers (`load_homes`); here it is written and shown.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use domain::{LicenseId, PhoneNumber};
use proto::conversations as wire;
use proto::to_timestamp;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Moment, Result, Tx, stored};
use crate::model::{ConsentChange, KnownConsent, Line, Note};

/// What is known of these numbers. Their licenses are locked, so nobody else changes it. Of the others nothing is known.
pub(crate) async fn load_known(
    tx: &mut Tx<'_>,
    numbers: &BTreeSet<(LicenseId, PhoneNumber)>,
) -> Result<BTreeMap<(LicenseId, PhoneNumber), KnownConsent>> {
    let (license_ids, names): (Vec<String>, Vec<String>) =
        numbers.iter().map(|(license_id, number)| (license_id.to_string(), number.as_str().to_owned())).unzip();
    let rows = sqlx::query!(
        "select known.license_id, known.number, known.opted_out, known.source, known.changed_at
         from unnest($1::text[], $2::text[]) as wanted (license_id, number)
         join consents known on known.license_id = wanted.license_id and known.number = wanted.number",
        &license_ids,
        &names,
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            let license_id = stored(LicenseId::parse(row.license_id), "license id")?;
            let number = stored(PhoneNumber::from_e164(&row.number), "number")?;
            Ok(((license_id, number), read_known(row.opted_out, &row.source, row.changed_at)?))
        })
        .collect()
}

pub(super) fn read_known(opted_out: bool, source: &str, changed_at: DateTime<Utc>) -> Result<KnownConsent> {
    Ok(KnownConsent { opted_out, source: stored(source.parse(), "source of a consent")?, changed_at })
}

/// Managers' notes as columns.
#[derive(Default)]
struct Notes<'a> {
    manager_ids: Vec<Option<&'a str>>,
    manager_names: Vec<Option<&'a str>>,
    reasons: Vec<Option<&'a str>>,
}

impl<'a> FromIterator<Option<&'a Note>> for Notes<'a> {
    fn from_iter<I: IntoIterator<Item = Option<&'a Note>>>(notes: I) -> Self {
        let mut columns = Self::default();
        for note in notes {
            columns.manager_ids.push(note.map(|note| note.manager_id.as_str()));
            columns.manager_names.push(note.map(|note| note.manager_name.as_str()));
            columns.reasons.push(note.map(|note| note.reason.as_str()));
        }
        columns
    }
}

/// Writes what is known now. The licenses are locked. Of several changes of one number the last one stays.
pub(crate) async fn record(tx: &mut Tx<'_>, changes: &[ConsentChange]) -> Result<()> {
    // A statement cannot write a row twice.
    let last: BTreeMap<(&LicenseId, PhoneNumber), &ConsentChange> =
        changes.iter().map(|change| ((&change.license_id, change.number), change)).collect();
    if last.is_empty() {
        return Ok(());
    }
    let license_ids: Vec<String> = last.keys().map(|(license_id, _)| license_id.to_string()).collect();
    let numbers: Vec<String> = last.keys().map(|(_, number)| number.as_str().to_owned()).collect();
    let opted_out: Vec<bool> = last.values().map(|change| change.known.opted_out).collect();
    let sources: Vec<&str> = last.values().map(|change| change.known.source.as_str()).collect();
    let notes: Notes<'_> = last.values().map(|change| change.note.as_ref()).collect();
    let times: Vec<DateTime<Utc>> = last.values().map(|change| change.known.changed_at).collect();
    sqlx::query!(
        "insert into consents (license_id, number, opted_out, source, manager_id, manager_name, reason, changed_at)
         select * from unnest($1::text[], $2::text[], $3::bool[], $4::text[], $5::text[], $6::text[], $7::text[],
           $8::timestamptz[])
         on conflict (license_id, number) do update
           set opted_out = excluded.opted_out, source = excluded.source, manager_id = excluded.manager_id,
               manager_name = excluded.manager_name, reason = excluded.reason, changed_at = excluded.changed_at",
        &license_ids,
        &numbers,
        &opted_out,
        &sources as _,
        &notes.manager_ids as _,
        &notes.manager_names as _,
        &notes.reasons as _,
        &times,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Writes new lines.
pub(crate) async fn record_lines(tx: &mut Tx<'_>, lines: &[Line]) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let license_ids: Vec<String> = lines.iter().map(|line| line.license_id.to_string()).collect();
    let ids: Vec<Uuid> = lines.iter().map(|line| line.event_id.uuid()).collect();
    let conversation_ids: Vec<Uuid> = lines.iter().map(|line| line.conversation_id.uuid()).collect();
    let kinds: Vec<&str> = lines.iter().map(|line| line.kind.as_str()).collect();
    let sources: Vec<&str> = lines.iter().map(|line| line.source.as_str()).collect();
    let notes: Notes<'_> = lines.iter().map(|line| line.note.as_ref()).collect();
    let times: Vec<DateTime<Utc>> = lines.iter().map(|line| line.occurred_at).collect();
    sqlx::query!(
        "insert into conversation_events (license_id, event_id, conversation_id, kind, source, manager_id, manager_name,
           reason, occurred_at)
         select * from unnest($1::text[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[],
           $8::text[], $9::timestamptz[])",
        &license_ids,
        &ids,
        &conversation_ids,
        &kinds as _,
        &sources as _,
        &notes.manager_ids as _,
        &notes.manager_names as _,
        &notes.reasons as _,
        &times,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// One page of a conversation's lines, newest first, after a place.
pub(crate) async fn list_line_moments(
    db: &mut PgConnection,
    license_id: &LicenseId,
    conversation_id: Uuid,
    after: Option<Moment>,
    limit: i64,
) -> Result<Vec<Moment>> {
    let moments = sqlx::query_as!(
        Moment,
        "select occurred_at as at, event_id as id from conversation_events
         where license_id = $1 and conversation_id = $2
           and (occurred_at, event_id) <
               (coalesce($3::timestamptz, 'infinity'), coalesce($4::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
         order by occurred_at desc, event_id desc limit $5",
        license_id.as_str(),
        conversation_id,
        after.map(|moment| moment.at),
        after.map(|moment| moment.id),
        limit,
    )
    .fetch_all(db)
    .await?;
    Ok(moments)
}

/// Lines as clients see them, by id. Those that do not exist are left out.
pub(crate) async fn load_lines(
    db: &mut PgConnection,
    wanted: &[(LicenseId, Uuid)],
) -> Result<HashMap<Uuid, wire::ConversationEvent>> {
    let (license_ids, ids): (Vec<String>, Vec<Uuid>) =
        wanted.iter().map(|(license_id, id)| (license_id.to_string(), *id)).unzip();
    let rows = sqlx::query!(
        "select e.license_id, e.event_id, e.conversation_id, e.kind, e.source, e.manager_id, e.manager_name, e.reason,
                e.occurred_at
         from unnest($1::text[], $2::uuid[]) as wanted (license_id, event_id)
         join conversation_events e on e.license_id = wanted.license_id and e.event_id = wanted.event_id",
        &license_ids,
        &ids,
    )
    .fetch_all(db)
    .await?;
    let lines = rows.into_iter().map(|row| {
        let line = wire::ConversationEvent {
            license_id: row.license_id,
            event_id: row.event_id.to_string(),
            conversation_id: row.conversation_id.to_string(),
            kind: row.kind,
            source: row.source,
            manager: row.manager_id.zip(row.manager_name).map(|(id, name)| wire::Manager { id, name }),
            reason: row.reason,
            occurred_at: Some(to_timestamp(row.occurred_at)),
        };
        (row.event_id, line)
    });
    Ok(lines.collect())
}
