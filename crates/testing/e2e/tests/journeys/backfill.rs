//! Texts that the carrier took and whose webhooks never reached us: they appear all the same, once, in order.

use std::time::Duration;

use domain::CarrierName;
use leaseline::stack::Service;
use serde_json::json;

use super::world::{World, phone};

/// Twilio's times are whole seconds: texts in different ones have an order.
async fn another_second() {
    tokio::time::sleep(Duration::from_millis(1_100)).await;
}

/// What the license's managers see, oldest first.
async fn shown(world: &World) -> Vec<String> {
    let conversations = world.noah.get("/v1/conversations").await.unwrap();
    let id = conversations["items"][0]["conversation_id"].as_str().unwrap().to_owned();
    let page = world.noah.get(&format!("/v1/conversations/{id}/messages")).await.unwrap();
    let bodies = page["items"].as_array().unwrap().iter().map(|message| message["body"].as_str().unwrap().to_owned());
    bodies.rev().collect()
}

async fn until_shown(world: &World, bodies: &[&str]) {
    testkit::eventually("every text once and in order", async || {
        let shown = shown(world).await;
        if shown == bodies { Ok(()) } else { Err(shown) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_whose_webhook_is_lost_appears_by_itself_once_and_in_order() {
    let world = World::start_with(CarrierName::Twilio, 2, 1, &[("LEASELINE_BACKFILL_EVERY_S", "2")]).await;
    let mut feed = world.follow(world.head().await);
    world.text(0, "one").await;
    another_second().await;
    world.phones.set_faults(&json!([{ "on": "inbound", "kind": "lost", "count": 2 }])).await.unwrap();
    for lost in ["two", "three"] {
        world.phones.text(&phone(0), &world.number, lost).await.unwrap();
        another_second().await;
    }
    world.text(0, "four").await;
    until_shown(&world, &["one", "two", "three", "four"]).await;

    // However often it is looked again.
    for _ in 0..4 {
        another_second().await;
    }
    until_shown(&world, &["one", "two", "three", "four"]).await;
    let mut created = Vec::new();
    while let Ok(event) = feed.try_recv() {
        if event.kind == "message.created" {
            created.push(event.data["body"].as_str().unwrap().to_owned());
        }
    }
    created.sort();
    assert_eq!(created, ["four", "one", "three", "two"], "clients see each once");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_while_ingest_or_nats_was_down_appears_when_they_are_back_long_before_the_next_regular_look() {
    let mut world = World::start_with(CarrierName::Twilio, 1, 1, &[("LEASELINE_WEBHOOKS_RESUMED_EVERY_S", "1")]).await;
    world.text(0, "one").await;
    another_second().await;
    world.stack.kill_service(Service::Ingest, 0).await;
    world.phones.text(&phone(0), &world.number, "two").await.unwrap();
    another_second().await;
    world.stack.start_service(Service::Ingest, 0).await.unwrap();
    until_shown(&world, &["one", "two"]).await;

    world.nats.shut();
    let answer = world.phones.text(&phone(0), &world.number, "three").await.unwrap();
    assert_eq!(answer["webhook_status"], 503, "{answer}");
    world.nats.open();
    until_shown(&world, &["one", "two", "three"]).await;
    world.stop().await;
}
