//! The outermost function of every service: arguments, settings, telemetry, runtime, exit code.
//!
//! Two arguments exist, `--config FILE` and `--print-config`. Everything else is a setting.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::de::DeserializeOwned;

use crate::lifecycle::Lifecycle;
use crate::settings::ProcessSettings;
use crate::{config, telemetry};

/// For blocking work that does not end by itself, after everything else has.
const RUNTIME_GRACE: Duration = Duration::from_secs(1);

/// Runs a service until it is asked to stop or fails.
///
/// The defaults have the sections of [`ProcessSettings`]; whether `T` does is up to the service.
///
/// `run` composes the service: it starts what it needs on the lifecycle and returns, or returns when it is done.
/// The process ends when the lifecycle stops and its work has ended. Exit code 0 after an orderly stop, 1 after
/// any failure, with one sentence on stderr.
pub fn main<T, F, Fut>(service: &'static str, defaults: &'static str, run: F) -> ExitCode
where
    T: DeserializeOwned,
    F: FnOnce(T, Lifecycle) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    let outcome = match parse_arguments(std::env::args_os().skip(1)) {
        Ok(Invocation::PrintConfig) => {
            std::io::stdout().write_all(defaults.as_bytes()).context("the settings cannot be printed")
        }
        Ok(Invocation::Run { config }) => start(service, defaults, config.as_deref(), run),
        Err(error) => Err(error),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{service}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Chooses ring for TLS, once in a process. Programs that do not use [`main`] call it themselves.
pub fn install_tls() {
    // An error means that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn start<T, F, Fut>(service: &'static str, defaults: &'static str, file: Option<&Path>, run: F) -> anyhow::Result<()>
where
    T: DeserializeOwned,
    F: FnOnce(T, Lifecycle) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    // Read on its own as well: inside a flattened field serde forgets which key was wrong.
    let process: ProcessSettings = config::load(defaults, file, &config::environment)?;
    let settings: T = config::load(defaults, file, &config::environment)?;
    install_tls();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the runtime cannot start")?;
    let outcome = runtime.block_on(async {
        let telemetry = telemetry::init(service, &process.log, &process.tracing)?;
        let lifecycle = Lifecycle::new();
        lifecycle.stop_on_signals().context("signals cannot be watched")?;
        let outcome = live(run(settings, lifecycle.clone()), &lifecycle, process.shutdown.deadline()).await;
        telemetry.shutdown().await;
        outcome
    });
    runtime.shutdown_timeout(RUNTIME_GRACE);
    outcome
}

/// Composes and waits. When the stop comes during the composition, that has until the deadline to notice.
async fn live(
    run: impl Future<Output = anyhow::Result<()>>,
    lifecycle: &Lifecycle,
    deadline: Duration,
) -> anyhow::Result<()> {
    let (stopping, at_once) = (lifecycle.stopping(), lifecycle.at_once());
    let patience = async {
        stopping.cancelled().await;
        tokio::select! {
            () = tokio::time::sleep(deadline) => {}
            () = at_once.cancelled() => {}
        }
    };
    let composed = tokio::select! {
        composed = run => Some(composed),
        () = patience => None,
    };
    match composed {
        Some(Ok(())) => lifecycle.clone().run_until_stopped(deadline).await,
        None => {
            // The reason of the stop says more than that the start was cut short.
            lifecycle.finish(Duration::ZERO).await?;
            bail!("stopped while still starting")
        }
        Some(Err(error)) => {
            // What was started already gets its chance to end; its own failures are logged.
            if let Err(unfinished) = lifecycle.finish(deadline).await {
                tracing::warn!(error = format!("{unfinished:#}"), "did not stop in order");
            }
            Err(error.context("the service could not start"))
        }
    }
}

#[derive(Debug, PartialEq)]
enum Invocation {
    Run { config: Option<PathBuf> },
    PrintConfig,
}

fn parse_arguments(arguments: impl IntoIterator<Item = OsString>) -> anyhow::Result<Invocation> {
    let mut arguments = arguments.into_iter();
    let mut config = None;
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--print-config") => return Ok(Invocation::PrintConfig),
            Some("--config") => {
                let file = arguments.next().context("--config needs the path of a settings file")?;
                config = Some(PathBuf::from(file));
            }
            _ => bail!("unknown argument `{}`; there are --config FILE and --print-config", argument.to_string_lossy()),
        }
    }
    Ok(Invocation::Run { config })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_millis(20);

    fn parse(arguments: &[&str]) -> anyhow::Result<Invocation> {
        parse_arguments(arguments.iter().map(OsString::from))
    }

    #[test]
    fn the_two_arguments_are_understood_and_others_are_refused_by_name() {
        let config = Some(PathBuf::from("numbers.toml"));
        assert_eq!(parse(&["--config", "numbers.toml"]).unwrap(), Invocation::Run { config });
        assert_eq!(parse(&[]).unwrap(), Invocation::Run { config: None });
        assert_eq!(parse(&["--print-config"]).unwrap(), Invocation::PrintConfig);
        assert!(parse(&["--config"]).is_err());
        let error = parse(&["--verbose"]).unwrap_err();
        assert!(error.to_string().contains("`--verbose`"), "{error}");
    }

    #[tokio::test]
    async fn a_composed_service_runs_until_it_is_stopped() {
        let lifecycle = Lifecycle::new();
        let stopping = lifecycle.stopping();
        lifecycle.spawn("work", async move {
            stopping.cancelled().await;
            Ok(())
        });
        let composer = lifecycle.clone();
        let run = async move {
            composer.stop();
            Ok(())
        };
        live(run, &lifecycle, DEADLINE).await.unwrap();
    }

    #[tokio::test]
    async fn a_service_that_cannot_start_says_why_and_stops_what_it_started() {
        let lifecycle = Lifecycle::new();
        let run = async { bail!("the database is newer than this program") };
        let error = live(run, &lifecycle, DEADLINE).await.unwrap_err();
        assert_eq!(format!("{error:#}"), "the service could not start: the database is newer than this program");
        assert!(lifecycle.is_stopping());
    }

    #[tokio::test]
    async fn a_start_that_does_not_notice_the_stop_is_cut_and_the_reason_of_the_stop_is_told() {
        let lifecycle = Lifecycle::new();
        lifecycle.spawn("relay", async { bail!("no stream") });
        let error = live(std::future::pending(), &lifecycle, DEADLINE).await.unwrap_err();
        assert_eq!(format!("{error:#}"), "the task `relay` failed: no stream");

        let lifecycle = Lifecycle::new();
        lifecycle.stop();
        let error = live(std::future::pending(), &lifecycle, DEADLINE).await.unwrap_err();
        assert_eq!(error.to_string(), "stopped while still starting");
    }
}
