//! The first number, driven by `run_due` and by single steps. A crash is a replica that is dropped between two steps.

use std::collections::HashSet;

use carriers::NumberSearch;
use chrono::{DateTime, Utc};
use domain::CarrierName;
use proto::numbers::NumberAssigned;
use serde_json::json;

use super::*;
use crate::model::acquisition::Step;
use crate::model::license::LicenseSettings;
use crate::model::search::plan_search;
use crate::tests::world::{CARRIERS, LATER, Replica, World, license};

const PHONE: Option<&str> = Some("+14152345678");

/// A license that wants its first number.
async fn wanting(carrier: CarrierName) -> (World, Replica) {
    let world = World::new(carrier).await;
    let replica = world.replica();
    replica.put_license("acme", PHONE).await.unwrap();
    (world, replica)
}

/// Step, failed tries, why, and when the next try is due.
fn provisioning(settings: &LicenseSettings) -> (Step, u32, Option<Setback>, DateTime<Utc>) {
    let provisioning = settings.provisioning.as_ref().unwrap();
    (provisioning.step, provisioning.attempts, provisioning.last_error, provisioning.next_attempt_at)
}

/// Takes the one acquisition that is due, as `run_due` does.
async fn claim(acquirer: &Acquirer) -> (Acquisition, Next) {
    let now = acquirer.clock.now();
    let due = acquirer.store.claim_due_acquisitions(1, acquirer.lease(), now).await.unwrap();
    let [held] = due.as_slice() else { panic!("{} are due", due.len()) };
    (held.clone(), model::plan_first(held))
}

#[tokio::test]
async fn a_new_license_gets_a_number_by_itself_in_the_area_code_of_the_company_phone() {
    for carrier in CARRIERS {
        let (world, replica) = wanting(carrier).await;
        assert_eq!(replica.acquirer.run_due().await.unwrap(), 1);

        let number = world.assert_one_number_owned_and_assigned(carrier.as_str()).await;
        assert!(number.as_str().starts_with("+1415"));
        let owned = &world.simulator.numbers().await[0];
        let at = |path: &str| format!("https://in.example.com/webhooks/{carrier}/{path}");
        let message_url = owned["sms_url"].as_str().unwrap();
        assert!(message_url.starts_with(&at("message")), "{carrier}: {message_url}");
        assert!(owned["voice_url"].as_str().unwrap().starts_with(&at("voice")), "{carrier}");
        let event = NumberAssigned {
            license_id: "acme".into(),
            number: number.as_str().into(),
            carrier: carrier.to_string(),
            assigned_at: Some(proto::to_timestamp(world.clock.now())),
            version: 1,
        };
        assert_eq!(world.assignments().await, [event]);
        // The first assignment does not count as a change.
        assert_eq!(world.settings("acme").await.next_change_allowed_at, None);
        assert_eq!(replica.acquirer.run_due().await.unwrap(), 0);
    }
}

#[tokio::test]
async fn when_the_area_code_has_no_numbers_any_number_of_the_united_states_is_taken() {
    for carrier in CARRIERS {
        let (world, replica) = wanting(carrier).await;
        world.set_faults(json!([{ "on": "search", "kind": "area_code_empty", "area_code": "415" }])).await;
        replica.acquirer.run_due().await.unwrap();
        let number = world.assert_one_number_owned_and_assigned("area code empty").await;
        assert!(!number.as_str().starts_with("+1415"), "{carrier}");
    }
}

#[tokio::test]
async fn without_an_area_code_any_number_of_the_united_states_is_taken() {
    for carrier in CARRIERS {
        let world = World::new(carrier).await;
        let replica = world.replica();
        replica.put_license("acme", None).await.unwrap();
        replica.acquirer.run_due().await.unwrap();
        world.assert_one_number_owned_and_assigned("no company phone").await;
    }
}

