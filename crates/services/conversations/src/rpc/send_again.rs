//! Sending again what came to nothing, as a new message: the old one leads to at most one text for ever (rule 16).
//!
//! Who gets it is decided as for any other send: the number may be somebody else's by now.

use chassis::Fault;
use domain::{Id, LicenseId, Message, MessageBody};
use proto::conversations as wire;

use super::send_answer::{Unseen, as_accepted, show_rejections};
use super::{Context, parse_license_id, parse_manager};
use crate::accept::{self, Accepted};
use crate::error;
use crate::model::{Recipient, Sending, Text};
use crate::store::licenses::{self, Subject};
use crate::store::{StoreError, Tx, messages};

pub(super) async fn send_again(
    context: &Context,
    request: wire::SendAgainRequest,
) -> Result<wire::SendMessagesResponse, Fault> {
    let license_id = parse_license_id(&request.license_id)?;
    let (manager_id, manager_name) = parse_manager(request.manager)?;
    let message_id: Id<Message> = request.message_id.parse().map_err(|_| error::message_not_found())?;
    let mut tx = context.begin().await?;
    // The message first and its license then, as reports lock them.
    let known = messages::load_known(&mut tx, &[message_id.uuid()]).await?.remove(&message_id);
    let followed = known.filter(|known| known.license_id == license_id).ok_or_else(error::message_not_found)?;
    let mut locked = licenses::lock(&mut tx, [license_id.clone()]).await?;
    let message = load_one(&mut tx, &license_id, message_id).await?;
    if let Some(again) = message.sent_again_as {
        let again = again.parse().map_err(|_| error::message_not_found())?;
        return Ok(answer(vec![load_one(&mut tx, &license_id, again).await?], Vec::new()));
    }
    if !followed.known.came_to_nothing() {
        return Err(error::message_may_arrive());
    }

    let now = context.clock.now();
    let body = MessageBody::parse(message.body).map_err(|_| error::message_may_arrive())?;
    let sending = Sending {
        license_id: license_id.clone(),
        manager_id,
        manager_name,
        recipients: vec![Recipient::ConversationId(followed.conversation_id)],
        text: Text::verbatim(body),
        media_urls: message.media.into_iter().map(|media| media.url).collect(),
        last_seen: None,
    };
    let decided = accept::decide(&mut tx, &sending).await?;
    let Accepted { messages: sent, rejected, .. } =
        accept::record(&mut tx, &mut locked, &sending, decided, now).await?;
    if let Some(again) = sent.first() {
        messages::mark_sent_again(&mut tx, &license_id, message_id, again.message_id).await?;
        locked.record(&license_id, Subject::MessageUpdated(followed.conversation_id, message_id), now);
    }
    let ranges = locked.write(&mut tx).await?;
    tx.commit().await.map_err(StoreError::from)?;
    context.relay.hint();
    context.pusher.push(ranges);
    Ok(answer(sent.into_iter().map(as_accepted).collect(), show_rejections(rejected, &Unseen::new())))
}

async fn load_one(tx: &mut Tx<'_>, license_id: &LicenseId, message_id: Id<Message>) -> Result<wire::Message, Fault> {
    let id = message_id.uuid();
    messages::load(tx, &[(license_id.clone(), id)]).await?.remove(&id).ok_or_else(error::message_not_found)
}

fn answer(messages: Vec<wire::Message>, rejected: Vec<wire::Rejection>) -> wire::SendMessagesResponse {
    wire::SendMessagesResponse { batch_id: None, messages, rejected, scheduled: None }
}
