//! Sends to many and sends for later, played.

use proto::conversations::batches_service_server::BatchesService;
use proto::conversations::scheduled_service_server::ScheduledService;
use proto::conversations::{
    Batch, CancelBatchRequest, CancelScheduledRequest, GetBatchRequest, GetScheduledRequest, ListBatchMessagesRequest,
    ListBatchMessagesResponse, ListBatchesRequest, ListBatchesResponse, ListScheduledRequest, ListScheduledResponse,
    PreviewMessagesResponse, ScheduledSend, SendMessagesRequest, UpdateScheduledRequest,
};
use tonic::Request;

use super::{Answer, Script, Services};

#[derive(Default)]
pub(in super::super) struct Known {
    pub(in super::super) preview: Script<SendMessagesRequest, PreviewMessagesResponse>,
    pub(in super::super) list_batches: Script<ListBatchesRequest, ListBatchesResponse>,
    pub(in super::super) get_batch: Script<GetBatchRequest, Batch>,
    pub(in super::super) batch_messages: Script<ListBatchMessagesRequest, ListBatchMessagesResponse>,
    pub(in super::super) cancel_batch: Script<CancelBatchRequest, Batch>,
    pub(in super::super) list_scheduled: Script<ListScheduledRequest, ListScheduledResponse>,
    pub(in super::super) get_scheduled: Script<GetScheduledRequest, ScheduledSend>,
    pub(in super::super) update_scheduled: Script<UpdateScheduledRequest, ScheduledSend>,
    pub(in super::super) cancel_scheduled: Script<CancelScheduledRequest, ScheduledSend>,
}

#[tonic::async_trait]
impl BatchesService for Services {
    async fn preview_messages(&self, request: Request<SendMessagesRequest>) -> Answer<PreviewMessagesResponse> {
        self.known().sends_to_many.preview.ask(request)
    }

    async fn list_batches(&self, request: Request<ListBatchesRequest>) -> Answer<ListBatchesResponse> {
        self.known().sends_to_many.list_batches.ask(request)
    }

    async fn get_batch(&self, request: Request<GetBatchRequest>) -> Answer<Batch> {
        self.known().sends_to_many.get_batch.ask(request)
    }

    async fn list_batch_messages(
        &self,
        request: Request<ListBatchMessagesRequest>,
    ) -> Answer<ListBatchMessagesResponse> {
        self.known().sends_to_many.batch_messages.ask(request)
    }

    async fn cancel_batch(&self, request: Request<CancelBatchRequest>) -> Answer<Batch> {
        self.known().sends_to_many.cancel_batch.ask(request)
    }
}

#[tonic::async_trait]
impl ScheduledService for Services {
    async fn list_scheduled(&self, request: Request<ListScheduledRequest>) -> Answer<ListScheduledResponse> {
        self.known().sends_to_many.list_scheduled.ask(request)
    }

    async fn get_scheduled(&self, request: Request<GetScheduledRequest>) -> Answer<ScheduledSend> {
        self.known().sends_to_many.get_scheduled.ask(request)
    }

    async fn update_scheduled(&self, request: Request<UpdateScheduledRequest>) -> Answer<ScheduledSend> {
        self.known().sends_to_many.update_scheduled.ask(request)
    }

    async fn cancel_scheduled(&self, request: Request<CancelScheduledRequest>) -> Answer<ScheduledSend> {
        self.known().sends_to_many.cancel_scheduled.ask(request)
    }
}
