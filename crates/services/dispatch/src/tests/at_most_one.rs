//! Rule 16: one message leads to at most one text on the recipient's phone.

use std::time::Duration;

use carriers::SendOutcome;
use chassis::Clock;
use proto::conversations::Priority::{Batch, Reply};
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::call::{Called, Ending};
use crate::record::Finished;
use crate::slots::Slots;

/// A long time passes, others are sent in the same lane, and a receipt for the message comes at the end.
/// There are so many texts at every moment.
async fn nothing_is_sent_again_and_a_receipt_settles(world: &World, message_id: &str, texts: usize) {
    let sender = world.replica(0.0);
    for round in 0..5 {
        let other = world.queue("acme", OTHER_PHONE, Reply, 1).await.remove(0);
        world.work(&sender).await;
        world.clock.advance(Duration::from_mins(10));
        world.work(&sender).await;
        world.sweep().await;
        world.work(&sender).await;
        assert_eq!(world.state(&other).await, "accepted", "round {round}: the lane goes on");
        assert_eq!(world.state(message_id).await, "unknown");
        assert_eq!(world.texts(PHONE).await.len(), texts);
    }
    world.receipt(message_id).await;
    assert_eq!(world.state(message_id).await, "accepted");
    assert_eq!(world.statuses(message_id).await, ["unknown", "sending"]);
    let settled = world.events(message_id).await.pop().unwrap();
    assert_eq!(settled.carrier_message_id.as_deref(), Some("SM1"));
    assert!(settled.from.is_some());
    world.receipt(message_id).await;
    assert_eq!(world.statuses(message_id).await.len(), 2, "a receipt that arrives twice settles once");
}

fn each_carrier_with<const N: usize>(faults: [&str; N]) -> impl Iterator<Item = (CarrierName, &str)> {
    CarrierName::ALL.iter().flat_map(move |carrier| faults.map(|fault| (*carrier, fault)))
}

#[tokio::test]
async fn one_message_leads_to_at_most_one_text_when_the_answer_is_lost_after_accepting() {
    for (carrier, fault) in each_carrier_with(["timeout_after_accept", "http_500_after_accept", "reset_after_accept"]) {
        let world = World::new().await;
        world.assign_at(carrier, "acme", 1).await;
        world.simulator.set_faults(json!([{ "on": "send", "kind": fault, "count": 1 }])).await;
        let message = world.queue("acme", PHONE, Reply, 1).await.remove(0);
        world.work(&world.replica(0.0)).await;
        assert_eq!(world.state(&message).await, "unknown", "{carrier} {fault}");
        nothing_is_sent_again_and_a_receipt_settles(&world, &message, 1).await;
    }
}

#[tokio::test]
async fn what_may_have_been_accepted_is_not_sent_again_although_it_was_not() {
    for (carrier, fault) in each_carrier_with(["timeout_before_accept", "http_500"]) {
        let world = World::new().await;
        world.assign_at(carrier, "acme", 1).await;
        world.simulator.set_faults(json!([{ "on": "send", "kind": fault, "count": 1 }])).await;
        let message = world.queue("acme", PHONE, Reply, 1).await.remove(0);
        world.work(&world.replica(0.0)).await;
        nothing_is_sent_again_and_a_receipt_settles(&world, &message, 0).await;
    }
}

#[tokio::test]
async fn a_crash_before_the_call_leaves_a_message_unknown_and_unsent() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    let message = world.queue("acme", PHONE, Reply, 1).await.remove(0);
    let claim = world.store.claim(&everything(Pace::OFF), world.clock.now()).await.unwrap();
    assert_eq!(claim.claimed.len(), 1);
    nothing_is_sent_again_and_a_receipt_settles(&world, &message, 0).await;
}

#[tokio::test]
async fn a_crash_between_lookup_and_send_leaves_a_message_unknown_and_unsent() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    world.simulator.set_faults(json!([{ "on": "lookup", "kind": "timeout_before_accept", "count": 1 }])).await;
    let message = world.queue("acme", PHONE, Reply, 1).await.remove(0);
    let carriers = both(world.simulator.url(), Duration::from_secs(20));
    let crashing = world.replica_from(Pace::OFF, 8, carriers, Some(Lookups::new(Duration::from_secs(20))));
    let running = tokio::spawn(crashing.run(CancellationToken::new()));
    testkit::eventually("the lookup", async || {
        let lookups = world.lookups().await;
        if lookups == 1 { Ok(()) } else { Err(lookups) }
    })
    .await;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    assert_eq!(world.state(&message).await, "attempting");
    nothing_is_sent_again_and_a_receipt_settles(&world, &message, 0).await;
}

