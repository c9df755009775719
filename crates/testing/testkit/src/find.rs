//! Looks for a text everywhere: in every table of a database, and in every stream of a namespace. Proves that something is
//! gone (rule 11), whatever tables and streams there will be.

use async_nats::jetstream;
use async_nats::jetstream::stream::RawMessageErrorKind;
use futures_util::TryStreamExt as _;
use sqlx::{AssertSqlSafe, PgPool};

/// Rows with the text, as table and row. Letters of either case match, because an index of words may keep small ones; binary
/// columns are searched too.
pub async fn find_text(pool: &PgPool, text: &str) -> Vec<(String, String)> {
    let tables: Vec<String> = sqlx::query_scalar(
        "select format('%I.%I', table_schema, table_name) from information_schema.tables
         where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema')
         order by 1",
    )
    .fetch_all(pool)
    .await
    .expect("the list of tables");
    assert!(!tables.is_empty(), "a database without tables proves nothing");
    let mut found = Vec::new();
    for table in tables {
        let statement = format!(
            "select each::text from {table} each
             where strpos(lower(each::text), lower($1)) > 0 or strpos(each::text, encode(convert_to($1, 'UTF8'), 'hex')) > 0"
        );
        let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(statement))
            .bind(text)
            .fetch_all(pool)
            .await
            .unwrap_or_else(|error| panic!("{table} cannot be searched: {error}"));
        found.extend(rows.into_iter().map(|row| (table.clone(), row)));
    }
    found
}

/// Messages and values with the text in all streams and buckets of a namespace, as stream and number.
pub async fn find_text_in_streams(client: &async_nats::Client, namespace: &str, text: &str) -> Vec<(String, u64)> {
    let jetstream = jetstream::new(client.clone());
    let all: Vec<String> = jetstream.stream_names().try_collect().await.expect("the list of streams");
    let ours: Vec<String> = all.into_iter().filter(|name| name.contains(&namespace.to_uppercase())).collect();
    assert!(!ours.is_empty(), "a namespace without streams proves nothing");
    let mut found = Vec::new();
    for name in ours {
        let stream = jetstream.get_stream(&name).await.expect("the stream");
        let mut number = 1;
        loop {
            let message = match stream.get_first_raw_message_by_subject(">", number).await {
                Ok(message) => message,
                Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => break,
                Err(error) => panic!("{name} cannot be searched: {error}"),
            };
            let headers = format!("{:?}", message.headers);
            let payload = String::from_utf8_lossy(&message.payload);
            if [headers.as_str(), &payload].iter().any(|part| part.to_lowercase().contains(&text.to_lowercase())) {
                found.push((name.clone(), message.sequence));
            }
            number = message.sequence + 1;
        }
    }
    found
}
