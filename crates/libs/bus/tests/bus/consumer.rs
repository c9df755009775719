//! From the stream to the effect: one transaction, once, whatever fails.

use std::time::{Duration, Instant};

use bus::Bus;
use chrono::TimeDelta;
use proto::Event as _;
use proto::catalogue::CONVERSATIONS_MESSAGE_PROGRESSED as PROGRESSED;
use proto::dispatch::MessageProgressed;
use tokio_util::sync::CancellationToken;

use crate::probe::{Failure, Named as _, Probe};
use crate::world::{World, names};

fn probe() -> Probe<MessageProgressed> {
    Probe::new(PROGRESSED)
}

/// Records these events so that they are handed over in one batch, behind an event `gate`.
async fn gather(world: &World, probe: &Probe<MessageProgressed>, names: &[String]) {
    world.record::<MessageProgressed>(&["gate"]).await;
    world.until_handed_out(PROGRESSED, 1).await;
    world.record::<MessageProgressed>(names).await;
    world.until_handed_out(PROGRESSED, 1 + names.len()).await;
    probe.gate.add_permits(1);
}

fn with_gate(names: &[String]) -> Vec<String> {
    names.iter().cloned().chain(["gate".to_owned()]).collect()
}

#[tokio::test]
async fn an_event_that_the_stream_stores_twice_is_applied_once() {
    let world = World::new().await;
    let probe = probe();
    let payload = prost::Message::encode_to_vec(&MessageProgressed::named("m1"));
    // A copy that comes after the stream's own memory of two minutes looks like this.
    for message_id in ["first", "again"] {
        let headers = [("Nats-Msg-Id", message_id), ("Leaseline-Event-Id", "first")];
        world.publish_raw(MessageProgressed::SUBJECT, &headers, payload.clone()).await;
    }
    world.start(&probe);
    world.until_applied_once(PROGRESSED, &["m1"]).await;
    assert_eq!(world.stored("DISPATCH").await, 2);
    assert_eq!(probe.attempts_of("m1"), 1);
    world.end().await;
}

#[tokio::test]
async fn a_failing_event_undoes_the_effects_of_its_batch_and_all_are_applied_afterwards() {
    let world = World::new().await;
    let probe = probe().fail("m7", Failure::Transient(2));
    let names = names(20);
    world.start_relay();
    world.start(&probe);
    gather(&world, &probe, &names).await;
    world.until_applied_once(PROGRESSED, &with_gate(&names)).await;
    let attempts = probe.attempts();
    assert!(attempts.iter().any(|batch| batch.len() > 1 && batch.contains(&"m7".to_owned())), "{attempts:?}");
    assert!(probe.attempts_of("m7") > 1);
    assert!(world.dead_letters().list(10).await.unwrap().is_empty());
    world.end().await;
}

#[tokio::test]
async fn one_poison_event_becomes_a_dead_letter_and_its_neighbours_are_applied_once() {
    let world = World::new().await;
    let probe = probe().fail("m17", Failure::Permanent);
    let names = names(40);
    world.start_relay();
    world.start(&probe);
    gather(&world, &probe, &names).await;
    let letters = world.until_dead_letters(1).await;
    assert_eq!(letters[0].consumer, PROGRESSED.name);
    assert_eq!(letters[0].subject, world.bus.subject(MessageProgressed::SUBJECT));
    assert_eq!(letters[0].reason, "cannot apply the events ever: never ever");
    assert_eq!(letters[0].at, "2026-03-02T15:00:00Z");
    let others: Vec<_> = with_gate(&names).into_iter().filter(|name| name != "m17").collect();
    world.until_applied_once(PROGRESSED, &others).await;
    let attempts = probe.attempts();
    assert!(attempts.iter().any(|batch| batch.len() > 1 && batch.contains(&"m17".to_owned())), "{attempts:?}");
    assert!(attempts.contains(&vec!["m17".to_owned()]), "{attempts:?}");
    world.end().await;
}

