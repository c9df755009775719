use carriers::NumberRefusal;

use super::*;

const NUMBER: &str = "+14152345678";

fn number(text: &str) -> PhoneNumber {
    PhoneNumber::from_e164(text).unwrap()
}

fn now() -> DateTime<Utc> {
    "2026-03-02T15:00:00Z".parse().unwrap()
}

fn first() -> Acquisition {
    Acquisition {
        license_id: LicenseId::parse("acme").unwrap(),
        purpose: Purpose::First,
        carrier: CarrierName::Twilio,
        lease: Uuid::nil(),
        company_phone: None,
        chosen: None,
        in_doubt: false,
        skipped: Vec::new(),
        attempts: 0,
        last_error: None,
    }
}

fn replacement() -> Acquisition {
    let give_up_at = now() + Duration::from_mins(15);
    let purpose = Purpose::Replacement { candidate_id: Id::new(), give_up_at };
    Acquisition { purpose, chosen: Some(number(NUMBER)), ..first() }
}

fn owned(tag: Option<&str>) -> OwnedNumber {
    let license_id = tag.map(|tag| LicenseId::parse(tag).unwrap());
    OwnedNumber { carrier_number_id: "PN1".into(), number: number(NUMBER), license_id, message_url: None }
}

fn refused(kind: NumberRefusalKind) -> CallError {
    CallError::Refused(NumberRefusal { kind, carrier_code: None, detail: String::new() })
}

fn unknown() -> CallError {
    CallError::Unknown { cause: "time-out".into() }
}

fn ended(setback: Setback) -> Decision {
    Decision::End { setback, surplus: None }
}

fn given_up(setback: Setback) -> Decision {
    Decision::GiveUp { number: number(NUMBER), setback }
}

fn look(acquisition: &Acquisition, found: Result<Option<OwnedNumber>, CallError>, at: DateTime<Utc>) -> Decision {
    decide_after_look(acquisition, number(NUMBER), IfAbsent::Buy, found, at)
}

fn buy(acquisition: &Acquisition, error: CallError) -> Decision {
    decide_after_buy(acquisition, number(NUMBER), Err(error))
}

#[test]
fn a_chosen_number_is_looked_for_before_anything_else() {
    let buying = Acquisition { chosen: Some(number(NUMBER)), ..first() };
    assert_eq!(plan_first(&buying), Next::Look(number(NUMBER), IfAbsent::Buy));
    assert_eq!(plan_first(&replacement()), Next::Look(number(NUMBER), IfAbsent::Buy));
    assert_eq!(plan_first(&first()), Next::Search);
}

#[test]
fn after_a_number_was_given_up_the_carrier_is_asked_what_was_left_behind() {
    let searching = Acquisition { skipped: vec![number(NUMBER)], ..first() };
    assert_eq!(plan_first(&searching), Next::FindLeftBehind);
    let adopted = decide_after_find(&searching, Ok(vec![owned(Some("acme"))]));
    assert_eq!(adopted, Decision::Go(Next::Configure(owned(Some("acme")))));
    assert_eq!(decide_after_find(&searching, Ok(Vec::new())), Decision::Go(Next::Search));
}

#[test]
fn only_a_number_with_our_tag_is_ours() {
    for (acquisition, not_ours) in
        [(first(), given_up(Setback::NumberTaken)), (replacement(), ended(Setback::NumberTaken))]
    {
        let ours = owned(Some("acme"));
        assert_eq!(look(&acquisition, Ok(Some(ours.clone())), now()), Decision::Go(Next::Configure(ours)));
        assert_eq!(look(&acquisition, Ok(None), now()), Decision::Go(Next::Buy(number(NUMBER))));
        for tag in [None, Some("other")] {
            assert_eq!(look(&acquisition, Ok(Some(owned(tag))), now()), not_ours);
        }
    }
}

#[test]
fn a_number_that_is_not_available_is_looked_for_before_it_is_given_up() {
    for (acquisition, absent) in
        [(first(), given_up(Setback::NumberTaken)), (replacement(), ended(Setback::NumberTaken))]
    {
        let decision = buy(&acquisition, refused(NumberRefusalKind::NotAvailable));
        assert_eq!(decision, Decision::Go(Next::Look(number(NUMBER), IfAbsent::GiveUp)));
        let decision = decide_after_look(&acquisition, number(NUMBER), IfAbsent::GiveUp, Ok(None), now());
        assert_eq!(decision, absent);
    }
}

/// The carrier's list may be late with our own purchase, which is why the number is not available.
#[test]
fn a_number_that_may_be_ours_and_is_not_available_is_looked_for_twice_before_it_is_given_up() {
    let absent =
        |acquisition: &Acquisition| decide_after_look(acquisition, number(NUMBER), IfAbsent::GiveUp, Ok(None), now());
    for (purpose, end) in
        [(replacement().purpose, ended(Setback::NumberTaken)), (Purpose::First, given_up(Setback::NumberTaken))]
    {
        let sure = Acquisition { purpose, last_error: Some(Setback::CarrierThrottled), ..replacement() };
        assert_eq!(absent(&sure), end);
        let doubtful = Acquisition { in_doubt: true, last_error: Some(Setback::CarrierOutcomeUnknown), ..sure };
        assert_eq!(absent(&doubtful), Decision::Retry { setback: Setback::NumberTaken, delay: LOOK_AGAIN });
        let again = Acquisition { last_error: Some(Setback::NumberTaken), ..doubtful };
        assert_eq!(absent(&again), end);
    }
}

