//! A whole conversation: as JSON, or as text that a person can print.
//!
//! Read page by page and written as it is read, so that a long one costs no more memory than a short one. What fails
//! after the beginning cuts the connection: a client never takes half of a transcript for all of it.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use chassis::Fault;
use chassis::serve::TracedChannel;
use domain::{Conversation, Id};
use futures_util::{Stream, stream};
use http::{HeaderMap, HeaderValue, header};
use proto::conversations::conversations_service_client::ConversationsServiceClient;
use proto::conversations::{GetConversationRequest, ListMessagesRequest};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::extract::{FromQuery, Parameters, PathId, Query};
use crate::auth::Manager;
use crate::error::Problem;
use crate::views::{TranscriptHead, TranscriptMessage};

const PAGE: u32 = 200;

/// In which form.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TranscriptQuery {
    /// `json` or `text`. Left out: what `Accept` prefers, else JSON.
    #[param(value_type = Option<String>, example = "text")]
    format: Option<Format>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Text,
}

impl FromQuery for TranscriptQuery {
    fn from_query(parameters: &mut Parameters) -> Result<Self, Fault> {
        let format = match parameters.find_text("format").as_deref() {
            None => None,
            Some("json") => Some(Format::Json),
            Some("text") => Some(Format::Text),
            Some(_) => return Err(Fault::invalid("format", "invalid_value", "The forms are `json` and `text`.")),
        };
        Ok(Self { format })
    }
}

/// All of a conversation.
#[derive(ToSchema)]
#[schema(example = json!({
    "conversation": {
        "conversation_id": "01900000-0000-7000-8000-00000000000c", "number": "+12125550123",
        "people": [{"person_id": "t-1", "kind": "tenant", "name": "Tina Tenant"}], "opened_at": "2026-03-02T14:58:10Z",
    },
    "messages": [{
        "message_id": "01900000-0000-7000-8000-000000000001", "conversation_id": "01900000-0000-7000-8000-00000000000c",
        "direction": "outbound", "body": "The plumber comes at nine.", "media": [], "from": "+12125550100",
        "to": "+12125550123", "manager": {"id": "m-1", "name": "Mia Manager"}, "status": "delivered", "error": null,
        "segments": 1, "created_at": "2026-03-02T15:00:00Z", "sent_at": "2026-03-02T15:00:01Z",
        "delivered_at": "2026-03-02T15:00:02Z", "carrier": "twilio", "carrier_message_id": "SM1",
    }],
}))]
#[expect(dead_code, reason = "describes what is written piece by piece")]
pub(crate) struct Transcript {
    #[schema(inline)]
    conversation: TranscriptHead,
    /// Oldest first.
    messages: Vec<TranscriptMessage>,
}

