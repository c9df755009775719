//! Which conversation a message belongs to: rules 7, 8, 9 and 10.

use std::time::Duration;

use super::*;
use crate::sweep;

#[tokio::test]
async fn a_message_to_or_from_a_number_belongs_to_the_one_open_conversation_and_all_managers_write_in_it() {
    let world = World::with_ann().await;
    let first = world.send_one(person("ann"), "Mia asks").await;
    let home = first.conversation_id.clone();
    world.clock.advance(Duration::from_secs(1));
    world.apply(&[world.text(ANN, OFFICE, "Ann answers")]).await;
    world.clock.advance(Duration::from_secs(1));
    let max = Some(manager("m-2", "Max"));
    let second = wire::SendMessagesRequest { manager: max, ..send(vec![conversation(&home)], "Max thanks") };
    world.send(second).await.unwrap();

    let messages = world.list_messages(ACME, &home).await.unwrap();
    assert_eq!(bodies(&messages), ["Max thanks", "Ann answers", "Mia asks"]);
    let managers: Vec<_> = messages.iter().map(|message| message.manager.clone()).collect();
    assert_eq!(managers, [Some(manager("m-2", "Max")), None, Some(manager("m-1", "Mia"))]);
    let answer = &messages[1];
    assert_eq!((answer.direction.as_str(), answer.status.as_str()), ("inbound", "received"));
    assert_eq!((answer.from.as_str(), answer.to.as_str()), (ANN, OFFICE));

    let conversations = world.list_conversations(ACME).await;
    assert_eq!(conversations.len(), 1);
    assert_eq!((conversations[0].number.as_str(), conversations[0].sendable), (ANN, true));
    assert_eq!(conversations[0].last_message.as_ref(), messages.first());
    // The recipient never sees a name.
    let queued = world.list_queued().await;
    assert_eq!(queued.iter().map(|each| each.body.as_str()).collect::<Vec<_>>(), ["Mia asks", "Max thanks"]);
    assert!(queued.iter().all(|each| each.to == ANN && each.priority() == wire::Priority::Reply));
    world.finish().await;
}

#[tokio::test]
async fn what_was_not_sent_to_the_number_currently_assigned_by_somebody_tied_is_kept_apart_for_30_days() {
    let world = World::with_ann().await;
    let (former, current) = (OFFICE, "+16462000200");
    world.assign(ACME, current, 2).await;
    let head = world.head(ACME).await;
    world
        .apply(&[
            world.text(ANN, former, "to the number before"),
            world.text(ANN, "+16462000999", "to nobody's number"),
            world.text(BOB, current, "from nobody we know"),
        ])
        .await;

    assert_eq!(world.list_conversations(ACME).await, []);
    let shown = kinds(&world.feed_after(ACME, head).await);
    assert_eq!(shown, ["unmatched.updated"], "nothing of it shows in a conversation");
    let apart: Vec<(String, Option<String>)> =
        sqlx::query_as("select body, license_id from unmatched_messages order by body")
            .fetch_all(world.pool())
            .await
            .unwrap();
    let expected = [("from nobody we know", Some(ACME)), ("to nobody's number", None), ("to the number before", None)];
    assert_eq!(apart, expected.map(|(body, license)| (body.to_owned(), license.map(str::to_owned))));

    world.clock.advance(Duration::from_hours(30 * 24));
    sweep::sweep_once(world.pool(), &world.clock).await.unwrap();
    assert_eq!(world.count("unmatched_messages").await, 3);
    world.clock.advance(Duration::from_secs(1));
    sweep::sweep_once(world.pool(), &world.clock).await.unwrap();
    assert_eq!(world.count("unmatched_messages").await, 0);
    world.finish().await;
}

#[tokio::test]
async fn news_of_an_older_assignment_that_comes_late_changes_nothing() {
    let world = World::start().await;
    world.assign(ACME, "+16462000200", 2).await;
    world.assign(ACME, OFFICE, 1).await;
    let entries = world.feed_after(ACME, 0).await;
    assert_eq!(kinds(&entries), ["number.changed"]);
    let Some(Content::NumberChanged(changed)) = &entries[0].content else { panic!("{entries:?}") };
    assert_eq!((changed.number.as_str(), changed.carrier.as_str()), ("+16462000200", "twilio"));
    world.finish().await;
}

#[tokio::test]
async fn when_a_persons_number_changes_the_new_number_gets_its_own_conversation_and_the_old_one_stays_readable() {
    let world = World::with_ann().await;
    let old = world.send_one(person("ann"), "to the old number").await.conversation_id;
    world.put_person(ACME, "ann", &[BOB]).await.unwrap();
    assert_flipped(&world, &old, false).await;

    let refused = world.send(send(vec![conversation(&old)], "too late")).await.unwrap();
    assert_eq!((codes(&refused.rejected), refused.messages), (vec!["number_no_longer_tied"], vec![]));
    let new = world.send_one(person("ann"), "to the new number").await;
    assert_ne!(new.conversation_id, old);
    assert_eq!(new.to, BOB);
    assert_eq!(bodies(&world.list_messages(ACME, &old).await.unwrap()), ["to the old number"]);
    world.finish().await;
}

