//! Until about when texts go out (rule 18). A courtesy of the delivery queue: what it belongs to does not wait long for
//! it, and is shown without it when the queue cannot be asked.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{Batch, Id, LicenseId};
use proto::dispatch::{EstimateBatchRequest, EstimateFinishRequest, EstimateFinishResponse};
use tonic::{Response, Status};

use super::App;
use crate::views::find_time;

const ESTIMATE_TIMEOUT: Duration = Duration::from_secs(2);

/// Empty when nobody can say.
#[derive(Default)]
pub(super) struct Estimate {
    /// About when the last message goes out.
    pub(super) finish_at: Option<DateTime<Utc>>,
    /// What holds the license's texts up now. None: nothing but the pace.
    pub(super) held_by: Option<String>,
}

/// Of so many segments, if they were sent now. `batch`: behind everything that waits, not only behind replies.
pub(super) async fn estimate_finish(app: &App, license: &LicenseId, segments: u32, batch: bool) -> Estimate {
    let request = EstimateFinishRequest { license_id: license.to_string(), segments: segments.into(), batch };
    let mut dispatch = app.upstreams.dispatch.clone();
    ask("a send", dispatch.estimate_finish(request)).await
}

/// Of what still waits of a batch.
pub(super) async fn estimate_batch(app: &App, license: &LicenseId, batch_id: Id<Batch>) -> Estimate {
    let request = EstimateBatchRequest { license_id: license.to_string(), batch_id: batch_id.to_string() };
    let mut dispatch = app.upstreams.dispatch.clone();
    ask("a batch", dispatch.estimate_batch(request)).await
}

async fn ask(
    what: &'static str,
    question: impl Future<Output = Result<Response<EstimateFinishResponse>, Status>>,
) -> Estimate {
    match tokio::time::timeout(ESTIMATE_TIMEOUT, question).await {
        Ok(Ok(answer)) => {
            let EstimateFinishResponse { finish_at, held_by } = answer.into_inner();
            Estimate { finish_at: find_time(finish_at, "finish_at").ok().flatten(), held_by }
        }
        Ok(Err(status)) => {
            tracing::warn!(what, grpc = ?status.code(), "dispatch cannot say when it would be done");
            Estimate::default()
        }
        Err(_) => {
            tracing::warn!(what, "dispatch did not say in time when it would be done");
            Estimate::default()
        }
    }
}
