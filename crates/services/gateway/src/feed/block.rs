//! Writes an entry as a block of server-sent events, once for all clients.
//!
//! An entry without content, because what it referred to is gone (rule 11), becomes a block with only an `id:`: the
//! position moves on and a browser shows nothing. So does one that is for a single manager, with all others.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use proto::conversations::feed_entry::Content;
use proto::conversations::{CompanyUpdated, FeedEntry, NumberChanged, UnmatchedUpdated};
use proto::from_timestamp;
use serde::Serialize;

use crate::views::{
    Batch, BrokenAnswer, Call, Conversation, ConversationEvent, DeletionReceipt, Message, Person, ReadState,
    ScheduledSend,
};

/// Shows proxies and clients that the stream lives.
pub(super) const HEARTBEAT: Bytes = Bytes::from_static(b":\n\n");

#[derive(Serialize)]
#[serde(untagged)]
enum Data {
    Message(Message),
    Conversation(Box<Conversation>),
    Person(Person),
    Number { number: String, carrier: String, assigned_at: DateTime<Utc> },
    Company { company_name: String, company_phone: Option<String> },
    Call(Call),
    Event(ConversationEvent),
    Read(ReadState),
    Deleted(DeletionReceipt),
    Batch(Batch),
    Scheduled(Box<ScheduledSend>),
    Unmatched { messages: u32 },
}

/// The block of an entry. An entry that breaks its contract still moves the position: waiting for it would stop
/// everything that comes after it.
pub(super) fn of_entry(entry: FeedEntry) -> Bytes {
    let seq = entry.seq;
    let Some(content) = entry.content else {
        return of_position(seq);
    };
    match show(content) {
        Ok((event, data)) => write(seq, event, &data),
        Err(error) => {
            metrics::counter!("gateway_feed_broken_entries_total").increment(1);
            tracing::error!(license_id = entry.license_id, seq, %error, "a feed entry cannot be shown");
            of_position(seq)
        }
    }
}

/// The manager whom alone an entry is for. None: it is for all.
pub(super) fn find_addressee(entry: &FeedEntry) -> Option<Arc<str>> {
    match &entry.content {
        Some(Content::ReadUpdated(read)) => Some(read.manager_id.as_str().into()),
        _ => None,
    }
}

/// Only a position: a client that reconnects goes on after it.
pub(super) fn of_position(seq: u64) -> Bytes {
    format!("id: {seq}\n\n").into()
}

/// The client's position is of no use: it starts over at `head`.
pub(super) fn of_reset(head: u64) -> Bytes {
    format!("id: {head}\nevent: reset\ndata: {{\"head\":{head}}}\n\n").into()
}

fn show(content: Content) -> Result<(&'static str, Data), BrokenAnswer> {
    Ok(match content {
        Content::MessageCreated(message) => ("message.created", Data::Message(message.try_into()?)),
        Content::MessageUpdated(message) => ("message.updated", Data::Message(message.try_into()?)),
        Content::ConversationUpdated(conversation) => {
            // Written for all managers; what each has not read is no part of it.
            let mut conversation = Conversation::try_from(conversation)?;
            conversation.unread = None;
            ("conversation.updated", Data::Conversation(Box::new(conversation)))
        }
        Content::PersonUpdated(person) => ("person.updated", Data::Person(person.into())),
        Content::NumberChanged(NumberChanged { number, carrier, assigned_at }) => {
            let assigned_at = from_timestamp(assigned_at).map_err(|_| BrokenAnswer("assigned_at"))?;
            ("number.changed", Data::Number { number, carrier, assigned_at })
        }
        Content::CompanyUpdated(CompanyUpdated { company_name, company_phone }) => {
            ("company.updated", Data::Company { company_name, company_phone })
        }
        Content::CallUpdated(call) => ("call.updated", Data::Call(call.try_into()?)),
        Content::ReadUpdated(read) => {
            ("conversation.read", Data::Read(read.state.ok_or(BrokenAnswer("state"))?.into()))
        }
        Content::ConversationEvent(event) => ("conversation.event", Data::Event(event.try_into()?)),
        Content::ConversationDeleted(deleted) => {
            let receipt = deleted.receipt.ok_or(BrokenAnswer("receipt"))?;
            ("conversation.deleted", Data::Deleted(receipt.try_into()?))
        }
        Content::BatchUpdated(batch) => ("batch.updated", Data::Batch(batch.try_into()?)),
        Content::ScheduledUpdated(send) => ("scheduled.updated", Data::Scheduled(Box::new(send.try_into()?))),
        Content::UnmatchedUpdated(UnmatchedUpdated { messages }) => ("unmatched.updated", Data::Unmatched { messages }),
    })
}