#[tokio::test]
async fn if_one_of_the_same_people_gets_the_number_back_the_conversation_becomes_writable_again() {
    let world = World::with_ann().await;
    world.put_person(ACME, "bob", &[ANN]).await.unwrap();
    let home = world.send_one(person("ann"), "to both").await.conversation_id;
    world.put_person(ACME, "ann", &[]).await.unwrap();
    assert!(world.get_conversation(ACME, &home).await.unwrap().sendable, "Bob is still there");
    let request = wire::DeletePersonRequest { license_id: ACME.to_owned(), person_id: "bob".to_owned() };
    answer(world.people.clone().delete_person(request).await).unwrap();
    assert_flipped(&world, &home, false).await;
    world.put_person(ACME, "ann", &[BOB, ANN]).await.unwrap();
    assert_flipped(&world, &home, true).await;
    assert_eq!(world.send_one(conversation(&home), "again").await.conversation_id, home);
    world.finish().await;
}

#[tokio::test]
async fn if_somebody_else_gets_the_number_the_old_conversation_stays_closed_and_nobody_reads_a_strangers_messages() {
    let world = World::with_ann().await;
    let old = world.send_one(person("ann"), "for Ann only").await.conversation_id;
    world.put_person(ACME, "ann", &[]).await.unwrap();
    world.put_person(ACME, "bob", &[ANN]).await.unwrap();
    assert!(!world.get_conversation(ACME, &old).await.unwrap().sendable);
    let head = world.head(ACME).await;
    world.apply(&[world.text(ANN, OFFICE, "this is Bob")]).await;

    let shown = world.feed_after(ACME, head).await;
    assert_eq!(kinds(&shown), ["conversation.updated", "conversation.updated", "message.created"]);
    let Some(Content::MessageCreated(message)) = &shown[2].content else { panic!("{shown:?}") };
    let new = message.conversation_id.clone();
    assert_ne!(new, old);
    let names: Vec<_> =
        world.get_conversation(ACME, &new).await.unwrap().people.into_iter().map(|each| each.person_id).collect();
    assert_eq!(names, ["bob"]);

    // Ann gets it back too late: the two share it now, in the conversation that Bob's message opened.
    world.put_person(ACME, "ann", &[ANN]).await.unwrap();
    let closed = world.get_conversation(ACME, &old).await.unwrap();
    assert_eq!((closed.sendable, closed.reason.as_deref()), (false, Some("number_no_longer_tied")));
    let refused = world.send(send(vec![conversation(&old)], "no")).await.unwrap();
    assert_eq!(codes(&refused.rejected), ["number_no_longer_tied"]);
    assert_eq!(bodies(&world.list_messages(ACME, &old).await.unwrap()), ["for Ann only"]);
    assert_eq!(bodies(&world.list_messages(ACME, &new).await.unwrap()), ["this is Bob"]);
    world.finish().await;
}

#[tokio::test]
async fn two_people_may_share_a_number_and_a_batch_that_names_both_sends_one_message() {
    let world = World::with_ann().await;
    world.put_person(ACME, "bob", &[ANN]).await.unwrap();
    let sent = world.send(send(vec![person("bob"), person("ann"), person("bob")], "to you two")).await.unwrap();
    assert_eq!(codes(&sent.rejected), ["duplicate_recipient"; 2]);
    assert_eq!(sent.rejected[0].recipient, Some(person("ann")));
    assert_eq!(sent.messages.len(), 1);
    assert!(sent.batch_id.is_some() && sent.messages[0].batch_id == sent.batch_id);

    let conversations = world.list_conversations(ACME).await;
    assert_eq!(conversations.len(), 1);
    let names: Vec<_> = conversations[0].people.iter().map(|each| each.person_id.as_str()).collect();
    assert_eq!(names, ["ann", "bob"]);
    let queued = world.list_queued().await;
    assert_eq!(queued.len(), 1);
    assert_eq!(queued[0].priority(), wire::Priority::Batch);
    world.finish().await;
}

/// The last thing on the feed is that this conversation became writable or read-only.
async fn assert_flipped(world: &World, conversation_id: &str, sendable: bool) {
    let entries = world.feed_after(ACME, 0).await;
    let Some(Content::ConversationUpdated(shown)) = entries.last().and_then(|entry| entry.content.clone()) else {
        panic!("{:?}", kinds(&entries));
    };
    let reason = if sendable { None } else { Some("number_no_longer_tied".to_owned()) };
    assert_eq!((shown.conversation_id.as_str(), shown.sendable, &shown.reason), (conversation_id, sendable, &reason));
    assert_eq!(world.get_conversation(ACME, conversation_id).await.unwrap(), shown);
}
