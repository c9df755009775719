//! The one path of every webhook, whoever the carrier: read, verify, parse, publish, answer.
//!
//! A text or a receipt gets 200 only after the stream has stored the event; calls are answered first. Once the body is
//! read nothing stops a webhook: the rest runs in a tracked task, because axum drops a handler whose client hangs up.
//! It knows no person and no database, and it never logs what a request says of itself beyond the host it asked for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{DefaultBodyLimit, FromRequest as _, Request};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use carriers::{MalformedWebhook, SignatureError, WebhookAnswer, WebhookRequest};
use chassis::{Clock, Fault, Lifecycle};
use http::{StatusCode, header, request::Parts};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::{Span, field};

use super::problem::problem;
use crate::account::Account;
use crate::error::WebhookError;
use crate::model::{Forwarding, Identified, message_received, receipt_received};
use crate::public_url::PublicUrl;
use crate::record::Recorder;
use crate::resumed::TurnedAway;
use crate::routes::Routes;

/// Carriers' webhooks have a few KiB: 1,600 characters, ten media addresses and the places of both numbers.
const MAX_BODY: usize = 64 * 1024;
/// For the whole body to arrive. Together with the publisher's 4 s this stays below Twilio's 15 s.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// What a webhook tells.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// A phone texted us.
    Message,
    /// What became of a message that the carrier took.
    Receipt,
    /// A phone calls us.
    Call,
    /// What came of a call.
    CallReport,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Receipt => "receipt",
            Self::Call => "call",
            Self::CallReport => "call_report",
        }
    }
}

/// What became of a webhook that is answered with 200. The names are for metrics.
pub(super) enum Taken {
    Stored,
    /// Answered in this way, whatever the stream says later.
    Answered(&'static str),
    /// Not for us, and no fault of anybody.
    Ignored(&'static str),
}

/// A request with its body. Holds its place among the webhooks under way.
struct Delivery {
    head: Parts,
    body: Bytes,
    _place: OwnedSemaphorePermit,
}

/// How many webhooks may be under way. This bounds the memory as well.
#[derive(Debug)]
pub(crate) struct Places {
    texts: Arc<Semaphore>,
    /// Of their own: when the stream is away, texts hold theirs for seconds, and callers do not wait behind them.
    calls: Arc<Semaphore>,
}

impl Places {
    /// So many for texts and receipts, and as many for calls.
    pub(crate) fn new(max_in_flight: usize) -> Self {
        Self { texts: Arc::new(Semaphore::new(max_in_flight)), calls: Arc::new(Semaphore::new(max_in_flight)) }
    }

    fn take(&self, kind: Kind) -> Result<OwnedSemaphorePermit, WebhookError> {
        let places = match kind {
            Kind::Message | Kind::Receipt => &self.texts,
            Kind::Call | Kind::CallReport => &self.calls,
        };
        places.clone().try_acquire_owned().map_err(|_| WebhookError::Overloaded)
    }
}

/// Takes webhooks. One per process.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) public_url: PublicUrl,
    pub(crate) places: Places,
    pub(crate) routes: Routes,
    pub(crate) forwarding: Forwarding,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) turned_away: Arc<TurnedAway>,
    pub(crate) clock: Clock,
    pub(crate) lifecycle: Lifecycle,
}

impl Receiver {
    /// Takes one webhook to its answer. Its span starts a trace, whatever the request says: callers are strangers.
    pub(super) async fn receive(self: Arc<Self>, account: Arc<Account>, kind: Kind, request: Request) -> Response {
        let started = Instant::now();
        let carrier = account.webhooks.name().as_str();
        let span = tracing::info_span!(parent: None, "webhook", carrier, kind = kind.as_str(), result = field::Empty);
        let read = self.read(kind, request).await;
        let (lifecycle, receiver) = (self.lifecycle.clone(), self.clone());
        let rest = async move {
            let outcome = match read {
                Ok(delivery) => receiver.take(&account, kind, &delivery).await,
                Err(error) => Err(error),
            };
            count(carrier, kind, &outcome, started);
            if outcome.as_ref().is_err_and(WebhookError::is_outage) {
                receiver.note_turned_away(kind);
            }
            match outcome {
                // Exactly 200: Telnyx takes nothing else (CARRIERS §4).
                Ok((_, WebhookAnswer { content_type, body })) => {
                    ([(header::CONTENT_TYPE, content_type)], body).into_response()
                }
                Err(error) => problem(&Fault::from(&error)),
            }
        };
        let answered = span.in_scope(|| lifecycle.spawn_tracked(rest)).await;
        answered.unwrap_or_else(|error| {
            tracing::error!(parent: &span, %error, "a webhook was not handled");
            self.note_turned_away(kind);
            problem(&Fault::internal())
        })
    }

