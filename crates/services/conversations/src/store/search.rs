//! Finding conversations by the people in them.
//!
//! Each stored word carries its license (`acme/torres`), so an index of words leads to rows of that license alone.

use chrono::{DateTime, Utc};
use domain::{LicenseId, ManagerId};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Moment, Result};

/// Conversations looked at for one page of unread ones.
pub(crate) const WALKED: i64 = 1_000;

/// Which conversations.
#[derive(Debug)]
pub(crate) struct Filter {
    /// Somebody in it has a name with words that begin so: a `tsquery`, as the index of one license has them.
    names: String,
    /// Its number has these digits.
    digits: Option<String>,
}

impl Filter {
    /// `None`: the query says neither a word nor a digit.
    pub(crate) fn find(license_id: &LicenseId, query: &str) -> Option<Self> {
        let words = query.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
        let words: Vec<String> = words.map(|word| format!("'{license_id}/{}':*", word.to_lowercase())).collect();
        let digits: String = query.chars().filter(char::is_ascii_digit).collect();
        let is_number = query.chars().all(|letter| letter.is_ascii_digit() || "+-(). ".contains(letter));
        (!words.is_empty())
            .then(|| Self { names: words.join(" & "), digits: (is_number && !digits.is_empty()).then_some(digits) })
    }
}

/// A conversation of a list, and whether the manager has something to read in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Walked {
    pub at: DateTime<Utc>,
    pub id: Uuid,
    pub unread: bool,
}

/// A license's conversations, newest first, after a place.
pub(crate) async fn walk(
    db: &mut PgConnection,
    license_id: &LicenseId,
    manager_id: Option<&ManagerId>,
    after: Option<Moment>,
    limit: i64,
) -> Result<Vec<Walked>> {
    let walked = sqlx::query_as!(
        Walked,
        r#"select c.at as "at!", c.id as "id!",
             c.inbound_count > coalesce((
               select read_count from read_marks mark
               where mark.license_id = $1 and mark.manager_id = $2 and mark.conversation_id = c.id), 0) as "unread!"
           from (select last_activity_at as at, conversation_id as id, inbound_count from conversations
                 where license_id = $1
                   and (last_activity_at, conversation_id) <
                       (coalesce($3::timestamptz, 'infinity'), coalesce($4::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
                 order by last_activity_at desc, conversation_id desc limit $5) as c
           order by c.at desc, c.id desc"#,
        license_id.as_str(),
        manager_id.map(ManagerId::as_str),
        after.map(|moment| moment.at),
        after.map(|moment| moment.id),
        limit,
    )
    .fetch_all(db)
    .await?;
    Ok(walked)
}

/// The same, of those that the filter lets through.
pub(crate) async fn walk_found(
    db: &mut PgConnection,
    license_id: &LicenseId,
    manager_id: Option<&ManagerId>,
    filter: &Filter,
    after: Option<Moment>,
    limit: i64,
) -> Result<Vec<Walked>> {
    let walked = sqlx::query_as!(
        Walked,
        // Words lead to rows of this license; the limit says to the planner that a key leads to one row.
        r#"with found as materialized (
             select conversation_id
             from (select license_id, conversation_id from conversation_people
                   where name_words @@ $6::text::tsquery offset 0) as named
             where license_id = $1
             union
             select conversation_id from conversations
             where license_id = $1 and number like '%' || $7 || '%')
           select c.last_activity_at as "at!", c.conversation_id as "id!",
             c.inbound_count > coalesce((
               select read_count from read_marks mark
               where mark.license_id = $1 and mark.manager_id = $2 and mark.conversation_id = c.conversation_id), 0) as "unread!"
           from found
           cross join lateral (
             select conversation_id, last_activity_at, inbound_count from conversations each
             where each.license_id = $1 and each.conversation_id = found.conversation_id limit 1) as c
           where (c.last_activity_at, c.conversation_id) <
                 (coalesce($3::timestamptz, 'infinity'), coalesce($4::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
           order by c.last_activity_at desc, c.conversation_id desc limit $5"#,
        license_id.as_str(),
        manager_id.map(ManagerId::as_str),
        after.map(|moment| moment.at),
        after.map(|moment| moment.id),
        limit,
        filter.names,
        filter.digits,
    )
    .fetch_all(db)
    .await?;
    Ok(walked)
}
