//! What each manager has read (issue 4, point 5), the guard of the last position seen, and who carried a message.

use super::*;

impl World {
    /// The list as a manager sees it.
    async fn list_as(&self, manager_id: &str) -> wire::ListConversationsResponse {
        self.list_with(wire::ListConversationsRequest { manager_id: manager_id.to_owned(), ..all() }).await
    }

    pub(super) async fn list_with(&self, request: wire::ListConversationsRequest) -> wire::ListConversationsResponse {
        answer(self.conversations.clone().list_conversations(request).await).unwrap()
    }

    /// Unread of each conversation, newest first, and of all.
    pub(super) async fn unread(&self, manager_id: &str) -> (Vec<u32>, u64) {
        let list = self.list_as(manager_id).await;
        (list.conversations.iter().map(|each| each.unread).collect(), list.total_unread)
    }

    pub(super) async fn mark(
        &self,
        manager_id: &str,
        conversation_id: &str,
        message_id: &str,
    ) -> Result<(u32, u64), Fault> {
        let request = wire::MarkReadRequest {
            license_id: ACME.to_owned(),
            manager_id: manager_id.to_owned(),
            conversation_id: conversation_id.to_owned(),
            message_id: message_id.to_owned(),
        };
        answer(self.conversations.clone().mark_read(request).await).map(|state| (state.unread, state.total_unread))
    }

    /// People text, one after the other.
    pub(super) async fn texts(&self, texts: &[(&str, &str)]) {
        for (from, body) in texts {
            self.clock.advance(Duration::from_secs(1));
            self.apply(&[self.text(from, OFFICE, body)]).await;
        }
    }

    pub(super) async fn find_message(&self, conversation_id: &str, body: &str) -> wire::Message {
        let messages = self.list_messages(ACME, conversation_id).await.unwrap();
        messages.into_iter().find(|message| message.body == body).unwrap()
    }
}

/// All conversations of the license.
pub(super) fn all() -> wire::ListConversationsRequest {
    wire::ListConversationsRequest { license_id: ACME.to_owned(), limit: 200, ..Default::default() }
}

fn reads(entries: &[wire::FeedEntry]) -> Vec<(&str, u32, u64)> {
    let content = entries.iter().filter_map(|entry| match &entry.content {
        Some(Content::ReadUpdated(read)) => Some(read),
        _ => None,
    });
    content
        .map(|read| (read.manager_id.as_str(), read.state.as_ref().unwrap()))
        .map(|(id, state)| (id, state.unread, state.total_unread))
        .collect()
}

#[tokio::test]
async fn unread_is_counted_per_manager_and_who_comes_later_begins_with_everything_read() {
    let world = World::with_ann().await;
    world.put_person(ACME, "bob", &[BOB]).await.unwrap();
    assert_eq!(world.unread("m-1").await, (vec![], 0));
    world.texts(&[(ANN, "one"), (ANN, "two"), (BOB, "hello")]).await;
    assert_eq!(world.unread("m-1").await, (vec![1, 2], 3));
    assert_eq!(world.unread("m-2").await, (vec![0, 0], 0));
    world.texts(&[(ANN, "three")]).await;
    assert_eq!(world.unread("m-1").await, (vec![3, 1], 4));
    assert_eq!(world.unread("m-2").await, (vec![1, 0], 1));

    let home = world.list_conversations(ACME).await[0].conversation_id.clone();
    let request = |manager_id: &str| wire::GetConversationRequest {
        license_id: ACME.to_owned(),
        conversation_id: home.clone(),
        manager_id: manager_id.to_owned(),
    };
    for (manager_id, unread) in [("m-1", 3), ("m-2", 1), ("m-3", 0), ("", 0)] {
        let shown = answer(world.conversations.clone().get_conversation(request(manager_id)).await).unwrap();
        assert_eq!(shown.unread, unread, "{manager_id}");
    }
    // What managers write is nothing to read, and nobody's list counts for nobody.
    world.send_one(person("ann"), "four").await;
    assert_eq!(world.unread("m-1").await.1, 4);
    assert_eq!(world.unread("").await, (vec![0, 0], 0));
    world.finish().await;
}

