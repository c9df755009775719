//! The public keys of the company's login, fetched from where it publishes them.
//!
//! They are kept, renewed every few minutes, and asked for again when a token names a key that is not among them:
//! at most every ten seconds, so that made-up key names are no way to make us flood the login. A failed renewal
//! keeps the old keys.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context as _;
use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::Jwk;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::keys::Key;

const RENEW_INTERVAL: Duration = Duration::from_mins(5);
/// Also how long a first fetch that failed waits for the next.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(10);
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_BYTES: usize = 256 * 1024;

/// Published keys, as last seen.
pub(super) struct Jwks {
    url: Url,
    client: reqwest::Client,
    /// None until they were fetched once.
    keys: RwLock<Option<Arc<Vec<Key>>>>,
    /// When they were last asked for, whatever came of it.
    asked: Mutex<Option<Instant>>,
}

/// The keys were never there, so nothing can be said about a token.
#[derive(Debug)]
pub(super) struct KeysUnavailable;

#[derive(Deserialize)]
struct Document {
    /// Read one by one: a key of a kind that we do not know does not spoil the others.
    keys: Vec<serde_json::Value>,
}

impl Jwks {
    pub(super) fn new(url: &str) -> anyhow::Result<Self> {
        let url = Url::parse(url).context("`auth.jwks_url` is not an address")?;
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls_config()?)
            .timeout(FETCH_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .context("the client for `auth.jwks_url` cannot be made")?;
        Ok(Self { url, client, keys: RwLock::default(), asked: Mutex::default() })
    }

    /// The keys that could have signed a token with this header.
    pub(super) async fn list_fitting(
        &self,
        algorithm: Algorithm,
        id: Option<&str>,
    ) -> Result<Vec<Key>, KeysUnavailable> {
        let fitting = self.known_fitting(algorithm, id);
        if fitting.as_ref().is_ok_and(|keys| !keys.is_empty()) {
            return fitting;
        }
        self.renew().await;
        self.known_fitting(algorithm, id)
    }

    /// Renews the keys until the service stops.
    pub(super) async fn keep_fresh(self: Arc<Self>, stopping: CancellationToken) {
        loop {
            self.renew().await;
            let pause = if self.known().is_some() { RENEW_INTERVAL } else { SHORTEST_INTERVAL };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stopping.cancelled() => return,
            }
        }
    }

    fn known(&self) -> Option<Arc<Vec<Key>>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn known_fitting(&self, algorithm: Algorithm, id: Option<&str>) -> Result<Vec<Key>, KeysUnavailable> {
        let keys = self.known().ok_or(KeysUnavailable)?;
        Ok(keys.iter().filter(|key| key.fits(algorithm, id)).cloned().collect())
    }

    /// Asks unless somebody just has. Who comes meanwhile waits for the answer and uses it.
    async fn renew(&self) {
        let mut asked = self.asked.lock().await;
        if asked.is_some_and(|at| at.elapsed() < SHORTEST_INTERVAL) {
            return;
        }
        let outcome = self.fetch().await;
        *asked = Some(Instant::now());
        match outcome {
            Ok(keys) => {
                tracing::info!(keys = keys.len(), "the public keys of the login were fetched");
                *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(keys));
            }
            Err(error) => {
                metrics::counter!("gateway_jwks_failures_total").increment(1);
                tracing::warn!(error = format!("{error:#}"), "the public keys of the login could not be fetched");
            }
        }
    }

    async fn fetch(&self) -> anyhow::Result<Vec<Key>> {
        let mut response = self.client.get(self.url.clone()).send().await?.error_for_status()?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
            anyhow::ensure!(body.len() <= MAX_BYTES, "the answer is larger than {MAX_BYTES} bytes");
        }
        let document: Document = serde_json::from_slice(&body).context("the answer is not a set of keys")?;
        let read = document.keys.into_iter().filter_map(|value| serde_json::from_value::<Jwk>(value).ok());
        Ok(read.filter_map(|jwk| Key::find_usable(&jwk)).collect())
    }
}

/// The roots of the public web, and ring: it depends neither on the machine nor on the process.
fn tls_config() -> anyhow::Result<ClientConfig> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("TLS cannot be set up")?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
