//! Dead letters: events that a consumer could not digest. They are kept 30 days in a stream of their own,
//! shown without their content, and put back or dropped by a person. Code that has to erase what a letter holds reads
//! its event.

use std::fmt;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{RawMessageError, RawMessageErrorKind};
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use proto::Event;
use proto::catalogue::{Consumer, DEAD_LETTER_PREFIX, DEAD_LETTERS};

use crate::fields::{self, Field};
use crate::{Bus, envelope};

const SUBJECT: &str = "Leaseline-Dead-Subject";
const CONSUMER: &str = "Leaseline-Dead-Consumer";
const REASON: &str = "Leaseline-Dead-Reason";
const TIME: &str = "Leaseline-Dead-Time";

/// How often a process counts the letters that wait.
const COUNT_AGAIN: Duration = Duration::from_secs(30);

/// One dead letter, without its content (it may hold message text).
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// Its place in the stream: the handle for `replay` and `remove`.
    pub number: u64,
    /// The durable that could not digest it.
    pub consumer: String,
    /// Subject it was published on.
    pub subject: String,
    pub event_id: String,
    /// What went wrong.
    pub reason: String,
    /// When it was given up, RFC 3339.
    pub at: String,
    pub bytes: usize,
}

/// A dead letter with everything around its content, and of the content only what it is made of.
#[derive(Debug, Clone)]
pub struct Opened {
    pub letter: DeadLetter,
    /// Of its event and of the letter, in the order of their names.
    pub headers: Vec<(String, String)>,
    /// Numbers and sizes, no values.
    pub fields: Vec<Field>,
}

/// A dead letter with its content, for code that decides whether it may stay. Not for people.
#[derive(Clone)]
pub struct Buried {
    /// Its place in the stream: the handle for `remove`.
    pub number: u64,
    payload: Bytes,
}

impl Buried {
    /// The event of the letter's consumer. `None`: it cannot be read, which may be why it is here.
    pub fn find_event<E: Event>(&self) -> Option<E> {
        E::decode(self.payload.clone()).ok()
    }
}

impl fmt::Debug for Buried {
    /// The payload may hold message text: only its size is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buried").field("number", &self.number).field("bytes", &self.payload.len()).finish()
    }
}

/// Access to the dead letters of one installation.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    bus: Bus,
}

/// What becomes a letter.
pub(crate) struct Corpse<'a> {
    pub(crate) headers: Option<&'a HeaderMap>,
    /// With the namespace.
    pub(crate) subject: &'a str,
    pub(crate) payload: Bytes,
    /// Tells this copy of the event from others of the same consumer.
    pub(crate) copy: String,
}

impl<'a> Corpse<'a> {
    pub(crate) fn of_message(message: &'a jetstream::Message) -> anyhow::Result<Self> {
        // One letter for each copy in the stream: an event that was put back and fails again within the window of
        // deduplication becomes a letter again.
        let stored_as = message.info().map_err(|error| anyhow::anyhow!(error))?;
        Ok(Self {
            headers: message.headers.as_ref(),
            subject: message.subject.as_str(),
            payload: message.payload.clone(),
            copy: stored_as.stream_sequence.to_string(),
        })
    }
}

pub(crate) async fn publish(
    bus: &Bus,
    consumer: Consumer,
    corpse: Corpse<'_>,
    error: &anyhow::Error,
    now: DateTime<Utc>,
) -> anyhow::Result<()> {
    let mut headers = HeaderMap::new();
    // What concerns NATS belonged to the first journey: with the headers of an atomic batch, for one, this stream
    // refuses the letter.
    envelope::copy(corpse.headers, &mut headers, |name| !name.starts_with("Nats-"));
    if let Some(event_id) = envelope::event_id(corpse.headers) {
        headers.insert(envelope::EVENT_ID, event_id);
    }
    headers.insert(envelope::MESSAGE_ID, format!("{}:{}", consumer.name, corpse.copy).as_str());
    headers.insert(SUBJECT, corpse.subject);
    headers.insert(CONSUMER, consumer.name);
    // A header is one line.
    headers.insert(REASON, format!("{error:#}").replace(['\r', '\n'], " ").as_str());
    headers.insert(TIME, now.to_rfc3339_opts(SecondsFormat::Secs, true).as_str());
    let subject = bus.subject(&format!("{DEAD_LETTER_PREFIX}.{}", consumer.name));
    bus.jetstream().publish_with_headers(subject, headers, corpse.payload).await?.await?;
    Ok(())
}

impl DeadLetters {
    pub fn new(bus: Bus) -> Self {
        Self { bus }
    }

    async fn stream(&self) -> anyhow::Result<jetstream::stream::Stream> {
        Ok(self.bus.jetstream().get_stream(self.bus.stream_name(DEAD_LETTERS)).await?)
    }

