//! Rule 17, as far as it is dispatch's: a send that was accepted is never lost.

use std::time::Duration;

use bus::HandleError;
use proto::conversations::Priority::Reply;
use serde_json::json;

use super::*;

#[tokio::test]
async fn an_accepted_send_is_not_lost_while_the_license_has_no_number() {
    let world = World::new().await;
    let message = world.queue("acme", PHONE, Reply, 1).await.remove(0);
    let sender = world.replica(0.0);
    world.work(&sender).await;
    assert_eq!(world.state(&message).await, "waiting");
    world.assign("acme", 1).await;
    world.work(&sender).await;
    assert_eq!(world.texts(PHONE).await, [message]);
}

#[tokio::test]
async fn an_accepted_send_is_not_lost_while_the_carrier_cannot_be_reached() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    let messages = world.queue("acme", PHONE, Reply, 3).await;
    let cut_off = world.replica_with(Pace::OFF, 64, both("http://127.0.0.1:1", Duration::from_millis(400)));
    for pause in [1, 2, 4, 8] {
        world.work(&cut_off).await;
        assert_eq!(world.count("waiting").await, 3);
        world.clock.advance(Duration::from_millis(pause * 1_000 - 1));
        world.work(&world.replica(0.0)).await;
        assert_eq!(world.texts(PHONE).await.len(), 0, "the pause grows");
        world.clock.advance(Duration::from_millis(1));
    }
    world.work(&world.replica(0.0)).await;
    assert_eq!(world.texts(PHONE).await, messages, "in order, although they were tried");
    assert_eq!(world.statuses(&messages[0]).await, ["sending"]);
}

#[tokio::test]
async fn an_accepted_send_is_not_lost_while_the_carrier_refuses_our_account() {
    for carrier in CarrierName::ALL {
        let world = World::new().await;
        world.assign_at(*carrier, "acme", 1).await;
        let message = world.queue("acme", PHONE, Reply, 1).await.remove(0);
        let (url, timeout) = (world.simulator.url(), Duration::from_secs(5));
        let twilio = TwilioSettings { auth_token: "wrong".into(), ..twilio(url, timeout) };
        let telnyx = TelnyxSettings { api_key: "wrong".into(), ..telnyx(url, timeout) };
        let wrong = world.replica_with(Pace::OFF, 64, Carriers::connect(&twilio, &telnyx).unwrap());
        world.work(&wrong).await;
        assert_eq!(world.state(&message).await, "waiting", "{carrier}");
        assert!(world.events(&message).await.is_empty());
        world.clock.advance(Duration::from_secs(1));
        world.work(&world.replica(0.0)).await;
        assert_eq!(world.texts(PHONE).await, [message], "{carrier}: an operator mended the credentials");
    }
}

#[tokio::test]
async fn a_throttled_lane_sends_later_and_does_not_count_what_was_not_taken() {
    for carrier in CarrierName::ALL {
        let world = World::new().await;
        world.assign_at(*carrier, "acme", 1).await;
        world.simulator.set_faults(json!([{ "on": "send", "kind": "http_429", "count": 1 }])).await;
        let message = world.queue("acme", PHONE, Reply, 1).await.remove(0);
        let sender = world.replica(1.0);
        world.work(&sender).await;
        assert_eq!(world.state(&message).await, "waiting", "{carrier}");
        assert!(world.events(&message).await.is_empty());
        world.clock.advance(Duration::from_hours(1));
        world.work(&sender).await;
        assert_eq!(world.texts(PHONE).await, [message], "{carrier}");
    }
}

#[tokio::test]
async fn what_waited_too_long_has_failed_and_says_so() {
    let world = World::new().await;
    let message = world.queue("acme", PHONE, Reply, 1).await.remove(0);
    world.clock.advance(Duration::from_secs(35_999));
    world.sweep().await;
    assert_eq!(world.state(&message).await, "waiting");
    world.clock.advance(Duration::from_secs(2));
    world.sweep().await;
    let events = world.events(&message).await;
    assert_eq!(events[0].status, "failed");
    assert_eq!(events[0].error.as_ref().unwrap().code, "expired");
    world.assign("acme", 1).await;
    world.work(&world.replica(0.0)).await;
    assert!(world.texts(PHONE).await.is_empty());
}

#[tokio::test]
async fn a_text_goes_out_over_each_carrier_and_says_so() {
    for carrier in CarrierName::ALL {
        let world = World::new().await;
        let owned = world.assign_at(*carrier, "acme", 1).await;
        let message = world.queue("acme", PHONE, Reply, 1).await.remove(0);
        world.work(&world.asking_replica(0.0)).await;
        assert_eq!(world.texts(PHONE).await, std::slice::from_ref(&message), "{carrier}");
        let event = world.events(&message).await.remove(0);
        assert_eq!((event.status.as_str(), event.carrier.as_deref()), ("sending", Some(carrier.as_str())));
        assert_eq!(event.from.as_deref(), Some(owned.number.as_str()));
        assert!(event.carrier_message_id.is_some_and(|id| !id.is_empty()), "{carrier}");
        let asked = world.simulator.get("/_sim/requests").await.to_string();
        let receipts = format!("http://127.0.0.1:9/base/webhooks/{carrier}/status?mid={message}");
        assert!(asked.contains(&receipts), "{carrier}: {asked}");
    }
}

#[tokio::test]
async fn the_highest_version_of_a_number_is_kept_whatever_order_they_come_in() {
    let world = World::new().await;
    let newer = world.assign("acme", 2).await;
    world.assign("acme", 1).await;
    world.queue("acme", PHONE, Reply, 1).await;
    world.work(&world.replica(0.0)).await;
    let texts = world.simulator.inbox(PHONE).await;
    assert_eq!(texts[0]["from"], newer.as_str());
}

#[tokio::test]
async fn an_event_that_makes_no_sense_is_refused_for_good_and_its_neighbours_are_not_harmed() {
    let world = World::new().await;
    let good = world.queued("acme", PHONE, Reply);
    let wrong = [
        MessageQueued { to: "+44".into(), ..good.clone() },
        MessageQueued { body: String::new(), ..good.clone() },
        MessageQueued { segments: 0, ..good.clone() },
        MessageQueued { priority: 0, ..good.clone() },
        MessageQueued { license_id: "a.b".into(), ..good.clone() },
        MessageQueued { message_id: "1".into(), ..good.clone() },
        MessageQueued { conversation_id: "1".into(), ..good.clone() },
        MessageQueued { batch_id: Some(String::new()), ..good.clone() },
        MessageQueued { media_urls: vec!["x".into()], ..good.clone() },
        MessageQueued { queued_at: None, ..good.clone() },
    ];
    let handler = world.queued_handler();
    for event in wrong {
        let mut tx = world.database.pool.begin().await.unwrap();
        let error = handler.handle(&mut tx, &[received(good.clone()), received(event)]).await.unwrap_err();
        assert!(matches!(&error, HandleError::Permanent(_)));
        assert!(!format!("{error:?}").contains(PHONE));
    }
    assert_eq!(world.count("waiting").await, 0, "the batch is one transaction; the bus halves it");
}
