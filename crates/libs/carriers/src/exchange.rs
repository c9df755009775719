//! One HTTP exchange with a carrier, and what its end proves (rule 16).
//!
//! [`decide_verdict`] is the whole decision, the same for every carrier: which endings prove that a request was
//! never read, and which leave it open. The client neither retries nor follows redirects nor asks the environment
//! for a proxy. What a carrier's codes mean is not known here, only in its [`ErrorTables`].

use std::{error::Error, sync::Arc, time::Duration};

use http::{HeaderMap, Method, StatusCode, header::RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response};
use rustls::{ClientConfig, RootCertStore};
use serde::de::DeserializeOwned;
use thiserror::Error;
use url::Url;

use crate::error_tables::ErrorTables;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Shorter than what load balancers usually grant an idle connection: writing into one that is just being closed
/// ends as `Unknown`.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// A page of 1,000 numbers is under 1 MB. More is not an answer of a carrier's.
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;
/// A longer wait is not advice, and no lane shall stand still for it.
pub(crate) const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// Why no client can be built.
#[derive(Debug, Error)]
pub enum ClientError {
    /// TLS parameters that this build does not support.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    #[error("the HTTP client cannot be built")]
    Http(#[source] reqwest::Error),
}

/// A client with warm connections to one carrier.
#[derive(Debug)]
pub(crate) struct Exchange {
    client: Client,
    tables: &'static ErrorTables,
}

/// Why an exchange did not bring what was asked for. The names are those of [`crate::SendOutcome`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    Refused { status: u16, code: Option<String> },
    Throttled { retry_after: Option<Duration>, code: Option<String> },
    Unreachable { cause: String },
    Unknown { cause: String },
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// The request could not even be put together.
    NotBuilt,
    /// No connection: refused, no such host, TLS failed, or no answer to the connect within its time.
    NotConnected,
    /// The time ran out after the connection stood.
    TimedOut,
    /// The connection broke before the answer began.
    Broken,
    /// A status line came. Its body may be cut short.
    Answered(u16),
}

/// What an ending proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Done,
    Refused,
    Throttled,
    Unreachable,
    Unknown,
}

/// Rule 16: only what surely was not written or surely was refused may be called so.
#[expect(clippy::match_same_arms, reason = "each arm is open or closed for its own reason")]
fn decide_verdict(ending: Ending) -> Verdict {
    match ending {
        Ending::NotBuilt | Ending::NotConnected => Verdict::Unreachable,
        Ending::TimedOut | Ending::Broken => Verdict::Unknown,
        Ending::Answered(200..=299) => Verdict::Done,
        // Turned away before anything was processed: both carriers say so (CARRIERS §2, §3).
        Ending::Answered(429) => Verdict::Throttled,
        // A proxy that waited too long may have passed the request on.
        Ending::Answered(408) => Verdict::Unknown,
        Ending::Answered(400..=499) => Verdict::Refused,
        // 5xx: carriers say that a retry may text twice. 1xx and 3xx: not in their contracts.
        Ending::Answered(_) => Verdict::Unknown,
    }
}

impl Exchange {
    /// Does not connect. `timeout` is for one request in all; the connection alone gets half of it, at most 5 s.
    pub(crate) fn new(timeout: Duration, tables: &'static ErrorTables) -> Result<Self, ClientError> {
        let client = Client::builder()
            .user_agent(concat!("leaseline/", env!("CARGO_PKG_VERSION")))
            .tls_backend_preconfigured(tls_config()?)
            .connect_timeout(CONNECT_TIMEOUT.min(timeout / 2))
            .timeout(timeout)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .tcp_keepalive(KEEP_ALIVE)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .retry(reqwest::retry::never())
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(ClientError::Http)?;
        Ok(Self { client, tables })
    }

    /// A request to be completed and given to [`Exchange::fetch`] or [`Exchange::run`].
    pub(crate) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// Makes the exchange and reads a JSON answer.
    pub(crate) async fn fetch<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Trouble> {
        let body = self.run(request).await?;
        // A success that cannot be read says that something was done, but not what.
        serde_json::from_slice(&body)
            .map_err(|_| Trouble::Unknown { cause: "the answer says success but cannot be read".into() })
    }

