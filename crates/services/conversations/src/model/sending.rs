//! A send with its parts read: what a request of now and a scheduled one that is due have in common.

use domain::{LicenseId, ManagerId, PersonName};

use super::{Recipient, Text};

/// What a manager wants to send, and to whom.
#[derive(Debug, Clone)]
pub(crate) struct Sending {
    pub license_id: LicenseId,
    pub manager_id: ManagerId,
    pub manager_name: PersonName,
    /// At most 10,000.
    pub recipients: Vec<Recipient>,
    pub text: Text,
    pub media_urls: Vec<String>,
    /// The newest feed position that the manager has seen. `None`: not looked at.
    pub last_seen: Option<i64>,
}

/// Where a scheduled send stands. It ends once, and for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScheduledStatus {
    Waiting,
    /// Also when everything was rejected then.
    Sent,
    Canceled,
}

impl ScheduledStatus {
    pub(crate) const ALL: [Self; 3] = [Self::Waiting, Self::Sent, Self::Canceled];

    /// The word as it is stored and shown.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Canceled => "canceled",
        }
    }
}
