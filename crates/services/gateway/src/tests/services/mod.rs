//! The services behind the gateway, played: a test says what they know and sees what they were asked.

mod finding;
mod numbers;
mod sends;
mod strangers;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use chassis::serve::serve_grpc;
use chassis::{Fault, Lifecycle};
use proto::conversations::batches_service_server::BatchesServiceServer;
use proto::conversations::calls_service_server::{CallsService, CallsServiceServer};
use proto::conversations::conversations_service_server::{ConversationsService, ConversationsServiceServer};
use proto::conversations::feed_service_server::{FeedService, FeedServiceServer};
use proto::conversations::media_service_server::MediaServiceServer;
use proto::conversations::people_service_server::{PeopleService, PeopleServiceServer};
use proto::conversations::scheduled_service_server::ScheduledServiceServer;
use proto::conversations::search_service_server::SearchServiceServer;
use proto::conversations::unmatched_service_server::UnmatchedServiceServer;
use proto::conversations::{
    Call, Conversation, ConversationEvent, DeleteConversationRequest, DeletePersonRequest, DeletePersonResponse,
    DeletionReceipt, FeedEntry, FeedHead, GetConversationRequest, GetMessageRequest, GetPersonRequest,
    ListCallsRequest, ListCallsResponse, ListConversationEventsRequest, ListConversationEventsResponse,
    ListConversationsRequest, ListConversationsResponse, ListFeedHeadsRequest, ListFeedHeadsResponse, ListFeedRequest,
    ListFeedResponse, ListMessagesRequest, ListMessagesResponse, ListPeopleRequest, ListPeopleResponse,
    MarkReadRequest, Message, Person, PutConsentRequest, PutPeopleRequest, PutPeopleResponse, PutPersonRequest,
    PutPersonResult, ReadState, SendAgainRequest, SendMessagesRequest, SendMessagesResponse,
};
use proto::dispatch::dispatch_service_server::{DispatchService, DispatchServiceServer};
use proto::dispatch::{
    EstimateBatchRequest, EstimateFinishRequest, EstimateFinishResponse, ListWaitingRequest, ListWaitingResponse,
    Waiting,
};
use proto::numbers::numbers_service_server::NumbersServiceServer;
use proto::numbers::{
    Candidate, GenerateCandidateRequest, PutLicenseRequest, PutQuietHoursRequest, PutRegistrationRequest,
    SaveNumberRequest, SaveNumberResponse, Settings,
};
use proto::to_timestamp;
use tokio::sync::Notify;
use tonic::service::RoutesBuilder;
use tonic::{Request, Response, Status};

pub(super) use finding::Medium;

type Answer<T> = Result<Response<T>, Status>;

/// A call that answers what a test says, and remembers what it was asked.
pub(super) struct Script<Q, A> {
    pub(super) asked: Vec<Q>,
    pub(super) answer: Result<A, Fault>,
}

impl<Q, A> Default for Script<Q, A> {
    fn default() -> Self {
        Self { asked: Vec::new(), answer: Err(Fault::not_found("nothing_known", "The test says nothing.")) }
    }
}

impl<Q, A: Clone> Script<Q, A> {
    fn ask(&mut self, request: Request<Q>) -> Answer<A> {
        self.asked.push(request.into_inner());
        Ok(Response::new(self.answer.clone()?))
    }
}

/// Clones are the same.
#[derive(Clone)]
pub(super) struct Services {
    pub(super) url: String,
    state: Arc<State>,
}

#[derive(Default)]
pub(super) struct State {
    known: Mutex<Known>,
    pub(super) feed_away: AtomicBool,
    pub(super) dispatch_away: AtomicBool,
    /// A send waits for it when `send_held` is set.
    pub(super) send_released: Notify,
    pub(super) send_arrived: Notify,
    pub(super) send_held: AtomicBool,
    /// A Save waits for it when `save_held` is set.
    pub(super) save_released: Notify,
    pub(super) save_arrived: Notify,
    pub(super) save_held: AtomicBool,
    pub(super) numbers_hang: AtomicBool,
    /// The second piece of a file waits for it when `media_held` is set.
    pub(super) media_released: Notify,
    pub(super) media_held: AtomicBool,
}