#[tokio::test]
async fn a_handler_that_panics_over_an_event_goes_on_with_the_others() {
    let world = World::new().await;
    let probe = probe().fail("m5", Failure::Panic);
    let names = names(10);
    world.start_relay();
    world.start(&probe);
    gather(&world, &probe, &names).await;
    let letters = world.until_dead_letters(1).await;
    assert_eq!(letters[0].reason, "cannot apply the events ever: the handler panicked");
    let others: Vec<_> = with_gate(&names).into_iter().filter(|name| name != "m5").collect();
    world.until_applied_once(PROGRESSED, &others).await;
    world.end().await;
}

#[tokio::test]
async fn an_event_that_fails_again_and_again_holds_up_nobody() {
    let world = World::new().await;
    let probe = probe().fail("m3", Failure::Transient(u32::MAX));
    let names = names(40);
    world.start_relay();
    world.start(&probe);
    gather(&world, &probe, &names).await;
    let others: Vec<_> = with_gate(&names).into_iter().filter(|name| name != "m3").collect();
    testkit::eventually("the others applied", async || match world.applied(PROGRESSED).await.len() {
        applied if applied == others.len() => Ok(()),
        applied => Err(applied),
    })
    .await;
    assert!(world.dead_letters().list(10).await.unwrap().is_empty(), "it may still work");
    probe.heal();
    world.until_applied_once(PROGRESSED, &with_gate(&names)).await;
    world.end().await;
}

