//! Rule 12: what cannot receive SMS is refused as soon as it is known, with that reason.

use std::time::Duration;

use super::*;
use crate::sweep;

const CODE: &str = "cannot_receive_sms";

fn failed(world: &World, message_id: &str) -> dispatch::MessageProgressed {
    let error = dispatch::Error { code: CODE.to_owned(), detail: "A landline.".to_owned() };
    dispatch::MessageProgressed { error: Some(error), ..world.outcome(message_id, "failed") }
}

fn receipt(world: &World, message_id: &str, status: &str, code: &str) -> ingest::ReceiptReceived {
    let error = ingest::Error { code: code.to_owned(), detail: "The carrier says so.".to_owned(), limit: None };
    ingest::ReceiptReceived { error: Some(error), ..world.receipt(message_id, status) }
}

/// Ann's number turns out to be a landline. Returns her conversation.
async fn learn(world: &World) -> String {
    let message = world.send_one(person("ann"), "are you there?").await;
    world.apply(&[failed(world, &message.message_id)]).await;
    message.conversation_id
}

async fn state(world: &World, conversation_id: &str) -> (bool, Option<String>) {
    let conversation = world.get_conversation(ACME, conversation_id).await.unwrap();
    (conversation.sendable, conversation.reason)
}

#[tokio::test]
async fn what_cannot_receive_sms_is_refused_as_soon_as_it_is_known_with_that_reason() {
    let world = World::with_ann().await;
    world.put_person(ACME, "bob", &[BOB]).await.unwrap();
    let message = world.send_one(person("ann"), "are you there?").await;
    let (home, head) = (message.conversation_id, world.head(ACME).await);
    world.apply(&[failed(&world, &message.message_id)]).await;

    let shown = world.feed_after(ACME, head).await;
    assert_eq!(kinds(&shown), ["message.updated", "conversation.updated"]);
    let Some(Content::ConversationUpdated(flipped)) = &shown[1].content else { panic!("{shown:?}") };
    assert_eq!((flipped.sendable, flipped.reason.as_deref()), (false, Some(CODE)));
    assert_eq!(world.list_conversations(ACME).await, std::slice::from_ref(flipped));

    for recipient in [person("ann"), conversation(&home)] {
        let refused = world.send(send(vec![recipient.clone()], "again")).await.unwrap();
        assert_eq!((codes(&refused.rejected), refused.messages), (vec![CODE], vec![]));
        assert_eq!(refused.rejected[0].recipient, Some(recipient));
    }
    let batch = world.send(send(vec![person("ann"), person("bob"), conversation(&home)], "to all")).await.unwrap();
    assert_eq!((codes(&batch.rejected), batch.messages.len()), (vec![CODE; 2], 1));
    assert_eq!(world.list_queued().await.len(), 2, "the first one to Ann, and Bob's");

    // It is this license's experience. Another one makes its own.
    world.put_person("birch", "ann", &[ANN]).await.unwrap();
    let request = wire::SendMessagesRequest { license_id: "birch".to_owned(), ..send(vec![person("ann")], "hello") };
    assert_eq!(world.send(request).await.unwrap().messages.len(), 1);
    world.finish().await;
}

#[tokio::test]
async fn what_a_carrier_says_afterwards_is_remembered_the_same_way_and_other_failures_are_not() {
    for (status, code, refused) in [
        ("undelivered", CODE, true),
        ("failed", CODE, true),
        ("undelivered", "not_reachable", false),
        ("failed", "rejected_by_carrier", false),
    ] {
        let world = World::with_ann().await;
        let message = world.send_one(person("ann"), "hello").await;
        world.apply(&[receipt(&world, &message.message_id, status, code)]).await;
        let expected = if refused { (false, Some(CODE.to_owned())) } else { (true, None) };
        assert_eq!(state(&world, &message.conversation_id).await, expected, "{status} {code}");
        let again = world.send(send(vec![person("ann")], "again")).await.unwrap();
        assert_eq!(again.rejected.len(), usize::from(refused), "{status} {code}");
        world.finish().await;
    }
}

#[tokio::test]
async fn a_text_from_the_number_proves_that_it_can_and_what_was_said_before_that_does_not_count_again() {
    let world = World::with_ann().await;
    let message = world.send_one(person("ann"), "are you there?").await;
    let home = message.conversation_id;
    world.apply(&[receipt(&world, &message.message_id, "undelivered", CODE)]).await;
    assert_eq!(state(&world, &home).await, (false, Some(CODE.to_owned())));
    let head = world.head(ACME).await;
    world.apply(&[world.text(ANN, OFFICE, "I am")]).await;
    let shown = world.feed_after(ACME, head).await;
    assert_eq!(kinds(&shown), ["conversation.updated", "message.created"]);
    assert_eq!(state(&world, &home).await, (true, None));
    assert_eq!(world.send_one(person("ann"), "good").await.conversation_id, home);

    // The carrier repeats itself, and the outcome comes late: it says from which number the message went out.
    world.apply(&[receipt(&world, &message.message_id, "failed", CODE)]).await;
    world.apply(&[world.outcome(&message.message_id, "sending")]).await;
    assert_eq!(world.get_message(ACME, &message.message_id).await.unwrap().from, OFFICE);
    assert_eq!(state(&world, &home).await, (true, None));
    world.finish().await;
}

#[tokio::test]
async fn a_text_from_nobody_we_know_proves_it_too() {
    let world = World::with_ann().await;
    let home = learn(&world).await;
    world.put_person(ACME, "ann", &[]).await.unwrap();
    world.apply(&[world.text(ANN, OFFICE, "who are you?")]).await;
    assert_eq!(world.count("unmatched_messages").await, 1);
    world.put_person(ACME, "ann", &[ANN]).await.unwrap();
    assert_eq!(state(&world, &home).await, (true, None));
    world.finish().await;
}

#[tokio::test]
async fn after_90_days_a_carriers_word_is_not_believed_any_more() {
    let world = World::with_ann().await;
    let home = learn(&world).await;
    let head = world.head(ACME).await;
    world.clock.advance(Duration::from_hours(90 * 24));
    sweep::sweep_once(world.pool(), &world.clock).await.unwrap();
    assert_eq!(state(&world, &home).await, (false, Some(CODE.to_owned())));
    world.clock.advance(Duration::from_secs(1));
    let step = sweep::sweep_once(world.pool(), &world.clock).await.unwrap();
    assert_eq!((step.more, step.ranges.len()), (false, 1));
    assert_eq!(state(&world, &home).await, (true, None));
    assert_eq!(kinds(&world.feed_after(ACME, head).await), ["conversation.updated"]);
    world.send_one(person("ann"), "perhaps now").await;
    world.finish().await;
}

#[tokio::test]
async fn that_a_number_is_no_longer_tied_goes_before_that_it_cannot_receive_sms() {
    let world = World::with_ann().await;
    let home = learn(&world).await;
    world.put_person(ACME, "ann", &[BOB]).await.unwrap();
    let tie = "number_no_longer_tied";
    assert_eq!(state(&world, &home).await, (false, Some(tie.to_owned())));
    let refused = world.send(send(vec![conversation(&home)], "no")).await.unwrap();
    assert_eq!(codes(&refused.rejected), [tie]);
    // Her other number is another matter.
    assert_eq!(world.send_one(person("ann"), "hello").await.to, BOB);
    world.finish().await;
}
