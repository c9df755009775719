//! Generate, Save, and what settings and events say of both (rules 1 to 4 and 6).

use std::time::Duration;

use chassis::FaultKind;
use domain::Id;
use futures_util::future::join_all;
use proto::numbers::{CompanyChanged, PutLicenseRequest, Settings as ShownSettings};
use serde_json::json;

use super::world::{CARRIERS, LATER, World, at, fault, license};
use crate::model::search::CANDIDATE_LIFETIME;
use crate::save::Patience;

#[tokio::test]
async fn generate_offers_a_number_in_the_area_code_and_nothing_is_bought_before_save() {
    for carrier in CARRIERS {
        let (world, replica, old) = World::with_number(carrier).await;
        let offer = replica.generate("acme", Some("212")).await.unwrap();
        assert!(offer.number.as_str().starts_with("+1212"));
        assert!(offer.area_code_matched);
        assert_eq!((offer.carrier, offer.expires_at), (carrier, world.clock.now() + CANDIDATE_LIFETIME));
        let anywhere = replica.generate("acme", None).await.unwrap();
        assert!(!anywhere.area_code_matched);

        assert_eq!(world.owned().await.len(), 1, "{carrier}");
        assert_eq!(world.number("acme").await, Some(old));
        assert_eq!(world.settings("acme").await.next_change_allowed_at, None, "nothing is counted before Save");
        assert_eq!(world.count("purchases").await, 1);
    }
}

#[tokio::test]
async fn when_the_area_code_has_none_any_number_of_the_united_states_is_offered_and_said_so() {
    for carrier in CARRIERS {
        let (world, replica, _) = World::with_number(carrier).await;
        world.set_faults(json!([{ "on": "search", "kind": "area_code_empty", "area_code": "907" }])).await;
        let offer = replica.generate("acme", Some("907")).await.unwrap();
        assert!(!offer.area_code_matched, "{carrier}");
        assert!(!offer.number.as_str().starts_with("+1907"), "{carrier}");
    }
}

#[tokio::test]
async fn a_number_that_is_offered_owned_or_some_company_s_phone_is_not_offered_again() {
    let (world, replica, _) = World::with_number(CARRIERS[0]).await;
    // A phone that the search would show next.
    let shown = replica.generate("acme", Some("212")).await.unwrap();
    replica.put_license("other", None).await.unwrap();
    let theirs = replica.generate("other", Some("212")).await.unwrap();
    assert_ne!(shown.number, theirs.number);
    let again = replica.generate("acme", Some("212")).await.unwrap();
    assert!(![shown.number, theirs.number].contains(&again.number));

    world.clock.advance(CANDIDATE_LIFETIME);
    replica.put_license("third", Some(shown.number.as_str())).await.unwrap();
    let after = replica.generate("acme", Some("212")).await.unwrap();
    assert_ne!(after.number, shown.number, "a company's phone");
    assert_eq!(after.number, theirs.number, "an offer that expired is free again");
}

#[tokio::test]
async fn when_a_whole_page_is_spoken_for_the_search_looks_further() {
    let (world, replica, _) = World::with_number(CARRIERS[0]).await;
    let mut offered = std::collections::HashSet::new();
    for _ in 0..35 {
        let offer = replica.generate("acme", Some("212")).await.unwrap();
        assert!(offer.area_code_matched);
        assert!(offered.insert(offer.number.as_str().to_owned()));
        world.clock.advance(Duration::from_secs(6));
    }
}

#[tokio::test]
async fn generating_is_limited_to_ten_a_minute_for_each_license_over_all_replicas() {
    let (world, one, _) = World::with_number(CARRIERS[0]).await;
    let other = world.replica();
    one.put_license("other", None).await.unwrap();
    world.open_connections().await;
    let both = (0..14).map(|n| if n % 2 == 0 { one.generate("acme", None) } else { other.generate("acme", None) });
    let outcomes = join_all(both).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 10);
    world.clock.advance(Duration::from_secs(5));
    for replica in [&one, &other] {
        let refused = fault(replica.generate("acme", None).await.unwrap_err());
        assert_eq!((refused.kind, refused.code.as_ref()), (FaultKind::RateLimited, "generate_limit_reached"));
        assert_eq!(refused.extra["retry_after_s"], 55);
    }
    one.generate("other", None).await.unwrap();
    // A refusal counts nothing.
    world.clock.advance(Duration::from_secs(55));
    one.generate("acme", None).await.unwrap();
    // What found nothing counts too: the carrier was asked.
    world.set_fault("search", "sold_out", None).await;
    for _ in 0..9 {
        assert_eq!(fault(one.generate("acme", None).await.unwrap_err()).code, "no_numbers_available");
    }
    assert_eq!(fault(one.generate("acme", None).await.unwrap_err()).code, "generate_limit_reached");
}

