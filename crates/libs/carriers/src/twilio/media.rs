//! Where Twilio keeps what came with messages: an address of its API, which leads to a file store.

use super::rest::Rest;
use crate::media::{self, FetchedMedia, MediaError, MediaHost, MediaLimits};
use crate::webhooks::InboundMedia;

/// With HTTP authentication on, `mms.twiliocdn.com`; else Amazon's store, which is shared with everybody.
pub(super) const HOSTS: &[MediaHost] = &[
    MediaHost { name: ".twilio.com", path: "/" },
    MediaHost { name: ".twiliocdn.com", path: "/" },
    MediaHost { name: "s3-external-1.amazonaws.com", path: "/media.twiliocdn.com/" },
    MediaHost { name: "media.twiliocdn.com.s3-external-1.amazonaws.com", path: "/" },
];

pub(super) async fn fetch(rest: &Rest, media: &InboundMedia, limits: &MediaLimits) -> Result<FetchedMedia, MediaError> {
    media::fetch(rest.exchange(), &rest.media_places(), media, limits, |url, request| rest.authorise(url, request))
        .await
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::super::fixture::{ACCOUNT, Fixture, twilio_at};
    use super::*;
    use crate::Carrier;
    use crate::harness::media::media_tests;
    use crate::harness::scripted::{Act, Scripted};

    media_tests!(Fixture);

    #[tokio::test]
    async fn twilio_is_asked_with_the_accounts_credentials() {
        let server = Scripted::start(&[Act::Answer(200, "content-type: image/png\r\n", "x")]).await;
        let path = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages/MM1/Media/ME1");
        let media = InboundMedia { url: server.url.join(&path).unwrap(), content_type: String::new() };
        let limits = MediaLimits { max_bytes: 1, hosts: Vec::new() };
        twilio_at(&server.url).fetch_media(&media, &limits).await.unwrap();
        let request = server.only_request();
        assert_eq!(request.line, format!("GET {path} HTTP/1.1"));
        assert!(request.head.contains("authorization: basic "), "{}", request.head);
    }

    #[test]
    fn credentials_go_to_twilios_api_and_to_no_file_store() {
        let twilio = twilio_at(&Url::parse("https://api.dublin.ie1.twilio.com").unwrap());
        for (url, with) in [
            ("https://api.dublin.ie1.twilio.com/2010-04-01/x", true),
            ("https://api.twilio.com/2010-04-01/x", true),
            ("https://mms.twiliocdn.com/x", false),
            ("https://www.twilio.com/x", false),
            ("https://s3-external-1.amazonaws.com/media.twiliocdn.com/x", false),
        ] {
            let url = Url::parse(url).unwrap();
            let request = twilio.rest.exchange().request(http::Method::GET, url.clone());
            let request = twilio.rest.authorise(&url, request).build().unwrap();
            assert_eq!(request.headers().contains_key("authorization"), with, "{url}");
        }
    }
}