    /// Carriers can be asked for texts, and for nothing else.
    fn note_turned_away(&self, kind: Kind) {
        if matches!(kind, Kind::Message) {
            self.turned_away.note();
        }
    }

    async fn read(&self, kind: Kind, request: Request) -> Result<Delivery, WebhookError> {
        // Before the body.
        let place = self.places.take(kind)?;
        let (head, body) = request.into_parts();
        let mut limited = Request::new(body);
        DefaultBodyLimit::max(MAX_BODY).apply(&mut limited);
        let body = tokio::time::timeout(BODY_TIMEOUT, Bytes::from_request(limited, &()))
            .await
            .map_err(|_| WebhookError::BodyIncomplete)?
            .map_err(|rejection| match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => WebhookError::TooLarge,
                _ => WebhookError::BodyIncomplete,
            })?;
        Ok(Delivery { head, body, _place: place })
    }

    async fn take(
        &self,
        account: &Account,
        kind: Kind,
        delivery: &Delivery,
    ) -> Result<(Taken, WebhookAnswer), WebhookError> {
        let Delivery { head, body, .. } = delivery;
        // What is no address cannot have been signed.
        let url = self.public_url.find_called(&head.uri).ok_or(WebhookError::Untrusted(SignatureError::Mismatch))?;
        let now = self.clock.now();
        let request =
            WebhookRequest { method: &head.method, url: &url, headers: &head.headers, body, received_at: now };
        if let Err(error) = account.check(&request) {
            let difference = self.public_url.compare(&head.uri, &head.headers);
            tracing::warn!(
                reason = error.code(),
                path = head.uri.path(),
                other_host = difference.host,
                other_scheme = difference.scheme,
                "a webhook is refused"
            );
            return Err(error);
        }
        let webhooks = account.webhooks.as_ref();
        let carrier = webhooks.name();
        match kind {
            Kind::Message => {
                let read = webhooks.parse_message(&request).and_then(|read| message_received(carrier, read, now));
                Ok((self.store(account, read).await?, webhooks.message_answer()))
            }
            Kind::Receipt => {
                let read = webhooks.parse_receipt(&request).and_then(|read| receipt_received(carrier, read, now));
                Ok((self.store(account, read).await?, webhooks.receipt_answer()))
            }
            Kind::Call => self.take_call(webhooks, &request),
            Kind::CallReport => self.take_call_report(account, &request).await,
        }
    }

    async fn store<E: proto::Event>(
        &self,
        account: &Account,
        read: Result<Identified<E>, MalformedWebhook>,
    ) -> Result<Taken, WebhookError> {
        let event = match read {
            Ok(event) => event,
            Err(reason) => return ignore_or_refuse(reason),
        };
        match self.recorder.store(&event, account.stores_within).await {
            Ok(()) => Ok(Taken::Stored),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a webhook is not stored; answered 503");
                Err(WebhookError::NotStored(error))
            }
        }
    }
}

/// Some of what we cannot use is no fault of anybody.
pub(super) fn ignore_or_refuse(reason: MalformedWebhook) -> Result<Taken, WebhookError> {
    match reason {
        MalformedWebhook::UnsupportedSender => {
            tracing::info!(reason = reason.code(), "a webhook is ignored");
            Ok(Taken::Ignored(reason.code()))
        }
        // Carriers add words without notice. Nothing is lost: the words that we know still come.
        MalformedWebhook::UnknownStatus => {
            tracing::warn!(reason = reason.code(), "a webhook is ignored");
            Ok(Taken::Ignored(reason.code()))
        }
        reason => {
            tracing::error!(%reason, "a signed webhook cannot be read; the carrier still has what it said");
            Err(WebhookError::Unreadable(reason))
        }
    }
}

fn count(carrier: &'static str, kind: Kind, outcome: &Result<(Taken, WebhookAnswer), WebhookError>, started: Instant) {
    let result = match outcome {
        Ok((Taken::Stored, _)) => "stored",
        Ok((Taken::Answered(how), _)) => how,
        Ok((Taken::Ignored(reason), _)) => reason,
        Err(error) => error.code(),
    };
    let kind = kind.as_str();
    Span::current().record("result", result);
    metrics::counter!("ingest_webhooks_total", "carrier" => carrier, "kind" => kind, "result" => result).increment(1);
    metrics::histogram!("ingest_answer_seconds", "carrier" => carrier, "kind" => kind)
        .record(started.elapsed().as_secs_f64());
}
