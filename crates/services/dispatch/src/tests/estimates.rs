//! Why a message waits and until when, and when a batch is finished: within ten percent of what really happens.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use proto::conversations::Priority::{Batch, Reply};
use proto::dispatch::EstimateBatchRequest;
use proto::dispatch::dispatch_service_server::DispatchService as _;
use serde_json::json;
use tonic::Request;

use super::lanes::waiting_at;
use super::quiet_hours::NEW_YORK;
use super::withdrawals::new_batch;
use super::*;
use crate::rpc::Rpc;

/// When the batch would be finished, and what holds it up.
async fn estimate(world: &World, batch: &str) -> (Option<DateTime<Utc>>, Option<String>) {
    let pace = Pace::per_second(1.0).unwrap();
    let rpc = Rpc::new(world.store.clone(), world.clock.clone(), pace, world.tree(), CarrierName::ALL.to_vec());
    let request = EstimateBatchRequest { license_id: "acme".to_owned(), batch_id: batch.to_owned() };
    let answer = rpc.estimate_batch(Request::new(request)).await.unwrap().into_inner();
    (answer.finish_at.map(|time| proto::from_timestamp(Some(time)).unwrap()), answer.held_by)
}

/// When the last attempt of these began.
async fn last_sent(world: &World, messages: &[String]) -> DateTime<Utc> {
    let sent = sent_at(world).await;
    messages.iter().map(|message| sent[message]).max().unwrap()
}

pub(super) async fn sent_at(world: &World) -> HashMap<String, DateTime<Utc>> {
    let rows: Vec<(String, DateTime<Utc>)> =
        sqlx::query_as("select message_id::text, started_at from attempts where outcome = 'accepted'")
            .fetch_all(&world.database.pool)
            .await
            .unwrap();
    rows.into_iter().collect()
}

/// Lets time pass until nothing of acme's is left to send.
async fn finish(world: &World, step: Duration) {
    let sender = world.replica(1.0);
    world.work(&sender).await;
    while world.count("waiting").await + world.count("held").await > 0 {
        world.clock.advance(step);
        world.release().await;
        world.work(&sender).await;
    }
}

#[track_caller]
pub(super) fn assert_within_ten_percent(
    asked_at: DateTime<Utc>,
    promised: Option<DateTime<Utc>>,
    really: DateTime<Utc>,
) {
    let (promised, really) = ((promised.unwrap() - asked_at).as_seconds_f64(), (really - asked_at).as_seconds_f64());
    assert!((promised - really).abs() <= (really * 0.1).max(1.0), "promised {promised} s, really {really} s");
}

async fn queue_long(world: &World, batch: &str, to: &str, segments: u32, count: usize) -> Vec<String> {
    let events: Vec<_> = (0..count).map(|_| MessageQueued { segments, ..world.of_batch(batch, to) }).collect();
    world.take_over(&events).await;
    events.into_iter().map(|event| event.message_id).collect()
}

#[tokio::test]
async fn the_finish_of_a_batch_is_right_within_ten_percent() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    let batch = new_batch();
    let messages = world.queue_batch(&batch, PHONE, 30).await;
    let (promised, held_by) = estimate(&world, &batch).await;
    assert_eq!(held_by, None);
    let asked_at = world.clock.now();
    finish(&world, Duration::from_millis(700)).await;
    assert_within_ten_percent(asked_at, promised, last_sent(&world, &messages).await);
    assert_eq!(estimate(&world, &batch).await, (None, None), "none waits any more");
    assert_eq!(estimate(&world, &new_batch()).await, (None, None), "never heard of");
}

#[tokio::test]
async fn the_finish_of_a_batch_behind_another_one_with_long_messages_is_right_within_ten_percent() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    let (first, second) = (new_batch(), new_batch());
    let before = queue_long(&world, &first, PHONE, 3, 8).await;
    let messages = queue_long(&world, &second, PHONE, 2, 8).await;
    world.queue_batch(&new_batch(), PHONE, 5).await;
    let (promised_first, promised) = (estimate(&world, &first).await.0, estimate(&world, &second).await.0);
    let asked_at = world.clock.now();
    finish(&world, Duration::from_secs(1)).await;
    assert_within_ten_percent(asked_at, promised_first, last_sent(&world, &before).await);
    assert_within_ten_percent(asked_at, promised, last_sent(&world, &messages).await);
}

