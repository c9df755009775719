//! Accepting a send (rules 7, 9, 10, 12, 17): one call is one transaction. What is accepted is queued in the same
//! transaction, so it is never lost; the same `Idempotency-Key` sends nothing new.

use std::collections::{BTreeSet, HashMap};

use bus::outbox;
use chassis::Fault;
use chrono::{DateTime, Utc};
use domain::{
    Batch, Conversation, Direction, Id, LicenseId, ManagerId, MessageBody, MessageStatus, PersonId, PersonName,
    PhoneNumber, count_segments,
};
use prost::Message as _;
use proto::conversations as wire;
use proto::to_timestamp;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use url::Url;
use uuid::Uuid;

use super::{Context, parse_license_id};
use crate::error;
use crate::model::{Homes, Recipient, Rejection, ResolvedRecipients, decide_numbers};
use crate::store::idempotency::{self, Answer, Key};
use crate::store::licenses::{self, Subject};
use crate::store::messages::{self, NewMessage};
use crate::store::{StoreError, Tx, conversations, people};

const MAX_RECIPIENTS: usize = 10_000;
/// Carriers take at most ten.
const MAX_MEDIA: usize = 10;
const MAX_MEDIA_URL: usize = 2_000;
const MAX_KEY: usize = 200;
/// Messages that are shown of a conversation that has moved on.
const MAX_UNSEEN: i64 = 20;
/// Conversations of one batch of which they are shown.
const MAX_MOVED_ON: usize = 20;

/// A send with its parts read.
struct Send {
    license_id: LicenseId,
    manager_id: ManagerId,
    manager_name: PersonName,
    /// Empty: none.
    key: String,
    request_hash: Vec<u8>,
    recipients: Vec<Recipient>,
    body: MessageBody,
    media_urls: Vec<String>,
    /// The newest feed position that the manager has seen.
    last_seen: Option<i64>,
}

pub(super) async fn send_messages(
    context: &Context,
    request: wire::SendMessagesRequest,
) -> Result<wire::SendMessagesResponse, Fault> {
    let send = parse(request)?;
    let now = context.clock.now();
    let mut tx = context.begin().await?;
    // From here on this license is ours: a request with the same key has ended, or waits.
    let mut locked = licenses::lock(&mut tx, [send.license_id.clone()]).await?;
    if let Some(answer) = find_answer(&mut tx, &send).await? {
        metrics::counter!("conversations_repeated_sends_total").increment(1);
        return first_answer(&mut tx, &send, answer).await;
    }

    let (resolved, mut homes) = resolve(&mut tx, &send).await?;
    let (numbers, rejected) = decide_numbers(&send.license_id, &send.recipients, &resolved, &homes, send.last_seen);
    let batch_id: Option<Id<Batch>> = (send.recipients.len() > 1).then(Id::new);
    let segments = count_segments(send.body.as_str()).segments;
    let mut new = Vec::with_capacity(numbers.len());
    for number in numbers {
        // Decided above: somebody is tied to the number.
        let Some(conversation_id) = homes.settle(&send.license_id, number, now) else { continue };
        new.push(NewMessage {
            license_id: send.license_id.clone(),
            message_id: Id::new(),
            conversation_id,
            direction: Direction::Outbound,
            body: send.body.as_str().to_owned(),
            media: send
                .media_urls
                .iter()
                .map(|url| wire::Media { url: url.clone(), content_type: String::new() })
                .collect(),
            from: None,
            to: number,
            manager: Some((send.manager_id.clone(), send.manager_name.as_str().to_owned())),
            batch_id,
            status: MessageStatus::Queued,
            segments: i32::try_from(segments).unwrap_or(i32::MAX),
            carrier: None,
            carrier_message_id: None,
            created_at: now,
        });
    }

    conversations::record_changes(&mut tx, &homes.changes, now).await?;
    if !new.is_empty() {
        messages::record_new(&mut tx, &new).await?;
    }
    let priority = if batch_id.is_some() { wire::Priority::Batch } else { wire::Priority::Reply };
    let queued: Vec<wire::MessageQueued> = new.iter().map(|message| queued(message, priority, now)).collect();
    outbox::record(&mut tx, &queued, now).await.map_err(StoreError::from)?;
    for (license_id, conversation_id) in homes.changes.touched() {
        locked.record(&license_id, Subject::ConversationUpdated(conversation_id), now);
    }
    if !new.is_empty() {
        let seqs = locked.record_messages(&new);
        conversations::record_activity(&mut tx, &new, &seqs).await?;
    }
    let ranges = locked.write(&mut tx).await?;
    let answer = Answer {
        request_hash: send.request_hash.clone(),
        batch_id: batch_id.map(Id::uuid),
        message_ids: new.iter().map(|message| message.message_id.uuid()).collect(),
        rejected,
    };
    // A send that was refused whole is not remembered: the caller mends it and comes again with the same key.
    if !send.key.is_empty() && !new.is_empty() {
        idempotency::record(&mut tx, key(&send), &answer, now).await?;
    }
    tx.commit().await.map_err(StoreError::from)?;
    context.relay.hint();
    context.pusher.push(ranges);
    let unseen = if answer.rejected.iter().any(|rejection| rejection.moved_on.is_some()) {
        // Only now, when the license is free for others again.
        load_unseen(&mut *context.connection().await?, &send, &answer).await?
    } else {
        Unseen::new()
    };
    Ok(respond(new.into_iter().map(as_accepted).collect(), answer, &unseen))
}

