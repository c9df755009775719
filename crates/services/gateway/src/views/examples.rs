//! What answers look like, for the description of the API. Examples that hold one another are written once.

use serde_json::{Value, json};

const MESSAGE: &str = "01988e5c-7a00-7000-8000-000000000001";
const CONVERSATION: &str = "01988e5c-7a00-7000-8000-000000000003";
const BATCH: &str = "01988e5c-7a00-7000-8000-00000000000b";
const SCHEDULED: &str = "01988e5c-7a00-7000-8000-00000000000d";
const UNMATCHED: &str = "01988e5c-7a00-7000-8000-00000000000e";
const MEDIUM: &str = "01988e5c-7a00-7000-8000-00000000000f";

fn mia() -> Value {
    json!({"id": "m-1", "name": "Mia Manager"})
}

fn tina() -> Value {
    json!({"person_id": "t-1", "kind": "tenant", "name": "Tina Tenant"})
}

pub(crate) fn person() -> Value {
    json!({"person_id": "t-1", "kind": "tenant", "name": "Tina Tenant", "phones": ["+12125550123"]})
}

pub(crate) fn message() -> Value {
    json!({
        "message_id": MESSAGE, "conversation_id": CONVERSATION, "direction": "outbound",
        "body": "The plumber comes at nine.", "media": [], "from": "+12125550100", "to": "+12125550123",
        "manager": mia(), "status": "delivered", "error": null, "segments": 1, "created_at": "2026-03-02T15:00:00Z",
        "sent_at": "2026-03-02T15:00:01Z", "delivered_at": "2026-03-02T15:00:02Z",
    })
}

/// With a picture.
fn inbound_message() -> Value {
    json!({
        "message_id": MESSAGE, "conversation_id": CONVERSATION, "direction": "inbound",
        "body": "The sink leaks.", "media": [medium()], "from": "+12125550123", "to": "+12125550100",
        "manager": null, "status": "received", "error": null, "segments": 1, "created_at": "2026-03-02T15:00:00Z",
        "sent_at": null, "delivered_at": null,
    })
}

/// As it was accepted.
fn queued_message() -> Value {
    let mut message = message();
    message["status"] = "queued".into();
    for field in ["from", "sent_at", "delivered_at"] {
        message[field] = Value::Null;
    }
    message
}

pub(crate) fn waiting_message() -> Value {
    let mut message = queued_message();
    message["waiting"] = waiting();
    message
}

pub(crate) fn waiting() -> Value {
    json!({"reason": "pace", "until": "2026-03-02T15:00:30Z"})
}

pub(crate) fn medium() -> Value {
    json!({
        "url": format!("/v1/media/{MEDIUM}"), "content_type": "image/jpeg", "media_id": MEDIUM, "state": "stored",
        "size_bytes": 184_320,
    })
}

pub(crate) fn conversation() -> Value {
    json!({
        "conversation_id": CONVERSATION, "number": "+12125550123", "people": [tina()],
        "last_message": inbound_message(), "sendable": true, "reason": null, "consent": null,
        "opened_at": "2026-03-02T14:58:10Z", "unread": 1, "newer_conversation_id": null, "older_conversation_ids": [],
    })
}

pub(crate) fn deletion_receipt() -> Value {
    json!({
        "conversation_id": CONVERSATION, "deleted_by": mia(), "deleted_at": "2026-03-02T16:00:00Z", "messages": 212,
    })
}

pub(crate) fn rejected() -> Value {
    json!({
        "recipient": {"person_id": "t-9"}, "code": "person_has_no_phone", "detail": "This person has no phone number.",
    })
}

pub(crate) fn sent() -> Value {
    let mut message = queued_message();
    message["batch_id"] = BATCH.into();
    json!({"batch_id": BATCH, "messages": [message], "rejected": [rejected()]})
}

pub(crate) fn preview() -> Value {
    json!({
        "messages": [{
            "recipient": {"person_id": "t-1"}, "to": "+12125550123",
            "body": "Dear Tina, the plumber comes at nine. Acme Homes", "segments": 1, "conversation_id": CONVERSATION,
        }],
        "rejected": [rejected()], "duplicates": 0, "segments": 1, "finish_at": "2026-03-02T15:00:04Z", "held_by": null,
    })
}

pub(crate) fn batch() -> Value {
    json!({
        "batch_id": BATCH, "manager": mia(), "created_at": "2026-03-02T15:00:00Z", "recipients": 12, "rejected": 2,
        "messages": 10, "counts": {"queued": 3, "delivered": 7}, "canceled_at": null, "canceled_by": null,
    })
}

pub(crate) fn batch_detail() -> Value {
    let mut batch = batch();
    batch["finish_at"] = "2026-03-02T15:00:04Z".into();
    batch["held_by"] = Value::Null;
    batch
}

pub(crate) fn scheduled_send() -> Value {
    json!({
        "scheduled_id": SCHEDULED, "manager": mia(), "recipients": [{"person_id": "t-1"}], "recipient_count": 1,
        "body": "Dear {{person.first_name}}, the rent is due tomorrow.", "media_urls": [],
        "send_at": "2026-03-30T14:00:00Z", "created_at": "2026-03-02T15:00:00Z", "status": "waiting",
        "waiting": {"reason": "scheduled", "until": "2026-03-30T14:00:00Z"}, "ended_at": null, "batch_id": null,
        "message_id": null, "rejected": [], "rejected_count": 0,
    })
}

pub(crate) fn unmatched_message() -> Value {
    json!({
        "unmatched_id": UNMATCHED, "from": "+14155552671", "to": "+12125550100", "body": "Is the flat still free?",
        "media": [], "received_at": "2026-03-02T15:00:00Z",
    })
}

pub(crate) fn tied() -> Value {
    let mut conversation = conversation();
    if let Some(members) = conversation.as_object_mut() {
        members.remove("unread");
    }
    json!({"conversation": conversation, "messages": 1})
}

pub(crate) fn blocked_number() -> Value {
    json!({
        "blocked_id": "01988e5c-7a00-7000-8000-000000000010", "number": "+14155552671", "blocked_by": mia(),
        "blocked_at": "2026-03-02T15:00:00Z",
    })
}

pub(crate) fn found() -> Value {
    json!({"message": inbound_message(), "people": [tina()]})
}

/// A page with one item.
pub(crate) fn page(item: &Value) -> Value {
    json!({"items": [item], "next_cursor": null})
}
