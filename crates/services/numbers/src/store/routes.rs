//! Which routes in the bucket are stale, and what they should be (rule 6).
//!
//! A mark is written in the transaction that changes a route. It waits for a publisher that holds the mark's row, so
//! that no mark is lost between the reading of the state and the removal of the mark.

use chrono::{DateTime, Utc};
use domain::LicenseId;
use sqlx::PgTransaction;

use super::{Store, read_count, read_version};
use crate::error::StoreError;

/// Marks that this transaction holds, with the state of the moment. Dropped, the marks stay.
#[derive(Debug)]
pub(crate) struct StaleRoutes {
    tx: PgTransaction<'static>,
    license_ids: Vec<String>,
    /// Those licenses that have a number.
    pub(crate) routes: Vec<proto::numbers::Route>,
}

/// The license's number or company phone has changed.
pub(super) async fn mark_stale(
    tx: &mut PgTransaction<'_>,
    license_id: &LicenseId,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    // An update, not nothing: it waits for a publisher that read the state before this change.
    sqlx::query!(
        "insert into stale_routes (license_id, marked_at) values ($1, $2)
         on conflict on constraint stale_routes_pkey do update set marked_at = stale_routes.marked_at",
        license_id.as_str(),
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

impl Store {
    /// Takes up to `limit` marks that nobody else holds, oldest first.
    pub(crate) async fn claim_stale_routes(&self, limit: i64) -> Result<StaleRoutes, StoreError> {
        let mut tx = self.pool.begin().await?;
        let license_ids = sqlx::query_scalar!(
            "select license_id from stale_routes order by marked_at limit $1 for update skip locked",
            limit,
        )
        .fetch_all(&mut *tx)
        .await?;
        // A statement of its own: it sees what was committed before the marks were locked.
        let rows = sqlx::query!(
            "select l.license_id, m.number, l.company_phone, l.version
             from licenses l join messages_numbers m using (license_id)
             where l.license_id = any($1)",
            &license_ids,
        )
        .fetch_all(&mut *tx)
        .await?;
        let routes = rows
            .into_iter()
            .map(|row| {
                Ok(proto::numbers::Route {
                    license_id: row.license_id,
                    number: row.number,
                    company_phone: row.company_phone,
                    version: read_version(row.version)?,
                })
            })
            .collect::<Result<_, StoreError>>()?;
        Ok(StaleRoutes { tx, license_ids, routes })
    }

    /// Licenses whose route must stand in the bucket.
    pub(crate) async fn count_routes(&self) -> Result<u64, StoreError> {
        let count =
            sqlx::query_scalar!(r#"select count(*) as "count!" from messages_numbers"#).fetch_one(&self.pool).await?;
        read_count(count)
    }

    /// The bucket was lost: every route has to be told again.
    pub(crate) async fn mark_all_stale(&self, now: DateTime<Utc>) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into stale_routes (license_id, marked_at) select license_id, $1 from messages_numbers
             on conflict on constraint stale_routes_pkey do nothing",
            now,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

impl StaleRoutes {
    pub(crate) fn len(&self) -> usize {
        self.license_ids.len()
    }

    /// All of them are told.
    pub(crate) async fn record_published(mut self) -> Result<(), StoreError> {
        sqlx::query!("delete from stale_routes where license_id = any($1)", &self.license_ids)
            .execute(&mut *self.tx)
            .await?;
        self.tx.commit().await?;
        Ok(())
    }
}
