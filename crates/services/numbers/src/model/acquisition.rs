//! How a license gets its first number: the decisions of the saga (rule 5).
//!
//! Searching finds a number and chooses it; the choice is stored before anything is bought. Buying buys exactly that
//! number. No carrier has an idempotency key, so whoever picks up an acquisition in buying looks first whether the
//! number is ours already: only what the carrier says it owns, or does not own, decides whether to buy.
//!
//! ```text
//! searching ──► (FindLeftBehind) ──► Search ──► choice stored: buying ──► Buy ──► Assign
//! buying    ──► Look ──┬─ ours ──► Configure ──► Assign       ▲             │
//!                      └─ not there ──► Buy                   │             └─ not available ──► Look once more,
//!                                                             └─── searching, number skipped ◄── then give it up
//! ```

use std::time::Duration;

use carriers::{CallError, NumberRefusalKind, OwnedNumber};
use domain::{LicenseId, PhoneNumber};
use uuid::Uuid;

/// Numbers asked for in one search: enough that some are left when others choose at the same time.
pub(crate) const SEARCH_LIMIT: u16 = 30;
/// Skipped numbers that are remembered: more than one search shows.
const MAX_SKIPPED: usize = 100;
const FIRST_DELAY: Duration = Duration::from_secs(1);
const MAX_DELAY: Duration = Duration::from_mins(5);

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

/// Why a try failed: stable codes that settings show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setback {
    /// The carrier has no number for us, anywhere.
    NoNumbersAvailable,
    /// The chosen number went to somebody else.
    NumberTaken,
    CarrierThrottled,
    CarrierUnreachable,
    /// The call may have been done; a look at the carrier comes before the next one.
    CarrierOutcomeUnknown,
    /// Suspended, unpaid, wrong credentials: an operator must act.
    CarrierAccountProblem,
    CarrierRefused,
}

impl Setback {
    const ALL: [Self; 7] = [
        Self::NoNumbersAvailable,
        Self::NumberTaken,
        Self::CarrierThrottled,
        Self::CarrierUnreachable,
        Self::CarrierOutcomeUnknown,
        Self::CarrierAccountProblem,
        Self::CarrierRefused,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NoNumbersAvailable => "no_numbers_available",
            Self::NumberTaken => "number_taken",
            Self::CarrierThrottled => "carrier_throttled",
            Self::CarrierUnreachable => "carrier_unreachable",
            Self::CarrierOutcomeUnknown => "carrier_outcome_unknown",
            Self::CarrierAccountProblem => "carrier_account_problem",
            Self::CarrierRefused => "carrier_refused",
        }
    }

    pub(crate) fn find(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|setback| setback.as_str() == text)
    }
}

