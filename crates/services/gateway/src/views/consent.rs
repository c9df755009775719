//! Whether texts are wanted at a number (rule 13), and the lines in conversations that tell of it.

use chrono::{DateTime, Utc};
use proto::conversations;
use serde::Serialize;
use utoipa::ToSchema;

use super::conversations::Manager;
use super::{BrokenAnswer, text, time};

/// What was said last about texts to a number.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "opted_out": true, "source": "manager", "manager": {"id": "m-1", "name": "Mia Manager"},
    "reason": "Asked on the phone to get no more texts.", "changed_at": "2026-03-02T15:00:00Z",
}))]
pub(crate) struct Consent {
    opted_out: bool,
    /// `keyword`: the person texted STOP or START, or another of the carrier's words. `manager`: a manager noted it.
    /// `carrier`: the carrier refused a text because of its own list.
    source: String,
    /// Who noted it. Null unless `source` is `manager`.
    manager: Option<Manager>,
    /// How the person said it. Null unless `source` is `manager`.
    reason: Option<String>,
    changed_at: DateTime<Utc>,
}

/// A line in a conversation that is no message.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "event_id": "01988e5c-7a00-7000-8000-000000000004", "conversation_id": "01988e5c-7a00-7000-8000-000000000003",
    "kind": "opted_out", "source": "keyword", "manager": null, "reason": null, "occurred_at": "2026-03-02T15:00:00Z",
}))]
pub(crate) struct ConversationEvent {
    event_id: String,
    conversation_id: String,
    /// `opted_out`, `opted_in` or `help_requested`. There may be more in future.
    kind: String,
    /// `keyword`, `manager` or `carrier`, as in a consent.
    source: String,
    /// Null unless `source` is `manager`.
    manager: Option<Manager>,
    /// Null unless `source` is `manager`.
    reason: Option<String>,
    occurred_at: DateTime<Utc>,
}

/// Lines of a conversation, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConversationEventPage {
    items: Vec<ConversationEvent>,
    /// Null: this was the last page.
    next_cursor: Option<String>,
}

impl TryFrom<conversations::Consent> for Consent {
    type Error = BrokenAnswer;

    fn try_from(consent: conversations::Consent) -> Result<Self, BrokenAnswer> {
        Ok(Self {
            opted_out: consent.opted_out,
            source: consent.source,
            manager: consent.manager.map(Manager::from),
            reason: consent.reason,
            changed_at: time(consent.changed_at, "changed_at")?,
        })
    }
}

impl TryFrom<conversations::ConversationEvent> for ConversationEvent {
    type Error = BrokenAnswer;

    fn try_from(event: conversations::ConversationEvent) -> Result<Self, BrokenAnswer> {
        Ok(Self {
            event_id: event.event_id,
            conversation_id: event.conversation_id,
            kind: event.kind,
            source: event.source,
            manager: event.manager.map(Manager::from),
            reason: event.reason,
            occurred_at: time(event.occurred_at, "occurred_at")?,
        })
    }
}

impl TryFrom<conversations::ListConversationEventsResponse> for ConversationEventPage {
    type Error = BrokenAnswer;

    fn try_from(page: conversations::ListConversationEventsResponse) -> Result<Self, BrokenAnswer> {
        let items = page.events.into_iter().map(ConversationEvent::try_from).collect::<Result<_, _>>()?;
        Ok(Self { items, next_cursor: text(page.next_cursor) })
    }
}