fn parse(request: wire::SendMessagesRequest) -> Result<Send, Fault> {
    let request_hash = hash(&request);
    let license_id = parse_license_id(&request.license_id)?;
    let manager = request.manager.unwrap_or_default();
    let manager_id = ManagerId::parse(manager.id).map_err(|invalid| error::invalid_id("sub", &invalid))?;
    let manager_name = PersonName::parse(&manager.name)
        .map_err(|invalid| Fault::invalid("name", invalid.code(), format!("{invalid}.")))?;
    let key = request.idempotency_key;
    if key.len() > MAX_KEY || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        let detail = format!("An idempotency key has at most {MAX_KEY} visible ASCII characters.");
        return Err(Fault::invalid("Idempotency-Key", "invalid_idempotency_key", detail));
    }
    let body = MessageBody::parse(request.body)
        .map_err(|invalid| Fault::invalid("body", invalid.code(), format!("{invalid}.")))?;
    if !(1..=MAX_RECIPIENTS).contains(&request.recipients.len()) {
        return Err(error::out_of_range("recipients", 1, MAX_RECIPIENTS as u64));
    }
    let recipients = request.recipients.into_iter().enumerate().map(|(index, each)| parse_recipient(index, each));
    Ok(Send {
        license_id,
        manager_id,
        manager_name,
        key,
        request_hash,
        recipients: recipients.collect::<Result<_, _>>()?,
        body,
        media_urls: parse_media(request.media_urls)?,
        last_seen: request.last_seen_seq.map(|seq| i64::try_from(seq).unwrap_or(i64::MAX)),
    })
}

fn parse_recipient(index: usize, recipient: wire::Recipient) -> Result<Recipient, Fault> {
    match recipient.to {
        Some(wire::recipient::To::PersonId(id)) => PersonId::parse(id)
            .map(Recipient::PersonId)
            .map_err(|invalid| error::invalid_id(&format!("recipients[{index}].person_id"), &invalid)),
        Some(wire::recipient::To::ConversationId(id)) => {
            Ok(id.parse().map_or(Recipient::UnknownConversation(id), Recipient::ConversationId))
        }
        None => Err(Fault::invalid(
            format!("recipients[{index}]"),
            "missing_field",
            "A recipient is named by `person_id` or by `conversation_id`.",
        )),
    }
}

fn parse_media(urls: Vec<String>) -> Result<Vec<String>, Fault> {
    if urls.len() > MAX_MEDIA {
        return Err(Fault::invalid("media_urls", "too_many", format!("A message carries at most {MAX_MEDIA} media.")));
    }
    for (index, text) in urls.iter().enumerate() {
        // The parser reads over some control characters; what is stored and sent is the text itself.
        let fine = text.len() <= MAX_MEDIA_URL
            && !text.contains(char::is_control)
            && Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.has_host());
        if !fine {
            let detail = format!("Give an http or https address of at most {MAX_MEDIA_URL} characters.");
            return Err(Fault::invalid(format!("media_urls[{index}]"), "invalid_url", detail));
        }
    }
    Ok(urls)
}

/// The same request has the same hash, whoever carries it, under whichever name of the day, and whatever he has seen
/// meanwhile.
fn hash(request: &wire::SendMessagesRequest) -> Vec<u8> {
    let compared = wire::SendMessagesRequest {
        recipients: request.recipients.clone(),
        body: request.body.clone(),
        media_urls: request.media_urls.clone(),
        ..Default::default()
    };
    Sha256::digest(compared.encode_to_vec()).to_vec()
}

fn key(send: &Send) -> Key<'_> {
    Key { license_id: &send.license_id, manager_id: &send.manager_id, chosen: &send.key }
}

async fn find_answer(tx: &mut Tx<'_>, send: &Send) -> Result<Option<Answer>, Fault> {
    if send.key.is_empty() {
        return Ok(None);
    }
    match idempotency::find(tx, key(send)).await? {
        Some(answer) if answer.request_hash != send.request_hash => Err(error::idempotency_key_reused()),
        answer => Ok(answer),
    }
}