#[tokio::test]
async fn numbers_must_do_sms_and_voice_and_are_bought_by_their_digits() {
    let (world, replica) = wanting(CarrierName::Twilio).await;
    replica.acquirer.run_due().await.unwrap();
    let asked = world.simulator.get("/_sim/requests").await;
    let [purchase, search] = asked["requests"].as_array().unwrap().as_slice() else { panic!("{asked}") };
    assert_eq!(search["query"]["SmsEnabled"], json!(["true"]));
    assert_eq!(search["query"]["VoiceEnabled"], json!(["true"]));
    assert_eq!(purchase["method"], "POST");
    assert!(purchase["form"]["PhoneNumber"].is_array());
    assert!(purchase["form"]["AreaCode"].is_null());
}

#[tokio::test]
async fn a_carrier_that_is_too_busy_is_asked_again_later_and_settings_say_so() {
    for carrier in CARRIERS {
        let (world, replica) = wanting(carrier).await;
        world.set_fault("buy", "http_429", Some(2)).await;
        let start = world.clock.now();
        replica.acquirer.run_due().await.unwrap();
        let (step, attempts, last_error, next) = provisioning(&world.settings("acme").await);
        assert_eq!((step, attempts, last_error), (Step::Buying, 1, Some(Setback::CarrierThrottled)), "{carrier}");
        assert!(next > start);
        assert_eq!(replica.acquirer.run_due().await.unwrap(), 0, "not before it is due");

        world.clock.advance(LATER);
        replica.acquirer.run_due().await.unwrap();
        assert_eq!(provisioning(&world.settings("acme").await).1, 2);
        world.clock.advance(LATER);
        replica.acquirer.run_due().await.unwrap();
        world.assert_one_number_owned_and_assigned("429").await;
    }
}

#[tokio::test]
async fn a_purchase_whose_answer_was_lost_is_found_and_never_repeated() {
    for carrier in CARRIERS {
        for kind in ["http_500_after_accept", "timeout_after_accept", "reset_after_accept"] {
            let case = format!("{carrier} {kind}");
            let (world, replica) = wanting(carrier).await;
            world.set_fault("buy", kind, Some(1)).await;
            replica.acquirer.run_due().await.unwrap();
            let (step, attempts, last_error, _) = provisioning(&world.settings("acme").await);
            assert_eq!((step, attempts, last_error), (Step::Buying, 1, Some(Setback::CarrierOutcomeUnknown)), "{case}");

            replica.finish_purchases().await;
            world.assert_one_number_owned_and_assigned(&case).await;
            assert_eq!(world.count_purchases().await, 1, "{case}: {:?}", world.requests().await);
        }
    }
}

#[tokio::test]
async fn a_purchase_that_did_not_happen_is_made_after_a_look() {
    for carrier in CARRIERS {
        for kind in ["http_500", "timeout_before_accept", "reset_before_accept"] {
            let (world, replica) = wanting(carrier).await;
            world.set_fault("buy", kind, Some(1)).await;
            replica.acquirer.run_due().await.unwrap();
            replica.finish_purchases().await;
            world.assert_one_number_owned_and_assigned(&format!("{carrier} {kind}")).await;
        }
    }
}

#[tokio::test]
async fn a_number_that_was_sold_meanwhile_is_skipped_and_another_one_bought() {
    for carrier in CARRIERS {
        let (world, replica) = wanting(carrier).await;
        world.set_fault("buy", "sold_meanwhile", Some(1)).await;
        replica.acquirer.run_due().await.unwrap();
        let (step, attempts, last_error, next) = provisioning(&world.settings("acme").await);
        let expected = (Step::Searching, 0, Some(Setback::NumberTaken), world.clock.now());
        assert_eq!((step, attempts, last_error, next), expected, "{carrier}");
        replica.acquirer.run_due().await.unwrap();
        let number = world.assert_one_number_owned_and_assigned("sold meanwhile").await;
        assert!(number.as_str().starts_with("+1415"), "{carrier}");
    }
}

