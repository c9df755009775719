//! Sends to many: what they would do, and what they do.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use proto::conversations;
use serde::Serialize;
use utoipa::ToSchema;

use super::conversations::Manager;
use super::{BrokenAnswer, RecipientView, examples, find_time, text, time};

/// A message that would be sent.
#[derive(Serialize, ToSchema)]
pub(crate) struct PreviewedMessage {
    recipient: RecipientView,
    /// E.164.
    to: String,
    /// With its merge fields filled in.
    body: String,
    segments: u32,
    /// The conversation that it would go on with. Null: it would open one.
    conversation_id: Option<String>,
}

/// A send to several recipients.
#[derive(Serialize, ToSchema)]
#[schema(example = json!(examples::batch()))]
#[expect(clippy::struct_field_names, reason = "the names are those of the API")]
pub(crate) struct Batch {
    batch_id: String,
    /// Who sent it.
    manager: Manager,
    created_at: DateTime<Utc>,
    /// How many were named.
    recipients: u32,
    /// How many of them got nothing.
    rejected: u32,
    /// How many messages were accepted.
    messages: u32,
    /// Those messages by status, of each status that there is. Less than all when conversations were deleted.
    counts: BTreeMap<String, u32>,
    /// Null: it was not canceled.
    canceled_at: Option<DateTime<Utc>>,
    canceled_by: Option<Manager>,
}

/// A batch, and until about when the rest of it goes out.
#[derive(Serialize, ToSchema)]
#[schema(example = json!(examples::batch_detail()))]
pub(crate) struct BatchDetail {
    #[serde(flatten)]
    pub(crate) batch: Batch,
    /// About when its last waiting message goes out. Null when none waits, and when nobody can say.
    pub(crate) finish_at: Option<DateTime<Utc>>,
    /// What holds the license's texts up now, as in `waiting` of a message. Null: nothing but the pace, or nobody can say.
    pub(crate) held_by: Option<String>,
}

/// Batches, newest first.
#[derive(Serialize, ToSchema)]
#[schema(example = json!(examples::page(&examples::batch())))]
pub(crate) struct BatchPage {
    items: Vec<Batch>,
    /// Null: this was the last page.
    next_cursor: Option<String>,
}

impl Batch {
    /// Some of its messages stand in the delivery queue.
    pub(crate) fn waits(&self) -> bool {
        ["queued", "unknown"].iter().any(|status| self.counts.get(*status).is_some_and(|messages| *messages > 0))
    }
}

impl TryFrom<conversations::PreviewedMessage> for PreviewedMessage {
    type Error = BrokenAnswer;

    fn try_from(message: conversations::PreviewedMessage) -> Result<Self, BrokenAnswer> {
        Ok(Self {
            recipient: message.recipient.ok_or(BrokenAnswer("recipient"))?.try_into()?,
            to: message.to,
            body: message.body,
            segments: message.segments,
            conversation_id: message.conversation_id,
        })
    }
}

impl TryFrom<conversations::Batch> for Batch {
    type Error = BrokenAnswer;

    fn try_from(batch: conversations::Batch) -> Result<Self, BrokenAnswer> {
        Ok(Self {
            batch_id: batch.batch_id,
            manager: batch.manager.ok_or(BrokenAnswer("manager"))?.into(),
            created_at: time(batch.created_at, "created_at")?,
            recipients: batch.recipients,
            rejected: batch.rejected,
            messages: batch.messages,
            counts: batch.counts.into_iter().map(|count| (count.status, count.messages)).collect(),
            canceled_at: find_time(batch.canceled_at, "canceled_at")?,
            canceled_by: batch.canceled_by.map(Manager::from),
        })
    }
}

impl TryFrom<conversations::ListBatchesResponse> for BatchPage {
    type Error = BrokenAnswer;

    fn try_from(page: conversations::ListBatchesResponse) -> Result<Self, BrokenAnswer> {
        let items = page.batches.into_iter().map(Batch::try_from).collect::<Result<_, _>>()?;
        Ok(Self { items, next_cursor: text(page.next_cursor) })
    }
}
