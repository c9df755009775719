//! Sends to several recipients: what they do, how far they are, and how to stop them.

use chrono::{DateTime, TimeDelta, Utc};
use proto::from_timestamp;
use wire::sending_withdrawn::Of;

use super::*;
use crate::progress::tell_once;

const CAT: &str = "+14152000003";

impl World {
    /// With Ann, Bob and Cat.
    pub(super) async fn with_three() -> Self {
        let world = Self::with_ann().await;
        world.put_person(ACME, "bob", &[BOB]).await.unwrap();
        world.put_person(ACME, "cat", &[CAT]).await.unwrap();
        world
    }

    pub(super) async fn get_batch(&self, license_id: &str, batch_id: &str) -> Result<wire::Batch, Fault> {
        let request = wire::GetBatchRequest { license_id: license_id.to_owned(), batch_id: batch_id.to_owned() };
        answer(self.batches.clone().get_batch(request).await)
    }

    async fn cancel_batch(&self, batch_id: &str, by: wire::Manager) -> Result<wire::Batch, Fault> {
        let request =
            wire::CancelBatchRequest { license_id: ACME.to_owned(), batch_id: batch_id.to_owned(), manager: Some(by) };
        answer(self.batches.clone().cancel_batch(request).await)
    }

    async fn list_batch_messages(
        &self,
        request: wire::ListBatchMessagesRequest,
    ) -> Result<wire::ListBatchMessagesResponse, Fault> {
        answer(self.batches.clone().list_batch_messages(request).await)
    }

    pub(super) async fn preview(
        &self,
        request: wire::SendMessagesRequest,
    ) -> Result<wire::PreviewMessagesResponse, Fault> {
        answer(self.batches.clone().preview_messages(request).await)
    }

    /// What dispatch is told to stop.
    async fn list_withdrawn(&self) -> Vec<wire::SendingWithdrawn> {
        self.until_relayed().await;
        let stream = self.stream("CONVERSATIONS").await;
        let state = &stream.cached_info().state;
        let numbers = state.first_sequence.max(1)..=state.last_sequence;
        let stored = try_join_all(numbers.map(|number| stream.get_raw_message(number))).await.unwrap();
        let told = stored.iter().filter(|message| message.subject.ends_with(wire::SendingWithdrawn::SUBJECT));
        told.map(|message| wire::SendingWithdrawn::decode(message.payload.clone()).unwrap()).collect()
    }
}

pub(super) fn everybody() -> Vec<wire::Recipient> {
    vec![person("ann"), person("bob"), person("cat")]
}

fn counts(batch: &wire::Batch) -> Vec<(&str, u32)> {
    batch.counts.iter().map(|count| (count.status.as_str(), count.messages)).collect()
}

/// When the feed told of a batch.
fn told(entries: &[wire::FeedEntry]) -> Vec<DateTime<Utc>> {
    let of_batches = entries.iter().filter(|entry| matches!(entry.content, Some(Content::BatchUpdated(_))));
    of_batches.map(|entry| from_timestamp(entry.occurred_at).unwrap()).collect()
}

