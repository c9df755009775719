//! The only SQL of this service. [`licenses`] serves the requests, [`acquisitions`] the saga.
//!
//! It decides nothing. What is stored is read back into the types of the domain; a value that does not fit is an
//! internal error, because somebody wrote it past this service.

mod acquisitions;
mod licenses;

use domain::{CarrierName, CompanyName, LicenseId, PhoneNumber};
use sqlx::PgPool;

use crate::error::StoreError;

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
