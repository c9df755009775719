//! Whether a candidate may be saved (rules 3 and 4), and whether that has been done already.
//!
//! Decided under the license's row lock, so that of two Saves at the same moment one wins.

use chrono::{DateTime, Months, Utc};
use domain::{Candidate, Id};

use super::search::Offer;

/// What stands when somebody saves a candidate.
#[derive(Clone, Debug)]
pub(crate) struct SaveState {
    pub(crate) candidate_id: Id<Candidate>,
    /// Absent: there is none, not for this license.
    pub(crate) offer: Option<Offer>,
    /// The candidate that became the present number.
    pub(crate) assigned_from: Option<Id<Candidate>>,
    pub(crate) running: Running,
    /// The last replacement.
    pub(crate) last_changed_at: Option<DateTime<Utc>>,
}

/// The purchase that is under way for the license.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Running {
    Nothing,
    FirstNumber,
    Replacement(Id<Candidate>),
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SavePlan {
    /// Unless the number is taken.
    Begin(Offer),
    /// The same Save again, while the first one is under way.
    Join,
    /// The same Save again, later.
    Done,
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SaveRefusal {
    NotFound,
    /// Another Save, or the first number, is under way.
    InProgress,
    /// Allowed from then on.
    LimitReached {
        next_change_allowed_at: DateTime<Utc>,
    },
    Expired,
    Taken,
}

/// One change a calendar month: the day of the last one a month later, clamped to the month's length (rule 4).
/// `None`: now.
pub(crate) fn next_change_allowed_at(
    last_changed_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    last_changed_at?.checked_add_months(Months::new(1)).filter(|allowed| *allowed > now)
}

pub(crate) fn decide_save(state: SaveState, now: DateTime<Utc>) -> Result<SavePlan, SaveRefusal> {
    if state.assigned_from == Some(state.candidate_id) {
        return Ok(SavePlan::Done);
    }
    let offer = state.offer.ok_or(SaveRefusal::NotFound)?;
    match state.running {
        Running::Nothing => {}
        Running::Replacement(candidate_id) if candidate_id == state.candidate_id => return Ok(SavePlan::Join),
        Running::FirstNumber | Running::Replacement(_) => return Err(SaveRefusal::InProgress),
    }
    if let Some(next_change_allowed_at) = next_change_allowed_at(state.last_changed_at, now) {
        return Err(SaveRefusal::LimitReached { next_change_allowed_at });
    }
    if offer.expires_at <= now {
        return Err(SaveRefusal::Expired);
    }
    Ok(SavePlan::Begin(offer))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::{CarrierName, PhoneNumber};

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn state() -> SaveState {
        let candidate_id = Id::new();
        let offer = Offer {
            candidate_id,
            number: PhoneNumber::from_e164("+14152345678").unwrap(),
            carrier: CarrierName::Twilio,
            area_code_matched: true,
            expires_at: at("2026-03-02T15:15:00Z"),
        };
        SaveState {
            candidate_id,
            offer: Some(offer),
            assigned_from: None,
            running: Running::Nothing,
            last_changed_at: None,
        }
    }

    const NOW: &str = "2026-03-02T15:00:00Z";

    #[test]
    fn a_number_can_be_changed_once_a_calendar_month_clamped_to_the_month_s_length() {
        for (last, next) in [
            ("2026-01-31T10:00:00.000001Z", "2026-02-28T10:00:00.000001Z"),
            ("2028-01-31T10:00:00Z", "2028-02-29T10:00:00Z"),
            ("2026-03-31T23:59:59Z", "2026-04-30T23:59:59Z"),
            ("2026-12-15T00:00:00Z", "2027-01-15T00:00:00Z"),
            ("2026-02-28T10:00:00Z", "2026-03-28T10:00:00Z"),
        ] {
            let (last, next) = (at(last), at(next));
            let just_before = next - Duration::from_micros(1);
            assert_eq!(next_change_allowed_at(Some(last), just_before), Some(next));
            assert_eq!(next_change_allowed_at(Some(last), next), None);
        }
        assert_eq!(next_change_allowed_at(None, at(NOW)), None);
    }

    #[test]
    fn a_candidate_expires() {
        let state = state();
        let expires_at = state.offer.as_ref().unwrap().expires_at;
        let before = decide_save(state.clone(), expires_at - Duration::from_micros(1));
        assert_eq!(before, Ok(SavePlan::Begin(state.offer.clone().unwrap())));
        assert_eq!(decide_save(state, expires_at), Err(SaveRefusal::Expired));
    }

    #[test]
    fn saving_the_same_candidate_again_starts_nothing() {
        let first = state();
        let again = SaveState { running: Running::Replacement(first.candidate_id), ..first.clone() };
        assert_eq!(decide_save(again, at(NOW)), Ok(SavePlan::Join));
        // Its month has not passed and its offer is gone: it is done all the same.
        let later =
            SaveState { assigned_from: Some(first.candidate_id), last_changed_at: Some(at(NOW)), offer: None, ..first };
        assert_eq!(decide_save(later, at(NOW)), Ok(SavePlan::Done));
    }

    #[test]
    fn while_a_number_is_bought_another_save_is_refused() {
        for running in [Running::FirstNumber, Running::Replacement(Id::new())] {
            assert_eq!(decide_save(SaveState { running, ..state() }, at(NOW)), Err(SaveRefusal::InProgress));
        }
    }

    #[test]
    fn the_refusal_names_the_time_from_which_a_change_is_allowed() {
        let state = SaveState { last_changed_at: Some(at("2026-03-01T09:00:00Z")), ..state() };
        let next_change_allowed_at = at("2026-04-01T09:00:00Z");
        assert_eq!(decide_save(state, at(NOW)), Err(SaveRefusal::LimitReached { next_change_allowed_at }));
    }

    #[test]
    fn a_candidate_of_nobody_is_not_found() {
        assert_eq!(decide_save(SaveState { offer: None, ..state() }, at(NOW)), Err(SaveRefusal::NotFound));
    }
}