#[tokio::test]
async fn a_crash_during_the_call_leaves_one_text() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    world.simulator.set_faults(json!([{ "on": "send", "kind": "timeout_after_accept", "count": 1 }])).await;
    let message = world.queue("acme", PHONE, Reply, 1).await.remove(0);
    let crashing = world.replica_with(Pace::OFF, 8, both(world.simulator.url(), Duration::from_secs(20)));
    let running = tokio::spawn(crashing.run(CancellationToken::new()));
    testkit::eventually("the text", async || {
        let texts = world.texts(PHONE).await;
        if texts.len() == 1 { Ok(()) } else { Err(texts) }
    })
    .await;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    assert_eq!(world.state(&message).await, "attempting");
    nothing_is_sent_again_and_a_receipt_settles(&world, &message, 1).await;
}

#[tokio::test]
async fn a_crash_between_the_answer_and_its_record_leaves_one_text() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    let message = world.queue("acme", PHONE, Reply, 1).await.remove(0);
    let crashing = world.replica(0.0);
    let (recorder, finished) = crashing.recorder();
    let mut calls = JoinSet::new();
    crashing.take_turn(&mut calls, &finished).await.unwrap();
    calls.join_next().await.unwrap().unwrap();
    drop((recorder, finished));
    nothing_is_sent_again_and_a_receipt_settles(&world, &message, 1).await;
}

#[tokio::test]
async fn a_receipt_that_overtakes_the_answer_settles_the_attempt() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    let message = world.queue("acme", PHONE, Reply, 1).await.remove(0);
    let sender = world.replica(0.0);
    let (recorder, finished) = sender.recorder();
    let mut calls = JoinSet::new();
    sender.take_turn(&mut calls, &finished).await.unwrap();
    world.receipt(&message).await;
    assert_eq!(world.state(&message).await, "accepted");
    drop(finished);
    recorder.run().await;
    assert_eq!(world.state(&message).await, "accepted");
    assert_eq!(world.statuses(&message).await, ["sending"]);
}

#[tokio::test]
async fn a_receipt_that_overtakes_an_answer_that_never_comes_settles_the_attempt_for_good() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    world.simulator.set_faults(json!([{ "on": "send", "kind": "http_500_after_accept", "count": 1 }])).await;
    let message = world.queue("acme", PHONE, Reply, 1).await.remove(0);
    let sender = world.replica(0.0);
    let (recorder, finished) = sender.recorder();
    let mut calls = JoinSet::new();
    sender.take_turn(&mut calls, &finished).await.unwrap();
    world.receipt(&message).await;
    drop(finished);
    recorder.run().await;
    assert_eq!(world.state(&message).await, "accepted");
    assert_eq!(world.statuses(&message).await, ["sending"]);
}

#[tokio::test]
async fn an_answer_that_comes_after_the_sweeper_gave_up_settles_the_message() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    let message = world.queue("acme", PHONE, Reply, 1).await.remove(0);
    let sender = world.replica(0.0);
    let (recorder, finished) = sender.recorder();
    let mut calls = JoinSet::new();
    sender.take_turn(&mut calls, &finished).await.unwrap();
    calls.join_next().await.unwrap().unwrap();
    world.clock.advance(Duration::from_secs(61));
    world.sweep().await;
    assert_eq!(world.state(&message).await, "unknown");
    drop(finished);
    recorder.run().await;
    assert_eq!(world.state(&message).await, "accepted");
    assert_eq!(world.statuses(&message).await, ["unknown", "sending"]);
}

