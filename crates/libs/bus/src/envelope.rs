//! The envelope of an event: what stands in the headers around the bare protobuf payload.

use async_nats::HeaderMap;
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use proto::Event;

/// JetStream's own deduplication (two minutes) reads this one.
pub(crate) const MESSAGE_ID: &str = "Nats-Msg-Id";
/// Set on dead letters and on what is put back from them: the id the event had the first time.
pub(crate) const EVENT_ID: &str = "Leaseline-Event-Id";
const OCCURRED_AT: &str = "Leaseline-Time";

/// An event on its way to the stream.
#[derive(Clone)]
pub struct Outgoing {
    pub(crate) event_id: String,
    /// Without the namespace.
    pub(crate) subject: String,
    pub(crate) payload: Bytes,
    pub(crate) occurred_at: DateTime<Utc>,
    pub(crate) trace: Vec<(String, String)>,
}

impl Outgoing {
    /// Wraps an event. `event_id` must be the same whenever the same fact is published again.
    pub fn new<E: Event>(event: &E, event_id: String, occurred_at: DateTime<Utc>) -> Self {
        let mut trace = Vec::new();
        chassis::trace_context::inject(&mut |name, value| trace.push((name.to_owned(), value)));
        Self { event_id, subject: E::SUBJECT.to_owned(), payload: event.encode_to_vec().into(), occurred_at, trace }
    }

    pub(crate) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(MESSAGE_ID, self.event_id.as_str());
        headers.insert(OCCURRED_AT, self.occurred_at.to_rfc3339_opts(SecondsFormat::Micros, true).as_str());
        for (name, value) in &self.trace {
            headers.insert(name.as_str(), value.as_str());
        }
        headers
    }
}

impl std::fmt::Debug for Outgoing {
    /// The payload may hold message text: only its size is shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outgoing")
            .field("event_id", &self.event_id)
            .field("subject", &self.subject)
            .field("bytes", &self.payload.len())
            .finish_non_exhaustive()
    }
}

/// The id by which a consumer knows an event that comes again.
pub(crate) fn event_id(headers: Option<&HeaderMap>) -> Option<&str> {
    let headers = headers?;
    headers.get(EVENT_ID).or_else(|| headers.get(MESSAGE_ID)).map(async_nats::HeaderValue::as_str)
}

/// When the fact happened, by its publisher's clock.
pub(crate) fn occurred_at(headers: Option<&HeaderMap>) -> Option<DateTime<Utc>> {
    let time = headers?.get(OCCURRED_AT)?;
    DateTime::parse_from_rfc3339(time.as_str()).ok().map(|time| time.with_timezone(&Utc))
}

/// Headers for an event that goes back to its stream: a new message id, so that the stream takes it,
/// and the id it had, so that consumers that did digest it still know it.
pub(crate) fn for_replay(headers: &HeaderMap, replay_id: &str) -> HeaderMap {
    let mut again = HeaderMap::new();
    copy(Some(headers), &mut again, |name| !name.starts_with("Nats-") && !name.starts_with("Leaseline-Dead-"));
    if let Some(id) = event_id(Some(headers)) {
        again.insert(EVENT_ID, id);
    }
    again.insert(MESSAGE_ID, replay_id);
    again
}

/// Copies the headers whose names are wanted.
pub(crate) fn copy(from: Option<&HeaderMap>, to: &mut HeaderMap, wanted: impl Fn(&str) -> bool) {
    for (name, values) in from.into_iter().flat_map(HeaderMap::iter) {
        let name: &str = name.as_ref();
        for value in values.iter().filter(|_| wanted(name)) {
            to.append(name, value.clone());
        }
    }
}
