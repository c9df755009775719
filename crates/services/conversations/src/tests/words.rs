//! Messages by their words: what is found, by whom, and that the loop beside the service skips nothing.

use std::collections::BTreeSet;

use domain::{Conversation, Direction, Id, LicenseId, Message, MessageStatus, PhoneNumber};
use futures_util::future::join;
use sqlx::PgTransaction;

use super::*;
use crate::index::turn;
use crate::model::Sought;
use crate::store::licenses::{self, Locked};
use crate::store::messages::{self, NewMessage};
use crate::store::search_index;

impl World {
    async fn search_with(&self, request: wire::SearchRequest) -> Result<wire::SearchResponse, Fault> {
        answer(self.search.clone().search(request).await)
    }

    /// The bodies that a license finds, the first page.
    async fn find(&self, license_id: &str, query: &str) -> Vec<String> {
        let request = wire::SearchRequest { license_id: license_id.to_owned(), ..asked(query) };
        let found = self.search_with(request).await.unwrap();
        found.messages.into_iter().map(|each| each.message.unwrap().body).collect()
    }

    async fn until_indexed(&self) {
        testkit::eventually("the words of all messages", async || {
            let (messages, words) = (self.count("messages").await, self.count("message_words").await);
            if messages == words { Ok(()) } else { Err((messages, words)) }
        })
        .await;
    }
}

fn asked(query: &str) -> wire::SearchRequest {
    wire::SearchRequest { license_id: ACME.to_owned(), query: query.to_owned(), limit: 50, cursor: String::new() }
}

fn sorted(mut found: Vec<String>) -> Vec<String> {
    found.sort();
    found
}

#[tokio::test]
async fn a_message_is_found_by_its_words_and_only_by_its_license() {
    let world = World::with_ann().await;
    world.assign("other", "+16462000101", 1).await;
    world.put_person("other", "ann", &[ANN]).await.unwrap();
    world
        .apply(&[world.text(ANN, OFFICE, "The sink leaks"), world.text(ANN, "+16462000101", "Our sink is fine")])
        .await;
    world.send_one(person("ann"), "We fix the sink on Friday").await;
    world.until_indexed().await;
    assert_eq!(sorted(world.find(ACME, "sink").await), ["The sink leaks", "We fix the sink on Friday"]);
    assert_eq!(world.find("other", "sink").await, ["Our sink is fine"]);
    assert_eq!(world.find("nobody", "sink").await, Vec::<String>::new());
    assert_eq!(world.find("other", "acme/sink or acme").await, Vec::<String>::new());

    let found = world.search_with(asked("leak")).await.unwrap();
    assert_eq!(found.messages[0].people[0].person_id, "ann");
    assert_eq!(found.messages[0].message.as_ref().unwrap().direction, "inbound");
    world.finish().await;
}