#[tokio::test]
async fn save_replaces_the_number_and_settings_and_events_say_so() {
    for carrier in CARRIERS {
        let (world, replica, old) = World::with_number(carrier).await;
        let offer = replica.generate("acme", Some("212")).await.unwrap();
        let saved = replica.save("acme", offer.candidate_id).await.unwrap();
        assert!(saved.done);
        let shown = ShownSettings::from(saved.settings);
        let assigned = shown.messages_number.unwrap();
        assert_eq!((assigned.number.as_str(), assigned.carrier.as_str()), (offer.number.as_str(), carrier.as_str()));
        // 2 March and a month.
        let next = proto::to_timestamp(at("2026-04-02T15:00:00Z"));
        assert_eq!(
            (shown.next_change_allowed_at, shown.provisioning, shown.last_change_error),
            (Some(next), None, None)
        );

        let events = world.assignments().await;
        let told: Vec<_> = events.iter().map(|event| (event.number.as_str(), event.version)).collect();
        assert_eq!(told, [(old.as_str(), 1), (offer.number.as_str(), 2)]);

        // The same Save again starts nothing, also when the month would not allow it.
        let again = replica.save("acme", offer.candidate_id).await.unwrap();
        assert!(again.done);
        replica.settle_all().await;
        assert_eq!(world.assert_one_number_owned_and_assigned("saved").await, offer.number);
        assert_eq!(world.assignments().await.len(), 2);
    }
}

#[tokio::test]
async fn the_same_save_again_is_done_also_while_the_next_change_is_under_way() {
    let (world, replica, _) = World::with_number(CARRIERS[0]).await;
    let offer = replica.generate("acme", None).await.unwrap();
    assert!(replica.save("acme", offer.candidate_id).await.unwrap().done);
    world.clock.advance(Duration::from_hours(24 * 31));
    let next = replica.generate("acme", None).await.unwrap();
    let now = world.clock.now();
    replica.store.begin_save(&license("acme"), next.candidate_id, now + LATER, now).await.unwrap();
    assert!(replica.save("acme", offer.candidate_id).await.unwrap().done);
    assert_eq!(world.number("acme").await, Some(offer.number));
}

#[tokio::test]
async fn a_number_can_be_changed_once_a_calendar_month_and_the_refusal_names_the_time() {
    let (world, replica, _) = World::with_number(CARRIERS[0]).await;
    // From 2 March to 31 January.
    world.clock.advance((at("2027-01-31T10:00:00Z") - world.clock.now()).to_std().unwrap());
    let offer = replica.generate("acme", None).await.unwrap();
    assert!(replica.save("acme", offer.candidate_id).await.unwrap().done);

    let allowed = at("2027-02-28T10:00:00Z");
    assert_eq!(world.settings("acme").await.next_change_allowed_at, Some(allowed));
    world.clock.advance((at("2027-02-28T09:59:59Z") - world.clock.now()).to_std().unwrap());
    let offer = replica.generate("acme", None).await.unwrap();
    let refused = fault(replica.save("acme", offer.candidate_id).await.unwrap_err());
    assert_eq!((refused.kind, refused.code.as_ref()), (FaultKind::Conflict, "change_limit_reached"));
    assert_eq!(refused.extra["next_change_allowed_at"], "2027-02-28T10:00:00Z");

    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.settings("acme").await.next_change_allowed_at, None);
    assert!(replica.save("acme", offer.candidate_id).await.unwrap().done);
    assert_eq!(world.number("acme").await, Some(offer.number));
}

#[tokio::test]
async fn a_candidate_expires_and_belongs_to_its_license() {
    let (world, replica, old) = World::with_number(CARRIERS[0]).await;
    replica.put_license("other", None).await.unwrap();
    replica.settle().await;
    let offer = replica.generate("acme", None).await.unwrap();
    for (license_id, candidate_id) in [("other", offer.candidate_id), ("acme", Id::new())] {
        let refused = fault(replica.save(license_id, candidate_id).await.unwrap_err());
        assert_eq!((refused.kind, refused.code.as_ref()), (FaultKind::NotFound, "candidate_not_found"));
    }
    world.clock.advance(CANDIDATE_LIFETIME);
    let refused = fault(replica.save("acme", offer.candidate_id).await.unwrap_err());
    assert_eq!((refused.kind, refused.code.as_ref()), (FaultKind::Conflict, "candidate_expired"));
    assert_eq!(world.number("acme").await, Some(old));
    assert_eq!(fault(replica.generate("nobody", None).await.unwrap_err()).code, "license_not_found");
    assert_eq!(fault(replica.save("nobody", Id::new()).await.unwrap_err()).code, "license_not_found");
}