#[tokio::test]
async fn a_batch_goes_out_as_separate_messages_and_nobody_sees_the_others() {
    let world = World::with_three().await;
    let head = world.head(ACME).await;
    let sent = world.send(send(everybody(), "hello")).await.unwrap();
    let batch_id = sent.batch_id.clone().unwrap();

    let queued = world.list_queued().await;
    let to: Vec<&str> = queued.iter().map(|each| each.to.as_str()).collect();
    assert_eq!(to, [ANN, BOB, CAT], "as many separate messages, each to one number");
    for (queued, message) in queued.iter().zip(&sent.messages) {
        assert_eq!(queued.message_id, message.message_id);
        assert_eq!((queued.batch_id.as_ref(), queued.priority()), (Some(&batch_id), wire::Priority::Batch));
        let shown = world.list_messages(ACME, &message.conversation_id).await.unwrap();
        assert_eq!(shown.len(), 1, "nobody sees the others");
    }
    let batch = world.get_batch(ACME, &batch_id).await.unwrap();
    assert_eq!((batch.recipients, batch.rejected, batch.messages), (3, 0, 3));
    assert_eq!(counts(&batch), [("queued", 3)]);
    assert_eq!((batch.manager.clone(), batch.canceled_at), (Some(manager("m-1", "Mia")), None));
    let entries = world.feed_after(ACME, head).await;
    let shown = entries.iter().find_map(|entry| match &entry.content {
        Some(Content::BatchUpdated(batch)) => Some(batch),
        _ => None,
    });
    assert_eq!(shown, Some(&batch), "its creation is told");

    // One recipient is no batch, and goes before them.
    let alone = world.send_one(person("ann"), "you").await;
    assert_eq!(alone.batch_id, None);
    let last = world.list_queued().await.pop().unwrap();
    assert_eq!((last.batch_id.as_ref(), last.priority()), (None, wire::Priority::Reply));
    assert_eq!(world.count("batches").await, 1);
    world.finish().await;
}

#[tokio::test]
async fn one_bad_recipient_never_stops_the_others() {
    let world = World::with_three().await;
    for (id, number) in [("optout", phone(11)), ("landline", phone(12)), ("moved", phone(13)), ("chatty", phone(14))] {
        world.put_person(ACME, id, &[&number]).await.unwrap();
    }
    world.put_person(ACME, "twin", &[ANN]).await.unwrap();
    world.put_person(ACME, "nophone", &[]).await.unwrap();
    world.apply(&[world.text(&phone(11), OFFICE, "STOP")]).await;
    let refused = world.send_one(person("landline"), "hello?").await.message_id;
    let error = Some(dispatch::Error { code: "cannot_receive_sms".to_owned(), detail: "A landline.".to_owned() });
    world.apply(&[dispatch::MessageProgressed { error, ..world.outcome(&refused, "failed") }]).await;
    let old = world.send_one(person("moved"), "hello").await.conversation_id;
    world.put_person(ACME, "moved", &[&phone(15)]).await.unwrap();
    let seen = world.head(ACME).await;
    world.apply(&[world.text(&phone(14), OFFICE, "wait!")]).await;

    let recipients = vec![
        person("optout"),
        person("ann"),
        person("landline"),
        person("twin"),
        conversation(&old),
        person("nobody"),
        person("nophone"),
        person("chatty"),
        conversation("no id"),
        person("bob"),
    ];
    let request = wire::SendMessagesRequest { last_seen_seq: Some(seen), ..send(recipients.clone(), "to you all") };
    let preview = world.preview(request.clone()).await.unwrap();
    let sent = world.send(request).await.unwrap();
    let to: Vec<&str> = sent.messages.iter().map(|message| message.to.as_str()).collect();
    assert_eq!(to, [ANN, BOB]);
    let expected = [
        "recipient_opted_out",
        "cannot_receive_sms",
        "duplicate_recipient",
        "number_no_longer_tied",
        "person_not_found",
        "person_has_no_phone",
        "conversation_moved_on",
        "conversation_not_found",
    ];
    assert_eq!(codes(&sent.rejected), expected);
    assert_eq!(preview.rejected, sent.rejected, "the preview tells the truth beforehand");
    let batch = world.get_batch(ACME, &sent.batch_id.unwrap()).await.unwrap();
    assert_eq!((batch.recipients, batch.rejected, batch.messages), (10, 8, 2));
    world.finish().await;
}

#[tokio::test]
async fn a_send_that_was_refused_whole_is_no_batch() {
    let world = World::with_ann().await;
    let head = world.head(ACME).await;
    let refused = world.send(send(vec![person("nobody"), person("somebody")], "hello")).await.unwrap();
    assert_eq!((codes(&refused.rejected).len(), refused.batch_id), (2, None));
    assert_eq!(world.count("batches").await, 0);
    assert_eq!(world.head(ACME).await, head);
    world.finish().await;
}

