//! People and their ties.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::{LicenseId, PersonId, PersonKind, PersonName, PhoneNumber};
use proto::conversations as wire;
use sqlx::PgConnection;

use super::{Result, Tx, stored};

/// Creates or replaces a person. Returns false when nothing was new.
pub(crate) async fn record_person(
    tx: &mut Tx<'_>,
    license_id: &LicenseId,
    person_id: &PersonId,
    kind: PersonKind,
    name: &PersonName,
    now: DateTime<Utc>,
) -> Result<bool> {
    let changed = sqlx::query!(
        "insert into people (license_id, person_id, kind, name, updated_at) values ($1, $2, $3, $4, $5)
         on conflict (license_id, person_id) do update
           set kind = excluded.kind, name = excluded.name, updated_at = excluded.updated_at
           where (people.kind, people.name) is distinct from (excluded.kind, excluded.name)",
        license_id.as_str(),
        person_id.as_str(),
        kind.as_str(),
        name.as_str(),
        now,
    )
    .execute(&mut **tx)
    .await?;
    if changed.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query!(
        "update conversation_people set kind = $3, name = $4 where license_id = $1 and person_id = $2",
        license_id.as_str(),
        person_id.as_str(),
        kind.as_str(),
        name.as_str(),
    )
    .execute(&mut **tx)
    .await?;
    Ok(true)
}

/// Removes a person; its conversations stay. Returns false when there was none.
pub(crate) async fn remove_person(tx: &mut Tx<'_>, license_id: &LicenseId, person_id: &PersonId) -> Result<bool> {
    let removed = sqlx::query!(
        "delete from people where license_id = $1 and person_id = $2",
        license_id.as_str(),
        person_id.as_str(),
    )
    .execute(&mut **tx)
    .await?;
    Ok(removed.rows_affected() > 0)
}

/// A person's numbers, the preferred one first.
pub(crate) async fn list_numbers(
    tx: &mut Tx<'_>,
    license_id: &LicenseId,
    person_id: &PersonId,
) -> Result<Vec<PhoneNumber>> {
    let numbers = sqlx::query_scalar!(
        "select number from ties where license_id = $1 and person_id = $2 order by position, number",
        license_id.as_str(),
        person_id.as_str(),
    )
    .fetch_all(&mut **tx)
    .await?;
    numbers.into_iter().map(|number| stored(PhoneNumber::from_e164(&number), "number")).collect()
}

/// Makes exactly these numbers the person's, in this order. A tie that stays keeps its age.
pub(crate) async fn record_ties(
    tx: &mut Tx<'_>,
    license_id: &LicenseId,
    person_id: &PersonId,
    numbers: &[PhoneNumber],
    now: DateTime<Utc>,
) -> Result<()> {
    let numbers: Vec<String> = numbers.iter().map(|number| number.as_str().to_owned()).collect();
    sqlx::query!(
        "delete from ties where license_id = $1 and person_id = $2 and not number = any($3)",
        license_id.as_str(),
        person_id.as_str(),
        &numbers,
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(
        "insert into ties (license_id, person_id, number, position, tied_at)
         select $1, $2, number, n, $4 from unnest($3::text[]) with ordinality as new (number, n)
         on conflict (license_id, person_id, number) do update set position = excluded.position",
        license_id.as_str(),
        person_id.as_str(),
        &numbers,
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The preferred number of each person that exists.
pub(crate) async fn list_preferred_numbers(
    tx: &mut Tx<'_>,
    license_id: &LicenseId,
    person_ids: &[String],
) -> Result<HashMap<PersonId, Option<PhoneNumber>>> {
    if person_ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query!(
        r#"select people.person_id,
             (select number from ties
              where ties.license_id = people.license_id and ties.person_id = people.person_id
              order by position, number limit 1) as "number?"
           from people where license_id = $1 and person_id = any($2)"#,
        license_id.as_str(),
        person_ids,
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            let number = row.number.map(|number| stored(PhoneNumber::from_e164(&number), "number")).transpose()?;
            Ok((stored(PersonId::parse(row.person_id), "person id")?, number))
        })
        .collect()
}

/// A place in the list of people: by name, then id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub lower_name: String,
    pub person_id: String,
}

/// Which people a page shows.
#[derive(Debug)]
pub(crate) struct Filter<'a> {
    /// Part of a name; empty: all.
    pub query: &'a str,
    pub kind: Option<PersonKind>,
    pub after: Option<Place>,
    pub limit: i64,
}

/// One page of a license's people.
pub(crate) async fn list_places(
    db: &mut PgConnection,
    license_id: &LicenseId,
    filter: &Filter<'_>,
) -> Result<Vec<Place>> {
    let pattern = format!("%{}%", filter.query.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"));
    let places = sqlx::query_as!(
        Place,
        r#"select lower(name) as "lower_name!", person_id from people
           where license_id = $1 and lower(name) like lower($2) and ($3::text is null or kind = $3)
             and (lower(name), person_id) > (coalesce($4::text, ''), coalesce($5::text, ''))
           order by lower(name), person_id limit $6"#,
        license_id.as_str(),
        pattern,
        filter.kind.map(PersonKind::as_str),
        filter.after.as_ref().map(|place| place.lower_name.as_str()),
        filter.after.as_ref().map(|place| place.person_id.as_str()),
        filter.limit,
    )
    .fetch_all(db)
    .await?;
    Ok(places)
}

/// People as clients see them, by license and id. Those that do not exist are left out.
pub(crate) async fn load(
    db: &mut PgConnection,
    wanted: &[(LicenseId, String)],
) -> Result<HashMap<(String, String), wire::Person>> {
    let (license_ids, ids): (Vec<String>, Vec<String>) =
        wanted.iter().map(|(license_id, id)| (license_id.to_string(), id.clone())).unzip();
    let rows = sqlx::query!(
        r#"select p.license_id, p.person_id, p.kind, p.name,
             array(select number from ties t where t.license_id = p.license_id and t.person_id = p.person_id
                   order by t.position, t.number) as "phones!"
           from unnest($1::text[], $2::text[]) as wanted (license_id, person_id)
           join people p on p.license_id = wanted.license_id and p.person_id = wanted.person_id"#,
        &license_ids,
        &ids,
    )
    .fetch_all(db)
    .await?;
    let people = rows.into_iter().map(|row| {
        let key = (row.license_id, row.person_id.clone());
        (key, wire::Person { person_id: row.person_id, kind: row.kind, name: row.name, phones: row.phones })
    });
    Ok(people.collect())
}
