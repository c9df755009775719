//! `leaseline sizes`: what a manager and a texting phone wait for, with ten thousand messages and with ten million.
//!
//! Two stacks side by side over the same engines, with histories of the same shape for each license (`leaseline seed`) and of
//! different size. They take turns with every single call, so that whatever else the machine does meets both alike. Only
//! the ratios mean something.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use engines::{Durability, Engines};
use serde_json::json;
use sqlx::postgres::PgPoolOptions;

use super::world::{Folder, remove_leftovers};
use crate::client::{Api, Feed, Phones};
use crate::dev::wait_for_number;
use crate::seed::{self, Size};
use crate::stack::{Options as StackOptions, Service, Stack};
use crate::token::Signer;

/// Both are measured in so many licenses: all of the small history.
const LICENSES: u64 = 2;
const SMALL: Size = Size { licenses: LICENSES, conversations: 200, messages: 10_000 };
/// Not measured.
const WARM_UP: usize = 50;
const PATIENCE: Duration = Duration::from_secs(20);
const PREFIX: &str = "leaseline_sizes_";
const QUERIES: [&str; 5] = ["leak", "rent+due", "plumb", "%22kitchen+sink%22", "elevator+tomor"];

/// What to measure, and where.
#[derive(Debug, Clone)]
pub struct Options {
    /// The large history.
    pub large: Size,
    /// Calls of each kind.
    pub rounds: usize,
    /// Where the engines keep their data while it runs. Removed at the start and at the end.
    pub dir: PathBuf,
    /// Where the results are written.
    pub report: PathBuf,
    /// Addresses of PostgreSQL and NATS to use instead of own ones.
    pub engines: (Option<String>, Option<String>),
}

/// Measures, prints the results and writes them to a file.
///
/// # Errors
/// When a call fails, or something could not be started.
pub async fn run(options: Options) -> Result<()> {
    let results = tokio::select! {
        results = measure(&options) => results?,
        _ = tokio::signal::ctrl_c() => bail!("interrupted; nothing was written"),
    };
    println!("\n{results}");
    fs::write(&options.report, results).with_context(|| format!("cannot write {}", options.report.display()))
}

async fn measure(options: &Options) -> Result<String> {
    let mut folder = Folder::fresh(&options.dir)?;
    let own_database = options.engines.0.is_none();
    let engines = Engines::start(&folder.path, Durability::Full, options.engines.0.clone(), options.engines.1.clone())?;
    let admin = PgPoolOptions::new().max_connections(1).connect(&engines.database_url).await?;
    if own_database {
        let data: String = sqlx::query_scalar("show data_directory").fetch_one(&admin).await?;
        folder.include(std::path::Path::new(&data))?;
    }
    let nats = async_nats::connect(&engines.nats_url).await.context("NATS cannot be reached")?;
    let namespaces = ["sizessmall", "sizeslarge"];
    remove_leftovers(&admin, &nats, PREFIX, &namespaces).await?;
    let mut small = Office::open(&engines, "small", namespaces[0], SMALL).await?;
    let mut large = Office::open(&engines, "large", namespaces[1], options.large).await?;
    println!("measuring: {} rounds", options.rounds);
    let mut times: BTreeMap<Call, [Vec<Duration>; 2]> = BTreeMap::new();
    for round in 0..WARM_UP + options.rounds {
        for call in Call::ALL {
            let (one, other) = if round % 2 == 0 {
                let one = small.call(call, round).await?;
                (one, large.call(call, round).await?)
            } else {
                let other = large.call(call, round).await?;
                (small.call(call, round).await?, other)
            };
            if round >= WARM_UP {
                let [of_small, of_large] = times.entry(call).or_default();
                of_small.push(one);
                of_large.push(other);
            }
        }
    }
    let results = report(options, &mut times);
    small.stack.stop().await?;
    large.stack.stop().await?;
    remove_leftovers(&admin, &nats, PREFIX, &namespaces).await?;
    admin.close().await;
    drop(engines);
    Ok(results)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Call {
    List,
    Page,
    Search,
    Send,
    Inbound,
}

impl Call {
    const ALL: [Self; 5] = [Self::List, Self::Page, Self::Search, Self::Send, Self::Inbound];

    const fn name(self) -> &'static str {
        match self {
            Self::List => "list: 50 conversations",
            Self::Page => "page: 50 messages",
            Self::Search => "search: 20 messages",
            Self::Send => "send: POST to its answer",
            Self::Inbound => "inbound: text to the manager's feed",
        }
    }
}

/// A license with its history.
struct License {
    number: String,
    manager: Api,
    feed: Feed,
    /// Of its list, newest first.
    conversations: Vec<String>,
    /// Ids and phones.
    people: Vec<(String, String)>,
}

struct Office {
    stack: Stack,
    phones: Phones,
    licenses: Vec<License>,
}

