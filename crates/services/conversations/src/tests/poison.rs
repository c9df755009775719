//! Events that cannot be digested hold up nobody and wait for a person.

use super::*;

#[tokio::test]
async fn a_poison_event_among_good_ones_holds_up_nobody_and_becomes_a_dead_letter() {
    let world = World::with_ann().await;
    let good = |n: u32| world.text(ANN, OFFICE, &format!("good {n}"));
    let events = [
        ("good-1", good(1)),
        ("bad-sender", ingest::MessageReceived { from: "+15550100".to_owned(), ..good(2) }),
        ("good-2", good(3)),
        ("bad-body", ingest::MessageReceived { body: "\0".to_owned(), ..good(4) }),
        ("bad-time", ingest::MessageReceived { received_at: None, ..good(5) }),
        ("good-3", good(6)),
    ];
    join_all(events.iter().map(|(id, event)| world.publish(event, id))).await;
    world.until_applied::<ingest::MessageReceived>(&["good-1", "good-2", "good-3"].map(str::to_owned)).await;
    let letters = until_buried(&world, 3).await;

    let mut ids: Vec<_> = letters.iter().map(|letter| letter.event_id.as_str()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["bad-body", "bad-sender", "bad-time"]);
    for letter in &letters {
        assert_eq!(letter.consumer, "conversations-message-received");
        assert_eq!(letter.subject, world.bus.subject("ingest.message.received.v1"));
        assert!(!letter.reason.contains("5550100"), "{}", letter.reason);
    }
    assert_eq!(world.count("messages").await, 3);
    remove_all(&world, &letters).await;
    world.finish().await;
}

#[tokio::test]
async fn a_report_that_cannot_be_read_becomes_a_dead_letter_and_its_neighbours_are_applied() {
    let world = World::with_ann().await;
    let id = world.send_one(person("ann"), "hello").await.message_id;
    let events = [
        ("unreadable", world.receipt("no-id-of-ours", "sent")),
        ("good", world.receipt(&id, "sent")),
        ("unheard-of", world.receipt(&id, "evaporated")),
    ];
    join_all(events.iter().map(|(id, event)| world.publish(event, id))).await;
    world.until_applied::<ingest::ReceiptReceived>(&["good".to_owned()]).await;
    let letters = until_buried(&world, 2).await;
    assert_eq!(world.get_message(ACME, &id).await.unwrap().status, "sent");
    remove_all(&world, &letters).await;
    world.finish().await;
}

#[tokio::test]
async fn a_dead_letter_is_put_back_when_its_cause_is_gone_and_is_applied_once() {
    let world = World::with_ann().await;
    let letters = DeadLetters::new(world.bus.clone());
    assert!(!letters.replay(1).await.unwrap());
    assert!(!letters.remove(1).await.unwrap());
    // Something that is not this service has been here.
    sqlx::query("update people set kind = 'ghost'").execute(world.pool()).await.unwrap();
    world.publish(&world.text(ANN, OFFICE, "hello"), "e-1").await;
    let first = until_buried(&world, 1).await.remove(0);
    assert!(first.reason.contains("kind of person"), "{}", first.reason);

    // Too early: it comes back as a letter of its own.
    assert!(letters.replay(first.number).await.unwrap());
    assert!(!letters.replay(first.number).await.unwrap(), "it is there no more");
    let second = until_buried(&world, 1).await.remove(0);
    assert!(second.number > first.number);
    assert_eq!(second.event_id, "e-1");

    sqlx::query("update people set kind = 'tenant'").execute(world.pool()).await.unwrap();
    assert!(letters.replay(second.number).await.unwrap());
    world.until_applied::<ingest::MessageReceived>(&["e-1".to_owned()]).await;
    assert_eq!(world.count("messages").await, 1);
    world.finish().await;
}

pub(super) async fn until_buried(world: &World, count: usize) -> Vec<DeadLetter> {
    testkit::eventually("the dead letters", async || {
        let letters = world.list_dead_letters().await;
        if letters.len() == count { Ok(letters) } else { Err(letters) }
    })
    .await
}

pub(super) async fn remove_all(world: &World, buried: &[DeadLetter]) {
    let letters = DeadLetters::new(world.bus.clone());
    for letter in buried {
        assert!(letters.remove(letter.number).await.unwrap());
        assert!(!letters.remove(letter.number).await.unwrap());
    }
}
