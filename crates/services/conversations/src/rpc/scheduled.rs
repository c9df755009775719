//! `ScheduledService`: sends that wait for their time. They come to be in `send.rs` and are sent by `due.rs`.

use chassis::Fault;
use domain::{Id, LicenseId};
use proto::conversations::scheduled_service_server::ScheduledService;
use proto::conversations::{
    CancelScheduledRequest, GetScheduledRequest, ListScheduledRequest, ListScheduledResponse, ScheduledSend,
    UpdateScheduledRequest,
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::cursor::{find_moment, write_moment};
use super::send_request::{check_send_at, parse_send_at, parse_text};
use super::{Context, page_of, parse_license_id, parse_limit};
use crate::error;
use crate::model::{ScheduledStatus, Text};
use crate::store::licenses::{self, Subject};
use crate::store::{StoreError, scheduled};

#[tonic::async_trait]
impl ScheduledService for Context {
    async fn list_scheduled(
        &self,
        request: Request<ListScheduledRequest>,
    ) -> Result<Response<ListScheduledResponse>, Status> {
        Ok(Response::new(list_scheduled(self, &request.into_inner()).await?))
    }

    async fn get_scheduled(&self, request: Request<GetScheduledRequest>) -> Result<Response<ScheduledSend>, Status> {
        let request = request.into_inner();
        let license_id = parse_license_id(&request.license_id)?;
        let id = parse_id(&request.scheduled_id)?;
        Ok(Response::new(get_scheduled(self, &license_id, id).await?))
    }

    async fn update_scheduled(
        &self,
        request: Request<UpdateScheduledRequest>,
    ) -> Result<Response<ScheduledSend>, Status> {
        Ok(Response::new(update_scheduled(self, request.into_inner()).await?))
    }

    async fn cancel_scheduled(
        &self,
        request: Request<CancelScheduledRequest>,
    ) -> Result<Response<ScheduledSend>, Status> {
        Ok(Response::new(cancel_scheduled(self, &request.into_inner()).await?))
    }
}

/// An id that cannot be one of ours names nothing.
fn parse_id(text: &str) -> Result<Uuid, Fault> {
    Uuid::try_parse(text).map_err(|_| error::scheduled_send_not_found())
}

async fn get_scheduled(context: &Context, license_id: &LicenseId, id: Uuid) -> Result<ScheduledSend, Fault> {
    let mut connection = context.connection().await?;
    scheduled::find_whole(&mut connection, license_id, id).await?.ok_or_else(error::scheduled_send_not_found)
}

async fn list_scheduled(context: &Context, request: &ListScheduledRequest) -> Result<ListScheduledResponse, Fault> {
    let license_id = parse_license_id(&request.license_id)?;
    let limit = parse_limit(request.limit, 200)?;
    let after = find_moment(&request.cursor)?;
    let now = context.clock.now();
    let mut connection = context.connection().await?;
    let moments = if request.ended {
        scheduled::list_ended(&mut connection, &license_id, now, after, limit + 1).await?
    } else {
        scheduled::list_waiting(&mut connection, &license_id, after, limit + 1).await?
    };
    let (moments, last) = page_of(moments, limit);
    let wanted: Vec<_> = moments.iter().map(|moment| (license_id.clone(), moment.id)).collect();
    let mut found = scheduled::load(&mut connection, &wanted).await?;
    Ok(ListScheduledResponse {
        scheduled: moments.into_iter().filter_map(|moment| found.remove(&moment.id)).collect(),
        next_cursor: last.map(write_moment).unwrap_or_default(),
    })
}

async fn update_scheduled(context: &Context, request: UpdateScheduledRequest) -> Result<ScheduledSend, Fault> {
    let license_id = parse_license_id(&request.license_id)?;
    let id = parse_id(&request.scheduled_id)?;
    let text = request.body.map(parse_text).transpose()?;
    let send_at = request.send_at.map(parse_send_at).transpose()?;
    let now = context.clock.now();
    let mut tx = context.begin().await?;
    let mut locked = licenses::lock(&mut tx, [license_id.clone()]).await?;
    match scheduled::find_status(&mut tx, &license_id, id).await?.ok_or_else(error::scheduled_send_not_found)? {
        ScheduledStatus::Waiting => {}
        ScheduledStatus::Sent => return Err(error::already_sent()),
        ScheduledStatus::Canceled => return Err(error::already_canceled()),
    }
    if let Some(send_at) = send_at {
        check_send_at(send_at, now)?;
    }
    let names_company = text.as_ref().is_some_and(Text::names_company);
    if names_company && licenses::find_company_name(&mut tx, &license_id).await?.is_none() {
        return Err(error::company_name_unknown());
    }
    if scheduled::record_change(&mut tx, &license_id, id, text.as_ref(), send_at).await? {
        locked.record(&license_id, Subject::ScheduledUpdated(Id::from_uuid(id)), now);
    }
    let ranges = locked.write(&mut tx).await?;
    tx.commit().await.map_err(StoreError::from)?;
    context.pusher.push(ranges);
    get_scheduled(context, &license_id, id).await
}

async fn cancel_scheduled(context: &Context, request: &CancelScheduledRequest) -> Result<ScheduledSend, Fault> {
    let license_id = parse_license_id(&request.license_id)?;
    let id = parse_id(&request.scheduled_id)?;
    let now = context.clock.now();
    let mut tx = context.begin().await?;
    let mut locked = licenses::lock(&mut tx, [license_id.clone()]).await?;
    match scheduled::find_status(&mut tx, &license_id, id).await?.ok_or_else(error::scheduled_send_not_found)? {
        ScheduledStatus::Waiting => {
            scheduled::mark_canceled(&mut tx, &license_id, id, now).await?;
            locked.record(&license_id, Subject::ScheduledUpdated(Id::from_uuid(id)), now);
        }
        ScheduledStatus::Sent => return Err(error::already_sent()),
        ScheduledStatus::Canceled => {}
    }
    let ranges = locked.write(&mut tx).await?;
    tx.commit().await.map_err(StoreError::from)?;
    context.pusher.push(ranges);
    get_scheduled(context, &license_id, id).await
}
