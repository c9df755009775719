//! The carrier simulator as a program of its own. `README.md` says what it answers.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use simulator::Config;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Plays Twilio on loopback, phones included.
#[derive(Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long, env = "LEASELINE_SIMULATOR_LISTEN", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// The account that may use the carrier.
    #[arg(long, env = "LEASELINE_TWILIO_ACCOUNT_SID")]
    account_sid: String,
    /// Its secret, which also signs the webhooks.
    #[arg(long, env = "LEASELINE_TWILIO_AUTH_TOKEN", hide_env_values = true)]
    auth_token: String,
    /// Milliseconds from the acceptance of a message to `sent`, and from there to `delivered`.
    #[arg(long, env = "LEASELINE_SIMULATOR_RECEIPT_DELAY_MS", default_value_t = 20)]
    receipt_delay: u64,
    /// A file that keeps the owned numbers from one run to the next.
    #[arg(long, env = "LEASELINE_SIMULATOR_NUMBERS_FILE")]
    numbers_file: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let Arguments { listen, account_sid, auth_token, receipt_delay, numbers_file } = Arguments::parse();
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    tracing::info!(address = %listener.local_addr()?, "the carrier simulator is ready");
    let shutdown = CancellationToken::new();
    let config = Config {
        receipt_delay: Duration::from_millis(receipt_delay),
        numbers_file,
        ..Config::new(account_sid, auth_token)
    };
    let server = simulator::run(config, listener, shutdown.clone());
    let stop = async {
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted?,
            _ = terminate.recv() => {}
        }
        shutdown.cancel();
        Ok::<(), anyhow::Error>(())
    };
    tokio::try_join!(server, stop)?;
    Ok(())
}
