//! Rule 12: what cannot receive SMS is refused as soon as it is known, with that reason.

use std::time::Duration;

use proto::conversations::Priority::{Batch, Reply};
use serde_json::json;
use tokio::task::JoinSet;

use super::*;

const DAY: Duration = Duration::from_hours(24);

impl World {
    /// Queues one message and lets everything go that is due. Answers its state.
    async fn try_one(&self, sender: &Sender, license: &str, to: &str) -> String {
        let message = self.queue(license, to, Reply, 1).await.remove(0);
        self.work(sender).await;
        self.state(&message).await
    }

    async fn known_lines(&self) -> i64 {
        sqlx::query_scalar("select count(*) from lines").fetch_one(&self.database.pool).await.unwrap()
    }
}

#[tokio::test]
async fn a_landline_is_refused_before_the_first_send_with_cannot_receive_sms() {
    for carrier in CarrierName::ALL {
        let world = World::new().await;
        world.assign_at(*carrier, "acme", 1).await;
        world.simulator.set_faults(json!([{ "on": "lookup", "kind": "landline", "to": PHONE }])).await;
        let refused = world.queue("acme", PHONE, Reply, 1).await.remove(0);
        let sent = world.queue("acme", OTHER_PHONE, Reply, 1).await.remove(0);
        world.work(&world.asking_replica(0.0)).await;

        assert_eq!(world.sends().await, 1, "{carrier}: nothing was sent to the landline");
        assert_eq!(world.texts(OTHER_PHONE).await, [sent]);
        let event = world.events(&refused).await.remove(0);
        assert_eq!((event.status.as_str(), event.from, event.carrier), ("failed", None, None), "{carrier}");
        let error = event.error.unwrap();
        assert_eq!(error.code, "cannot_receive_sms", "{carrier}");
        assert_eq!(error.detail, "The recipient's number cannot receive text messages.");
        let outcome: String = sqlx::query_scalar("select outcome from attempts where message_id = $1::uuid")
            .bind(refused.parse::<uuid::Uuid>().unwrap())
            .fetch_one(&world.database.pool)
            .await
            .unwrap();
        assert_eq!(outcome, "withheld");
    }
}

#[tokio::test]
async fn a_line_is_looked_up_once_and_remembered_until_it_expires() {
    for carrier in CarrierName::ALL {
        let world = World::new().await;
        world.assign_at(*carrier, "acme", 1).await;
        world.assign_at(*carrier, "bree", 1).await;
        let sender = world.asking_replica(0.0);
        world.queue("acme", PHONE, Batch, 5).await;
        world.work(&sender).await;
        assert_eq!((world.texts(PHONE).await.len(), world.lookups().await), (5, 1), "{carrier}: at the same moment");
        assert_eq!(world.try_one(&world.asking_replica(0.0), "bree", PHONE).await, "accepted");
        assert_eq!(world.lookups().await, 1, "{carrier}: another license, another replica");

        world.clock.advance(Duration::from_hours(90 * 24 - 1));
        world.sweep().await;
        assert_eq!(world.try_one(&sender, "acme", PHONE).await, "accepted");
        assert_eq!(world.lookups().await, 1, "{carrier}: still known");
        world.clock.advance(Duration::from_hours(1));
        assert_eq!(world.try_one(&sender, "acme", PHONE).await, "accepted");
        assert_eq!(world.lookups().await, 2, "{carrier}: asked again");

        world.clock.advance(DAY * 90);
        world.sweep().await;
        assert_eq!(world.known_lines().await, 0, "{carrier}: swept");
    }
}

#[tokio::test]
async fn a_landline_is_remembered_until_it_expires() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    world.simulator.set_faults(json!([{ "on": "lookup", "kind": "landline", "count": 1 }])).await;
    let sender = world.asking_replica(0.0);
    for _ in 0..3 {
        assert_eq!(world.try_one(&sender, "acme", PHONE).await, "failed");
        world.clock.advance(DAY * 29);
    }
    assert_eq!((world.lookups().await, world.sends().await), (1, 0));
    world.clock.advance(DAY * 3);
    assert_eq!(world.try_one(&sender, "acme", PHONE).await, "accepted", "refusals of ours do not prolong it");
    assert_eq!(world.lookups().await, 2);
}