#[tokio::test]
async fn words_are_found_by_their_stem_their_beginning_as_a_phrase_and_without_others() {
    let world = World::with_ann().await;
    let long = format!("{} plumbing", "x".repeat(3_000));
    let texts = [
        "The kitchen sink is leaking again",
        "Rent due on the 1st: $1,250.00 for 1420 Oak-St., unit #4B",
        "Maintenance/plumber comes tomorrow <with keys & tools>",
        "El baño tiene una gotera, señora Torres",
        "Sink the boat in the kitchen",
        "Will can",
        long.as_str(),
    ];
    for text in texts {
        world.apply(&[world.text(ANN, OFFICE, text)]).await;
    }
    world.until_indexed().await;
    for (query, expected) in [
        ("leak", vec![0]),
        ("LEAKS", vec![0]),
        ("leaki", vec![0]),
        ("maintenanc", vec![2]),
        ("maintenanc ", vec![]),
        ("plumb", vec![2, 6]),
        ("plumber", vec![2]),
        ("keys tool", vec![2]),
        ("1420 oak st 4b", vec![1]),
        ("unit 4", vec![1]),
        ("oak 142", vec![1]),
        ("rent d", vec![1]),
        ("rent 4 ", vec![]),
        ("rent or 4", vec![1]),
        ("sink 4", vec![]),
        ("4", vec![]),
        ("1,250", vec![1]),
        ("oak-st", vec![1]),
        ("rent or leak", vec![0, 1]),
        ("sink", vec![0, 4]),
        ("sink -leak", vec![4]),
        ("\"kitchen sink\"", vec![0]),
        ("kitchen -\"kitchen sink\"", vec![4]),
        ("bano", vec![3]),
        ("BAÑO goter", vec![3]),
        ("torres", vec![3]),
        ("torre", vec![3]),
        ("eak", vec![]),
        ("acme", vec![]),
        ("' | 'x':*) & !", vec![]),
        // Nothing is looked for.
        ("the", vec![]),
        ("will can", vec![]),
        ("-leak", vec![]),
        ("leak or -rent", vec![]),
        ("\"", vec![]),
        ("  ", vec![]),
    ] {
        let expected: BTreeSet<&str> = expected.into_iter().map(|index: usize| texts[index]).collect();
        let found = world.find(ACME, query).await;
        assert_eq!(found.iter().map(String::as_str).collect::<BTreeSet<_>>(), expected, "{query}");
    }
    world.finish().await;
}

#[tokio::test]
async fn people_are_found_by_name_on_the_first_page_only_and_pages_have_no_gap_and_no_double() {
    let world = World::with_ann().await;
    for n in 0..12 {
        world.clock.advance(Duration::from_mins(1));
        let body = if n % 4 == 0 { format!("Ann and Ann, {n}") } else { format!("Ann here, {n}") };
        world.apply(&[world.text(ANN, OFFICE, &body)]).await;
    }
    world.until_indexed().await;
    let request = wire::SearchRequest { limit: 5, ..asked("ann") };
    let mut pages = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = world.search_with(wire::SearchRequest { cursor: cursor.clone(), ..request.clone() }).await.unwrap();
        let people: Vec<&str> = page.people.iter().map(|person| person.person_id.as_str()).collect();
        assert_eq!(people, if cursor.is_empty() { vec!["ann"] } else { vec![] });
        pages.extend(page.messages.into_iter().map(|each| each.message.unwrap().body));
        cursor = page.next_cursor;
        if cursor.is_empty() {
            break;
        }
        // What comes meanwhile is for those who ask anew.
        world.clock.advance(Duration::from_mins(1));
        world.apply(&[world.text(ANN, OFFICE, "Ann again")]).await;
        world.until_indexed().await;
    }
    let (best, newest): (Vec<i32>, Vec<i32>) = ([8, 4, 0].into(), [11, 10, 9, 7, 6, 5, 3, 2, 1].into());
    let expected = best.iter().map(|n| format!("Ann and Ann, {n}"));
    let expected: Vec<String> = expected.chain(newest.iter().map(|n| format!("Ann here, {n}"))).collect();
    assert_eq!(pages, expected);
    world.finish().await;
}

#[tokio::test]
async fn a_search_that_cannot_be_read_is_refused_with_the_field_and_the_reason() {
    let world = World::start().await;
    let (long, longest) = ("x".repeat(201), "é".repeat(200));
    for (request, code, field) in [
        (wire::SearchRequest { license_id: "a.b".to_owned(), ..asked("x") }, "invalid_id", "license_id"),
        (wire::SearchRequest { limit: 0, ..asked("x") }, "out_of_range", "limit"),
        (wire::SearchRequest { limit: 201, ..asked("x") }, "out_of_range", "limit"),
        (wire::SearchRequest { cursor: "x".to_owned(), ..asked("x") }, "invalid_cursor", "cursor"),
        (asked(&long), "invalid_query", "query"),
        (asked("a\0b"), "invalid_query", "query"),
    ] {
        assert_eq!(refusal(world.search_with(request).await), (code.to_owned(), Some(field.to_owned())));
    }
    assert_eq!(world.search_with(asked(&longest)).await.unwrap(), wire::SearchResponse::default());
    world.finish().await;
}