#[tokio::test]
async fn a_number_that_our_account_owns_for_another_license_is_left_alone() {
    for carrier in CARRIERS {
        let (world, replica) = wanting(carrier).await;
        let (mut held, next) = claim(&replica.acquirer).await;
        let Some(Next::Buy(number)) = replica.acquirer.take_step(&mut held, next).await.unwrap() else {
            panic!("no choice")
        };
        replica.buy_past_us(carrier, number, "other").await;

        world.clock.advance(LATER);
        replica.settle().await;
        let assigned = world.number("acme").await.unwrap();
        assert_ne!(assigned, number, "{carrier}");
        let owned = world.owned().await;
        let tags: HashSet<_> = owned.iter().map(|owned| owned.license_id.clone().unwrap()).collect();
        assert_eq!((owned.len(), tags), (2, HashSet::from([license("acme"), license("other")])), "{carrier}");
    }
}

#[tokio::test]
async fn while_there_are_no_numbers_at_all_settings_say_so_and_the_search_goes_on() {
    for carrier in CARRIERS {
        let (world, replica) = wanting(carrier).await;
        world.set_fault("search", "sold_out", None).await;
        for (attempt, pause) in [(1, 1), (2, 2), (3, 4)] {
            replica.acquirer.run_due().await.unwrap();
            let (step, attempts, last_error, next) = provisioning(&world.settings("acme").await);
            assert_eq!((step, attempts, last_error), (Step::Searching, attempt, Some(Setback::NoNumbersAvailable)));
            assert_eq!((next - world.clock.now()).num_seconds(), pause, "{carrier}");
            world.clock.advance(Duration::from_secs(4));
        }
        world.clear_faults().await;
        replica.acquirer.run_due().await.unwrap();
        world.assert_one_number_owned_and_assigned("numbers are back").await;
    }
}

#[tokio::test]
async fn no_number_is_bought_that_is_some_company_s_own_phone() {
    for carrier in CARRIERS {
        let (world, replica) = wanting(carrier).await;
        replica.acquirer.run_due().await.unwrap();
        // The next one that the carrier would offer.
        let search = NumberSearch { area_code: plan_search(world.settings("acme").await.company.phone)[0], limit: 1 };
        let offered = replica.calls.find(carrier).unwrap().search_numbers(&search).await.unwrap()[0];
        replica.put_license("second", Some(offered.as_str())).await.unwrap();
        replica.acquirer.run_due().await.unwrap();
        let assigned = world.number("second").await.unwrap();
        assert_ne!(assigned, offered, "{carrier}");
        assert_eq!(assigned.area_code(), offered.area_code());
    }
}

#[tokio::test]
async fn two_replicas_buy_one_number_for_each_license() {
    for carrier in CARRIERS {
        let world = World::new(carrier).await;
        let (one, other) = (world.replica(), world.replica());
        let ids: Vec<String> = (0..12).map(|n| format!("license-{n}")).collect();
        for id in &ids {
            // All in one area code: every search shows the same numbers.
            one.put_license(id, PHONE).await.unwrap();
        }
        for _ in 0..4 {
            let (first, second) = tokio::join!(one.acquirer.run_due(), other.acquirer.run_due());
            first.unwrap();
            second.unwrap();
            world.clock.advance(LATER);
        }
        let mut assigned = HashSet::new();
        for id in &ids {
            assigned.insert(world.number(id).await.unwrap().as_str().to_owned());
        }
        let owned = world.owned().await;
        let bought: HashSet<_> = owned.iter().map(|owned| owned.number.as_str().to_owned()).collect();
        assert_eq!((owned.len(), assigned.len()), (ids.len(), ids.len()), "{carrier}");
        assert_eq!(assigned, bought);
        assert_eq!(world.assignments().await.len(), ids.len());
    }
}

#[tokio::test]
async fn a_crash_after_each_step_ends_with_exactly_one_number_owned_and_assigned() {
    for carrier in CARRIERS {
        // Nothing, the choice stored, the number bought, the number assigned.
        for steps in 0..=3 {
            let (world, replica) = wanting(carrier).await;
            let (mut held, next) = claim(&replica.acquirer).await;
            let mut next = Some(next);
            for _ in 0..steps {
                next = replica.acquirer.take_step(&mut held, next.unwrap()).await.unwrap();
            }
            assert_eq!(next.is_none(), steps == 3);
            drop((replica, held));

            let survivor = world.replica();
            assert_eq!(survivor.acquirer.run_due().await.unwrap(), 0, "the lease of the dead still runs");
            survivor.finish_purchases().await;
            world.assert_one_number_owned_and_assigned(&format!("{carrier}: crash after {steps} steps")).await;
        }
    }
}

