//! The old number goes back after the cut-over, whatever the carrier says first (rule 5).

use std::time::Duration;

use super::world::{CARRIERS, LATER, RELEASE_DELAY, Replica, World};

async fn after_a_save(carrier: domain::CarrierName) -> (World, Replica) {
    let (world, replica, _) = World::with_number(carrier).await;
    let offer = replica.generate("acme", None).await.unwrap();
    assert!(replica.save("acme", offer.candidate_id).await.unwrap().done);
    (world, replica)
}

async fn last_error(world: &World) -> (i32, Option<String>) {
    sqlx::query_as("select attempts, last_error from releases").fetch_one(&world.pool()).await.unwrap()
}

#[tokio::test]
async fn the_old_number_is_released_after_the_cut_over_and_not_before() {
    for carrier in CARRIERS {
        let (world, replica) = after_a_save(carrier).await;
        world.clock.advance(RELEASE_DELAY / 2);
        assert_eq!(replica.releaser.run_due().await.unwrap(), 0);
        assert_eq!(world.owned().await.len(), 2, "{carrier}");
        world.clock.advance(RELEASE_DELAY / 2);
        assert_eq!(replica.releaser.run_due().await.unwrap(), 1);
        world.assert_one_number_owned_and_assigned(carrier.as_str()).await;
        assert_eq!(replica.releaser.run_due().await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_release_that_is_refused_is_tried_again_for_ever_also_by_another_process() {
    for carrier in CARRIERS {
        let (world, replica) = after_a_save(carrier).await;
        world.set_fault("release", "refused", None).await;
        world.clock.advance(RELEASE_DELAY);
        replica.releaser.run_due().await.unwrap();
        assert_eq!(last_error(&world).await, (1, Some("carrier_refused".to_owned())), "{carrier}");
        assert_eq!(replica.releaser.run_due().await.unwrap(), 0, "{carrier}: not before it is due");
        drop(replica);
        for attempts in 2..5 {
            world.clock.advance(Duration::from_hours(1));
            assert_eq!(world.replica().releaser.run_due().await.unwrap(), 1);
            assert_eq!(last_error(&world).await.0, attempts, "{carrier}");
        }
        world.clear_faults().await;
        world.clock.advance(Duration::from_hours(1));
        world.replica().releaser.run_due().await.unwrap();
        world.assert_one_number_owned_and_assigned(carrier.as_str()).await;
    }
}

#[tokio::test]
async fn a_number_that_is_already_released_counts_as_released() {
    for carrier in CARRIERS {
        let (world, replica) = after_a_save(carrier).await;
        // By hand, or by a call whose answer was lost.
        world.set_fault("release", "http_500_after_accept", Some(1)).await;
        world.clock.advance(RELEASE_DELAY);
        replica.releaser.run_due().await.unwrap();
        assert_eq!(last_error(&world).await, (1, Some("carrier_outcome_unknown".to_owned())), "{carrier}");
        assert_eq!(world.owned().await.len(), 1);
        world.clock.advance(LATER);
        replica.releaser.run_due().await.unwrap();
        world.assert_one_number_owned_and_assigned(carrier.as_str()).await;
    }
}

#[tokio::test]
async fn two_replicas_release_a_number_once() {
    for carrier in CARRIERS {
        let (world, one) = after_a_save(carrier).await;
        let other = world.replica();
        world.clock.advance(RELEASE_DELAY);
        let (first, second) = tokio::join!(one.releaser.run_due(), other.releaser.run_due());
        assert_eq!(first.unwrap() + second.unwrap(), 1);
        world.assert_one_number_owned_and_assigned(carrier.as_str()).await;
    }
}
