//! The process of the numbers service. Everything it does is in the library.

use std::process::ExitCode;

use chassis::Clock;

fn main() -> ExitCode {
    chassis::process::main("numbers", numbers::DEFAULTS, |settings, lifecycle| async move {
        let listeners = numbers::Listeners::bind(&settings).await?;
        numbers::run(settings, listeners, Clock::system(), lifecycle).await
    })
}