/// A license that is getting its first number, as this replica holds it under a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Acquisition {
    pub(crate) license_id: LicenseId,
    /// Named in every write: a replica that lost it changes nothing.
    pub(crate) lease: Uuid,
    /// As it is set now.
    pub(crate) company_phone: Option<PhoneNumber>,
    /// The chosen number: present in `buying`, and only there.
    pub(crate) chosen: Option<PhoneNumber>,
    /// Numbers that turned out not to be had, newest last.
    pub(crate) skipped: Vec<PhoneNumber>,
    /// Failed tries of the present step.
    pub(crate) attempts: u32,
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
    /// Back to searching without this number.
    GiveUp {
        number: PhoneNumber,
        setback: Setback,
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

/// A number that carries our license's tag is adopted; the first one will do, more than one cannot come about.
pub(crate) fn decide_after_find(acquisition: &Acquisition, found: Result<Vec<OwnedNumber>, CallError>) -> Decision {
    match found {
        Ok(owned) => {
            let first = owned.into_iter().next();
            Decision::Go(first.map_or(Next::Search, Next::Configure))
        }
        Err(error) => plan_retry(acquisition, &error),
    }
}

/// What a search offers. An area code that the carrier does not know has no numbers; that is no error.
pub(crate) fn read_search(found: Result<Vec<PhoneNumber>, CallError>) -> Result<Vec<PhoneNumber>, CallError> {
    match found {
        Err(CallError::Refused(refusal))
            if matches!(refusal.kind, NumberRefusalKind::Invalid | NumberRefusalKind::NotAvailable) =>
        {
            Ok(Vec::new())
        }
        other => other,
    }
}

/// The numbers worth trying, in the carrier's order: not skipped, and not taken by another license or company.
pub(crate) fn list_choices(
    acquisition: &Acquisition,
    found: Vec<PhoneNumber>,
    taken: &[PhoneNumber],
) -> Vec<PhoneNumber> {
    found.into_iter().filter(|number| !acquisition.skipped.contains(number) && !taken.contains(number)).collect()
}

/// Nothing to choose from, neither in the area code nor anywhere.
pub(crate) fn decide_without_choice(acquisition: &Acquisition) -> Decision {
    Decision::Retry { setback: Setback::NoNumbersAvailable, delay: backoff(acquisition.attempts.saturating_add(1)) }
}

/// Ours is what the carrier owns for us under this license's tag. A number of the account with another tag belongs to
/// somebody else.
pub(crate) fn decide_after_look(
    acquisition: &Acquisition,
    number: PhoneNumber,
    if_absent: IfAbsent,
    found: Result<Option<OwnedNumber>, CallError>,
) -> Decision {
    match found {
        Ok(Some(owned)) if owned.license_id.as_ref() == Some(&acquisition.license_id) => {
            Decision::Go(Next::Configure(owned))
        }
        Ok(Some(_)) => Decision::GiveUp { number, setback: Setback::NumberTaken },
        Ok(None) => match if_absent {
            IfAbsent::Buy => Decision::Go(Next::Buy(number)),
            IfAbsent::GiveUp => Decision::GiveUp { number, setback: Setback::NumberTaken },
        },
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
    match bought {
        Ok(owned) => Decision::Go(Next::Assign(owned)),
        Err(CallError::Refused(refusal)) => match refusal.kind {
            NumberRefusalKind::NotAvailable => Decision::Go(Next::Look(number, IfAbsent::GiveUp)),
            NumberRefusalKind::Invalid | NumberRefusalKind::NeedsAddress | NumberRefusalKind::Other => {
                Decision::GiveUp { number, setback: Setback::CarrierRefused }
            }
            // Another number would not help.
            NumberRefusalKind::Account => plan_retry(acquisition, &CallError::Refused(refusal)),
        },
        Err(error) => plan_retry(acquisition, &error),
    }
}

pub(crate) fn decide_after_configure(
    acquisition: &Acquisition,
    configured: Result<OwnedNumber, CallError>,
) -> Decision {
    match configured {
        Ok(owned) => Decision::Go(Next::Assign(owned)),
        Err(error) => plan_retry(acquisition, &error),
    }
}

/// The same step again later. `Unknown` needs nothing more: each claim of a chosen number begins with a look.
pub(crate) fn plan_retry(acquisition: &Acquisition, error: &CallError) -> Decision {
    let setback = match error {
        CallError::Refused(refusal) if refusal.kind == NumberRefusalKind::Account => Setback::CarrierAccountProblem,
        CallError::Refused(_) => Setback::CarrierRefused,
        CallError::Throttled { .. } => Setback::CarrierThrottled,
        CallError::Unreachable { .. } => Setback::CarrierUnreachable,
        CallError::Unknown { .. } => Setback::CarrierOutcomeUnknown,
    };
    let asked = match error {
        CallError::Throttled { retry_after } => retry_after.unwrap_or_default(),
        _ => Duration::ZERO,
    };
    Decision::Retry { setback, delay: backoff(acquisition.attempts.saturating_add(1)).max(asked).min(MAX_DELAY) }
}

/// The skipped numbers with one more, and how long the next search waits: the first number that is gone is followed at
/// once, a carrier that refuses one number after the other is asked ever more rarely.
pub(crate) fn plan_after_giving_up(acquisition: &Acquisition, number: PhoneNumber) -> (Vec<PhoneNumber>, Duration) {
    let mut skipped = acquisition.skipped.clone();
    let earlier = u32::try_from(skipped.len()).unwrap_or(u32::MAX);
    skipped.push(number);
    let surplus = skipped.len().saturating_sub(MAX_SKIPPED);
    skipped.drain(..surplus);
    (skipped, backoff(earlier))
}

/// Nothing, then 1 s doubling to 5 min.
fn backoff(failures: u32) -> Duration {
    let Some(doublings) = failures.checked_sub(1) else { return Duration::ZERO };
    FIRST_DELAY.saturating_mul(2_u32.saturating_pow(doublings)).min(MAX_DELAY)
}

#[cfg(test)]
mod tests {
    use carriers::NumberRefusal;

    use super::*;

    const NUMBER: &str = "+14152345678";

    fn number(text: &str) -> PhoneNumber {
        PhoneNumber::from_e164(text).unwrap()
    }

    fn acquisition() -> Acquisition {
        Acquisition {
            license_id: LicenseId::parse("acme").unwrap(),
            lease: Uuid::nil(),
            company_phone: None,
            chosen: None,
            skipped: Vec::new(),
            attempts: 0,
        }
    }

    fn owned(tag: Option<&str>) -> OwnedNumber {
        let license_id = tag.map(|tag| LicenseId::parse(tag).unwrap());
        OwnedNumber { carrier_number_id: "PN1".into(), number: number(NUMBER), license_id }
    }

    fn refused(kind: NumberRefusalKind) -> CallError {
        CallError::Refused(NumberRefusal { kind, carrier_code: None, detail: String::new() })
    }

    fn unknown() -> CallError {
        CallError::Unknown { cause: "time-out".into() }
    }

    #[test]
    fn a_chosen_number_is_looked_for_before_anything_else() {
        let buying = Acquisition { chosen: Some(number(NUMBER)), ..acquisition() };
        assert_eq!(plan_first(&buying), Next::Look(number(NUMBER), IfAbsent::Buy));
        assert_eq!(plan_first(&acquisition()), Next::Search);
    }

    #[test]
    fn after_a_number_was_given_up_the_carrier_is_asked_what_was_left_behind() {
        let searching = Acquisition { skipped: vec![number(NUMBER)], ..acquisition() };
        assert_eq!(plan_first(&searching), Next::FindLeftBehind);
        let adopted = decide_after_find(&searching, Ok(vec![owned(Some("acme"))]));
        assert_eq!(adopted, Decision::Go(Next::Configure(owned(Some("acme")))));
        assert_eq!(decide_after_find(&searching, Ok(Vec::new())), Decision::Go(Next::Search));
    }

    #[test]
    fn only_a_number_with_our_tag_is_ours() {
        let look = |found| decide_after_look(&acquisition(), number(NUMBER), IfAbsent::Buy, Ok(found));
        assert_eq!(look(Some(owned(Some("acme")))), Decision::Go(Next::Configure(owned(Some("acme")))));
        assert_eq!(look(None), Decision::Go(Next::Buy(number(NUMBER))));
        for tag in [None, Some("other")] {
            let given_up = Decision::GiveUp { number: number(NUMBER), setback: Setback::NumberTaken };
            assert_eq!(look(Some(owned(tag))), given_up);
        }
    }

    #[test]
    fn a_number_that_is_not_available_is_looked_for_before_it_is_given_up() {
        let refusal = refused(NumberRefusalKind::NotAvailable);
        let decision = decide_after_buy(&acquisition(), number(NUMBER), Err(refusal));
        assert_eq!(decision, Decision::Go(Next::Look(number(NUMBER), IfAbsent::GiveUp)));
        let decision = decide_after_look(&acquisition(), number(NUMBER), IfAbsent::GiveUp, Ok(None));
        assert_eq!(decision, Decision::GiveUp { number: number(NUMBER), setback: Setback::NumberTaken });
    }

    #[test]
    fn an_account_problem_gives_up_no_number() {
        let decision = decide_after_buy(&acquisition(), number(NUMBER), Err(refused(NumberRefusalKind::Account)));
        let delay = Duration::from_secs(1);
        assert_eq!(decision, Decision::Retry { setback: Setback::CarrierAccountProblem, delay });
        let decision = decide_after_buy(&acquisition(), number(NUMBER), Err(refused(NumberRefusalKind::NeedsAddress)));
        assert_eq!(decision, Decision::GiveUp { number: number(NUMBER), setback: Setback::CarrierRefused });
    }

    #[test]
    fn an_unknown_outcome_keeps_the_number() {
        let decision = decide_after_buy(&acquisition(), number(NUMBER), Err(unknown()));
        let delay = Duration::from_secs(1);
        assert_eq!(decision, Decision::Retry { setback: Setback::CarrierOutcomeUnknown, delay });
    }

    #[test]
    fn retries_wait_one_second_doubling_to_five_minutes_and_as_long_as_the_carrier_asks() {
        let delay = |attempts, error| match plan_retry(&Acquisition { attempts, ..acquisition() }, &error) {
            Decision::Retry { delay, .. } => delay.as_secs(),
            other => panic!("{other:?}"),
        };
        let delays: Vec<_> = [0, 1, 2, 8, 9, u32::MAX - 1].map(|attempts| delay(attempts, unknown())).into();
        assert_eq!(delays, [1, 2, 4, 256, 300, 300]);
        let throttled = |seconds| CallError::Throttled { retry_after: Some(Duration::from_secs(seconds)) };
        assert_eq!(delay(0, throttled(30)), 30);
        assert_eq!(delay(0, throttled(86_400)), 300);
        assert_eq!(delay(0, CallError::Throttled { retry_after: None }), 1);
    }

    #[test]
    fn one_number_after_the_other_being_gone_slows_the_search_down() {
        let mut searching = acquisition();
        let mut delays = Vec::new();
        for line in 0..150 {
            let (skipped, delay) = plan_after_giving_up(&searching, number(&format!("+1415234{line:04}")));
            searching.skipped = skipped;
            delays.push(delay.as_secs());
        }
        assert_eq!(delays[..4], [0, 1, 2, 4]);
        assert_eq!(searching.skipped.len(), MAX_SKIPPED);
        assert_eq!(searching.skipped.last().unwrap().last4(), "0149");
    }

    #[test]
    fn skipped_and_taken_numbers_are_not_chosen() {
        let [first, second, third] = ["+14152345671", "+14152345672", "+14152345673"].map(number);
        let searching = Acquisition { skipped: vec![first], ..acquisition() };
        assert_eq!(list_choices(&searching, vec![first, second, third], &[second]), [third]);
    }

    #[test]
    fn an_area_code_that_the_carrier_does_not_know_has_no_numbers() {
        assert_eq!(read_search(Err(refused(NumberRefusalKind::Invalid))), Ok(Vec::new()));
        assert!(read_search(Err(refused(NumberRefusalKind::Account))).is_err());
    }

    #[test]
    fn stored_words_read_back() {
        for step in Step::ALL {
            assert_eq!(Step::find(step.as_str()), Some(step));
        }
        for setback in Setback::ALL {
            assert_eq!(Setback::find(setback.as_str()), Some(setback));
        }
        assert_eq!(Setback::find("other"), None);
    }
}
