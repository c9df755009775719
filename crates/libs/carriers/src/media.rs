//! Fetching what came with inbound messages, from the carrier's own hosts and from nowhere else.
//!
//! An address comes from a webhook, and what stands behind it is shown to managers later. So it is asked only at hosts
//! that are known to be the carrier's, redirects included; an answer is read up to a limit; and only what a phone sends
//! and a browser does not execute is taken. Credentials go with the first request alone, never along a redirect.

use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderMap, Method};
use reqwest::{RequestBuilder, Response};
use thiserror::Error;
use url::{Origin, Url};

use crate::exchange::{Exchange, cause_of, retry_after};
use crate::webhooks::InboundMedia;

/// From the carrier's API to where its files are, and once more if they have moved.
const MAX_REDIRECTS: usize = 3;
const MAX_TYPE: usize = 100;

/// What is stored: what phones send. Prefixes end with a slash. All else is refused, whatever the carrier took.
const TYPES: [&str; 8] =
    ["image/", "video/", "audio/", "application/pdf", "text/plain", "text/vcard", "text/x-vcard", "text/calendar"];
/// Of these none: documents with scripts in them.
const REFUSED_SUFFIXES: [&str; 2] = ["+xml", "/svg"];
/// A file store says so when it was told nothing: then the webhook's word counts.
const NO_TYPES: [&str; 3] = ["", "application/octet-stream", "binary/octet-stream"];

/// How much is taken, and from where beside the hosts that are known.
#[derive(Clone, Debug)]
pub struct MediaLimits {
    /// A larger medium is refused.
    pub max_bytes: usize,
    /// Further hosts of carriers: exact names, asked by https alone.
    pub hosts: Vec<String>,
}

/// A medium with its bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct FetchedMedia {
    /// MIME type without parameters, lower case: one of those that are stored.
    pub content_type: String,
    pub bytes: Bytes,
}

impl fmt::Debug for FetchedMedia {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchedMedia")
            .field("content_type", &self.content_type)
            .field("bytes", &self.bytes.len())
            .finish()
    }
}

/// Why there is no medium.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MediaError {
    /// The carrier does not have it any more, or never had. For good.
    #[error("the carrier does not have the medium")]
    Gone,
    /// We do not take it. For good.
    #[error("the medium is refused: {0}")]
    Refused(MediaRefusal),
    /// Another try may bring it.
    #[error("the medium cannot be fetched now: {cause}")]
    Later {
        /// How long the carrier asks us to wait, if it says so.
        retry_after: Option<Duration>,
        /// For operators: what failed. No address.
        cause: String,
    },
}

/// Why a medium is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MediaRefusal {
    #[error("it is not at one of the carrier's hosts")]
    Host,
    #[error("its type is not one that is stored")]
    ContentType,
    #[error("it is too large")]
    TooLarge,
}

/// A host of the carrier's, asked by https.
pub(crate) struct MediaHost {
    /// With a dot in front: every name below it.
    pub(crate) name: &'static str,
    /// What paths begin with there: some hosts are shared with others.
    pub(crate) path: &'static str,
}

/// Where one carrier's media may be.
pub(crate) struct MediaPlaces<'a> {
    /// The configured address of the carrier, with whatever scheme: the simulator's, too.
    pub(crate) base_url: &'a Url,
    pub(crate) hosts: &'static [MediaHost],
}

impl MediaPlaces<'_> {
    fn allow(&self, url: &Url, limits: &MediaLimits) -> bool {
        if !url.username().is_empty() || url.password().is_some() {
            return false;
        }
        if same_origin(url, self.base_url) {
            return true;
        }
        // Who is told to talk to a simulator does not talk to the carrier.
        if self.base_url.scheme() != "https" || url.scheme() != "https" || url.port().is_some() {
            return false;
        }
        let Some(host) = url.host_str() else { return false };
        let known = self.hosts.iter().any(|known| {
            let fits = if known.name.starts_with('.') { host.ends_with(known.name) } else { host == known.name };
            fits && url.path().starts_with(known.path)
        });
        known || limits.hosts.iter().any(|further| further.eq_ignore_ascii_case(host))
    }
}

fn same_origin(one: &Url, other: &Url) -> bool {
    matches!(one.origin(), Origin::Tuple(..)) && one.origin() == other.origin()
}

/// Fetches a medium. `authorise` completes the first request.
pub(crate) async fn fetch(
    exchange: &Exchange,
    places: &MediaPlaces<'_>,
    media: &InboundMedia,
    limits: &MediaLimits,
    authorise: impl Fn(&Url, RequestBuilder) -> RequestBuilder + Send,
) -> Result<FetchedMedia, MediaError> {
    let mut url = media.url.clone();
    for hop in 0..=MAX_REDIRECTS {
        if !places.allow(&url, limits) {
            return Err(MediaError::Refused(MediaRefusal::Host));
        }
        let request = exchange.request(Method::GET, url.clone());
        let request = if hop == 0 { authorise(&url, request) } else { request };
        let response = request.send().await.map_err(failed)?;
        match response.status().as_u16() {
            200 => return read(response, &media.content_type, limits).await,
            301 | 302 | 303 | 307 | 308 => {
                url = find_location(&url, response.headers())
                    .ok_or_else(|| later("the carrier's redirect leads nowhere".into()))?;
            }
            404 | 410 => return Err(MediaError::Gone),
            status => {
                let retry_after = retry_after(response.headers());
                return Err(MediaError::Later { retry_after, cause: format!("the carrier answered {status}") });
            }
        }
    }
    Err(later("the carrier redirects on and on".into()))
}

