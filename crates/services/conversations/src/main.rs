//! The conversations service as a process of its own.

use std::process::ExitCode;

use chassis::Clock;

fn main() -> ExitCode {
    chassis::process::main("conversations", conversations::DEFAULTS, |settings, lifecycle| async move {
        let listeners = conversations::Listeners::bind(&settings).await?;
        conversations::run(settings, listeners, Clock::system(), lifecycle).await
    })
}
