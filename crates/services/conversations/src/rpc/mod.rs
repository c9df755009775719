//! The gRPC calls: parse, decide, store, answer.

mod batches;
mod blocked;
mod calls;
mod consent;
mod conversations;
mod cursor;
mod deletion;
mod feed;
mod media;
mod people;
mod preview;
mod reading;
mod scheduled;
mod search;
mod send;
mod send_again;
mod send_answer;
mod send_request;
mod unmatched;

use bus::Relay;
use chassis::{Clock, Fault};
use domain::{LicenseId, ManagerId, PersonName};
use proto::conversations::Manager;
use proto::conversations::batches_service_server::BatchesServiceServer;
use proto::conversations::calls_service_server::CallsServiceServer;
use proto::conversations::conversations_service_server::ConversationsServiceServer;
use proto::conversations::feed_service_server::FeedServiceServer;
use proto::conversations::media_service_server::MediaServiceServer;
use proto::conversations::people_service_server::PeopleServiceServer;
use proto::conversations::scheduled_service_server::ScheduledServiceServer;
use proto::conversations::search_service_server::SearchServiceServer;
use proto::conversations::unmatched_service_server::UnmatchedServiceServer;
use sqlx::PgPool;
use tonic::service::Routes;

use crate::config::PhoneNumberSettings;
use crate::erase::Eraser;
use crate::error;
use crate::objects::Objects;
use crate::push::Pusher;
use crate::store::StoreError;

/// A request with 10,000 recipients and its answer fit well.
const MAX_MESSAGE_BYTES: usize = 32 * 1024 * 1024;

/// What the calls work with.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub pool: PgPool,
    pub clock: Clock,
    pub relay: Relay,
    pub pusher: Pusher,
    pub eraser: Eraser,
    pub phone_numbers: PhoneNumberSettings,
    pub objects: Objects,
}

pub(crate) fn routes(context: Context) -> Routes {
    Routes::new(
        ConversationsServiceServer::new(context.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES),
    )
    .add_service(
        BatchesServiceServer::new(context.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES),
    )
    .add_service(CallsServiceServer::new(context.clone()))
    .add_service(MediaServiceServer::new(context.clone()))
    .add_service(ScheduledServiceServer::new(context.clone()).max_encoding_message_size(MAX_MESSAGE_BYTES))
    .add_service(SearchServiceServer::new(context.clone()))
    .add_service(UnmatchedServiceServer::new(context.clone()))
    .add_service(PeopleServiceServer::new(context.clone()))
    .add_service(FeedServiceServer::new(context).max_encoding_message_size(MAX_MESSAGE_BYTES))
}

impl Context {
    async fn connection(&self) -> Result<sqlx::pool::PoolConnection<sqlx::Postgres>, Fault> {
        Ok(self.pool.acquire().await.map_err(StoreError::from)?)
    }

    async fn begin(&self) -> Result<sqlx::PgTransaction<'static>, Fault> {
        Ok(self.pool.begin().await.map_err(StoreError::from)?)
    }
}

fn parse_license_id(text: &str) -> Result<LicenseId, Fault> {
    LicenseId::parse(text).map_err(|invalid| error::invalid_id("license_id", &invalid))
}

/// Who does it, under the name of the day.
fn parse_manager(manager: Option<Manager>) -> Result<(ManagerId, PersonName), Fault> {
    let manager = manager.unwrap_or_default();
    let id = ManagerId::parse(manager.id).map_err(|invalid| error::invalid_id("sub", &invalid))?;
    let name = PersonName::parse(&manager.name)
        .map_err(|invalid| Fault::invalid("name", invalid.code(), format!("{invalid}.")))?;
    Ok((id, name))
}

/// A page size between 1 and `max`.
fn parse_limit(limit: u32, max: u32) -> Result<i64, Fault> {
    if (1..=max).contains(&limit) { Ok(i64::from(limit)) } else { Err(error::out_of_range("limit", 1, u64::from(max))) }
}

/// Splits what was read for one more than a page: the page, and its last element if there are more pages.
fn page_of<T: Clone>(mut read: Vec<T>, limit: i64) -> (Vec<T>, Option<T>) {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = read.len() > limit;
    read.truncate(limit);
    let last = if more { read.last().cloned() } else { None };
    (read, last)
}
