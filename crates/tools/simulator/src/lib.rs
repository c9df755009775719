//! The carrier simulator: a program that plays Twilio on loopback (DESIGN §3), so that the real adapter runs in
//! development, tests, benchmarks and demos. It also plays the phones, through a control API under `/_sim`.
//! It is a witness of its own: it shares no code with the product, checks credentials and signs webhooks itself,
//! and keeps numbers as plain strings. It refuses what it cannot play instead of pretending.
//! Everything lives in memory and is bounded; the README documents each call and each fault.

mod area_codes;
mod connection;
mod consent;
mod control;
mod e164;
mod faults;
mod history;
mod inventory;
mod numbers;
mod receipts;
mod requests;
mod retry;
mod segments;
mod sid;
mod signature;
mod state;
#[cfg(test)]
mod tests;
mod twilio;
mod twiml;
mod webhook;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::middleware;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::state::Simulator;

/// How long open connections may take to end after the shutdown.
const SHUTDOWN_GRACE: Duration = Duration::from_millis(500);

/// Who the one account is, and how fast the carrier is.
#[derive(Clone)]
pub struct Config {
    /// `AC` and 32 hexadecimal digits; user name of the Basic authentication.
    pub account_sid: String,
    /// Password of the Basic authentication and key of the webhook signatures.
    pub auth_token: String,
    /// From the acceptance of a message to its `sent` receipt, and from there to `delivered`.
    pub receipt_delay: Duration,
    /// Where owned numbers are kept from one run to the next. `None`: they end with the program.
    pub numbers_file: Option<PathBuf>,
}

impl Config {
    /// A quick carrier: `sent` after 20 ms, `delivered` after 40 ms.
    pub fn new(account_sid: impl Into<String>, auth_token: impl Into<String>) -> Self {
        Self {
            account_sid: account_sid.into(),
            auth_token: auth_token.into(),
            receipt_delay: Duration::from_millis(20),
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

/// Serves on `listener` until `shutdown` is cancelled, and ends within a second from then, whatever is still open.
///
/// Fails when the configuration cannot be used. Dropping the future ends the background work as well.
pub async fn run(config: Config, listener: TcpListener, shutdown: CancellationToken) -> anyhow::Result<()> {
    let shutdown = shutdown.child_token();
    let _ends_with_this_future = shutdown.clone().drop_guard();
    let (simulator, arriving) = Simulator::new(config, shutdown.clone())?;
    simulator.tasks.spawn(receipts::run(simulator.clone(), arriving));

    let app = Router::new()
        .merge(twilio::router(&simulator))
        .merge(control::router())
        .fallback(twilio::refuse_unknown_path)
        .method_not_allowed_fallback(twilio::refuse_method)
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
