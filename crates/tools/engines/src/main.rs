//! `engines -- COMMAND`: starts private engines, runs a command with their addresses, and stops them.
//! Depends on no service, so that it builds while a service does not.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};
use clap::Parser;
use engines::{Durability, Engines};

/// Runs a command beside a PostgreSQL and a NATS of its own.
///
/// The command gets `LEASELINE_TEST_DATABASE_URL` and `LEASELINE_TEST_NATS_URL`; an engine whose variable is set already
/// is used and not started.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where the engines keep their data and logs.
    #[arg(long, default_value = ".dev/test")]
    dir: PathBuf,
    /// The command and its arguments.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

const DATABASE: &str = "LEASELINE_TEST_DATABASE_URL";
const NATS: &str = "LEASELINE_TEST_NATS_URL";

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("engines: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode> {
    let (program, rest) = arguments.command.split_first().context("no command was given")?;
    // What an earlier run left is of no use to anybody.
    Engines::remove(&arguments.dir)?;
    let given = (std::env::var(DATABASE).ok(), std::env::var(NATS).ok());
    let engines = Engines::start(&arguments.dir, Durability::Process, given.0, given.1)?;
    let status = Command::new(program)
        .args(rest)
        .env(DATABASE, &engines.database_url)
        .env(NATS, &engines.nats_url)
        .status()
        .with_context(|| format!("cannot run {program}"))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}
