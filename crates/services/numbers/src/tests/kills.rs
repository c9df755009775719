//! Rule 5: the saga survives a crash at every step. The process is killed at every transfer to and from the carrier, one
//! after the other; what stays is the database and the carrier. A fresh process goes on when the lease has ended.

use carriers::OwnedNumber;
use domain::{CarrierName, PhoneNumber};

use super::wire::Wire;
use super::world::{CARRIERS, RELEASE_DELAY, Replica, World, license};
use crate::model::acquisition::Next;
use crate::store::SaveBegun;

/// More transfers than any of these has.
const NEVER: usize = 1_000;

/// From the first word about a license to its number.
async fn acquire_first(replica: &Replica) {
    replica.settle().await;
}

/// What a Save does, in this process and nowhere else, and the release after it.
async fn replace(world: &World, replica: &Replica, candidate: domain::Id<domain::Candidate>) {
    let now = world.clock.now();
    let begun =
        replica.store.begin_save(&license("acme"), candidate, now + replica.acquirer.lease(), now).await.unwrap();
    let SaveBegun::Begun(acquisition) = begun else { panic!("{begun:?}") };
    let number = acquisition.chosen.unwrap();
    replica.acquirer.work_on(acquisition, Next::Buy(number)).await;
    world.clock.advance(RELEASE_DELAY);
    replica.releaser.run_due().await.unwrap();
}

/// What goes on after the process was killed.
async fn recover(world: &World) {
    let survivor = world.replica();
    assert_eq!(survivor.acquirer.run_due().await.unwrap(), 0, "the lease of the dead still runs");
    survivor.settle_all().await;
}

/// False when the process got to its end.
async fn first_number_with_a_kill(carrier: CarrierName, dead_at: usize) -> bool {
    let world = World::new(carrier).await;
    world.replica().put_license("acme", Some("+14152345678")).await.unwrap();
    let wire = Wire::start(world.simulator.url(), dead_at).await;
    let killed = {
        let doomed = world.replica_at(wire.url());
        tokio::select! {
            () = wire.dead() => true,
            () = acquire_first(&doomed) => false,
        }
    };
    recover(&world).await;
    world.assert_one_number_owned_and_assigned(&format!("{carrier}: killed at transfer {dead_at}")).await;
    assert_eq!(world.assignments().await.len(), 1, "{carrier}: {dead_at}");
    killed
}

async fn replacement_with_a_kill(carrier: CarrierName, dead_at: usize) -> bool {
    let case = format!("{carrier}: killed at transfer {dead_at}");
    let (world, healthy, old) = World::with_number(carrier).await;
    let offer = healthy.generate("acme", Some("212")).await.unwrap();
    let wire = Wire::start(world.simulator.url(), dead_at).await;
    let killed = {
        let doomed = world.replica_at(wire.url());
        tokio::select! {
            () = wire.dead() => true,
            () = replace(&world, &doomed, offer.candidate_id) => false,
        }
    };
    // Never a license without a number.
    let number = world.number("acme").await.unwrap();
    assert!(number == old || number == offer.number, "{case}");
    recover(&world).await;
    assert_eq!(world.assert_one_number_owned_and_assigned(&case).await, offer.number, "{case}");
    assert_eq!(world.assignments().await.len(), 2, "{case}");
    killed
}

#[tokio::test]
async fn a_first_number_survives_a_kill_at_every_step_and_exactly_one_is_owned_and_assigned() {
    for carrier in CARRIERS {
        let mut kills = 0;
        while first_number_with_a_kill(carrier, kills + 1).await {
            kills += 1;
        }
        // At least the search and the purchase, each with its answer.
        assert!((4..NEVER).contains(&kills), "{carrier}: {kills}");
    }
}

#[tokio::test]
async fn a_save_survives_a_kill_at_every_step_and_exactly_one_is_owned_and_assigned_at_twilio() {
    save_survives(CarrierName::Twilio, 4).await;
}

#[tokio::test]
async fn a_save_survives_a_kill_at_every_step_and_exactly_one_is_owned_and_assigned_at_telnyx() {
    save_survives(CarrierName::Telnyx, 8).await;
}

async fn save_survives(carrier: CarrierName, at_least: usize) {
    let mut kills = 0;
    while replacement_with_a_kill(carrier, kills + 1).await {
        kills += 1;
    }
    // The purchase and the release, each with its answer; Telnyx has more of them.
    assert!((at_least..NEVER).contains(&kills), "{carrier}: {kills}");
}

#[tokio::test]
async fn a_save_that_is_killed_before_the_carrier_is_asked_is_done_by_somebody_else() {
    for carrier in CARRIERS {
        let (world, replica, _) = World::with_number(carrier).await;
        let offer = replica.generate("acme", None).await.unwrap();
        let now = world.clock.now();
        let lease = now + replica.acquirer.lease();
        replica.store.begin_save(&license("acme"), offer.candidate_id, lease, now).await.unwrap();
        drop(replica);
        recover(&world).await;
        assert_eq!(world.assert_one_number_owned_and_assigned("killed before").await, offer.number);
    }
}

#[tokio::test]
async fn two_replicas_that_pick_up_the_same_saga_buy_one_number() {
    for carrier in CARRIERS {
        let (world, replica, _) = World::with_number(carrier).await;
        let offer = replica.generate("acme", None).await.unwrap();
        let now = world.clock.now();
        // A dead replica's.
        replica.store.begin_save(&license("acme"), offer.candidate_id, now, now).await.unwrap();
        let (one, other) = (world.replica(), world.replica());
        let (first, second) = tokio::join!(one.acquirer.run_due(), other.acquirer.run_due());
        assert_eq!(first.unwrap() + second.unwrap(), 1, "{carrier}: one of them holds it");
        one.settle_all().await;
        assert_eq!(world.assert_one_number_owned_and_assigned("two replicas").await, offer.number);
        assert_eq!(world.count_purchases().await, 2, "{carrier}: the first number and this one");
    }
}

#[tokio::test]
async fn a_replica_that_was_slower_than_its_lease_changes_nothing_and_buys_nothing() {
    for carrier in CARRIERS {
        let (world, slow, _) = World::with_number(carrier).await;
        let offer = slow.generate("acme", None).await.unwrap();
        let now = world.clock.now();
        let begun = slow.store.begin_save(&license("acme"), offer.candidate_id, now, now).await.unwrap();
        let SaveBegun::Begun(held) = begun else { panic!("{begun:?}") };
        world.replica().finish_purchases().await;
        let owned: Vec<OwnedNumber> = world.owned().await;
        let number: PhoneNumber = offer.number;
        slow.acquirer.work_on(held, Next::Buy(number)).await;
        assert_eq!(world.owned().await, owned, "{carrier}");
        slow.settle_all().await;
        assert_eq!(world.assert_one_number_owned_and_assigned("lease lost").await, number);
    }
}