#[tokio::test]
async fn an_outcome_that_the_database_refuses_holds_up_no_other_and_leaves_its_message_unknown() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    let messages = world.queue("acme", PHONE, Reply, 3).await;
    let sender = world.replica(0.0);
    let (recorder, finished) = sender.recorder();
    let mut claimed = world.store.claim(&everything(Pace::OFF), world.clock.now()).await.unwrap().claimed;
    claimed.reverse();
    for carrier_message_id in ["SM1", "SM\0", "SM3"] {
        let claimed = claimed.pop().unwrap();
        let slot = Slots::new(1, Hint::default()).take(claimed.key.license_id.clone());
        let outcome = SendOutcome::Accepted { carrier_message_id: carrier_message_id.to_owned(), segments: None };
        let called = Called { ending: Ending::Sent(outcome), learned: None, network: None, lookup: None };
        finished.send(Finished { claimed, called, slot }).await.unwrap();
    }
    drop(finished);
    recorder.run().await;
    world.clock.advance(Duration::from_secs(61));
    world.sweep().await;
    assert_eq!(world.state(&messages[0]).await, "accepted");
    assert_eq!(world.state(&messages[1]).await, "unknown");
    assert_eq!(world.state(&messages[2]).await, "accepted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_that_claim_at_once_send_each_message_once() {
    let world = World::with_clock(Clock::system()).await;
    for license in ["acme", "bree", "cole"] {
        world.assign(license, 1).await;
        world.queue(license, PHONE, Batch, 100).await;
    }
    let stopping = CancellationToken::new();
    // A call that takes long on a busy machine is no unknown outcome here.
    let carriers = || both(world.simulator.url(), Duration::from_secs(20));
    let replicas = [(); 2].map(|()| tokio::spawn(world.replica_with(Pace::OFF, 64, carriers()).run(stopping.clone())));
    testkit::eventually("all messages are accepted", async || {
        let accepted = world.count("accepted").await;
        if accepted == 300 { Ok(()) } else { Err(accepted) }
    })
    .await;
    stopping.cancel();
    for replica in replicas {
        replica.await.unwrap().unwrap();
    }
    let texts = world.texts(PHONE).await;
    assert_eq!(texts.len(), 300);
    assert!(is_distinct(&texts));
}

#[tokio::test]
async fn a_doubled_event_sends_nothing_twice() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    let event = world.queued("acme", PHONE, Reply);
    world.take_over(&[event.clone(), event.clone()]).await;
    let sender = world.replica(0.0);
    world.work(&sender).await;
    world.take_over(std::slice::from_ref(&event)).await;
    world.work(&sender).await;
    assert_eq!(world.texts(PHONE).await, [event.body]);
}

#[tokio::test]
async fn the_text_is_kept_no_longer_than_it_is_needed() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    world.simulator.set_faults(json!([{ "on": "send", "kind": "landline", "to": OTHER_PHONE }])).await;
    let accepted = world.queue("acme", PHONE, Reply, 1).await.remove(0);
    let failed = world.queue("acme", OTHER_PHONE, Reply, 1).await.remove(0);
    world.work(&world.replica(0.0)).await;
    assert_eq!((world.state(&accepted).await, world.state(&failed).await), ("accepted".into(), "failed".into()));
    let error = world.events(&failed).await.remove(0).error.unwrap();
    assert_eq!(error.code, "cannot_receive_sms");
    let kept: i64 = sqlx::query_scalar("select count(*) from deliveries where body is not null or media_urls <> '{}'")
        .fetch_one(&world.database.pool)
        .await
        .unwrap();
    assert_eq!(kept, 0);
    world.clock.advance(Duration::from_hours(15 * 24));
    world.sweep().await;
    let rows: i64 = sqlx::query_scalar("select (select count(*) from deliveries) + (select count(*) from attempts)")
        .fetch_one(&world.database.pool)
        .await
        .unwrap();
    assert_eq!(rows, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_in_the_middle_finishes_what_is_in_hand_and_begins_nothing() {
    let world = World::with_clock(Clock::system()).await;
    world.assign("acme", 1).await;
    world.queue("acme", PHONE, Batch, 400).await;
    let stopping = CancellationToken::new();
    let sender = world.replica_with(Pace::OFF, 8, both(world.simulator.url(), Duration::from_secs(5)));
    let running = tokio::spawn(sender.run(stopping.clone()));
    testkit::eventually("some are sent", async || {
        let accepted = world.count("accepted").await;
        if accepted > 0 { Ok(()) } else { Err(accepted) }
    })
    .await;
    stopping.cancel();
    running.await.unwrap().unwrap();
    assert_eq!((world.count("attempting").await, world.count("unknown").await), (0, 0));
    let sent = world.texts(PHONE).await.len();
    assert_eq!(i64::try_from(sent).unwrap(), world.count("accepted").await);
    assert!(sent < 400, "the stop came in the middle");
}