#[test]
fn an_account_problem_gives_up_no_first_number_and_ends_a_replacement_at_once() {
    let delay = Duration::from_secs(1);
    let account = || refused(NumberRefusalKind::Account);
    assert_eq!(buy(&first(), account()), Decision::Retry { setback: Setback::CarrierAccountProblem, delay });
    assert_eq!(buy(&replacement(), account()), ended(Setback::CarrierAccountProblem));
}

#[test]
fn a_purchase_that_is_surely_refused_ends_a_replacement_at_once() {
    for (kind, first_one, replaced) in [
        (NumberRefusalKind::Invalid, Setback::CarrierRefused, Setback::NumberTaken),
        (NumberRefusalKind::NeedsAddress, Setback::CarrierRefused, Setback::NumberTaken),
        (NumberRefusalKind::Other, Setback::CarrierRefused, Setback::CarrierRefused),
    ] {
        assert_eq!(buy(&first(), refused(kind)), given_up(first_one));
        assert_eq!(buy(&replacement(), refused(kind)), ended(replaced));
    }
}

#[test]
fn a_purchase_that_is_refused_because_the_one_before_was_made_after_all_is_looked_for_once_more() {
    for (kind, setback) in [
        (NumberRefusalKind::Account, Setback::CarrierAccountProblem),
        (NumberRefusalKind::Other, Setback::CarrierRefused),
    ] {
        let doubtful =
            Acquisition { in_doubt: true, last_error: Some(Setback::CarrierOutcomeUnknown), ..replacement() };
        assert_eq!(buy(&doubtful, refused(kind)), Decision::Retry { setback, delay: LOOK_AGAIN });
        let again = Acquisition { last_error: Some(setback), ..doubtful };
        assert_eq!(buy(&again, refused(kind)), ended(setback));
    }
}

#[test]
fn an_unknown_outcome_keeps_the_number() {
    let delay = Duration::from_secs(1);
    for acquisition in [first(), replacement()] {
        let retry = Decision::Retry { setback: Setback::CarrierOutcomeUnknown, delay };
        assert_eq!(buy(&acquisition, unknown()), retry);
    }
    assert!(leaves_doubt(&Err(unknown())));
    for surely_not in [refused(NumberRefusalKind::Other), CallError::Throttled { retry_after: None }] {
        assert!(!leaves_doubt(&Err(surely_not)));
    }
}

#[test]
fn a_replacement_buys_nothing_after_its_time_and_names_the_last_reason() {
    let late = now() + Duration::from_mins(15);
    let tried = Acquisition { last_error: Some(Setback::CarrierThrottled), ..replacement() };
    assert_eq!(look(&tried, Ok(None), late - Duration::from_micros(1)), Decision::Go(Next::Buy(number(NUMBER))));
    assert_eq!(look(&tried, Ok(None), late), ended(Setback::CarrierThrottled));
    assert_eq!(look(&replacement(), Ok(None), late), ended(Setback::CandidateExpired));
    // What was bought in time is kept.
    let ours = owned(Some("acme"));
    assert_eq!(look(&tried, Ok(Some(ours.clone())), late), Decision::Go(Next::Configure(ours)));
    // A first number has all the time.
    assert_eq!(look(&first(), Ok(None), late), Decision::Go(Next::Buy(number(NUMBER))));
}

#[test]
fn a_replacement_that_may_have_been_bought_is_looked_for_until_the_carrier_answers() {
    let late = now() + Duration::from_mins(15);
    let away = || CallError::Unreachable { cause: "refused".into() };
    let doubtful = Acquisition { in_doubt: true, last_error: Some(Setback::CarrierOutcomeUnknown), ..replacement() };
    assert!(matches!(look(&doubtful, Err(away()), late), Decision::Retry { .. }));
    let surely_not = Acquisition { last_error: Some(Setback::CarrierUnreachable), ..replacement() };
    assert_eq!(look(&surely_not, Err(away()), late), ended(Setback::CarrierUnreachable));
}

#[test]
fn without_a_carrier_only_a_replacement_that_surely_bought_nothing_ends_and_only_after_its_time() {
    let late = now() + Duration::from_mins(15);
    assert_eq!(decide_without_carrier(&replacement(), late), ended(Setback::CarrierNotConfigured));
    let doubtful = Acquisition { in_doubt: true, ..replacement() };
    let waits = [(replacement(), late - Duration::from_micros(1)), (doubtful, late), (first(), late)];
    for (acquisition, at) in waits {
        let decision = decide_without_carrier(&acquisition, at);
        assert!(matches!(decision, Decision::Retry { setback: Setback::CarrierNotConfigured, .. }), "{acquisition:?}");
    }
}

#[test]
fn a_number_that_the_carrier_refuses_to_configure_goes_back_unless_it_is_the_first() {
    let refusal = || refused(NumberRefusalKind::Other);
    let ours = owned(Some("acme"));
    let decision = decide_after_configure(&replacement(), ours.clone(), Err(refusal()));
    assert_eq!(decision, Decision::End { setback: Setback::CarrierRefused, surplus: Some(ours.clone()) });
    let decision = decide_after_configure(&first(), ours.clone(), Err(refusal()));
    assert!(matches!(decision, Decision::Retry { setback: Setback::CarrierRefused, .. }));
    let decision = decide_after_configure(&replacement(), ours, Err(unknown()));
    assert!(matches!(decision, Decision::Retry { setback: Setback::CarrierOutcomeUnknown, .. }));
}

#[test]
fn one_number_after_the_other_being_gone_slows_the_search_down() {
    let mut searching = first();
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
fn stored_words_read_back() {
    for step in Step::ALL {
        assert_eq!(Step::find(step.as_str()), Some(step));
    }
    assert_eq!(Step::find("other"), None);
}
