//! Why something waits (rule 18).

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::examples;

/// Why it waits, and until about when.
#[derive(Serialize, ToSchema)]
#[schema(example = json!(examples::waiting()))]
pub(crate) struct Waiting {
    /// Stable; for programs. There may be more in future.
    ///
    /// - `pace`: others of the license go first, and its number sends only so fast.
    /// - `scheduled`: its time has not come.
    /// - `quiet_hours`: it is night where the recipient's area code lies; only batches wait for that.
    /// - `daily_limit`: the license's registration may send no more today.
    /// - `being_confirmed`: nobody knows yet whether the carrier took it, and so it is not sent again.
    /// - `carrier_throttled`, `carrier_unreachable`: the carrier takes nothing right now.
    /// - `no_number`: the license has no messages number yet.
    /// - `number_not_ready`: the carrier does not take messages from the license's number yet, or not any more.
    pub(crate) reason: String,
    /// About when it goes on. Null when nobody can say.
    pub(crate) until: Option<DateTime<Utc>>,
}
