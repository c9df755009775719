//! Calls to the messages number.

use chrono::{DateTime, Utc};
use proto::conversations;
use serde::Serialize;
use utoipa::ToSchema;

use super::conversations::ConversationPerson;
use super::{BrokenAnswer, find_time, text, time};

/// Somebody called the messages number, and the call was forwarded to the company phone.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names are those of the API")]
#[schema(example = json!({
    "call_id": "01988e5c-7a00-7000-8000-000000000002", "from": "+14155552671", "to": "+12125550100",
    "people": [{"person_id": "t-1", "kind": "tenant", "name": "Tina Tenant"}],
    "conversation_id": "01988e5c-7a00-7000-8000-000000000003", "result": "answered", "duration_s": 75,
    "started_at": "2026-03-02T15:00:00Z", "ended_at": "2026-03-02T15:01:30Z",
}))]
pub(crate) struct Call {
    call_id: String,
    /// E.164. Null: withheld, or no North American number.
    from: Option<String>,
    /// E.164: the messages number of that time.
    to: String,
    /// Whose number `from` was when the call came. Empty: nobody's.
    people: Vec<ConversationPerson>,
    /// The conversation with `from`, if there was one.
    conversation_id: Option<String>,
    /// `answered`, `no_answer`, `busy` or `failed`. Null: it rings, or nobody has said yet.
    result: Option<String>,
    /// How long the two talked, in seconds. Null: they did not, or the carrier did not say.
    duration_s: Option<u32>,
    started_at: DateTime<Utc>,
    /// When the result was known.
    ended_at: Option<DateTime<Utc>>,
}

/// Calls, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct CallPage {
    items: Vec<Call>,
    /// Null: this was the last page.
    next_cursor: Option<String>,
}

impl TryFrom<conversations::Call> for Call {
    type Error = BrokenAnswer;

    fn try_from(call: conversations::Call) -> Result<Self, BrokenAnswer> {
        Ok(Self {
            call_id: call.call_id,
            from: call.from,
            to: call.to,
            people: call.people.into_iter().map(ConversationPerson::from).collect(),
            conversation_id: call.conversation_id,
            result: call.result,
            duration_s: call.duration_s,
            started_at: time(call.started_at, "started_at")?,
            ended_at: find_time(call.ended_at, "ended_at")?,
        })
    }
}

impl TryFrom<conversations::ListCallsResponse> for CallPage {
    type Error = BrokenAnswer;

    fn try_from(page: conversations::ListCallsResponse) -> Result<Self, BrokenAnswer> {
        let items = page.calls.into_iter().map(Call::try_from).collect::<Result<_, _>>()?;
        Ok(Self { items, next_cursor: text(page.next_cursor) })
    }
}
