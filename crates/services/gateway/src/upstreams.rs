//! The services behind the gateway, as gRPC clients.
//!
//! Connections are made when they are first used, so the gateway starts with all of them away.

use chassis::serve::{ChannelTimeouts, TracedChannel, grpc_channel, grpc_stream_channel, traced};
use proto::conversations::batches_service_client::BatchesServiceClient;
use proto::conversations::calls_service_client::CallsServiceClient;
use proto::conversations::conversations_service_client::ConversationsServiceClient;
use proto::conversations::feed_service_client::FeedServiceClient;
use proto::conversations::media_service_client::MediaServiceClient;
use proto::conversations::people_service_client::PeopleServiceClient;
use proto::conversations::scheduled_service_client::ScheduledServiceClient;
use proto::conversations::search_service_client::SearchServiceClient;
use proto::conversations::unmatched_service_client::UnmatchedServiceClient;
use proto::dispatch::dispatch_service_client::DispatchServiceClient;
use proto::numbers::numbers_service_client::NumbersServiceClient;

use crate::config::UpstreamSettings;

/// What a service may answer at most: 10,000 messages of one batch, each with its text.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// One client for each service. Cheap to clone: the connections are shared.
#[derive(Clone, Debug)]
pub(crate) struct Upstreams {
    pub(crate) numbers: NumbersServiceClient<TracedChannel>,
    /// The same service, for calls that ask a carrier: [`UpstreamSettings::carrier_timeout`].
    pub(crate) slow_numbers: NumbersServiceClient<TracedChannel>,
    pub(crate) conversations: ConversationsServiceClient<TracedChannel>,
    pub(crate) people: PeopleServiceClient<TracedChannel>,
    pub(crate) calls: CallsServiceClient<TracedChannel>,
    pub(crate) batches: BatchesServiceClient<TracedChannel>,
    pub(crate) scheduled: ScheduledServiceClient<TracedChannel>,
    pub(crate) unmatched: UnmatchedServiceClient<TracedChannel>,
    pub(crate) search: SearchServiceClient<TracedChannel>,
    /// Over connections of its own: clients read what it answers as slowly as they like.
    pub(crate) media: MediaServiceClient<TracedChannel>,
    pub(crate) feed: FeedServiceClient<TracedChannel>,
    pub(crate) dispatch: DispatchServiceClient<TracedChannel>,
}

impl Upstreams {
    /// Fails only for an address that is none.
    pub(crate) fn new(settings: &UpstreamSettings) -> anyhow::Result<Self> {
        let timeouts = ChannelTimeouts { request: settings.timeout(), ..ChannelTimeouts::default() };
        let numbers = traced(grpc_channel(&settings.numbers_url, timeouts)?);
        let slow = ChannelTimeouts { request: settings.carrier_timeout(), ..timeouts };
        let slow_numbers = traced(grpc_channel(&settings.numbers_url, slow)?);
        let conversations = traced(grpc_channel(&settings.conversations_url, timeouts)?);
        let media = traced(grpc_stream_channel(&settings.conversations_url, timeouts)?);
        let dispatch = traced(grpc_channel(&settings.dispatch_url, timeouts)?);
        Ok(Self {
            numbers: NumbersServiceClient::new(numbers),
            slow_numbers: NumbersServiceClient::new(slow_numbers),
            conversations: ConversationsServiceClient::new(conversations.clone())
                .max_decoding_message_size(MAX_ANSWER_BYTES),
            people: PeopleServiceClient::new(conversations.clone()),
            calls: CallsServiceClient::new(conversations.clone()),
            batches: BatchesServiceClient::new(conversations.clone()).max_decoding_message_size(MAX_ANSWER_BYTES),
            scheduled: ScheduledServiceClient::new(conversations.clone()).max_decoding_message_size(MAX_ANSWER_BYTES),
            unmatched: UnmatchedServiceClient::new(conversations.clone()).max_decoding_message_size(MAX_ANSWER_BYTES),
            search: SearchServiceClient::new(conversations.clone()).max_decoding_message_size(MAX_ANSWER_BYTES),
            media: MediaServiceClient::new(media),
            feed: FeedServiceClient::new(conversations).max_decoding_message_size(MAX_ANSWER_BYTES),
            dispatch: DispatchServiceClient::new(dispatch),
        })
    }
}
