//! The cases of media that every adapter must pass: from where they are taken, what is taken, and what a failure means.

use std::time::Duration;

use bytes::Bytes;
use url::Url;

use super::rest::Fixture;
use super::scripted::{Act, Scripted};
use crate::{FetchedMedia, InboundMedia, MediaError, MediaLimits, MediaRefusal};

const MAX_BYTES: usize = 16;

fn medium(url: Url) -> InboundMedia {
    InboundMedia { url, content_type: "image/png".into() }
}

async fn fetch_from(fixture: &dyn Fixture, server: &Scripted, path: &str) -> Result<FetchedMedia, MediaError> {
    let limits = MediaLimits { max_bytes: MAX_BYTES, hosts: Vec::new() };
    fixture.connect(&server.url).fetch_media(&medium(server.url.join(path).unwrap()), &limits).await
}

async fn fetch(fixture: &dyn Fixture, act: Act) -> Result<FetchedMedia, MediaError> {
    fetch_from(fixture, &Scripted::start(&[act]).await, "/media/ME1").await
}

fn refused(refusal: MediaRefusal) -> Result<FetchedMedia, MediaError> {
    Err(MediaError::Refused(refusal))
}

pub(crate) async fn a_medium_comes_with_its_bytes_and_its_type(fixture: &dyn Fixture) {
    for (header, content_type) in [
        ("content-type: image/jpeg\r\n", "image/jpeg"),
        ("content-type: Image/JPEG; q=1\r\n", "image/jpeg"),
        // A store that was told nothing: as the webhook said.
        ("content-type: binary/octet-stream\r\n", "image/png"),
        ("", "image/png"),
    ] {
        let fetched = fetch(fixture, Act::Answer(200, header, "1234567812345678")).await;
        let expected =
            FetchedMedia { content_type: content_type.into(), bytes: Bytes::from_static(b"1234567812345678") };
        assert_eq!(fetched, Ok(expected));
    }
}

pub(crate) async fn inbound_media_are_fetched_only_from_the_carriers_hosts(fixture: &dyn Fixture) {
    let server = Scripted::start(&[]).await;
    let elsewhere = Scripted::start(&[Act::Answer(200, "content-type: image/png\r\n", "x")]).await;
    let carrier = fixture.connect(&server.url);
    for url in [elsewhere.url.as_str(), "https://example.com/a.png", "http://169.254.169.254/", "file:///etc/passwd"] {
        let limits = MediaLimits { max_bytes: MAX_BYTES, hosts: Vec::new() };
        let fetched = carrier.fetch_media(&medium(Url::parse(url).unwrap()), &limits).await;
        assert_eq!(fetched, refused(MediaRefusal::Host), "{url}");
    }
    assert_eq!((server.requests().len(), elsewhere.requests().len()), (0, 0), "nobody was asked");
}

pub(crate) async fn a_redirect_of_a_medium_is_followed_without_credentials(fixture: &dyn Fixture) {
    let there = Act::Answer(307, "location: /files/1?sig=x\r\n", "");
    let server = Scripted::start(&[there, Act::Answer(200, "content-type: image/png\r\n", "x")]).await;
    assert!(fetch_from(fixture, &server, "/media/ME1").await.is_ok());
    let requests = server.requests();
    assert_eq!(requests[1].line, "GET /files/1?sig=x HTTP/1.1");
    assert!(!requests[1].head.contains("authorization"), "{}", requests[1].head);

    let away = Scripted::start(&[Act::Answer(302, "location: https://example.com/a.png\r\n", "")]).await;
    assert_eq!(fetch_from(fixture, &away, "/media/ME1").await, refused(MediaRefusal::Host));
    let round = Scripted::start(&[there; 9]).await;
    assert!(matches!(fetch_from(fixture, &round, "/media/ME1").await, Err(MediaError::Later { .. })));
    assert_eq!(round.requests().len(), 4);
}

pub(crate) async fn a_medium_that_is_too_large_or_of_another_type_is_refused(fixture: &dyn Fixture) {
    for (act, refusal) in [
        (Act::Answer(200, "content-type: image/png\r\n", "12345678123456781"), MediaRefusal::TooLarge),
        // It does not say how long it is.
        (Act::Endless(200, "content-type: image/png\r\n", "12345678123456781"), MediaRefusal::TooLarge),
        (Act::Answer(200, "content-type: text/html\r\n", "x"), MediaRefusal::ContentType),
        (Act::Answer(200, "content-type: image/svg+xml\r\n", "x"), MediaRefusal::ContentType),
        (Act::Answer(200, "content-type: application/json\r\n", "{}"), MediaRefusal::ContentType),
    ] {
        assert_eq!(fetch(fixture, act).await, refused(refusal));
    }
}

pub(crate) async fn a_medium_that_is_gone_is_gone_and_any_other_trouble_is_for_later(fixture: &dyn Fixture) {
    for status in [404, 410] {
        assert_eq!(fetch(fixture, Act::Answer(status, "", "")).await, Err(MediaError::Gone));
    }
    for act in [
        Act::Answer(401, "", ""),
        Act::Answer(403, "", ""),
        Act::Answer(500, "", ""),
        Act::Answer(204, "", ""),
        Act::Answer(302, "", ""),
        Act::Cut(200, "x"),
        Act::HangUp,
        Act::Silence,
    ] {
        let fetched = fetch(fixture, act).await;
        let Err(MediaError::Later { retry_after: None, cause }) = fetched else { panic!("{fetched:?}") };
        assert!(!cause.contains("127.0.0.1") && !cause.contains("ME1"), "{cause}");
    }
    let Err(MediaError::Later { retry_after, .. }) = fetch(fixture, Act::Answer(429, "retry-after: 7\r\n", "")).await
    else {
        panic!("too fast is for later")
    };
    assert_eq!(retry_after, Some(Duration::from_secs(7)));
}

/// The shared cases as tests of the calling module.
macro_rules! media_tests {
    ($fixture:expr) => {
        $crate::harness::media::media_tests!($fixture;
            a_medium_comes_with_its_bytes_and_its_type
            inbound_media_are_fetched_only_from_the_carriers_hosts
            a_redirect_of_a_medium_is_followed_without_credentials
            a_medium_that_is_too_large_or_of_another_type_is_refused
            a_medium_that_is_gone_is_gone_and_any_other_trouble_is_for_later
        );
    };
    ($fixture:expr; $($case:ident)*) => {
        $(#[tokio::test] async fn $case() { $crate::harness::media::$case(&$fixture).await; })*
    };
}
pub(crate) use media_tests;
