//! Deleting a conversation: rule 11. What waits in queues and dead letters is in `erasing.rs`.

use futures_util::future::join;
use tokio::time::timeout;

use super::*;

impl World {
    /// Mia deletes a conversation.
    pub(super) async fn delete(&self, conversation_id: &str) -> Result<wire::DeletionReceipt, Fault> {
        self.delete_as(manager("m-1", "Mia"), ACME, conversation_id).await
    }

    async fn delete_as(
        &self,
        manager: wire::Manager,
        license_id: &str,
        conversation_id: &str,
    ) -> Result<wire::DeletionReceipt, Fault> {
        let request = deletion(manager, license_id, conversation_id);
        answer(self.conversations.clone().delete_conversation(request).await)
    }

    async fn count_where(&self, condition: &'static str) -> i64 {
        let counted = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select count(*) from {condition}")));
        counted.fetch_one(self.pool()).await.unwrap()
    }
}

pub(super) fn deletion(
    manager: wire::Manager,
    license_id: &str,
    conversation_id: &str,
) -> wire::DeleteConversationRequest {
    wire::DeleteConversationRequest {
        license_id: license_id.to_owned(),
        conversation_id: conversation_id.to_owned(),
        manager: Some(manager),
    }
}

#[tokio::test]
async fn what_remains_is_a_receipt_without_content_who_when_how_many() {
    let world = World::with_ann().await;
    world.put_person(ACME, "bob", &[BOB]).await.unwrap();
    let home = world.send_one(person("ann"), "hello").await.conversation_id;
    let other = world.send_one(person("bob"), "for Bob").await;
    world.apply(&[world.text(ANN, OFFICE, "STOP")]).await;
    world.apply(&[world.call("CA-1", Some(ANN))]).await;
    let head = world.head(ACME).await;
    world.clock.advance(Duration::from_mins(1));
    let receipt = world.delete(&home).await.unwrap();

    let expected = wire::DeletionReceipt {
        conversation_id: home.clone(),
        deleted_by: Some(manager("m-1", "Mia")),
        deleted_at: Some(to_timestamp(world.clock.now())),
        messages: 2,
    };
    assert_eq!(receipt, expected);
    let shown = world.feed_after(ACME, head).await;
    assert_eq!(kinds(&shown), ["conversation.deleted", "call.updated"]);
    let Some(Content::ConversationDeleted(deleted)) = &shown[0].content else { panic!("{shown:?}") };
    assert_eq!(deleted.receipt.as_ref(), Some(&receipt));
    // The call was made; it only leads nowhere now.
    assert_eq!(world.list_calls().await[0].conversation_id, None);

    assert_eq!(refusal(world.get_conversation(ACME, &home).await).0, "conversation_not_found");
    assert_eq!(refusal(world.list_messages(ACME, &home).await).0, "conversation_not_found");
    let refused = world.send(send(vec![conversation(&home)], "still there?")).await.unwrap();
    assert_eq!(codes(&refused.rejected), ["conversation_not_found"]);
    let rest = world.list_conversations(ACME).await;
    assert_eq!(rest.len(), 1);
    assert_eq!(world.list_messages(ACME, &other.conversation_id).await.unwrap(), [other]);
    for table in ["conversation_people", "conversations", "messages"] {
        assert_eq!(world.count(table).await, 1, "{table}: Bob's");
    }
    assert_eq!(world.count("conversation_events").await, 0);
    // What a person wants is the number's, not the conversation's.
    let refused = world.send(send(vec![person("ann")], "hello")).await.unwrap();
    assert_eq!(codes(&refused.rejected), ["recipient_opted_out"]);
    world.finish().await;
}

