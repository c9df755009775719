//! How a license gets a number: the decisions of the saga (rule 5), for the first number and for a replacement.
//!
//! The choice is stored before anything is bought, and exactly that number is bought. No carrier has an idempotency key,
//! so whoever picks up an acquisition looks first whether the number is ours already: only what the carrier says it
//! owns, or does not own, decides whether to buy.
//!
//! ```text
//! first:        searching ──► (FindLeftBehind) ──► Search ──► choice stored: buying ──► Buy ──► Assign
//! replacement:                         Save stores the candidate's number: buying ──► Buy ──► Assign
//!
//! picked up:    buying ──► Look ──┬─ ours ──────► Configure ──► Assign
//!                                 ├─ not there ─► Buy
//!                                 └─ somebody else's ─► no success
//! not available: Buy ──► Look once more ──► no success
//! no success while a purchase is in doubt: all of it once more, a while later
//!
//! no success    first: back to searching, without this number, for as long as it takes.
//!               replacement: the end. Nothing else is bought, the old number stays, the month does not count.
//! ```

use std::time::Duration;

use carriers::{CallError, NumberRefusalKind, OwnedNumber};
use chrono::{DateTime, Utc};
use domain::{Candidate, CarrierName, Id, LicenseId, PhoneNumber};
use uuid::Uuid;

use super::setback::{MAX_DELAY, Setback, backoff, plan_delay};

/// Skipped numbers that are remembered: more than one search shows.
const MAX_SKIPPED: usize = 100;

/// Before a number that may be ours is looked for once more: longer than a carrier works on a request that we gave up,
/// and than its list is late.
const LOOK_AGAIN: Duration = Duration::from_secs(20);

/// Where an acquisition stands, as it is stored and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// No number is chosen.
    Searching,
    /// A number is chosen and may have been bought already.
    Buying,
}

impl Step {
    const ALL: [Self; 2] = [Self::Searching, Self::Buying];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Searching => "searching",
            Self::Buying => "buying",
        }
    }

    pub(crate) fn find(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.as_str() == text)
    }
}

/// What the number is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A new license's number: any will do, and the search goes on until there is one.
    First,
    /// Exactly the candidate's number, or none.
    Replacement {
        candidate_id: Id<Candidate>,
        /// Nothing is bought from then on.
        give_up_at: DateTime<Utc>,
    },
}

impl Purpose {
    /// As it is stored.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Replacement { .. } => "replacement",
        }
    }

    pub(crate) fn candidate_id(self) -> Option<Id<Candidate>> {
        match self {
            Self::First => None,
            Self::Replacement { candidate_id, .. } => Some(candidate_id),
        }
    }
}

/// A license that is getting a number, as this replica holds it under a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Acquisition {
    pub(crate) license_id: LicenseId,
    pub(crate) purpose: Purpose,
    /// Where it is bought.
    pub(crate) carrier: CarrierName,
    /// Named in every write: a replica that lost it changes nothing.
    pub(crate) lease: Uuid,
    /// As it is set now.
    pub(crate) company_phone: Option<PhoneNumber>,
    /// The chosen number: present in `buying`, and only there.
    pub(crate) chosen: Option<PhoneNumber>,
    /// A purchase of it was begun, and its answer is not recorded.
    pub(crate) in_doubt: bool,
    /// Numbers that turned out not to be had, newest last.
    pub(crate) skipped: Vec<PhoneNumber>,
    /// Failed tries of the present step.
    pub(crate) attempts: u32,
    /// Why the last one failed.
    pub(crate) last_error: Option<Setback>,
}

impl Acquisition {
    /// A replacement whose time is over buys nothing any more.
    fn is_over(&self, now: DateTime<Utc>) -> bool {
        matches!(self.purpose, Purpose::Replacement { give_up_at, .. } if give_up_at <= now)
    }
}

