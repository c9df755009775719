//! `BatchesService`: sends to many. Sending itself is in `send.rs`, the look ahead in `preview.rs`.

use bus::outbox;
use chassis::Fault;
use domain::{Id, LicenseId, MessageStatus};
use proto::conversations::batches_service_server::BatchesService;
use proto::conversations::sending_withdrawn::Of;
use proto::conversations::{
    Batch, CancelBatchRequest, GetBatchRequest, ListBatchMessagesRequest, ListBatchMessagesResponse,
    ListBatchesRequest, ListBatchesResponse, PreviewMessagesResponse, SendMessagesRequest, SendingWithdrawn,
};
use proto::to_timestamp;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::cursor::{find_moment, write_moment};
use super::{Context, page_of, parse_license_id, parse_limit, parse_manager, preview};
use crate::error;
use crate::store::licenses::{self, Subject};
use crate::store::{StoreError, batches, messages};

#[tonic::async_trait]
impl BatchesService for Context {
    async fn preview_messages(
        &self,
        request: Request<SendMessagesRequest>,
    ) -> Result<Response<PreviewMessagesResponse>, Status> {
        Ok(Response::new(preview::preview_messages(self, request.into_inner()).await?))
    }

    async fn list_batches(
        &self,
        request: Request<ListBatchesRequest>,
    ) -> Result<Response<ListBatchesResponse>, Status> {
        Ok(Response::new(list_batches(self, &request.into_inner()).await?))
    }

    async fn get_batch(&self, request: Request<GetBatchRequest>) -> Result<Response<Batch>, Status> {
        let request = request.into_inner();
        let license_id = parse_license_id(&request.license_id)?;
        let id = parse_batch_id(&request.batch_id)?;
        Ok(Response::new(get_batch(self, license_id, id).await?))
    }

    async fn list_batch_messages(
        &self,
        request: Request<ListBatchMessagesRequest>,
    ) -> Result<Response<ListBatchMessagesResponse>, Status> {
        Ok(Response::new(list_batch_messages(self, &request.into_inner()).await?))
    }

    async fn cancel_batch(&self, request: Request<CancelBatchRequest>) -> Result<Response<Batch>, Status> {
        Ok(Response::new(cancel_batch(self, request.into_inner()).await?))
    }
}

/// An id that cannot be one of ours names nothing.
fn parse_batch_id(text: &str) -> Result<Uuid, Fault> {
    Uuid::try_parse(text).map_err(|_| error::batch_not_found())
}

async fn get_batch(context: &Context, license_id: LicenseId, id: Uuid) -> Result<Batch, Fault> {
    let mut connection = context.connection().await?;
    batches::load(&mut connection, &[(license_id, id)]).await?.remove(&id).ok_or_else(error::batch_not_found)
}

async fn list_batches(context: &Context, request: &ListBatchesRequest) -> Result<ListBatchesResponse, Fault> {
    let license_id = parse_license_id(&request.license_id)?;
    let limit = parse_limit(request.limit, 200)?;
    let after = find_moment(&request.cursor)?;
    let mut connection = context.connection().await?;
    let moments = batches::list_moments(&mut connection, &license_id, after, limit + 1).await?;
    let (moments, last) = page_of(moments, limit);
    let wanted: Vec<_> = moments.iter().map(|moment| (license_id.clone(), moment.id)).collect();
    let mut found = batches::load(&mut connection, &wanted).await?;
    Ok(ListBatchesResponse {
        batches: moments.into_iter().filter_map(|moment| found.remove(&moment.id)).collect(),
        next_cursor: last.map(write_moment).unwrap_or_default(),
    })
}

async fn list_batch_messages(
    context: &Context,
    request: &ListBatchMessagesRequest,
) -> Result<ListBatchMessagesResponse, Fault> {
    let license_id = parse_license_id(&request.license_id)?;
    let id = parse_batch_id(&request.batch_id)?;
    let limit = parse_limit(request.limit, 200)?;
    let status = match request.status.as_str() {
        "" => None,
        word => Some(
            word.parse::<MessageStatus>()
                .map_err(|unknown| Fault::invalid("status", "unknown_status", format!("{unknown}.")))?,
        ),
    };
    let after = match request.cursor.as_str() {
        "" => None,
        text => Some(Uuid::try_parse(text).map_err(|_| error::invalid_cursor())?),
    };
    let mut connection = context.connection().await?;
    if !batches::exists(&mut connection, &license_id, id).await? {
        return Err(error::batch_not_found());
    }
    let ids = batches::list_message_ids(&mut connection, &license_id, id, status, after, limit + 1).await?;
    let (ids, last) = page_of(ids, limit);
    let wanted: Vec<_> = ids.iter().map(|id| (license_id.clone(), *id)).collect();
    let mut found = messages::load(&mut connection, &wanted).await?;
    Ok(ListBatchMessagesResponse {
        messages: ids.into_iter().filter_map(|id| found.remove(&id)).collect(),
        next_cursor: last.map(|id| id.to_string()).unwrap_or_default(),
    })
}

/// Tells dispatch to stop. What was not sent by then is reported as canceled, message by message.
async fn cancel_batch(context: &Context, request: CancelBatchRequest) -> Result<Batch, Fault> {
    let license_id = parse_license_id(&request.license_id)?;
    let id = parse_batch_id(&request.batch_id)?;
    let (manager_id, manager_name) = parse_manager(request.manager)?;
    let now = context.clock.now();
    let mut tx = context.begin().await?;
    let mut locked = licenses::lock(&mut tx, [license_id.clone()]).await?;
    let canceled = batches::record_canceled(&mut tx, &license_id, id, (&manager_id, &manager_name), now).await?;
    if let Some(tell) = canceled {
        let withdrawn = SendingWithdrawn {
            license_id: license_id.to_string(),
            of: Some(Of::BatchId(id.to_string())),
            withdrawn_at: Some(to_timestamp(now)),
        };
        outbox::record(&mut tx, &[withdrawn], now).await.map_err(StoreError::from)?;
        if tell {
            locked.record(&license_id, Subject::BatchUpdated(Id::from_uuid(id)), now);
        }
        let ranges = locked.write(&mut tx).await?;
        tx.commit().await.map_err(StoreError::from)?;
        context.relay.hint();
        context.pusher.push(ranges);
    } else {
        tx.rollback().await.map_err(StoreError::from)?;
    }
    get_batch(context, license_id, id).await
}
