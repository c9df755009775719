//! The words of messages: written beside the messages' own transactions, erased with them, searched.
//!
//! Whoever writes or erases words of a license holds its mark. So words of an erased conversation never come back: messages are
//! read after the mark was locked, and the transaction that removes them takes the mark before it ends.

use std::collections::BTreeMap;

use domain::{Conversation, Id, LicenseId};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{Result, Tx, stored};
use crate::model::{Mark, Match, News, Parsed, Sought, Typed};

/// Messages are ranked among so many of the newest matches.
const RANKED: i64 = 1_000;
/// Up to so many matches are sorted by age. When there are more, at least every so manieth message of a large license is one,
/// and reading its messages from the newest on finds the newest matches sooner.
const SORTED: i64 = 20_000;

/// Creates the marks of those licenses that have none: everything they have is to be read.
pub(crate) async fn create_marks(tx: &mut Tx<'_>, license_ids: &[String]) -> Result<()> {
    sqlx::query!(
        "insert into word_marks (license_id, indexed_to, scan_after)
         select license_id, feed_head, '00000000-0000-0000-0000-000000000000' from licenses
         where license_id = any($1) and not exists (
           select from word_marks known where known.license_id = licenses.license_id)
         order by license_id on conflict do nothing",
        license_ids,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Locks the marks that nobody else holds.
pub(crate) async fn lock_marks(tx: &mut Tx<'_>, license_ids: &[String]) -> Result<BTreeMap<String, Mark>> {
    let rows = sqlx::query!(
        "select license_id, indexed_to, scan_after from word_marks where license_id = any($1)
         order by license_id for update skip locked",
        license_ids,
    )
    .fetch_all(&mut **tx)
    .await?;
    let marks = rows.into_iter().map(|row| {
        let mark = Mark { indexed_to: row.indexed_to, scan_after: row.scan_after };
        (row.license_id, mark)
    });
    Ok(marks.collect())
}

/// What the feed says after each mark, up to a limit for each license: its head, and the entries.
pub(crate) async fn list_news(
    tx: &mut Tx<'_>,
    marks: &BTreeMap<String, Mark>,
    limit: i64,
) -> Result<BTreeMap<String, (i64, Vec<News>)>> {
    let (license_ids, indexed_to): (Vec<String>, Vec<i64>) =
        marks.iter().map(|(license_id, mark)| (license_id.clone(), mark.indexed_to)).unzip();
    let rows = sqlx::query!(
        r#"select mark.license_id as "license_id!", licenses.feed_head, entry.seq as "seq?", entry.message_id as "message_id?"
           from unnest($1::text[], $2::bigint[]) as mark (license_id, indexed_to)
           join licenses on licenses.license_id = mark.license_id
           left join lateral (
             select seq, case when kind = 'message.created' then message_id end as message_id from feed
             where feed.license_id = mark.license_id and feed.seq > mark.indexed_to order by seq limit $3) entry on true
           order by mark.license_id, entry.seq"#,
        &license_ids,
        &indexed_to,
        limit,
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut news: BTreeMap<String, (i64, Vec<News>)> = BTreeMap::new();
    for row in rows {
        let of_license = news.entry(row.license_id).or_insert((row.feed_head, Vec::new()));
        of_license.1.extend(row.seq.map(|seq| News { seq, message_id: row.message_id }));
    }
    Ok(news)
}

/// The messages of licenses after an id each, up to a limit for each.
pub(crate) async fn list_messages_after(
    tx: &mut Tx<'_>,
    after: &[(String, Uuid)],
    limit: i64,
) -> Result<BTreeMap<String, Vec<Uuid>>> {
    if after.is_empty() {
        return Ok(BTreeMap::new());
    }
    let (license_ids, ids): (Vec<String>, Vec<Uuid>) = after.iter().cloned().unzip();
    let rows = sqlx::query!(
        r#"select scan.license_id as "license_id!", message.message_id
           from unnest($1::text[], $2::uuid[]) as scan (license_id, after)
           cross join lateral (
             select message_id from messages
             where messages.license_id = scan.license_id and messages.message_id > scan.after
             order by message_id limit $3) message
           order by scan.license_id, message.message_id"#,
        &license_ids,
        &ids,
        limit,
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut read: BTreeMap<String, Vec<Uuid>> = BTreeMap::new();
    for row in rows {
        read.entry(row.license_id).or_default().push(row.message_id);
    }
    Ok(read)
}

/// Writes the words of messages whose marks are locked. Those that do not exist any more are left out. Returns how many
/// are new.
pub(crate) async fn record_words(tx: &mut Tx<'_>, messages: &[(String, Uuid)]) -> Result<u64> {
    if messages.is_empty() {
        return Ok(0);
    }
    let (license_ids, ids): (Vec<String>, Vec<Uuid>) = messages.iter().cloned().unzip();
    let written = sqlx::query!(
        "insert into message_words (license_id, message_id, conversation_id, created_at, words)
         select m.license_id, m.message_id, m.conversation_id, m.created_at, words_of(m.body)
         from unnest($1::text[], $2::uuid[]) as new (license_id, message_id)
         join messages m on m.license_id = new.license_id and m.message_id = new.message_id
         where not exists (
           select from message_words known where known.license_id = m.license_id and known.message_id = m.message_id)
         on conflict do nothing",
        &license_ids,
        &ids,
    )
    .execute(&mut **tx)
    .await?;
    Ok(written.rows_affected())
}

pub(crate) async fn record_marks(tx: &mut Tx<'_>, marks: &BTreeMap<String, Mark>) -> Result<()> {
    let license_ids: Vec<&str> = marks.keys().map(String::as_str).collect();
    let indexed_to: Vec<i64> = marks.values().map(|mark| mark.indexed_to).collect();
    let scan_after: Vec<Option<Uuid>> = marks.values().map(|mark| mark.scan_after).collect();
    sqlx::query!(
        "update word_marks set indexed_to = new.indexed_to, scan_after = new.scan_after
         from unnest($1::text[], $2::bigint[], $3::uuid[]) as new (license_id, indexed_to, scan_after)
         where word_marks.license_id = new.license_id
           and (word_marks.indexed_to, word_marks.scan_after) is distinct from (new.indexed_to, new.scan_after)",
        &license_ids as _,
        &indexed_to,
        &scan_after as _,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Looks at so many licenses after one. Returns those whose words lag behind, and the last one that was looked at.
pub(crate) async fn list_behind(pool: &PgPool, after: &str, limit: i64) -> Result<(Vec<LicenseId>, Option<String>)> {
    let row = sqlx::query!(
        r#"select max(l.license_id) as last,
             coalesce(array_agg(l.license_id) filter (
               where l.feed_head > coalesce(m.indexed_to, 0) or m.scan_after is not null), '{}') as "behind!"
           from (select license_id, feed_head from licenses where license_id > $1 order by license_id limit $2) as l
           left join word_marks m on m.license_id = l.license_id"#,
        after,
        limit,
    )
    .fetch_one(pool)
    .await?;
    let behind = row.behind.into_iter().map(|id| stored(LicenseId::parse(id), "license id"));
    Ok((behind.collect::<Result<_>>()?, row.last))
}

/// Erases what refers to a conversation that is being deleted (rule 11), in the transaction that removes its messages. The
/// license is locked.
pub(crate) async fn erase_conversation(
    tx: &mut Tx<'_>,
    license_id: &LicenseId,
    conversation_id: Id<Conversation>,
) -> Result<()> {
    // Locks the mark, also one that is just being created.
    sqlx::query!(
        "insert into word_marks (license_id, indexed_to, scan_after)
         select license_id, feed_head, '00000000-0000-0000-0000-000000000000' from licenses where license_id = $1
         on conflict (license_id) do update set indexed_to = word_marks.indexed_to",
        license_id.as_str(),
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(
        "delete from message_words where license_id = $1 and conversation_id = $2",
        license_id.as_str(),
        conversation_id.uuid(),
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What is looked for, read as the words of texts are.
pub(crate) async fn parse(db: &mut PgConnection, typed: &Typed) -> Result<Parsed> {
    let row = sqlx::query!(
        r#"select query::text as "query!",
             coalesce(websearch_to_tsquery('pg_catalog.english', written)::text, '') as "last!",
             coalesce(written, '') as "written!"
           from (select websearch_to_tsquery('pg_catalog.english', plain_letters($1)) as query,
                        lower(plain_letters($2)) as written) as typed"#,
        typed.text,
        typed.last.as_deref(),
    )
    .fetch_one(db)
    .await?;
    Ok(Parsed { query: row.query, last: row.last, written: row.written })
}

/// The newest matches.
pub(crate) async fn find(db: &mut PgConnection, license_id: &LicenseId, sought: &Sought) -> Result<Vec<Match>> {
    match find_few(db, license_id, sought).await? {
        Some(matches) => Ok(matches),
        None => find_frequent(db, license_id, sought).await,
    }
}

/// The newest matches among the messages that the index leads to. `None`: it leads to more than are looked at.
pub(crate) async fn find_few(
    db: &mut PgConnection,
    license_id: &LicenseId,
    sought: &Sought,
) -> Result<Option<Vec<Match>>> {
    let rows = sqlx::query!(
        // The words lead to rows of this license alone.
        r#"with found as materialized (
             select license_id, message_id, created_at, words from message_words
             where words_of_license(license_id, words) @@ $2::text::tsquery limit $3)
           select counted.total as "total!", newest.message_id as "message_id?", newest.created_at as "created_at?",
             newest.rank as "rank?"
           from (select count(*) as total from found) as counted
           left join (
             select message_id, created_at, ts_rank(words, $5::text::tsquery) as rank from found
             where license_id = $1 and words @@ $5::text::tsquery order by message_id desc limit $4) as newest on true
           order by newest.message_id desc"#,
        license_id.as_str(),
        sought.words_of_license,
        SORTED + 1,
        RANKED,
        sought.words,
    )
    .fetch_all(&mut *db)
    .await?;
    if rows.first().is_some_and(|row| row.total > SORTED) {
        return Ok(None);
    }
    let matches = rows
        .into_iter()
        .filter_map(|row| Some(Match { message_id: row.message_id?, created_at: row.created_at?, rank: row.rank? }));
    Ok(Some(matches.collect()))
}

/// The newest matches where many messages match: the license's messages are looked at from the newest on.
async fn find_frequent(db: &mut PgConnection, license_id: &LicenseId, sought: &Sought) -> Result<Vec<Match>> {
    let matches = sqlx::query_as!(
        Match,
        r#"select message_id, created_at, ts_rank(words, $2::text::tsquery) as "rank!"
           from (select message_id, created_at, words from message_words
                 where license_id = $1 order by message_id desc offset 0) as newest
           where words @@ $2::text::tsquery order by message_id desc limit $3"#,
        license_id.as_str(),
        sought.words,
        RANKED,
    )
    .fetch_all(db)
    .await?;
    Ok(matches)
}