#[tokio::test]
async fn a_preview_says_what_the_send_does_then_and_changes_nothing() {
    let world = World::with_three().await;
    world.put_person(ACME, "twin", &[CAT]).await.unwrap();
    let open = world.send_one(person("bob"), "earlier").await.conversation_id;
    let head = world.head(ACME).await;
    let mut recipients = everybody();
    recipients.push(person("twin"));
    recipients.push(conversation(&open));
    let request = keyed("k-1", &send(recipients, &format!("{{{{person.name}}}} {}", "x".repeat(155))));
    let preview = world.preview(request.clone()).await.unwrap();
    for table in ["batches", "idempotency"] {
        assert_eq!(world.count(table).await, 0, "{table}");
    }
    assert_eq!((world.count("messages").await, world.count("conversations").await), (1, 1));
    assert_eq!(world.head(ACME).await, head);

    let sent = world.send(request).await.unwrap();
    assert_eq!(codes(&sent.rejected), ["duplicate_recipient", "duplicate_recipient"]);
    assert_eq!(preview.rejected, sent.rejected);
    assert_eq!(preview.messages.len(), sent.messages.len());
    for (previewed, message) in preview.messages.iter().zip(&sent.messages) {
        assert_eq!((&previewed.to, &previewed.body), (&message.to, &message.body));
        assert_eq!(previewed.segments, message.segments);
    }
    let named: Vec<_> = preview.messages.iter().map(|each| each.recipient.clone().unwrap()).collect();
    assert_eq!(named, everybody());
    let homes: Vec<_> = preview.messages.iter().map(|each| each.conversation_id.as_deref()).collect();
    assert_eq!(homes, [None, Some(open.as_str()), None]);
    assert_eq!(preview.segments, 3, "one each: three characters of a name, a space and 155");

    let refused = world.preview(send(everybody(), "{{person.shoe_size}}")).await;
    assert_eq!(refusal(refused), ("unknown_merge_field".to_owned(), Some("body".to_owned())));
    world.finish().await;
}

#[tokio::test]
async fn progress_of_a_batch_is_told_at_most_twice_a_second() {
    let world = World::start().await;
    world.assign(ACME, OFFICE, 1).await;
    let mut recipients = Vec::new();
    for n in 0..12 {
        world.put_person(ACME, &format!("p-{n}"), &[&phone(n)]).await.unwrap();
        recipients.push(person(&format!("p-{n}")));
    }
    let head = world.head(ACME).await;
    let sent = world.send(send(recipients, "hello")).await.unwrap();
    for message in &sent.messages {
        world.clock.advance(Duration::from_millis(100));
        world.apply(&[world.receipt(&message.message_id, "delivered")]).await;
        // Two replicas look.
        let (first, second) =
            tokio::join!(tell_once(world.pool(), &world.clock), tell_once(world.pool(), &world.clock));
        first.unwrap();
        second.unwrap();
    }
    let entries = world.feed_after(ACME, head).await;
    let times = told(&entries);
    // Created at 0, then at half a second and at one second; the last two changes wait.
    assert_eq!(times.len(), 3, "{times:?}");
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= TimeDelta::milliseconds(500)), "{times:?}");
    assert_eq!(kinds(&entries).last(), Some(&"message.updated"));

    // The last change is always told, once.
    for _ in 0..3 {
        world.clock.advance(Duration::from_millis(500));
        tell_once(world.pool(), &world.clock).await.unwrap();
    }
    let entries = world.feed_after(ACME, head).await;
    assert_eq!((told(&entries).len(), kinds(&entries).last()), (4, Some(&"batch.updated")));
    let Some(Content::BatchUpdated(batch)) = &entries.last().unwrap().content else { panic!("{entries:?}") };
    assert_eq!(counts(batch), [("delivered", 12)]);
    world.finish().await;
}

