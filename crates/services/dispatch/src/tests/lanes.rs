//! Rule 18 in its first form: pace, replies before batches, fair turns, and why a message waits.

use std::time::Duration;

use carriers::{Refusal, SendOutcome, refusal_code};
use chrono::{DateTime, Utc};
use proto::conversations::Priority::{Batch, Reply};
use proto::dispatch::dispatch_service_server::DispatchService as _;
use proto::dispatch::{EstimateFinishRequest, ListWaitingRequest};
use serde_json::json;
use tokio::task::JoinSet;
use tonic::Request;

use super::*;
use crate::model::decide_outcome;
use crate::rpc::Rpc;
use crate::store::Settlement;

#[tokio::test]
async fn per_number_pace_is_respected_one_segment_a_second() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    world.queue("acme", PHONE, Batch, 20).await;
    let replicas = [world.replica(1.0), world.replica(1.0)];
    for second in 0..5 {
        for tenth in 0..10 {
            world.work(&replicas[tenth % 2]).await;
            assert_eq!(world.texts(PHONE).await.len(), second + 1);
            world.clock.advance(Duration::from_millis(100));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn per_number_pace_is_respected_when_replicas_claim_at_the_same_moment() {
    let world = World::new().await;
    let licenses: Vec<String> = (0..10).map(|n| format!("license-{n}")).collect();
    for license in &licenses {
        world.assign(license, 1).await;
        world.queue(license, PHONE, Batch, 5).await;
    }
    for second in 1..=5 {
        let claims = [(); 4].map(|()| {
            let (store, now) = (world.store.clone(), world.clock.now());
            tokio::spawn(async move { store.claim(&everything(Pace::per_second(1.0).unwrap()), now).await })
        });
        let mut claimed = 0;
        for claim in claims {
            claimed += claim.await.unwrap().unwrap().claimed.len();
        }
        assert_eq!(claimed, licenses.len(), "second {second}");
        world.clock.advance(Duration::from_secs(1));
    }
}

#[tokio::test]
async fn a_long_message_takes_the_time_of_its_segments() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    let long = MessageQueued { segments: 3, ..world.queued("acme", PHONE, Reply) };
    let short = world.queued("acme", PHONE, Reply);
    world.take_over(&[long, short]).await;
    let sender = world.replica(1.0);
    for (seconds, texts) in [(0, 1), (2, 1), (1, 2)] {
        world.clock.advance(Duration::from_secs(seconds));
        world.work(&sender).await;
        assert_eq!(world.texts(PHONE).await.len(), texts);
    }
}

#[tokio::test]
async fn a_new_number_has_its_own_pace() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    world.queue("acme", PHONE, Batch, 2).await;
    let sender = world.replica(1.0);
    world.work(&sender).await;
    assert_eq!(world.texts(PHONE).await.len(), 1);
    world.assign("acme", 2).await;
    world.work(&sender).await;
    assert_eq!(world.texts(PHONE).await.len(), 2);
}

#[tokio::test]
async fn answers_to_people_go_before_batches() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    let batch = world.queue("acme", PHONE, Batch, 3).await;
    let sender = world.replica(1.0);
    world.work(&sender).await;
    let reply = world.queue("acme", PHONE, Reply, 1).await.remove(0);
    for _ in 0..3 {
        world.clock.advance(Duration::from_secs(1));
        world.work(&sender).await;
    }
    assert_eq!(world.texts(PHONE).await, [&batch[0], &reply, &batch[1], &batch[2]].map(String::clone));
}

#[tokio::test]
async fn one_license_s_batch_does_not_slow_another_license_down() {
    let world = World::new().await;
    for license in ["acme", "bree"] {
        world.assign(license, 1).await;
    }
    world.queue("acme", PHONE, Batch, 500).await;
    let sender = world.replica_with(Pace::OFF, 8, both(world.simulator.url(), Duration::from_secs(5)));
    let (recorder, finished) = sender.recorder();
    let recording = tokio::spawn(recorder.run());
    let mut calls = JoinSet::new();
    sender.take_turn(&mut calls, &finished).await.unwrap();
    world.queue("bree", OTHER_PHONE, Batch, 1).await;
    sender.take_turn(&mut calls, &finished).await.unwrap();
    while calls.join_next().await.is_some() {}
    assert_eq!(world.texts(OTHER_PHONE).await.len(), 1, "the very next turn was hers");
    drop(finished);
    recording.await.unwrap();
}

