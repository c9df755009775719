//! Posts the carrier's webhooks: signed, within Twilio's time limits, with its retries and its fallback address.
//! It follows no redirects and reads at most 64 kB of an answer, as Twilio does.

use std::time::Duration;

use anyhow::Context as _;
use reqwest::redirect;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::retry::{Failure, RetryPolicy};
use crate::sid;
use crate::signature::Signer;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_ANSWER: usize = 64 * 1024;
/// Twilio's code for a webhook that could not be fetched; told to the fallback address.
const FETCH_FAILED: &str = "11200";

/// Form fields in the order in which they are posted.
pub(crate) type Params = Vec<(String, String)>;

/// What the webhook's owner answered, whatever the status.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// The end of a delivery: the last answer, if there was one.
pub(crate) struct Delivery {
    pub(crate) answer: Option<Answer>,
}

impl Delivery {
    pub(crate) fn is_success(&self) -> bool {
        self.answer.as_ref().is_some_and(Answer::is_success)
    }
}

/// The sender. Connections stay open between deliveries.
#[derive(Debug)]
pub(crate) struct Webhooks {
    client: reqwest::Client,
    signer: Signer,
    shutdown: CancellationToken,
}

impl Webhooks {
    pub(crate) fn new(auth_token: &str, shutdown: CancellationToken) -> anyhow::Result<Self> {
        // The process may have chosen its TLS provider already; then that one is used.
        let _already_chosen = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(redirect::Policy::none())
            .user_agent("TwilioProxy/1.1")
            .tcp_nodelay(true)
            .no_proxy()
            .build()
            .context("the webhook client cannot be built")?;
        Ok(Self { client, signer: Signer::new(auth_token).context("the auth token cannot sign")?, shutdown })
    }

    /// Asks `url`, and `fallback` when that fails in the end.
    pub(crate) async fn deliver_with_fallback(&self, url: &str, fallback: Option<&str>, params: &Params) -> Delivery {
        let delivery = self.deliver(url, params).await;
        let Some(fallback) = fallback.filter(|_| !delivery.is_success()) else { return delivery };
        let mut told = params.clone();
        told.push(("ErrorCode".to_owned(), FETCH_FAILED.to_owned()));
        told.push(("ErrorUrl".to_owned(), url.to_owned()));
        self.deliver(fallback, &told).await
    }

    /// Ends early without an answer on shutdown.
    pub(crate) async fn deliver(&self, url: &str, params: &Params) -> Delivery {
        tokio::select! {
            delivery = self.deliver_with_retries(url, params) => delivery,
            () = self.shutdown.cancelled() => Delivery { answer: None },
        }
    }

    async fn deliver_with_retries(&self, url: &str, params: &Params) -> Delivery {
        let (url, fragment) = url.split_once('#').unwrap_or((url, ""));
        let policy = RetryPolicy::parse(fragment);
        let deadline = Instant::now() + policy.total;
        let signature = self.signer.sign(url, params);
        let token = sid::make("");
        let mut retried = 0;
        loop {
            let remaining = deadline.saturating_duration_since(Instant::now());
            let attempt = self.attempt(url, params, &signature, &token, remaining.min(policy.read_timeout)).await;
            let failure = match &attempt {
                Ok(answer) if answer.is_success() => return Delivery { answer: attempt.ok() },
                Ok(answer) => Failure::Status(answer.status),
                Err(failure) => *failure,
            };
            match policy.decide_retry(failure, retried) {
                Some(pause) if Instant::now() + pause < deadline => tokio::time::sleep(pause).await,
                _ => {
                    tracing::info!(?failure, retried, "a webhook was not taken");
                    return Delivery { answer: attempt.ok() };
                }
            }
            retried += 1;
        }
    }

    async fn attempt(
        &self,
        url: &str,
        params: &Params,
        signature: &str,
        token: &str,
        timeout: Duration,
    ) -> Result<Answer, Failure> {
        let request = self
            .client
            .post(url)
            .header("X-Twilio-Signature", signature)
            .header("I-Twilio-Idempotency-Token", token)
            .form(params)
            .timeout(timeout);
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
}