/// A database without a service: nothing writes words but the test.
async fn shelf() -> Database {
    testkit::database(&[("_bus_migrations", &bus::MIGRATIONS), ("_migrations", &crate::MIGRATIONS)]).await
}

fn license(id: &str) -> LicenseId {
    LicenseId::parse(id).unwrap()
}

fn inbound(license_id: &LicenseId, conversation_id: Id<Conversation>, body: &str) -> NewMessage {
    NewMessage {
        license_id: license_id.clone(),
        message_id: Id::new(),
        conversation_id,
        direction: Direction::Inbound,
        body: body.to_owned(),
        media: Vec::new(),
        from: Some(PhoneNumber::from_e164(ANN).unwrap()),
        to: PhoneNumber::from_e164(OFFICE).unwrap(),
        manager: None,
        batch_id: None,
        status: MessageStatus::Received,
        segments: 1,
        carrier: Some("twilio".to_owned()),
        carrier_message_id: Some(Uuid::now_v7().to_string()),
        created_at: chrono::DateTime::UNIX_EPOCH,
    }
}

/// Writes messages as every transaction of the service does, all but the commit.
async fn write<'a>(pool: &PgPool, messages: &[NewMessage]) -> PgTransaction<'a> {
    let mut tx = pool.begin().await.unwrap();
    let licenses = messages.iter().map(|each| each.license_id.clone());
    let mut locked: Locked = licenses::lock(&mut tx, licenses).await.unwrap();
    messages::record_new(&mut tx, messages).await.unwrap();
    locked.record_messages(messages);
    locked.write(&mut tx).await.unwrap();
    tx
}

async fn put(pool: &PgPool, license_id: &str, bodies: &[&str]) -> Vec<Id<Message>> {
    let license_id = license(license_id);
    let conversation_id = Id::new();
    let messages: Vec<_> = bodies.iter().map(|body| inbound(&license_id, conversation_id, body)).collect();
    write(pool, &messages).await.commit().await.unwrap();
    messages.iter().map(|each| each.message_id).collect()
}

async fn find(pool: &PgPool, license_id: &str, word: &str) -> Vec<Uuid> {
    let mut connection = pool.acquire().await.unwrap();
    let license_id = license(license_id);
    let sought = Sought { words: format!("'{word}'"), words_of_license: format!("'{license_id}/{word}'") };
    let found = search_index::find(&mut connection, &license_id, &sought).await.unwrap();
    found.into_iter().map(|each| each.message_id).collect()
}

/// Turns until nothing is left.
async fn index(pool: &PgPool, due: &[LicenseId]) {
    let mut due = due.to_vec();
    while !due.is_empty() {
        due = turn(pool, &due).await.unwrap();
    }
}

#[tokio::test]
async fn no_message_is_skipped_when_commits_overtake_each_other() {
    let shelf = shelf().await;
    let (pool, both) = (&shelf.pool, [license("acme"), license("other")]);
    put(pool, "acme", &["first"]).await;
    put(pool, "other", &["first"]).await;
    // Its id and its time are older than those that come and are indexed while it is not committed.
    let slow = inbound(&both[0], Id::new(), "slow");
    let older = inbound(&both[0], Id::new(), "older");
    let tx = write(pool, std::slice::from_ref(&slow)).await;
    put(pool, "other", &["fast"]).await;
    index(pool, &both).await;
    assert_eq!((find(pool, "acme", "first").await.len(), find(pool, "other", "fast").await.len()), (1, 1));
    assert_eq!(find(pool, "acme", "slow").await, Vec::<Uuid>::new());
    tx.commit().await.unwrap();
    put(pool, "acme", &["quick"]).await;
    write(pool, std::slice::from_ref(&older)).await.commit().await.unwrap();
    index(pool, &both).await;
    assert_eq!(find(pool, "acme", "slow").await, [slow.message_id.uuid()]);
    assert_eq!(find(pool, "acme", "older").await, [older.message_id.uuid()]);
    assert_eq!(find(pool, "acme", "quick").await.len(), 1);
}