#[tokio::test]
async fn the_finish_of_a_batch_in_a_lane_that_pauses_is_right_within_ten_percent_and_says_what_holds_it() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    let batch = new_batch();
    let messages = world.queue_batch(&batch, PHONE, 20).await;
    world.simulator.set_faults(json!([{ "on": "send", "kind": "http_429", "count": 1 }])).await;
    world.work(&world.replica(1.0)).await;
    let (promised, held_by) = estimate(&world, &batch).await;
    assert_eq!(held_by.as_deref(), Some("carrier_throttled"));
    let asked_at = world.clock.now();
    finish(&world, Duration::from_millis(500)).await;
    assert_within_ten_percent(asked_at, promised, last_sent(&world, &messages).await);
}

#[tokio::test]
async fn the_finish_of_a_batch_foresees_the_quiet_hours_of_its_recipients() {
    // Now, and from ten minutes from now on.
    for (from, until, wait) in [(21, 8, 0), (8, 9, 3_590)] {
        let world = World::new().await;
        world.assign("acme", 1).await;
        world.clock.advance(Duration::from_secs(wait));
        world.set_quiet(Some((from, until)), 1).await;
        let batch = new_batch();
        let mut messages = world.queue_batch(&batch, PHONE, 20).await;
        messages.extend(world.queue_batch(&batch, NEW_YORK, 20).await);
        let (promised, _) = estimate(&world, &batch).await;
        let asked: Vec<&String> = messages.iter().collect();
        let said = waiting_at(&world, CarrierName::ALL, 1.0, "acme", &asked).await;
        let asked_at = world.clock.now();
        finish(&world, Duration::from_secs(1)).await;
        assert_within_ten_percent(asked_at, promised, last_sent(&world, &messages).await);
        assert!(promised.unwrap() - asked_at > TimeDelta::minutes(59), "{promised:?}");
        let sent = sent_at(&world).await;
        for (message, (_, until)) in messages.iter().zip(said) {
            assert_within_ten_percent(asked_at, until, sent[message]);
        }
    }
}

#[tokio::test]
async fn what_a_message_waits_for_is_right_within_ten_percent() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    let messages = queue_long(&world, &new_batch(), PHONE, 2, 15).await;
    let asked: Vec<&String> = messages.iter().collect();
    let said = waiting_at(&world, CarrierName::ALL, 1.0, "acme", &asked).await;
    let asked_at = world.clock.now();
    finish(&world, Duration::from_secs(1)).await;
    let sent = sent_at(&world).await;
    for (message, (reason, until)) in messages.iter().zip(said) {
        assert_eq!(reason, "pace");
        assert_within_ten_percent(asked_at, until, sent[message]);
    }
}

#[tokio::test]
async fn no_finish_is_promised_when_nobody_can_say() {
    let world = World::new().await;
    let batch = new_batch();
    world.queue_batch(&batch, PHONE, 2).await;
    world.queue("acme", PHONE, Reply, 1).await;
    assert_eq!(estimate(&world, &batch).await, (None, Some("no_number".to_owned())));
    world.queue("acme", PHONE, Batch, 1).await;
    let pace = Pace::per_second(1.0).unwrap();
    let rpc = Rpc::new(world.store.clone(), world.clock.clone(), pace, world.tree(), CarrierName::ALL.to_vec());
    for (license_id, batch_id) in [("a.b", batch.as_str()), ("acme", "1")] {
        let request = EstimateBatchRequest { license_id: license_id.to_owned(), batch_id: batch_id.to_owned() };
        let status = rpc.estimate_batch(Request::new(request)).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
    }
}
