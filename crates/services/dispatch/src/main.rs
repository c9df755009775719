//! The program `dispatch`. `--print-config` shows every setting.

use std::process::ExitCode;

use chassis::Clock;

fn main() -> ExitCode {
    chassis::process::main("dispatch", dispatch::DEFAULTS, |settings, lifecycle| async move {
        let listeners = dispatch::Listeners::bind(&settings).await?;
        dispatch::run(settings, listeners, Clock::system(), lifecycle).await
    })
}
