//! The JSON of an event about a message. Fields that we do not know are ignored, and only what is read must be well formed.

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use url::Url;

use super::errors::ErrorItem;
use crate::{InboundMedia, MalformedWebhook, WebhookRequest};

#[derive(Deserialize)]
struct Posted {
    data: Event,
}

#[derive(Deserialize)]
struct Event {
    event_type: String,
    /// Read only once the event is known to be one of ours: others look otherwise.
    payload: Value,
}

/// What we read of a message, inbound or outbound.
#[derive(Deserialize)]
pub(super) struct Payload {
    #[serde(default, deserialize_with = "null_as_default")]
    id: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub(super) from: Party,
    #[serde(default, deserialize_with = "null_as_default")]
    pub(super) to: Vec<Party>,
    /// Null for pictures without a text.
    #[serde(default)]
    pub(super) text: Option<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    media: Vec<Media>,
    #[serde(default)]
    pub(super) parts: Value,
    #[serde(default, deserialize_with = "null_as_default")]
    pub(super) errors: Vec<ErrorItem>,
}

#[derive(Default, Deserialize)]
pub(super) struct Party {
    pub(super) phone_number: Option<String>,
    pub(super) status: Option<String>,
}

#[derive(Deserialize)]
struct Media {
    url: String,
    content_type: Option<String>,
}

impl Payload {
    pub(super) fn read(request: &WebhookRequest<'_>, expected: &[&str]) -> Result<Self, MalformedWebhook> {
        let posted: Posted = serde_json::from_slice(request.body).map_err(|_| MalformedWebhook::UnreadableBody)?;
        if !expected.contains(&posted.data.event_type.as_str()) {
            return Err(MalformedWebhook::UnknownStatus);
        }
        serde_json::from_value(posted.data.payload).map_err(|_| MalformedWebhook::UnreadableBody)
    }

    pub(super) fn id(&self) -> Result<&str, MalformedWebhook> {
        if self.id.is_empty() { Err(MalformedWebhook::MissingField("id")) } else { Ok(&self.id) }
    }

    /// Ours: a message to a group names all of it, and marks the one that this webhook is for.
    pub(super) fn recipient(&self) -> Option<&Party> {
        let marked = self.to.iter().find(|party| party.status.as_deref() == Some("webhook_delivered"));
        marked.or_else(|| self.to.first())
    }

    pub(super) fn media(&self) -> Result<Vec<InboundMedia>, MalformedWebhook> {
        let media = self.media.iter().map(|item| {
            Ok(InboundMedia {
                url: Url::parse(&item.url).map_err(|_| MalformedWebhook::InvalidField("media"))?,
                content_type: item.content_type.clone().unwrap_or_default(),
            })
        });
        media.collect()
    }
}

/// Telnyx writes `null` where there is nothing, also for lists.
pub(super) fn null_as_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
