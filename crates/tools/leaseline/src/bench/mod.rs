//! `leaseline bench`: the two hot paths, answered calls, an import and a large batch, and the ceilings of this machine,
//! in one run.
//!
//! Everything is in one process on loopback: load generator, five services, simulator, and beside it fresh engines
//! that sync as in production. Every text is unique and is checked to arrive exactly once. Each phase is bounded in
//! count and in time and says so when its time ran out; the whole run stays below four minutes.

mod calls;
mod ceilings;
mod inbound;
mod ledger;
mod load;
pub(crate) mod machine;
mod many;
mod outbound;
mod report;
pub mod sizes;
mod world;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use self::ledger::{Ledger, Percentiles};
use self::load::Load;
use self::machine::Machine;
use self::report::{Calls, Path, Report};
use self::world::World;
use crate::stack::Service;

/// Webhooks at a time, of a busy carrier.
const WEBHOOKS_AT_A_TIME: usize = 256;
/// Requests of managers at a time.
const SENDS_AT_A_TIME: usize = 64;
/// One text for each person: opens the conversations, the connections and the statements.
const WARM_UP: usize = world::LICENSES * world::PEOPLE;
/// Of the phase at half the sustained rate.
const STEADY: Duration = Duration::from_secs(10);
/// Calls a second, beside the texts of the steady phase: of a hundred thousand licenses, each is called 170 times a day.
const CALLS_PER_SECOND: f64 = 200.0;
const CALLS: usize = 1_000;
/// At most for each phase.
const WARM_UP_LIMIT: Duration = Duration::from_secs(15);
const SATURATED_LIMIT: Duration = Duration::from_secs(40);
const STEADY_LIMIT: Duration = Duration::from_secs(15);

/// What to measure, and where.
#[derive(Debug, Clone)]
pub struct Options {
    /// Inbound texts.
    pub messages: u32,
    /// Outbound texts.
    pub sends: u32,
    /// Where the engines keep their data while it runs. Removed at the start and at the end.
    pub dir: PathBuf,
    /// Where the results are written.
    pub report: PathBuf,
    /// How to repeat it.
    pub command: String,
    /// Addresses of PostgreSQL and NATS to use instead of own ones.
    pub engines: (Option<String>, Option<String>),
}

/// Measures, prints the results and writes them to a file.
///
/// # Errors
/// When a text was refused, lost its way, arrived twice or was altered; when something could not be started.
pub async fn run(options: Options) -> Result<()> {
    let progress = Progress { start: Instant::now() };
    let report = tokio::select! {
        report = measure(&options, &progress) => report?,
        _ = tokio::signal::ctrl_c() => bail!("interrupted; nothing was written"),
    };
    println!("\n{}", report.results());
    fs::write(&options.report, report.page()).with_context(|| format!("cannot write {}", options.report.display()))?;
    progress.say(&format!("done; written to {}", options.report.display()));
    Ok(())
}

async fn measure(options: &Options, progress: &Progress) -> Result<Report> {
    progress.say("starting PostgreSQL, nats-server, the simulator and the five services, with fresh data");
    let mut world = World::start(&options.dir, options.engines.clone()).await?;
    let machine = Machine::look(&options.dir, world.engine_versions().await?)?;
    let inbound = measure_inbound(&world, progress, usize::try_from(options.messages)?).await?;
    let calls = measure_calls(&mut world, progress, &inbound).await?;
    let outbound = measure_outbound(&world, progress, usize::try_from(options.sends)?).await?;
    progress.say(&format!("an import of {} people, and a text to {} of them", many::PEOPLE, many::RECIPIENTS));
    let many = many::measure(&world).await?;
    progress.say("stopping");
    world.end().await?;
    Ok(Report { machine, command: options.command.clone(), inbound, calls, outbound, many })
}

async fn measure_inbound(world: &World, progress: &Progress, count: usize) -> Result<Path> {
    progress.say(&format!("inbound, warm-up: {WARM_UP} webhooks"));
    let all_at_once = Load::Saturated { at_a_time: WEBHOOKS_AT_A_TIME };
    inbound::measure(world, progress, "in-warm", WARM_UP, all_at_once, WARM_UP_LIMIT).await?;
    progress.say(&format!("inbound, saturated: {count} webhooks, {WEBHOOKS_AT_A_TIME} at a time"));
    let saturated = inbound::measure(world, progress, "in-full", count, all_at_once, SATURATED_LIMIT).await?;
    let (half, steady_count) = plan_steady(&saturated);
    progress.say(&format!("inbound, half the rate: {steady_count} webhooks"));
    let steady = inbound::measure(world, progress, "in-half", steady_count, half, STEADY_LIMIT).await?;
    progress.say("ceilings of inbound");
    let ceilings = ceilings::of_inbound(world).await?;
    Ok(Path { saturated, at_a_time: WEBHOOKS_AT_A_TIME, steady, ceilings })
}

