//! The one path of every webhook: read, verify, parse, publish, answer.
//!
//! 200 is said only after the stream has stored the event. Once the body is read nothing stops a webhook: the rest
//! runs in a tracked task, because axum drops a handler whose client hangs up. It knows no license, no person and no
//! database, and it never logs what a request says of itself beyond the host it asked for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{DefaultBodyLimit, FromRequest as _, Request};
use axum::response::{IntoResponse as _, Response};
use bus::Publisher;
use bytes::Bytes;
use carriers::{MalformedWebhook, SignatureError, WebhookAnswer, WebhookRequest, Webhooks as _};
use chassis::{Clock, Fault, Lifecycle};
use http::{StatusCode, header, request::Parts};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::DropGuard;
use tracing::{Span, field};

use super::problem::problem;
use crate::error::WebhookError;
use crate::model::{Identified, message_received, receipt_received};
use crate::public_url::PublicUrl;
use crate::twilio::TwilioAccount;

/// Twilio's webhooks have a few KiB: 1,600 characters, ten media addresses and the places of both numbers.
const MAX_BODY: usize = 64 * 1024;
/// For the whole body to arrive. Together with the publisher's 4 s this stays below Twilio's 15 s.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// What a webhook tells.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// A phone texted us.
    Message,
    /// What became of a message that the carrier took.
    Receipt,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Receipt => "receipt",
        }
    }
}

/// What became of a webhook that is answered with 200.
enum Taken {
    Stored,
    /// Not for us, and no fault of anybody. The reason, for metrics.
    Ignored(&'static str),
}

/// A request with its body. Holds its place among the webhooks under way.
struct Delivery {
    head: Parts,
    body: Bytes,
    _place: OwnedSemaphorePermit,
}

/// Takes webhooks. One per process.
#[derive(Debug)]
pub(crate) struct Receiver {
    public_url: PublicUrl,
    twilio: TwilioAccount,
    places: Arc<Semaphore>,
    publisher: Publisher,
    /// Keeps the publisher's loop alive, past the stop, for as long as a webhook may need it.
    _publisher_in_use: DropGuard,
    clock: Clock,
    lifecycle: Lifecycle,
}

impl Receiver {
    pub(crate) fn new(
        public_url: PublicUrl,
        twilio: TwilioAccount,
        max_in_flight: usize,
        publisher: Publisher,
        publisher_in_use: DropGuard,
        clock: Clock,
        lifecycle: Lifecycle,
    ) -> Self {
        Self {
            public_url,
            twilio,
            places: Arc::new(Semaphore::new(max_in_flight)),
            publisher,
            _publisher_in_use: publisher_in_use,
            clock,
            lifecycle,
        }
    }

    /// Takes one webhook to its answer. Its span starts a trace, whatever the request says: callers are strangers.
    pub(super) async fn receive(self: Arc<Self>, kind: Kind, request: Request) -> Response {
        let started = Instant::now();
        let carrier = self.twilio.webhooks.name().as_str();
        let span = tracing::info_span!(parent: None, "webhook", carrier, kind = kind.as_str(), result = field::Empty);
        let read = self.read(request).await;
        let lifecycle = self.lifecycle.clone();
        let rest = async move {
            let outcome = match read {
                Ok(delivery) => self.take(kind, &delivery).await,
                Err(error) => Err(error),
            };
            count(carrier, kind, &outcome, started);
            match outcome {
                Ok(_) => self.answer(kind),
                Err(error) => problem(&Fault::from(&error)),
            }
        };
        let answered = span.in_scope(|| lifecycle.spawn_tracked(rest)).await;
        answered.unwrap_or_else(|error| {
            tracing::error!(parent: &span, %error, "a webhook was not handled");
            problem(&Fault::internal())
        })
    }

    async fn read(&self, request: Request) -> Result<Delivery, WebhookError> {
        // Before the body: this bounds the memory as well.
        let place = self.places.clone().try_acquire_owned().map_err(|_| WebhookError::Overloaded)?;
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

    async fn take(&self, kind: Kind, delivery: &Delivery) -> Result<Taken, WebhookError> {
        let Delivery { head, body, .. } = delivery;
        let webhooks = &self.twilio.webhooks;
        // What is no address cannot have been signed.
        let url = self.public_url.find_called(&head.uri).ok_or(WebhookError::Untrusted(SignatureError::Mismatch))?;
        let request = WebhookRequest { method: &head.method, url: &url, headers: &head.headers, body };
        let trusted = webhooks
            .verify(&request)
            .map_err(WebhookError::Untrusted)
            .and_then(|()| if self.twilio.is_ours(body) { Ok(()) } else { Err(WebhookError::OtherAccount) });
        if let Err(error) = trusted {
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
        let (carrier, now) = (webhooks.name(), self.clock.now());
        match kind {
            Kind::Message => {
                let read = webhooks.parse_message(&request).and_then(|read| message_received(carrier, read, now));
                self.publish(read).await
            }
            Kind::Receipt => {
                let read = webhooks.parse_receipt(&request).and_then(|read| receipt_received(carrier, read, now));
                self.publish(read).await
            }
        }
    }

    async fn publish<E: proto::Event>(
        &self,
        read: Result<Identified<E>, MalformedWebhook>,
    ) -> Result<Taken, WebhookError> {
        let Identified { event_id, event } = match read {
            Ok(identified) => identified,
            Err(reason @ MalformedWebhook::UnsupportedSender) => {
                tracing::info!(reason = reason.code(), "a webhook is ignored");
                return Ok(Taken::Ignored(reason.code()));
            }
            // Carriers add words without notice. Nothing is lost: the words that we know still come.
            Err(reason @ MalformedWebhook::UnknownStatus) => {
                tracing::warn!(reason = reason.code(), "a webhook is ignored");
                return Ok(Taken::Ignored(reason.code()));
            }
            Err(reason) => {
                tracing::error!(%reason, "a signed webhook cannot be read; the carrier still has what it said");
                return Err(WebhookError::Unreadable(reason));
            }
        };
        match self.publisher.publish(&event, event_id, self.clock.now()).await {
            Ok(()) => Ok(Taken::Stored),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a webhook is not stored; answered 503");
                Err(WebhookError::NotStored(error))
            }
        }
    }

    fn answer(&self, kind: Kind) -> Response {
        let WebhookAnswer { content_type, body } = match kind {
            Kind::Message => self.twilio.webhooks.message_answer(),
            Kind::Receipt => self.twilio.webhooks.receipt_answer(),
        };
        ([(header::CONTENT_TYPE, content_type)], body).into_response()
    }
}

fn count(carrier: &'static str, kind: Kind, outcome: &Result<Taken, WebhookError>, started: Instant) {
    let result = match outcome {
        Ok(Taken::Stored) => "stored",
        Ok(Taken::Ignored(reason)) => reason,
        Err(error) => error.code(),
    };
    let kind = kind.as_str();
    Span::current().record("result", result);
    metrics::counter!("ingest_webhooks_total", "carrier" => carrier, "kind" => kind, "result" => result).increment(1);
    metrics::histogram!("ingest_answer_seconds", "carrier" => carrier, "kind" => kind)
        .record(started.elapsed().as_secs_f64());
}
