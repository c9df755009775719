//! Sending (rules 16, 17), and what became of one message.

use std::time::Duration;

use axum::extract::State;
use chassis::Fault;
use chrono::{DateTime, Utc};
use domain::{Conversation, Id, Message as MessageOf, PersonId};
use http::{HeaderMap, StatusCode};
use proto::conversations::recipient::To;
use proto::conversations::{self, GetMessageRequest, SendAgainRequest, SendMessagesRequest, SendMessagesResponse};
use proto::dispatch::ListWaitingRequest;
use proto::to_timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::extract::{Json, PathId, Query};
use crate::auth::{Actor, Manager};
use crate::error::Problem;
use crate::views::{BrokenAnswer, Message, Rejected, ScheduledSend, Waiting, examples, find_time};

const MAX_RECIPIENTS: usize = 10_000;
const MAX_KEY_LENGTH: usize = 200;
/// Why a message waits is a courtesy: the message itself does not wait long for it.
const WAITING_TIMEOUT: Duration = Duration::from_secs(2);

/// A text to one or many. Each gets a message of their own.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "recipients": [{"person_id": "t-1"}, {"person_id": "t-9"}],
    "body": "Dear {{person.first_name}}, the plumber comes at nine. {{company.name}}",
    "media_urls": ["https://www.example.com/plan.png"], "last_seen_seq": 41, "send_at": "2026-03-30T14:00:00Z",
}))]
pub(crate) struct SendInput {
    /// 1 to 10,000.
    recipients: Vec<RecipientInput>,
    /// May hold merge fields, which are filled in for each recipient: `{{person.name}}`, `{{person.first_name}}`,
    /// `{{company.name}}`.
    body: String,
    /// At most 10 `http` or `https` addresses.
    #[serde(default)]
    media_urls: Vec<String>,
    /// The newest feed position that you have seen. A conversation with a newer message, also one of your own, gets
    /// nothing: `conversation_moved_on`. Left out: not looked at.
    last_seen_seq: Option<u64>,
    /// When to send it: RFC 3339, at most 60 days from now. Left out: at once. It is kept until then, and it is checked
    /// again then who gets it.
    send_at: Option<DateTime<Utc>>,
}

/// A person or a conversation.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Recipient, example = json!({"person_id": "t-1"}))]
pub(crate) struct RecipientInput {
    /// Goes to the person's preferred phone.
    #[schema(value_type = Option<String>)]
    person_id: Option<PersonId>,
    #[schema(value_type = Option<String>)]
    conversation_id: Option<Id<Conversation>>,
}

/// What was accepted, and what not.
#[derive(Serialize, ToSchema)]
#[schema(example = json!(examples::sent()))]
pub(crate) struct Sent {
    /// Set when more than one recipient was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_id: Option<String>,
    /// In the order of the recipients.
    messages: Vec<Message>,
    rejected: Vec<Rejected>,
    /// With `send_at`: what is kept for later. There are no messages then.
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled: Option<Box<ScheduledSend>>,
}

/// A message, and while it waits, why.
#[derive(Serialize, ToSchema)]
#[schema(example = json!(examples::waiting_message()))]
pub(crate) struct MessageDetail {
    #[serde(flatten)]
    message: Message,
    /// Null when it does not wait, or when nobody can say.
    waiting: Option<Waiting>,
}

/// Send a text, at once or with `send_at` later. With `Idempotency-Key` a repeated request sends nothing new and gets the
/// first answer, without what was deleted since.
#[utoipa::path(
    post, path = "/v1/messages", tag = "messages", request_body = SendInput,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 200 visible ASCII characters.")),
    responses(
        (status = 202, description = "What was accepted will be sent; see `rejected` for the others.", body = Sent),
        (status = 404, description = "The only recipient does not exist: `person_not_found`, …; see `rejected`."),
        (status = 409, description = "Nothing can go to the only recipient: `number_no_longer_tied`, \
            `recipient_opted_out`, `cannot_receive_sms`, `person_has_no_phone`; see `rejected`. `conversation_moved_on`: there are messages \
            that you have not seen, in `unseen`; send again without `last_seen_seq` to insist. `company_name_unknown`: the \
            text names the company, whose name is not known yet."),
        (status = 413, description = "`body_too_large`: more than 2 MiB."),
        (status = 422, description = "`no_recipient_accepted`: see `rejected`. `unknown_merge_field`, \
            `send_at_out_of_range` and others: `field` says which."),
    ),
)]
pub(crate) async fn send_messages(
    State(app): State<App>,
    Manager(actor): Manager,
    _: Query<()>,
    headers: HeaderMap,
    Json(input): Json<SendInput>,
) -> Result<(StatusCode, axum::Json<Sent>), Problem> {
    let request = plan_request(actor, idempotency_key(&headers)?, input)?;
    let named = request.recipients.len();
    let mut conversations = app.upstreams.conversations.clone();
    let write = async move {
        let answer = conversations.send_messages(request).await;
        answer.map_err(|status| Problem::from_upstream(&status))
    };
    accepted(show_sent(app.finish(write).await?.into_inner())?, named)
}