#[tokio::test]
async fn of_two_saves_at_the_same_moment_one_wins_and_the_other_gets_a_clear_answer() {
    for carrier in CARRIERS {
        let (world, one, _) = World::with_number(carrier).await;
        let other = world.replica();
        let (first, second) = (one.generate("acme", None).await.unwrap(), one.generate("acme", None).await.unwrap());
        let (one_says, other_says) =
            tokio::join!(one.save("acme", first.candidate_id), other.save("acme", second.candidate_id));
        let (winner, refused) = match (one_says, other_says) {
            (Ok(saved), Err(error)) if saved.done => (first.number, fault(error)),
            (Err(error), Ok(saved)) if saved.done => (second.number, fault(error)),
            both => panic!("{carrier}: {both:?}"),
        };
        assert_eq!(refused.kind, FaultKind::Conflict);
        assert!(["change_in_progress", "change_limit_reached"].contains(&refused.code.as_ref()), "{refused:?}");
        one.settle_all().await;
        assert_eq!(world.assert_one_number_owned_and_assigned("two saves").await, winner);
    }
}

#[tokio::test]
async fn a_save_that_takes_longer_than_its_caller_waits_goes_on_by_itself() {
    for carrier in CARRIERS {
        let (world, replica, old) = World::with_number(carrier).await;
        let offer = replica.generate("acme", None).await.unwrap();
        // Nothing can be cut over while somebody holds the old number's row.
        let mut holding = world.pool().begin().await.unwrap();
        sqlx::query("select from messages_numbers for update").execute(&mut *holding).await.unwrap();
        let impatient = replica.saver_with(Patience { first_try: Duration::ZERO, in_all: Duration::ZERO });
        let saved = impatient.save(&license("acme"), offer.candidate_id).await.unwrap();
        assert!(!saved.done, "{carrier}");
        assert_eq!(saved.settings.messages_number.unwrap().number, old, "{carrier}");
        assert_eq!(saved.settings.provisioning.unwrap().step.as_str(), "buying");
        holding.commit().await.unwrap();
        testkit::eventually("the cut-over", async || {
            let number = world.number("acme").await;
            if number == Some(offer.number) { Ok(()) } else { Err(number) }
        })
        .await;
    }
}

#[tokio::test]
async fn while_the_first_number_is_being_bought_a_save_is_refused() {
    let world = World::new(CARRIERS[0]).await;
    let replica = world.replica();
    replica.put_license("acme", None).await.unwrap();
    let offer = replica.generate("acme", None).await.unwrap();
    let refused = fault(replica.save("acme", offer.candidate_id).await.unwrap_err());
    assert_eq!((refused.kind, refused.code.as_ref()), (FaultKind::Conflict, "change_in_progress"));
}

#[tokio::test]
async fn a_license_s_carrier_is_where_its_next_number_is_bought_and_a_number_stays_with_its_own() {
    let (world, replica, old) = World::with_number(CARRIERS[0]).await;
    let request = |carrier: &str| PutLicenseRequest {
        license_id: "acme".to_owned(),
        company_name: "Acme".to_owned(),
        company_phone: Some("+14152345678".to_owned()),
        create: false,
        carrier: Some(carrier.to_owned()),
    };
    let refused = fault(replica.put(request("pigeons")).await.unwrap_err());
    assert_eq!((refused.code.as_ref(), refused.field.as_deref()), ("carrier_unknown", Some("carrier")));
    replica.put(request(CARRIERS[1].as_str())).await.unwrap();
    let settings = world.settings("acme").await;
    assert_eq!((settings.carrier, settings.messages_number.unwrap().carrier), (CARRIERS[1], CARRIERS[0]));
    // Absent: as it is.
    replica.put_license("acme", Some("+14152345678")).await.unwrap();
    assert_eq!(world.settings("acme").await.carrier, CARRIERS[1]);

    let offer = replica.generate("acme", None).await.unwrap();
    assert!(replica.save("acme", offer.candidate_id).await.unwrap().done);
    assert_eq!(world.settings("acme").await.messages_number.unwrap().carrier, CARRIERS[1]);
    replica.settle_all().await;
    let owned: Vec<_> = world.owned().await.into_iter().map(|owned| owned.number).collect();
    assert_eq!(owned, [offer.number], "the old one was given back to its own carrier: {old:?}");
    // Neither the carrier nor a repeated word is a change of the company.
    assert_eq!(world.events::<CompanyChanged>().await.len(), 1);
}

