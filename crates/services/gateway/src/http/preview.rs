//! What a send would do (rules 10, 14, 18), beforehand: who would get what, who would not, and until about when.

use axum::extract::State;
use chrono::{DateTime, Utc};
use proto::conversations::SendMessagesRequest;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::estimates::{Estimate, estimate_finish};
use super::extract::{Json, Query};
use super::messages::{SendInput, plan_request};
use crate::auth::Manager;
use crate::error::Problem;
use crate::views::{PreviewedMessage, Rejected, examples};

const DUPLICATE: &str = "duplicate_recipient";

/// What a send would do now.
#[derive(Serialize, ToSchema)]
#[schema(example = json!(examples::preview()))]
pub(crate) struct Preview {
    /// Who would get a message, in the order of the recipients.
    messages: Vec<PreviewedMessage>,
    rejected: Vec<Rejected>,
    /// How many of the rejected are `duplicate_recipient`: another recipient has the same number.
    duplicates: usize,
    /// Of all messages.
    segments: u32,
    /// About when the last message would go out. Null when nothing would, with `send_at`, and when nobody can say.
    finish_at: Option<DateTime<Utc>>,
    /// What holds the license's texts up now, as in `waiting` of a message. Null: nothing but the pace, or nobody can say.
    held_by: Option<String>,
}

/// What sending this would do now. Nothing is sent and nothing is kept.
///
/// The body and its limits are those of `POST /v1/messages`. That all recipients would be rejected is an answer too, not
/// an error.
#[utoipa::path(
    post, path = "/v1/messages/preview", tag = "messages", request_body = SendInput,
    responses(
        (status = 200, description = "Who would get what.", body = Preview),
        (status = 409, description = "`company_name_unknown`: the text names the company, whose name is not known yet."),
        (status = 413, description = "`body_too_large`: more than 2 MiB."),
        (status = 422, description = "`unknown_merge_field`, `send_at_out_of_range` and others: `field` says which."),
    ),
)]
pub(crate) async fn preview_messages(
    State(app): State<App>,
    Manager(actor): Manager,
    _: Query<()>,
    Json(input): Json<SendInput>,
) -> Result<axum::Json<Preview>, Problem> {
    let license = actor.license.clone();
    let request: SendMessagesRequest = plan_request(actor, String::new(), input)?;
    let (at_once, batch) = (request.send_at.is_none(), request.recipients.len() > 1);
    let answer = app.upstreams.batches.clone().preview_messages(request).await;
    let answer = answer.map_err(|status| Problem::from_upstream(&status))?.into_inner();
    let Estimate { finish_at, held_by } = if at_once && answer.segments > 0 {
        estimate_finish(&app, &license, answer.segments, batch).await
    } else {
        Estimate::default()
    };
    let rejected = answer.rejected.into_iter().map(Rejected::try_from).collect::<Result<Vec<_>, _>>()?;
    Ok(axum::Json(Preview {
        messages: answer.messages.into_iter().map(PreviewedMessage::try_from).collect::<Result<_, _>>()?,
        duplicates: rejected.iter().filter(|rejected| rejected.code == DUPLICATE).count(),
        rejected,
        segments: answer.segments,
        finish_at,
        held_by,
    }))
}
