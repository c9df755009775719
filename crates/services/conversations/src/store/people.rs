//! People and their ties.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use domain::{LicenseId, PersonId, PersonKind, PersonName, PhoneNumber};
use proto::conversations as wire;
use sqlx::PgConnection;

use super::{Result, Tx, stored};
use crate::model::Details;

/// Creates or replaces people, each named once, and renames them in their conversations.
pub(crate) async fn record_people(
    tx: &mut Tx<'_>,
    license_id: &LicenseId,
    people: &BTreeMap<PersonId, Details>,
    now: DateTime<Utc>,
) -> Result<()> {
    let ids: Vec<String> = people.keys().map(ToString::to_string).collect();
    let kinds: Vec<&str> = people.values().map(|details| details.kind.as_str()).collect();
    let names: Vec<&str> = people.values().map(|details| details.name.as_str()).collect();
    sqlx::query!(
        "insert into people (license_id, person_id, kind, name, updated_at)
         select $1, person_id, kind, name, $5 from unnest($2::text[], $3::text[], $4::text[]) as new (person_id, kind, name)
         on conflict (license_id, person_id) do update
           set kind = excluded.kind, name = excluded.name, updated_at = excluded.updated_at
           where (people.kind, people.name) is distinct from (excluded.kind, excluded.name)",
        license_id.as_str(),
        &ids,
        &kinds as _,
        &names as _,
        now,
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(
        "update conversation_people p set kind = new.kind, name = new.name
         from unnest($2::text[], $3::text[], $4::text[]) as new (person_id, kind, name)
         where p.license_id = $1 and p.person_id = new.person_id
           and (p.kind, p.name) is distinct from (new.kind, new.name)",
        license_id.as_str(),
        &ids,
        &kinds as _,
        &names as _,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Removes a person; its conversations stay.
pub(crate) async fn remove_person(tx: &mut Tx<'_>, license_id: &LicenseId, person_id: &PersonId) -> Result<()> {
    sqlx::query!(
        "delete from people where license_id = $1 and person_id = $2",
        license_id.as_str(),
        person_id.as_str(),
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What is known of these people, by id. Those that do not exist are left out.
pub(crate) async fn load_details(
    tx: &mut Tx<'_>,
    license_id: &LicenseId,
    ids: impl IntoIterator<Item = &PersonId>,
) -> Result<HashMap<PersonId, Details>> {
    let wanted: Vec<_> = ids.into_iter().map(|id| (license_id.clone(), id.to_string())).collect();
    let people = load(tx, &wanted).await?;
    people
        .into_values()
        .map(|person| {
            let numbers = person.phones.iter().map(|number| stored(PhoneNumber::from_e164(number), "number"));
            let details = Details {
                kind: stored(person.kind.parse(), "kind of person")?,
                name: stored(PersonName::parse(&person.name), "name of a person")?,
                numbers: numbers.collect::<Result<_>>()?,
            };
            Ok((stored(PersonId::parse(person.person_id), "person id")?, details))
        })
        .collect()
}

/// Makes exactly these numbers each person's, in this order. A tie that stays keeps its age. A number that is somebody's
/// is not blocked any more. `moved`: the ties that come and go with it.
pub(crate) async fn record_ties(
    tx: &mut Tx<'_>,
    license_id: &LicenseId,
    numbers: impl IntoIterator<Item = (&PersonId, &[PhoneNumber])>,
    moved: &[(&PersonId, PhoneNumber)],
    now: DateTime<Utc>,
) -> Result<()> {
    let (mut owners, mut tied, mut positions) = (Vec::new(), Vec::new(), Vec::new());
    let mut gone: BTreeSet<(&PersonId, PhoneNumber)> = moved.iter().copied().collect();
    for (person_id, numbers) in numbers {
        for (position, number) in (1_i32..).zip(numbers) {
            gone.remove(&(person_id, *number));
            owners.push(person_id.to_string());
            tied.push(number.as_str().to_owned());
            positions.push(position);
        }
    }
    if !gone.is_empty() {
        let (people, numbers): (Vec<String>, Vec<String>) =
            gone.iter().map(|(person_id, number)| (person_id.to_string(), number.as_str().to_owned())).unzip();
        sqlx::query!(
            "delete from ties using unnest($2::text[], $3::text[]) as gone (person_id, number)
             where ties.license_id = $1 and ties.person_id = gone.person_id and ties.number = gone.number",
            license_id.as_str(),
            &people,
            &numbers,
        )
        .execute(&mut **tx)
        .await?;
    }
    sqlx::query!(
        "with unblocked as (
           delete from blocked_numbers where license_id = $1 and number = any($3)
             and exists (select from blocked_numbers any_block where any_block.license_id = $1))
         insert into ties (license_id, person_id, number, position, tied_at)
         select $1, person_id, number, position, $5
         from unnest($2::text[], $3::text[], $4::integer[]) as new (person_id, number, position)
         on conflict (license_id, person_id, number) do update set position = excluded.position",
        license_id.as_str(),
        &owners,
        &tied,
        &positions,
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
        // The limit says to the planner that a key leads to one row. Else, with old statistics, it reads all of the license.
        r#"select found.person_id,
             (select number from ties
              where ties.license_id = $1 and ties.person_id = found.person_id
              order by position, number limit 1) as "number?"
           from unnest($2::text[]) as wanted (person_id)
           cross join lateral (
             select person_id from people each
             where each.license_id = $1 and each.person_id = wanted.person_id limit 1) as found"#,
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