/// While texts come in at half the sustained rate, and while the numbers service is down: calls need neither quiet nor
/// company.
async fn measure_calls(world: &mut World, progress: &Progress, texts: &Path) -> Result<Calls> {
    progress.say(&format!("calls: {CALLS}, {CALLS_PER_SECOND}/s, beside texts at half the rate; numbers is down"));
    world.stack.kill_service(Service::Numbers, 0).await;
    let (half, _) = plan_steady(&texts.saturated);
    let Load::Steady { per_second } = half else { bail!("the texts have no rate") };
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let beside = plan_count(per_second, Duration::from_secs_f64(CALLS as f64 / CALLS_PER_SECOND));
    let load = Load::Steady { per_second: CALLS_PER_SECOND };
    let (texts, answers) = tokio::try_join!(
        inbound::measure(world, progress, "in-call", beside, half, STEADY_LIMIT),
        calls::measure(world, CALLS, load, STEADY_LIMIT),
    )?;
    world.stack.start_service(Service::Numbers, 0).await?;
    Ok(Calls { per_second: CALLS_PER_SECOND, texts_per_second: texts.per_second(), answers })
}

async fn measure_outbound(world: &World, progress: &Progress, count: usize) -> Result<Path> {
    progress.say(&format!("outbound, warm-up: {WARM_UP} sends"));
    let all_at_once = Load::Saturated { at_a_time: SENDS_AT_A_TIME };
    outbound::measure(world, progress, "out-warm", WARM_UP, all_at_once, WARM_UP_LIMIT).await?;
    settle(world, progress).await?;
    progress.say(&format!("outbound, saturated: {count} sends, {SENDS_AT_A_TIME} at a time"));
    let saturated = outbound::measure(world, progress, "out-full", count, all_at_once, SATURATED_LIMIT).await?;
    settle(world, progress).await?;
    let (half, steady_count) = plan_steady(&saturated);
    progress.say(&format!("outbound, half the rate: {steady_count} sends"));
    let steady = outbound::measure(world, progress, "out-half", steady_count, half, STEADY_LIMIT).await?;
    settle(world, progress).await?;
    progress.say("ceilings of outbound");
    let ceilings = ceilings::of_outbound(world).await?;
    Ok(Path { saturated, at_a_time: SENDS_AT_A_TIME, steady, ceilings })
}

async fn settle(world: &World, progress: &Progress) -> Result<()> {
    if !world.settle().await? {
        progress.say("  receipts of the last phase are still under way: what follows is slower for it");
    }
    Ok(())
}

/// Half the sustained rate, for ten seconds.
fn plan_steady(saturated: &Measured) -> (Load, usize) {
    let per_second = (saturated.per_second() / 2.0).max(1.0);
    (Load::Steady { per_second }, plan_count(per_second, STEADY))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive, small number")]
fn plan_count(per_second: f64, duration: Duration) -> usize {
    (per_second * duration.as_secs_f64()).ceil() as usize
}

/// What a phase brought.
#[derive(Debug, Clone, Copy)]
struct Measured {
    wanted: usize,
    /// Texts that arrived in time.
    done: usize,
    /// From the first beginning to the last arrival.
    elapsed: Duration,
    answers: Percentiles,
    arrivals: Percentiles,
}

impl Measured {
    fn of(ledger: &Ledger) -> Result<Self> {
        Ok(Self {
            wanted: ledger.count(),
            done: ledger.count_arrived(),
            elapsed: ledger.elapsed(),
            answers: ledger.answers()?,
            arrivals: ledger.arrivals()?,
        })
    }

    /// Its time ran out.
    fn is_early(&self) -> bool {
        self.done < self.wanted
    }

    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    fn per_second(&self) -> f64 {
        self.done as f64 / self.elapsed.as_secs_f64().max(0.001)
    }
}

/// Says on the terminal what happens.
#[derive(Debug)]
struct Progress {
    start: Instant,
}

impl Progress {
    fn say(&self, what: &str) {
        println!("[{:5.1} s] {what}", self.start.elapsed().as_secs_f32());
    }

    /// Does the work of a phase and says every few seconds how far it is.
    async fn follow(&self, ledger: &Ledger, work: impl Future<Output = Result<()>>) -> Result<()> {
        let mut ticks = tokio::time::interval(Duration::from_secs(5));
        ticks.tick().await;
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = ticks.tick() => self.say(&format!("  {} of {} answered", ledger.count_answered(), ledger.count())),
            }
        }
    }
}
