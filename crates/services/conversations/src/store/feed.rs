//! Reading the feed: entries with their content as it is now.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::LicenseId;
use proto::conversations as wire;
use proto::conversations::feed_entry::Content;
use proto::to_timestamp;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::licenses::FeedRange;
use super::reading::MarkKey;
use super::{
    Result, batches, calls, consents, conversations, deletions, messages, people, reading, scheduled, stored, unmatched,
};

/// Entries older than this are swept; who was away longer starts over.
pub(crate) const RETENTION: chrono::TimeDelta = chrono::TimeDelta::days(7);

struct Row {
    license_id: String,
    seq: i64,
    kind: String,
    conversation_id: Option<Uuid>,
    message_id: Option<Uuid>,
    person_id: Option<String>,
    call_id: Option<Uuid>,
    event_id: Option<Uuid>,
    send_id: Option<Uuid>,
    manager_id: Option<String>,
    occurred_at: DateTime<Utc>,
}

impl Row {
    /// What an entry about somebody's reading refers to.
    fn mark_key(&self) -> Option<MarkKey> {
        Some((self.license_id.clone(), self.manager_id.clone()?, self.conversation_id?))
    }
}

/// The entries of some ranges, each license's in order.
pub(crate) async fn load(db: &mut PgConnection, ranges: &[FeedRange]) -> Result<Vec<wire::FeedEntry>> {
    let license_ids: Vec<String> = ranges.iter().map(|range| range.license_id.to_string()).collect();
    let first: Vec<i64> = ranges.iter().map(|range| range.first).collect();
    let last: Vec<i64> = ranges.iter().map(|range| range.last).collect();
    let rows = sqlx::query_as!(
        Row,
        "select feed.license_id, seq, kind, conversation_id, message_id, person_id, call_id, event_id,
                send_id, manager_id, occurred_at
         from unnest($1::text[], $2::bigint[], $3::bigint[]) as wanted (license_id, first, last)
         join feed on feed.license_id = wanted.license_id and feed.seq between wanted.first and wanted.last
         order by feed.license_id, seq",
        &license_ids,
        &first,
        &last,
    )
    .fetch_all(&mut *db)
    .await?;
    with_content(db, rows).await
}

async fn with_content(db: &mut PgConnection, rows: Vec<Row>) -> Result<Vec<wire::FeedEntry>> {
    let mut message_ids = Vec::new();
    let mut conversation_ids = Vec::new();
    let mut person_ids = Vec::new();
    let mut call_ids = Vec::new();
    let mut event_ids = Vec::new();
    let mut mark_keys = Vec::new();
    let mut license_ids = Vec::new();
    let (mut batch_ids, mut scheduled_ids, mut deleted_ids) = (Vec::new(), Vec::new(), Vec::new());
    let mut unmatched_of = Vec::new();
    for row in &rows {
        let license_id = stored(LicenseId::parse(row.license_id.as_str()), "license id")?;
        match row.kind.as_str() {
            "number.changed" | "company.updated" => license_ids.push(row.license_id.clone()),
            "call.updated" => call_ids.extend(row.call_id.map(|id| (license_id, id))),
            "conversation.event" => event_ids.extend(row.event_id.map(|id| (license_id, id))),
            "conversation.updated" => conversation_ids.extend(row.conversation_id.map(|id| (license_id, id))),
            "read.updated" => mark_keys.extend(row.mark_key()),
            "conversation.deleted" => deleted_ids.extend(row.conversation_id.map(|id| (license_id, id))),
            "batch.updated" => batch_ids.extend(row.send_id.map(|id| (license_id, id))),
            "scheduled.updated" => scheduled_ids.extend(row.send_id.map(|id| (license_id, id))),
            "unmatched.updated" => unmatched_of.push(license_id),
            "person.updated" => person_ids.extend(row.person_id.clone().map(|id| (license_id, id))),
            _ => message_ids.extend(row.message_id.map(|id| (license_id, id))),
        }
    }
    // A busy message stands in many entries: it is read once.
    for ids in [&mut message_ids, &mut conversation_ids, &mut call_ids, &mut batch_ids, &mut scheduled_ids] {
        ids.sort_unstable();
        ids.dedup();
    }
    let messages = messages::load(&mut *db, &message_ids).await?;
    let conversations = if conversation_ids.is_empty() {
        HashMap::new()
    } else {
        conversations::load(&mut *db, &conversation_ids).await?
    };
    let people = if person_ids.is_empty() { HashMap::new() } else { people::load(&mut *db, &person_ids).await? };
    let calls = if call_ids.is_empty() { HashMap::new() } else { calls::load(&mut *db, &call_ids).await? };
    let lines = if event_ids.is_empty() { HashMap::new() } else { consents::load_lines(&mut *db, &event_ids).await? };
    let batches = batches::load(&mut *db, &batch_ids).await?;
    let scheduled = scheduled::load(&mut *db, &scheduled_ids).await?;
    let deletions = deletions::load(&mut *db, &deleted_ids).await?;
    let unmatched = unmatched::count(&mut *db, &unmatched_of).await?;
    let marks = reading::load_states(&mut *db, &mark_keys).await?;
    let licenses = if license_ids.is_empty() { HashMap::new() } else { load_licenses(db, &license_ids).await? };
    let entries = rows.into_iter().map(|row| {
        let message = || row.message_id.and_then(|id| messages.get(&id)).cloned();
        let content = match row.kind.as_str() {
            "message.created" => message().map(Content::MessageCreated),
            "message.updated" => message().map(Content::MessageUpdated),
            "conversation.updated" => {
                row.conversation_id.and_then(|id| conversations.get(&id)).cloned().map(Content::ConversationUpdated)
            }
            "person.updated" => {
                let key = row.person_id.map(|person_id| (row.license_id.clone(), person_id));
                key.and_then(|key| people.get(&key)).cloned().map(Content::PersonUpdated)
            }
            "number.changed" => {
                licenses.get(&row.license_id).and_then(|license| license.number.clone()).map(Content::NumberChanged)
            }
            "company.updated" => {
                licenses.get(&row.license_id).and_then(|license| license.company.clone()).map(Content::CompanyUpdated)
            }
            "call.updated" => row.call_id.and_then(|id| calls.get(&id)).cloned().map(Content::CallUpdated),
            "conversation.event" => row.event_id.and_then(|id| lines.get(&id)).cloned().map(Content::ConversationEvent),
            "conversation.deleted" => {
                let receipt = row.conversation_id.and_then(|id| deletions.get(&id)).cloned();
                receipt
                    .map(|receipt| Content::ConversationDeleted(wire::ConversationDeleted { receipt: Some(receipt) }))
            }
            "batch.updated" => row.send_id.and_then(|id| batches.get(&id)).cloned().map(Content::BatchUpdated),
            "scheduled.updated" => {
                row.send_id.and_then(|id| scheduled.get(&id)).cloned().map(Content::ScheduledUpdated)
            }
            "unmatched.updated" => unmatched
                .get(&row.license_id)
                .map(|messages| Content::UnmatchedUpdated(wire::UnmatchedUpdated { messages: *messages })),
            "read.updated" => row.mark_key().and_then(|key| {
                let state = marks.get(&key).cloned()?;
                Some(Content::ReadUpdated(wire::ReadUpdated { manager_id: key.1, state: Some(state) }))
            }),
            _ => None,
        };
        wire::FeedEntry {
            license_id: row.license_id,
            seq: row.seq.unsigned_abs(),
            occurred_at: Some(to_timestamp(row.occurred_at)),
            content,
        }
    });
    Ok(entries.collect())
}

