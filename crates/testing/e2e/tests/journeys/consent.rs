//! STOP stops, START lifts it (rule 13), over both carriers.

use domain::CarrierName;
use serde_json::{Value, json};

use super::world::{PATIENCE, World, phone};

async fn stop_and_start(carrier: CarrierName) {
    let world = World::start_at(carrier, 1, 1).await;
    let mut feed = world.mia.feed(None).await.unwrap();
    let message = world.send_until_accepted(0, "hello").await;
    world.wait_for_messages(&["hello".to_owned()], "delivered").await;
    let conversation = message["conversation_id"].as_str().unwrap().to_owned();
    let recipient = [json!({ "conversation_id": conversation })];

    // A sentence with the word in it is a sentence.
    world.text(0, "please stop by at 5").await;
    world.wait_for_messages(&["please stop by at 5".to_owned()], "received").await;
    assert_eq!(world.mia.send("k1", &recipient, "five is fine").await.unwrap().status, 202);
    // Else the carrier may refuse it because of the STOP, and say so first.
    world.wait_for_messages(&["five is fine".to_owned()], "delivered").await;

    world.text(0, " Stop ").await;
    let line = feed.wait_for("the line", PATIENCE, |event| event.kind == "conversation.event").await.unwrap();
    assert_eq!((&line.data["kind"], &line.data["source"]), (&json!("opted_out"), &json!("keyword")), "{}", line.data);
    let refused = world.mia.send("k2", &recipient, "one more").await.unwrap();
    assert_eq!((refused.status, refused.body["code"].as_str()), (409, Some("recipient_opted_out")), "{}", refused.body);
    // What the carrier answers is not answered twice: the phone has no word of ours after its STOP.
    let inbox: Vec<Value> = world.phones.inbox(&phone(0)).await.unwrap();
    assert!(!inbox.iter().any(|text| text["body"] == "one more"), "{inbox:?}");

    world.text(0, "START").await;
    feed.wait_for("the line", PATIENCE, |event| event.data["kind"] == "opted_in").await.unwrap();
    let accepted = world.mia.send("k3", &recipient, "welcome back").await.unwrap();
    assert_eq!(accepted.status, 202, "{}", accepted.body);
    world.wait_for_messages(&["welcome back".to_owned()], "delivered").await;
    let events = world.noah.get(&format!("/v1/conversations/{conversation}/events")).await.unwrap();
    let kinds: Vec<_> = events["items"].as_array().unwrap().iter().map(|event| event["kind"].clone()).collect();
    assert_eq!(kinds, [json!("opted_in"), json!("opted_out")]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_stops_and_start_lifts_it_at_twilio() {
    stop_and_start(CarrierName::Twilio).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_stops_and_start_lifts_it_at_telnyx() {
    stop_and_start(CarrierName::Telnyx).await;
}