    /// The oldest dead letters, at most `limit`.
    ///
    /// # Errors
    /// When NATS is away.
    pub async fn list(&self, limit: usize) -> anyhow::Result<Vec<DeadLetter>> {
        let stream = self.stream().await?;
        let any = self.bus.subject(&format!("{DEAD_LETTER_PREFIX}.>"));
        let (mut letters, mut number) = (Vec::new(), 1);
        while letters.len() < limit {
            // The next one that is there: removed letters leave gaps.
            let Some(message) = found(stream.get_first_raw_message_by_subject(&any, number).await)? else { break };
            number = message.sequence + 1;
            letters.push(describe(&message));
        }
        Ok(letters)
    }

    /// One letter. `None`: there is no such letter.
    ///
    /// # Errors
    /// When NATS is away.
    pub async fn find(&self, number: u64) -> anyhow::Result<Option<Opened>> {
        let Some(message) = found(self.stream().await?.get_raw_message(number).await)? else { return Ok(None) };
        let one_line = |values: &[async_nats::HeaderValue]| {
            values.iter().map(async_nats::HeaderValue::as_str).collect::<Vec<_>>().join(", ")
        };
        let mut headers: Vec<_> =
            message.headers.iter().map(|(name, values)| (name.to_string(), one_line(values))).collect();
        headers.sort_unstable();
        Ok(Some(Opened { letter: describe(&message), headers, fields: fields::list(&message.payload) }))
    }

    /// How many there are.
    ///
    /// # Errors
    /// When NATS is away.
    pub async fn count(&self) -> anyhow::Result<u64> {
        Ok(self.stream().await?.cached_info().state.messages)
    }

    /// The oldest letters of one consumer after a number, with their content, at most `limit`.
    ///
    /// # Errors
    /// When NATS is away.
    pub async fn read(&self, consumer: Consumer, after: u64, limit: usize) -> anyhow::Result<Vec<Buried>> {
        let stream = self.stream().await?;
        let subject = self.bus.subject(&format!("{DEAD_LETTER_PREFIX}.{}", consumer.name));
        let (mut letters, mut number) = (Vec::new(), after + 1);
        while letters.len() < limit {
            let Some(message) = found(stream.get_first_raw_message_by_subject(&subject, number).await)? else { break };
            number = message.sequence + 1;
            letters.push(Buried { number: message.sequence, payload: message.payload });
        }
        Ok(letters)
    }

    /// Puts a dead letter back to where it was published, and removes it. Consumers that did digest it
    /// know it by its id. Returns false when there is no such letter.
    ///
    /// # Errors
    /// When NATS is away.
    pub async fn replay(&self, number: u64) -> anyhow::Result<bool> {
        let stream = self.stream().await?;
        let Some(message) = found(stream.get_raw_message(number).await)? else { return Ok(false) };
        let subject = text(&message.headers, SUBJECT);
        // The same letter put back twice is stored once.
        let replay_id = format!("replay-{number}-{}", text(&message.headers, TIME));
        let headers = envelope::for_replay(&message.headers, &replay_id);
        self.bus.jetstream().publish_with_headers(subject, headers, message.payload).await?.await?;
        stream.delete_message(number).await?;
        Ok(true)
    }

    /// Removes a dead letter for good. Returns false when there is no such letter.
    ///
    /// # Errors
    /// When NATS is away.
    pub async fn remove(&self, number: u64) -> anyhow::Result<bool> {
        let stream = self.stream().await?;
        if found(stream.get_raw_message(number).await)?.is_none() {
            return Ok(false);
        }
        match stream.delete_message(number).await {
            // Somebody else was faster.
            Err(_) if found(stream.get_raw_message(number).await)?.is_none() => Ok(false),
            removed => Ok(removed?),
        }
    }
}

/// Keeps the gauge of letters that wait up to date, for an alert. While NATS is away it stays as it was.
pub(crate) async fn keep_count(bus: Bus) {
    bus.declared().await;
    let letters = DeadLetters::new(bus);
    loop {
        if let Ok(count) = letters.count().await {
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
            metrics::gauge!("bus_dead_letters_waiting").set(count as f64);
        }
        tokio::time::sleep(COUNT_AGAIN).await;
    }
}

fn found(answer: Result<StreamMessage, RawMessageError>) -> anyhow::Result<Option<StreamMessage>> {
    match answer {
        Ok(message) => Ok(Some(message)),
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn describe(message: &StreamMessage) -> DeadLetter {
    DeadLetter {
        number: message.sequence,
        consumer: text(&message.headers, CONSUMER),
        subject: text(&message.headers, SUBJECT),
        event_id: envelope::event_id(Some(&message.headers)).unwrap_or_default().to_owned(),
        reason: text(&message.headers, REASON),
        at: text(&message.headers, TIME),
        bytes: message.payload.len(),
    }
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).map(|value| value.as_str().to_owned()).unwrap_or_default()
}
