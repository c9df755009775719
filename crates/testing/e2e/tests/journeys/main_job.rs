//! The main job: a text goes out, the answer comes in, live.

use leaseline::stack::Service;
use serde_json::json;

use super::world::{PATIENCE, World, phone};

#[tokio::test(flavor = "multi_thread")]
async fn a_text_goes_out_and_the_answer_comes_in_live_in_the_same_conversation() {
    let world = World::start(1, 1).await;
    let mut feed = world.mia.feed(None).await.unwrap();
    let text = "Hello “Ana” — 3 pm? 🔧\nBring the keys & 50% of it + more ";
    let accepted = world.mia.send("k1", &[json!({ "person_id": "t0" })], text).await.unwrap().ok().unwrap();
    let message = &accepted["messages"][0];
    assert_eq!((message["status"].as_str(), message["body"].as_str()), (Some("queued"), Some(text)));
    // An entry shows the message as it is when it is read: "sent" may show together with "delivered".
    let delivered = feed
        .wait_for("delivered", PATIENCE, |event| {
            event.data["message_id"] == message["message_id"] && event.data["status"] == "delivered"
        })
        .await
        .unwrap();
    assert!(delivered.data["sent_at"].is_string() && delivered.data["delivered_at"].is_string(), "{}", delivered.data);
    let inbox = world.phones.inbox(&phone(0)).await.unwrap();
    assert_eq!(inbox.len(), 1, "one message leads to one text");
    assert_eq!(inbox[0]["body"], text, "message texts keep every character");
    assert_eq!(inbox[0]["from"], world.number.as_str());

    let answer = " Fine! 👍 “ok”\n+1 ";
    world.text(0, answer).await;
    let arrived = feed.wait_for("the answer", PATIENCE, |event| event.data["direction"] == "inbound").await.unwrap();
    assert_eq!(arrived.data["body"], answer);
    assert_eq!(arrived.data["conversation_id"], message["conversation_id"]);

    // All managers see it and write in it; each outbound message carries the name of who sent it.
    let conversation = message["conversation_id"].as_str().unwrap();
    let reply =
        world.noah.send("k1", &[json!({ "conversation_id": conversation })], "Great").await.unwrap().ok().unwrap();
    assert_eq!(reply["messages"][0]["conversation_id"], conversation);
    let page = world.noah.get(&format!("/v1/conversations/{conversation}/messages")).await.unwrap();
    let names: Vec<_> = page["items"].as_array().unwrap().iter().map(|item| item["manager"]["name"].clone()).collect();
    assert_eq!(names, [json!("Noah Manager"), json!(null), json!("Mia Manager")]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doubled_webhook_makes_one_message_and_a_forged_one_makes_none() {
    let world = World::start(1, 1).await;
    // The carrier doubles what it delivers, and its receipts.
    world
        .phones
        .set_faults(
            &json!([{ "on": "inbound", "kind": "doubled", "count": 3 }, { "on": "receipt", "kind": "doubled" }]),
        )
        .await
        .unwrap();
    let bodies: Vec<String> = (0..3).map(|n| format!("answer {n}")).collect();
    for body in &bodies {
        world.text(0, body).await;
    }
    let form = [
        ("MessageSid", "SM00000000000000000000000000000001"),
        ("AccountSid", leaseline::stack::ACCOUNT_SID),
        ("From", &phone(0)),
        ("To", &world.number),
        ("Body", "forged"),
    ];
    let client = reqwest::Client::new();
    let url = format!("{}/webhooks/twilio/message", world.stack.ingest_urls[0]);
    let unsigned = client.post(&url).form(&form).send().await.unwrap();
    assert_eq!(unsigned.status(), 403);
    let forged =
        client.post(&url).header("X-Twilio-Signature", "bm90IHRoZSBzaWduYXR1cmU=").form(&form).send().await.unwrap();
    assert_eq!(forged.status(), 403);
    world.wait_for_messages(&bodies, "received").await;
    assert!(!world.messages().await.unwrap().contains_key("forged"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_licenses_ids_answer_404_everywhere() {
    let world = World::start(1, 1).await;
    let accepted = world.mia.send("k", &[json!({ "person_id": "t0" })], "mine").await.unwrap().ok().unwrap();
    let message = accepted["messages"][0]["message_id"].as_str().unwrap();
    let conversation = accepted["messages"][0]["conversation_id"].as_str().unwrap();
    let token = world.signer.sign("somebody-else", "admin", "eve", "Eve").unwrap();
    let eve = leaseline::client::Api::new(&world.stack.gateway_urls[0], &token);
    for path in [
        "/v1/people/t0".to_owned(),
        format!("/v1/messages/{message}"),
        format!("/v1/conversations/{conversation}"),
        format!("/v1/conversations/{conversation}/messages"),
        "/v1/settings".to_owned(),
    ] {
        let answer = eve.call(reqwest::Method::GET, &path, None).await.unwrap();
        assert_eq!(answer.status, 404, "{path}: {}", answer.body);
    }
    for recipient in [json!({ "person_id": "t0" }), json!({ "conversation_id": conversation })] {
        let answer = eve.send("eve", &[recipient], "not yours").await.unwrap();
        assert_eq!(answer.status, 404, "{}", answer.body);
    }
    assert_eq!(world.received(0, "not yours").await, 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_message_leads_to_at_most_one_text_when_the_carriers_answers_are_lost() {
    let mut world = World::start(1, 3).await;
    world
        .phones
        .set_faults(&json!([
            { "on": "send", "kind": "timeout_after_accept", "count": 1, "to": phone(0), "delay_ms": 30000 },
            { "on": "send", "kind": "http_500_after_accept", "count": 1, "to": phone(1) },
            { "on": "send", "kind": "reset_after_accept", "count": 1, "to": phone(2) },
        ]))
        .await
        .unwrap();
    let bodies: Vec<String> = (0..3).map(|n| format!("text {n}")).collect();
    for (n, body) in bodies.iter().enumerate() {
        world.send_until_accepted(n, body).await;
    }
    // The receipts settle what the answers did not say.
    world.wait_for_messages(&bodies, "delivered").await;
    // Nothing is sent again, not even by a service that comes up anew.
    world.stack.stop_service(Service::Dispatch, 0).await.unwrap();
    world.stack.start_service(Service::Dispatch, 0).await.unwrap();
    world.send_until_accepted(0, "after").await;
    world.wait_for_messages(&["after".to_owned()], "delivered").await;
    for (n, body) in bodies.iter().enumerate() {
        assert_eq!(world.received(n, body).await, 1, "{body}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_that_the_carrier_throttles_is_tried_again_and_arrives_once() {
    let world = World::start(1, 1).await;
    world.phones.set_faults(&json!([{ "on": "send", "kind": "http_429", "count": 2 }])).await.unwrap();
    world.send_until_accepted(0, "patience").await;
    world.wait_for_messages(&["patience".to_owned()], "delivered").await;
    assert_eq!(world.received(0, "patience").await, 1);
    world.stop().await;
}
