//! Engines and services that are away.

use std::time::{Duration, Instant};

use leaseline::stack::Service;
use serde_json::json;

use super::world::{World, phone};

#[tokio::test(flavor = "multi_thread")]
async fn ingest_answers_200_with_postgresql_and_every_other_service_down_and_the_text_appears_when_they_are_back() {
    let mut world = World::start(1, 1).await;
    let others = [Service::Numbers, Service::Conversations, Service::Dispatch, Service::Gateway];
    for service in others {
        world.stack.kill_service(service, 0).await;
    }
    world.postgres.shut();
    let answer = world.phones.text(&phone(0), &world.number, "is anybody there?").await.unwrap();
    assert_eq!(answer["webhook_status"], 200);
    world.postgres.open();
    for service in others {
        world.stack.start_service(service, 0).await.unwrap();
    }
    world.wait_for_messages(&["is anybody there?".to_owned()], "received").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_nats_down_ingest_answers_503_within_5_s_and_the_gateway_still_reads_and_accepts() {
    let world = World::start(1, 1).await;
    world.nats.shut();
    let start = Instant::now();
    let webhook = world.webhook(0, "SM00000000000000000000000000000002", 0, "lost?").send().await.unwrap();
    assert_eq!(webhook.status(), 503, "so that the carrier tries again");
    assert!(start.elapsed() < Duration::from_secs(5), "it took {:?}", start.elapsed());
    world.noah.get("/v1/conversations").await.unwrap();
    let accepted = world.mia.send("k", &[json!({ "person_id": "t0" })], "later").await.unwrap();
    assert_eq!(accepted.status, 202, "{}", accepted.body);
    world.nats.open();
    // A send that was accepted is never lost.
    world.wait_for_messages(&["later".to_owned()], "delivered").await;
    world.bring_until_taken(0, "again").await;
    world.wait_for_messages(&["again".to_owned()], "received").await;
    world.stop().await;
}
