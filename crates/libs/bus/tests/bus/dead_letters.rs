//! What cannot be digested is kept, shown without its content, put back or dropped.

use proto::Event as _;
use proto::catalogue::{
    CONVERSATIONS_MESSAGE_PROGRESSED as PROGRESSED, CONVERSATIONS_RECEIPT_RECEIVED, DISPATCH_RECEIPT_RECEIVED,
};
use proto::dispatch::MessageProgressed;
use proto::ingest::ReceiptReceived;

use crate::probe::{Failure, Named as _, Probe};
use crate::world::World;

/// No protobuf message: field 0 does not exist.
const GARBAGE: &[u8] = &[0, 0, 0];

#[tokio::test]
async fn what_cannot_be_read_becomes_a_dead_letter() {
    let world = World::new().await;
    let readable = prost::Message::encode_to_vec(&MessageProgressed::named("m1"));
    world.publish_raw(MessageProgressed::SUBJECT, &[("Nats-Msg-Id", "e1")], GARBAGE.to_vec()).await;
    // Without an id nobody could know it again. Two of them are two letters.
    world.publish_raw(MessageProgressed::SUBJECT, &[], readable.clone()).await;
    world.publish_raw(MessageProgressed::SUBJECT, &[], readable.clone()).await;
    world.publish_raw(MessageProgressed::SUBJECT, &[("Nats-Msg-Id", "e2")], readable).await;
    world.start(&Probe::<MessageProgressed>::new(PROGRESSED));
    let letters = world.until_dead_letters(3).await;
    assert_eq!((letters[0].event_id.as_str(), letters[0].bytes), ("e1", GARBAGE.len()));
    assert!(letters[0].reason.contains("decode"), "{}", letters[0].reason);
    assert_eq!(letters[1].reason, "the event has no id");
    assert_ne!(letters[1].event_id, letters[2].event_id);
    world.until_applied_once(PROGRESSED, &["m1"]).await;
    world.end().await;
}

#[tokio::test]
async fn dead_letters_are_listed_oldest_first_and_removed() {
    let world = World::new().await;
    for id in ["e1", "e2", "e3"] {
        world.publish_raw(MessageProgressed::SUBJECT, &[("Nats-Msg-Id", id)], GARBAGE.to_vec()).await;
    }
    let letters = world.dead_letters();
    assert!(letters.list(10).await.unwrap().is_empty());
    world.start(&Probe::<MessageProgressed>::new(PROGRESSED));
    let all = world.until_dead_letters(3).await;
    let ids: Vec<_> = all.iter().map(|letter| letter.event_id.as_str()).collect();
    assert_eq!(ids, ["e1", "e2", "e3"]);
    assert_eq!(letters.list(2).await.unwrap().len(), 2);
    assert!(letters.remove(all[1].number).await.unwrap());
    assert!(!letters.remove(all[1].number).await.unwrap(), "it is gone");
    assert!(!letters.replay(all[1].number).await.unwrap(), "it is gone");
    let rest: Vec<_> = letters.list(10).await.unwrap().into_iter().map(|letter| letter.event_id).collect();
    assert_eq!(rest, ["e1", "e3"]);
    world.end().await;
}

#[tokio::test]
async fn a_dead_letter_is_shown_with_its_headers_and_the_sizes_of_its_fields_but_no_value_of_them() {
    let world = World::new().await;
    // Field 1 is a text of 20 bytes, field 2 a number; then something that is no protobuf.
    let payload = [&[0x0a, 20][..], b"the plumber comes at", &[0x10, 0xb9, 0x60, 0x00]].concat();
    world.publish_raw(MessageProgressed::SUBJECT, &[("Nats-Msg-Id", "e1")], payload).await;
    world.start(&Probe::<MessageProgressed>::new(PROGRESSED));
    let number = world.until_dead_letters(1).await[0].number;
    assert_eq!(world.dead_letters().count().await.unwrap(), 1);

    let opened = world.dead_letters().find(number).await.unwrap().unwrap();
    assert_eq!((opened.letter.event_id.as_str(), opened.letter.bytes), ("e1", 26));
    let consumer = opened.headers.iter().find(|(name, _)| name == "Leaseline-Dead-Consumer").unwrap();
    assert_eq!(consumer.1, PROGRESSED.name);
    let shown: Vec<String> = opened.fields.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["field 1: 20 bytes", "field 2: a number", "then something that is no protobuf"]);
    assert!(!format!("{opened:?}").contains("plumber"), "{opened:?}");
    assert!(world.dead_letters().find(number + 1).await.unwrap().is_none());
    world.end().await;
}

