//! How PostgreSQL goes about every statement of the service: by a key, never over a whole table, however much there is.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

use super::*;

/// What may be read without a condition: the beginning of the statement, the table or index, and why.
const EXCEPTIONS: [(&str, &str, &str); 6] = [
    ("select position, event_id, subject", "outbox_pkey", "the relay takes the oldest; what it took is gone"),
    (
        "delete from outbox where position in\n           (select position from outbox where event_id",
        "outbox",
        "a deletion takes back what has not gone out: seldom, of a short table",
    ),
    ("delete from erasures_pending", "erasures_pending", "rows live for minutes"),
    ("select exists (select from erasures_pending)", "erasures_pending_by_number", "rows live for minutes"),
    ("select n - 1 as \"place!\"", "erasures_pending_by_number", "rows live for minutes"),
    ("select exists (select from licenses where company_phone", "licenses", "of the numbers service: it has an index"),
];

/// Statements that PostgreSQL can prepare against the tables of this service. Those of other services stand beside them.
fn list_statements() -> Vec<(String, usize)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../.sqlx");
    let mut statements: Vec<(String, usize)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let stored: Value = serde_json::from_slice(&fs::read(entry.unwrap().path()).unwrap()).unwrap();
            let parameters = stored["describe"]["parameters"]["Left"].as_array().unwrap().len();
            (stored["query"].as_str().unwrap().to_owned(), parameters)
        })
        .collect();
    statements.sort();
    statements
}

/// Enough rows for statistics, and then as many of each as ten million messages bring with them.
const ROWS: [&str; 30] = [
    "insert into licenses (license_id, number, feed_head) select 'l-' || n, '+1646' || 2000000 + n, 100 from generate_series(0, 99) n",
    "insert into conversations (license_id, conversation_id, number, opened_at, last_activity_at)
     select 'l-' || n % 100, ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, '+1415' || 2000000 + n, now(),
       now() - n * interval '1 second'
     from generate_series(0, 4999) n",
    "insert into people (license_id, person_id, kind, name, updated_at)
     select license_id, 'p-' || right(number, 7), 'tenant', 'Tenant ' || number, now() from conversations",
    "insert into ties (license_id, person_id, number, position, tied_at)
     select license_id, 'p-' || right(number, 7), number, 1, now() from conversations",
    "insert into conversation_people (license_id, conversation_id, person_id, kind, name)
     select license_id, conversation_id, 'p-' || right(number, 7), 'tenant', 'Tenant ' || number from conversations",
    "insert into messages (license_id, message_id, conversation_id, direction, body, media_urls, media_types, to_number,
       status, segments, created_at, carrier_message_id)
     select license_id, gen_random_uuid(), conversation_id, 'inbound', 'the plumber comes at ' || n, '{}', '{}', number,
       'received', 1, now() - n * interval '1 minute', 'SM' || number || n
     from conversations, generate_series(1, 4) n",
    "insert into message_words (license_id, message_id, conversation_id, created_at, words)
     select license_id, message_id, conversation_id, created_at, words_of(body) from messages
     where body like '%1'",
    "insert into feed (license_id, seq, kind, conversation_id, message_id, occurred_at)
     select license_id, row_number() over (partition by license_id), 'message.created', conversation_id, message_id, created_at
     from messages",
    "insert into managers (license_id, manager_id, read_total, since) select license_id, 'm-1', 0, now() from licenses",
    "insert into read_marks (license_id, manager_id, conversation_id, read_count)
     select license_id, 'm-1', conversation_id, 1 from conversations",
    "insert into word_marks (license_id, indexed_to) select license_id, feed_head from licenses",
    "insert into consents (license_id, number, opted_out, source, changed_at)
     select license_id, number, true, 'keyword', now() from conversations",
    "insert into conversation_events (license_id, event_id, conversation_id, kind, source, occurred_at)
     select license_id, gen_random_uuid(), conversation_id, 'opted_out', 'keyword', now() from conversations",
    "insert into textless_numbers (license_id, number, learned_at)
     select license_id, number, last_activity_at from conversations order by last_activity_at",
    "insert into calls (license_id, call_id, carrier, carrier_call_id, to_number, started_at)
     select license_id, conversation_id, 'twilio', number, number, opened_at from conversations",
    "insert into call_people (license_id, call_id, person_id, kind, name)
     select license_id, conversation_id, 'p', 'tenant', 'Tenant' from conversations",
    "insert into idempotency (license_id, manager_id, key, request_hash, message_ids, rejected, created_at)
     select license_id, 'm-1', number, '', '{}', '[]', last_activity_at from conversations order by last_activity_at",
    "insert into unmatched_messages (carrier, carrier_message_id, license_id, from_number, to_number, body, media_urls,
       media_types, received_at)
     select 'twilio', number, license_id, number, number, 'hello', '{}', '{}', last_activity_at
     from conversations order by last_activity_at",
    "insert into conversation_links (license_id, older_id, newer_id, linked_at)
     select license_id, conversation_id, conversation_id, now() from conversations",
    "insert into blocked_numbers (license_id, blocked_id, number, manager_id, manager_name, blocked_at)
     select license_id, conversation_id, number, 'm-1', 'Mia', now() from conversations",
    "insert into deletions (license_id, conversation_id, manager_id, manager_name, messages, deleted_at)
     select license_id, conversation_id, 'm-1', 'Mia', 3, now() from conversations",
    "insert into batches (license_id, batch_id, manager_id, manager_name, created_at, recipients, rejected, messages, told_at)
     select license_id, conversation_id, 'm-1', 'Mia', now(), 1, 0, 1, now() from conversations",
    "insert into scheduled_sends (license_id, scheduled_id, manager_id, manager_name, body, media_urls, send_at, created_at,
       status, ended_at, recipient_count, rejected_count)
     select license_id, conversation_id, 'm-1', 'Mia', '', '{}', last_activity_at, now(), 'sent', last_activity_at, 1, 0
     from conversations",
    "insert into scheduled_recipients (license_id, scheduled_id, position, person_id, number)
     select license_id, conversation_id, 1, 'p-' || right(number, 7), number from conversations",
    "insert into media (license_id, media_id, message_id, conversation_id, position, carrier, content_type, state, tries,
       next_try_at)
     select license_id, message_id, message_id, conversation_id, 0, 'twilio', 'image/png',
       case when body like '%1' then 'pending' else 'stored' end, 1, created_at
     from messages",
    "insert into backfills (license_id, number, carrier, assigned_at, checked_to, due_at)
     select 'b-' || conversation_id, number, 'twilio', now(), last_activity_at, last_activity_at from conversations",
    "insert into inbox (consumer, event_id, consumed_at)
     select 'c', number, last_activity_at from conversations order by last_activity_at",
    "insert into outbox (event_id, subject, payload, occurred_at)
     select gen_random_uuid(), 's', '', now() from conversations",
    "analyze",
    "update pg_class set reltuples = reltuples * 500
     where relkind = 'r' and reltuples > 0 and relnamespace = 'public'::regnamespace",
];