    /// Makes the exchange; the answer's body is given only for a success.
    pub(crate) async fn run(&self, request: RequestBuilder) -> Result<Vec<u8>, Trouble> {
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                let ending = ending_of(&error);
                let cause = cause_of(error);
                return Err(match decide_verdict(ending) {
                    Verdict::Unreachable => Trouble::Unreachable { cause },
                    _ => Trouble::Unknown { cause },
                });
            }
        };
        let status = response.status();
        let retry_after = retry_after(response.headers());
        let body = read_body(&mut response).await;
        match decide_verdict(Ending::Answered(status.as_u16())) {
            Verdict::Done => body.map_err(|cause| Trouble::Unknown { cause }),
            Verdict::Throttled => {
                let code = body.ok().as_deref().and_then(self.tables.read_code);
                Err(Trouble::Throttled { retry_after, code })
            }
            Verdict::Refused => Err(self.refused(status, body.ok().as_deref(), retry_after)),
            Verdict::Unreachable | Verdict::Unknown => {
                Err(Trouble::Unknown { cause: format!("the carrier answered {}", status.as_u16()) })
            }
        }
    }

    /// A refusal stands on its status alone; the body only names it.
    fn refused(&self, status: StatusCode, body: Option<&[u8]>, retry_after: Option<Duration>) -> Trouble {
        match body.and_then(self.tables.read_code) {
            Some(code) if self.tables.is_throttle(&code) => Trouble::Throttled { retry_after, code: Some(code) },
            code => Trouble::Refused { status: status.as_u16(), code },
        }
    }
}

/// An address that requests can be built on: http or https with a host.
pub(crate) fn find_base(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// Below a base address. Each segment is escaped, so that an id cannot lead to another path.
pub(crate) fn below(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

fn ending_of(error: &reqwest::Error) -> Ending {
    if error.is_builder() {
        Ending::NotBuilt
    } else if error.is_connect() {
        // Before `is_timeout`: a connect that timed out is both, and nothing was written.
        Ending::NotConnected
    } else if error.is_timeout() {
        Ending::TimedOut
    } else {
        Ending::Broken
    }
}

/// What failed, in words of the libraries, without the address: its query holds phone numbers.
pub(crate) fn cause_of(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        cause.push_str(": ");
        cause.push_str(&inner.to_string());
        source = inner.source();
    }
    cause
}

async fn read_body(response: &mut Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(cause_of)? {
        if body.len() + chunk.len() > MAX_BODY_BYTES {
            return Err("the answer is longer than any answer of the carrier".into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Seconds only. The date form needs a clock, and carriers do not use it.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

/// TLS that depends neither on a process-wide provider nor on the machine's certificates: the client can be built
/// anywhere, also where only plain http to the simulator follows.
fn tls_config() -> Result<ClientConfig, ClientError> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(ClientError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_surely_was_not_written_is_unreachable() {
        assert_eq!(decide_verdict(Ending::NotBuilt), Verdict::Unreachable);
        assert_eq!(decide_verdict(Ending::NotConnected), Verdict::Unreachable);
        assert_eq!(decide_verdict(Ending::TimedOut), Verdict::Unknown);
        assert_eq!(decide_verdict(Ending::Broken), Verdict::Unknown);
        assert!((100..=999).all(|status| decide_verdict(Ending::Answered(status)) != Verdict::Unreachable));
    }

    #[test]
    fn a_status_is_done_refused_throttled_or_else_unknown() {
        for status in 100..=999 {
            let expected = match status {
                200..=299 => Verdict::Done,
                408 => Verdict::Unknown,
                429 => Verdict::Throttled,
                400..=499 => Verdict::Refused,
                _ => Verdict::Unknown,
            };
            assert_eq!(decide_verdict(Ending::Answered(status)), expected, "{status}");
        }
    }
}
