//! Deleting a conversation (rule 11): one transaction erases what this service keeps of it, and what has not gone out is
//! withdrawn in the same. What remains is a receipt. The dead letters follow (`erase.rs`).

use std::time::Duration;

use bus::outbox;
use chassis::Fault;
use proto::conversations::sending_withdrawn::Of;
use proto::conversations::{DeleteConversationRequest, DeletionReceipt, MessageQueued, SendingWithdrawn};
use proto::to_timestamp;

use super::{Context, parse_license_id, parse_manager};
use crate::error;
use crate::store::deletions::{self, Deletion};
use crate::store::licenses::{self, Subject};
use crate::store::{StoreError, batches, conversations, links, media, scheduled, search_index};

/// How often it is tried while others hold its rows.
const ATTEMPTS: u32 = 20;

pub(super) async fn delete_conversation(
    context: &Context,
    request: DeleteConversationRequest,
) -> Result<DeletionReceipt, Fault> {
    let license_id = parse_license_id(&request.license_id)?;
    let (manager_id, manager_name) = parse_manager(request.manager)?;
    let conversation_id = request.conversation_id.parse().map_err(|_| error::conversation_not_found())?;
    let manager_name = manager_name.as_str().to_owned();
    let at = context.clock.now();
    let deletion = Deletion { license_id, conversation_id, manager_id, manager_name, at };
    for attempt in 1..=ATTEMPTS {
        match delete(context, &deletion).await {
            Ok(receipt) => return receipt.ok_or_else(error::conversation_not_found),
            // Others finish what they began with its messages, now that the license is free again.
            Err(error) if error.is_contended() => tokio::time::sleep(Duration::from_millis(10) * attempt).await,
            Err(error) => return Err(error.into()),
        }
    }
    Err(Fault::service_unavailable())
}

/// `None`: there is no such conversation, and never was.
async fn delete(context: &Context, deletion: &Deletion) -> Result<Option<DeletionReceipt>, StoreError> {
    let Deletion { license_id, conversation_id: id, at, .. } = deletion;
    let (id, at) = (*id, *at);
    let mut tx = context.pool.begin().await?;
    let mut locked = licenses::lock(&mut tx, [license_id.clone()]).await?;
    let key = [(license_id.clone(), id.uuid())];
    if let Some(receipt) = deletions::load(&mut tx, &key).await?.remove(&id.uuid()) {
        return Ok(Some(receipt));
    }
    let Some(number) = conversations::list_numbers(&mut tx, license_id, &[id.uuid()]).await?.remove(&id) else {
        return Ok(None);
    };
    deletions::wait_for_nobody(&mut tx).await?;

    // Everything that refers to the conversation, and then itself.
    let rescheduled = scheduled::erase_conversation(&mut tx, license_id, id, number, at).await?;
    media::erase_conversation(&mut tx, license_id, id).await?;
    search_index::erase_conversation(&mut tx, license_id, id).await?;
    let unlinked = links::erase_conversation(&mut tx, license_id, id).await?;
    let erased = deletions::erase(&mut tx, license_id, id).await?;
    outbox::take_back::<MessageQueued>(&mut tx, &erased.queued).await?;
    let withdrawn = SendingWithdrawn {
        license_id: license_id.to_string(),
        of: Some(Of::ConversationId(id.to_string())),
        withdrawn_at: Some(to_timestamp(at)),
    };
    outbox::record(&mut tx, &[withdrawn], at).await?;
    deletions::record(&mut tx, deletion, number, &erased).await?;

    let batches: Vec<_> = erased.batches.iter().map(|batch_id| (license_id.clone(), *batch_id)).collect();
    if !batches.is_empty() {
        batches::mark_changed(&mut tx, &batches).await?;
    }
    locked.forget_inbound(license_id, erased.inbound);
    locked.record(license_id, Subject::ConversationDeleted(id), at);
    for other in unlinked {
        locked.record(license_id, Subject::ConversationUpdated(other), at);
    }
    for call in &erased.calls {
        locked.record(license_id, Subject::CallUpdated(*call), at);
    }
    for scheduled in rescheduled {
        locked.record(license_id, Subject::ScheduledUpdated(scheduled), at);
    }
    let receipt = deletions::load(&mut tx, &key).await?.remove(&id.uuid());
    let ranges = locked.write(&mut tx).await?;
    tx.commit().await?;
    context.relay.hint();
    context.pusher.push(ranges);
    context.eraser.hint();
    Ok(receipt)
}
