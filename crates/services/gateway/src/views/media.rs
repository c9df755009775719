//! What goes with a message beside its text.

use std::fmt;

use proto::conversations;
use serde::Serialize;
use utoipa::ToSchema;

use super::{examples, text};

const STORED: &str = "stored";

/// A picture or another file.
#[derive(Serialize, ToSchema)]
#[schema(example = json!(examples::medium()))]
#[expect(clippy::struct_field_names, reason = "the names are those of the API")]
pub(crate) struct Media {
    /// Of an outbound message: the address that its sender gave. Of an inbound one: where it is got from the gateway, with
    /// your token; null until it is stored.
    url: Option<String>,
    /// Null when unknown.
    content_type: Option<String>,
    /// Null for outbound messages.
    media_id: Option<String>,
    /// Of an inbound message: `pending` (it is being fetched from the carrier; `message.updated` tells when that has
    /// ended), `stored` or `failed`. Null for outbound messages.
    state: Option<String>,
    /// Null until it is stored.
    size_bytes: Option<u64>,
}

impl From<conversations::Media> for Media {
    fn from(media: conversations::Media) -> Self {
        let conversations::Media { url, content_type, media_id, state, size_bytes } = media;
        let url = match &media_id {
            Some(id) => (state == STORED).then(|| format!("/v1/media/{id}")),
            None => text(url),
        };
        Self { url, content_type: text(content_type), media_id, state: text(state), size_bytes }
    }
}

/// As it stands on paper.
impl fmt::Display for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_deref().unwrap_or("a file"))?;
        let known = [self.content_type.clone(), self.size_bytes.map(|size| format!("{size} bytes"))];
        let known: Vec<String> = known.into_iter().flatten().collect();
        if !known.is_empty() {
            write!(f, " ({})", known.join(", "))?;
        }
        match self.state.as_deref() {
            Some("pending") => f.write_str(", not here yet"),
            Some("failed") => f.write_str(", could not be fetched"),
            _ => Ok(()),
        }
    }
}