#[tokio::test]
async fn while_the_database_is_away_nothing_is_counted_against_an_event() {
    let world = World::new().await;
    let probe = probe();
    let (gate, pool) = world.gated_pool().await;
    gate.shut();
    world.start_relay();
    world.start_on(&pool, &world.bus, &probe, &world.stopping);
    world.record::<MessageProgressed>(&["m1"]).await;
    world.until_handed_out(PROGRESSED, 1).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    gate.open();
    world.until_applied_once(PROGRESSED, &["m1"]).await;

    // And it goes while a handler is at work.
    world.record::<MessageProgressed>(&["gate"]).await;
    testkit::eventually("the handler at work", async || match probe.attempts_of("gate") {
        1 => Ok(()),
        attempts => Err(attempts),
    })
    .await;
    gate.shut();
    probe.gate.add_permits(2);
    testkit::eventually("the handler's failure", async || match probe.gate.available_permits() {
        1 => Ok(()),
        permits => Err(permits),
    })
    .await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(world.consumer(PROGRESSED).await.num_redelivered, 0);
    gate.open();
    world.until_applied_once(PROGRESSED, &["m1", "gate"]).await;
    assert_eq!(probe.attempts_of("gate"), 2);
    // Not once was it given back: its first delivery was the one that worked.
    assert_eq!(world.consumer(PROGRESSED).await.delivered.consumer_sequence, 2);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_share_the_work_and_apply_each_event_once() {
    let world = World::new().await;
    let (one, other) = (probe(), probe());
    world.start(&one);
    world.start(&other);
    testkit::eventually("both replicas waiting", async || match world.consumer(PROGRESSED).await.num_waiting {
        2 => Ok(()),
        waiting => Err(waiting),
    })
    .await;
    let names = names(2_000);
    world.record::<MessageProgressed>(&names).await;
    world.start_relay();
    world.until_applied_once(PROGRESSED, &names).await;
    assert!(!one.attempts().is_empty() && !other.attempts().is_empty(), "one did all the work");
    world.end().await;
}

#[tokio::test]
async fn a_consumer_that_stops_finishes_its_batch_and_gives_back_the_rest() {
    let world = World::new().await;
    let (first, second) = (probe(), probe());
    let stopping = CancellationToken::new();
    let running = world.start_on(&world.pool, &world.bus, &first, &stopping);
    world.start_relay();
    world.record::<MessageProgressed>(&["gate"]).await;
    testkit::eventually("the handler at work", async || match first.attempts_of("gate") {
        1 => Ok(()),
        attempts => Err(attempts),
    })
    .await;
    let names = names(10);
    world.record::<MessageProgressed>(&names).await;
    world.until_handed_out(PROGRESSED, 11).await;
    stopping.cancel();
    first.gate.add_permits(1);
    running.await.unwrap().unwrap();
    assert_eq!(world.applied(PROGRESSED).await.get("gate"), Some(&1));
    // Well before the server would hand them out again by itself.
    let stopped = Instant::now();
    world.start(&second);
    world.until_applied_once(PROGRESSED, &with_gate(&names)).await;
    assert!(stopped.elapsed() < Duration::from_secs(5), "{:?}", stopped.elapsed());
    world.end().await;
}

#[tokio::test]
async fn a_consumer_without_its_database_still_stops() {
    let world = World::new().await;
    let (gate, pool) = world.gated_pool().await;
    gate.shut();
    let stopping = CancellationToken::new();
    let running = world.start_on(&pool, &world.bus, &probe(), &stopping);
    world.start_relay();
    world.record::<MessageProgressed>(&["m1"]).await;
    world.until_handed_out(PROGRESSED, 1).await;
    let asked = Instant::now();
    stopping.cancel();
    running.await.unwrap().unwrap();
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    world.start(&probe());
    world.until_applied_once(PROGRESSED, &["m1"]).await;
    world.end().await;
}

#[tokio::test]
async fn a_consumer_goes_on_after_nats_was_away() {
    let world = World::new().await;
    let probe = probe();
    let (gate, bus) = world.gated_bus().await;
    bus.declare_until_done().await;
    world.start_on(&world.pool, &bus, &probe, &world.stopping);
    world.start_relay();
    world.record::<MessageProgressed>(&["before"]).await;
    world.until_applied_once(PROGRESSED, &["before"]).await;
    gate.shut();
    world.record::<MessageProgressed>(&["after"]).await;
    world.until_outbox_is_empty().await;
    gate.open();
    world.until_applied_once(PROGRESSED, &["before", "after"]).await;
    world.end().await;
}

#[tokio::test]
async fn installations_with_different_namespaces_do_not_see_each_other() {
    let (world, stranger) = (World::new().await, World::new().await);
    world.start(&probe());
    stranger.start(&probe());
    world.start_relay();
    stranger.start_relay();
    world.record::<MessageProgressed>(&["ours"]).await;
    stranger.record::<MessageProgressed>(&["theirs"]).await;
    world.until_applied_once(PROGRESSED, &["ours"]).await;
    stranger.until_applied_once(PROGRESSED, &["theirs"]).await;
    assert_eq!((world.stored("DISPATCH").await, stranger.stored("DISPATCH").await), (1, 1));
    world.end().await;
    stranger.end().await;
}

#[tokio::test]
async fn a_service_comes_up_with_nats_away_and_says_so() {
    let settings = bus::NatsSettings { url: "nats://127.0.0.1:1".to_owned(), ..testkit::nats() };
    let bus = Bus::connect(&settings, "test").await.unwrap();
    assert_eq!(bus.check(), Err("NATS is not connected".to_owned()));
}

#[tokio::test]
async fn a_sweep_of_the_inbox_removes_old_entries_only() {
    let world = World::new().await;
    let now = world.clock.now();
    for (prefix, count, age) in [("old", 10_500, 33), ("young", 3, 31), ("new", 3, 0)] {
        sqlx::query("insert into inbox select 'test', $1 || n, $3 from generate_series(1, $2) as n")
            .bind(prefix)
            .bind(count)
            .bind(now - TimeDelta::days(age))
            .execute(&world.pool)
            .await
            .unwrap();
    }
    assert_eq!(bus::sweep_inbox(&world.pool, now).await.unwrap(), 10_500);
    let left: i64 = sqlx::query_scalar("select count(*) from inbox").fetch_one(&world.pool).await.unwrap();
    assert_eq!(left, 6);
    assert_eq!(bus::sweep_inbox(&world.pool, now).await.unwrap(), 0);
    world.end().await;
}
