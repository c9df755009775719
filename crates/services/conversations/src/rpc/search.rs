//! `SearchService`: messages and people by words.

use std::collections::HashMap;

use chassis::Fault;
use domain::LicenseId;
use proto::conversations::search_service_server::SearchService;
use proto::conversations::{FoundMessage, Person, SearchRequest, SearchResponse};
use sqlx::PgConnection;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::reading::parse_query;
use super::{Context, page_of, parse_license_id, parse_limit};
use crate::error;
use crate::model::{Match, Parsed, Placing, plan_order, read_typed};
use crate::store::people::Filter;
use crate::store::{conversations, messages, people, search_index};

/// Beside the first page of messages.
const PEOPLE: i64 = 20;

#[tonic::async_trait]
impl SearchService for Context {
    async fn search(&self, request: Request<SearchRequest>) -> Result<Response<SearchResponse>, Status> {
        Ok(Response::new(search(self, &request.into_inner()).await?))
    }
}

async fn search(context: &Context, request: &SearchRequest) -> Result<SearchResponse, Fault> {
    let license_id = parse_license_id(&request.license_id)?;
    let limit = parse_limit(request.limit, 200)?;
    let after = find_placing(&request.cursor)?;
    parse_query(&request.query)?;
    if request.query.trim().is_empty() {
        return Ok(SearchResponse::default());
    }
    let mut connection = context.connection().await?;
    let parsed = search_index::parse(&mut connection, &read_typed(&request.query)).await?;
    let matches = find(&mut connection, &license_id, &parsed).await?;
    let (page, last) = page_of(plan_order(&matches, after), limit);
    let messages = load(&mut connection, &license_id, &page).await?;
    let people = match after {
        None => list_people(&mut connection, &license_id, request.query.trim()).await?,
        Some(_) => Vec::new(),
    };
    Ok(SearchResponse { messages, people, next_cursor: last.map(write_placing).unwrap_or_default() })
}

async fn find(db: &mut PgConnection, license_id: &LicenseId, parsed: &Parsed) -> Result<Vec<Match>, Fault> {
    if let Some(sought) = parsed.among_others(license_id)
        && let Some(matches) = search_index::find_few(&mut *db, license_id, &sought).await?
    {
        return Ok(matches);
    }
    match parsed.of_license(license_id) {
        Some(sought) => Ok(search_index::find(db, license_id, &sought).await?),
        None => Ok(Vec::new()),
    }
}

/// What was found, in this order. A message that has gone since is left out.
async fn load(db: &mut PgConnection, license_id: &LicenseId, page: &[Placing]) -> Result<Vec<FoundMessage>, Fault> {
    let wanted: Vec<_> = page.iter().map(|each| (license_id.clone(), each.message_id)).collect();
    let mut found = messages::load(&mut *db, &wanted).await?;
    let mut of: Vec<Uuid> =
        found.values().filter_map(|message| Uuid::try_parse(&message.conversation_id).ok()).collect();
    of.sort_unstable();
    of.dedup();
    let people = if of.is_empty() {
        HashMap::new()
    } else {
        conversations::load_people(db, &vec![license_id.to_string(); of.len()], &of).await?
    };
    let show = |placing: &Placing| {
        let message = found.remove(&placing.message_id)?;
        let conversation_id = Uuid::try_parse(&message.conversation_id).ok()?;
        let people = people.get(&conversation_id).cloned().unwrap_or_default();
        Some(FoundMessage { message: Some(message), people })
    };
    Ok(page.iter().filter_map(show).collect())
}

async fn list_people(db: &mut PgConnection, license_id: &LicenseId, query: &str) -> Result<Vec<Person>, Fault> {
    let filter = Filter { query, kind: None, after: None, limit: PEOPLE };
    let places = people::list_places(db, license_id, &filter).await?;
    let wanted: Vec<_> = places.iter().map(|place| (license_id.clone(), place.person_id.clone())).collect();
    let mut people = people::load(db, &wanted).await?;
    Ok(wanted.into_iter().filter_map(|(license_id, id)| people.remove(&(license_id.to_string(), id))).collect())
}

/// A place as an opaque word: the bits of its score, and the id.
fn write_placing(placing: Placing) -> String {
    format!("{:016x}.{}", placing.score.to_bits(), placing.message_id)
}

/// Empty: the first page.
fn find_placing(cursor: &str) -> Result<Option<Placing>, Fault> {
    if cursor.is_empty() {
        return Ok(None);
    }
    let read = || {
        let (score, id) = cursor.split_once('.')?;
        let score = f64::from_bits(u64::from_str_radix(score, 16).ok()?);
        Some(Placing { score, message_id: Uuid::try_parse(id).ok()? })
    };
    read().map(Some).ok_or_else(error::invalid_cursor)
}