/// What a plan reads in whole: tables, and indexes without a condition.
fn list_whole_reads(node: &Value, found: &mut BTreeSet<String>) {
    let kind = node["Node Type"].as_str().unwrap_or_default();
    if kind == "Seq Scan" {
        found.insert(node["Relation Name"].as_str().unwrap_or_default().to_owned());
    }
    if kind.contains("Index") && node["Index Cond"].is_null() {
        found.insert(node["Index Name"].as_str().unwrap_or_default().to_owned());
    }
    for child in node["Plans"].as_array().into_iter().flatten() {
        list_whole_reads(child, found);
    }
}

async fn explain(db: &mut PgConnection, statement: &str, parameters: usize) -> Option<Value> {
    sqlx::raw_sql(AssertSqlSafe(format!("prepare planned as {statement}"))).execute(&mut *db).await.ok()?;
    let nulls = vec!["null"; parameters].join(", ");
    let execute = if nulls.is_empty() { "planned".to_owned() } else { format!("planned({nulls})") };
    let explain = format!("explain (format json) execute {execute}");
    let row = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_one(&mut *db).await.unwrap();
    sqlx::raw_sql("deallocate planned").execute(&mut *db).await.unwrap();
    let mut plan: Value = row.get(0);
    Some(plan[0]["Plan"].take())
}

#[tokio::test]
async fn no_statement_reads_a_whole_table() {
    let database =
        testkit::database(&[("_bus_migrations", &bus::MIGRATIONS), ("_migrations", &crate::MIGRATIONS)]).await;
    for statement in ROWS {
        sqlx::query(statement).execute(&database.pool).await.unwrap();
    }
    // As the service connects.
    let mut settings: Settings = chassis::config::load(DEFAULTS, None, &|_| None).unwrap();
    settings.database.url = Secret::new(database.url.clone());
    let pool = chassis::database::connect(&settings.database, "test").unwrap();
    let mut db = pool.acquire().await.unwrap().detach();

    let mut read = BTreeSet::new();
    list_whole_reads(&explain(&mut db, "select from messages where body = $1", 1).await.unwrap(), &mut read);
    assert_eq!(read, ["messages".to_owned()].into(), "what reads everything is noticed");

    let (mut planned, mut wrong) = (0, Vec::new());
    for (statement, parameters) in list_statements() {
        let Some(plan) = explain(&mut db, &statement, parameters).await else { continue };
        planned += 1;
        let mut read = BTreeSet::new();
        list_whole_reads(&plan, &mut read);
        let excepted = |name: &String| {
            EXCEPTIONS.iter().any(|(beginning, what, _)| statement.starts_with(beginning) && name == what)
        };
        read.retain(|name| !excepted(name));
        if !read.is_empty() {
            wrong.push(format!("{read:?}: {statement}\n{plan:#}"));
        }
    }
    assert!(planned > 70, "{planned} statements of the service were found");
    assert!(wrong.is_empty(), "{} of {planned}\n{}", wrong.len(), wrong.join("\n\n"));
    db.close().await.unwrap();
}