#[tokio::test]
async fn what_a_carrier_says_afterwards_is_remembered_the_same_way() {
    for carrier in CarrierName::ALL {
        // In the answer to a send (Twilio), or in a receipt of what it took (Telnyx).
        let world = World::new().await;
        for license in ["acme", "bree"] {
            world.assign_at(*carrier, license, 1).await;
        }
        let sender = world.replica(0.0);
        world.simulator.set_faults(json!([{ "on": "send", "kind": "landline", "to": PHONE, "count": 1 }])).await;
        let message = world.queue("acme", PHONE, Reply, 1).await.remove(0);
        world.work(&sender).await;
        match carrier {
            CarrierName::Twilio => assert_eq!(world.state(&message).await, "failed"),
            CarrierName::Telnyx => world.receipt_with(&message, "undelivered", Some("cannot_receive_sms")).await,
        }
        assert_eq!(world.try_one(&sender, "bree", PHONE).await, "failed", "{carrier}: a landline is one for everybody");
        assert_eq!((world.sends().await, world.lookups().await), (1, 0), "{carrier}");

        // Although a lookup had said otherwise.
        let asking = world.asking_replica(0.0);
        let message = world.queue("acme", OTHER_PHONE, Reply, 1).await.remove(0);
        world.work(&asking).await;
        assert_eq!(world.state(&message).await, "accepted");
        world.receipt_with(&message, "undelivered", Some("not_reachable")).await;
        assert_eq!(world.try_one(&asking, "bree", OTHER_PHONE).await, "accepted", "{carrier}: that says nothing");
        world.receipt_with(&message, "undelivered", Some("cannot_receive_sms")).await;
        assert_eq!(world.try_one(&asking, "bree", OTHER_PHONE).await, "failed", "{carrier}");

        world.clock.advance(DAY * 90);
        for phone in [PHONE, OTHER_PHONE] {
            assert_eq!(world.try_one(&sender, "bree", phone).await, "accepted", "{carrier}: no longer known");
        }
    }
}

#[tokio::test]
async fn a_lookup_under_way_does_not_overwrite_what_a_carrier_said_meanwhile() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    let earlier = world.queue("acme", PHONE, Reply, 1).await.remove(0);
    world.work(&world.replica(0.0)).await;

    world.queue("acme", PHONE, Reply, 1).await;
    let sender = world.asking_replica(0.0);
    let (recorder, finished) = sender.recorder();
    let mut calls = JoinSet::new();
    sender.take_turn(&mut calls, &finished).await.unwrap();
    calls.join_next().await.unwrap().unwrap();
    world.receipt_with(&earlier, "undelivered", Some("cannot_receive_sms")).await;
    drop(finished);
    recorder.run().await;
    assert_eq!(world.lookups().await, 1);
    assert_eq!(world.try_one(&sender, "acme", PHONE).await, "failed");
}

#[tokio::test]
async fn a_lookup_that_fails_never_holds_a_message_and_is_asked_again() {
    for carrier in CarrierName::ALL {
        for fault in ["http_429", "http_500", "reset_before_accept", "timeout_before_accept"] {
            let world = World::new().await;
            world.assign_at(*carrier, "acme", 1).await;
            world.simulator.set_faults(json!([{ "on": "lookup", "kind": fault, "count": 1 }])).await;
            let sender = world.asking_replica(0.0);
            let first = tokio::time::timeout(Duration::from_secs(30), world.try_one(&sender, "acme", PHONE)).await;
            assert_eq!(first.unwrap(), "accepted", "{carrier} {fault}: sooner than the carrier's own time-out");
            assert_eq!(world.known_lines().await, 0, "{carrier} {fault}: nothing was learned");
            assert_eq!(world.try_one(&sender, "acme", PHONE).await, "accepted");
            assert_eq!((world.lookups().await, world.known_lines().await), (2, 1), "{carrier} {fault}");
        }
    }
}

#[tokio::test]
async fn what_will_not_be_sent_takes_nothing_of_the_pace() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    world.simulator.set_faults(json!([{ "on": "send", "kind": "landline", "to": PHONE, "count": 1 }])).await;
    world.try_one(&world.replica(1.0), "acme", PHONE).await;
    world.clock.advance(Duration::from_secs(1));
    world.queue("acme", PHONE, Batch, 5).await;
    let message = world.queue("acme", OTHER_PHONE, Batch, 1).await.remove(0);
    world.work(&world.replica(1.0)).await;
    assert_eq!(world.count("failed").await, 6);
    assert_eq!(world.texts(OTHER_PHONE).await, [message]);
}

#[tokio::test]
async fn a_lane_that_tries_again_is_not_held_up_by_what_will_not_be_sent() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    let sender = world.replica(0.0);
    world.simulator.set_faults(json!([{ "on": "send", "kind": "landline", "to": PHONE, "count": 1 }])).await;
    world.try_one(&sender, "acme", PHONE).await;
    world.simulator.set_faults(json!([{ "on": "send", "kind": "http_429" }])).await;
    assert_eq!(world.try_one(&sender, "acme", OTHER_PHONE).await, "waiting");
    world.queue("acme", PHONE, Reply, 1).await;
    let setbacks = "select setbacks from lanes where license_id = 'acme'";

    // The landline's message stands behind; then before.
    sqlx::query("update deliveries set priority = 1 where to_number = $1")
        .bind(OTHER_PHONE)
        .execute(&world.database.pool)
        .await
        .unwrap();
    world.clock.advance(Duration::from_hours(1));
    world.work(&sender).await;
    assert_eq!((world.count("failed").await, world.sends().await), (2, 3), "withheld, and the next one tried at once");
    let count: i32 = sqlx::query_scalar(setbacks).fetch_one(&world.database.pool).await.unwrap();
    assert_eq!(count, 2, "what was withheld is no good answer");
}
