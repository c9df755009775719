//! `leaseline dead`: events that a consumer could not digest. Their content is never shown: it may be message text.

use anyhow::{Result, bail};
use bus::{Bus, DeadLetters, NatsSettings};

/// What to do with dead letters.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    /// The oldest dead letters.
    List {
        #[arg(long, default_value_t = 100)]
        limit: usize,
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
pub async fn run(nats_url: String, namespace: String, command: Command) -> Result<()> {
    let settings = NatsSettings {
        url: nats_url,
        user: String::new(),
        password: chassis::Secret::default(),
        namespace,
        replicas: 1,
    };
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
        Command::Replay { number } => found(letters.replay(number).await?, number, "is back on its stream")?,
        Command::Drop { number } => found(letters.remove(number).await?, number, "is gone")?,
    }
    Ok(())
}

fn found(found: bool, number: u64, outcome: &str) -> Result<()> {
    if !found {
        bail!("there is no dead letter {number}: see `leaseline dead list`");
    }
    println!("Dead letter {number} {outcome}.");
    Ok(())
}
