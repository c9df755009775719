//! Killing any one service at any moment loses nothing and doubles nothing.

use std::sync::Arc;
use std::time::Duration;

use leaseline::stack::Service;

use super::world::{World, take_in_sequence};

const PEOPLE: usize = 10;
const TEXTS: usize = 40;

/// Sends and answers while `disturb` does its work; then counts at the ends.
async fn texts_survive(replicas: usize, disturb: impl AsyncFnOnce(&mut World)) {
    let mut world = World::start(replicas, PEOPLE).await;
    let start = world.head().await;
    let mut feed = world.follow(start);

    let outgoing: Vec<String> = (0..TEXTS).map(|n| format!("out {n}")).collect();
    let incoming: Vec<String> = (0..TEXTS).map(|n| format!("in {n}")).collect();
    let outside = Arc::new(world.outside.clone());
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..TEXTS {
        let (outside, out, answer) = (outside.clone(), outgoing[n].clone(), incoming[n].clone());
        tasks.spawn(async move {
            tokio::time::sleep(Duration::from_millis(25 * n as u64)).await;
            outside.send_until_accepted(n % PEOPLE, &out).await;
            outside.bring_until_taken(n % PEOPLE, &answer).await;
        });
    }
    disturb(&mut world).await;
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    world.wait_for_messages(&outgoing, "delivered").await;
    world.wait_for_messages(&incoming, "received").await;
    for (n, body) in outgoing.iter().enumerate() {
        assert_eq!(world.received(n % PEOPLE, body).await, 1, "{body} on the phone");
    }
    // The client, through all its reconnects, has every position once and in order.
    let head = world.head().await;
    let events = take_in_sequence(&mut feed, start, head).await;
    for body in outgoing.iter().chain(&incoming) {
        let created =
            events.iter().filter(|event| event.kind == "message.created" && event.data["body"] == body.as_str());
        assert_eq!(created.count(), 1, "{body} on the feed");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_of_each_service_and_one_of_each_killed_in_the_middle_loses_and_doubles_nothing() {
    texts_survive(2, async |world| {
        for service in Service::ALL {
            tokio::time::sleep(Duration::from_millis(200)).await;
            world.stack.kill_service(service, 0).await;
        }
        // The address that the carrier knows is that of this ingest alone, and it brings a receipt again for moments only.
        for service in Service::ALL.into_iter().rev() {
            world.stack.start_service(service, 0).await.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_the_only_one_of_any_service_and_starting_it_again_loses_and_doubles_nothing() {
    texts_survive(1, async |world| {
        for service in Service::ALL {
            tokio::time::sleep(Duration::from_millis(150)).await;
            world.stack.kill_service(service, 0).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            world.stack.start_service(service, 0).await.unwrap();
        }
    })
    .await;
}
