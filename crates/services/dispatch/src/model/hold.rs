//! Why a message is held: out of line until a time, so that it does not hold up those behind it.

use chrono::{DateTime, Utc};

/// Why. The words are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldReason {
    /// Of its recipient; batches only.
    QuietHours,
    /// Its registration may send no more today.
    DailyLimit,
    /// A network takes nothing more from its campaign for some time.
    Throttled,
}

impl HoldReason {
    /// The word as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::QuietHours => "quiet_hours",
            Self::DailyLimit => "daily_limit",
            Self::Throttled => "throttled",
        }
    }

    /// The reason that a stored word means.
    pub fn find(word: &str) -> Option<Self> {
        [Self::QuietHours, Self::DailyLimit, Self::Throttled].into_iter().find(|reason| reason.as_str() == word)
    }

    /// Nobody is in trouble: the time does not count against the message's patience.
    pub const fn is_peaceful(self) -> bool {
        matches!(self, Self::QuietHours | Self::DailyLimit)
    }
}

/// A message that does not go before a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    pub until: DateTime<Utc>,
    pub reason: HoldReason,
}
