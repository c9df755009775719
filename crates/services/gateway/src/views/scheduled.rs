//! Sends that wait for their time.

use chrono::{DateTime, Utc};
use proto::conversations;
use serde::Serialize;
use utoipa::ToSchema;

use super::conversations::Manager;
use super::{BrokenAnswer, RecipientView, Rejected, Waiting, examples, find_time, text, time};

/// A send that is kept until its time. Then it is decided anew who gets it.
#[derive(Serialize, ToSchema)]
#[schema(example = json!(examples::scheduled_send()))]
pub(crate) struct ScheduledSend {
    scheduled_id: String,
    /// Who scheduled it, and in whose name it is sent.
    manager: Manager,
    /// As they were named. Those whose conversation was deleted are gone. In lists and on the feed: the first 100.
    recipients: Vec<RecipientView>,
    recipient_count: u32,
    /// Null once it has ended: the text is in its messages.
    body: Option<String>,
    media_urls: Vec<String>,
    send_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
    /// `waiting`, `sent` (also when nobody got it in the end) or `canceled`.
    status: String,
    /// `scheduled` until its time. Null once it has ended: why its messages wait stands at them.
    waiting: Option<Waiting>,
    ended_at: Option<DateTime<Utc>>,
    /// What became of it, if it went to several.
    batch_id: Option<String>,
    /// What became of it, if it went to one.
    message_id: Option<String>,
    /// Who got nothing in the end. In lists and on the feed: the first 100.
    rejected: Vec<Rejected>,
    rejected_count: u32,
}

/// Scheduled sends.
#[derive(Serialize, ToSchema)]
#[schema(example = json!(examples::page(&examples::scheduled_send())))]
pub(crate) struct ScheduledPage {
    items: Vec<ScheduledSend>,
    /// Null: this was the last page.
    next_cursor: Option<String>,
}

impl TryFrom<conversations::ScheduledSend> for ScheduledSend {
    type Error = BrokenAnswer;

    fn try_from(send: conversations::ScheduledSend) -> Result<Self, BrokenAnswer> {
        let send_at = time(send.send_at, "send_at")?;
        let waits = send.status == "waiting";
        Ok(Self {
            scheduled_id: send.scheduled_id,
            manager: send.manager.ok_or(BrokenAnswer("manager"))?.into(),
            recipients: send.recipients.into_iter().map(RecipientView::try_from).collect::<Result<_, _>>()?,
            recipient_count: send.recipient_count,
            body: text(send.body),
            media_urls: send.media_urls,
            send_at,
            created_at: time(send.created_at, "created_at")?,
            status: send.status,
            waiting: waits.then(|| Waiting { reason: "scheduled".to_owned(), until: Some(send_at) }),
            ended_at: find_time(send.ended_at, "ended_at")?,
            batch_id: send.batch_id,
            message_id: send.message_id,
            rejected: send.rejected.into_iter().map(Rejected::try_from).collect::<Result<_, _>>()?,
            rejected_count: send.rejected_count,
        })
    }
}

impl TryFrom<conversations::ListScheduledResponse> for ScheduledPage {
    type Error = BrokenAnswer;

    fn try_from(page: conversations::ListScheduledResponse) -> Result<Self, BrokenAnswer> {
        let items = page.scheduled.into_iter().map(ScheduledSend::try_from).collect::<Result<_, _>>()?;
        Ok(Self { items, next_cursor: text(page.next_cursor) })
    }
}
