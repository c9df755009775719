//! Events without an outbox: stored when the call returns, and no caller waits for long.

use std::time::{Duration, Instant};

use bus::{Bus, PublishError, Publisher};
use futures_util::future::join_all;
use proto::catalogue::{CONVERSATIONS_RECEIPT_RECEIVED, DISPATCH_RECEIPT_RECEIVED};
use proto::ingest::ReceiptReceived;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::probe::{Named as _, Probe};
use crate::world::{World, names};

fn start(bus: &Bus, stopping: &CancellationToken) -> (Publisher, JoinHandle<anyhow::Result<()>>) {
    let (publisher, running) = Publisher::new(bus.clone(), stopping.clone());
    (publisher, tokio::spawn(running))
}

async fn publish(world: &World, publisher: &Publisher, name: &str) -> Result<(), PublishError> {
    publisher.publish(&ReceiptReceived::named(name), name.to_owned(), world.clock.now()).await
}

async fn publish_all(world: &World, publisher: &Publisher, names: &[String]) -> Vec<Result<(), PublishError>> {
    join_all(names.iter().map(|name| publish(world, publisher, name))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_publishes_at_once_are_all_stored_and_reach_every_consumer() {
    let world = World::new().await;
    let (publisher, _running) = start(&world.bus, &world.stopping);
    let names = names(5_000);
    for stored in publish_all(&world, &publisher, &names).await {
        stored.unwrap();
    }
    assert_eq!(world.stored("INGEST").await, 5_000);
    for consumer in [CONVERSATIONS_RECEIPT_RECEIVED, DISPATCH_RECEIPT_RECEIVED] {
        world.start(&Probe::<ReceiptReceived>::new(consumer));
    }
    world.until_applied_once(CONVERSATIONS_RECEIPT_RECEIVED, &names).await;
    world.until_applied_once(DISPATCH_RECEIPT_RECEIVED, &names).await;
    world.end().await;
}

#[tokio::test]
async fn an_event_published_twice_is_stored_once_also_in_one_batch() {
    let world = World::new().await;
    let (publisher, _running) = start(&world.bus, &world.stopping);
    let twice: Vec<String> = names(100).into_iter().chain(names(100)).collect();
    for stored in publish_all(&world, &publisher, &twice).await {
        stored.unwrap();
    }
    publish(&world, &publisher, "m7").await.unwrap();
    assert_eq!(world.stored("INGEST").await, 100);
    world.end().await;
}

#[tokio::test]
async fn a_stop_stores_what_waits() {
    let world = World::new().await;
    let stopping = CancellationToken::new();
    let (publisher, running) = Publisher::new(world.bus.clone(), stopping.clone());
    let names = names(1_200);
    let mut publishing = Box::pin(publish_all(&world, &publisher, &names));
    // All of them wait before the loop has begun.
    assert!(futures_util::poll!(&mut publishing).is_pending());
    stopping.cancel();
    let (outcomes, ended) = tokio::join!(publishing, running);
    ended.unwrap();
    for stored in outcomes {
        stored.unwrap();
    }
    assert_eq!(world.stored("INGEST").await, 1_200);
    assert!(matches!(publish(&world, &publisher, "late").await, Err(PublishError::Overloaded)));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_nats_away_every_publish_fails_within_5_s_and_works_again_afterwards() {
    let world = World::new().await;
    let (gate, bus) = world.gated_bus().await;
    bus.declare_until_done().await;
    let stopping = CancellationToken::new();
    let (publisher, running) = start(&bus, &stopping);
    gate.shut();
    testkit::eventually("the loss of NATS", async || if bus.check().is_err() { Ok(()) } else { Err("connected") })
        .await;
    let asked = Instant::now();
    // More than the client's buffer takes.
    let outcomes = publish_all(&world, &publisher, &names(5_000)).await;
    assert!(outcomes.iter().all(Result::is_err));
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());

    gate.open();
    testkit::eventually("a publish that works", async || publish(&world, &publisher, "after").await).await;
    gate.shut();
    let asked = Instant::now();
    stopping.cancel();
    running.await.unwrap().unwrap();
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    world.end().await;
}

#[tokio::test]
async fn a_publisher_that_never_saw_nats_stops_at_once_and_tells_its_callers() {
    let world = World::new().await;
    let (gate, bus) = world.gated_bus().await;
    gate.shut();
    let stopping = CancellationToken::new();
    let (publisher, running) = start(&bus, &stopping);
    let asked = Instant::now();
    let mut publishing = Box::pin(publish(&world, &publisher, "m1"));
    assert!(futures_util::poll!(&mut publishing).is_pending());
    stopping.cancel();
    assert!(publishing.await.is_err());
    running.await.unwrap().unwrap();
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    world.end().await;
}
