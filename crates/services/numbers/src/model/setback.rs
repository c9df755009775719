//! Why a try failed, in stable codes, and how long the next one waits.

use std::time::Duration;

use carriers::{CallError, NumberRefusalKind};

const FIRST_DELAY: Duration = Duration::from_secs(1);
/// The longest pause between two tries.
pub(crate) const MAX_DELAY: Duration = Duration::from_mins(5);

/// Stable codes that settings show and refusals carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setback {
    /// The carrier has no number for us, anywhere.
    NoNumbersAvailable,
    /// The chosen number went to somebody else.
    NumberTaken,
    /// The candidate ran out before anybody came to buy it.
    CandidateExpired,
    CarrierThrottled,
    CarrierUnreachable,
    /// The call may have been done; a look at the carrier comes before the next one.
    CarrierOutcomeUnknown,
    /// Suspended, unpaid, wrong credentials: an operator must act.
    CarrierAccountProblem,
    CarrierRefused,
    /// The installation has no credentials of this carrier any more.
    CarrierNotConfigured,
}

impl Setback {
    const ALL: [Self; 9] = [
        Self::NoNumbersAvailable,
        Self::NumberTaken,
        Self::CandidateExpired,
        Self::CarrierThrottled,
        Self::CarrierUnreachable,
        Self::CarrierOutcomeUnknown,
        Self::CarrierAccountProblem,
        Self::CarrierRefused,
        Self::CarrierNotConfigured,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NoNumbersAvailable => "no_numbers_available",
            Self::NumberTaken => "number_taken",
            Self::CandidateExpired => "candidate_expired",
            Self::CarrierThrottled => "carrier_throttled",
            Self::CarrierUnreachable => "carrier_unreachable",
            Self::CarrierOutcomeUnknown => "carrier_outcome_unknown",
            Self::CarrierAccountProblem => "carrier_account_problem",
            Self::CarrierRefused => "carrier_refused",
            Self::CarrierNotConfigured => "carrier_not_configured",
        }
    }

    pub(crate) fn find(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|setback| setback.as_str() == text)
    }

    /// What a failed call is called.
    pub(crate) fn of(error: &CallError) -> Self {
        match error {
            CallError::Refused(refusal) if refusal.kind == NumberRefusalKind::Account => Self::CarrierAccountProblem,
            CallError::Refused(_) => Self::CarrierRefused,
            CallError::Throttled { .. } => Self::CarrierThrottled,
            CallError::Unreachable { .. } => Self::CarrierUnreachable,
            CallError::Unknown { .. } => Self::CarrierOutcomeUnknown,
        }
    }
}

/// After so many failed tries and this failure: as long as the carrier asks, else doubling, at most `longest`.
pub(crate) fn plan_delay(failures: u32, error: &CallError, longest: Duration) -> Duration {
    let asked = match error {
        CallError::Throttled { retry_after } => retry_after.unwrap_or_default(),
        _ => Duration::ZERO,
    };
    backoff(failures.saturating_add(1), longest).max(asked).min(longest)
}

/// Nothing, then 1 s doubling to `longest`.
pub(crate) fn backoff(failures: u32, longest: Duration) -> Duration {
    let Some(doublings) = failures.checked_sub(1) else { return Duration::ZERO };
    FIRST_DELAY.saturating_mul(2_u32.saturating_pow(doublings)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_wait_one_second_doubling_to_five_minutes_and_as_long_as_the_carrier_asks() {
        let unknown = CallError::Unknown { cause: "time-out".into() };
        let delays = [0, 1, 2, 8, 9, u32::MAX].map(|failures| plan_delay(failures, &unknown, MAX_DELAY).as_secs());
        assert_eq!(delays, [1, 2, 4, 256, 300, 300]);
        let throttled = |retry_after| plan_delay(0, &CallError::Throttled { retry_after }, MAX_DELAY).as_secs();
        assert_eq!(throttled(Some(Duration::from_secs(30))), 30);
        assert_eq!(throttled(Some(Duration::from_hours(24))), 300);
        assert_eq!(throttled(None), 1);
    }

    #[test]
    fn stored_words_read_back() {
        for setback in Setback::ALL {
            assert_eq!(Setback::find(setback.as_str()), Some(setback));
        }
        assert_eq!(Setback::find("other"), None);
    }
}