#[tokio::test]
async fn what_says_nothing_new_of_a_batch_is_not_told() {
    let world = World::with_three().await;
    let sent = world.send(send(everybody(), "hello")).await.unwrap();
    let id = &sent.messages[0].message_id;
    world.apply(&[world.receipt(id, "delivered")]).await;
    world.clock.advance(Duration::from_secs(1));
    tell_once(world.pool(), &world.clock).await.unwrap();
    let head = world.head(ACME).await;
    // The outcome comes after the receipt: it says the number it went out from, and no other status.
    world.apply(&[world.outcome(id, "sending")]).await;
    let alone = world.send_one(person("ann"), "you").await;
    world.apply(&[world.receipt(&alone.message_id, "delivered")]).await;
    world.clock.advance(Duration::from_secs(1));
    tell_once(world.pool(), &world.clock).await.unwrap();
    assert!(told(&world.feed_after(ACME, head).await).is_empty());
    world.finish().await;
}

#[tokio::test]
async fn a_canceled_batch_is_withdrawn_once_and_says_who_stopped_it() {
    let world = World::with_three().await;
    let sent = world.send(send(everybody(), "hello")).await.unwrap();
    let batch_id = sent.batch_id.clone().unwrap();
    world.clock.advance(Duration::from_secs(1));
    world.apply(&[world.receipt(&sent.messages[0].message_id, "delivered")]).await;
    tell_once(world.pool(), &world.clock).await.unwrap();
    let head = world.head(ACME).await;

    world.clock.advance(Duration::from_secs(1));
    let canceled = world.cancel_batch(&batch_id, manager("m-2", "Max")).await.unwrap();
    assert_eq!(canceled.canceled_by, Some(manager("m-2", "Max")));
    assert_eq!(canceled.canceled_at, Some(to_timestamp(world.clock.now())));
    assert_eq!(kinds(&world.feed_after(ACME, head).await), ["batch.updated"]);
    // Again, by somebody else: the first one stays.
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.cancel_batch(&batch_id, manager("m-3", "Moe")).await.unwrap(), canceled);
    assert_eq!(kinds(&world.feed_after(ACME, head).await), ["batch.updated"]);
    let withdrawn = world.list_withdrawn().await;
    assert_eq!(withdrawn.len(), 1);
    assert_eq!((withdrawn[0].license_id.as_str(), &withdrawn[0].of), (ACME, &Some(Of::BatchId(batch_id.clone()))));

    for message in &sent.messages[1..] {
        let outcome = world.outcome(&message.message_id, "canceled");
        world.apply(&[dispatch::MessageProgressed { from: None, carrier_message_id: None, ..outcome }]).await;
    }
    let batch = world.get_batch(ACME, &batch_id).await.unwrap();
    assert_eq!(counts(&batch), [("canceled", 2), ("delivered", 1)]);
    world.finish().await;
}

#[tokio::test]
async fn a_cancel_right_after_a_tale_is_told_with_the_next_one() {
    let world = World::with_three().await;
    let batch_id = world.send(send(everybody(), "hello")).await.unwrap().batch_id.unwrap();
    let head = world.head(ACME).await;
    let canceled = world.cancel_batch(&batch_id, manager("m-2", "Max")).await.unwrap();
    assert!(canceled.canceled_at.is_some());
    tell_once(world.pool(), &world.clock).await.unwrap();
    assert_eq!(world.head(ACME).await, head);
    world.clock.advance(Duration::from_millis(500));
    tell_once(world.pool(), &world.clock).await.unwrap();
    assert_eq!(kinds(&world.feed_after(ACME, head).await), ["batch.updated"]);
    world.finish().await;
}

