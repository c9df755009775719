//! A deleted conversation is gone (rule 11): from every table, every stream, the feed, the delivery queue and the
//! carrier's way, and nothing that comes late brings it back.

use bus::{Bus, DeadLetters, Publisher};
use chrono::{TimeDelta, Utc};
use proto::conversations::{MessageQueued, Priority};
use proto::ingest::ReceiptReceived;
use proto::to_timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use super::world::{PATIENCE, World, phone};

/// Stands in every text of the conversation.
const NEEDLE: &str = "zebra-crossing-4711";

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_conversation_is_gone_everywhere_and_nothing_that_comes_late_brings_it_back() {
    let world = World::start(2, 2).await;
    let key = uuid::Uuid::now_v7().to_string();
    let to_person = [json!({ "person_id": "t0" })];
    let text = |what: &str| format!("{what} {NEEDLE}");
    let first = world.mia.send(&key, &to_person, &text("delivered")).await.unwrap().ok().unwrap();
    let message_id = first["messages"][0]["message_id"].as_str().unwrap().to_owned();
    let conversation = first["messages"][0]["conversation_id"].as_str().unwrap().to_owned();
    world.wait_for_messages(&[text("delivered")], "delivered").await;
    world.text(0, &text("answer")).await;
    world.wait_for_messages(&[text("answer")], "received").await;
    let later = json!({
        "recipients": [{ "conversation_id": conversation }], "body": text("scheduled"),
        "send_at": Utc::now() + TimeDelta::hours(1),
    });
    let scheduled = world.mia.call(Method::POST, "/v1/messages", Some(&later)).await.unwrap().ok().unwrap();
    let scheduled = format!("/v1/scheduled/{}", scheduled["scheduled"]["scheduled_id"].as_str().unwrap());

    // An event with its text that dispatch cannot digest becomes a dead letter.
    let bus = Bus::connect(&world.nats_settings(), "journey").await.unwrap();
    bus.declare_until_done().await;
    let lifecycle = chassis::Lifecycle::new();
    let (publisher, publishing) = Publisher::new(bus.clone(), lifecycle.stopping());
    lifecycle.spawn("publish", publishing);
    let indigestible = MessageQueued {
        license_id: world.license_id(),
        message_id: uuid::Uuid::now_v7().to_string(),
        conversation_id: conversation.clone(),
        to: phone(0),
        body: text("indigestible"),
        segments: 0,
        priority: Priority::Reply.into(),
        queued_at: Some(to_timestamp(Utc::now())),
        ..Default::default()
    };
    publisher.publish(&indigestible, indigestible.message_id.clone(), Utc::now()).await.unwrap();
    let letters = DeadLetters::new(bus.clone());
    testkit::eventually("the dead letter", async || match letters.list(10).await.unwrap().len() {
        1 => Ok(()),
        other => Err(other),
    })
    .await;

    // One is being sent, one waits.
    let faults = json!([
        { "on": "send", "kind": "timeout_before_accept", "count": 1, "delay_ms": 3_000 },
        { "on": "send", "kind": "http_429" },
    ]);
    world.phones.set_faults(&faults).await.unwrap();
    world.send_until_accepted(0, &text("being sent")).await;
    world.send_until_accepted(0, &text("waiting")).await;

    let path = format!("/v1/conversations/{conversation}");
    let receipt = world.mia.call(Method::DELETE, &path, None).await.unwrap().ok().unwrap();
    assert_eq!((&receipt["messages"], &receipt["deleted_by"]["name"]), (&json!(4), &json!("Mia Manager")), "{receipt}");
    let again = world.noah.call(Method::DELETE, &path, None).await.unwrap().ok().unwrap();
    assert_eq!(again, receipt, "the first receipt");
    assert_eq!(world.noah.call(Method::GET, &path, None).await.unwrap().status, 404);
    assert_eq!(world.mia.get(&scheduled).await.unwrap()["status"], "canceled");

    // What comes late: a receipt, the same request again, the carrier's own repeat.
    let late = ReceiptReceived {
        carrier: "twilio".to_owned(),
        carrier_message_id: "SM00000000000000000000000000004711".to_owned(),
        message_id,
        status: "delivered".to_owned(),
        error: None,
        received_at: Some(to_timestamp(Utc::now())),
    };
    publisher.publish(&late, "a-late-receipt".to_owned(), Utc::now()).await.unwrap();
    let repeated = world.mia.send(&key, &to_person, &text("delivered")).await.unwrap();
    assert!(!repeated.body.to_string().contains("delivered zebra"), "{}", repeated.body);
    world.phones.set_faults(&json!([])).await.unwrap();
    world.send_until_accepted(1, "somebody else's").await;
    world.wait_for_messages(&["somebody else's".to_owned()], "delivered").await;

    testkit::eventually("that nothing is left", async || {
        let found = world.find_everywhere(NEEDLE).await;
        if found.is_empty() { Ok(()) } else { Err(found) }
    })
    .await;
    let phones: Vec<Value> = world.phones.inbox(&phone(0)).await.unwrap();
    assert_eq!(phones.len(), 1, "what was not yet sent is not sent: {phones:?}");
    let head = world.head().await;
    let mut history = world.noah.feed(Some(0)).await.unwrap();
    let mut deleted = 0;
    while history.position().is_none_or(|position| position < head) {
        let Some(block) = history.next_block().await.unwrap() else { break };
        assert!(!block.data.to_string().contains(NEEDLE), "{block:?}");
        deleted += usize::from(block.kind == "conversation.deleted");
        if block.seq >= head {
            break;
        }
    }
    assert_eq!(deleted, 1);

    // A later message opens a new conversation.
    world.text(0, "hello again").await;
    world.wait_for_messages(&["hello again".to_owned()], "received").await;
    let mut feed = world.mia.feed(None).await.unwrap();
    let message = world.send_until_accepted(0, "welcome back").await;
    assert_ne!(message["conversation_id"], json!(conversation));
    feed.wait_for("the new text", PATIENCE, |event| event.data["body"] == "welcome back").await.unwrap();
    lifecycle.finish(PATIENCE).await.unwrap();
    world.stop().await;
}
