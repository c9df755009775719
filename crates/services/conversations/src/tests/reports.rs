//! Answers and receipts as carriers send them: doubled, late and in any order.

use proto::from_timestamp;

use super::*;

#[tokio::test]
async fn a_doubled_webhook_makes_one_message() {
    let world = World::with_ann().await;
    let text = world.text(ANN, OFFICE, "once");
    let id = Uuid::now_v7().to_string();
    world.publish(&text, &id).await;
    world.publish(&text, &id).await;
    world.until_applied::<ingest::MessageReceived>(std::slice::from_ref(&id)).await;
    // Put back from the dead letters: the stream takes it, the inbox knows it.
    publish_again(&world, &text, &id).await;
    // The carrier's repeat as another event, alone and twice in one batch.
    world.apply(std::slice::from_ref(&text)).await;
    world.apply(&[text.clone(), text.clone()]).await;
    let other = world.text(ANN, OFFICE, "another");
    world.apply(&[other.clone(), other]).await;

    let conversations = world.list_conversations(ACME).await;
    assert_eq!(conversations.len(), 1);
    let messages = world.list_messages(ACME, &conversations[0].conversation_id).await.unwrap();
    assert_eq!(bodies(&messages), ["another", "once"]);
    let shown = kinds(&world.feed_after(ACME, 2).await);
    assert_eq!(shown, ["conversation.updated", "message.created", "message.created"]);
    world.finish().await;
}

/// Under a message id of its own, so that the stream does not refuse it, and the event id it had.
pub(super) async fn publish_again<E: Event>(world: &World, event: &E, event_id: &str) {
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Nats-Msg-Id", Uuid::now_v7().to_string().as_str());
    headers.insert("Leaseline-Event-Id", event_id);
    let stored = jetstream::new(world.bus.client().clone())
        .publish_with_headers(world.bus.subject(E::SUBJECT), headers, event.encode_to_vec().into())
        .await
        .unwrap();
    assert!(!stored.await.unwrap().duplicate);
}

#[tokio::test]
async fn receipts_in_any_order_never_move_a_status_back_and_end_the_same() {
    const RANKS: [&str; 4] = ["queued", "sending", "sent", "delivered"];
    let world = World::with_ann().await;
    for order in [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]] {
        let id = world.send_one(person("ann"), "hello").await.message_id;
        let start = world.clock.now();
        let at = |rank: usize| Some(to_timestamp(start + chrono::TimeDelta::seconds(i64::try_from(rank).unwrap())));
        let mut highest = 0;
        for rank in order {
            // Each of them twice: the second time changes nothing.
            for _ in 0..2 {
                if rank == 1 {
                    let outcome = world.outcome(&id, RANKS[rank]);
                    world.apply(&[dispatch::MessageProgressed { occurred_at: at(rank), ..outcome }]).await;
                } else {
                    let receipt = world.receipt(&id, RANKS[rank]);
                    world.apply(&[ingest::ReceiptReceived { received_at: at(rank), ..receipt }]).await;
                }
            }
            highest = highest.max(rank);
            assert_eq!(world.get_message(ACME, &id).await.unwrap().status, RANKS[highest], "{order:?}");
        }
        let message = world.get_message(ACME, &id).await.unwrap();
        assert_eq!((message.from.as_str(), message.sent_at, message.delivered_at), (OFFICE, at(2), at(3)));
        assert_eq!(message.error, None);
    }
    world.finish().await;
}

#[tokio::test]
async fn a_receipt_that_arrives_twice_is_shown_once_and_reports_of_one_batch_are_one_change() {
    let world = World::with_ann().await;
    let id = world.send_one(person("ann"), "hello").await.message_id;
    let head = world.head(ACME).await;
    world.apply(&[world.receipt(&id, "sent")]).await;
    world.apply(&[world.receipt(&id, "sent")]).await;
    let entries = world.feed_after(ACME, head).await;
    assert_eq!(kinds(&entries), ["message.updated"]);
    let Some(Content::MessageUpdated(shown)) = &entries[0].content else { panic!("{entries:?}") };
    assert_eq!((shown.message_id.as_str(), shown.status.as_str()), (id.as_str(), "sent"));
    world.finish().await;
}

#[tokio::test]
async fn an_outcome_that_comes_after_the_receipt_still_says_which_number_it_was() {
    let world = World::with_ann().await;
    let id = world.send_one(person("ann"), "hello").await.message_id;
    world.apply(&[world.receipt(&id, "delivered")]).await;
    assert_eq!(world.get_message(ACME, &id).await.unwrap().from, "");
    let outcome = dispatch::MessageProgressed { segments: Some(3), ..world.outcome(&id, "sending") };
    world.apply(&[outcome]).await;
    let message = world.get_message(ACME, &id).await.unwrap();
    assert_eq!((message.status.as_str(), message.from.as_str(), message.segments), ("delivered", OFFICE, 3));
    world.finish().await;
}

#[tokio::test]
async fn a_failure_says_why_and_what_the_carrier_said_first_stays() {
    let world = World::with_ann().await;
    let id = world.send_one(person("ann"), "hello").await.message_id;
    world.apply(&[world.outcome(&id, "unknown")]).await;
    assert_eq!(world.get_message(ACME, &id).await.unwrap().status, "unknown");
    let error =
        Some(ingest::Error { code: "not_reachable".to_owned(), detail: "The phone is off.".to_owned(), limit: None });
    world.apply(&[ingest::ReceiptReceived { error, ..world.receipt(&id, "undelivered") }]).await;
    world.apply(&[world.receipt(&id, "delivered")]).await;
    let message = world.get_message(ACME, &id).await.unwrap();
    assert_eq!(message.status, "undelivered");
    assert_eq!(message.delivered_at, None);
    let error = wire::Error { code: "not_reachable".to_owned(), detail: "The phone is off.".to_owned() };
    assert_eq!(message.error, Some(error));
    world.finish().await;
}

#[tokio::test]
async fn a_report_changes_no_message_that_is_gone_and_none_that_came_in() {
    let world = World::with_ann().await;
    world.apply(&[world.text(ANN, OFFICE, "hello")]).await;
    let home = world.list_conversations(ACME).await.remove(0);
    let inbound = home.last_message.unwrap();
    let head = world.head(ACME).await;
    world
        .apply(&[world.receipt(&inbound.message_id, "delivered"), world.receipt(&Uuid::now_v7().to_string(), "sent")])
        .await;
    assert_eq!(world.get_message(ACME, &inbound.message_id).await.unwrap(), inbound);
    assert_eq!(world.head(ACME).await, head);
    world.finish().await;
}

#[tokio::test]
async fn messages_show_in_the_order_in_which_they_came_whatever_order_the_stream_has() {
    let world = World::with_ann().await;
    let start = world.clock.now();
    let at = |seconds| Some(to_timestamp(start + chrono::TimeDelta::seconds(seconds)));
    let texts = [(3, "third"), (1, "first"), (2, "second")]
        .map(|(second, body)| ingest::MessageReceived { received_at: at(second), ..world.text(ANN, OFFICE, body) });
    for text in texts {
        world.apply(&[text]).await;
    }
    let home = world.list_conversations(ACME).await.remove(0);
    let messages = world.list_messages(ACME, &home.conversation_id).await.unwrap();
    assert_eq!(bodies(&messages), ["third", "second", "first"]);
    assert_eq!(home.last_message.as_ref(), messages.first());
    assert_eq!(from_timestamp(messages[0].created_at).ok(), Some(start + chrono::TimeDelta::seconds(3)));
    world.finish().await;
}
