//! `leaseline dead`: events that a consumer could not digest. Their content is never shown: it may be message text.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail};
use bus::{Bus, DeadLetters, NatsSettings, Opened};

/// What to do with dead letters.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    /// The oldest dead letters.
    List {
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Everything around one letter: who could not digest what, why and when, its headers, and the fields of its content by
    /// their numbers in the contract, with their sizes.
    Show {
        /// Its number in the list.
        number: u64,
    },
    /// Put one back to where it was published, and remove it here.
    Replay {
        /// Its number in the list.
        number: u64,
    },
    /// Remove one for good.
    Drop {
        /// Its number in the list.
        number: u64,
    },
}

/// Carries out one command.
///
/// # Errors
/// When NATS is away, or there is no such letter.
pub async fn run(settings: NatsSettings, command: Command) -> Result<()> {
    let letters = DeadLetters::new(Bus::connect(&settings, "leaseline dead").await?);
    match command {
        Command::List { limit } => {
            let found = letters.list(limit).await?;
            if found.is_empty() {
                println!("There are no dead letters.");
            }
            for letter in found {
                println!(
                    "{:>6}  {}  {}\n        {} ({} bytes), event {}\n        {}",
                    letter.number,
                    letter.at,
                    letter.consumer,
                    letter.subject,
                    letter.bytes,
                    letter.event_id,
                    letter.reason
                );
            }
        }
        Command::Show { number } => {
            print!("{}", describe(&letters.find(number).await?.with_context(|| missing(number))?));
        }
        Command::Replay { number } => found(letters.replay(number).await?, number, "is back on its stream")?,
        Command::Drop { number } => found(letters.remove(number).await?, number, "is gone")?,
    }
    Ok(())
}

fn describe(Opened { letter, headers, fields }: &Opened) -> String {
    let mut text = format!("Dead letter {}\n", letter.number);
    let mut line = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {name}: {value}");
    };
    for (name, value) in [
        ("consumer", &letter.consumer),
        ("subject", &letter.subject),
        ("event", &letter.event_id),
        ("since", &letter.at),
        ("reason", &letter.reason),
    ] {
        line(name, value);
    }
    for (name, value) in headers {
        line(&format!("header {name}"), value);
    }
    line("content", &format!("{} bytes; its fields by their numbers in proto/", letter.bytes));
    for field in fields {
        let _ = writeln!(text, "    {field}");
    }
    text
}

fn missing(number: u64) -> String {
    format!("there is no dead letter {number}: see `leaseline dead list`")
}

fn found(found: bool, number: u64, outcome: &str) -> Result<()> {
    if !found {
        bail!(missing(number));
    }
    println!("Dead letter {number} {outcome}.");
    Ok(())
}

#[cfg(test)]
mod tests {
    use bus::{DeadLetter, Field, Shape};

    use super::*;

    #[test]
    fn a_letter_shows_everything_around_its_content() {
        let letter = DeadLetter {
            number: 7,
            consumer: "dispatch-message-queued".to_owned(),
            subject: "conversations.message.queued.v1".to_owned(),
            event_id: "e1".to_owned(),
            reason: "the event has no id".to_owned(),
            at: "2026-01-02T03:04:05Z".to_owned(),
            bytes: 44,
        };
        let fields = vec![Field { number: 5, shape: Shape::Bytes(42) }];
        let text = describe(&Opened { letter, headers: vec![("Leaseline-Time".to_owned(), "now".to_owned())], fields });
        for line in [
            "Dead letter 7",
            "  consumer: dispatch-message-queued",
            "  header Leaseline-Time: now",
            "    field 5: 42 bytes",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} is not in\n{text}");
        }
    }
}
