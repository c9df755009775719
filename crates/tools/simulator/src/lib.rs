//! The carrier simulator: a program that plays Twilio and Telnyx on loopback (DESIGN §3), so that the real adapters run in
//! development, tests, benchmarks and demos. It also plays the phones, through a control API under `/_sim` and a page for people.
//! It is a witness of its own: it shares no code with the product, checks credentials and signs webhooks itself,
//! and keeps numbers as plain strings. It refuses what it cannot play instead of pretending.
//! Everything lives in memory and is bounded; the README documents each call and each fault.

mod airplane;
mod area_codes;
mod calls;
mod carrier;
mod connection;
mod consent;
mod control;
mod e164;
mod faults;
mod fields;
mod history;
mod inventory;
mod ledger;
mod media;
mod networks;
mod numbers;
mod page;
mod receipts;
mod requests;
mod segments;
mod sid;
mod state;
mod telnyx;
#[cfg(test)]
mod tests;
mod texts;
mod twilio;
mod twiml;
mod webhook;
mod witness;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::http::Uri;
use axum::middleware;
use axum::response::Response;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::state::Simulator;
use crate::telnyx::signature::Signer;

/// How long open connections may take to end after the shutdown.
const SHUTDOWN_GRACE: Duration = Duration::from_millis(500);

/// Who the one account is at each carrier, and how fast the carriers are.
#[derive(Clone)]
pub struct Config {
    /// `AC` and 32 hexadecimal digits; user name of the Basic authentication.
    pub account_sid: String,
    /// Password of the Basic authentication and key of the webhook signatures.
    pub auth_token: String,
    /// From the acceptance of a message to its `sent` receipt, and from there to `delivered`.
    pub receipt_delay: Duration,
    /// Bearer key of Telnyx's API. Empty: everybody is refused there.
    pub telnyx_api_key: String,
    /// Seed of the ed25519 key that signs Telnyx's webhooks: 32 bytes in base64 or hexadecimal digits. See [`telnyx_public_key`].
    pub telnyx_signing_key: String,
    /// From the acceptance of a Telnyx number order to its end.
    pub order_delay: Duration,
    /// Where owned numbers are kept from one run to the next. `None`: they end with the program.
    pub numbers_file: Option<PathBuf>,
}

impl Config {
    /// A quick Twilio: `sent` after 20 ms, `delivered` after 40 ms. There is no Telnyx until it gets a key.
    pub fn new(account_sid: impl Into<String>, auth_token: impl Into<String>) -> Self {
        Self {
            account_sid: account_sid.into(),
            auth_token: auth_token.into(),
            receipt_delay: Duration::from_millis(20),
            telnyx_api_key: String::new(),
            telnyx_signing_key: String::new(),
            order_delay: Duration::from_millis(50),
            numbers_file: None,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("account_sid", &self.account_sid)
            .field("receipt_delay", &self.receipt_delay)
            .finish_non_exhaustive()
    }
}

/// The key with which webhooks signed with this seed are verified, in base64, as Telnyx shows it in its portal.
///
/// # Errors
/// The seed is not 32 bytes in base64 or hexadecimal digits.
pub fn telnyx_public_key(seed: &str) -> anyhow::Result<String> {
    Ok(Signer::new(seed)?.public_key())
}

/// Serves on `listener` until `shutdown` is cancelled, and ends within a second from then, whatever is still open.
///
/// Fails when the configuration cannot be used. Dropping the future ends the background work as well.
pub async fn run(config: Config, listener: TcpListener, shutdown: CancellationToken) -> anyhow::Result<()> {
    let shutdown = shutdown.child_token();
    let _ends_with_this_future = shutdown.clone().drop_guard();
    let (simulator, arriving) = Simulator::new(config, base_url_of(&listener)?, shutdown.clone())?;
    simulator.tasks.spawn(receipts::run(simulator.clone(), arriving));

    let app = Router::new()
        .merge(twilio::router(&simulator))
        .merge(telnyx::router(&simulator))
        .merge(media::router())
        .merge(control::router())
        .merge(page::router())
        .fallback(refuse_unknown_path)
        .method_not_allowed_fallback(refuse_method)
        .layer(middleware::from_fn_with_state(simulator.clone(), connection::end_on_shutdown))
        .with_state(simulator.clone());
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection stays without TCP_NODELAY");
        }
    });
    let server = axum::serve(listener, app).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    let deadline = async {
        shutdown.cancelled().await;
        tokio::time::sleep(SHUTDOWN_GRACE).await;
    };
    tokio::select! {
        ended = server => ended.context("the simulator cannot serve")?,
        () = deadline => tracing::debug!("connections were still open at the end"),
    }
    simulator.tasks.close();
    simulator.tasks.wait().await;
    Ok(())
}

/// Where the simulator is reached on this machine: addresses of files begin with it.
fn base_url_of(listener: &TcpListener) -> anyhow::Result<String> {
    let address = listener.local_addr().context("the listener has no address")?;
    let ip = address.ip();
    let ip = if ip.is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { ip };
    Ok(format!("http://{}", SocketAddr::new(ip, address.port())))
}

/// A path that nobody has, refused in the manner of those who might.
async fn refuse_unknown_path(uri: Uri) -> Response {
    if control::is_path(uri.path()) {
        control::refuse_path(&uri)
    } else if telnyx::is_path(uri.path()) {
        telnyx::refuse_path()
    } else {
        twilio::refuse_path(&uri)
    }
}

/// A path that exists, with a method that it does not take.
async fn refuse_method(uri: Uri) -> Response {
    if control::is_path(uri.path()) {
        control::refuse_method(&uri)
    } else if telnyx::is_path(uri.path()) {
        telnyx::refuse_method(&uri)
    } else {
        twilio::refuse_method()
    }
}
