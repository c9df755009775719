//! Whether texts are wanted (rule 13): what a manager notes, and the lines of a conversation that tell of it.

use axum::extract::State;
use domain::{Conversation as ConversationOf, Id};
use proto::conversations::{self, ListConversationEventsRequest, PutConsentRequest};
use serde::Deserialize;
use utoipa::ToSchema;

use super::App;
use super::extract::{Json, PageQuery, PathId, Query};
use crate::auth::Manager;
use crate::error::Problem;
use crate::views::{Conversation, ConversationEventPage};

/// What a person wants, as they told a manager.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"opted_out": true, "reason": "Asked on the phone to get no more texts."}))]
pub(crate) struct ConsentInput {
    /// True: no texts. False: texts again.
    opted_out: bool,
    /// How the person said it: 1 to 500 characters.
    reason: String,
}

/// Lines beside the messages of a conversation, newest first: who opted out or in, and who asked for help.
#[utoipa::path(
    get, path = "/v1/conversations/{conversation_id}/events", tag = "conversations",
    params(("conversation_id" = String, Path), PageQuery),
    responses(
        (status = 200, description = "One page.", body = ConversationEventPage),
        (status = 404, description = "`conversation_not_found`."),
        (status = 422, description = "`invalid_value`, `invalid_cursor`, `unknown_parameter`: `field` says which."),
    ),
)]
pub(crate) async fn list_events(
    State(app): State<App>,
    Manager(actor): Manager,
    PathId(id): PathId<Id<ConversationOf>>,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<ConversationEventPage>, Problem> {
    let request = ListConversationEventsRequest {
        license_id: actor.license.to_string(),
        conversation_id: id.to_string(),
        limit: query.limit,
        cursor: query.cursor.unwrap_or_default(),
    };
    let answer = app.upstreams.conversations.clone().list_conversation_events(request).await;
    let page = answer.map_err(|status| Problem::from_upstream(&status))?.into_inner();
    Ok(axum::Json(page.try_into()?))
}

/// Note that the person of a conversation does not want texts, or wants them again, when they say so in their own words.
///
/// It holds for the number: also after the license gets another number, and for whoever has the number later. What
/// holds already is not noted again. What a STOP or the carrier has set can be lifted here too, but the carrier keeps a
/// list of its own: while the number stands on it, the next text fails with `recipient_opted_out` and the number is opted
/// out again. Only START from the phone takes it off that list.
#[utoipa::path(
    put, path = "/v1/conversations/{conversation_id}/consent", tag = "conversations", request_body = ConsentInput,
    params(("conversation_id" = String, Path)),
    responses(
        (status = 200, description = "The conversation as it is now.", body = Conversation),
        (status = 404, description = "`conversation_not_found`."),
        (status = 409, description = "`number_no_longer_tied`: nobody of this conversation has the number any more."),
        (status = 422, description = "`reason_empty`, `reason_too_long` and others: `field` says which."),
    ),
)]
pub(crate) async fn put_consent(
    State(app): State<App>,
    Manager(actor): Manager,
    PathId(id): PathId<Id<ConversationOf>>,
    _: Query<()>,
    Json(input): Json<ConsentInput>,
) -> Result<axum::Json<Conversation>, Problem> {
    let request = PutConsentRequest {
        license_id: actor.license.to_string(),
        conversation_id: id.to_string(),
        manager: Some(conversations::Manager { id: actor.id.to_string(), name: actor.name }),
        opted_out: input.opted_out,
        reason: input.reason,
    };
    let mut conversations = app.upstreams.conversations.clone();
    let write = async move {
        let answer = conversations.put_consent(request).await;
        answer.map_err(|status| Problem::from_upstream(&status))
    };
    let conversation = app.finish(write).await?.into_inner();
    Ok(axum::Json(conversation.try_into()?))
}
