//! What a send would do now. Reads one moment of the database and locks nothing: the answer may be old when it arrives.

use chassis::Fault;
use proto::conversations as wire;

use super::Context;
use super::send_answer::{load_unseen, show_rejections};
use super::send_request::{SendRequest, check_send_at};
use crate::accept;
use crate::model::Sending;
use crate::store::{StoreError, wire_recipient};

pub(super) async fn preview_messages(
    context: &Context,
    request: wire::SendMessagesRequest,
) -> Result<wire::PreviewMessagesResponse, Fault> {
    let SendRequest { sending, send_at, .. } = SendRequest::parse(request)?;
    if let Some(send_at) = send_at {
        check_send_at(send_at, context.clock.now())?;
    }
    let begin = "begin isolation level repeatable read, read only";
    let mut tx = context.pool.begin_with(begin).await.map_err(StoreError::from)?;
    let decided = accept::decide(&mut tx, &sending).await?;
    let unseen = load_unseen(&mut tx, &sending, &decided.rejected).await?;
    tx.rollback().await.map_err(StoreError::from)?;

    let Sending { license_id, recipients, .. } = &sending;
    let mut segments: u32 = 0;
    let messages = decided.accepted.into_iter().map(|each| {
        segments = segments.saturating_add(each.filled.segments);
        wire::PreviewedMessage {
            recipient: recipients.get(each.position).map(wire_recipient),
            to: each.number.as_str().to_owned(),
            body: each.filled.body.as_str().to_owned(),
            segments: each.filled.segments,
            conversation_id: decided.homes.find_going_on(license_id, each.number).map(|id| id.to_string()),
        }
    });
    let messages = messages.collect();
    Ok(wire::PreviewMessagesResponse { messages, rejected: show_rejections(decided.rejected, &unseen), segments })
}