#[tokio::test]
async fn what_was_there_before_and_what_the_feed_no_longer_has_is_found_all_the_same() {
    let shelf = shelf().await;
    let (pool, acme) = (&shelf.pool, [license("acme")]);
    let many = vec!["earlier"; 1_100];
    put(pool, "acme", &many).await;
    sqlx::query("delete from feed").execute(pool).await.unwrap();
    assert_eq!(turn(pool, &acme).await.unwrap(), acme, "a turn is bounded");
    // It came while the others are still read.
    put(pool, "acme", &["meanwhile"]).await;
    index(pool, &acme).await;
    assert_eq!(find(pool, "acme", "earlier").await.len(), 1_000, "the newest");
    assert_eq!(find(pool, "acme", "meanwhile").await.len(), 1);
    let words: i64 = sqlx::query_scalar("select count(*) from message_words").fetch_one(pool).await.unwrap();
    assert_eq!(words, 1_101);

    put(pool, "acme", &["swept", "stayed"]).await;
    sqlx::query("delete from feed where seq = (select max(seq) - 1 from feed)").execute(pool).await.unwrap();
    let (behind, last) = search_index::list_behind(pool, "", 10).await.unwrap();
    assert_eq!((behind.as_slice(), last.as_deref()), (&acme[..], Some("acme")));
    index(pool, &acme).await;
    assert_eq!((find(pool, "acme", "swept").await.len(), find(pool, "acme", "stay").await.len()), (1, 1));
    assert_eq!(search_index::list_behind(pool, "", 10).await.unwrap().0, []);
    assert_eq!(search_index::list_behind(pool, "acme", 10).await.unwrap(), (vec![], None));
}

#[tokio::test]
async fn replicas_side_by_side_write_every_word_once() {
    let shelf = shelf().await;
    let pool = &shelf.pool;
    let all: Vec<LicenseId> = (0..30).map(|n| license(&format!("l-{n}"))).collect();
    for license_id in &all {
        put(pool, license_id.as_str(), &["hello"; 30]).await;
    }
    join(index(pool, &all), index(pool, &all)).await;
    let words: i64 = sqlx::query_scalar("select count(*) from message_words").fetch_one(pool).await.unwrap();
    assert_eq!(words, 900);
    assert_eq!(search_index::list_behind(pool, "", 100).await.unwrap().0, []);
}

/// What the deletion of a conversation does to messages and words, all but the commit.
async fn erase<'a>(pool: &PgPool, license_id: &LicenseId, conversation_id: Id<Conversation>) -> PgTransaction<'a> {
    let mut tx = pool.begin().await.unwrap();
    licenses::lock(&mut tx, [license_id.clone()]).await.unwrap();
    sqlx::query("delete from messages where conversation_id = $1")
        .bind(conversation_id.uuid())
        .execute(&mut *tx)
        .await
        .unwrap();
    search_index::erase_conversation(&mut tx, license_id, conversation_id).await.unwrap();
    tx
}

