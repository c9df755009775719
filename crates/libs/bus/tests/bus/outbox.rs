//! From a transaction to the stream: nothing too much, nothing lost, nothing twice.

use std::time::{Duration, Instant};

use bus::{Relay, outbox};
use proto::catalogue::CONVERSATIONS_MESSAGE_PROGRESSED as PROGRESSED;
use proto::conversations::{MessageQueued, SendingWithdrawn};
use proto::dispatch::MessageProgressed;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::probe::{Named as _, Probe};
use crate::world::{World, names};

#[tokio::test]
async fn an_event_of_a_transaction_that_rolls_back_is_never_published() {
    let world = World::new().await;
    let probe = Probe::<MessageProgressed>::new(PROGRESSED);
    let mut tx = world.pool.begin().await.unwrap();
    bus::outbox::record(&mut tx, &[MessageProgressed::named("undone")], world.clock.now()).await.unwrap();
    tx.rollback().await.unwrap();
    world.start_relay();
    world.start(&probe);
    world.record::<MessageProgressed>(&["done"]).await;
    world.until_applied_once(PROGRESSED, &["done"]).await;
    assert_eq!(world.stored("DISPATCH").await, 1);
    world.end().await;
}

#[tokio::test]
async fn a_committed_event_is_published_once_and_leaves_the_outbox_empty() {
    let world = World::new().await;
    let relay = world.start_relay();
    world.record::<MessageProgressed>(&["m1"]).await;
    relay.hint();
    world.until_outbox_is_empty().await;
    relay.hint();
    let probe = Probe::<MessageProgressed>::new(PROGRESSED);
    world.start(&probe);
    world.until_applied_once(PROGRESSED, &["m1"]).await;
    assert_eq!(world.stored("DISPATCH").await, 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_relays_on_one_database_publish_2000_events_once_each() {
    let world = World::new().await;
    let names = names(2_000);
    for some in names.chunks(100) {
        world.record::<MessageProgressed>(some).await;
    }
    world.start_relay();
    world.start_relay();
    let probe = Probe::<MessageProgressed>::new(PROGRESSED);
    world.start(&probe);
    world.until_applied_once(PROGRESSED, &names).await;
    world.until_outbox_is_empty().await;
    assert_eq!(world.stored("DISPATCH").await, 2_000);
    world.end().await;
}

/// The rows are there again after they were published; new ones travel in the same atomic batch, which the stream
/// refuses because of the old ones.
#[tokio::test]
async fn a_relay_that_dies_between_acknowledgement_and_commit_loses_and_doubles_nothing() {
    let world = World::new().await;
    let names = names(20);
    let (old, new) = names.split_at(10);
    world.record::<MessageProgressed>(old).await;
    sqlx::query("create table saved as select * from outbox").execute(&world.pool).await.unwrap();
    let relay = world.start_relay();
    world.until_outbox_is_empty().await;
    let probe = Probe::<MessageProgressed>::new(PROGRESSED);
    world.start(&probe);
    world.until_applied_once(PROGRESSED, old).await;

    let mut tx = world.pool.begin().await.unwrap();
    sqlx::query("insert into outbox overriding system value select * from saved").execute(&mut *tx).await.unwrap();
    let events: Vec<_> = new.iter().map(|name| MessageProgressed::named(name)).collect();
    bus::outbox::record(&mut tx, &events, world.clock.now()).await.unwrap();
    tx.commit().await.unwrap();
    relay.hint();
    world.until_outbox_is_empty().await;
    world.until_applied_once(PROGRESSED, &names).await;
    assert_eq!(world.stored("DISPATCH").await, 20);
    world.end().await;
}

#[tokio::test]
async fn while_nats_is_away_events_stay_in_the_outbox_and_go_out_afterwards() {
    let world = World::new().await;
    let (gate, bus) = world.gated_bus().await;
    bus.declare_until_done().await;
    let relay = Relay::new(world.pool.clone(), bus.clone());
    tokio::spawn(relay.clone().run(world.stopping.clone()));
    gate.shut();
    let names = names(50);
    world.record::<MessageProgressed>(&names).await;
    relay.hint();
    testkit::eventually("the loss of NATS", async || if bus.check().is_err() { Ok(()) } else { Err("connected") })
        .await;
    relay.hint();
    // A look at the outbox waits for nobody's row lock.
    assert_eq!(world.outbox().await, 50);
    gate.open();
    world.until_outbox_is_empty().await;
    let probe = Probe::<MessageProgressed>::new(PROGRESSED);
    world.start(&probe);
    world.until_applied_once(PROGRESSED, &names).await;
    world.end().await;
}

#[tokio::test]
async fn an_event_that_the_stream_refuses_holds_up_nobody() {
    let world = World::new().await;
    let names = names(10);
    world.record::<MessageProgressed>(&names[..5]).await;
    // More than NATS takes in one message.
    sqlx::query(
        "insert into outbox (event_id, subject, payload, occurred_at)
         values (gen_random_uuid(), 'dispatch.message.progressed.v1', convert_to(repeat('x', 2000000), 'utf8'), $1)",
    )
    .bind(world.clock.now())
    .execute(&world.pool)
    .await
    .unwrap();
    world.record::<MessageProgressed>(&names[5..]).await;
    world.start_relay();
    let probe = Probe::<MessageProgressed>::new(PROGRESSED);
    world.start(&probe);
    world.until_applied_once(PROGRESSED, &names).await;
    testkit::eventually("the others gone", async || match world.outbox().await {
        1 => Ok(()),
        rows => Err(rows),
    })
    .await;
    world.end().await;
}

#[tokio::test]
async fn a_relay_that_never_saw_nats_stops_at_once() {
    let world = World::new().await;
    let (gate, bus) = world.gated_bus().await;
    gate.shut();
    let stopping = CancellationToken::new();
    let running = tokio::spawn(Relay::new(world.pool.clone(), bus).run(stopping.clone()));
    let asked = Instant::now();
    stopping.cancel();
    running.await.unwrap().unwrap();
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    world.end().await;
}

#[tokio::test]
async fn an_event_with_the_id_of_its_thing_is_taken_back_unless_a_relay_has_it_in_hand() {
    let world = World::new().await;
    let ids = [Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7()];
    let queued = ids.map(|id| MessageQueued { message_id: id.to_string(), ..Default::default() });
    let mut tx = world.pool.begin().await.unwrap();
    outbox::record(&mut tx, &queued, world.clock.now()).await.unwrap();
    outbox::record(&mut tx, &[SendingWithdrawn::default()], world.clock.now()).await.unwrap();
    tx.commit().await.unwrap();
    let mut waiting = world.pool.acquire().await.unwrap();
    let listed = outbox::list_waiting::<MessageQueued>(&mut waiting, 0, 2).await.unwrap();
    assert_eq!(listed.iter().map(|each| each.event_id).collect::<Vec<_>>(), ids[..2]);
    let rest = outbox::list_waiting::<MessageQueued>(&mut waiting, listed[1].position, 2).await.unwrap();
    assert_eq!(rest.iter().map(|each| each.event_id).collect::<Vec<_>>(), ids[2..]);

    let mut relay = world.pool.begin().await.unwrap();
    let held = sqlx::query("select from outbox where event_id = $1 for update").bind(ids[1]);
    held.execute(&mut *relay).await.unwrap();
    assert_eq!(outbox::take_back::<SendingWithdrawn>(&mut waiting, &ids).await.unwrap(), 0, "of another kind");
    assert_eq!(outbox::take_back::<MessageQueued>(&mut waiting, &ids[..2]).await.unwrap(), 1);
    relay.rollback().await.unwrap();
    assert_eq!(world.outbox().await, 3);
    assert_eq!(outbox::take_back::<MessageQueued>(&mut waiting, &ids[..2]).await.unwrap(), 1);
    let listed = outbox::list_waiting::<MessageQueued>(&mut waiting, 0, 10).await.unwrap();
    assert_eq!(listed.iter().map(|each| each.event_id).collect::<Vec<_>>(), ids[2..]);
    world.end().await;
}