/// By license.
#[derive(Default)]
pub(super) struct Known {
    pub(super) settings: HashMap<String, Settings>,
    pub(super) people: BTreeMap<(String, String), Person>,
    pub(super) messages: HashMap<(String, String), Message>,
    pub(super) conversations: HashMap<(String, String), Conversation>,
    pub(super) waiting: Vec<Waiting>,
    pub(super) sends: Vec<SendMessagesRequest>,
    pub(super) sends_done: usize,
    pub(super) sent_again: Vec<SendAgainRequest>,
    pub(super) send_answer: SendMessagesResponse,
    pub(super) feed: HashMap<String, Vec<FeedEntry>>,
    /// Positions up to here are not kept any more.
    pub(super) forgotten: u64,
    pub(super) people_asked: Vec<ListPeopleRequest>,
    pub(super) people_away: bool,
    pub(super) licenses_put: Vec<PutLicenseRequest>,
    pub(super) generated: Vec<GenerateCandidateRequest>,
    pub(super) generate_answer: Option<Result<Candidate, Fault>>,
    pub(super) saved: Vec<SaveNumberRequest>,
    pub(super) save_answer: Option<Result<SaveNumberResponse, Fault>>,
    pub(super) calls: HashMap<String, Vec<Call>>,
    pub(super) calls_asked: Vec<ListCallsRequest>,
    pub(super) marked: Vec<MarkReadRequest>,
    pub(super) mark_answer: Option<Result<ReadState, Fault>>,
    pub(super) conversations_asked: Vec<ListConversationsRequest>,
    pub(super) conversation_asked: Vec<GetConversationRequest>,
    pub(super) lines: Vec<ConversationEvent>,
    pub(super) lines_asked: Vec<ListConversationEventsRequest>,
    pub(super) consents_put: Vec<PutConsentRequest>,
    pub(super) consent_answer: Option<Result<Conversation, Fault>>,
    pub(super) deletion: Script<DeleteConversationRequest, DeletionReceipt>,
    pub(super) estimate: Script<EstimateFinishRequest, EstimateFinishResponse>,
    pub(super) batch_estimate: Script<EstimateBatchRequest, EstimateFinishResponse>,
    pub(super) quiet_hours: Script<PutQuietHoursRequest, Settings>,
    pub(super) registration: Script<PutRegistrationRequest, Settings>,
    pub(super) sends_to_many: sends::Known,
    pub(super) strangers: strangers::Known,
    pub(super) finding: finding::Known,
}

impl Known {
    /// Of every question to a [`Script`].
    pub(super) fn licenses_asked(&self) -> Vec<&str> {
        let mut licenses = Vec::new();
        macro_rules! collect {
            ($($script:expr),* $(,)?) => {
                $(licenses.extend($script.asked.iter().map(|asked| asked.license_id.as_str()));)*
            };
        }
        let (sends, strangers, finding) = (&self.sends_to_many, &self.strangers, &self.finding);
        collect!(
            self.deletion,
            self.estimate,
            self.batch_estimate,
            self.quiet_hours,
            self.registration,
            sends.preview,
            sends.list_batches,
            sends.get_batch,
            sends.batch_messages,
            sends.cancel_batch,
            sends.list_scheduled,
            sends.get_scheduled,
            sends.update_scheduled,
            sends.cancel_scheduled,
            strangers.list,
            strangers.tie,
            strangers.block,
            strangers.list_blocked,
            strangers.unblock,
            finding.search,
            finding.media,
        );
        licenses
    }
}