#[tokio::test]
async fn a_lane_whose_calls_are_slow_does_not_hold_others() {
    let world = World::new().await;
    for license in ["acme", "bree"] {
        world.assign(license, 1).await;
    }
    world.simulator.set_faults(json!([{ "on": "send", "kind": "timeout_before_accept", "to": PHONE }])).await;
    world.queue("acme", PHONE, Batch, 500).await;
    world.queue("bree", OTHER_PHONE, Batch, 20).await;
    let sender = world.replica_with(Pace::OFF, 8, both(world.simulator.url(), Duration::from_secs(20)));
    let (recorder, finished) = sender.recorder();
    let recording = tokio::spawn(recorder.run());
    let mut calls = JoinSet::new();
    testkit::eventually("all of the other license", async || {
        sender.take_turn(&mut calls, &finished).await.unwrap();
        let texts = world.texts(OTHER_PHONE).await.len();
        if texts == 20 { Ok(()) } else { Err(texts) }
    })
    .await;
    assert_eq!(world.count("attempting").await, 4, "half of the slots, no more");
    calls.abort_all();
    drop((calls, finished));
    recording.await.unwrap();
}

/// What a process with these carriers says.
pub(super) async fn waiting_at(
    world: &World,
    carriers: &[CarrierName],
    pace: f64,
    license: &str,
    ids: &[&String],
) -> Vec<(String, Option<DateTime<Utc>>)> {
    let pace = Pace::per_second(pace).unwrap();
    let rpc = Rpc::new(world.store.clone(), world.clock.clone(), pace, world.tree(), carriers.to_vec());
    let message_ids = ids.iter().map(|id| (*id).clone()).collect();
    let request = ListWaitingRequest { license_id: license.to_owned(), message_ids };
    let answer = rpc.list_waiting(Request::new(request)).await.unwrap().into_inner().waiting;
    let find = |id: &&String| answer.iter().find(|waiting| waiting.message_id == ***id);
    ids.iter()
        .filter_map(find)
        .map(|waiting| (waiting.reason.clone(), waiting.until.map(|time| proto::from_timestamp(Some(time)).unwrap())))
        .collect()
}

async fn waiting(world: &World, pace: f64, license: &str, ids: &[&String]) -> Vec<(String, Option<DateTime<Utc>>)> {
    waiting_at(world, CarrierName::ALL, pace, license, ids).await
}

#[tokio::test]
async fn each_waiting_message_can_say_why_it_waits_and_until_about_when() {
    let world = World::new().await;
    let batch = world.queue("acme", PHONE, Batch, 5).await;
    let reply = world.queue("acme", PHONE, Reply, 1).await.remove(0);
    let seconds = |seconds| Some(world.clock.now() + Duration::from_secs(seconds));
    assert_eq!(waiting(&world, 1.0, "acme", &[&reply]).await, [("no_number".to_owned(), None)]);

    world.assign("acme", 1).await;
    let pace = |until| ("pace".to_owned(), until);
    let asked = [&reply, &batch[0], &batch[4]];
    assert_eq!(waiting(&world, 1.0, "acme", &asked).await, [0, 1, 5].map(|at| pace(seconds(at))));
    assert_eq!(waiting(&world, 1.0, "bree", &asked).await, [], "a foreign license's messages are not told");

    let sender = world.replica(1.0);
    world.work(&sender).await;
    assert_eq!(waiting(&world, 1.0, "acme", &asked).await, [1, 5].map(|at| pace(seconds(at))));

    world
        .simulator
        .set_faults(
            json!([{ "on": "send", "kind": "http_429", "count": 1 }, { "on": "send", "kind": "http_500", "count": 1 }]),
        )
        .await;
    world.clock.advance(Duration::from_secs(1));
    world.work(&sender).await;
    let (reason, until) = waiting(&world, 1.0, "acme", &[&batch[0]]).await.remove(0);
    assert_eq!(reason, "carrier_throttled");
    assert!(until.unwrap() > world.clock.now());

    world.clock.advance(Duration::from_hours(1));
    world.work(&sender).await;
    let asked_at = Some(times().first_look(world.clock.now()));
    assert_eq!(waiting(&world, 1.0, "acme", &[&batch[0]]).await, [("being_confirmed".to_owned(), asked_at)]);
    assert_eq!(waiting(&world, 1.0, "acme", &[&batch[1]]).await[0].0, "carrier_unreachable");
}

#[tokio::test]
async fn a_lane_that_pauses_says_why_for_as_long_as_the_longest_pause_lasts() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    world.queue("acme", PHONE, Reply, 2).await;
    let behind = world.queue("acme", PHONE, Reply, 1).await.remove(0);
    let now = world.clock.now();
    let claim = world.store.claim(&ClaimRequest { most_per_lane: 2, ..everything(Pace::OFF) }, now).await.unwrap();
    let asked = SendOutcome::Throttled { retry_after: Some(Duration::from_mins(10)), limit: None };
    let refusal =
        Refusal { code: refusal_code::NUMBER_NOT_READY, detail: "No.".to_owned(), carrier_code: None, limit: None };
    for (claimed, outcome) in claim.claimed.into_iter().zip([asked, SendOutcome::Rejected(refusal)]) {
        let settlement = Settlement {
            key: claimed.key,
            from: claimed.from,
            carrier: claimed.carrier,
            decision: decide_outcome(outcome, claimed.setbacks, now),
            learned: None,
        };
        world.store.record_outcomes(&[settlement], now).await.unwrap();
        let said = waiting(&world, 0.0, "acme", &[&behind]).await;
        assert_eq!(said, [("carrier_throttled".to_owned(), Some(now + Duration::from_mins(10)))]);
    }
}