#[tokio::test]
async fn reading_up_to_a_message_never_goes_back_and_is_shown_on_the_feed_for_that_manager() {
    let world = World::with_ann().await;
    world.put_person(ACME, "bob", &[BOB]).await.unwrap();
    assert_eq!((world.unread("m-1").await.1, world.unread("m-2").await.1), (0, 0));
    world.texts(&[(BOB, "hello"), (ANN, "one"), (ANN, "two"), (ANN, "three")]).await;
    let home = world.list_conversations(ACME).await[0].conversation_id.clone();
    let [one, two, three] = ["one", "two", "three"].map(|body| world.find_message(&home, body));
    let (one, two, three) = (one.await.message_id, two.await.message_id, three.await.message_id);

    let head = world.head(ACME).await;
    assert_eq!(world.mark("m-1", &home, &two).await, Ok((1, 2)));
    // Back: nothing changes, and nothing is told.
    assert_eq!(world.mark("m-1", &home, &one).await, Ok((1, 2)));
    assert_eq!(world.mark("m-1", &home, &two).await, Ok((1, 2)));
    let shown = world.feed_after(ACME, head).await;
    assert_eq!((kinds(&shown), reads(&shown)), (vec!["read.updated"], vec![("m-1", 1, 2)]));
    assert_eq!(world.unread("m-2").await, (vec![3, 1], 4));
    assert_eq!(world.mark("m-1", &home, &three).await, Ok((0, 1)));
    // An outbound message reads what was before it.
    world.texts(&[(ANN, "four")]).await;
    world.clock.advance(Duration::from_secs(1));
    let sent = world.send_one(person("ann"), "five").await;
    world.texts(&[(ANN, "six")]).await;
    assert_eq!(world.mark("m-1", &home, &sent.message_id).await, Ok((1, 2)));
    assert_eq!(world.unread("m-1").await, (vec![1, 1], 2));
    assert_eq!(world.mark("m-2", &home, &sent.message_id).await, Ok((1, 2)));
    world.finish().await;
}

#[tokio::test]
async fn a_webhook_that_comes_twice_is_unread_once_and_one_that_comes_late_is_unread_too() {
    let world = World::with_ann().await;
    world.unread("m-1").await;
    let late = world.text(ANN, OFFICE, "late");
    world.clock.advance(Duration::from_mins(1));
    let text = world.text(ANN, OFFICE, "hello");
    world.apply(&[text.clone(), text.clone()]).await;
    world.apply(&[text]).await;
    assert_eq!(world.unread("m-1").await, (vec![1], 1));
    let home = world.list_conversations(ACME).await.remove(0);
    let newest = home.last_message.unwrap().message_id;
    assert_eq!(world.mark("m-1", &home.conversation_id, &newest).await, Ok((0, 0)));
    world.apply(&[late]).await;
    assert_eq!(world.list_conversations(ACME).await[0].last_message.as_ref().unwrap().message_id, newest);
    assert_eq!(world.unread("m-1").await, (vec![1], 1));
    assert_eq!(world.mark("m-1", &home.conversation_id, &newest).await, Ok((0, 0)));
    world.finish().await;
}