/// Send a message that came to nothing once more, as a new message: one that failed, was not delivered or was canceled, or
/// that stayed `unknown` with the error `not_confirmed`. Done twice, by whomever, it answers the same new message.
#[utoipa::path(
    post, path = "/v1/messages/{message_id}/send-again", tag = "messages",
    params(("message_id" = String, Path)),
    responses(
        (status = 202, description = "The new message will be sent. The old one names it in `sent_again_as`.", body = Sent),
        (status = 404, description = "`message_not_found`."),
        (status = 409, description = "`message_may_arrive`: it has arrived, or may still arrive. \
            `number_no_longer_tied`, `recipient_opted_out`, `cannot_receive_sms`: nothing can go to its recipient now."),
    ),
)]
pub(crate) async fn send_again(
    State(app): State<App>,
    Manager(actor): Manager,
    PathId(id): PathId<Id<MessageOf>>,
    _: Query<()>,
) -> Result<(StatusCode, axum::Json<Sent>), Problem> {
    let request = SendAgainRequest {
        license_id: actor.license.to_string(),
        message_id: id.to_string(),
        manager: Some(conversations::Manager { id: actor.id.to_string(), name: actor.name }),
    };
    let mut conversations = app.upstreams.conversations.clone();
    let write = async move {
        let answer = conversations.send_again(request).await;
        answer.map_err(|status| Problem::from_upstream(&status))
    };
    accepted(show_sent(app.finish(write).await?.into_inner())?, 1)
}

/// One message, with the reason why it waits while it does.
#[utoipa::path(
    get, path = "/v1/messages/{message_id}", tag = "messages",
    params(("message_id" = String, Path)),
    responses(
        (status = 200, description = "The message as it is now.", body = MessageDetail),
        (status = 404, description = "`message_not_found`."),
    ),
)]
pub(crate) async fn get_message(
    State(app): State<App>,
    Manager(actor): Manager,
    PathId(id): PathId<Id<MessageOf>>,
    _: Query<()>,
) -> Result<axum::Json<MessageDetail>, Problem> {
    let request = GetMessageRequest { license_id: actor.license.to_string(), message_id: id.to_string() };
    let answer = app.upstreams.conversations.clone().get_message(request).await;
    let message = Message::try_from(answer.map_err(|status| Problem::from_upstream(&status))?.into_inner())?;
    let waits = matches!(message.status.as_str(), "queued" | "unknown");
    let waiting = if waits { find_waiting(&app, &actor, &message.message_id).await } else { None };
    Ok(axum::Json(MessageDetail { message, waiting }))
}

/// None also when the delivery queue cannot be asked: the message is worth showing without.
async fn find_waiting(app: &App, actor: &Actor, message_id: &str) -> Option<Waiting> {
    let request =
        ListWaitingRequest { license_id: actor.license.to_string(), message_ids: vec![message_id.to_owned()] };
    let mut dispatch = app.upstreams.dispatch.clone();
    let answer = tokio::time::timeout(WAITING_TIMEOUT, dispatch.list_waiting(request)).await;
    let waiting = match answer {
        Ok(Ok(answer)) => answer.into_inner().waiting,
        Ok(Err(status)) => {
            tracing::warn!(grpc = ?status.code(), "dispatch cannot say why a message waits");
            return None;
        }
        Err(_) => {
            tracing::warn!("dispatch did not say in time why a message waits");
            return None;
        }
    };
    let waiting = waiting.into_iter().find(|waiting| waiting.message_id == message_id)?;
    Some(Waiting { reason: waiting.reason, until: find_time(waiting.until, "until").ok().flatten() })
}