impl Services {
    pub(super) async fn start() -> Self {
        let (lifecycle, listener) = (Lifecycle::new(), testkit::listener().await);
        let url = format!("http://{}", listener.local_addr().unwrap());
        let services = Self { url, state: Arc::default() };
        let mut routes = RoutesBuilder::default();
        routes.add_service(NumbersServiceServer::new(services.clone()));
        routes.add_service(ConversationsServiceServer::new(services.clone()));
        routes.add_service(PeopleServiceServer::new(services.clone()));
        routes.add_service(CallsServiceServer::new(services.clone()));
        routes.add_service(BatchesServiceServer::new(services.clone()));
        routes.add_service(ScheduledServiceServer::new(services.clone()));
        routes.add_service(UnmatchedServiceServer::new(services.clone()));
        routes.add_service(SearchServiceServer::new(services.clone()));
        routes.add_service(MediaServiceServer::new(services.clone()));
        routes.add_service(FeedServiceServer::new(services.clone()));
        routes.add_service(DispatchServiceServer::new(services.clone()));
        serve_grpc("services", listener, routes.routes(), &lifecycle);
        services
    }

    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        self.state.known.lock().unwrap()
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }
}

#[tonic::async_trait]
impl CallsService for Services {
    async fn list_calls(&self, request: Request<ListCallsRequest>) -> Answer<ListCallsResponse> {
        let request = request.into_inner();
        let mut known = self.known();
        let calls = known.calls.get(&request.license_id).cloned().unwrap_or_default();
        known.calls_asked.push(request);
        Ok(Response::new(ListCallsResponse { calls, next_cursor: "more".to_owned() }))
    }
}

#[tonic::async_trait]
impl PeopleService for Services {
    async fn put_person(&self, request: Request<PutPersonRequest>) -> Answer<Person> {
        let request = request.into_inner();
        let person = request.person.unwrap();
        if let Some(index) = person.phones.iter().position(|phone| phone == "911") {
            let field = format!("phones[{index}]");
            return Err(Fault::invalid(field, "invalid_phone", "This is not a number.").into());
        }
        self.known().people.insert((request.license_id, person.person_id.clone()), person.clone());
        Ok(Response::new(person))
    }

    async fn put_people(&self, request: Request<PutPeopleRequest>) -> Answer<PutPeopleResponse> {
        let PutPeopleRequest { license_id, people } = request.into_inner();
        if self.known().people_away {
            return Err(Fault::service_unavailable().into());
        }
        let mut results = Vec::new();
        for person in people {
            let request = PutPersonRequest { license_id: license_id.clone(), person: Some(person) };
            let result = match self.put_person(Request::new(request)).await {
                Ok(_) => PutPersonResult { result: "created".to_owned(), ..Default::default() },
                Err(status) => {
                    let Fault { code, detail, field, .. } = Fault::from_status(&status);
                    let code = Some(code.into_owned());
                    PutPersonResult { result: "refused".to_owned(), code, detail: Some(detail), field }
                }
            };
            results.push(result);
        }
        Ok(Response::new(PutPeopleResponse { results }))
    }

    async fn get_person(&self, request: Request<GetPersonRequest>) -> Answer<Person> {
        let GetPersonRequest { license_id, person_id } = request.into_inner();
        let person = self.known().people.get(&(license_id, person_id)).cloned();
        person.map(Response::new).ok_or_else(|| Fault::not_found("person_not_found", "No such person.").into())
    }

    async fn delete_person(&self, request: Request<DeletePersonRequest>) -> Answer<DeletePersonResponse> {
        let DeletePersonRequest { license_id, person_id } = request.into_inner();
        self.known().people.remove(&(license_id, person_id));
        Ok(Response::new(DeletePersonResponse {}))
    }

    async fn list_people(&self, request: Request<ListPeopleRequest>) -> Answer<ListPeopleResponse> {
        let request = request.into_inner();
        let mut known = self.known();
        let own = known.people.iter().filter(|((license, _), _)| *license == request.license_id);
        let people = own.map(|(_, person)| person.clone()).collect();
        known.people_asked.push(request);
        Ok(Response::new(ListPeopleResponse { people, next_cursor: "more".to_owned() }))
    }
}

