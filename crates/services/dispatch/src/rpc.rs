//! `DispatchService`: parse, ask the store, decide, answer. Reads only.

use std::collections::HashMap;
use std::sync::Arc;

use chassis::{Clock, Fault};
use chrono::{DateTime, Utc};
use domain::{Batch, CarrierName, Id, LicenseId, Message};
use proto::dispatch::dispatch_service_server::DispatchService;
use proto::dispatch::{
    EstimateBatchRequest, EstimateFinishRequest, EstimateFinishResponse, ListWaitingRequest, ListWaitingResponse,
    Waiting,
};
use tonic::{Request, Response, Status};

use crate::error::fault_of;
use crate::model::{
    InLine, LimitTree, Pace, WaitReason, Waits, decide_finish, decide_wait, decide_wait_in_line, find_held_by, forecast,
};
use crate::store::{LastOf, Priority, Store};

const MOST_MESSAGES: usize = 200;

/// What is to come of a message in line.
#[derive(Clone, Copy, Debug)]
struct Foreseen {
    message_id: Id<Message>,
    batch_id: Option<Id<Batch>>,
    reason: WaitReason,
    until: Option<DateTime<Utc>>,
}

/// The service.
#[derive(Debug)]
pub struct Rpc {
    store: Store,
    clock: Clock,
    pace: Pace,
    limits: Arc<LimitTree>,
    carriers: Vec<CarrierName>,
}

impl Rpc {
    /// `carriers`: those that this process can call.
    pub const fn new(
        store: Store,
        clock: Clock,
        pace: Pace,
        limits: Arc<LimitTree>,
        carriers: Vec<CarrierName>,
    ) -> Self {
        Self { store, clock, pace, limits, carriers }
    }

    async fn list(&self, request: ListWaitingRequest) -> Result<ListWaitingResponse, Fault> {
        let (license_id, message_ids) = parse(request)?;
        let waiters = self.store.list_waiters(&license_id, &message_ids, &self.carriers, self.limits.is_on()).await;
        let waiters = waiters.map_err(|error| fault_of(&error))?;
        let now = self.clock.now();
        let in_line: Vec<Id<Message>> =
            waiters.iter().filter(|waiter| waiter.waits == Waits::InLine).map(|waiter| waiter.message_id).collect();
        let (known, _) = self.foresee(&license_id, LastOf::Messages(&in_line), now).await?;
        let known: HashMap<Id<Message>, (WaitReason, Option<DateTime<Utc>>)> =
            known.into_iter().map(|foreseen| (foreseen.message_id, (foreseen.reason, foreseen.until))).collect();
        let waiting = waiters
            .into_iter()
            .map(|waiter| {
                let (reason, until) = known
                    .get(&waiter.message_id)
                    .filter(|_| waiter.waits == Waits::InLine)
                    .copied()
                    .unwrap_or_else(|| decide_wait(waiter.waits, waiter.lane, self.pace, now));
                Waiting {
                    message_id: waiter.message_id.to_string(),
                    reason: reason.as_str().to_owned(),
                    until: until.map(proto::to_timestamp),
                }
            })
            .collect();
        Ok(ListWaitingResponse { waiting })
    }

    /// What is to come of a line, up to the last of these, and whether there were too many of them to look at.
    /// Nothing is read when none is asked for.
    async fn foresee(
        &self,
        license_id: &LicenseId,
        last: LastOf<'_>,
        now: DateTime<Utc>,
    ) -> Result<(Vec<Foreseen>, bool), Fault> {
        if matches!(last, LastOf::Messages([])) {
            return Ok((Vec::new(), false));
        }
        let line = self.store.find_line(license_id, last, &self.carriers, &self.limits).await;
        let Some(line) = line.map_err(|error| fault_of(&error))? else { return Ok((Vec::new(), false)) };
        let places: Vec<InLine> = line.messages.iter().map(|(_, _, in_line)| *in_line).collect();
        let times = forecast(&places, line.lane, &line.campaign, self.pace, now);
        let foreseen = line.messages.into_iter().zip(times).map(|((message_id, batch_id, in_line), time)| {
            let (reason, until) = decide_wait_in_line(&in_line, Some(time), line.lane, now);
            Foreseen { message_id, batch_id, reason, until }
        });
        Ok((foreseen.collect(), line.is_cut))
    }

