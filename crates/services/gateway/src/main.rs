//! The gateway's process.

use std::process::ExitCode;

use chassis::{Clock, process};

fn main() -> ExitCode {
    process::main("gateway", gateway::DEFAULTS, |settings, lifecycle| async move {
        let listeners = gateway::Listeners::bind(&settings).await?;
        gateway::run(settings, listeners, Clock::system(), lifecycle).await
    })
}