#[tokio::test]
async fn deleting_again_answers_the_first_receipt() {
    let world = World::with_ann().await;
    let home = world.send_one(person("ann"), "hello").await.conversation_id;
    // Else it may be taken back.
    world.until_relayed().await;
    let first = world.delete(&home).await.unwrap();
    let head = world.head(ACME).await;
    world.clock.advance(Duration::from_mins(1));
    assert_eq!(world.delete_as(manager("m-2", "Noah"), ACME, &home).await.unwrap(), first);
    assert_eq!(world.head(ACME).await, head, "nothing happens the second time");
    world.until_relayed().await;
    assert_eq!(world.count("deletions").await, 1);
    assert_eq!(world.stream("CONVERSATIONS").await.cached_info().state.messages, 2, "the message and one withdrawal");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_deletions_at_once_answer_the_same_receipt() {
    let world = World::with_ann().await;
    let home = world.send_one(person("ann"), "hello").await.conversation_id;
    let head = world.head(ACME).await;
    let managers = ["m-1", "m-2", "m-3", "m-4"].map(|id| manager(id, "Somebody"));
    let receipts = try_join_all(managers.map(|manager| world.delete_as(manager, ACME, &home))).await.unwrap();
    assert!(receipts.iter().all(|receipt| *receipt == receipts[0]), "{receipts:?}");
    assert_eq!(kinds(&world.feed_after(ACME, head).await), ["conversation.deleted"]);
    world.finish().await;
}

#[tokio::test]
async fn a_conversation_that_never_was_or_is_another_licenses_is_not_found() {
    let world = World::with_ann().await;
    let home = world.send_one(person("ann"), "hello").await.conversation_id;
    for (license_id, id) in [(ACME, "x"), (ACME, &Uuid::now_v7().to_string()), ("birch", &home)] {
        let refused = refusal(world.delete_as(manager("m-1", "Mia"), license_id, id).await);
        assert_eq!(refused.0, "conversation_not_found");
    }
    let refused = refusal(world.delete_as(manager("", "Mia"), ACME, &home).await);
    assert_eq!(refused, ("invalid_id".to_owned(), Some("sub".to_owned())));
    assert_eq!(world.count("messages").await, 1);
    world.finish().await;
}

#[tokio::test]
async fn a_late_receipt_does_not_resurrect_a_deleted_conversation() {
    let world = World::with_ann().await;
    let sent = world.send_one(person("ann"), "hello").await;
    let text = world.text(ANN, OFFICE, "hi");
    let id = Uuid::now_v7().to_string();
    world.publish(&text, &id).await;
    world.until_applied::<ingest::MessageReceived>(std::slice::from_ref(&id)).await;
    world.delete(&sent.conversation_id).await.unwrap();
    let head = world.head(ACME).await;

    let error =
        Some(ingest::Error { code: "cannot_receive_sms".to_owned(), detail: "A landline.".to_owned(), limit: None });
    let (receipt, outcome) = (world.receipt(&sent.message_id, "delivered"), world.outcome(&sent.message_id, "failed"));
    world.apply(&[receipt.clone(), ingest::ReceiptReceived { error, ..receipt }]).await;
    let error = Some(dispatch::Error { code: "cannot_receive_sms".to_owned(), detail: "A landline.".to_owned() });
    world.apply(&[dispatch::MessageProgressed { error, ..outcome }]).await;
    // The carrier repeats its webhook, or somebody puts a dead letter back: the event is the same.
    super::reports::publish_again(&world, &text, &id).await;
    world.until_digested(&consumer_of::<ingest::MessageReceived>()).await;

    assert_eq!(world.list_conversations(ACME).await, []);
    assert_eq!((world.count("messages").await, world.head(ACME).await), (0, head));
    assert_eq!(world.count("textless_numbers").await, 0, "nothing is learned from what is gone");
    world.finish().await;
}

#[tokio::test]
async fn a_later_message_opens_a_new_conversation() {
    let world = World::with_ann().await;
    let first = world.send_one(person("ann"), "hello").await.conversation_id;
    world.delete(&first).await.unwrap();
    world.apply(&[world.text(ANN, OFFICE, "who is this?")]).await;
    let second = world.list_conversations(ACME).await.remove(0).conversation_id;
    assert_ne!(second, first);
    assert_eq!(bodies(&world.list_messages(ACME, &second).await.unwrap()), ["who is this?"]);
    assert_eq!(world.delete(&second).await.unwrap().messages, 1);
    let third = world.send_one(person("ann"), "it is us").await;
    assert!(![first, second].contains(&third.conversation_id));
    assert_eq!(world.list_messages(ACME, &third.conversation_id).await.unwrap(), [third]);
    world.finish().await;
}

#[tokio::test]
async fn unread_counts_forget_a_deleted_conversation() {
    let world = World::with_ann().await;
    world.put_person(ACME, "bob", &[BOB]).await.unwrap();
    assert_eq!(world.unread("m-1").await, (vec![], 0));
    world.texts(&[(BOB, "hello"), (ANN, "one"), (ANN, "two")]).await;
    // She has read one of Ann's, he came later, and m-3 has read all of Ann's.
    let home = world.list_conversations(ACME).await.remove(0).conversation_id;
    let one = world.find_message(&home, "one").await.message_id;
    assert_eq!(world.mark("m-1", &home, &one).await.unwrap(), (1, 2));
    assert_eq!(world.unread("m-2").await, (vec![0, 0], 0));
    assert_eq!(world.unread("m-3").await, (vec![0, 0], 0));
    world.texts(&[(ANN, "three")]).await;
    let three = world.find_message(&home, "three").await.message_id;
    assert_eq!(world.mark("m-3", &home, &three).await.unwrap(), (0, 0));
    assert_eq!(world.unread("m-1").await, (vec![2, 1], 3));
    assert_eq!(world.unread("m-2").await, (vec![1, 0], 1));

    world.delete(&home).await.unwrap();
    for (manager_id, unread) in [("m-1", 1), ("m-2", 0), ("m-3", 0), ("m-4", 0)] {
        assert_eq!(world.unread(manager_id).await, (vec![u32::try_from(unread).unwrap()], unread), "{manager_id}");
    }
    world.texts(&[(ANN, "again")]).await;
    for (manager_id, unread) in [("m-1", (vec![1, 1], 2)), ("m-2", (vec![1, 0], 1)), ("m-3", (vec![1, 0], 1))] {
        assert_eq!(world.unread(manager_id).await, unread, "{manager_id}");
    }
    world.finish().await;
}

#[tokio::test]
async fn a_repeated_key_after_a_deletion_sends_nothing_and_answers_without_what_is_gone() {
    let world = World::with_ann().await;
    world.put_person(ACME, "bob", &[BOB]).await.unwrap();
    let request = keyed("k-1", &send(vec![person("ann"), person("bob"), person("eve")], "hello"));
    let sent = world.send(request.clone()).await.unwrap();
    world.delete(&sent.messages[0].conversation_id).await.unwrap();
    let again = world.send(request).await.unwrap();
    assert_eq!((again.batch_id, again.rejected), (sent.batch_id, sent.rejected));
    assert_eq!(again.messages, sent.messages[1..]);
    assert_eq!(world.count("messages").await, 1);
    // What was not published yet when its conversation was deleted was taken back.
    let queued: Vec<String> = world.list_queued().await.into_iter().map(|queued| queued.message_id).collect();
    let first: Vec<String> = sent.messages.into_iter().map(|message| message.message_id).collect();
    assert!(queued == first || queued == first[1..], "{queued:?} of {first:?}");
    world.finish().await;
}

/// Reports lock messages first and their license last. A deletion that waited for them would have to die with them.
#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_holds_up_nobody_while_somebody_has_a_message_of_it_in_hand() {
    let world = World::with_ann().await;
    world.put_person(ACME, "bob", &[BOB]).await.unwrap();
    let home = world.send_one(person("ann"), "hello").await.conversation_id;
    let mut report = world.pool().begin().await.unwrap();
    sqlx::query("select from messages for update").execute(&mut *report).await.unwrap();
    let deleting = async {
        let receipt = world.delete(&home).await.unwrap();
        assert_eq!(receipt.messages, 1);
    };
    let others = async {
        // Far sooner than PostgreSQL looks for a deadlock.
        let sent = timeout(Duration::from_millis(800), world.send_one(person("bob"), "hello")).await;
        assert!(sent.is_ok(), "the license is locked");
        sqlx::query("set local deadlock_timeout = '1min'").execute(&mut *report).await.unwrap();
        let license = sqlx::query("select from licenses where license_id = 'acme' for update");
        timeout(Duration::from_millis(800), license.execute(&mut *report)).await.expect("no deadlock").unwrap();
        report.commit().await.unwrap();
    };
    join(deleting, others).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_among_reports_about_its_messages_ends_and_so_do_they() {
    let world = World::with_ann().await;
    let mut sent = Vec::new();
    for _ in 0..60 {
        sent.push(world.send_one(person("ann"), "hello").await);
    }
    let receipts: Vec<_> = sent.iter().map(|message| world.receipt(&message.message_id, "sent")).collect();
    let outcomes: Vec<_> = sent.iter().map(|message| world.outcome(&message.message_id, "sending")).collect();
    let reports = join(world.apply(&receipts), world.apply(&outcomes));
    let (receipt, _) = join(world.delete(&sent[0].conversation_id), reports).await;
    assert_eq!((receipt.unwrap().messages, world.count("messages").await), (60, 0));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_while_a_batch_is_accepted_leaves_no_message_without_its_conversation() {
    const PEOPLE: u32 = 40;
    let world = World::start().await;
    world.assign(ACME, OFFICE, 1).await;
    for n in 0..PEOPLE {
        world.put_person(ACME, &format!("p-{n}"), &[&phone(n)]).await.unwrap();
    }
    let everybody: Vec<_> = (0..PEOPLE).map(|n| person(&format!("p-{n}"))).collect();
    let first = world.send(send(everybody.clone(), "one")).await.unwrap();
    let deleted: Vec<&str> = first.messages.iter().step_by(2).map(|message| message.conversation_id.as_str()).collect();
    let batch = world.send(send(everybody, "two"));
    let deletions = try_join_all(deleted.iter().map(|id| world.delete(id)));
    let (batch, receipts) = join(batch, deletions).await;

    let (batch, receipts) = (batch.unwrap(), receipts.unwrap());
    assert_eq!((batch.messages.len(), batch.rejected.len()), (40, 0), "everybody is still there to be written to");
    let erased: u32 = receipts.iter().map(|receipt| receipt.messages).sum();
    assert_eq!(world.count("messages").await, i64::from(2 * PEOPLE - erased));
    let lost = "messages m where not exists (
      select from conversations c where c.license_id = m.license_id and c.conversation_id = m.conversation_id)";
    assert_eq!(world.count_where(lost).await, 0);
    for message in batch.messages.iter().filter(|message| !deleted.contains(&message.conversation_id.as_str())) {
        assert_eq!(world.get_message(ACME, &message.message_id).await.as_ref(), Ok(message));
    }
    let head = world.head(ACME).await;
    assert_eq!(seqs(&world.feed_after(ACME, 0).await), (1..=head).collect::<Vec<_>>());
    world.finish().await;
}

#[tokio::test]
async fn a_long_conversation_is_deleted_in_one_go() {
    let world = World::with_ann().await;
    let home = world.send_one(person("ann"), "hello").await.conversation_id;
    sqlx::query(
        "insert into messages (license_id, message_id, conversation_id, direction, body, media_urls, media_types,
           to_number, status, segments, carrier_message_id, created_at)
         select 'acme', gen_random_uuid(), $1::uuid, case n % 2 when 0 then 'inbound' else 'outbound' end, 'hello', '{}', '{}',
           $2, 'delivered', 1, 'SM' || n, now() from generate_series(2, 20000) n",
    )
    .bind(&home)
    .bind(OFFICE)
    .execute(world.pool())
    .await
    .unwrap();
    assert_eq!(world.delete(&home).await.unwrap().messages, 20_000);
    assert_eq!(world.count("messages").await, 0);
    world.finish().await;
}
