//! Finding conversations by their people, and what lists cost.

use domain::{Id, LicenseId, ManagerId};

use super::*;
use crate::store::reading;
use crate::store::search::{self, Filter};

impl World {
    async fn find_people(&self, query: &str) -> Vec<String> {
        let list =
            self.list_with(wire::ListConversationsRequest { query: query.to_owned(), ..super::reading::all() }).await;
        let mut names: Vec<String> =
            list.conversations.into_iter().map(|mut each| each.people.remove(0).person_id).collect();
        names.sort();
        names
    }
}

#[tokio::test]
async fn conversations_are_found_by_the_beginning_of_a_word_of_a_name_or_by_digits_of_the_number() {
    let world = World::start().await;
    world.assign(ACME, OFFICE, 1).await;
    for (n, name) in ["Ann Smith-Jones", "Bob O'Brien", "Dr.Cat Smithers", "Unit 415"].into_iter().enumerate() {
        let n = u32::try_from(n).unwrap();
        let person = wire::Person {
            person_id: format!("p-{n}"),
            kind: "tenant".to_owned(),
            name: name.to_owned(),
            phones: vec![phone(10 + n)],
        };
        let request = wire::PutPersonRequest { license_id: ACME.to_owned(), person: Some(person) };
        world.people.clone().put_person(request).await.unwrap();
        world.apply(&[world.text(&phone(10 + n), OFFICE, "hello")]).await;
    }
    for (query, expected) in [
        ("", vec!["p-0", "p-1", "p-2", "p-3"]),
        ("smith", vec!["p-0", "p-2"]),
        ("SMITH ann", vec!["p-0"]),
        ("jones", vec!["p-0"]),
        ("smith-jones", vec!["p-0"]),
        ("o'brien", vec!["p-1"]),
        ("cat", vec!["p-2"]),
        ("mith", vec![]),
        ("-", vec![]),
        ("(415) 200-0011", vec!["p-1"]),
        ("0012", vec!["p-2"]),
        ("415", vec!["p-0", "p-1", "p-2", "p-3"]),
        ("unit 4", vec!["p-3"]),
        ("acme", vec![]),
    ] {
        assert_eq!(world.find_people(query).await, expected, "{query}");
    }
    let request = wire::ListConversationsRequest { query: "smith".to_owned(), limit: 1, ..super::reading::all() };
    let first = world.list_with(request.clone()).await;
    let second = world.list_with(wire::ListConversationsRequest { cursor: first.next_cursor, ..request }).await;
    assert_eq!((second.conversations.len(), second.next_cursor.as_str()), (1, ""));
    assert_ne!(first.conversations, second.conversations);
    world.finish().await;
}

/// A connection as the service has it, which is not yet reported to others: its counters begin at 0.
async fn fresh(world: &World) -> sqlx::PgConnection {
    let mut settings: Settings = chassis::config::load(DEFAULTS, None, &|_| None).unwrap();
    settings.database.url = Secret::new(world.database.url.clone());
    chassis::database::connect(&settings.database, "test").unwrap().acquire().await.unwrap().detach()
}

/// Rows that a connection fetched by an index, and its scans of the whole table.
async fn costs(db: &mut sqlx::PgConnection, table: &str) -> (i64, i64) {
    sqlx::query_as("select coalesce(idx_tup_fetch, 0), seq_scan from pg_stat_xact_user_tables where relname = $1")
        .bind(table)
        .fetch_one(db)
        .await
        .unwrap()
}

#[tokio::test]
async fn with_100_licenses_and_100_000_messages_a_list_reads_nothing_of_the_others() {
    let world = World::start().await;
    for statement in [
        "insert into licenses (license_id) select 'l-' || n from generate_series(0, 99) n",
        "insert into conversations (license_id, conversation_id, number, opened_at, last_activity_at, inbound_count)
         select 'l-' || n % 100, ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid,
                '+1415' || lpad((2000000 + n)::text, 7, '0'), now(), now() - n * interval '1 second', 10
         from generate_series(0, 9999) n",
        "insert into conversation_people (license_id, conversation_id, person_id, kind, name)
         select license_id, conversation_id, 'p', 'tenant', 'Tenant ' || right(number, 4) from conversations",
        "insert into messages (license_id, message_id, conversation_id, direction, body, media_urls, media_types,
           to_number, status, segments, created_at)
         select 'l-' || n % 100, gen_random_uuid(), ('00000000-0000-7000-8000-' || lpad((n % 10000)::text, 12, '0'))::uuid,
           'inbound', 'the plumber' || case when n / 100 % 10 = 0 then ' rarely' else '' end || ' comes at ' || n,
           '{}', '{}', '+16462000100', 'received', 1, now() - n * interval '1 second'
         from generate_series(0, 99999) n",
    ] {
        sqlx::query(statement).execute(world.pool()).await.unwrap();
    }
    let license = LicenseId::parse("l-7").unwrap();
    let manager = ManagerId::parse("m-1").unwrap();
    let mut tx = fresh(&world).await;
    sqlx::query("begin").execute(&mut tx).await.unwrap();
    let page = search::walk(&mut tx, &license, Some(&manager), None, 51).await.unwrap();
    assert_eq!((page.len(), costs(&mut tx, "conversations").await), (51, (51, 0)));
    let mut tx = fresh(&world).await;
    sqlx::query("begin").execute(&mut tx).await.unwrap();
    let filter = Filter::find(&license, "tenant 2107").unwrap();
    assert_eq!(search::walk_found(&mut tx, &license, Some(&manager), &filter, None, 51).await.unwrap().len(), 1);
    assert_eq!(costs(&mut tx, "conversation_people").await.1, 0);
    let (fetched, scans) = costs(&mut tx, "conversations").await;
    assert!(scans == 0 && fetched <= 110, "{fetched} rows, {scans} scans");

    // What was not read of a page is read by key, and the same goes for one conversation.
    let mut db = fresh(&world).await;
    let mut tx = sqlx::Connection::begin(&mut db).await.unwrap();
    reading::record_first_look(&mut tx, &license, &manager, world.clock.now()).await.unwrap();
    let before = costs(&mut tx, "conversations").await.0;
    let keys: Vec<_> = page[..20].iter().map(|each| ("l-7".to_owned(), "m-1".to_owned(), each.id)).collect();
    assert_eq!(reading::load_states(&mut tx, &keys).await.unwrap().len(), 20);
    assert_eq!(costs(&mut tx, "conversations").await, (before + 20, 0));
    tx.rollback().await.unwrap();

    // To mark as read looks at the message, and at what came after it in its conversation.
    let some = "select conversation_id, message_id from messages where license_id = 'l-7'
                order by created_at desc offset 120 limit 1";
    let (conversation, message): (Uuid, Uuid) = sqlx::query_as(some).fetch_one(world.pool()).await.unwrap();
    let mut db = fresh(&world).await;
    let mut tx = sqlx::Connection::begin(&mut db).await.unwrap();
    let moved = reading::mark_read(&mut tx, &license, &manager, Id::from_uuid(conversation), message).await.unwrap();
    assert_eq!((moved, costs(&mut tx, "messages").await), (Some(true), (2, 0)));
    world.finish().await;
}