/// What a process with these carriers says, for segments queued now.
async fn estimate_at(
    world: &World,
    carriers: &[CarrierName],
    license: &str,
    segments: u64,
    batch: bool,
) -> (Option<DateTime<Utc>>, Option<String>) {
    let rpc = Rpc::new(
        world.store.clone(),
        world.clock.clone(),
        Pace::per_second(1.0).unwrap(),
        world.tree(),
        carriers.to_vec(),
    );
    let request = EstimateFinishRequest { license_id: license.to_owned(), segments, batch };
    let answer = rpc.estimate_finish(Request::new(request)).await.unwrap().into_inner();
    (answer.finish_at.map(|time| proto::from_timestamp(Some(time)).unwrap()), answer.held_by)
}

#[tokio::test]
async fn the_finish_that_is_promised_is_when_the_last_message_goes_out() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    let sender = world.replica(1.0);
    world.queue("acme", PHONE, Batch, 4).await;
    let long = MessageQueued { segments: 3, ..world.queued("acme", PHONE, Reply) };
    world.take_over(&[long, world.queued("acme", PHONE, Reply)]).await;
    world.work(&sender).await;
    assert_eq!(world.texts(PHONE).await.len(), 1, "the long one, which takes three seconds");

    let seconds = |seconds| Some(world.clock.now() + Duration::from_secs(seconds));
    let estimate = async |segments, batch| estimate_at(&world, CarrierName::ALL, "acme", segments, batch).await;
    assert_eq!(estimate(1, false).await, (seconds(4), None), "behind the other reply, before the batch");
    let (promised, held_by) = estimate(5, true).await;
    assert_eq!((promised, held_by), (seconds(12), None));
    world.queue("acme", PHONE, Batch, 5).await;
    while world.texts(PHONE).await.len() < 11 {
        world.clock.advance(Duration::from_secs(1));
        world.work(&sender).await;
    }
    assert_eq!(Some(world.clock.now()), promised);
}

#[tokio::test]
async fn no_finish_is_promised_when_nobody_can_say_and_what_holds_the_lane_is_named() {
    let world = World::new().await;
    let no_number = (None, Some("no_number".to_owned()));
    assert_eq!(estimate_at(&world, CarrierName::ALL, "acme", 1, true).await, no_number, "never heard of");
    world.queue("acme", PHONE, Batch, 10_000).await;
    assert_eq!(estimate_at(&world, CarrierName::ALL, "acme", 1, true).await, no_number);

    world.assign("acme", 1).await;
    let now = world.clock.now();
    assert_eq!(
        estimate_at(&world, CarrierName::ALL, "acme", 10_000, true).await,
        (Some(now + Duration::from_secs(19_999)), None)
    );
    world.queue("acme", PHONE, Batch, 1).await;
    assert_eq!(estimate_at(&world, CarrierName::ALL, "acme", 1, true).await, (None, None), "more than are counted");
    assert_eq!(estimate_at(&world, CarrierName::ALL, "acme", 1, false).await, (Some(now), None));
    let unserved = (None, Some("carrier_unreachable".to_owned()));
    assert_eq!(estimate_at(&world, &[CarrierName::Telnyx], "acme", 1, false).await, unserved);

    world.simulator.set_faults(json!([{ "on": "send", "kind": "http_429", "count": 1 }])).await;
    world.work(&world.replica(1.0)).await;
    let (finish_at, held_by) = estimate_at(&world, CarrierName::ALL, "acme", 1, false).await;
    assert_eq!(held_by.as_deref(), Some("carrier_throttled"));
    assert!(finish_at > Some(now));

    let rpc = Rpc::new(world.store.clone(), world.clock.clone(), Pace::OFF, world.tree(), CarrierName::ALL.to_vec());
    let request = EstimateFinishRequest { license_id: "a.b".to_owned(), segments: 1, batch: true };
    let status = rpc.estimate_finish(Request::new(request)).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
}

#[tokio::test]
async fn a_question_about_too_many_or_nonsensical_messages_is_refused() {
    let world = World::new().await;
    let rpc = Rpc::new(world.store.clone(), world.clock.clone(), Pace::OFF, world.tree(), CarrierName::ALL.to_vec());
    let id = Id::<Message>::new().to_string();
    for (license_id, message_ids) in [("a.b", vec![]), ("acme", vec!["1".to_owned()]), ("acme", vec![id; 201])] {
        let request = ListWaitingRequest { license_id: license_id.to_owned(), message_ids };
        let status = rpc.list_waiting(Request::new(request)).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
    }
}
