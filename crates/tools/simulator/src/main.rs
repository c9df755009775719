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

/// Plays Twilio and Telnyx on loopback, phones included.
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
    /// The key of Telnyx's API. Without it everybody is refused there.
    #[arg(long, env = "LEASELINE_TELNYX_API_KEY", default_value = "", hide_env_values = true)]
    telnyx_api_key: String,
    /// The seed that signs Telnyx's webhooks: 32 bytes in base64 or hexadecimal digits.
    #[arg(long, env = "LEASELINE_SIMULATOR_TELNYX_SIGNING_KEY", default_value = "", hide_env_values = true)]
    telnyx_signing_key: String,
    /// Milliseconds from the acceptance of a Telnyx number order to its end.
    #[arg(long, env = "LEASELINE_SIMULATOR_ORDER_DELAY_MS", default_value_t = 50)]
    order_delay: u64,
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
    let arguments = Arguments::parse();
    let listen = arguments.listen;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    tracing::info!(address = %listener.local_addr()?, "the carrier simulator is ready");
    let shutdown = CancellationToken::new();
    let config = Config {
        receipt_delay: Duration::from_millis(arguments.receipt_delay),
        telnyx_api_key: arguments.telnyx_api_key,
        telnyx_signing_key: arguments.telnyx_signing_key,
        order_delay: Duration::from_millis(arguments.order_delay),
        numbers_file: arguments.numbers_file,
        ..Config::new(arguments.account_sid, arguments.auth_token)
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