/// All messages of a conversation, oldest first, with who carried them.
#[utoipa::path(
    get, path = "/v1/conversations/{conversation_id}/transcript", tag = "conversations",
    params(("conversation_id" = String, Path), TranscriptQuery),
    responses(
        (status = 200, description = "All of it. Times are UTC.", content(
            (Transcript = "application/json"),
            (String = "text/plain", example = "Conversation with Tina Tenant (+12125550123)\nOpened 2026-03-02 14:58:10 UTC\n\
                Id 01900000-0000-7000-8000-00000000000c\n\n2026-03-02 15:00:00 UTC  Mia Manager (+12125550100) to \
                +12125550123\n[delivered, sent 2026-03-02 15:00:01 UTC, twilio SM1]\n    The plumber comes at nine.\n"),
        )),
        (status = 404, description = "`conversation_not_found`."),
        (status = 422, description = "`invalid_value`, `unknown_parameter`: `field` says which."),
    ),
)]
pub(crate) async fn get_transcript(
    State(app): State<App>,
    Manager(actor): Manager,
    PathId(id): PathId<Id<Conversation>>,
    Query(query): Query<TranscriptQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut conversations = app.upstreams.conversations.clone();
    let (license_id, conversation_id) = (actor.license.to_string(), id.to_string());
    // For nobody: to print is not to read.
    let request = GetConversationRequest {
        license_id: license_id.clone(),
        conversation_id: conversation_id.clone(),
        manager_id: String::new(),
    };
    let answer = conversations.get_conversation(request).await;
    let head = TranscriptHead::try_from(answer.map_err(|status| Problem::from_upstream(&status))?.into_inner())?;
    let request =
        ListMessagesRequest { license_id, conversation_id, limit: PAGE, before: String::new(), oldest_first: true };
    let format = query.format.unwrap_or_else(|| preferred(&headers));
    let media_type = match format {
        Format::Json => "application/json",
        Format::Text => "text/plain; charset=utf-8",
    };
    let mut response = Response::new(Body::from_stream(write(conversations, head, request, format)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    Ok(response)
}

fn preferred(headers: &HeaderMap) -> Format {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let first = accepted.split(',').next().and_then(|first| first.split(';').next()).map(str::trim);
    if first.is_some_and(|first| first.eq_ignore_ascii_case("text/plain")) { Format::Text } else { Format::Json }
}

/// Why a transcript ends before its end.
#[derive(Debug, thiserror::Error)]
enum Cut {
    #[error("conversations does not answer ({0:?})")]
    Away(tonic::Code),
    #[error(transparent)]
    Broken(#[from] crate::views::BrokenAnswer),
    #[error("it cannot be written")]
    Unwritable(#[from] serde_json::Error),
}

enum Step {
    Head,
    Page { request: ListMessagesRequest, first: bool },
    Done,
}

fn write(
    conversations: ConversationsServiceClient<TracedChannel>,
    head: TranscriptHead,
    request: ListMessagesRequest,
    format: Format,
) -> impl Stream<Item = Result<Bytes, Cut>> + Send + 'static {
    let mut request = Some(request);
    stream::try_unfold((conversations, head, Step::Head), move |(mut conversations, head, step)| {
        let request = request.take();
        async move {
            let (written, next) = match (step, request) {
                (Step::Head, Some(request)) => (write_head(&head, format)?, Step::Page { request, first: true }),
                (Step::Page { request, first }, _) => {
                    write_page(&mut conversations, &head, request, format, first).await.inspect_err(|error| {
                        tracing::error!(error = error as &dyn std::error::Error, "a transcript is cut");
                    })?
                }
                (Step::Head, None) | (Step::Done, _) => return Ok(None),
            };
            Ok(Some((written, (conversations, head, next))))
        }
    })
}

fn write_head(head: &TranscriptHead, format: Format) -> Result<Bytes, Cut> {
    Ok(match format {
        Format::Json => format!("{{\"conversation\":{},\"messages\":[", serde_json::to_string(head)?).into(),
        Format::Text => head.write().into(),
    })
}

async fn write_page(
    conversations: &mut ConversationsServiceClient<TracedChannel>,
    head: &TranscriptHead,
    mut request: ListMessagesRequest,
    format: Format,
    first: bool,
) -> Result<(Bytes, Step), Cut> {
    let answer = conversations.list_messages(request.clone()).await;
    let page = answer.map_err(|status| Cut::Away(status.code()))?.into_inner();
    let mut written = String::new();
    for message in page.messages {
        let message = TranscriptMessage::try_from(message)?;
        match format {
            Format::Json => {
                if !(first && written.is_empty()) {
                    written.push(',');
                }
                written.push_str(&serde_json::to_string(&message)?);
            }
            Format::Text => written.push_str(&message.write(&head.sender())),
        }
    }
    if page.next_before.is_empty() {
        if format == Format::Json {
            written.push_str("]}");
        }
        return Ok((written.into(), Step::Done));
    }
    request.before = page.next_before;
    Ok((written.into(), Step::Page { request, first: false }))
}
