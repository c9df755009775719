//! Sending (rules 7, 9, 10, 12, 17): one call is one transaction. What is accepted is queued in it, or kept for later with
//! `send_at`; the same `Idempotency-Key` sends nothing new.

use chassis::Fault;
use chrono::{DateTime, Utc};
use domain::{Id, LicenseId, MessageStatus, count_segments};
use proto::conversations as wire;
use uuid::Uuid;

use super::Context;
use super::send_answer::{Unseen, as_accepted, load_unseen, show_rejections};
use super::send_request::{SendRequest, check_send_at};
use crate::accept::{self, Accepted};
use crate::error;
use crate::store::idempotency::{self, Answer};
use crate::store::licenses::{self, Locked, Subject};
use crate::store::scheduled::{self, NewScheduled};
use crate::store::{StoreError, Tx, messages};

pub(super) async fn send_messages(
    context: &Context,
    request: wire::SendMessagesRequest,
) -> Result<wire::SendMessagesResponse, Fault> {
    let request = SendRequest::parse(request)?;
    let now = context.clock.now();
    let mut tx = context.begin().await?;
    // From here on this license is ours: a request with the same key has ended, or waits.
    let mut locked = licenses::lock(&mut tx, [request.sending.license_id.clone()]).await?;
    if let Some(answer) = find_answer(&mut tx, &request).await? {
        metrics::counter!("conversations_repeated_sends_total").increment(1);
        return first_answer(&mut tx, &request, answer).await;
    }
    if let Some(send_at) = request.send_at {
        return schedule(context, tx, locked, &request, send_at, now).await;
    }

    let decided = accept::decide(&mut tx, &request.sending).await?;
    let accepted = accept::record(&mut tx, &mut locked, &request.sending, decided, now).await?;
    let Accepted { batch_id, messages, rejected } = accepted;
    let ranges = locked.write(&mut tx).await?;
    let answer = Answer {
        request_hash: request.hash.clone(),
        batch_id: batch_id.map(Id::uuid),
        message_ids: messages.iter().map(|message| message.message_id.uuid()).collect(),
        scheduled_id: None,
        rejected,
    };
    // A send that was refused whole is not remembered: the caller mends it and comes again with the same key.
    if !request.key.is_empty() && !messages.is_empty() {
        idempotency::record(&mut tx, request.key(), &answer, now).await?;
    }
    tx.commit().await.map_err(StoreError::from)?;
    context.relay.hint();
    context.pusher.push(ranges);
    let unseen = unseen_of(context, &request, &answer).await?;
    Ok(wire::SendMessagesResponse {
        batch_id: answer.batch_id.map(|id| id.to_string()),
        messages: messages.into_iter().map(as_accepted).collect(),
        rejected: show_rejections(answer.rejected, &unseen),
        scheduled: None,
    })
}

/// Keeps a send for its time. Recipients who could not get it now are rejected now; the others are looked at again then.
async fn schedule(
    context: &Context,
    mut tx: Tx<'static>,
    mut locked: Locked,
    request: &SendRequest,
    send_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<wire::SendMessagesResponse, Fault> {
    check_send_at(send_at, now)?;
    let sending = &request.sending;
    let decided = accept::decide(&mut tx, sending).await?;
    let mut answer = Answer {
        request_hash: request.hash.clone(),
        batch_id: None,
        message_ids: Vec::new(),
        scheduled_id: None,
        rejected: decided.rejected,
    };
    let mut scheduled = None;
    if decided.accepted.is_empty() {
        tx.rollback().await.map_err(StoreError::from)?;
    } else {
        let id = Id::new();
        let new = NewScheduled { id, sending, accepted: &decided.accepted, send_at, created_at: now };
        scheduled::record_new(&mut tx, &new).await?;
        locked.record(&sending.license_id, Subject::ScheduledUpdated(id), now);
        let ranges = locked.write(&mut tx).await?;
        answer.scheduled_id = Some(id.uuid());
        if !request.key.is_empty() {
            idempotency::record(&mut tx, request.key(), &answer, now).await?;
        }
        scheduled = scheduled::find_whole(&mut tx, &sending.license_id, id.uuid()).await?;
        tx.commit().await.map_err(StoreError::from)?;
        context.pusher.push(ranges);
    }
    let unseen = unseen_of(context, request, &answer).await?;
    let rejected = show_rejections(answer.rejected, &unseen);
    Ok(wire::SendMessagesResponse { batch_id: None, messages: Vec::new(), rejected, scheduled })
}

/// Only after the commit, when the license is free for others again.
async fn unseen_of(context: &Context, request: &SendRequest, answer: &Answer) -> Result<Unseen, Fault> {
    if answer.rejected.iter().any(|rejection| rejection.moved_on.is_some()) {
        load_unseen(&mut *context.connection().await?, &request.sending, &answer.rejected).await
    } else {
        Ok(Unseen::new())
    }
}

async fn find_answer(tx: &mut Tx<'_>, request: &SendRequest) -> Result<Option<Answer>, Fault> {
    if request.key.is_empty() {
        return Ok(None);
    }
    match idempotency::find(tx, request.key()).await? {
        Some(answer) if answer.request_hash != request.hash => Err(error::idempotency_key_reused()),
        answer => Ok(answer),
    }
}

/// The first answer once more: the messages as they were when they were accepted, a scheduled send as it is.
async fn first_answer(
    tx: &mut Tx<'_>,
    request: &SendRequest,
    answer: Answer,
) -> Result<wire::SendMessagesResponse, Fault> {
    let license_id = &request.sending.license_id;
    let wanted: Vec<(LicenseId, Uuid)> = answer.message_ids.iter().map(|id| (license_id.clone(), *id)).collect();
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
    let scheduled = match answer.scheduled_id {
        Some(id) => scheduled::find_whole(tx, license_id, id).await?,
        None => None,
    };
    let unseen = load_unseen(tx, &request.sending, &answer.rejected).await?;
    Ok(wire::SendMessagesResponse {
        batch_id: answer.batch_id.map(|id| id.to_string()),
        messages,
        rejected: show_rejections(answer.rejected, &unseen),
        scheduled,
    })
}
