//! Every event, every stream, every consumer and every bucket, on one page.
//!
//! `libs/bus` declares all of it at start, before anything is published, because a stream with interest
//! retention drops what is published before a consumer exists. A subject reads `<service>.<thing>.<past participle>.v1`.

use crate::{conversations, dispatch, ingest, numbers};

/// A fact that one service publishes: a bare protobuf message on one subject.
pub trait Event: prost::Message + Default + 'static {
    /// Where it is published, without the namespace.
    const SUBJECT: &'static str;

    /// The id of what the event tells of, when that is a uuid and is told once: it is the event's own id then, and who
    /// knows the thing finds its event. `None`: the event gets an id of its own.
    fn event_id(&self) -> Option<&str> {
        None
    }
}

impl Event for numbers::NumberAssigned {
    const SUBJECT: &'static str = "numbers.number.assigned.v1";
}
impl Event for numbers::CompanyChanged {
    const SUBJECT: &'static str = "numbers.company.changed.v1";
}
impl Event for numbers::SendingChanged {
    const SUBJECT: &'static str = "numbers.sending.changed.v1";
}
impl Event for conversations::MessageQueued {
    const SUBJECT: &'static str = "conversations.message.queued.v1";

    /// A message is queued once.
    fn event_id(&self) -> Option<&str> {
        Some(&self.message_id)
    }
}
impl Event for conversations::SendingWithdrawn {
    const SUBJECT: &'static str = "conversations.sending.withdrawn.v1";
}
impl Event for dispatch::MessageProgressed {
    const SUBJECT: &'static str = "dispatch.message.progressed.v1";
}
impl Event for ingest::MessageReceived {
    const SUBJECT: &'static str = "ingest.message.received.v1";
}
impl Event for ingest::ReceiptReceived {
    const SUBJECT: &'static str = "ingest.receipt.received.v1";
}
impl Event for ingest::CallUpdated {
    const SUBJECT: &'static str = "ingest.call.updated.v1";
}

impl Event for ingest::ReceivingResumed {
    const SUBJECT: &'static str = "ingest.receiving.resumed.v1";
}

/// A state that one service publishes and any process may follow: one value a key, the last one stays.
pub trait Latest: prost::Message + Default + 'static {
    /// The bucket that holds it, without the namespace.
    const BUCKET: &'static str;
}

impl Latest for numbers::Route {
    const BUCKET: &'static str = "ROUTES";
}

/// All buckets.
pub const BUCKETS: &[&str] = &[numbers::Route::BUCKET];

/// How long a stream keeps what is published. Both let go of an event once it has been consumed (rule 11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// One service consumes.
    WorkQueue,
    /// Several services consume; the event goes when the last one has it.
    Interest,
}

/// One stream: all that one service publishes.
#[derive(Debug, Clone, Copy)]
pub struct Stream {
    /// Name of the stream, without the namespace.
    pub name: &'static str,
    /// What it stores.
    pub subjects: &'static str,
    pub retention: Retention,
}

/// One durable consumer: one service's interest in one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Consumer {
    /// Name of the durable, without the namespace. Also the key of the service's inbox.
    pub name: &'static str,
    /// Name of the stream.
    pub stream: &'static str,
    /// Subject of the event.
    pub subject: &'static str,
}

/// All streams of events.
pub const STREAMS: &[Stream] = &[
    Stream { name: "NUMBERS", subjects: "numbers.>", retention: Retention::Interest },
    Stream { name: "CONVERSATIONS", subjects: "conversations.>", retention: Retention::WorkQueue },
    Stream { name: "DISPATCH", subjects: "dispatch.>", retention: Retention::WorkQueue },
    Stream { name: "INGEST", subjects: "ingest.>", retention: Retention::Interest },
];

/// The stream of dead letters: events that a consumer could not digest, kept until a person decides.
pub const DEAD_LETTERS: &str = "DEAD_LETTERS";
/// A dead letter's subject: `dead.<consumer>`.
pub const DEAD_LETTER_PREFIX: &str = "dead";

/// conversations shows and uses the company's name.
pub const CONVERSATIONS_COMPANY_CHANGED: Consumer =
    consumer::<numbers::CompanyChanged>("conversations-company-changed", "NUMBERS");
/// conversations shows who called, and what came of it.
pub const CONVERSATIONS_CALL_UPDATED: Consumer =
    consumer::<ingest::CallUpdated>("conversations-call-updated", "INGEST");
