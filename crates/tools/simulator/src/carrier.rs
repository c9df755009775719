//! Which of the two carriers: a number belongs to one of them, a request goes to one of them.

use serde::{Deserialize, Serialize};

/// The carriers that are played. A numbers file without the word is from the time when there was only Twilio.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CarrierName {
    #[default]
    Twilio,
    Telnyx,
}
