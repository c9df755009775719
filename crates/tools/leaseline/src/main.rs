//! The `leaseline` command.

#![expect(clippy::print_stdout, reason = "a command speaks to the terminal")]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use bus::NatsSettings;
use clap::{Parser, Subcommand};
use leaseline::stack::Ports;
use leaseline::{audit, bench, crash, dead, demo, dev, seed};

/// Leaseline's tools for developers and operators.
#[derive(Debug, Parser)]
#[command(name = "leaseline", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole stack on this machine until Ctrl-C (see scripts/dev).
    Dev {
        /// Where engines, keys and addresses live.
        #[arg(long, default_value = ".dev")]
        dir: PathBuf,
        /// Listen on free ports instead of the usual ones.
        #[arg(long)]
        free_ports: bool,
    },
    /// Play the main job and print it as a timeline (see scripts/demo).
    Demo {
        /// Where a running stack wrote its addresses.
        #[arg(long, default_value = ".dev")]
        dir: PathBuf,
    },
    /// Measure the two hot paths, answered calls and the ceilings of this machine (see scripts/bench).
    Bench {
        /// Inbound texts.
        #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(100..=100_000))]
        messages: u32,
        /// Outbound texts.
        #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(100..=100_000))]
        sends: u32,
        /// Where the engines keep their data while it runs; removed at the start and at the end.
        #[arg(long, default_value = ".dev/bench")]
        dir: PathBuf,
        /// Where the results are written.
        #[arg(long, default_value = "BENCHMARKS.md")]
        report: PathBuf,
    },
    /// Compare what calls take with a small and with a large history (see scripts/bench-sizes).
    Sizes {
        #[command(flatten)]
        large: seed::Size,
        /// Calls of each kind.
        #[arg(long, default_value_t = 300)]
        rounds: usize,
        /// Where the engines keep their data while it runs; removed at the start and at the end.
        #[arg(long, default_value = ".dev/sizes")]
        dir: PathBuf,
        /// Where the results are written.
        #[arg(long, default_value = "SIZES.md")]
        report: PathBuf,
    },
    /// Kill, pause and cut off everything under load, and count at the ends what arrived (see scripts/crash).
    Crash {
        /// The rows that every release meets, once each; writes no report.
        #[arg(long)]
        short: bool,
        /// Only rows whose name holds this; writes no report.
        #[arg(long)]
        only: Option<String>,
        /// Of all random moments and victims; printed by each run.
        #[arg(long)]
        seed: Option<u64>,
        /// Where everything keeps its data and logs; removed at the start, and at the end if all was well.
        #[arg(long, default_value = ".dev/crash")]
        dir: PathBuf,
        /// Where the matrix is written.
        #[arg(long, default_value = "CRASHES.md")]
        report: PathBuf,
    },
    /// Write a large history into the database of conversations (see scripts/seed-large).
    Seed {
        /// Its address, as its owner.
        #[arg(long, env = "LEASELINE_CONVERSATIONS_DATABASE_URL", hide_env_values = true)]
        database: String,
        #[command(flatten)]
        size: seed::Size,
    },
    /// Print a development token.
    Token {
        #[arg(long, default_value = ".dev")]
        dir: PathBuf,
        /// The license; not needed for the role `service`.
        #[arg(long, default_value = "")]
        license: String,
        /// manager, admin or service.
        #[arg(long, default_value = "manager")]
        role: String,
        /// The manager's name.
        #[arg(long)]
        name: String,
        /// The manager's id; made from the name when it is not given.
        #[arg(long)]
        id: Option<String>,
    },
    /// Look after the licenses' messages numbers.
    Numbers {
        /// Where the numbers service speaks gRPC.
        #[arg(long, env = "LEASELINE_NUMBERS_URL", default_value = "http://127.0.0.1:9001")]
        numbers_url: String,
        #[command(subcommand)]
        command: audit::Command,
    },
    /// Look at dead letters, put them back or drop them.
    Dead {
        #[arg(long, env = "LEASELINE_NATS_URL", default_value = "nats://127.0.0.1:4222")]
        nats_url: String,
        #[arg(long, env = "LEASELINE_NATS_USER", default_value = "")]
        nats_user: String,
        #[arg(long, env = "LEASELINE_NATS_PASSWORD", hide_env_values = true, default_value = "")]
        nats_password: String,
        #[arg(long, env = "LEASELINE_NATS_NAMESPACE", default_value = "")]
        namespace: String,
        #[command(subcommand)]
        command: dead::Command,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("leaseline: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match command {
        Command::Dev { dir, free_ports } => {
            log_warnings();
            let ports = if free_ports { Ports::Free } else { Ports::Usual };
            runtime.block_on(dev::run(dir, ports, given_engines()))?;
        }
        Command::Demo { dir } => {
            log_warnings();
            runtime.block_on(demo::run(dir, given_engines()))?;
        }
        Command::Bench { messages, sends, dir, report } => {
            log_warnings();
            let command = format!("scripts/bench --messages {messages} --sends {sends}");
            let engines = given_engines();
            runtime.block_on(bench::run(bench::Options { messages, sends, dir, report, command, engines }))?;
        }
        Command::Sizes { large, rounds, dir, report } => {
            log_warnings();
            let engines = given_engines();
            runtime.block_on(bench::sizes::run(bench::sizes::Options { large, rounds, dir, report, engines }))?;
        }
        Command::Crash { short, only, seed, dir, report } => {
            // Connections break all the time.
            log_from("error");
            runtime.block_on(crash::run(crash::Options { seed, short, only, dir, report }))?;
        }
        Command::Seed { database, size } => runtime.block_on(seed::run(&database, size))?,
        Command::Token { dir, license, role, name, id } => {
            let id = id.unwrap_or_else(|| name.to_lowercase().replace(' ', "-"));
            println!("{}", dev::signer(&dir)?.sign(&license, &role, &id, &name)?);
        }
        Command::Numbers { numbers_url, command } => runtime.block_on(audit::run(numbers_url, command))?,
        Command::Dead { nats_url, nats_user, nats_password, namespace, command } => {
            let password = chassis::Secret::new(nats_password);
            let settings = NatsSettings { url: nats_url, user: nats_user, password, namespace, replicas: 1 };
            runtime.block_on(dead::run(settings, command))?;
        }
    }
    Ok(())
}

/// Addresses of PostgreSQL and NATS to use instead of own ones.
fn given_engines() -> (Option<String>, Option<String>) {
    (std::env::var("DATABASE_URL").ok(), std::env::var("NATS_URL").ok())
}

/// What goes wrong in the stack is shown; what goes well is not. `RUST_LOG` asks for more.
fn log_warnings() {
    log_from("warn");
}

fn log_from(level: &str) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| level.into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).compact().init();
}
