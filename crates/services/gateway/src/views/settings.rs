//! A license's settings.

use chrono::{DateTime, Utc};
use proto::numbers;
use serde::Serialize;
use utoipa::ToSchema;

use super::{BrokenAnswer, find_time, time};

/// The company and its messages number.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "license_id": "acme", "company_name": "Acme Homes", "company_phone": "+12125550199",
    "messages_number": {"number": "+12125550100", "carrier": "twilio", "assigned_at": "2026-03-02T15:00:00Z"},
    "provisioning": null, "next_change_allowed_at": "2026-04-02T15:00:00Z", "carrier": "twilio",
    "last_change_error": null, "quiet_hours": {"from": "21:00", "until": "08:00"},
    "registration": {"campaign": "CJ1X4ZK", "brand": "BQ7T2M9"},
}))]
pub(crate) struct Settings {
    license_id: String,
    company_name: String,
    /// E.164. Calls to the messages number ring there.
    company_phone: Option<String>,
    /// Null until the first number is assigned.
    messages_number: Option<MessagesNumber>,
    /// Where the purchase of a number stands. Null when none is under way.
    provisioning: Option<Provisioning>,
    /// From when on the number may be changed again. Null: it may be changed now.
    next_change_allowed_at: Option<DateTime<Utc>>,
    /// Where the next number is bought. The present number stays with its own carrier.
    carrier: String,
    /// Why the last change that was answered before its end came to nothing. Null when it did not, and once another
    /// one begins.
    last_change_error: Option<ChangeError>,
    /// Hours in which batches wait. Null: they go at any time.
    quiet_hours: Option<QuietHours>,
    /// Under what it is registered with the carriers' networks. Null: nothing was said.
    registration: Option<Registration>,
}

/// Hours in which batches wait, in the time of each recipient's area code.
#[derive(Serialize, ToSchema)]
pub(crate) struct QuietHours {
    /// `00:00` to `23:59`.
    from: String,
    /// Exclusive. Before `from`: over midnight.
    until: String,
}

/// Under what a license is registered with the carriers' networks. Licenses with the same one share its limits.
#[derive(Serialize, ToSchema)]
pub(crate) struct Registration {
    /// Null: one of its own.
    campaign: Option<String>,
    /// Null: one of its own.
    brand: Option<String>,
}

/// Why a change of the number came to nothing. The old number stayed.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChangeError {
    /// Stable; for programs: `number_taken`, `carrier_…`.
    code: String,
    occurred_at: DateTime<Utc>,
}

/// A number that could replace the license's own. Nothing is bought until it is saved.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "candidate_id": "01988e5c-7a00-7000-8000-000000000001", "number": "+14155550100", "area_code_matched": true,
    "expires_at": "2026-03-02T15:15:00Z",
}))]
#[expect(clippy::struct_field_names, reason = "the names are those of the API")]
pub(crate) struct Candidate {
    candidate_id: String,
    /// E.164.
    number: String,
    /// False: it is any number of the United States, because no area code was asked for, or none was to be had in it.
    area_code_matched: bool,
    /// From then on it cannot be saved.
    expires_at: DateTime<Utc>,
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
            carrier: settings.carrier,
            last_change_error: settings.last_change_error.map(TryFrom::try_from).transpose()?,
            quiet_hours: settings.quiet_hours.map(TryFrom::try_from).transpose()?,
            registration: Registration::find(settings.campaign, settings.brand),
        })
    }
}

impl Registration {
    /// None when neither was said.
    fn find(campaign: Option<String>, brand: Option<String>) -> Option<Self> {
        (campaign.is_some() || brand.is_some()).then_some(Self { campaign, brand })
    }
}

impl TryFrom<numbers::QuietHours> for QuietHours {
    type Error = BrokenAnswer;

    fn try_from(hours: numbers::QuietHours) -> Result<Self, BrokenAnswer> {
        Ok(Self { from: time_of_day(hours.from_minute)?, until: time_of_day(hours.until_minute)? })
    }
}

/// Minutes after midnight as `21:00`.
fn time_of_day(minute: u32) -> Result<String, BrokenAnswer> {
    if minute >= 24 * 60 {
        return Err(BrokenAnswer("quiet_hours"));
    }
    Ok(format!("{:02}:{:02}", minute / 60, minute % 60))
}

impl TryFrom<numbers::ChangeError> for ChangeError {
    type Error = BrokenAnswer;

    fn try_from(error: numbers::ChangeError) -> Result<Self, BrokenAnswer> {
        let occurred_at = time(error.occurred_at, "occurred_at")?;
        Ok(Self { code: error.code, occurred_at })
    }
}

impl TryFrom<numbers::Candidate> for Candidate {
    type Error = BrokenAnswer;

    fn try_from(candidate: numbers::Candidate) -> Result<Self, BrokenAnswer> {
        Ok(Self {
            candidate_id: candidate.candidate_id,
            number: candidate.number,
            area_code_matched: candidate.area_code_matched,
            expires_at: time(candidate.expires_at, "expires_at")?,
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