#[tokio::test]
async fn a_replay_has_an_effect_only_at_the_consumer_that_did_not_digest_the_event() {
    let world = World::new().await;
    let healthy = Probe::<ReceiptReceived>::new(CONVERSATIONS_RECEIPT_RECEIVED);
    let ill = Probe::<ReceiptReceived>::new(DISPATCH_RECEIPT_RECEIVED).fail("r1", Failure::Permanent);
    world.start(&healthy);
    world.start(&ill);
    world.start_relay();
    world.record::<ReceiptReceived>(&["r1", "r2"]).await;
    let letters = world.until_dead_letters(1).await;
    world.until_applied_once(healthy.consumer, &["r1", "r2"]).await;
    world.until_applied_once(ill.consumer, &["r2"]).await;

    ill.heal();
    assert!(world.dead_letters().replay(letters[0].number).await.unwrap());
    world.until_applied_once(ill.consumer, &["r1", "r2"]).await;
    world.until_applied_once(healthy.consumer, &["r1", "r2"]).await;
    assert_eq!(healthy.attempts_of("r1"), 1);
    assert!(world.dead_letters().list(10).await.unwrap().is_empty());
    world.end().await;
}

#[tokio::test]
async fn an_event_that_is_put_back_and_fails_again_is_a_dead_letter_again() {
    let world = World::new().await;
    let probe = Probe::<MessageProgressed>::new(PROGRESSED).fail("m1", Failure::Permanent);
    world.start(&probe);
    world.start_relay();
    world.record::<MessageProgressed>(&["m1"]).await;
    let first = world.until_dead_letters(1).await;
    assert!(world.dead_letters().replay(first[0].number).await.unwrap());
    testkit::eventually("the second failure", async || match probe.attempts_of("m1") {
        2 => Ok(()),
        attempts => Err(attempts),
    })
    .await;
    let second = world.until_dead_letters(1).await;
    assert_eq!(second[0].event_id, first[0].event_id);
    probe.heal();
    assert!(world.dead_letters().replay(second[0].number).await.unwrap());
    world.until_applied_once(PROGRESSED, &["m1"]).await;
    world.end().await;
}

#[tokio::test]
async fn a_consumers_letters_are_read_page_by_page_with_their_events_and_their_content_is_never_shown() {
    let world = World::new().await;
    let probe = Probe::<MessageProgressed>::new(PROGRESSED).fail("secret-2", Failure::Permanent);
    let probe = probe.fail("secret-1", Failure::Permanent);
    let other = Probe::<ReceiptReceived>::new(DISPATCH_RECEIPT_RECEIVED).fail("r1", Failure::Permanent);
    world.start(&probe);
    world.start(&other);
    world.start_relay();
    world.publish_raw(MessageProgressed::SUBJECT, &[("Nats-Msg-Id", "e1")], GARBAGE.to_vec()).await;
    world.until_dead_letters(1).await;
    world.record::<ReceiptReceived>(&["r1"]).await;
    world.until_dead_letters(2).await;
    for (count, name) in [(3, "secret-1"), (4, "secret-2")] {
        world.record::<MessageProgressed>(&[name]).await;
        world.until_dead_letters(count).await;
    }
    let letters = world.dead_letters();
    let page = letters.read(PROGRESSED, 0, 2).await.unwrap();
    assert_eq!(page.len(), 2);
    assert_eq!(page[0].find_event::<MessageProgressed>(), None, "it cannot be read");
    let first = page[1].find_event::<MessageProgressed>().unwrap();
    assert_eq!(first.message_id, "secret-1");
    assert!(!format!("{page:?}").contains("secret"), "{page:?}");
    let page = letters.read(PROGRESSED, page[1].number, 2).await.unwrap();
    let events: Vec<_> = page.iter().filter_map(bus::Buried::find_event::<MessageProgressed>).collect();
    assert_eq!(events.iter().map(|event| event.message_id.as_str()).collect::<Vec<_>>(), ["secret-2"]);
    assert!(letters.read(PROGRESSED, page[0].number, 2).await.unwrap().is_empty());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_two_remove_at_once_is_removed() {
    let world = World::new().await;
    for n in 0..20 {
        world.publish_raw(MessageProgressed::SUBJECT, &[("Nats-Msg-Id", &format!("e{n}"))], GARBAGE.to_vec()).await;
    }
    world.start(&Probe::<MessageProgressed>::new(PROGRESSED));
    for letter in world.until_dead_letters(20).await {
        let letters = [world.dead_letters(), world.dead_letters(), world.dead_letters()];
        let removed = futures_util::future::try_join_all(letters.iter().map(|each| each.remove(letter.number))).await;
        assert!(removed.unwrap().contains(&true));
    }
    assert!(world.dead_letters().list(10).await.unwrap().is_empty());
    world.end().await;
}
