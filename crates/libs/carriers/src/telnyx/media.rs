//! Where Telnyx keeps what came with messages: addresses in the webhook, good for 30 days, without credentials.

use super::rest::Rest;
use crate::media::{self, FetchedMedia, MediaError, MediaHost, MediaLimits};
use crate::webhooks::InboundMedia;

pub(super) const HOSTS: &[MediaHost] = &[
    MediaHost { name: ".telnyx.com", path: "/" },
    MediaHost { name: ".telnyxstorage.com", path: "/" },
    MediaHost { name: ".telnyxcloudstorage.com", path: "/" },
];

pub(super) async fn fetch(rest: &Rest, media: &InboundMedia, limits: &MediaLimits) -> Result<FetchedMedia, MediaError> {
    media::fetch(rest.exchange(), &rest.media_places(), media, limits, |_, request| request).await
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, telnyx_at};
    use super::*;
    use crate::Carrier;
    use crate::harness::media::media_tests;
    use crate::harness::scripted::{Act, Scripted};

    media_tests!(Fixture);

    #[tokio::test]
    async fn telnyx_is_asked_without_our_key() {
        let server = Scripted::start(&[Act::Answer(200, "content-type: image/png\r\n", "x")]).await;
        let media = InboundMedia { url: server.url.join("/file").unwrap(), content_type: String::new() };
        let limits = MediaLimits { max_bytes: 1, hosts: Vec::new() };
        telnyx_at(&server.url).fetch_media(&media, &limits).await.unwrap();
        assert!(!server.only_request().head.contains("authorization"));
    }
}
