//! People, their numbers and pages of them; pages of conversations and messages.

use super::*;

#[tokio::test]
async fn only_valid_north_american_numbers_are_accepted_and_the_refusal_names_the_field() {
    let world = World::start().await;
    for (number, code) in [
        ("+442079460958", "phone_not_north_american"),
        ("415200000", "phone_wrong_length"),
        ("", "phone_wrong_length"),
        ("415-200-CALL", "phone_unexpected_character"),
        ("+15552000001", "phone_unknown_area_code"),
        ("+14151000001", "phone_invalid_exchange"),
        ("+14154110001", "phone_invalid_exchange"),
        ("+19002000001", "phone_premium"),
        ("+14155550123", "phone_fictional"),
        ("\0", "phone_unexpected_character"),
    ] {
        let refused = refusal(world.put_person(ACME, "ann", &[ANN, number]).await);
        assert_eq!(refused, (code.to_owned(), Some("phones[1]".to_owned())), "{number}");
    }
    assert_eq!(world.count("people").await, 0);
    assert_eq!(world.count("licenses").await, 0);
    world.finish().await;
}

#[tokio::test]
async fn a_person_reads_back_as_it_was_put_with_the_preferred_number_first() {
    let world = World::start().await;
    let put = world.put_person(ACME, "ann", &["(415) 200-0002", ANN, "+1 415 200 0002"]).await.unwrap();
    assert_eq!(put.phones, [BOB, ANN]);
    assert_eq!(get_person(&world, ACME, "ann").await.unwrap(), put);
    assert_eq!(world.send_one(person("ann"), "to the preferred one").await.to, BOB);
    let put = world.put_person(ACME, "ann", &[ANN, BOB]).await.unwrap();
    assert_eq!(put.phones, [ANN, BOB]);
    assert_eq!(world.send_one(person("ann"), "to the other one").await.to, ANN);
    world.put_person(ACME, "ann", &[]).await.unwrap();
    let refused = world.send(send(vec![person("ann")], "to none")).await.unwrap();
    assert_eq!(codes(&refused.rejected), ["person_has_no_phone"]);
    world.finish().await;
}

#[tokio::test]
async fn what_is_no_person_is_refused_with_the_field_and_the_reason() {
    let world = World::start().await;
    let fine = wire::Person {
        person_id: "ann".to_owned(),
        kind: "tenant".to_owned(),
        name: "Ann".to_owned(),
        phones: Vec::new(),
    };
    let many = (0..21).map(phone).collect();
    for (person, code, field) in [
        (wire::Person { person_id: "a b".to_owned(), ..fine.clone() }, "invalid_id", "person_id"),
        (wire::Person { kind: "Tenant".to_owned(), ..fine.clone() }, "unknown_kind", "kind"),
        (wire::Person { name: " ".to_owned(), ..fine.clone() }, "name_empty", "name"),
        (wire::Person { name: "A\0nn".to_owned(), ..fine.clone() }, "name_control_character", "name"),
        (wire::Person { phones: many, ..fine.clone() }, "too_many", "phones"),
    ] {
        let request = wire::PutPersonRequest { license_id: ACME.to_owned(), person: Some(person) };
        let refused = refusal(answer(world.people.clone().put_person(request).await));
        assert_eq!(refused, (code.to_owned(), Some(field.to_owned())));
    }
    world.finish().await;
}

#[tokio::test]
async fn a_conversation_stays_readable_under_the_newest_names_when_its_people_are_deleted() {
    let world = World::with_ann().await;
    let home = world.send_one(person("ann"), "hello").await.conversation_id;
    let renamed = wire::Person {
        person_id: "ann".to_owned(),
        kind: "owner".to_owned(),
        name: "Ann Lee".to_owned(),
        phones: vec![ANN.to_owned()],
    };
    let request = wire::PutPersonRequest { license_id: ACME.to_owned(), person: Some(renamed) };
    answer(world.people.clone().put_person(request).await).unwrap();
    let request = wire::DeletePersonRequest { license_id: ACME.to_owned(), person_id: "ann".to_owned() };
    for _ in 0..2 {
        answer(world.people.clone().delete_person(request.clone()).await).unwrap();
    }
    let left = world.get_conversation(ACME, &home).await.unwrap();
    let expected =
        wire::ConversationPerson { person_id: "ann".to_owned(), kind: "owner".to_owned(), name: "Ann Lee".to_owned() };
    assert_eq!((left.people, left.sendable), (vec![expected], false));
    assert_eq!(bodies(&world.list_messages(ACME, &home).await.unwrap()), ["hello"]);
    assert_eq!(refusal(get_person(&world, ACME, "ann").await).0, "person_not_found");
    let shown = kinds(&world.feed_after(ACME, 0).await);
    assert_eq!(shown[shown.len() - 2..], ["gone", "conversation.updated"], "the content of a deleted person is gone");
    world.finish().await;
}

