//! `CallsService`: calls to a license's messages number (rule 6).

use chassis::Fault;
use proto::conversations::calls_service_server::CallsService;
use proto::conversations::{ListCallsRequest, ListCallsResponse};
use tonic::{Request, Response, Status};

use super::cursor::{find_moment, write_moment};
use super::{Context, page_of, parse_license_id, parse_limit};
use crate::store::calls;

#[tonic::async_trait]
impl CallsService for Context {
    async fn list_calls(&self, request: Request<ListCallsRequest>) -> Result<Response<ListCallsResponse>, Status> {
        Ok(Response::new(list_calls(self, &request.into_inner()).await?))
    }
}

async fn list_calls(context: &Context, request: &ListCallsRequest) -> Result<ListCallsResponse, Fault> {
    let license_id = parse_license_id(&request.license_id)?;
    let limit = parse_limit(request.limit, 200)?;
    let after = find_moment(&request.cursor)?;
    let mut connection = context.connection().await?;
    let moments = calls::list_moments(&mut connection, &license_id, after, limit + 1).await?;
    let (moments, last) = page_of(moments, limit);
    let wanted: Vec<_> = moments.iter().map(|moment| (license_id.clone(), moment.id)).collect();
    let mut found = calls::load(&mut connection, &wanted).await?;
    Ok(ListCallsResponse {
        calls: moments.into_iter().filter_map(|moment| found.remove(&moment.id)).collect(),
        next_cursor: last.map(write_moment).unwrap_or_default(),
    })
}