fn write(seq: u64, event: &str, data: &Data) -> Bytes {
    // JSON escapes line breaks, so the data is one line whatever a text holds.
    match serde_json::to_string(data) {
        Ok(data) => format!("id: {seq}\nevent: {event}\ndata: {data}\n\n").into(),
        Err(_) => of_position(seq),
    }
}

#[cfg(test)]
mod tests {
    use proto::conversations;
    use proto::to_timestamp;

    use super::*;

    fn entry(content: Option<Content>) -> FeedEntry {
        FeedEntry { license_id: "acme".to_owned(), seq: 7, occurred_at: None, content }
    }

    #[test]
    fn a_text_with_line_breaks_is_still_one_line_of_data() {
        let message = conversations::Message {
            body: "one\ntwo\r\n\n\u{2028}😀".to_owned(),
            created_at: Some(to_timestamp(DateTime::UNIX_EPOCH)),
            ..Default::default()
        };
        let block = of_entry(entry(Some(Content::MessageCreated(message))));
        let block = std::str::from_utf8(&block).unwrap();
        let lines: Vec<_> = block.split('\n').collect();
        let ["id: 7", "event: message.created", data, "", ""] = lines.as_slice() else { panic!("{block}") };
        let data: serde_json::Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(data["body"], "one\ntwo\r\n\n\u{2028}😀");
        assert_eq!(data["from"], serde_json::Value::Null);
    }

    #[test]
    fn a_changed_number_is_shown_with_its_time() {
        let assigned_at = Some(to_timestamp(DateTime::UNIX_EPOCH));
        let number = NumberChanged { number: "+12125550100".to_owned(), carrier: "twilio".to_owned(), assigned_at };
        let expected = "id: 7\nevent: number.changed\ndata: \
            {\"number\":\"+12125550100\",\"carrier\":\"twilio\",\"assigned_at\":\"1970-01-01T00:00:00Z\"}\n\n";
        assert_eq!(of_entry(entry(Some(Content::NumberChanged(number)))), expected);
    }

    #[test]
    fn a_changed_company_and_a_call_are_shown() {
        let company_name = "Acme \"Homes\"".to_owned();
        let company = CompanyUpdated { company_name, company_phone: None };
        let expected = "id: 7\nevent: company.updated\ndata: \
            {\"company_name\":\"Acme \\\"Homes\\\"\",\"company_phone\":null}\n\n";
        assert_eq!(of_entry(entry(Some(Content::CompanyUpdated(company)))), expected);

        let started_at = Some(to_timestamp(DateTime::UNIX_EPOCH));
        let call = conversations::Call { call_id: "c".to_owned(), started_at, ..Default::default() };
        let block = of_entry(entry(Some(Content::CallUpdated(call))));
        let data = block.strip_prefix(b"id: 7\nevent: call.updated\ndata: ").unwrap();
        let data: serde_json::Value = serde_json::from_slice(data).unwrap();
        assert_eq!((&data["call_id"], &data["result"]), (&"c".into(), &serde_json::Value::Null));
    }

    #[test]
    fn an_entry_whose_content_is_gone_or_broken_only_moves_the_position() {
        assert_eq!(of_entry(entry(None)), "id: 7\n\n");
        let timeless = conversations::Message::default();
        assert_eq!(of_entry(entry(Some(Content::MessageUpdated(timeless)))), "id: 7\n\n");
    }
}