#[tokio::test]
async fn messages_of_a_batch_are_listed_in_the_order_of_its_recipients_and_by_status() {
    let world = World::with_three().await;
    let recipients = vec![person("cat"), person("ann"), person("bob")];
    let sent = world.send(send(recipients, "hello")).await.unwrap();
    world.send(send(everybody(), "another")).await.unwrap();
    world.apply(&[world.receipt(&sent.messages[1].message_id, "delivered")]).await;
    let all = wire::ListBatchMessagesRequest {
        license_id: ACME.to_owned(),
        batch_id: sent.batch_id.clone().unwrap(),
        limit: 2,
        ..Default::default()
    };
    let first = world.list_batch_messages(all.clone()).await.unwrap();
    let request = wire::ListBatchMessagesRequest { cursor: first.next_cursor.clone(), ..all.clone() };
    let second = world.list_batch_messages(request).await.unwrap();
    assert_eq!(second.next_cursor, "");
    let ids: Vec<_> = first.messages.iter().chain(&second.messages).map(|each| &each.message_id).collect();
    assert_eq!(ids, sent.messages.iter().map(|each| &each.message_id).collect::<Vec<_>>());

    let request = wire::ListBatchMessagesRequest { status: "delivered".to_owned(), ..all.clone() };
    let delivered = world.list_batch_messages(request).await.unwrap();
    assert_eq!((delivered.messages.len(), delivered.messages[0].to.as_str()), (1, ANN));
    assert_eq!(delivered.next_cursor, "");
    for (request, code, field) in [
        (wire::ListBatchMessagesRequest { status: "lost".to_owned(), ..all.clone() }, "unknown_status", Some("status")),
        (wire::ListBatchMessagesRequest { cursor: "x".to_owned(), ..all.clone() }, "invalid_cursor", Some("cursor")),
        (wire::ListBatchMessagesRequest { limit: 0, ..all.clone() }, "out_of_range", Some("limit")),
        (wire::ListBatchMessagesRequest { license_id: "birch".to_owned(), ..all.clone() }, "batch_not_found", None),
        (wire::ListBatchMessagesRequest { batch_id: "x".to_owned(), ..all.clone() }, "batch_not_found", None),
    ] {
        let refused = refusal(world.list_batch_messages(request).await);
        assert_eq!(refused, (code.to_owned(), field.map(str::to_owned)));
    }
    world.finish().await;
}

#[tokio::test]
async fn batches_are_listed_newest_first_and_those_of_another_license_are_not_there() {
    let world = World::with_three().await;
    let mut sent = Vec::new();
    for n in 0..5 {
        // The third and the fourth at one moment.
        world.clock.advance(Duration::from_secs(u64::from(n != 3)));
        sent.insert(0, world.send(send(everybody(), "hello")).await.unwrap().batch_id.unwrap());
    }
    let (mut listed, mut cursor) = (Vec::new(), String::new());
    loop {
        let request = wire::ListBatchesRequest { license_id: ACME.to_owned(), limit: 2, cursor };
        let page = answer(world.batches.clone().list_batches(request).await).unwrap();
        listed.extend(page.batches.into_iter().map(|batch| batch.batch_id));
        cursor = page.next_cursor;
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(listed, sent);
    let request = wire::ListBatchesRequest { license_id: "birch".to_owned(), limit: 2, cursor: String::new() };
    assert_eq!(answer(world.batches.clone().list_batches(request).await).unwrap().batches, []);
    assert_eq!(refusal(world.get_batch("birch", &sent[0]).await).0, "batch_not_found");
    let request = wire::CancelBatchRequest {
        license_id: "birch".to_owned(),
        batch_id: sent[0].clone(),
        manager: Some(manager("m-9", "Sly")),
    };
    assert_eq!(refusal(answer(world.batches.clone().cancel_batch(request).await)).0, "batch_not_found");
    assert_eq!(world.get_batch(ACME, &sent[0]).await.unwrap().canceled_at, None);
    world.finish().await;
}