#[tokio::test]
async fn a_replica_that_was_slower_than_its_lease_changes_nothing() {
    for carrier in CARRIERS {
        let (world, slow) = wanting(carrier).await;
        let (mut held, next) = claim(&slow.acquirer).await;
        let buy = slow.acquirer.take_step(&mut held, next).await.unwrap().unwrap();
        let assign = slow.acquirer.take_step(&mut held, buy.clone()).await.unwrap().unwrap();
        world.clock.advance(LATER);
        world.replica().acquirer.run_due().await.unwrap();

        for late in [buy, assign] {
            assert!(matches!(slow.acquirer.take_step(&mut held, late).await, Err(StoreError::LeaseLost)));
        }
        world.assert_one_number_owned_and_assigned("lease lost").await;
    }
}

#[tokio::test]
async fn what_a_given_up_purchase_left_behind_is_adopted_before_another_number_is_bought() {
    for carrier in CARRIERS {
        let (world, replica) = wanting(carrier).await;
        world.set_fault("buy", "sold_meanwhile", Some(1)).await;
        replica.acquirer.run_due().await.unwrap();
        // The carrier's list was late: it now shows a number with our tag.
        let number = replica.find_for_sale(carrier).await;
        replica.buy_past_us(carrier, number, "acme").await;
        replica.acquirer.run_due().await.unwrap();
        assert_eq!(world.assert_one_number_owned_and_assigned("left behind").await, number);
    }
}

#[tokio::test]
async fn what_was_left_behind_is_not_adopted_when_it_is_some_company_s_phone_by_now() {
    for carrier in CARRIERS {
        let (world, replica) = wanting(carrier).await;
        world.set_fault("buy", "sold_meanwhile", Some(1)).await;
        replica.acquirer.run_due().await.unwrap();
        let number = replica.find_for_sale(carrier).await;
        replica.buy_past_us(carrier, number, "acme").await;
        // Nobody here knows that the number is ours.
        replica.put_license("other", Some(number.as_str())).await.unwrap();
        replica.settle().await;
        let assigned = world.number("acme").await.unwrap();
        assert_ne!(assigned, number, "{carrier}: calls to it would ring in a circle");
    }
}

#[tokio::test]
async fn when_a_whole_page_is_offered_to_others_the_first_number_is_still_of_the_area_code() {
    for carrier in CARRIERS {
        let world = World::new(carrier).await;
        let replica = world.replica();
        replica.put_license("other", None).await.unwrap();
        for _ in 0..35 {
            replica.generate("other", Some("415")).await.unwrap();
            world.clock.advance(Duration::from_secs(6));
        }
        replica.put_license("acme", PHONE).await.unwrap();
        replica.settle().await;
        assert!(world.number("acme").await.unwrap().as_str().starts_with("+1415"), "{carrier}");
    }
}

#[tokio::test]
async fn licenses_that_buy_at_the_same_moment_share_one_application_for_calls() {
    let world = World::new(CarrierName::Telnyx).await;
    let replica = world.replica();
    let telnyx = replica.calls.find(CarrierName::Telnyx).unwrap();
    let search = NumberSearch { area_code: None, limit: 8 };
    let numbers = telnyx.search_numbers(&search).await.unwrap();
    let orders: Vec<_> = (numbers.into_iter().enumerate())
        .map(|(n, number)| NumberOrder {
            number,
            license_id: license(&format!("license-{n}")),
            webhooks: replica.acquirer.webhooks.of_number(CarrierName::Telnyx),
        })
        .collect();
    for bought in join_all(orders.iter().map(|order| telnyx.buy_number(order))).await {
        bought.unwrap();
    }
    let requests = world.requests().await;
    let made = requests.iter().filter(|request| *request == "POST texml_applications").count();
    assert_eq!(made, 1, "what is set on it later must reach every number");
}