#[tokio::test]
async fn only_a_message_of_the_conversation_and_of_the_license_can_be_read() {
    let world = World::with_ann().await;
    world.put_person(ACME, "bob", &[BOB]).await.unwrap();
    world.texts(&[(ANN, "one"), (BOB, "two")]).await;
    let list = world.list_conversations(ACME).await;
    let (bob, ann) = (&list[0], &list[1]);
    let of_bob = &bob.last_message.as_ref().unwrap().message_id;
    let head = world.head(ACME).await;
    let not_found = ("message_not_found".to_owned(), None);
    assert_eq!(refusal(world.mark("m-1", &ann.conversation_id, of_bob).await), not_found);
    assert_eq!(refusal(world.mark("m-1", &ann.conversation_id, &Uuid::now_v7().to_string()).await), not_found);
    assert_eq!(refusal(world.mark("m-1", "x", of_bob).await), not_found);
    assert_eq!(refusal(world.mark("m-1", &ann.conversation_id, "x").await), not_found);
    assert_eq!(refusal(world.mark("m 1", &bob.conversation_id, of_bob).await).0, "invalid_id");
    let foreign = wire::MarkReadRequest {
        license_id: "birch".to_owned(),
        manager_id: "m-1".to_owned(),
        conversation_id: bob.conversation_id.clone(),
        message_id: of_bob.clone(),
    };
    assert_eq!(refusal(answer(world.conversations.clone().mark_read(foreign).await)), not_found);
    assert_eq!(world.head(ACME).await, head);
    assert_eq!((world.count("managers").await, world.count("licenses").await), (0, 1));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn first_looks_marks_and_inbound_messages_at_once_never_lose_count() {
    let world = World::with_ann().await;
    world.put_person(ACME, "bob", &[BOB]).await.unwrap();
    world.texts(&[(ANN, "first"), (BOB, "first")]).await;
    let list = world.list_conversations(ACME).await;
    let managers: Vec<String> = (0..8).map(|n| format!("m-{n}")).collect();
    let looks = managers.iter().flat_map(|manager_id| std::iter::repeat_n(manager_id, 3)).map(async |manager_id| {
        world.list_as(manager_id).await;
        let newest = list[0].last_message.as_ref().unwrap();
        world.mark(manager_id, &list[0].conversation_id, &newest.message_id).await.unwrap();
    });
    let texts: Vec<_> = (0..20).map(|n| world.text(if n % 2 == 0 { ANN } else { BOB }, OFFICE, "more")).collect();
    tokio::join!(join_all(looks), world.apply(&texts));
    for manager_id in &managers {
        let before = world.list_as(manager_id).await;
        assert_eq!(before.conversations.iter().map(|each| u64::from(each.unread)).sum::<u64>(), before.total_unread);
        for each in &before.conversations {
            let newest = &each.last_message.as_ref().unwrap().message_id;
            assert_eq!(world.mark(manager_id, &each.conversation_id, newest).await.unwrap().0, 0);
        }
        assert_eq!(world.unread(manager_id).await, (vec![0, 0], 0), "{manager_id}");
    }
    let counted: (i64, i64, i64) = sqlx::query_as(
        "select (select sum(inbound_total)::bigint from licenses), (select sum(inbound_count)::bigint from conversations),
                (select count(*) from messages where direction = 'inbound')",
    )
    .fetch_one(world.pool())
    .await
    .unwrap();
    assert_eq!(counted, (22, 22, 22));
    world.finish().await;
}

#[tokio::test]
async fn a_list_of_unread_conversations_leaves_out_what_is_read() {
    let world = World::with_ann().await;
    world.unread("m-1").await;
    for n in 0..5 {
        world.put_person(ACME, &format!("p-{n}"), &[&phone(100 + n)]).await.unwrap();
        world.texts(&[(&phone(100 + n), "hello")]).await;
    }
    let list = world.list_as("m-1").await.conversations;
    for read in [0, 2, 4] {
        let newest = &list[read].last_message.as_ref().unwrap().message_id;
        world.mark("m-1", &list[read].conversation_id, newest).await.unwrap();
    }
    let unread = wire::ListConversationsRequest { manager_id: "m-1".to_owned(), unread_only: true, ..all() };
    let ids = |list: &wire::ListConversationsResponse| {
        list.conversations.iter().map(|each| each.conversation_id.clone()).collect::<Vec<_>>()
    };
    let page = world.list_with(unread.clone()).await;
    assert_eq!(ids(&page), [list[1].conversation_id.clone(), list[3].conversation_id.clone()]);
    assert_eq!((page.total_unread, page.next_cursor.as_str()), (2, ""));
    let first = world.list_with(wire::ListConversationsRequest { limit: 1, ..unread.clone() }).await;
    assert_eq!(ids(&first), [list[1].conversation_id.clone()]);
    let cursor = first.next_cursor;
    let second = world.list_with(wire::ListConversationsRequest { limit: 1, cursor, ..unread.clone() }).await;
    assert_eq!((ids(&second), second.next_cursor), (vec![list[3].conversation_id.clone()], String::new()));
    for nobody in ["m-2", ""] {
        let request = wire::ListConversationsRequest { manager_id: nobody.to_owned(), ..unread.clone() };
        assert_eq!(world.list_with(request).await.conversations, []);
    }
    world.finish().await;
}

#[tokio::test]
async fn a_send_into_a_conversation_that_has_moved_on_is_refused_with_what_is_new_and_goes_through_without_the_position()
 {
    let world = World::with_ann().await;
    world.put_person(ACME, "bob", &[BOB]).await.unwrap();
    world.texts(&[(ANN, "one"), (BOB, "hello")]).await;
    let seen = world.head(ACME).await;
    let seeing = |recipients, seq| wire::SendMessagesRequest { last_seen_seq: Some(seq), ..send(recipients, "fine") };
    // Everything is seen; what happens elsewhere does not count.
    world.texts(&[(BOB, "again")]).await;
    let home = world.send(seeing(vec![person("ann")], seen)).await.unwrap().messages.remove(0).conversation_id;

    // The manager's own message counts as well, until he has seen it come by.
    world.texts(&[(ANN, "two"), (ANN, "three")]).await;
    for recipient in [person("ann"), conversation(&home)] {
        let refused = world.send(seeing(vec![recipient], seen)).await.unwrap();
        assert_eq!((codes(&refused.rejected), refused.messages), (vec!["conversation_moved_on"], vec![]));
        assert_eq!(bodies(&refused.rejected[0].unseen), ["fine", "two", "three"]);
    }
    // Of a batch, only that recipient.
    let now = world.head(ACME).await;
    world.texts(&[(ANN, "four")]).await;
    let recipients = || vec![person("ann"), person("bob"), conversation(&home), person("nobody")];
    let request = keyed("k-1", &seeing(recipients(), now));
    let batch = world.send(request.clone()).await.unwrap();
    let expected = ["conversation_moved_on", "conversation_moved_on", "person_not_found"];
    assert_eq!((codes(&batch.rejected), batch.messages.len()), (expected.to_vec(), 1));
    assert_eq!(bodies(&batch.rejected[0].unseen), ["four"]);
    assert_eq!(world.send(request).await.unwrap(), batch);

    assert_eq!(world.send_one(person("ann"), "I insist").await.conversation_id, home);
    let head = world.head(ACME).await;
    assert_eq!(world.send(seeing(vec![person("ann")], head)).await.unwrap().messages.len(), 1);
    world.finish().await;
}

#[tokio::test]
async fn of_much_that_is_new_the_newest_twenty_are_shown_oldest_first() {
    let world = World::with_ann().await;
    let texts: Vec<String> = (0..25).map(|n| format!("text {n}")).collect();
    world.texts(&texts.iter().map(|text| (ANN, text.as_str())).collect::<Vec<_>>()).await;
    let request = wire::SendMessagesRequest { last_seen_seq: Some(0), ..send(vec![person("ann")], "fine") };
    let refused = world.send(request).await.unwrap();
    assert_eq!(bodies(&refused.rejected[0].unseen), texts[5..].iter().map(String::as_str).collect::<Vec<_>>());
    world.finish().await;
}

#[tokio::test]
async fn who_carried_a_message_is_known_and_a_conversation_reads_from_its_beginning_too() {
    let world = World::with_ann().await;
    world.texts(&[(ANN, "one"), (ANN, "two")]).await;
    world.clock.advance(Duration::from_secs(1));
    let sent = world.send_one(person("ann"), "three").await;
    assert_eq!((&sent.carrier, &sent.carrier_message_id), (&None, &None));
    let home = sent.conversation_id;
    world.apply(&[world.outcome(&sent.message_id, "sending")]).await;
    let message = world.get_message(ACME, &sent.message_id).await.unwrap();
    let id = format!("SM-{}", sent.message_id);
    assert_eq!((message.carrier.as_deref(), message.carrier_message_id), (Some("twilio"), Some(id)));
    assert_eq!(world.find_message(&home, "one").await.carrier.as_deref(), Some("twilio"));

    let mut read = Vec::new();
    let mut before = String::new();
    loop {
        let request = wire::ListMessagesRequest {
            license_id: ACME.to_owned(),
            conversation_id: home.clone(),
            limit: 2,
            before,
            oldest_first: true,
        };
        let page = answer(world.conversations.clone().list_messages(request).await).unwrap();
        read.extend(page.messages);
        before = page.next_before;
        if before.is_empty() {
            break;
        }
    }
    assert_eq!(bodies(&read), ["one", "two", "three"]);
    world.finish().await;
}