/// What is done next; at most one thing that the carrier or the database notices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Ask the carrier for numbers that carry this license's tag.
    FindLeftBehind,
    Search,
    Look(PhoneNumber, IfAbsent),
    Buy(PhoneNumber),
    /// Found at the carrier: set its webhooks as they have to be now.
    Configure(OwnedNumber),
    Assign(OwnedNumber),
}

/// What follows when a number that was looked for is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IfAbsent {
    Buy,
    GiveUp,
}

/// What follows from an answer of the carrier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Go(Next),
    /// The same step again, not before this delay.
    Retry {
        setback: Setback,
        delay: Duration,
    },
    /// First number: back to searching without this one.
    GiveUp {
        number: PhoneNumber,
        setback: Setback,
    },
    /// Replacement: nothing came of it.
    End {
        setback: Setback,
        /// Bought and of no use: it is given back.
        surplus: Option<OwnedNumber>,
    },
}

/// How work goes on after it was claimed, by whoever and after whatever.
pub(crate) fn plan_first(acquisition: &Acquisition) -> Next {
    match acquisition.chosen {
        Some(number) => Next::Look(number, IfAbsent::Buy),
        // A purchase was tried before, and what it left behind may show late.
        None if !acquisition.skipped.is_empty() => Next::FindLeftBehind,
        None => Next::Search,
    }
}

/// A number that carries our license's tag is adopted, once it is stored as the choice: it may have got another use here
/// since. The first one will do, more than one cannot come about.
pub(crate) fn decide_after_find(acquisition: &Acquisition, found: Result<Vec<OwnedNumber>, CallError>) -> Decision {
    match found {
        Ok(owned) => {
            let first = owned.into_iter().next();
            Decision::Go(first.map_or(Next::Search, Next::Configure))
        }
        Err(error) => plan_retry(acquisition, &error),
    }
}

/// Nothing to choose from, neither in the area code nor anywhere.
pub(crate) fn decide_without_choice(acquisition: &Acquisition) -> Decision {
    let delay = backoff(acquisition.attempts.saturating_add(1), MAX_DELAY);
    Decision::Retry { setback: Setback::NoNumbersAvailable, delay }
}

/// Ours is what the carrier owns for us under this license's tag. A number of the account with another tag belongs to
/// somebody else.
pub(crate) fn decide_after_look(
    acquisition: &Acquisition,
    number: PhoneNumber,
    if_absent: IfAbsent,
    found: Result<Option<OwnedNumber>, CallError>,
    now: DateTime<Utc>,
) -> Decision {
    let over = acquisition.is_over(now);
    let reason = acquisition.last_error.unwrap_or(Setback::CandidateExpired);
    match found {
        Ok(Some(owned)) if owned.license_id.as_ref() == Some(&acquisition.license_id) => {
            Decision::Go(Next::Configure(owned))
        }
        Ok(None) if if_absent == IfAbsent::Buy && over => Decision::End { setback: reason, surplus: None },
        Ok(None) if if_absent == IfAbsent::Buy => Decision::Go(Next::Buy(number)),
        Ok(None) => decide_after_no(acquisition, number, Setback::NumberTaken),
        Ok(_) => decide_without_success(acquisition, number, Setback::NumberTaken),
        // No answer is needed to know that nothing was bought.
        Err(_) if over && !acquisition.in_doubt => Decision::End { setback: reason, surplus: None },
        Err(error) => plan_retry(acquisition, &error),
    }
}

