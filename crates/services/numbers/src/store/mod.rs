//! The only SQL of this service. [`licenses`], [`changes`] and [`sending`] serve the requests, [`acquisitions`] the saga,
//! [`releases`], [`routes`] and [`audit`] the loops of the same names.
//!
//! It decides nothing. What is stored is read back into the types of the domain; a value that does not fit is an
//! internal error, because somebody wrote it past this service.
//!
//! Locks are taken in one order: the license's row, its acquisition, a number ([`lock_number`]), the rest.

mod acquisitions;
mod audit;
mod changes;
mod licenses;
mod releases;
mod routes;
mod sending;

use chrono::{DateTime, Utc};
use domain::{CarrierName, CompanyName, LicenseId, PhoneNumber};
use sqlx::postgres::PgQueryResult;
use sqlx::{PgPool, PgTransaction};

use crate::error::StoreError;
use crate::model::setback::Setback;

pub(crate) use changes::SaveBegun;
pub(crate) use licenses::LicenseChange;
pub(crate) use releases::Release;

/// The database of this service. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pool: PgPool,
}

impl Store {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

fn read_license_id(text: String) -> Result<LicenseId, StoreError> {
    LicenseId::parse(text).map_err(|_| StoreError::Unreadable { what: "license id" })
}

fn read_number(text: &str) -> Result<PhoneNumber, StoreError> {
    PhoneNumber::from_e164(text).map_err(|_| StoreError::Unreadable { what: "phone number" })
}

fn read_numbers(texts: &[String]) -> Result<Vec<PhoneNumber>, StoreError> {
    texts.iter().map(|text| read_number(text)).collect()
}

fn read_company_name(text: &str) -> Result<CompanyName, StoreError> {
    CompanyName::parse(text).map_err(|_| StoreError::Unreadable { what: "company name" })
}

fn read_carrier(text: &str) -> Result<CarrierName, StoreError> {
    text.parse().map_err(|_| StoreError::Unreadable { what: "carrier" })
}

fn read_attempts(attempts: i32) -> Result<u32, StoreError> {
    u32::try_from(attempts).map_err(|_| StoreError::Unreadable { what: "attempts" })
}

fn write_numbers(numbers: &[PhoneNumber]) -> Vec<String> {
    numbers.iter().map(|number| number.as_str().to_owned()).collect()
}

fn read_version(version: i64) -> Result<u64, StoreError> {
    u64::try_from(version).map_err(|_| StoreError::Unreadable { what: "version" })
}

fn read_count(count: i64) -> Result<u64, StoreError> {
    u64::try_from(count).map_err(|_| StoreError::Unreadable { what: "count" })
}

fn read_setback(text: &str) -> Result<Setback, StoreError> {
    Setback::find(text).ok_or(StoreError::Unreadable { what: "setback" })
}

/// A write that names a lease changed its row, or the lease is lost.
fn still_held(written: &PgQueryResult) -> Result<(), StoreError> {
    if written.rows_affected() == 1 { Ok(()) } else { Err(StoreError::LeaseLost) }
}

/// One row that cannot be read must not hold up the others: it is reported and stays where it is.
fn report_unreadable<T>(read: Result<T, StoreError>) -> Option<T> {
    read.inspect_err(|error| {
        tracing::error!(error = error as &dyn std::error::Error, "a row stands still; a person must look");
    })
    .ok()
}

/// Until the end of the transaction nobody else gives this number a use: as a messages number, as a company's phone or
/// as an offer (rule 6). Whoever does takes this first, then looks.
async fn lock_number(tx: &mut PgTransaction<'_>, number: PhoneNumber) -> Result<(), StoreError> {
    sqlx::query!(
        r#"select pg_advisory_xact_lock(hashtextextended('number ' || $1, 0)) as "locked!: ()""#,
        number.as_str()
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(())
}

/// Leaseline owns it or is about to: assigned, being bought, or not yet given back.
async fn is_ours(tx: &mut PgTransaction<'_>, number: PhoneNumber) -> Result<bool, StoreError> {
    let is = sqlx::query_scalar!(
        r#"select exists (select from messages_numbers where number = $1)
               or exists (select from acquisitions where number = $1)
               or exists (select from releases where number = $1) as "is!""#,
        number.as_str(),
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(is)
}

/// Ours, or some company's own phone: calls to it would ring in a circle (rule 6).
async fn is_taken(tx: &mut PgTransaction<'_>, number: PhoneNumber) -> Result<bool, StoreError> {
    if is_ours(tx, number).await? {
        return Ok(true);
    }
    let is = sqlx::query_scalar!(
        r#"select exists (select from licenses where company_phone = $1) as "is!""#,
        number.as_str(),
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(is)
}

/// Before a number is bought: from now on an audit may give it back.
async fn record_purchase(
    tx: &mut PgTransaction<'_>,
    license_id: &LicenseId,
    carrier: CarrierName,
    number: PhoneNumber,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into purchases (number, carrier, license_id, chosen_at) values ($1, $2, $3, $4)
         on conflict on constraint purchases_pkey do update set chosen_at = excluded.chosen_at",
        number.as_str(),
        carrier.as_str(),
        license_id.as_str(),
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