#[tonic::async_trait]
impl ConversationsService for Services {
    async fn send_messages(&self, request: Request<SendMessagesRequest>) -> Answer<SendMessagesResponse> {
        self.known().sends.push(request.into_inner());
        self.state.send_arrived.notify_one();
        if self.state.send_held.load(Ordering::SeqCst) {
            self.state.send_released.notified().await;
        }
        let mut known = self.known();
        known.sends_done += 1;
        Ok(Response::new(known.send_answer.clone()))
    }

    async fn send_again(&self, request: Request<SendAgainRequest>) -> Answer<SendMessagesResponse> {
        let request = request.into_inner();
        let mut known = self.known();
        known.sent_again.push(request.clone());
        match known.messages.get(&(request.license_id, request.message_id)) {
            None => Err(Fault::not_found("message_not_found", "No such message.").into()),
            Some(message) if message.status == "failed" => Ok(Response::new(known.send_answer.clone())),
            Some(_) => Err(Fault::conflict("message_may_arrive", "It may still arrive.").into()),
        }
    }

    async fn get_message(&self, request: Request<GetMessageRequest>) -> Answer<Message> {
        let GetMessageRequest { license_id, message_id } = request.into_inner();
        let message = self.known().messages.get(&(license_id, message_id)).cloned();
        message.map(Response::new).ok_or_else(|| Fault::not_found("message_not_found", "No such message.").into())
    }

    async fn list_conversations(
        &self,
        request: Request<ListConversationsRequest>,
    ) -> Answer<ListConversationsResponse> {
        let request = request.into_inner();
        let license = request.license_id.clone();
        let mut known = self.known();
        known.conversations_asked.push(request);
        let own = known.conversations.iter().filter(|((of, _), _)| *of == license);
        let conversations = own.map(|(_, conversation)| conversation.clone()).collect();
        Ok(Response::new(ListConversationsResponse { conversations, next_cursor: String::new(), total_unread: 5 }))
    }

    async fn get_conversation(&self, request: Request<GetConversationRequest>) -> Answer<Conversation> {
        let request = request.into_inner();
        self.known().conversation_asked.push(request.clone());
        let GetConversationRequest { license_id, conversation_id, .. } = request;
        let conversation = self.known().conversations.get(&(license_id, conversation_id)).cloned();
        conversation.map(Response::new).ok_or_else(|| Fault::not_found("conversation_not_found", "None.").into())
    }

    async fn list_messages(&self, request: Request<ListMessagesRequest>) -> Answer<ListMessagesResponse> {
        let request = request.into_inner();
        let known = self.known();
        if !known.conversations.contains_key(&(request.license_id.clone(), request.conversation_id.clone())) {
            return Err(Fault::not_found("conversation_not_found", "No such conversation.").into());
        }
        let own = known.messages.values().filter(|message| message.conversation_id == request.conversation_id);
        let mut messages: Vec<Message> = own.cloned().collect();
        let mut next_before = String::new();
        if request.oldest_first {
            // Small pages, so that a transcript takes several.
            messages.sort_by(|left, right| left.message_id.cmp(&right.message_id));
            messages.retain(|message| message.message_id > request.before);
            if messages.len() > 2 {
                messages.truncate(2);
                next_before.clone_from(&messages[1].message_id);
            }
        }
        Ok(Response::new(ListMessagesResponse { messages, next_before }))
    }

    async fn list_conversation_events(
        &self,
        request: Request<ListConversationEventsRequest>,
    ) -> Answer<ListConversationEventsResponse> {
        let request = request.into_inner();
        let mut known = self.known();
        if !known.conversations.contains_key(&(request.license_id.clone(), request.conversation_id.clone())) {
            return Err(Fault::not_found("conversation_not_found", "No such conversation.").into());
        }
        known.lines_asked.push(request);
        Ok(Response::new(ListConversationEventsResponse {
            events: known.lines.clone(),
            next_cursor: "more".to_owned(),
        }))
    }

    async fn mark_read(&self, request: Request<MarkReadRequest>) -> Answer<ReadState> {
        let mut known = self.known();
        known.marked.push(request.into_inner());
        Ok(Response::new(known.mark_answer.clone().unwrap()?))
    }

