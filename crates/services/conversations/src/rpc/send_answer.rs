//! What a send answers: its messages as they were accepted, who was rejected, and what the manager has not seen.

use std::collections::HashMap;

use chassis::Fault;
use domain::{Conversation, Id, LicenseId};
use proto::conversations as wire;
use proto::to_timestamp;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::model::{Rejection, Sending};
use crate::store::messages::{self, NewMessage};
use crate::store::wire_recipient;

/// Messages that are shown of a conversation that has moved on.
const MAX_UNSEEN: i64 = 20;
/// Conversations of one batch of which they are shown.
const MAX_MOVED_ON: usize = 20;

pub(super) fn as_accepted(message: NewMessage) -> wire::Message {
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
        sent_again_as: None,
    }
}

/// What the manager has not seen of conversations that have moved on.
pub(super) type Unseen = HashMap<Id<Conversation>, Vec<wire::Message>>;

pub(super) async fn load_unseen(
    db: &mut PgConnection,
    sending: &Sending,
    rejected: &[Rejection],
) -> Result<Unseen, Fault> {
    let mut unseen = Unseen::new();
    for conversation_id in rejected.iter().filter_map(|rejection| rejection.moved_on).take(MAX_MOVED_ON) {
        let seq = sending.last_seen.unwrap_or_default();
        let ids = messages::list_ids_after_seq(db, &sending.license_id, conversation_id, seq, MAX_UNSEEN).await?;
        let wanted: Vec<(LicenseId, Uuid)> = ids.iter().map(|id| (sending.license_id.clone(), *id)).collect();
        let mut found = messages::load(db, &wanted).await?;
        unseen.insert(conversation_id, ids.iter().filter_map(|id| found.remove(id)).collect());
    }
    Ok(unseen)
}

pub(super) fn show_rejections(rejected: Vec<Rejection>, unseen: &Unseen) -> Vec<wire::Rejection> {
    let rejections = rejected.into_iter().map(|each| {
        let unseen = each.moved_on.and_then(|id| unseen.get(&id)).cloned().unwrap_or_default();
        wire::Rejection {
            recipient: Some(wire_recipient(&each.recipient)),
            code: each.code,
            detail: each.detail,
            unseen,
        }
    });
    rejections.collect()
}
