//! The program `ingest`. `--print-config` shows every setting.

use std::process::ExitCode;

use chassis::Clock;

fn main() -> ExitCode {
    chassis::process::main("ingest", ingest::DEFAULTS, |settings, lifecycle| async move {
        let listeners = ingest::Listeners::bind(&settings).await?;
        ingest::run(settings, listeners, Clock::system(), lifecycle).await
    })
}