#[tokio::test]
async fn an_erased_conversation_is_found_no_more() {
    let shelf = shelf().await;
    let (pool, acme) = (&shelf.pool, license("acme"));
    let due = [acme.clone()];
    let (gone, stays) = (Id::new(), Id::new());
    let secret = || inbound(&acme, gone, "secret");
    write(pool, &[secret(), inbound(&acme, stays, "secret")]).await.commit().await.unwrap();

    // Before its words were ever written, while somebody comes to write them.
    let erasing = erase(pool, &acme, gone).await;
    let waiting = tokio::spawn({
        let (pool, due) = (pool.clone(), due.clone());
        async move { index(&pool, &due).await }
    });
    testkit::until_locked_out(pool, 1).await;
    erasing.commit().await.unwrap();
    waiting.await.unwrap();
    assert_eq!(find(pool, "acme", "secret").await.len(), 1, "that of the other conversation");

    // After the mark stands, whoever comes second passes by.
    write(pool, &[secret()]).await.commit().await.unwrap();
    let erasing = erase(pool, &acme, gone).await;
    assert_eq!(turn(pool, &due).await.unwrap(), due);
    erasing.commit().await.unwrap();
    index(pool, &due).await;
    assert_eq!(find(pool, "acme", "secret").await.len(), 1);

    // The words are being written, of a message that is still there: the deletion waits for them and takes them with it.
    let last = secret();
    write(pool, std::slice::from_ref(&last)).await.commit().await.unwrap();
    let mut indexer = pool.begin().await.unwrap();
    let names = ["acme".to_owned()];
    assert_eq!(search_index::lock_marks(&mut indexer, &names).await.unwrap().len(), 1);
    let message = ("acme".to_owned(), last.message_id.uuid());
    assert_eq!(search_index::record_words(&mut indexer, &[message]).await.unwrap(), 1);
    let erasing = tokio::spawn({
        let (pool, acme) = (pool.clone(), acme.clone());
        async move { erase(&pool, &acme, gone).await.commit().await.unwrap() }
    });
    testkit::until_locked_out(pool, 1).await;
    indexer.commit().await.unwrap();
    erasing.await.unwrap();
    index(pool, &due).await;
    assert_eq!(find(pool, "acme", "secret").await.len(), 1);
    let left: i64 = sqlx::query_scalar("select count(*) from message_words where conversation_id = $1")
        .bind(gone.uuid())
        .fetch_one(pool)
        .await
        .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_beginning_of_one_letter_never_reads_more_than_its_other_words_lead_to() {
    let shelf = shelf().await;
    let mut connection = shelf.pool.acquire().await.unwrap();
    sqlx::query(
        "insert into message_words (license_id, message_id, conversation_id, created_at, words)
         select 'acme', gen_random_uuid(), gen_random_uuid(), now(), words_of('unit ' || n) from generate_series(1, 20000) n",
    )
    .execute(&shelf.pool)
    .await
    .unwrap();
    let typed = crate::model::read_typed("unit 2");
    let parsed = search_index::parse(&mut connection, &typed).await.unwrap();
    let sought = parsed.among_others(&license("acme")).unwrap();
    let found = search_index::find_few(&mut connection, &license("acme"), &sought).await.unwrap();
    assert_eq!(found.map(|found| found.len()), Some(1_000), "2, 20, 21, …");
    put(&shelf.pool, "acme", &["unit 20001"]).await;
    index(&shelf.pool, &[license("acme")]).await;
    let found = search_index::find_few(&mut connection, &license("acme"), &sought).await.unwrap();
    assert_eq!(found.map(|found| found.len()), None, "too many have the other word");
}

#[tokio::test]
async fn of_a_word_that_stands_everywhere_the_newest_messages_are_ranked() {
    let shelf = shelf().await;
    let pool = &shelf.pool;
    sqlx::query(
        "insert into message_words (license_id, message_id, conversation_id, created_at, words)
         select case when n % 2 = 0 then 'acme' else 'other' end,
           ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, gen_random_uuid(), now(), 'rent:1'
         from generate_series(1, 40100) n",
    )
    .execute(pool)
    .await
    .unwrap();
    let found = find(pool, "acme", "rent").await;
    let newest: Vec<Uuid> = (0..1_000)
        .map(|n| format!("00000000-0000-7000-8000-{:012}", 40_100 - 2 * n))
        .map(|id| Uuid::try_parse(&id).unwrap())
        .collect();
    assert_eq!(found, newest);
    sqlx::query("delete from message_words where message_id > '00000000-0000-7000-8000-000000030000'")
        .execute(pool)
        .await
        .unwrap();
    let found = find(pool, "acme", "rent").await;
    assert_eq!((found.len(), found[0].to_string()), (1_000, "00000000-0000-7000-8000-000000030000".to_owned()));
}
