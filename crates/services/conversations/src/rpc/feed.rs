//! `FeedService`: the entries of a license's feed, for gateways (rule 15).

use chassis::Fault;
use proto::conversations::feed_service_server::FeedService;
use proto::conversations::{ListFeedHeadsRequest, ListFeedHeadsResponse, ListFeedRequest, ListFeedResponse};
use tonic::{Request, Response, Status};

use super::{Context, parse_license_id, parse_limit};
use crate::error;
use crate::store::feed::{self, Extent};
use crate::store::licenses::FeedRange;

/// Licenses in one question for heads.
const MAX_LICENSES: usize = 1_000;

#[tonic::async_trait]
impl FeedService for Context {
    async fn list_feed(&self, request: Request<ListFeedRequest>) -> Result<Response<ListFeedResponse>, Status> {
        Ok(Response::new(list_feed(self, &request.into_inner()).await?))
    }

    async fn list_feed_heads(
        &self,
        request: Request<ListFeedHeadsRequest>,
    ) -> Result<Response<ListFeedHeadsResponse>, Status> {
        let license_ids = request.into_inner().license_ids;
        if license_ids.len() > MAX_LICENSES {
            return Err(error::out_of_range("license_ids", 0, MAX_LICENSES as u64).into());
        }
        for license_id in &license_ids {
            parse_license_id(license_id)?;
        }
        let heads = feed::list_heads(&self.pool, &license_ids).await.map_err(Fault::from)?;
        Ok(Response::new(ListFeedHeadsResponse { heads }))
    }
}

async fn list_feed(context: &Context, request: &ListFeedRequest) -> Result<ListFeedResponse, Fault> {
    let license_id = parse_license_id(&request.license_id)?;
    let limit = parse_limit(request.limit, 500)?;
    let after = i64::try_from(request.after).unwrap_or(i64::MAX);
    let mut connection = context.connection().await?;
    let extent = feed::get_extent(&mut connection, &license_id).await?;
    let head = extent.head.unsigned_abs();
    if is_out_of_reach(extent, after) {
        return Ok(ListFeedResponse { entries: Vec::new(), head, reset: true });
    }
    let last = extent.head.min(after.saturating_add(limit));
    if after >= last {
        return Ok(ListFeedResponse { entries: Vec::new(), head, reset: false });
    }
    let range = FeedRange { license_id, first: after + 1, last };
    let entries = feed::load(&mut connection, &[range]).await?;
    // Entries come in order of commit and are swept by their age: one that told of something old may be gone from
    // the middle, and a sweep may run just now. A gap is never handed out.
    if entries.len() as u64 != last.abs_diff(after) {
        return Ok(ListFeedResponse { entries: Vec::new(), head, reset: true });
    }
    Ok(ListFeedResponse { entries, head, reset: false })
}

/// True when entries after this position are no longer kept, or when the position was never reached.
fn is_out_of_reach(extent: Extent, after: i64) -> bool {
    after > extent.head || (after < extent.head && extent.oldest.is_none_or(|oldest| after < oldest - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_position_whose_next_entry_is_kept_can_go_on() {
        let swept = Extent { head: 10, oldest: Some(6) };
        assert!(!is_out_of_reach(swept, 10), "nothing is missing");
        assert!(!is_out_of_reach(swept, 5), "6 is still there");
        assert!(is_out_of_reach(swept, 4), "5 is gone");
        assert!(is_out_of_reach(swept, 11), "11 never was");
        let all_swept = Extent { head: 10, oldest: None };
        assert!(!is_out_of_reach(all_swept, 10) && is_out_of_reach(all_swept, 9));
        assert!(!is_out_of_reach(Extent { head: 0, oldest: None }, 0));
    }
}