/// Reads what decides about the recipients, with one statement per table.
async fn resolve(tx: &mut Tx<'_>, send: &Send) -> Result<(ResolvedRecipients, Homes), Fault> {
    let mut person_ids = Vec::new();
    let mut conversation_ids = Vec::new();
    for recipient in &send.recipients {
        match recipient {
            Recipient::PersonId(id) => person_ids.push(id.to_string()),
            Recipient::ConversationId(id) => conversation_ids.push(id.uuid()),
            Recipient::UnknownConversation(_) => {}
        }
    }
    let resolved = ResolvedRecipients {
        people: people::list_preferred_numbers(tx, &send.license_id, &person_ids).await?,
        conversations: conversations::list_numbers(tx, &send.license_id, &conversation_ids).await?,
    };
    let numbers: BTreeSet<(LicenseId, PhoneNumber)> = resolved
        .people
        .values()
        .flatten()
        .chain(resolved.conversations.values())
        .map(|number| (send.license_id.clone(), *number))
        .collect();
    let homes = conversations::load_homes(tx, &numbers).await?;
    Ok((resolved, homes))
}

fn queued(message: &NewMessage, priority: wire::Priority, now: DateTime<Utc>) -> wire::MessageQueued {
    wire::MessageQueued {
        license_id: message.license_id.to_string(),
        message_id: message.message_id.to_string(),
        conversation_id: message.conversation_id.to_string(),
        to: message.to.as_str().to_owned(),
        body: message.body.clone(),
        media_urls: message.media.iter().map(|media| media.url.clone()).collect(),
        segments: u32::try_from(message.segments).unwrap_or_default(),
        priority: priority.into(),
        queued_at: Some(to_timestamp(now)),
    }
}

/// The first answer once more: the messages as they were when they were accepted.
async fn first_answer(tx: &mut Tx<'_>, send: &Send, answer: Answer) -> Result<wire::SendMessagesResponse, Fault> {
    let wanted: Vec<(LicenseId, Uuid)> = answer.message_ids.iter().map(|id| (send.license_id.clone(), *id)).collect();
    let mut found = messages::load(tx, &wanted).await?;
    let messages = answer.message_ids.iter().filter_map(|id| found.remove(id)).map(|message| wire::Message {
        status: MessageStatus::Queued.to_string(),
        from: String::new(),
        error: None,
        segments: count_segments(&message.body).segments,
        sent_at: None,
        delivered_at: None,
        carrier: None,
        carrier_message_id: None,
        ..message
    });
    let messages = messages.collect();
    let unseen = load_unseen(tx, send, &answer).await?;
    Ok(respond(messages, answer, &unseen))
}

fn as_accepted(message: NewMessage) -> wire::Message {
    wire::Message {
        license_id: message.license_id.to_string(),
        message_id: message.message_id.to_string(),
        conversation_id: message.conversation_id.to_string(),
        direction: message.direction.to_string(),
        body: message.body,
        media: message.media,
        from: String::new(),
        to: message.to.as_str().to_owned(),
        manager: message.manager.map(|(id, name)| wire::Manager { id: id.to_string(), name }),
        status: message.status.to_string(),
        error: None,
        segments: u32::try_from(message.segments).unwrap_or_default(),
        created_at: Some(to_timestamp(message.created_at)),
        sent_at: None,
        delivered_at: None,
        batch_id: message.batch_id.map(|id| id.to_string()),
        carrier: None,
        carrier_message_id: None,
    }
}

/// What the manager has not seen of conversations that have moved on.
type Unseen = HashMap<Id<Conversation>, Vec<wire::Message>>;

async fn load_unseen(db: &mut PgConnection, send: &Send, answer: &Answer) -> Result<Unseen, Fault> {
    let mut unseen = Unseen::new();
    for conversation_id in answer.rejected.iter().filter_map(|rejection| rejection.moved_on).take(MAX_MOVED_ON) {
        let seq = send.last_seen.unwrap_or_default();
        let ids = messages::list_ids_after_seq(db, &send.license_id, conversation_id, seq, MAX_UNSEEN).await?;
        let wanted: Vec<(LicenseId, Uuid)> = ids.iter().map(|id| (send.license_id.clone(), *id)).collect();
        let mut found = messages::load(db, &wanted).await?;
        unseen.insert(conversation_id, ids.iter().filter_map(|id| found.remove(id)).collect());
    }
    Ok(unseen)
}

fn respond(messages: Vec<wire::Message>, answer: Answer, unseen: &Unseen) -> wire::SendMessagesResponse {
    let rejected = answer.rejected.into_iter().map(|each| {
        let unseen = each.moved_on.and_then(|id| unseen.get(&id)).cloned().unwrap_or_default();
        rejection(each, unseen)
    });
    wire::SendMessagesResponse {
        batch_id: answer.batch_id.map(|id| id.to_string()),
        rejected: rejected.collect(),
        messages,
    }
}

fn rejection(rejection: Rejection, unseen: Vec<wire::Message>) -> wire::Rejection {
    let to = match rejection.recipient {
        Recipient::PersonId(id) => wire::recipient::To::PersonId(id.to_string()),
        Recipient::ConversationId(id) => wire::recipient::To::ConversationId(id.to_string()),
        Recipient::UnknownConversation(id) => wire::recipient::To::ConversationId(id),
    };
    wire::Rejection {
        recipient: Some(wire::Recipient { to: Some(to) }),
        code: rejection.code,
        detail: rejection.detail,
        unseen,
    }
}
