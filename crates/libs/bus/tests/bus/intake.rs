//! Events that a service found by itself: through the same door, once.

use bus::{HandleError, Intake, Received};
use proto::catalogue::CONVERSATIONS_MESSAGE_PROGRESSED as PROGRESSED;
use proto::dispatch::MessageProgressed;

use crate::probe::{Failure, Named as _, Probe};
use crate::world::{World, names};

fn intake(world: &World, probe: &Probe<MessageProgressed>) -> Intake<Probe<MessageProgressed>> {
    Intake::new(world.bus.clone(), world.pool.clone(), world.clock.clone(), PROGRESSED, probe.clone())
}

fn found(world: &World, names: &[impl AsRef<str>]) -> Vec<Received<MessageProgressed>> {
    let found = names.iter().map(|name| Received {
        event_id: format!("id-{}", name.as_ref()),
        event: MessageProgressed::named(name.as_ref()),
        occurred_at: world.clock.now(),
    });
    found.collect()
}

#[tokio::test]
async fn what_was_found_and_what_was_consumed_have_one_effect_whichever_comes_first() {
    let world = World::new().await;
    let probe = Probe::new(PROGRESSED);
    let intake = intake(&world, &probe);
    let publish = async |name: &str| {
        let payload = prost::Message::encode_to_vec(&MessageProgressed::named(name));
        let id = format!("id-{name}");
        world.publish_raw("dispatch.message.progressed.v1", &[("Nats-Msg-Id", &id)], payload).await;
    };
    world.start(&probe);
    publish("m1").await;
    world.until_applied_once(PROGRESSED, &["m1"]).await;

    let ids = ["id-m1", "id-m2", "id-m3"].map(str::to_owned);
    assert_eq!(intake.list_unknown(&ids).await.unwrap(), ids[1..].iter().cloned().collect());
    // Twice in one hand, too.
    let new = intake.apply(found(&world, &["m1", "m2", "m3", "m2"])).await.unwrap();
    assert_eq!(new, 2);
    assert!(intake.list_unknown(&ids).await.unwrap().is_empty());
    publish("m2").await;
    world.until_applied_once(PROGRESSED, &["m1", "m2", "m3"]).await;
    assert_eq!(intake.apply(found(&world, &["m1", "m2", "m3"])).await.unwrap(), 0);
    world.until_applied_once(PROGRESSED, &["m1", "m2", "m3"]).await;
    world.end().await;
}

#[tokio::test]
async fn what_was_found_is_applied_in_order_and_a_batch_is_one_transaction() {
    let world = World::new().await;
    let probe = Probe::new(PROGRESSED);
    let names = names(300);
    assert_eq!(intake(&world, &probe).apply(found(&world, &names)).await.unwrap(), 300);
    let attempts = probe.attempts();
    assert_eq!(attempts.iter().map(Vec::len).collect::<Vec<_>>(), [256, 44]);
    assert_eq!(attempts.concat(), names);
    world.end().await;
}

#[tokio::test]
async fn a_poison_event_that_was_found_becomes_a_dead_letter_that_can_be_put_back_and_its_neighbors_are_applied() {
    let world = World::new().await;
    for (failure, reason) in [
        (Failure::Permanent, "cannot apply the events ever: never ever"),
        (Failure::Panic, "cannot apply the events ever: the handler panicked"),
    ] {
        let names = ["m1", "poison", "m3"].map(|name| format!("{name}: {reason}"));
        let probe = Probe::new(PROGRESSED).fail(&names[1], failure);
        assert_eq!(intake(&world, &probe).apply(found(&world, &names)).await.unwrap(), 2);
        let letters = world.until_dead_letters(1).await;
        assert_eq!((letters[0].reason.as_str(), letters[0].consumer.as_str()), (reason, PROGRESSED.name));
        assert_eq!(letters[0].event_id, format!("id-{}", names[1]));
        assert!(world.dead_letters().remove(letters[0].number).await.unwrap());
    }

    let probe = Probe::new(PROGRESSED).fail("m2", Failure::Permanent);
    let intake = intake(&world, &probe);
    assert_eq!(intake.apply(found(&world, &["m2"])).await.unwrap(), 0);
    let letters = world.until_dead_letters(1).await;
    probe.heal();
    world.start(&probe);
    assert!(world.dead_letters().replay(letters[0].number).await.unwrap());
    testkit::eventually("the letter applied", async || {
        let unknown = intake.list_unknown(&["id-m2".to_owned()]).await.unwrap();
        if unknown.is_empty() { Ok(()) } else { Err(unknown) }
    })
    .await;
    world.until_nothing_is_left(PROGRESSED).await;
    assert_eq!(world.applied(PROGRESSED).await["m2"], 1);
    world.end().await;
}

#[tokio::test]
async fn what_cannot_be_applied_now_is_the_callers_to_give_again_and_its_neighbors_are_applied() {
    let world = World::new().await;
    let probe = Probe::new(PROGRESSED).fail("m3", Failure::Transient(u32::MAX));
    let intake = intake(&world, &probe);
    let names = names(10);
    let refused = intake.apply(found(&world, &names)).await.unwrap_err();
    assert!(matches!(refused, HandleError::Transient(_)), "{refused:?}");
    let applied = world.applied(PROGRESSED).await;
    assert!(applied.len() == 9 && !applied.contains_key("m3"), "{applied:?}");
    assert_eq!(intake.list_unknown(&["id-m3".to_owned()]).await.unwrap().len(), 1);
    probe.heal();
    assert_eq!(intake.apply(found(&world, &names)).await.unwrap(), 1);
    assert!(world.dead_letters().list(10).await.unwrap().is_empty());
    assert!(world.applied(PROGRESSED).await.values().all(|times| *times == 1));

    // A database that is away is nobody's fault: nobody is sought.
    let (gate, pool) = world.gated_pool().await;
    gate.shut();
    let away = Intake::new(world.bus.clone(), pool, world.clock.clone(), PROGRESSED, probe.clone());
    let tried = probe.attempts().len();
    away.apply(found(&world, &["m11", "m12"])).await.unwrap_err();
    assert_eq!(probe.attempts().len(), tried);
    world.end().await;
}
