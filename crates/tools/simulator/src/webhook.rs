//! Posts webhooks for both carriers: one attempt at a time, without redirects, and at most 64 kB of an answer.
//! Signatures, retries and fallback addresses are each carrier's own, in its folder.

use std::time::Duration;

use anyhow::Context as _;
use reqwest::{RequestBuilder, redirect};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_ANSWER: usize = 64 * 1024;

/// Form fields in the order in which they are posted.
pub(crate) type Params = Vec<(String, String)>;

/// Form fields from literals.
pub(crate) fn params_of<const N: usize>(pairs: [(&str, &str); N]) -> Params {
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// How an attempt went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No connection.
    Connect,
    /// A connection, but no whole answer in time.
    Read,
    /// An answer that is not what the carrier wants.
    Status(u16),
}

/// What the webhook's owner answered, whatever the status.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// The end of a delivery.
#[derive(Default)]
pub(crate) struct Delivery {
    /// The last answer, if there was one.
    pub(crate) answer: Option<Answer>,
    /// Whether the carrier is content with it.
    pub(crate) taken: bool,
    /// Whether it is the fallback address that answered.
    pub(crate) from_fallback: bool,
}

/// The client. Connections stay open between deliveries.
pub(crate) fn build_client() -> anyhow::Result<reqwest::Client> {
    // The process may have chosen its TLS provider already; then that one is used.
    let _already_chosen = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(redirect::Policy::none())
        .tcp_nodelay(true)
        .no_proxy()
        .build()
        .context("the webhook client cannot be built")
}

/// One attempt.
pub(crate) async fn attempt(request: RequestBuilder) -> Result<Answer, Failure> {
    let mut response =
        request.send().await.map_err(|error| if error.is_connect() { Failure::Connect } else { Failure::Read })?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| Failure::Read)? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER {
            return Err(Failure::Read);
        }
    }
    Ok(Answer { status: response.status().as_u16(), body: String::from_utf8_lossy(&body).into_owned() })
}