impl Office {
    async fn open(engines: &Engines, name: &str, namespace: &str, size: Size) -> Result<Self> {
        let signer = Signer::new(crate::stack::random_secret() + &crate::stack::random_secret());
        let pace_off = ("LEASELINE_PACE_SEGMENTS_PER_SECOND".to_owned(), "0".to_owned());
        let stack = Stack::start(&StackOptions {
            database_prefix: format!("{PREFIX}{name}_"),
            namespace: namespace.to_owned(),
            settings: BTreeMap::from([pace_off]),
            ..StackOptions::new(&engines.database_url, &engines.nats_url, &signer)
        })
        .await?;
        println!("{name}: {} messages", size.messages);
        let database = stack.database_urls.get(&Service::Conversations).context("conversations has no database")?;
        seed::run(database, size).await?;
        let gateway = stack.gateway_urls.first().context("the stack has no gateway")?;
        let backend = Api::new(gateway, &signer.sign("", "service", "backend", "Company backend")?);
        let mut licenses = Vec::new();
        for license in 0..LICENSES {
            let id = seed::license_id(license);
            let company = json!({ "company_name": "Seeded Property Management", "company_phone": "+12125550199" });
            backend.put(&format!("/v1/licenses/{id}"), &company).await?;
            let manager = Api::new(gateway, &signer.sign(&id, "manager", "mia", "Mia Manager")?);
            let number = wait_for_number(&manager).await?;
            let list = manager.get("/v1/conversations?limit=100").await?;
            let items = list["items"].as_array().context("a list has no items")?;
            let conversations: Vec<String> =
                items.iter().filter_map(|each| each["conversation_id"].as_str().map(str::to_owned)).collect();
            ensure!(!conversations.is_empty(), "the license {id} has no conversation");
            let people = (0..size.conversations / size.licenses).map(|n| license + n * size.licenses);
            let people = people.map(|n| (seed::person_id(n), seed::phone(n))).collect();
            let feed = manager.feed(None).await?;
            licenses.push(License { number, manager, feed, conversations, people });
        }
        Ok(Self { phones: Phones::new(&stack.simulator_url), stack, licenses })
    }

    async fn call(&mut self, call: Call, round: usize) -> Result<Duration> {
        let count = self.licenses.len();
        let license = self.licenses.get_mut(round % count).context("there is no license")?;
        let conversation = license.conversations.get(round * 7 % license.conversations.len()).context("none")?;
        let (person, phone) = license.people.get(round * 7 % license.people.len()).context("nobody")?;
        let query = QUERIES.get(round % QUERIES.len()).copied().unwrap_or_default();
        let begun = Instant::now();
        match call {
            Call::List => drop(license.manager.get("/v1/conversations?limit=50").await?),
            Call::Page => {
                drop(license.manager.get(&format!("/v1/conversations/{conversation}/messages?limit=50")).await?);
            }
            Call::Search => {
                let found = license.manager.get(&format!("/v1/search?q={query}&limit=20")).await?;
                ensure!(
                    found["items"].as_array().is_some_and(|items| !items.is_empty()),
                    "nothing was found of {query}"
                );
            }
            Call::Send => {
                let key = format!("sizes-{round}");
                let answer = license.manager.send(&key, &[json!({ "person_id": person })], "We are on our way").await?;
                ensure!(answer.status == 202, "a send was answered {} {}", answer.status, answer.body);
            }
            Call::Inbound => {
                let body = format!("sizes {round}: the tap drips");
                let arrived = license.feed.wait_for("a text", PATIENCE, |event| {
                    event.kind == "message.created" && event.data["body"].as_str() == Some(&body)
                });
                let arrived = async { arrived.await.map(|_| begun.elapsed()) };
                let (_, took) = tokio::try_join!(self.phones.text(phone, &license.number, &body), arrived)?;
                return Ok(took);
            }
        }
        Ok(begun.elapsed())
    }
}

fn report(options: &Options, times: &mut BTreeMap<Call, [Vec<Duration>; 2]>) -> String {
    let mut text = format!(
        "# The size of history\n\nWritten by `leaseline sizes`: {} rounds, with {} and with {} messages, taking turns. \
         Milliseconds; compare the ratios only.\n\n\
         | call | p50 small | p50 large | ratio | p99 small | p99 large | ratio |\n|---|---:|---:|---:|---:|---:|---:|\n",
        options.rounds, SMALL.messages, options.large.messages
    );
    for (call, [small, large]) in times {
        small.sort_unstable();
        large.sort_unstable();
        let mut line = format!("| {} |", call.name());
        for hundredths in [50, 99] {
            let (one, other) = (percentile(small, hundredths), percentile(large, hundredths));
            // Writing to a string cannot fail.
            let _ = write!(line, " {one:.2} | {other:.2} | {:.2} |", other / one);
        }
        let _ = writeln!(text, "{line}");
    }
    text
}

/// In milliseconds, of sorted times.
fn percentile(sorted: &[Duration], hundredths: usize) -> f64 {
    let index = (sorted.len() * hundredths / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).map_or(f64::NAN, |time| time.as_secs_f64() * 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_shows_the_ratio_of_large_to_small() {
        let times = |factor: u64| (1..=100).rev().map(|n| Duration::from_millis(n * factor)).collect();
        let options =
            Options { large: SMALL, rounds: 100, dir: PathBuf::new(), report: PathBuf::new(), engines: (None, None) };
        let text = report(&options, &mut BTreeMap::from([(Call::Page, [times(1), times(2)])]));
        assert!(text.ends_with("| page: 50 messages | 51.00 | 102.00 | 2.00 | 100.00 | 200.00 | 2.00 |\n"), "{text}");
    }
}