#[tokio::test]
async fn a_first_number_that_is_not_chosen_yet_is_bought_where_the_license_says_now() {
    let world = World::new(CARRIERS[0]).await;
    let replica = world.replica();
    replica.put_license("acme", None).await.unwrap();
    let carrier = Some(CARRIERS[1].to_string());
    let request = PutLicenseRequest {
        license_id: "acme".to_owned(),
        company_name: "Acme".to_owned(),
        company_phone: None,
        create: true,
        carrier,
    };
    replica.put(request).await.unwrap();
    replica.settle().await;
    assert_eq!(world.settings("acme").await.messages_number.unwrap().carrier, CARRIERS[1]);
}

#[tokio::test]
async fn what_a_company_says_is_normalised_and_each_real_change_is_an_event() {
    let world = World::new(CARRIERS[0]).await;
    let replica = world.replica();
    let say = async |name: &str, phone: Option<&str>| {
        let request = PutLicenseRequest {
            license_id: "acme".to_owned(),
            company_name: name.to_owned(),
            company_phone: phone.map(str::to_owned),
            create: true,
            carrier: None,
        };
        replica.put(request).await.unwrap()
    };
    let settings = say("Acme", Some("(415) 555-2671")).await;
    assert_eq!(settings.company.phone.unwrap().as_str(), "+14155552671");
    say(" Acme ", Some("+1 415 555 2671")).await;
    say("Acme Homes", Some("4155552671")).await;
    say("Acme Homes", None).await;
    say("Acme Homes", None).await;
    let events: Vec<CompanyChanged> = world.events().await;
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.company_name.as_str(), event.company_phone.as_deref(), event.version))
        .collect();
    assert_eq!(
        told,
        [("Acme", Some("+14155552671"), 1), ("Acme Homes", Some("+14155552671"), 2), ("Acme Homes", None, 3)]
    );
    assert_eq!(events[0].changed_at, Some(proto::to_timestamp(world.clock.now())));
}

#[tokio::test]
async fn the_company_phone_may_not_be_a_number_that_leaseline_owns_not_even_one_it_gives_back() {
    let (world, replica, old) = World::with_number(CARRIERS[0]).await;
    let offer = replica.generate("acme", None).await.unwrap();
    assert!(replica.save("acme", offer.candidate_id).await.unwrap().done);
    for number in [old, offer.number] {
        let refused = fault(replica.put_license("other", Some(number.as_str())).await.unwrap_err());
        assert_eq!(refused.code, "company_phone_is_a_messages_number");
        assert_eq!(refused.field.as_deref(), Some("company_phone"));
    }
    assert!(replica.store.get_settings(&license("other"), world.clock.now()).await.is_err());
    world.clock.advance(LATER);
    replica.settle_all().await;
    replica.put_license("other", Some(old.as_str())).await.unwrap();
}

/// What waits for somebody else's transaction does not end before it.
async fn assert_waits(work: &mut (impl Future<Output = String> + Unpin)) {
    tokio::select! {
        answer = work => panic!("it did not wait: {answer}"),
        () = tokio::time::sleep(Duration::from_millis(100)) => {}
    }
}

#[tokio::test]
async fn a_number_that_somebody_sets_as_their_phone_right_now_is_not_bought() {
    let (world, replica, old) = World::with_number(CARRIERS[0]).await;
    let offer = replica.generate("acme", None).await.unwrap();
    replica.put_license("other", None).await.unwrap();
    let mut setting = world.hold_number(offer.number).await;
    sqlx::query("update licenses set company_phone = $1 where license_id = 'other'")
        .bind(offer.number.as_str())
        .execute(&mut *setting)
        .await
        .unwrap();
    let mut save =
        Box::pin(async { fault(replica.save("acme", offer.candidate_id).await.unwrap_err()).code.into_owned() });
    assert_waits(&mut save).await;
    setting.commit().await.unwrap();
    assert_eq!(save.await, "number_taken");
    assert_eq!(world.number("acme").await, Some(old));
}

#[tokio::test]
async fn a_number_that_is_chosen_right_now_is_no_company_s_phone() {
    let (world, replica, _) = World::with_number(CARRIERS[0]).await;
    let number = replica.find_for_sale(CARRIERS[0]).await;
    let mut choosing = world.hold_number(number).await;
    sqlx::query("update messages_numbers set number = $1").bind(number.as_str()).execute(&mut *choosing).await.unwrap();
    let mut set = Box::pin(async {
        fault(replica.put_license("other", Some(number.as_str())).await.unwrap_err()).code.into_owned()
    });
    assert_waits(&mut set).await;
    choosing.commit().await.unwrap();
    assert_eq!(set.await, "company_phone_is_a_messages_number");
}
