//! Numbers of which nothing is kept while they are tied to nobody (rule 8). A tie removes the block
//! (`people::record_ties`).

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use domain::{BlockedNumber, Id, LicenseId, ManagerId, PhoneNumber, Unmatched};
use proto::conversations as wire;
use proto::to_timestamp;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{Moment, Result, Tx, stored};

/// A number that is about to be blocked.
#[derive(Debug)]
pub(crate) struct NewBlock {
    pub license_id: LicenseId,
    pub blocked_id: Id<BlockedNumber>,
    pub number: PhoneNumber,
    pub manager_id: ManagerId,
    pub manager_name: String,
    /// The message that named the number.
    pub unmatched_id: Option<Id<Unmatched>>,
    pub blocked_at: DateTime<Utc>,
}

struct Row {
    blocked_id: Uuid,
    number: String,
    manager_id: String,
    manager_name: String,
    blocked_at: DateTime<Utc>,
}

impl Row {
    fn show(self, license_id: &LicenseId) -> wire::BlockedNumber {
        wire::BlockedNumber {
            license_id: license_id.to_string(),
            blocked_id: self.blocked_id.to_string(),
            number: self.number,
            blocked_by: Some(wire::Manager { id: self.manager_id, name: self.manager_name }),
            blocked_at: Some(to_timestamp(self.blocked_at)),
        }
    }
}

/// Blocks a number that is not blocked. The license is locked. Returns the block as it stands: the first one stays.
pub(crate) async fn record(tx: &mut Tx<'_>, block: &NewBlock) -> Result<wire::BlockedNumber> {
    sqlx::query!(
        "insert into blocked_numbers (license_id, blocked_id, number, manager_id, manager_name, unmatched_id, blocked_at)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (license_id, number) do nothing",
        block.license_id.as_str(),
        block.blocked_id.uuid(),
        block.number.as_str(),
        block.manager_id.as_str(),
        block.manager_name,
        block.unmatched_id.map(Id::uuid),
        block.blocked_at,
    )
    .execute(&mut **tx)
    .await?;
    let row = sqlx::query_as!(
        Row,
        "select blocked_id, number, manager_id, manager_name, blocked_at from blocked_numbers
         where license_id = $1 and number = $2",
        block.license_id.as_str(),
        block.number.as_str(),
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(row.show(&block.license_id))
}

/// The block that this message led to.
pub(crate) async fn find_by_message(
    tx: &mut Tx<'_>,
    license_id: &LicenseId,
    unmatched_id: Id<Unmatched>,
) -> Result<Option<wire::BlockedNumber>> {
    let row = sqlx::query_as!(
        Row,
        "select blocked_id, number, manager_id, manager_name, blocked_at from blocked_numbers
         where license_id = $1 and unmatched_id = $2",
        license_id.as_str(),
        unmatched_id.uuid(),
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(|row| row.show(license_id)))
}

/// Which of these numbers are blocked.
pub(crate) async fn list_blocked(
    tx: &mut Tx<'_>,
    numbers: &BTreeSet<(LicenseId, PhoneNumber)>,
) -> Result<BTreeSet<(LicenseId, PhoneNumber)>> {
    if numbers.is_empty() {
        return Ok(BTreeSet::new());
    }
    let (license_ids, numbers): (Vec<String>, Vec<String>) =
        numbers.iter().map(|(license_id, number)| (license_id.to_string(), number.as_str().to_owned())).unzip();
    let rows = sqlx::query!(
        // The limit says to the planner that a key leads to one row.
        "select blocked.license_id, blocked.number
         from unnest($1::text[], $2::text[]) as wanted (license_id, number)
         cross join lateral (
           select * from blocked_numbers each
           where each.license_id = wanted.license_id and each.number = wanted.number limit 1) as blocked",
        &license_ids,
        &numbers,
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            let number = stored(PhoneNumber::from_e164(&row.number), "number")?;
            Ok((stored(LicenseId::parse(row.license_id), "license id")?, number))
        })
        .collect()
}

/// One page of a license's blocked numbers, newest first, after a place.
pub(crate) async fn list(
    db: &mut PgConnection,
    license_id: &LicenseId,
    after: Option<Moment>,
    limit: i64,
) -> Result<Vec<(Moment, wire::BlockedNumber)>> {
    let rows = sqlx::query_as!(
        Row,
        "select blocked_id, number, manager_id, manager_name, blocked_at from blocked_numbers
         where license_id = $1
           and (blocked_at, blocked_id) <
               (coalesce($2::timestamptz, 'infinity'), coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
         order by blocked_at desc, blocked_id desc limit $4",
        license_id.as_str(),
        after.map(|moment| moment.at),
        after.map(|moment| moment.id),
        limit,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (Moment { at: row.blocked_at, id: row.blocked_id }, row.show(license_id))).collect())
}

/// Lifts a block, if it is there. Nothing is decided by it, so no lock is needed.
pub(crate) async fn remove(pool: &PgPool, license_id: &LicenseId, id: Id<BlockedNumber>) -> Result<()> {
    sqlx::query!(
        "delete from blocked_numbers where license_id = $1 and blocked_id = $2",
        license_id.as_str(),
        id.uuid(),
    )
    .execute(pool)
    .await?;
    Ok(())
}
