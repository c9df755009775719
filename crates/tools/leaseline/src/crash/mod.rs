//! `leaseline crash`: texts go in both directions while processes die, stand still and lose each other; then it is counted at
//! the ends whether every text arrived, once and in its order.
//!
//! Everything is of its own and ends with this program: engines, simulator, two replicas of each service as processes.
//! Each row has its load, its fault, a probe and its count. Nothing is forgiven: a row that is not clean is told with what
//! to look at, the logs stay, and the command fails.

mod count;
mod faults;
mod load;
mod newcomer;
mod processes;
mod proxy;
mod report;
mod watch;
mod world;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use engines::Engines;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::signal::unix::{SignalKind, signal};

use self::count::{Tally, count};
use self::faults::{Fault, list_all, list_clustered, list_short};
use self::load::{Load, Said};
use self::newcomer::Newcomer;
use self::report::{Row, matrix, page};
use self::world::World;

/// What to do, and where.
#[derive(Debug, Clone)]
pub struct Options {
    /// Of all moments and victims. `None`: another one each time.
    pub seed: Option<u64>,
    /// The rows that every release meets, once each.
    pub short: bool,
    /// Only rows whose name holds this.
    pub only: Option<String>,
    /// Where everything keeps its data and logs while it runs. Removed at the start, and at the end if all was well.
    pub dir: PathBuf,
    /// Where the long form writes its matrix.
    pub report: PathBuf,
}

/// The load runs before the fault.
const BEFORE: Duration = Duration::from_millis(1_200);
/// How long a fresh text may take after the fault.
const RECOVERY: Duration = Duration::from_mins(1);
/// A probe that is under way for so long is followed by another one.
const PROBE: Duration = Duration::from_secs(10);
/// How long the rest may take to arrive after the load.
const SETTLING: Duration = Duration::from_secs(45);
/// What arrives twice arrives within this time, or is found at the end of the run.
const AFTERMATH: Duration = Duration::from_millis(500);
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Of each kind of fault in a row, on the terminal.
const EXAMPLES: usize = 5;

/// Runs the rows, prints the matrix, and writes the report of the long form.
///
/// # Errors
/// When a row is not clean, or something could not be started.
pub async fn run(options: Options) -> Result<()> {
    let seed = options.seed.unwrap_or_else(|| rand::rng().random_range(1..1_000_000));
    let progress = Progress { start: Instant::now() };
    progress.say(&format!("seed {seed}"));
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let rows = tokio::select! {
        rows = run_rows(&options, seed, &progress) => rows?,
        _ = interrupt.recv() => bail!("interrupted"),
        _ = terminate.recv() => bail!("interrupted"),
    };
    println!("\n{}", matrix(&rows));
    if !options.short && options.only.is_none() {
        fs::write(&options.report, page(&rows, seed, progress.start.elapsed()))
            .with_context(|| format!("cannot write {}", options.report.display()))?;
        progress.say(&format!("written to {}", options.report.display()));
    }
    let bad: Vec<String> = rows.iter().filter(|row| !row.is_clean()).map(|row| row.fault.clone()).collect();
    if !bad.is_empty() {
        let dir = options.dir.display();
        bail!("not clean: {} (seed {seed}). What to look at stands above; the logs are in {dir}", bad.join(", "));
    }
    Engines::remove(&options.dir)?;
    progress.say("every text arrived once and in its order");
    Ok(())
}

async fn run_rows(options: &Options, seed: u64, progress: &Progress) -> Result<Vec<Row>> {
    let wanted = |faults: Vec<Fault>| -> Vec<Fault> {
        let only = options.only.as_deref().unwrap_or_default();
        faults.into_iter().filter(|fault| fault.name().contains(only)).collect()
    };
    let single = wanted(if options.short { list_short() } else { list_all() });
    let clustered = if options.short { Vec::new() } else { wanted(list_clustered()) };
    let names = || list_all().into_iter().chain(list_clustered()).map(Fault::name).collect::<Vec<_>>().join("\n  ");
    ensure!(!single.is_empty() || !clustered.is_empty(), "no row has this name; there are\n  {}", names());
    let mut rows = Vec::new();
    for (faults, is_cluster) in [(single, false), (clustered, true)] {
        if !faults.is_empty() {
            let first = rows.len();
            rows.extend(run_in_one_world(options, seed, progress, &faults, first, is_cluster).await?);
        }
    }
    Ok(rows)
}

