//! Numbers that cannot receive texts (rule 12), as carriers said. Whether one is known is read with the homes of a
//! send's numbers (`load_homes`); here it is learned and forgotten.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{LicenseId, PhoneNumber};

use super::{Result, Tx, stored};

/// Numbers change hands: how long a carrier's word is believed.
const RETENTION: TimeDelta = TimeDelta::days(90);

type Numbers = BTreeSet<(LicenseId, PhoneNumber)>;

fn columns<'a>(numbers: impl Iterator<Item = &'a (LicenseId, PhoneNumber)>) -> (Vec<String>, Vec<String>) {
    numbers.map(|(license_id, number)| (license_id.to_string(), number.as_str().to_owned())).unzip()
}

fn read(license_id: String, number: &str) -> Result<(LicenseId, PhoneNumber)> {
    let number = stored(PhoneNumber::from_e164(number), "number")?;
    Ok((stored(LicenseId::parse(license_id), "license id")?, number))
}

/// Remembers numbers with the time at which each was learned. The licenses are locked. Returns those that are new.
pub(crate) async fn record(
    tx: &mut Tx<'_>,
    numbers: &BTreeMap<(LicenseId, PhoneNumber), DateTime<Utc>>,
) -> Result<Numbers> {
    let (license_ids, names) = columns(numbers.keys());
    let times: Vec<DateTime<Utc>> = numbers.values().copied().collect();
    let rows = sqlx::query!(
        "insert into textless_numbers (license_id, number, learned_at)
         select * from unnest($1::text[], $2::text[], $3::timestamptz[])
         on conflict do nothing
         returning license_id, number",
        &license_ids,
        &names,
        &times,
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter().map(|row| read(row.license_id, &row.number)).collect()
}

/// Forgets numbers, all of them or those that were learned before a time. The licenses are locked. Returns those that
/// were known.
pub(crate) async fn remove(
    tx: &mut Tx<'_>,
    numbers: &Numbers,
    learned_before: Option<DateTime<Utc>>,
) -> Result<Numbers> {
    let (license_ids, names) = columns(numbers.iter());
    let rows = sqlx::query!(
        "delete from textless_numbers known
         using unnest($1::text[], $2::text[]) as wanted (license_id, number)
         where known.license_id = wanted.license_id and known.number = wanted.number
           and known.learned_at < coalesce($3::timestamptz, 'infinity')
         returning known.license_id, known.number",
        &license_ids,
        &names,
        learned_before,
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter().map(|row| read(row.license_id, &row.number)).collect()
}

/// What was learned before this is not believed any more.
pub(crate) fn believed_since(now: DateTime<Utc>) -> DateTime<Utc> {
    now - RETENTION
}

/// Numbers that were learned before a time, a bounded number of them.
pub(crate) async fn list_learned_before(tx: &mut Tx<'_>, before: DateTime<Utc>, limit: i64) -> Result<Numbers> {
    let rows =
        sqlx::query!("select license_id, number from textless_numbers where learned_at < $1 limit $2", before, limit,)
            .fetch_all(&mut **tx)
            .await?;
    rows.into_iter().map(|row| read(row.license_id, &row.number)).collect()
}
