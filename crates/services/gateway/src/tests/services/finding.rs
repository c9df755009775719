//! Search, and files that come piece by piece, played.

use std::pin::Pin;
use std::sync::atomic::Ordering;

use chassis::Fault;
use futures_util::{Stream, StreamExt as _, stream};
use proto::conversations::media_chunk::Part;
use proto::conversations::media_service_server::MediaService;
use proto::conversations::search_service_server::SearchService;
use proto::conversations::{GetMediaRequest, MediaChunk, MediaHead, SearchRequest, SearchResponse};
use tonic::{Request, Response, Status};

use super::{Answer, Script, Services};

#[derive(Default)]
pub(in super::super) struct Known {
    pub(in super::super) search: Script<SearchRequest, SearchResponse>,
    pub(in super::super) media: Script<GetMediaRequest, Medium>,
}

/// A file, and how it comes.
#[derive(Clone, Default)]
pub(in super::super) struct Medium {
    pub(in super::super) content_type: String,
    /// What is said.
    pub(in super::super) size_bytes: u64,
    /// What comes.
    pub(in super::super) pieces: Vec<Vec<u8>>,
    /// After the pieces the service is away.
    pub(in super::super) breaks: bool,
    /// The refusal comes where the head belongs.
    pub(in super::super) refused_late: Option<Fault>,
}

#[tonic::async_trait]
impl SearchService for Services {
    async fn search(&self, request: Request<SearchRequest>) -> Answer<SearchResponse> {
        self.known().finding.search.ask(request)
    }
}

#[tonic::async_trait]
impl MediaService for Services {
    type GetMediaStream = Pin<Box<dyn Stream<Item = Result<MediaChunk, Status>> + Send>>;

    async fn get_media(&self, request: Request<GetMediaRequest>) -> Answer<Self::GetMediaStream> {
        let medium = self.known().finding.media.ask(request)?.into_inner();
        if let Some(fault) = medium.refused_late {
            return Ok(Response::new(Box::pin(stream::iter([Err(fault.into())]))));
        }
        let head = MediaHead { content_type: medium.content_type, size_bytes: medium.size_bytes };
        let head = stream::iter([Ok(MediaChunk { part: Some(Part::Head(head)) })]);
        let state = self.state.clone();
        let pieces = stream::iter(medium.pieces).enumerate().then(move |(index, bytes)| {
            let state = state.clone();
            async move {
                if index == 1 && state.media_held.load(Ordering::SeqCst) {
                    state.media_released.notified().await;
                }
                Ok(MediaChunk { part: Some(Part::Bytes(bytes)) })
            }
        });
        let end = stream::iter(medium.breaks.then(|| Err(Status::unavailable("away"))));
        Ok(Response::new(Box::pin(head.chain(pieces).chain(end))))
    }
}