fn find_location(from: &Url, headers: &HeaderMap) -> Option<Url> {
    from.join(headers.get(LOCATION)?.to_str().ok()?).ok()
}

async fn read(mut response: Response, declared: &str, limits: &MediaLimits) -> Result<FetchedMedia, MediaError> {
    let content_type = find_type(response.headers(), declared).ok_or(MediaError::Refused(MediaRefusal::ContentType))?;
    let too_large = MediaError::Refused(MediaRefusal::TooLarge);
    if response.content_length().is_some_and(|length| length > limits.max_bytes as u64) {
        return Err(too_large);
    }
    let mut bytes = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if bytes.len() + chunk.len() > limits.max_bytes {
            return Err(too_large);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(FetchedMedia { content_type, bytes: bytes.freeze() })
}

/// The type of an answer, if it is one that is stored.
fn find_type(headers: &HeaderMap, declared: &str) -> Option<String> {
    let essence = |text: &str| text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let said = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(essence).unwrap_or_default();
    let content_type = if NO_TYPES.contains(&said.as_str()) { essence(declared) } else { said };
    is_stored_type(&content_type).then_some(content_type)
}

fn is_stored_type(content_type: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/+-._".contains(&byte);
    content_type.len() <= MAX_TYPE
        && content_type.bytes().all(plain)
        && content_type.matches('/').count() == 1
        && !REFUSED_SUFFIXES.iter().any(|suffix| content_type.ends_with(suffix))
        && TYPES.iter().any(|known| {
            if known.ends_with('/') {
                content_type.len() > known.len() && content_type.starts_with(known)
            } else {
                content_type == *known
            }
        })
}

fn failed(error: reqwest::Error) -> MediaError {
    later(cause_of(error))
}

fn later(cause: String) -> MediaError {
    MediaError::Later { retry_after: None, cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTS: &[MediaHost] =
        &[MediaHost { name: ".carrier.com", path: "/" }, MediaHost { name: "s3.example.com", path: "/carrier/" }];

    fn allows(base: &str, url: &str) -> bool {
        let limits = MediaLimits { max_bytes: 1, hosts: vec!["further.example.com".into()] };
        let base_url = Url::parse(base).unwrap();
        MediaPlaces { base_url: &base_url, hosts: HOSTS }.allow(&Url::parse(url).unwrap(), &limits)
    }

    #[test]
    fn only_the_carriers_hosts_are_asked_and_only_by_https() {
        let base = "https://api.carrier.com";
        for good in [
            "https://api.carrier.com/a",
            "https://cdn.carrier.com/a",
            "https://s3.example.com/carrier/a",
            "https://further.example.com/a",
        ] {
            assert!(allows(base, good), "{good}");
        }
        for bad in [
            "http://api.carrier.com/a",
            "http://cdn.carrier.com/a",
            "https://api.carrier.com:8443/a",
            "https://me@api.carrier.com/a",
            "https://carrier.com.evil.com/a",
            "https://evilcarrier.com/a",
            "https://s3.example.com/somebody/a",
            "https://s3.example.com/carrier/../somebody/a",
            "http://further.example.com/a",
            "https://127.0.0.1/a",
            "https://169.254.169.254/latest/meta-data",
            "http://localhost/a",
            "file:///etc/passwd",
            "data:text/plain,a",
        ] {
            assert!(!allows(base, bad), "{bad}");
        }
    }

    #[test]
    fn a_simulator_is_asked_alone() {
        let base = "http://127.0.0.1:8090";
        assert!(allows(base, "http://127.0.0.1:8090/media/1"));
        for bad in ["http://127.0.0.1:8091/media/1", "https://cdn.carrier.com/a", "https://further.example.com/a"] {
            assert!(!allows(base, bad), "{bad}");
        }
    }

    #[test]
    fn only_what_phones_send_and_browsers_do_not_execute_is_stored() {
        for good in
            ["image/jpeg", "image/heic", "video/3gpp", "audio/amr", "application/pdf", "text/vcard", "text/plain"]
        {
            assert!(is_stored_type(good), "{good}");
        }
        for bad in [
            "",
            "image/",
            "image/svg+xml",
            "image/svg",
            "text/html",
            "text/javascript",
            "application/xhtml+xml",
            "application/json",
            "application/octet-stream",
            "image/jpeg/x",
            "image/jpeg\r\nx: y",
            "imagejpeg",
        ] {
            assert!(!is_stored_type(bad), "{bad}");
        }
        assert!(!is_stored_type(&format!("image/{}", "x".repeat(MAX_TYPE))));
    }
}