/// "Not available" is also what a carrier says of a number that we own already: a purchase of ours whose answer was
/// lost may have come first. So it is looked at before the number is given up.
pub(crate) fn decide_after_buy(
    acquisition: &Acquisition,
    number: PhoneNumber,
    bought: Result<OwnedNumber, CallError>,
) -> Decision {
    let error = match bought {
        Ok(owned) => return Decision::Go(Next::Assign(owned)),
        Err(error) => error,
    };
    let CallError::Refused(refusal) = &error else { return plan_retry(acquisition, &error) };
    match (refusal.kind, acquisition.purpose) {
        (NumberRefusalKind::NotAvailable, _) => Decision::Go(Next::Look(number, IfAbsent::GiveUp)),
        // Another number would not help a new license, and nobody waits.
        (NumberRefusalKind::Account, Purpose::First) => plan_retry(acquisition, &error),
        // To whoever chose it, a number that cannot be had is one that somebody else has.
        (NumberRefusalKind::Invalid | NumberRefusalKind::NeedsAddress, Purpose::Replacement { .. }) => {
            decide_after_no(acquisition, number, Setback::NumberTaken)
        }
        _ => decide_after_no(acquisition, number, Setback::of(&error)),
    }
}

/// A number whose webhooks the carrier refuses to set is of no use. A new license waits for better times: it has no
/// other number. A replacement ends, and the number goes back.
pub(crate) fn decide_after_configure(
    acquisition: &Acquisition,
    owned: OwnedNumber,
    configured: Result<OwnedNumber, CallError>,
) -> Decision {
    match (configured, acquisition.purpose) {
        (Ok(owned), _) => Decision::Go(Next::Assign(owned)),
        (Err(error @ CallError::Refused(_)), Purpose::Replacement { .. }) => {
            Decision::End { setback: Setback::of(&error), surplus: Some(owned) }
        }
        (Err(error), _) => plan_retry(acquisition, &error),
    }
}

/// The carrier cannot be asked, because there are no credentials: an operator must act. A replacement that surely
/// bought nothing does not wait for that longer than it may buy, or it would stand in the way of every other one.
pub(crate) fn decide_without_carrier(acquisition: &Acquisition, now: DateTime<Utc>) -> Decision {
    let setback = Setback::CarrierNotConfigured;
    if acquisition.is_over(now) && !acquisition.in_doubt {
        return Decision::End { setback, surplus: None };
    }
    Decision::Retry { setback, delay: MAX_DELAY }
}

/// The same step again later. `Unknown` needs nothing more: each claim of a chosen number begins with a look.
pub(crate) fn plan_retry(acquisition: &Acquisition, error: &CallError) -> Decision {
    let delay = plan_delay(acquisition.attempts, error, MAX_DELAY);
    Decision::Retry { setback: Setback::of(error), delay }
}

/// Does this failure of a purchase leave open whether it was made?
pub(crate) fn leaves_doubt(bought: &Result<OwnedNumber, CallError>) -> bool {
    matches!(bought, Ok(_) | Err(CallError::Unknown { .. }))
}

/// A no while a purchase is in doubt may be the effect of that purchase: all is asked once more, a while later.
fn decide_after_no(acquisition: &Acquisition, number: PhoneNumber, setback: Setback) -> Decision {
    if acquisition.in_doubt && acquisition.last_error != Some(setback) {
        return Decision::Retry { setback, delay: LOOK_AGAIN };
    }
    decide_without_success(acquisition, number, setback)
}

fn decide_without_success(acquisition: &Acquisition, number: PhoneNumber, setback: Setback) -> Decision {
    match acquisition.purpose {
        Purpose::First => Decision::GiveUp { number, setback },
        Purpose::Replacement { .. } => Decision::End { setback, surplus: None },
    }
}

/// The skipped numbers with one more, and how long the next search waits: the first number that is gone is followed at
/// once, a carrier that refuses one number after the other is asked ever more rarely.
pub(crate) fn plan_after_giving_up(acquisition: &Acquisition, number: PhoneNumber) -> (Vec<PhoneNumber>, Duration) {
    let mut skipped = acquisition.skipped.clone();
    let earlier = u32::try_from(skipped.len()).unwrap_or(u32::MAX);
    skipped.push(number);
    let surplus = skipped.len().saturating_sub(MAX_SKIPPED);
    skipped.drain(..surplus);
    (skipped, backoff(earlier, MAX_DELAY))
}

#[cfg(test)]
mod tests;