/// What entries show of a license itself.
struct License {
    number: Option<wire::NumberChanged>,
    company: Option<wire::CompanyUpdated>,
}

async fn load_licenses(db: &mut PgConnection, license_ids: &[String]) -> Result<HashMap<String, License>> {
    let rows = sqlx::query!(
        "select license_id, number, carrier, number_assigned_at, company_name, company_phone
         from licenses where license_id = any($1)",
        license_ids,
    )
    .fetch_all(db)
    .await?;
    let licenses = rows.into_iter().map(|row| {
        let number = row.number.zip(row.carrier).map(|(number, carrier)| wire::NumberChanged {
            number,
            carrier,
            assigned_at: row.number_assigned_at.map(to_timestamp),
        });
        let company_phone = row.company_phone;
        let company = row.company_name.map(|company_name| wire::CompanyUpdated { company_name, company_phone });
        (row.license_id, License { number, company })
    });
    Ok(licenses.collect())
}

/// Where a license's feed stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The newest entry; 0: none yet.
    pub head: i64,
    /// The oldest entry that is still kept. `None`: none is.
    pub oldest: Option<i64>,
}

pub(crate) async fn get_extent(db: &mut PgConnection, license_id: &LicenseId) -> Result<Extent> {
    let row = sqlx::query!(
        r#"select feed_head, (select min(seq) from feed where feed.license_id = licenses.license_id) as oldest
           from licenses where license_id = $1"#,
        license_id.as_str(),
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map_or(Extent { head: 0, oldest: None }, |row| Extent { head: row.feed_head, oldest: row.oldest }))
}

/// The heads of many licenses; 0 for those without a feed.
pub(crate) async fn list_heads(pool: &PgPool, license_ids: &[String]) -> Result<Vec<wire::FeedHead>> {
    let rows = sqlx::query!(
        r#"select wanted.license_id as "license_id!", coalesce(feed_head, 0) as "feed_head!"
           from (select distinct unnest($1::text[]) as license_id) as wanted
           left join licenses on licenses.license_id = wanted.license_id"#,
        license_ids,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| wire::FeedHead { license_id: row.license_id, seq: row.feed_head.unsigned_abs() })
        .collect())
}

/// Removes entries that are older than the retention, a bounded number of them. Returns how many went.
pub(crate) async fn sweep(pool: &PgPool, now: DateTime<Utc>, limit: i64) -> Result<u64> {
    let swept = sqlx::query!(
        "delete from feed where (license_id, seq) in
           (select license_id, seq from feed where occurred_at < $1 limit $2)",
        now - RETENTION,
        limit,
    )
    .execute(pool)
    .await?;
    Ok(swept.rows_affected())
}