/// `idempotency_key` is empty when there is none.
pub(super) fn plan_request(
    actor: Actor,
    idempotency_key: String,
    input: SendInput,
) -> Result<SendMessagesRequest, Fault> {
    if !(1..=MAX_RECIPIENTS).contains(&input.recipients.len()) {
        return Err(Fault::invalid("recipients", "invalid_recipients", "Name 1 to 10,000 recipients."));
    }
    let recipients = input.recipients.into_iter().enumerate().map(|(index, recipient)| {
        let to = match (recipient.person_id, recipient.conversation_id) {
            (Some(person), None) => To::PersonId(person.to_string()),
            (None, Some(conversation)) => To::ConversationId(conversation.to_string()),
            _ => {
                let detail = "A recipient is named by either `person_id` or `conversation_id`.";
                return Err(Fault::invalid(format!("recipients[{index}]"), "invalid_recipient", detail));
            }
        };
        Ok(conversations::Recipient { to: Some(to) })
    });
    Ok(SendMessagesRequest {
        license_id: actor.license.to_string(),
        idempotency_key,
        recipients: recipients.collect::<Result<_, _>>()?,
        body: input.body,
        media_urls: input.media_urls,
        manager: Some(conversations::Manager { id: actor.id.to_string(), name: actor.name }),
        last_seen_seq: input.last_seen_seq,
        send_at: input.send_at.map(to_timestamp),
    })
}

/// Empty when the caller gave none.
fn idempotency_key(headers: &HeaderMap) -> Result<String, Fault> {
    let mut given = headers.get_all("idempotency-key").iter();
    let Some(value) = given.next() else {
        return Ok(String::new());
    };
    let key = value.to_str().unwrap_or_default();
    let length_fits = (1..=MAX_KEY_LENGTH).contains(&key.len());
    if length_fits && key.bytes().all(|byte| byte.is_ascii_graphic()) && given.next().is_none() {
        return Ok(key.to_owned());
    }
    let detail = "The key is given once and has 1 to 200 visible ASCII characters without spaces.";
    Err(Fault::invalid("Idempotency-Key", "invalid_idempotency_key", detail))
}

fn show_sent(answer: SendMessagesResponse) -> Result<Sent, BrokenAnswer> {
    Ok(Sent {
        batch_id: answer.batch_id,
        messages: answer.messages.into_iter().map(Message::try_from).collect::<Result<_, _>>()?,
        rejected: answer.rejected.into_iter().map(Rejected::try_from).collect::<Result<_, _>>()?,
        scheduled: answer.scheduled.map(|send| send.try_into().map(Box::new)).transpose()?,
    })
}

fn accepted(sent: Sent, named: usize) -> Result<(StatusCode, axum::Json<Sent>), Problem> {
    match find_refusal(&sent, named) {
        Some(refusal) => Err(refusal.into()),
        None => Ok((StatusCode::ACCEPTED, axum::Json(sent))),
    }
}

/// A send of which nothing was accepted is an error, and of a single recipient it is that recipient's.
///
/// A repeated request whose messages were deleted since has fewer rejections than recipients: it was accepted.
fn find_refusal(sent: &Sent, named: usize) -> Option<Fault> {
    if !sent.messages.is_empty() || sent.scheduled.is_some() || sent.rejected.len() < named {
        return None;
    }
    let fault = match sent.rejected.as_slice() {
        [only] if only.code.ends_with("_not_found") => Fault::not_found(only.code.clone(), only.detail.clone()),
        [only] if !only.unseen.is_empty() => Fault::conflict(only.code.clone(), only.detail.clone())
            .with("unseen", serde_json::to_value(&only.unseen).unwrap_or_default()),
        [only] => Fault::conflict(only.code.clone(), only.detail.clone()),
        _ => Fault::invalid("recipients", "no_recipient_accepted", "Nothing was sent: see `rejected`."),
    };
    Some(fault.with("rejected", serde_json::to_value(&sent.rejected).unwrap_or_default()))
}
