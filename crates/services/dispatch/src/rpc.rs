//! `DispatchService`: parse, ask the store, decide, answer. Reads only.

use chassis::{Clock, Fault};
use domain::{CarrierName, Id, LicenseId, Message};
use proto::dispatch::dispatch_service_server::DispatchService;
use proto::dispatch::{
    EstimateFinishRequest, EstimateFinishResponse, ListWaitingRequest, ListWaitingResponse, Waiting,
};
use tonic::{Request, Response, Status};

use crate::error::fault_of;
use crate::model::{Pace, decide_finish, decide_wait};
use crate::store::{Priority, Store};

const MOST_MESSAGES: usize = 200;

/// The service.
#[derive(Debug)]
pub struct Rpc {
    store: Store,
    clock: Clock,
    pace: Pace,
    carriers: Vec<CarrierName>,
}

impl Rpc {
    /// `carriers`: those that this process can call.
    pub const fn new(store: Store, clock: Clock, pace: Pace, carriers: Vec<CarrierName>) -> Self {
        Self { store, clock, pace, carriers }
    }

    async fn list(&self, request: ListWaitingRequest) -> Result<ListWaitingResponse, Fault> {
        let (license_id, message_ids) = parse(request)?;
        let waiters = self.store.list_waiters(&license_id, &message_ids, &self.carriers).await;
        let waiters = waiters.map_err(|error| fault_of(&error))?;
        let now = self.clock.now();
        let waiting = waiters
            .into_iter()
            .map(|waiter| {
                let (reason, until) = decide_wait(waiter.waits, waiter.lane, self.pace, now);
                Waiting {
                    message_id: waiter.message_id.to_string(),
                    reason: reason.as_str().to_owned(),
                    until: until.map(proto::to_timestamp),
                }
            })
            .collect();
        Ok(ListWaitingResponse { waiting })
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
