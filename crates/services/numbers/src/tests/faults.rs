//! What carriers do wrong while a number is changed, each by its name in the issue, over both carriers.

use std::time::Duration;

use chassis::{Fault, FaultKind};
use domain::{CarrierName, PhoneNumber};

use super::world::{CARRIERS, Replica, World, fault};
use crate::model::search::{CANDIDATE_LIFETIME, Offer};
use crate::model::setback::Setback;

/// A license with a number and an offer for another.
async fn with_offer(carrier: CarrierName) -> (World, Replica, PhoneNumber, Offer) {
    let (world, replica, old) = World::with_number(carrier).await;
    let offer = replica.generate("acme", Some("212")).await.unwrap();
    (world, replica, old, offer)
}

fn told(refused: &Fault) -> (FaultKind, &str) {
    (refused.kind, refused.code.as_ref())
}

/// The old number is what there was, nothing else is owned, and the month is not counted.
async fn assert_nothing_changed(world: &World, replica: &Replica, old: PhoneNumber, case: &str) {
    world.clear_faults().await;
    replica.settle_all().await;
    assert_eq!(world.assert_one_number_owned_and_assigned(case).await, old, "{case}");
    assert_eq!(world.settings("acme").await.next_change_allowed_at, None, "{case}");
    assert_eq!(world.assignments().await.len(), 1, "{case}");
    // And the next Save works.
    let offer = replica.generate("acme", None).await.unwrap();
    assert!(replica.save("acme", offer.candidate_id).await.unwrap().done, "{case}");
    assert_eq!(world.settings("acme").await.change_error, None, "{case}");
}

/// A Save that the carrier left open: `done` is false and settings say why.
async fn save_and_wait_in_vain(world: &World, replica: &Replica, offer: &Offer, why: Setback, case: &str) {
    let saved = replica.save("acme", offer.candidate_id).await.unwrap();
    assert!(!saved.done, "{case}");
    let provisioning = world.settings("acme").await.provisioning.unwrap();
    assert_eq!((provisioning.attempts, provisioning.last_error), (1, Some(why)), "{case}");
}

#[tokio::test]
async fn while_there_are_no_numbers_at_all_generate_says_so() {
    for carrier in CARRIERS {
        let (world, replica, _) = World::with_number(carrier).await;
        world.set_fault("search", "sold_out", None).await;
        for area_code in [Some("212"), None] {
            let refused = fault(replica.generate("acme", area_code).await.unwrap_err());
            assert_eq!(told(&refused), (FaultKind::Conflict, "no_numbers_available"), "{carrier}");
        }
    }
}

#[tokio::test]
async fn a_carrier_that_is_too_busy_or_away_while_numbers_are_generated_is_named() {
    for carrier in CARRIERS {
        let (world, replica, _) = World::with_number(carrier).await;
        for (kind, code) in [
            ("http_429", "carrier_throttled"),
            ("http_500", "carrier_unreachable"),
            ("reset_before_accept", "carrier_unreachable"),
        ] {
            world.set_fault("search", kind, None).await;
            let refused = fault(replica.generate("acme", None).await.unwrap_err());
            assert_eq!(told(&refused), (FaultKind::Unavailable, code), "{carrier} {kind}");
        }
    }
}

#[tokio::test]
async fn a_number_sold_between_generate_and_save_is_a_clear_conflict_and_the_old_number_stays() {
    for carrier in CARRIERS {
        let (world, replica, old, offer) = with_offer(carrier).await;
        world.set_fault("buy", "sold_meanwhile", Some(1)).await;
        let refused = fault(replica.save("acme", offer.candidate_id).await.unwrap_err());
        assert_eq!(told(&refused), (FaultKind::Conflict, "number_taken"), "{carrier}");
        assert_nothing_changed(&world, &replica, old, carrier.as_str()).await;
    }
}

#[tokio::test]
async fn a_purchase_that_is_refused_for_good_ends_the_save_and_the_old_number_stays() {
    for carrier in CARRIERS {
        let (world, replica, old, offer) = with_offer(carrier).await;
        world.set_fault("buy", "refused", Some(1)).await;
        let refused = fault(replica.save("acme", offer.candidate_id).await.unwrap_err());
        assert_eq!(told(&refused), (FaultKind::Unavailable, "carrier_account_problem"), "{carrier}");
        assert_nothing_changed(&world, &replica, old, carrier.as_str()).await;
    }
}

#[tokio::test]
async fn after_a_429_the_save_goes_on_by_itself_and_settings_say_so() {
    for carrier in CARRIERS {
        let (world, replica, _, offer) = with_offer(carrier).await;
        world.set_fault("buy", "http_429", Some(1)).await;
        save_and_wait_in_vain(&world, &replica, &offer, Setback::CarrierThrottled, carrier.as_str()).await;
        // The same Save again joins it, another one is refused.
        assert!(!replica.save("acme", offer.candidate_id).await.unwrap().done);
        let other = replica.generate("acme", None).await.unwrap();
        let refused = fault(replica.save("acme", other.candidate_id).await.unwrap_err());
        assert_eq!(told(&refused), (FaultKind::Conflict, "change_in_progress"));
        replica.finish_purchases().await;
        assert!(replica.save("acme", offer.candidate_id).await.unwrap().done, "{carrier}");
        replica.settle_all().await;
        assert_eq!(world.assert_one_number_owned_and_assigned(carrier.as_str()).await, offer.number);
    }
}