#[tokio::test]
async fn people_come_in_pages_by_name_then_id() {
    let world = World::start().await;
    for (id, name, kind) in [
        ("p-1", "bea 100%", "tenant"),
        ("p-2", "Ann", "lead"),
        ("p-3", "ann", "tenant"),
        ("p-4", "Zoë_Ng", "owner"),
        ("p-5", "Cy", "vendor"),
    ] {
        let person =
            wire::Person { person_id: id.to_owned(), kind: kind.to_owned(), name: name.to_owned(), phones: Vec::new() };
        let request = wire::PutPersonRequest { license_id: ACME.to_owned(), person: Some(person) };
        answer(world.people.clone().put_person(request).await).unwrap();
    }
    let list = async |query: &str, kind: &str, limit: u32, cursor: &str| {
        let request = wire::ListPeopleRequest {
            license_id: ACME.to_owned(),
            query: query.to_owned(),
            kind: kind.to_owned(),
            limit,
            cursor: cursor.to_owned(),
        };
        answer(world.people.clone().list_people(request).await)
    };
    let mut pages = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = list("", "", 2, &cursor).await.unwrap();
        pages.push(page.people.into_iter().map(|each| each.person_id).collect::<Vec<_>>());
        cursor = page.next_cursor;
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(pages, [vec!["p-2", "p-3"], vec!["p-1", "p-5"], vec!["p-4"]]);
    for (query, kind, expected) in [
        ("AN", "", vec!["p-2", "p-3"]),
        ("an", "tenant", vec!["p-3"]),
        ("%", "", vec!["p-1"]),
        ("_", "", vec!["p-4"]),
        ("\\", "", vec![]),
        ("", "vendor", vec!["p-5"]),
    ] {
        let found = list(query, kind, 200, "").await.unwrap();
        let ids: Vec<_> = found.people.iter().map(|each| each.person_id.as_str()).collect();
        assert_eq!((ids, found.next_cursor.as_str()), (expected, ""), "{query} {kind}");
    }
    let long = "x".repeat(101);
    for (query, kind, limit, cursor, code, field) in [
        ("", "", 0, "", "out_of_range", "limit"),
        ("", "", 201, "", "out_of_range", "limit"),
        ("", "", 1, "x", "invalid_cursor", "cursor"),
        ("", "", 1, "\0.eA", "invalid_cursor", "cursor"),
        ("", "person", 1, "", "unknown_kind", "kind"),
        (&long, "", 1, "", "too_long", "query"),
        ("\0", "", 1, "", "invalid_query", "query"),
    ] {
        let refused = refusal(list(query, kind, limit, cursor).await);
        assert_eq!(refused, (code.to_owned(), Some(field.to_owned())));
    }
    world.finish().await;
}

#[tokio::test]
async fn conversations_come_in_pages_newest_first_and_a_message_moves_one_to_the_top() {
    let world = World::start().await;
    world.assign(ACME, OFFICE, 1).await;
    for n in 0..5 {
        let id = format!("p-{n}");
        world.put_person(ACME, &id, &[&phone(n)]).await.unwrap();
        world.send_one(person(&id), "hello").await;
        // The first two at the same moment.
        world.clock.advance(Duration::from_secs(u64::from(n)));
    }
    world.apply(&[world.text(&phone(2), OFFICE, "up")]).await;
    let list = async |limit: u32, cursor: &str| {
        let request = wire::ListConversationsRequest {
            license_id: ACME.to_owned(),
            limit,
            cursor: cursor.to_owned(),
            ..Default::default()
        };
        answer(world.conversations.clone().list_conversations(request).await)
    };
    let mut numbers = Vec::new();
    let mut sizes = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = list(2, &cursor).await.unwrap();
        sizes.push(page.conversations.len());
        numbers.extend(page.conversations.into_iter().map(|each| each.number));
        cursor = page.next_cursor;
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(sizes, [2, 2, 1]);
    assert_eq!(numbers, [2, 4, 3, 1, 0].map(phone));
    // A time that PostgreSQL does not know.
    let before_time = format!("{}.{}", chrono::DateTime::<chrono::Utc>::MIN_UTC.timestamp_micros(), Uuid::nil());
    for (limit, cursor, code, field) in [
        (0, "", "out_of_range", "limit"),
        (201, "", "out_of_range", "limit"),
        (1, "1.x", "invalid_cursor", "cursor"),
        (1, "x", "invalid_cursor", "cursor"),
        (1, &before_time, "invalid_cursor", "cursor"),
    ] {
        assert_eq!(refusal(list(limit, cursor).await), (code.to_owned(), Some(field.to_owned())));
    }
    world.finish().await;
}

#[tokio::test]
async fn messages_come_in_pages_newest_first() {
    let world = World::with_ann().await;
    let mut home = String::new();
    for n in 0..5 {
        // All at one moment: then the order of their making counts.
        home = world.send_one(person("ann"), &n.to_string()).await.conversation_id;
    }
    let list = async |conversation_id: &str, limit: u32, before: &str| {
        let request = wire::ListMessagesRequest {
            license_id: ACME.to_owned(),
            conversation_id: conversation_id.to_owned(),
            limit,
            before: before.to_owned(),
            oldest_first: false,
        };
        answer(world.conversations.clone().list_messages(request).await)
    };
    let mut pages = Vec::new();
    let mut before = String::new();
    loop {
        let page = list(&home, 2, &before).await.unwrap();
        pages.push(bodies(&page.messages).join(" "));
        before = page.next_before;
        if before.is_empty() {
            break;
        }
    }
    assert_eq!(pages, ["4 3", "2 1", "0"]);
    for (conversation_id, limit, before, code) in [
        (home.as_str(), 0, "", "out_of_range"),
        (&home, 201, "", "out_of_range"),
        (&home, 1, "x", "invalid_id"),
        ("x", 1, "", "conversation_not_found"),
        (&Uuid::now_v7().to_string(), 1, "", "conversation_not_found"),
    ] {
        assert_eq!(refusal(list(conversation_id, limit, before).await).0, code);
    }
    world.finish().await;
}

async fn get_person(world: &World, license_id: &str, person_id: &str) -> Result<wire::Person, Fault> {
    let request = wire::GetPersonRequest { license_id: license_id.to_owned(), person_id: person_id.to_owned() };
    answer(world.people.clone().get_person(request).await)
}