/// conversations learns which number is whose.
pub const CONVERSATIONS_NUMBER_ASSIGNED: Consumer =
    consumer::<numbers::NumberAssigned>("conversations-number-assigned", "NUMBERS");
/// dispatch learns from which number a license sends.
pub const DISPATCH_NUMBER_ASSIGNED: Consumer =
    consumer::<numbers::NumberAssigned>("dispatch-number-assigned", "NUMBERS");
/// dispatch copies what is to be sent into its delivery queue.
pub const DISPATCH_MESSAGE_QUEUED: Consumer =
    consumer::<conversations::MessageQueued>("dispatch-message-queued", "CONVERSATIONS");
/// dispatch stops what is not yet sent.
pub const DISPATCH_SENDING_WITHDRAWN: Consumer =
    consumer::<conversations::SendingWithdrawn>("dispatch-sending-withdrawn", "CONVERSATIONS");
/// conversations shows what became of a message.
pub const CONVERSATIONS_MESSAGE_PROGRESSED: Consumer =
    consumer::<dispatch::MessageProgressed>("conversations-message-progressed", "DISPATCH");
/// conversations shows what people answer.
pub const CONVERSATIONS_MESSAGE_RECEIVED: Consumer =
    consumer::<ingest::MessageReceived>("conversations-message-received", "INGEST");
/// conversations shows what carriers say of a message.
pub const CONVERSATIONS_RECEIPT_RECEIVED: Consumer =
    consumer::<ingest::ReceiptReceived>("conversations-receipt-received", "INGEST");
/// dispatch settles attempts whose outcome it does not know (rule 16).
pub const DISPATCH_RECEIPT_RECEIVED: Consumer =
    consumer::<ingest::ReceiptReceived>("dispatch-receipt-received", "INGEST");

/// dispatch learns how a license sends.
pub const DISPATCH_SENDING_CHANGED: Consumer =
    consumer::<numbers::SendingChanged>("dispatch-sending-changed", "NUMBERS");
/// conversations looks for what it may have missed.
pub const CONVERSATIONS_RECEIVING_RESUMED: Consumer =
    consumer::<ingest::ReceivingResumed>("conversations-receiving-resumed", "INGEST");

/// All consumers.
pub const CONSUMERS: &[Consumer] = &[
    CONVERSATIONS_NUMBER_ASSIGNED,
    DISPATCH_NUMBER_ASSIGNED,
    DISPATCH_MESSAGE_QUEUED,
    DISPATCH_SENDING_WITHDRAWN,
    CONVERSATIONS_MESSAGE_PROGRESSED,
    CONVERSATIONS_MESSAGE_RECEIVED,
    CONVERSATIONS_RECEIPT_RECEIVED,
    DISPATCH_RECEIPT_RECEIVED,
    CONVERSATIONS_COMPANY_CHANGED,
    CONVERSATIONS_CALL_UPDATED,
    DISPATCH_SENDING_CHANGED,
    CONVERSATIONS_RECEIVING_RESUMED,
];

/// Core NATS (not stored): `feed.<license_id>` carries a `FeedPush` after each commit (rule 15).
pub const FEED_SUBJECT_PREFIX: &str = "feed";

const fn consumer<E: Event>(name: &'static str, stream: &'static str) -> Consumer {
    Consumer { name, stream, subject: E::SUBJECT }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_consumer_reads_a_stream_that_stores_its_subject() {
        for consumer in CONSUMERS {
            let stream = STREAMS.iter().find(|stream| stream.name == consumer.stream).unwrap();
            let prefix = stream.subjects.trim_end_matches('>');
            assert!(consumer.subject.starts_with(prefix), "{} does not belong to {}", consumer.subject, stream.name);
        }
    }

    #[test]
    fn durables_have_names_of_their_own() {
        let names: HashSet<_> = CONSUMERS.iter().map(|consumer| consumer.name).collect();
        assert_eq!(names.len(), CONSUMERS.len());
    }

    #[test]
    fn a_work_queue_has_one_consumer_for_each_subject() {
        for stream in STREAMS.iter().filter(|stream| stream.retention == Retention::WorkQueue) {
            let subjects: Vec<_> = CONSUMERS.iter().filter(|c| c.stream == stream.name).map(|c| c.subject).collect();
            assert_eq!(subjects.iter().collect::<HashSet<_>>().len(), subjects.len(), "{}", stream.name);
        }
    }
}
