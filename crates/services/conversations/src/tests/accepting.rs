//! Accepting a send: rule 17.

use tonic::Request;
use wire::conversations_service_server::ConversationsService as _;

use super::*;

#[tokio::test]
async fn a_repeated_request_with_the_same_key_sends_nothing_new_and_returns_the_first_answer() {
    let world = World::with_ann().await;
    let request = keyed("k-1", &send(vec![person("ann"), person("nobody")], "hello"));
    let first = world.send(request.clone()).await.unwrap();
    assert_eq!((first.messages.len(), codes(&first.rejected)), (1, vec!["person_not_found"]));
    assert_eq!(world.send(request.clone()).await.unwrap(), first);

    // Also when the world has gone on meanwhile.
    let id = &first.messages[0].message_id;
    world.apply(&[world.outcome(id, "sending")]).await;
    world.apply(&[world.receipt(id, "delivered")]).await;
    world.put_person(ACME, "nobody", &[BOB]).await.unwrap();
    world.put_person(ACME, "ann", &[]).await.unwrap();
    assert_eq!(world.get_message(ACME, id).await.unwrap().status, "delivered");
    assert_eq!(world.send(request).await.unwrap(), first);
    assert_eq!(world.count("messages").await, 1);
    assert_eq!(world.list_queued().await.len(), 1);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_ten_times_at_once_sends_one_message() {
    let world = World::with_ann().await;
    let request = keyed("k-1", &send(vec![person("ann")], "once"));
    let answers = try_join_all((0..10).map(|_| world.send(request.clone()))).await.unwrap();
    assert!(answers.iter().all(|each| *each == answers[0]));
    assert_eq!(world.count("messages").await, 1);
    assert_eq!(world.list_queued().await.len(), 1);
    world.finish().await;
}

#[tokio::test]
async fn the_same_key_for_another_request_is_refused_and_another_managers_key_is_another_key() {
    let world = World::with_ann().await;
    world.put_person(ACME, "bob", &[BOB]).await.unwrap();
    let request = keyed("k-1", &send(vec![person("ann")], "hello"));
    world.send(request.clone()).await.unwrap();
    let media = vec!["https://example.com/a.jpg".to_owned()];
    for other in [
        wire::SendMessagesRequest { body: "hello!".to_owned(), ..request.clone() },
        wire::SendMessagesRequest { recipients: vec![person("bob")], ..request.clone() },
        wire::SendMessagesRequest { media_urls: media, ..request.clone() },
    ] {
        let expected = ("idempotency_key_reused".to_owned(), Some("Idempotency-Key".to_owned()));
        assert_eq!(refusal(world.send(other).await), expected);
    }
    assert_eq!(world.count("messages").await, 1);

    let max = wire::SendMessagesRequest { manager: Some(manager("m-2", "Max")), ..request.clone() };
    assert_eq!(world.send(max).await.unwrap().messages[0].manager, Some(manager("m-2", "Max")));
    // A send without a key is always a send of its own.
    for _ in 0..2 {
        world.send(keyed("", &request)).await.unwrap();
    }
    assert_eq!(world.count("messages").await, 4);
    world.finish().await;
}

#[tokio::test]
async fn a_send_that_was_refused_whole_may_come_again_with_the_same_key() {
    let world = World::start().await;
    let request = keyed("k-1", &send(vec![person("ann")], "hello"));
    assert_eq!(codes(&world.send(request.clone()).await.unwrap().rejected), ["person_not_found"]);
    world.put_person(ACME, "ann", &[ANN]).await.unwrap();
    assert_eq!(world.send(request).await.unwrap().messages.len(), 1);
    world.finish().await;
}

#[tokio::test]
async fn a_key_is_remembered_for_seven_days() {
    let world = World::with_ann().await;
    let request = keyed("k-1", &send(vec![person("ann")], "hello"));
    world.send(request.clone()).await.unwrap();
    world.clock.advance(Duration::from_hours(7 * 24));
    crate::sweep::sweep_once(world.pool(), &world.clock).await.unwrap();
    world.send(request.clone()).await.unwrap();
    assert_eq!(world.count("messages").await, 1);
    world.clock.advance(Duration::from_secs(1));
    crate::sweep::sweep_once(world.pool(), &world.clock).await.unwrap();
    world.send(request).await.unwrap();
    assert_eq!(world.count("messages").await, 2);
    world.finish().await;
}

#[tokio::test]
async fn an_accepted_send_and_its_event_are_one_transaction_and_what_is_cut_off_before_leaves_neither() {
    let world = World::with_ann().await;
    let head = world.head(ACME).await;
    let request = keyed("k-1", &send(vec![person("ann")], "cut off"));
    let context = calls_alone(world.pool(), &world.bus, &world.clock, world.open_objects());

    // The key is written after the message, its event and the feed: there it hangs.
    let mut obstacle = world.pool().begin().await.unwrap();
    sqlx::query("lock table idempotency in exclusive mode").execute(&mut *obstacle).await.unwrap();
    let cut_off = tokio::spawn({
        let request = request.clone();
        async move { context.send_messages(Request::new(request)).await }
    });
    testkit::eventually("the wait for the key", async || {
        let waiting: i64 = sqlx::query_scalar(
            "select count(*) from pg_locks where not granted and relation = 'idempotency'::regclass
             and database = (select oid from pg_database where datname = current_database())",
        )
        .fetch_one(world.pool())
        .await
        .unwrap();
        if waiting == 1 { Ok(()) } else { Err(waiting) }
    })
    .await;
    cut_off.abort();
    assert!(cut_off.await.unwrap_err().is_cancelled());
    obstacle.rollback().await.unwrap();

    // Waits for the license, so it sees what the send before left behind: nothing.
    let answer = world.send(request).await.unwrap();
    assert_eq!(answer.messages.len(), 1);
    for table in ["messages", "conversations", "idempotency"] {
        assert_eq!(world.count(table).await, 1, "{table}");
    }
    let queued = world.list_queued().await;
    assert_eq!(queued.iter().map(|each| &each.message_id).collect::<Vec<_>>(), [&answer.messages[0].message_id]);
    assert_eq!(kinds(&world.feed_after(ACME, head).await), ["conversation.updated", "message.created"]);
    world.finish().await;
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_with_the_field_and_the_reason() {
    let world = World::with_ann().await;
    let fine = send(vec![person("ann")], "fine");
    let (long_key, long_name) = ("k".repeat(201), "n".repeat(201));
    let with_manager = |each: wire::Manager| wire::SendMessagesRequest { manager: Some(each), ..fine.clone() };
    let with_media = |url: &str| wire::SendMessagesRequest { media_urls: vec![url.to_owned()], ..fine.clone() };
    let nobody = wire::Recipient { to: None };
    for (request, code, field) in [
        (wire::SendMessagesRequest { license_id: "a.b".to_owned(), ..fine.clone() }, "invalid_id", "license_id"),
        (wire::SendMessagesRequest { manager: None, ..fine.clone() }, "invalid_id", "sub"),
        (with_manager(manager("m 1", "Mia")), "invalid_id", "sub"),
        (with_manager(manager("m-1", &long_name)), "name_too_long", "name"),
        (with_manager(manager("m-1", "Mi\0a")), "name_control_character", "name"),
        (keyed("a b", &fine), "invalid_idempotency_key", "Idempotency-Key"),
        (keyed(&long_key, &fine), "invalid_idempotency_key", "Idempotency-Key"),
        (send(vec![], "fine"), "out_of_range", "recipients"),
        (send(vec![person("ann"), nobody], "fine"), "missing_field", "recipients[1]"),
        (send(vec![person("a b")], "fine"), "invalid_id", "recipients[0].person_id"),
        (with_media("ftp://example.com/a"), "invalid_url", "media_urls[0]"),
        (with_media("https://example.com/\0"), "invalid_url", "media_urls[0]"),
    ] {
        assert_eq!(refusal(world.send(request).await), (code.to_owned(), Some(field.to_owned())));
    }
    assert_eq!(world.count("messages").await, 0);
    world.finish().await;
}

#[tokio::test]
async fn a_text_to_one_person_names_the_one_before_it_so_that_none_overtakes_it() {
    let world = World::with_ann().await;
    world.put_person(ACME, "bob", &[BOB]).await.unwrap();
    let one = world.send_one(person("ann"), "one").await.message_id;
    world.send_one(person("bob"), "for Bob").await;
    world.send(send(vec![person("ann"), person("bob")], "to all")).await.unwrap();
    world.texts(&[(ANN, "her answer")]).await;
    world.send_one(person("ann"), "two").await;
    world.clock.advance(Duration::from_mins(11));
    world.send_one(person("ann"), "much later").await;
    let follows: Vec<(String, Option<String>)> =
        world.list_queued().await.into_iter().map(|queued| (queued.body, queued.follows)).collect();
    let expected = [
        ("one", None),
        ("for Bob", None),
        ("to all", None),
        ("to all", None),
        ("two", Some(one)),
        ("much later", None),
    ];
    assert_eq!(follows, expected.map(|(body, follows)| (body.to_owned(), follows)));
    world.finish().await;
}