    async fn put_consent(&self, request: Request<PutConsentRequest>) -> Answer<Conversation> {
        let mut known = self.known();
        known.consents_put.push(request.into_inner());
        Ok(Response::new(known.consent_answer.clone().unwrap()?))
    }

    async fn delete_conversation(&self, request: Request<DeleteConversationRequest>) -> Answer<DeletionReceipt> {
        self.known().deletion.ask(request)
    }
}

#[tonic::async_trait]
impl FeedService for Services {
    async fn list_feed(&self, request: Request<ListFeedRequest>) -> Answer<ListFeedResponse> {
        self.refuse_when_feed_is_away()?;
        let ListFeedRequest { license_id, after, limit } = request.into_inner();
        let known = self.known();
        let entries = known.feed.get(&license_id).cloned().unwrap_or_default();
        let head = entries.last().map_or(0, |entry| entry.seq);
        if after < known.forgotten {
            return Ok(Response::new(ListFeedResponse { entries: Vec::new(), head, reset: true }));
        }
        // Small pages, so that reading takes several.
        let page = usize::try_from(limit).unwrap().min(7);
        let entries = entries.into_iter().filter(|entry| entry.seq > after).take(page).collect();
        Ok(Response::new(ListFeedResponse { entries, head, reset: false }))
    }

    async fn list_feed_heads(&self, request: Request<ListFeedHeadsRequest>) -> Answer<ListFeedHeadsResponse> {
        self.refuse_when_feed_is_away()?;
        let known = self.known();
        let heads = request.into_inner().license_ids.into_iter().map(|license_id| {
            let last = known.feed.get(&license_id).and_then(|entries| entries.last());
            FeedHead { seq: last.map_or(0, |entry| entry.seq), license_id }
        });
        Ok(Response::new(ListFeedHeadsResponse { heads: heads.collect() }))
    }
}

impl Services {
    fn refuse_when_feed_is_away(&self) -> Result<(), Status> {
        if self.state.feed_away.load(Ordering::SeqCst) { Err(Status::unavailable("away")) } else { Ok(()) }
    }
}

#[tonic::async_trait]
impl DispatchService for Services {
    async fn list_waiting(&self, request: Request<ListWaitingRequest>) -> Answer<ListWaitingResponse> {
        if self.state.dispatch_away.load(Ordering::SeqCst) {
            return Err(Status::unavailable("away"));
        }
        let ids = request.into_inner().message_ids;
        let known = self.known();
        let waiting = known.waiting.iter().filter(|waiting| ids.contains(&waiting.message_id)).cloned();
        Ok(Response::new(ListWaitingResponse { waiting: waiting.collect() }))
    }

    async fn estimate_batch(&self, request: Request<EstimateBatchRequest>) -> Answer<EstimateFinishResponse> {
        let answer = self.known().batch_estimate.ask(request);
        if self.state.dispatch_away.load(Ordering::SeqCst) {
            return Err(Status::unavailable("away"));
        }
        answer
    }

    async fn estimate_finish(&self, request: Request<EstimateFinishRequest>) -> Answer<EstimateFinishResponse> {
        let answer = self.known().estimate.ask(request);
        if self.state.dispatch_away.load(Ordering::SeqCst) {
            return Err(Status::unavailable("away"));
        }
        answer
    }
}

/// A queued message of a license.
pub(super) fn a_message(license: &str, id: &str) -> Message {
    Message {
        license_id: license.to_owned(),
        message_id: id.to_owned(),
        conversation_id: "01900000-0000-7000-8000-00000000000c".to_owned(),
        direction: "outbound".to_owned(),
        body: "The plumber comes at nine.".to_owned(),
        to: "+12125550123".to_owned(),
        manager: Some(proto::conversations::Manager { id: "m-1".to_owned(), name: "Mia Manager".to_owned() }),
        status: "queued".to_owned(),
        segments: 1,
        created_at: Some(to_timestamp(super::a_time())),
        ..Default::default()
    }
}
