//! Messages of unknown senders and blocked numbers, played.

use proto::conversations::unmatched_service_server::UnmatchedService;
use proto::conversations::{
    BlockNumberRequest, BlockedNumber, ListBlockedNumbersRequest, ListBlockedNumbersResponse, ListUnmatchedRequest,
    ListUnmatchedResponse, TieUnmatchedRequest, TieUnmatchedResponse, UnblockNumberRequest, UnblockNumberResponse,
};
use tonic::Request;

use super::{Answer, Script, Services};

#[derive(Default)]
pub(in super::super) struct Known {
    pub(in super::super) list: Script<ListUnmatchedRequest, ListUnmatchedResponse>,
    pub(in super::super) tie: Script<TieUnmatchedRequest, TieUnmatchedResponse>,
    pub(in super::super) block: Script<BlockNumberRequest, BlockedNumber>,
    pub(in super::super) list_blocked: Script<ListBlockedNumbersRequest, ListBlockedNumbersResponse>,
    pub(in super::super) unblock: Script<UnblockNumberRequest, UnblockNumberResponse>,
}

#[tonic::async_trait]
impl UnmatchedService for Services {
    async fn list_unmatched(&self, request: Request<ListUnmatchedRequest>) -> Answer<ListUnmatchedResponse> {
        self.known().strangers.list.ask(request)
    }

    async fn tie_unmatched(&self, request: Request<TieUnmatchedRequest>) -> Answer<TieUnmatchedResponse> {
        self.known().strangers.tie.ask(request)
    }

    async fn block_number(&self, request: Request<BlockNumberRequest>) -> Answer<BlockedNumber> {
        self.known().strangers.block.ask(request)
    }

    async fn list_blocked_numbers(
        &self,
        request: Request<ListBlockedNumbersRequest>,
    ) -> Answer<ListBlockedNumbersResponse> {
        self.known().strangers.list_blocked.ask(request)
    }

    async fn unblock_number(&self, request: Request<UnblockNumberRequest>) -> Answer<UnblockNumberResponse> {
        self.known().strangers.unblock.ask(request)
    }
}
