//! A license's settings.

use chrono::{DateTime, Utc};
use proto::numbers;
use serde::Serialize;
use utoipa::ToSchema;

use super::{BrokenAnswer, find_time, time};

/// The company and its messages number.
#[derive(Serialize, ToSchema)]
pub(crate) struct Settings {
    license_id: String,
    company_name: String,
    /// E.164. Calls to the messages number ring there.
    company_phone: Option<String>,
    /// Null until the first number is assigned.
    messages_number: Option<MessagesNumber>,
    /// Where the purchase of a number stands. Null when none is under way.
    provisioning: Option<Provisioning>,
    /// Null: a change is allowed now.
    next_change_allowed_at: Option<DateTime<Utc>>,
}

/// The number that the license texts from.
#[derive(Serialize, ToSchema)]
pub(crate) struct MessagesNumber {
    /// E.164.
    number: String,
    carrier: String,
    assigned_at: DateTime<Utc>,
}

/// Where the purchase of a number stands.
#[derive(Serialize, ToSchema)]
pub(crate) struct Provisioning {
    /// `searching` or `buying`.
    step: String,
    /// Tries of this step that failed so far.
    attempts: u32,
    /// Why the last try failed: a stable code.
    last_error: Option<String>,
    next_attempt_at: DateTime<Utc>,
}

impl TryFrom<numbers::Settings> for Settings {
    type Error = BrokenAnswer;

    fn try_from(settings: numbers::Settings) -> Result<Self, BrokenAnswer> {
        Ok(Self {
            license_id: settings.license_id,
            company_name: settings.company_name,
            company_phone: settings.company_phone,
            messages_number: settings.messages_number.map(TryFrom::try_from).transpose()?,
            provisioning: settings.provisioning.map(TryFrom::try_from).transpose()?,
            next_change_allowed_at: find_time(settings.next_change_allowed_at, "next_change_allowed_at")?,
        })
    }
}

impl TryFrom<numbers::MessagesNumber> for MessagesNumber {
    type Error = BrokenAnswer;

    fn try_from(number: numbers::MessagesNumber) -> Result<Self, BrokenAnswer> {
        let assigned_at = time(number.assigned_at, "assigned_at")?;
        Ok(Self { number: number.number, carrier: number.carrier, assigned_at })
    }
}

impl TryFrom<numbers::Provisioning> for Provisioning {
    type Error = BrokenAnswer;

    fn try_from(provisioning: numbers::Provisioning) -> Result<Self, BrokenAnswer> {
        Ok(Self {
            step: provisioning.step,
            attempts: provisioning.attempts,
            last_error: provisioning.last_error,
            next_attempt_at: time(provisioning.next_attempt_at, "next_attempt_at")?,
        })
    }
}