    async fn estimate_batch_finish(&self, request: EstimateBatchRequest) -> Result<EstimateFinishResponse, Fault> {
        let license_id = parse_license(request.license_id)?;
        let batch_id: Id<Batch> = request
            .batch_id
            .parse()
            .map_err(|error: domain::InvalidId| Fault::invalid("batch_id", "batch_id_invalid", error.to_string()))?;
        let (line, is_cut) = self.foresee(&license_id, LastOf::Batch(batch_id), self.clock.now()).await?;
        let of_batch: Vec<Foreseen> = line.into_iter().filter(|each| each.batch_id == Some(batch_id)).collect();
        // The last to go; one of whom nobody can say is later than all others.
        let last = of_batch.iter().max_by_key(|each| (each.until.is_none(), each.until));
        Ok(EstimateFinishResponse {
            finish_at: last.and_then(|last| last.until).filter(|_| !is_cut).map(proto::to_timestamp),
            held_by: last.and_then(|last| find_held_by(last.reason)).map(|reason| reason.as_str().to_owned()),
        })
    }

    async fn estimate(&self, request: EstimateFinishRequest) -> Result<EstimateFinishResponse, Fault> {
        let license_id = parse_license(request.license_id)?;
        let last = if request.batch { Priority::Batch } else { Priority::Reply };
        let queue = self.store.find_queue(&license_id, last, &self.carriers).await;
        let queue = queue.map_err(|error| fault_of(&error))?;
        let (finish_at, held_by) =
            decide_finish(queue.segments, request.segments, queue.lane, self.pace, self.clock.now());
        Ok(EstimateFinishResponse {
            finish_at: finish_at.map(proto::to_timestamp),
            held_by: held_by.map(|reason| reason.as_str().to_owned()),
        })
    }
}

#[tonic::async_trait]
impl DispatchService for Rpc {
    async fn list_waiting(
        &self,
        request: Request<ListWaitingRequest>,
    ) -> Result<Response<ListWaitingResponse>, Status> {
        Ok(Response::new(self.list(request.into_inner()).await?))
    }

    async fn estimate_batch(
        &self,
        request: Request<EstimateBatchRequest>,
    ) -> Result<Response<EstimateFinishResponse>, Status> {
        Ok(Response::new(self.estimate_batch_finish(request.into_inner()).await?))
    }

    async fn estimate_finish(
        &self,
        request: Request<EstimateFinishRequest>,
    ) -> Result<Response<EstimateFinishResponse>, Status> {
        Ok(Response::new(self.estimate(request.into_inner()).await?))
    }
}

fn parse_license(license_id: String) -> Result<LicenseId, Fault> {
    LicenseId::parse(license_id).map_err(|error| Fault::invalid("license_id", "license_id_invalid", error.to_string()))
}

fn parse(request: ListWaitingRequest) -> Result<(LicenseId, Vec<Id<Message>>), Fault> {
    let license_id = parse_license(request.license_id)?;
    if request.message_ids.len() > MOST_MESSAGES {
        let detail = format!("At most {MOST_MESSAGES} messages can be asked for at once.");
        return Err(Fault::invalid("message_ids", "too_many", detail));
    }
    let message_ids = request.message_ids.iter().map(|id| id.parse()).collect::<Result<_, _>>();
    let message_ids = message_ids
        .map_err(|error: domain::InvalidId| Fault::invalid("message_ids", "message_id_invalid", error.to_string()))?;
    Ok((license_id, message_ids))
}