async fn run_in_one_world(
    options: &Options,
    seed: u64,
    progress: &Progress,
    faults: &[Fault],
    first: usize,
    clustered: bool,
) -> Result<Vec<Row>> {
    let servers = if clustered { "three nats-servers" } else { "nats-server" };
    progress.say(&format!("starting PostgreSQL, {servers}, the simulator and two of each service, with fresh data"));
    let mut world = World::start(&options.dir, clustered).await?;
    let mut done = Vec::new();
    for (index, fault) in faults.iter().enumerate() {
        let tag = format!("crash-{:02}", first + index + 1);
        let seed = seed.wrapping_mul(1_000).wrapping_add(index as u64);
        let (mut row, said, newcomer) = run_row(&mut world, *fault, &tag, seed, options.short, progress).await?;
        if !options.short {
            settle(&world, &mut row, &tag, &said).await?;
            progress.say(&format!("  {}", row.verdict()));
            print!("{}", row.explain(EXAMPLES));
        }
        done.push((row, tag, said, newcomer));
    }
    // The short form counts only here. The long one counts again: what a row sent may have come again later.
    progress.say("counting");
    let mut rows = Vec::new();
    for (mut row, tag, said, newcomer) in done {
        let before = row.clone();
        settle(&world, &mut row, &tag, &said).await?;
        row.wrong.extend(newcomer.settle(&world.phones).await?);
        if options.short || row.tally != before.tally || row.wrong != before.wrong {
            progress.say(&format!("  {}: {}", row.fault, row.verdict()));
            print!("{}", row.explain(EXAMPLES));
        }
        rows.push(row);
    }
    Ok(rows)
}

/// Load, fault, probe. What the feeds' clients saw is counted at once; the texts are left to `settle`.
async fn run_row(
    world: &mut World,
    fault: Fault,
    tag: &str,
    seed: u64,
    short: bool,
    progress: &Progress,
) -> Result<(Row, Said, Newcomer)> {
    let mut random = StdRng::seed_from_u64(seed);
    let dead_before = world.list_dead_letters().await?.len();
    let load = Load::start(tag, &world.conversations, &world.phones, seed);
    tokio::time::sleep(BEFORE).await;
    let newcomer = world.admit(&format!("{tag}-newcomer"))?;
    let mut wrong = fault.inflict(world, &mut random, if short { 1 } else { 2 }).await.with_context(|| fault.name())?;
    let over = Instant::now();
    let recovered = tokio::time::timeout(RECOVERY, probe(world, tag)).await;
    let recovery = recovered.is_ok().then(|| over.elapsed());
    for (service, index) in world.processes.revive()? {
        progress.say(&format!("  {} {index} had ended by itself; it is started again", service.name()));
    }
    let said = load.stop().await;
    wrong.extend(said.refused.iter().cloned());
    // No row of its texts: only how the feeds went.
    let (positions, connections) = world.turn_over_feeds().await?;
    let dead: Vec<String> = world.list_dead_letters().await?.into_iter().skip(dead_before).collect();
    let row = Row {
        fault: fault.name(),
        texts: said.accepted.len() + said.answered.len(),
        tally: Tally::default(),
        positions,
        dead_letters: dead.len(),
        recovery,
        wrong: wrong.into_iter().chain(dead).collect(),
    };
    let time =
        recovery.map_or("did not recover".to_owned(), |time| format!("recovered in {:.1} s", time.as_secs_f64()));
    progress.say(&format!(
        "{}: {time}; {} sends, {} texts, {} given up by the carrier; feeds connected {connections} times again",
        row.fault,
        said.accepted.len(),
        said.answered.len(),
        said.given_up,
    ));
    Ok((row, said, newcomer))
}

/// Returns when a fresh text has gone both ways, and a feed has told of both.
async fn probe(world: &World, tag: &str) {
    let out = async {
        for number in 0.. {
            let body = format!("{tag}-probe out {number}: does it work?");
            let seen = async {
                // A probe that is not accepted is never seen either.
                let _ = world.probed.send(&body).await;
                while !world.is_on_feed(&body) || !world.is_on_phone(&body).await {
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
            };
            if tokio::time::timeout(PROBE, seen).await.is_ok() {
                return;
            }
        }
    };
    let back = async {
        for number in 0.. {
            let body = format!("{tag}-probe in {number}: does it work?");
            let seen = async {
                world.probed.answer(&world.phones, &body).await;
                while !world.is_on_feed(&body) {
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
            };
            if tokio::time::timeout(PROBE, seen).await.is_ok() {
                return;
            }
        }
    };
    tokio::join!(out, back);
}

/// Counts until nothing is missing any more or the time is over, and then once more for what came twice.
async fn settle(world: &World, row: &mut Row, tag: &str, said: &Said) -> Result<()> {
    let deadline = Instant::now() + SETTLING;
    loop {
        let settled = match world.collect(tag, said).await {
            Ok(evidence) => count(&evidence).is_settled(),
            Err(error) if Instant::now() > deadline => return Err(error.context("the ends cannot be read")),
            Err(_) => false,
        };
        if settled || Instant::now() > deadline {
            break;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    tokio::time::sleep(AFTERMATH).await;
    row.tally = count(&world.collect(tag, said).await?);
    row.tally.feed.extend(row.positions.iter().cloned());
    Ok(())
}

/// Says on the terminal what happens.
#[derive(Debug)]
struct Progress {
    start: Instant,
}

impl Progress {
    fn say(&self, what: &str) {
        println!("[{:6.1} s] {what}", self.start.elapsed().as_secs_f32());
    }
}
