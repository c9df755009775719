//! The cut-over of a number (rule 5), as far as it is dispatch's: what waits goes out from the number that is assigned
//! when it is sent, also over another carrier, and nothing is lost when the old number goes before the news comes.

use std::time::Duration;

use proto::conversations::Priority::{Batch, Reply};
use serde_json::json;
use tokio::task::JoinSet;

use super::lanes::waiting_at;
use super::*;

impl World {
    /// From which numbers the texts on a phone came, oldest first.
    async fn senders(&self, phone: &str) -> Vec<String> {
        let texts = self.simulator.inbox(phone).await;
        texts.iter().map(|text| text["from"].as_str().unwrap().to_owned()).collect()
    }

    /// The license had a number, and has another one that was not announced yet. The old one is gone.
    async fn change_unheard(&self, old: CarrierName, new: CarrierName) -> PhoneNumber {
        let before = self.assign_at(old, "acme", 1).await;
        let after = buy(self.simulator.url(), new, "acme").await.number;
        let carriers = both(self.simulator.url(), Duration::from_secs(5));
        carriers.find(old).unwrap().release_number(&before.carrier_number_id).await.unwrap();
        after
    }
}

/// Every way in which a license's carrier may or may not change.
fn changes() -> impl Iterator<Item = (CarrierName, CarrierName)> {
    CarrierName::ALL.iter().flat_map(|old| CarrierName::ALL.iter().map(|new| (*old, *new)))
}

#[tokio::test]
async fn messages_queued_before_save_go_out_from_the_number_assigned_when_they_are_sent() {
    for (old, new) in changes() {
        let world = World::new().await;
        let before = world.assign_at(old, "acme", 1).await.number;
        let messages = world.queue("acme", PHONE, Batch, 3).await;
        let sender = world.asking_replica(1.0);
        world.work(&sender).await;
        let after = world.assign_at(new, "acme", 2).await.number;
        for _ in 0..2 {
            world.work(&sender).await;
            world.clock.advance(Duration::from_secs(1));
        }
        let numbers = [before.as_str(), after.as_str(), after.as_str()];
        assert_eq!(world.senders(PHONE).await, numbers, "{old} to {new}");
        for (message, (carrier, number)) in messages.iter().zip([old, new, new].into_iter().zip(numbers)) {
            let event = world.events(message).await.remove(0);
            assert_eq!((event.carrier.as_deref(), event.from.as_deref()), (Some(carrier.as_str()), Some(number)));
        }
    }
}

#[tokio::test]
async fn an_attempt_under_way_keeps_its_number_and_its_carrier() {
    for (old, new) in changes() {
        let world = World::new().await;
        let before = world.assign_at(old, "acme", 1).await.number;
        let message = world.queue("acme", PHONE, Reply, 1).await.remove(0);
        let sender = world.replica(0.0);
        let (recorder, finished) = sender.recorder();
        let mut calls = JoinSet::new();
        sender.take_turn(&mut calls, &finished).await.unwrap();
        world.assign_at(new, "acme", 2).await;
        drop(finished);
        recorder.run().await;
        assert_eq!(world.senders(PHONE).await, [before.as_str()], "{old} to {new}");
        let event = world.events(&message).await.remove(0);
        assert_eq!((event.status.as_str(), event.carrier.as_deref()), ("sending", Some(old.as_str())));
        assert_eq!(event.from.as_deref(), Some(before.as_str()));
    }
}

