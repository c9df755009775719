//! Posts Twilio's webhooks: signed forms, within Twilio's time limits, with its retries and its fallback address.

use std::time::Duration;

use anyhow::Context as _;
use reqwest::Client;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::retry::RetryPolicy;
use super::signature::Signer;
use crate::sid;
use crate::webhook::{Answer, Delivery, Failure, Params, attempt};

const USER_AGENT: &str = "TwilioProxy/1.1";
/// Twilio's code for a webhook that could not be fetched; told to the fallback address.
const FETCH_FAILED: &str = "11200";

#[derive(Debug)]
pub(crate) struct Webhooks {
    client: Client,
    signer: Signer,
    shutdown: CancellationToken,
}

impl Webhooks {
    pub(crate) fn new(client: Client, auth_token: &str, shutdown: CancellationToken) -> anyhow::Result<Self> {
        Ok(Self { client, signer: Signer::new(auth_token).context("the auth token cannot sign")?, shutdown })
    }

    /// Asks `url`, and `fallback` when that fails in the end.
    pub(crate) async fn deliver_with_fallback(&self, url: &str, fallback: Option<&str>, params: &Params) -> Delivery {
        let delivery = self.deliver(url, params).await;
        let Some(fallback) = fallback.filter(|_| !delivery.taken) else { return delivery };
        let mut told = params.clone();
        told.push(("ErrorCode".to_owned(), FETCH_FAILED.to_owned()));
        told.push(("ErrorUrl".to_owned(), url.to_owned()));
        Delivery { from_fallback: true, ..self.deliver(fallback, &told).await }
    }

    /// Ends early without an answer on shutdown.
    pub(crate) async fn deliver(&self, url: &str, params: &Params) -> Delivery {
        tokio::select! {
            delivery = self.deliver_with_retries(url, params) => delivery,
            () = self.shutdown.cancelled() => Delivery::default(),
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
                Ok(answer) if (200..300).contains(&answer.status) => {
                    return Delivery { answer: attempt.ok(), taken: true, from_fallback: false };
                }
                Ok(answer) => Failure::Status(answer.status),
                Err(failure) => *failure,
            };
            match policy.decide_retry(failure, retried) {
                Some(pause) if Instant::now() + pause < deadline => tokio::time::sleep(pause).await,
                _ => {
                    tracing::info!(?failure, retried, "a webhook was not taken");
                    return Delivery { answer: attempt.ok(), taken: false, from_fallback: false };
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
            .header("User-Agent", USER_AGENT)
            .header("X-Twilio-Signature", signature)
            .header("I-Twilio-Idempotency-Token", token)
            .form(params)
            .timeout(timeout);
        attempt(request).await
    }
}
