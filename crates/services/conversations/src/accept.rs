//! Accepting a send (rules 7, 9, 10, 12, 17): who gets what, and writing that down in the transaction that decided it.
//! What is accepted is queued in the same transaction, so it is never lost.
//!
//! A request of now, a preview and a scheduled send whose time has come are decided here in the same way. Answers and
//! idempotency are the callers' business.

use std::collections::BTreeSet;

use bus::outbox;
use chrono::{DateTime, Utc};
use domain::{Batch, Direction, Id, LicenseId, Message, MessageStatus, PhoneNumber};
use proto::conversations as wire;
use proto::to_timestamp;

use crate::model::{
    AcceptedRecipient, Homes, Recipient, Rejection, ResolvedRecipients, Sending, Wording, decide_recipients,
};
use crate::store::batches::{self, NewBatch};
use crate::store::licenses::{self, Locked, Subject};
use crate::store::messages::{self, NewMessage};
use crate::store::{StoreError, Tx, conversations, links, people};

/// Why nothing could be decided.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AcceptError {
    /// Until `numbers` tells of the company.
    #[error("the text names the company, whose name is not known")]
    CompanyNameUnknown,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was decided about the recipients of a send.
#[derive(Debug)]
pub(crate) struct Decided {
    /// In the order of the recipients.
    pub accepted: Vec<AcceptedRecipient>,
    /// In the order of the recipients.
    pub rejected: Vec<Rejection>,
    pub homes: Homes,
}

/// What was written.
#[derive(Debug)]
pub(crate) struct Accepted {
    /// Set when more than one recipient was named and one of them gets a message.
    pub batch_id: Option<Id<Batch>>,
    /// In the order of the recipients.
    pub messages: Vec<NewMessage>,
    pub rejected: Vec<Rejection>,
}

/// Decides from what is known in this transaction. Writes nothing.
pub(crate) async fn decide(tx: &mut Tx<'_>, sending: &Sending) -> Result<Decided, AcceptError> {
    let company = if sending.text.names_company() {
        let known = licenses::find_company_name(tx, &sending.license_id).await?;
        known.ok_or(AcceptError::CompanyNameUnknown)?
    } else {
        String::new()
    };
    let (resolved, homes) = resolve(tx, sending).await?;
    let wording = Wording { text: &sending.text, company: &company };
    let (accepted, rejected) =
        decide_recipients(&sending.license_id, &sending.recipients, &resolved, &homes, sending.last_seen, wording);
    Ok(Decided { accepted, rejected, homes })
}

/// Reads what decides about the recipients, with one statement per table.
async fn resolve(tx: &mut Tx<'_>, sending: &Sending) -> Result<(ResolvedRecipients, Homes), StoreError> {
    let mut person_ids = Vec::new();
    let mut conversation_ids = Vec::new();
    for recipient in &sending.recipients {
        match recipient {
            Recipient::PersonId(id) => person_ids.push(id.to_string()),
            Recipient::ConversationId(id) => conversation_ids.push(id.uuid()),
            Recipient::UnknownConversation(_) => {}
        }
    }
    let resolved = ResolvedRecipients {
        people: people::list_preferred_numbers(tx, &sending.license_id, &person_ids).await?,
        conversations: conversations::list_numbers(tx, &sending.license_id, &conversation_ids).await?,
    };
    let numbers: BTreeSet<(LicenseId, PhoneNumber)> = resolved
        .people
        .values()
        .flatten()
        .chain(resolved.conversations.values())
        .map(|number| (sending.license_id.clone(), *number))
        .collect();
    let homes = conversations::load_homes(tx, &numbers).await?;
    Ok((resolved, homes))
}

/// Writes what was decided: messages, what is to be sent, and what clients see of it. The license has been locked since
/// before the decision. The caller writes the feed and commits.
pub(crate) async fn record(
    tx: &mut Tx<'_>,
    locked: &mut Locked,
    sending: &Sending,
    decided: Decided,
    now: DateTime<Utc>,
) -> Result<Accepted, StoreError> {
    let Decided { accepted, rejected, mut homes } = decided;
    // What was refused whole is no batch: nothing remains of it.
    let batch_id: Option<Id<Batch>> = (sending.recipients.len() > 1 && !accepted.is_empty()).then(Id::new);
    let mut messages = Vec::with_capacity(accepted.len());
    for AcceptedRecipient { number, filled, .. } in accepted {
        // Decided above: somebody is tied to the number.
        let Some(conversation_id) = homes.settle(&sending.license_id, number, now) else { continue };
        messages.push(NewMessage {
            license_id: sending.license_id.clone(),
            message_id: Id::new(),
            conversation_id,
            direction: Direction::Outbound,
            body: filled.body.as_str().to_owned(),
            media: sending
                .media_urls
                .iter()
                .map(|url| wire::Media { url: url.clone(), ..Default::default() })
                .collect(),
            from: None,
            to: number,
            manager: Some((sending.manager_id.clone(), sending.manager_name.as_str().to_owned())),
            batch_id,
            status: MessageStatus::Queued,
            segments: i32::try_from(filled.segments).unwrap_or(i32::MAX),
            carrier: None,
            carrier_message_id: None,
            created_at: now,
        });
    }
    conversations::record_changes(tx, &homes.changes, now).await?;
    if !messages.is_empty() {
        messages::record_new(tx, &messages).await?;
    }
    let priority = if batch_id.is_some() { wire::Priority::Batch } else { wire::Priority::Reply };
    let queued: Vec<wire::MessageQueued> = messages
        .iter()
        .map(|message| {
            let before = homes.find_followed(&message.license_id, message.to, now).filter(|_| message.is_reply());
            queued(message, priority, before, now)
        })
        .collect();
    outbox::record(tx, &queued, now).await.map_err(StoreError::from)?;
    let mut touched = homes.changes.touched();
    touched.append(&mut links::follow_changes(tx, &homes.changes, now).await?);
    for (license_id, conversation_id) in touched {
        locked.record(&license_id, Subject::ConversationUpdated(conversation_id), now);
    }
    if !messages.is_empty() {
        let seqs = locked.record_messages(&messages);
        conversations::record_activity(tx, &messages, &seqs).await?;
    }
    if let Some(batch_id) = batch_id {
        let batch = NewBatch { batch_id, sending, rejected: rejected.len(), messages: messages.len() };
        batches::record_new(tx, &batch, now).await?;
        locked.record(&sending.license_id, Subject::BatchUpdated(batch_id), now);
    }
    Ok(Accepted { batch_id, messages, rejected })
}

fn queued(
    message: &NewMessage,
    priority: wire::Priority,
    follows: Option<Id<Message>>,
    now: DateTime<Utc>,
) -> wire::MessageQueued {
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
        batch_id: message.batch_id.map(|id| id.to_string()),
        follows: follows.map(|id| id.to_string()),
    }
}