#[tokio::test]
async fn what_the_old_number_cannot_send_any_more_waits_for_the_new_one_and_says_so() {
    for (old, new) in changes() {
        let world = World::new().await;
        let after = world.change_unheard(old, new).await;
        let messages = world.queue("acme", PHONE, Reply, 3).await;
        let sender = world.replica(0.0);
        for pause in [1, 2, 4] {
            world.work(&sender).await;
            let said = waiting_at(&world, CarrierName::ALL, 0.0, "acme", &[&messages[2]]).await;
            let until = world.clock.now() + Duration::from_secs(pause);
            assert_eq!(said, [("number_not_ready".to_owned(), Some(until))], "{old} to {new}");
            world.clock.advance(Duration::from_secs(pause));
        }
        assert_eq!(world.sends().await, 3 + 1 + 1, "one at a time after the first pause");
        world.work(&sender).await;

        world.announce(new, "acme", after, 2).await;
        world.work(&sender).await;
        assert_eq!(world.texts(PHONE).await, messages, "{old} to {new}: at once, in order");
        assert_eq!(world.senders(PHONE).await, [after.as_str(); 3]);
        assert_eq!(world.statuses(&messages[0]).await, ["sending"]);
    }
}

#[tokio::test]
async fn a_refusal_of_the_old_number_does_not_hold_up_the_new_one() {
    for (old, new) in changes() {
        let world = World::new().await;
        let after = world.change_unheard(old, new).await;
        let message = world.queue("acme", PHONE, Reply, 1).await.remove(0);
        let sender = world.replica(0.0);
        let (recorder, finished) = sender.recorder();
        let mut calls = JoinSet::new();
        sender.take_turn(&mut calls, &finished).await.unwrap();
        calls.join_next().await.unwrap().unwrap();
        world.announce(new, "acme", after, 2).await;
        world.work(&sender).await;
        drop(finished);
        recorder.run().await;
        assert_eq!(world.state(&message).await, "waiting", "{old} to {new}");
        world.work(&sender).await;
        assert_eq!(world.senders(PHONE).await, [after.as_str()], "{old} to {new}: without a pause");
    }
}

#[tokio::test]
async fn a_pause_of_the_old_number_is_not_one_of_the_new_one() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    let message = world.queue("acme", PHONE, Reply, 1).await.remove(0);
    world.simulator.set_faults(json!([{ "on": "send", "kind": "http_429", "count": 1 }])).await;
    let sender = world.replica(0.0);
    world.work(&sender).await;
    assert_eq!(world.state(&message).await, "waiting");
    let after = world.assign("acme", 2).await;
    world.work(&sender).await;
    assert_eq!(world.senders(PHONE).await, [after.as_str()]);
}

#[tokio::test]
async fn what_waits_for_its_number_too_long_has_failed_with_number_not_ready() {
    let world = World::new().await;
    world.change_unheard(CarrierName::Twilio, CarrierName::Twilio).await;
    let message = world.queue("acme", PHONE, Reply, 1).await.remove(0);
    let sender = world.replica(0.0);
    world.work(&sender).await;
    world.clock.advance(Duration::from_hours(10));
    world.work(&sender).await;
    world.sweep().await;
    assert_eq!(world.state(&message).await, "waiting");
    world.clock.advance(Duration::from_secs(1));
    world.sweep().await;
    let event = world.events(&message).await.remove(0);
    assert_eq!((event.status.as_str(), event.error.unwrap().code.as_str()), ("failed", "number_not_ready"));
}

#[tokio::test]
async fn a_lane_of_a_carrier_without_credentials_waits_for_a_process_that_has_them_and_says_so() {
    for (carrier, other) in changes().filter(|(carrier, other)| carrier != other) {
        let world = World::new().await;
        world.assign_at(carrier, "acme", 1).await;
        let message = world.queue("acme", PHONE, Reply, 1).await.remove(0);
        let all = both(world.simulator.url(), Duration::from_secs(5));
        let without = Carriers::new([all.find(other).unwrap().clone()]);
        world.work(&world.replica_with(Pace::OFF, 8, without)).await;
        assert_eq!(world.state(&message).await, "waiting", "{carrier}");
        let said = waiting_at(&world, &[other], 0.0, "acme", &[&message]).await;
        assert_eq!(said, [("carrier_unreachable".to_owned(), None)], "{carrier}");
        world.work(&world.replica(0.0)).await;
        assert_eq!(world.texts(PHONE).await, [message], "{carrier}");
    }
}
