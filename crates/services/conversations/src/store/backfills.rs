//! How far the texts of each license's present number were compared with its carrier's list, and when that is due again.
//!
//! A look is claimed for a while by one worker. It may be made due again meanwhile, or the number may be replaced: what a
//! worker writes afterwards changes neither.

use chrono::{DateTime, Utc};
use domain::{LicenseId, PhoneNumber};
use sqlx::PgPool;

use super::{Result, Tx, stored};

/// Begins anew for the licenses whose number changed: from its assignment, and at once. They are locked.
pub(crate) async fn follow_assignments(tx: &mut Tx<'_>, license_ids: &[LicenseId]) -> Result<()> {
    if license_ids.is_empty() {
        return Ok(());
    }
    let license_ids: Vec<String> = license_ids.iter().map(ToString::to_string).collect();
    sqlx::query!(
        "insert into backfills (license_id, number, carrier, assigned_at, checked_to, due_at)
         select license_id, number, carrier, number_assigned_at, number_assigned_at, number_assigned_at
         from licenses where license_id = any($1) and number is not null
         order by license_id
         on conflict (license_id) do update
         set number = excluded.number, carrier = excluded.carrier, assigned_at = excluded.assigned_at,
             checked_to = excluded.checked_to, due_at = excluded.due_at, tries = 0
         where backfills.number <> excluded.number or backfills.assigned_at <> excluded.assigned_at",
        &license_ids,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Makes every number due that was not looked at since this time. Those whose carriers have no list stay out of it.
pub(crate) async fn make_due(tx: &mut Tx<'_>, since: DateTime<Utc>) -> Result<u64> {
    let due = sqlx::query!("update backfills set due_at = $1 where due_at > $1 and checked_to < $1", since)
        .execute(&mut **tx)
        .await?;
    Ok(due.rows_affected())
}

/// A number that this worker alone looks at, for a while.
#[derive(Debug, Clone)]
pub(crate) struct Claimed {
    pub license_id: LicenseId,
    pub number: PhoneNumber,
    pub carrier: String,
    pub assigned_at: DateTime<Utc>,
    pub checked_to: DateTime<Utc>,
    /// With this one.
    pub tries: i32,
    leased_until: Option<DateTime<Utc>>,
}

/// Takes numbers whose time has come, the longest due first, until `leased_until`. Several workers get different ones.
pub(crate) async fn claim(
    pool: &PgPool,
    now: DateTime<Utc>,
    leased_until: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Claimed>> {
    let rows = sqlx::query!(
        "update backfills set due_at = $2, tries = tries + 1
         where license_id in
           (select license_id from backfills where due_at <= $1 order by due_at limit $3 for update skip locked)
         returning license_id, number, carrier, assigned_at, checked_to, tries, due_at",
        now,
        leased_until,
        limit,
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Claimed {
                license_id: stored(LicenseId::parse(row.license_id), "license id")?,
                number: stored(PhoneNumber::from_e164(&row.number), "number")?,
                carrier: row.carrier,
                assigned_at: row.assigned_at,
                checked_to: row.checked_to,
                tries: row.tries,
                leased_until: row.due_at,
            })
        })
        .collect()
}

/// Everything that was listed when the look began is taken in. It is due again at `next`, unless it was made due meanwhile.
pub(crate) async fn record_checked(
    pool: &PgPool,
    claimed: &Claimed,
    began: DateTime<Utc>,
    next: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "update backfills
         set checked_to = greatest(checked_to, $4), tries = 0, due_at = case when due_at = $5 then $6 else due_at end
         where license_id = $1 and number = $2 and assigned_at = $3",
        claimed.license_id.as_str(),
        claimed.number.as_str(),
        claimed.assigned_at,
        began,
        claimed.leased_until,
        next,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// It is looked at then, unless it was made due meanwhile. `None`: never, until the number is replaced.
pub(crate) async fn put_off(pool: &PgPool, claimed: &Claimed, until: Option<DateTime<Utc>>) -> Result<()> {
    sqlx::query!(
        "update backfills set due_at = $5
         where license_id = $1 and number = $2 and assigned_at = $3 and due_at = $4",
        claimed.license_id.as_str(),
        claimed.number.as_str(),
        claimed.assigned_at,
        claimed.leased_until,
        until,
    )
    .execute(pool)
    .await?;
    Ok(())
}