#[tokio::test]
async fn a_carrier_that_is_too_busy_until_the_candidate_expires_ends_the_save_and_settings_say_why() {
    for carrier in CARRIERS {
        let (world, replica, old, offer) = with_offer(carrier).await;
        world.set_fault("buy", "http_429", None).await;
        save_and_wait_in_vain(&world, &replica, &offer, Setback::CarrierThrottled, carrier.as_str()).await;
        world.clock.advance(CANDIDATE_LIFETIME);
        let purchases = world.count_purchases().await;
        replica.settle().await;
        assert_eq!(world.count_purchases().await, purchases, "{carrier}: nothing is bought after that");
        let error = world.settings("acme").await.change_error.unwrap();
        assert_eq!((error.setback, error.occurred_at), (Setback::CarrierThrottled, world.clock.now()), "{carrier}");
        let refused = fault(replica.save("acme", offer.candidate_id).await.unwrap_err());
        assert_eq!(refused.code, "candidate_expired");
        assert_nothing_changed(&world, &replica, old, carrier.as_str()).await;
    }
}

/// The carrier sold, and the answer was lost.
async fn after_having_bought(kind: &str) {
    for carrier in CARRIERS {
        let case = format!("{carrier} {kind}");
        let (world, replica, _, offer) = with_offer(carrier).await;
        world.set_fault("buy", kind, Some(1)).await;
        save_and_wait_in_vain(&world, &replica, &offer, Setback::CarrierOutcomeUnknown, &case).await;
        // However late: what was bought in time is kept.
        world.clock.advance(CANDIDATE_LIFETIME);
        replica.finish_purchases().await;
        assert!(replica.save("acme", offer.candidate_id).await.unwrap().done, "{case}");
        assert_eq!(world.count_purchases().await, 2, "{case}: the first number and this one, once each");
        replica.settle_all().await;
        assert_eq!(world.assert_one_number_owned_and_assigned(&case).await, offer.number, "{case}");
    }
}

#[tokio::test]
async fn after_a_500_after_having_bought_the_number_is_found_and_not_bought_again() {
    after_having_bought("http_500_after_accept").await;
}

#[tokio::test]
async fn after_a_time_out_after_having_bought_the_number_is_found_and_not_bought_again() {
    after_having_bought("timeout_after_accept").await;
}

#[tokio::test]
async fn after_a_purchase_that_did_not_happen_it_is_made_after_a_look() {
    for carrier in CARRIERS {
        for kind in ["http_500", "reset_before_accept"] {
            let case = format!("{carrier} {kind}");
            let (world, replica, _, offer) = with_offer(carrier).await;
            world.set_fault("buy", kind, Some(1)).await;
            save_and_wait_in_vain(&world, &replica, &offer, Setback::CarrierOutcomeUnknown, &case).await;
            world.clock.advance(Duration::from_secs(1));
            replica.settle_all().await;
            assert_eq!(world.assert_one_number_owned_and_assigned(&case).await, offer.number, "{case}");
        }
    }
}

#[tokio::test]
async fn an_order_that_the_carrier_settles_late_is_waited_for_and_not_placed_again() {
    let (world, replica, _, offer) = with_offer(CarrierName::Telnyx).await;
    world
        .set_faults(serde_json::json!([{ "on": "buy", "kind": "order_pending", "count": 1, "delay_ms": 3_000 }]))
        .await;
    save_and_wait_in_vain(&world, &replica, &offer, Setback::CarrierOutcomeUnknown, "pending").await;
    replica.settle_all().await;
    assert_eq!(world.assert_one_number_owned_and_assigned("pending").await, offer.number);
    assert_eq!(world.count_purchases().await, 2);
}

#[tokio::test]
async fn an_order_that_fails_is_a_number_that_was_taken() {
    let (world, replica, old, offer) = with_offer(CarrierName::Telnyx).await;
    world.set_fault("buy", "order_failed", Some(1)).await;
    let refused = fault(replica.save("acme", offer.candidate_id).await.unwrap_err());
    assert_eq!(told(&refused), (FaultKind::Conflict, "number_taken"));
    assert_nothing_changed(&world, &replica, old, "order failed").await;
}

#[tokio::test]
async fn a_number_whose_webhook_configuration_is_refused_goes_back_and_the_old_number_stays() {
    for carrier in CARRIERS {
        let (world, replica, old, offer) = with_offer(carrier).await;
        // Bought, and the answer is lost; so it has to be configured when it is found.
        world.set_fault("buy", "http_500_after_accept", Some(1)).await;
        save_and_wait_in_vain(&world, &replica, &offer, Setback::CarrierOutcomeUnknown, carrier.as_str()).await;
        world.set_fault("configure", "refused", None).await;
        replica.finish_purchases().await;
        let settings = world.settings("acme").await;
        assert_eq!(settings.messages_number.unwrap().number, old, "{carrier}");
        assert_eq!(settings.change_error.unwrap().setback, Setback::CarrierRefused, "{carrier}");
        assert_eq!(world.owned().await.len(), 2, "{carrier}: not given back yet");
        assert_nothing_changed(&world, &replica, old, carrier.as_str()).await;
    }
}
