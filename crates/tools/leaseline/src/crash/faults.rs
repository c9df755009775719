//! The rows of the matrix: what is done to the running system. Moments and victims come from the seed.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use chrono::Utc;
use engines::{Cluster, Engine};
use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::processes::Replica;
use super::proxy::{Mode, Proxy};
use super::world::{NAMESPACE, World};
use crate::stack::Service;

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// SIGKILL: first one replica, then all of them.
    Kill(Service),
    /// Dispatch is killed while its calls are on their way to the carrier, whose receipts come late.
    KillMidCall,
    /// SIGSTOP for some seconds: first one replica, then all of them.
    Pause(Service),
    /// SIGTERM to each process in turn; the next one when the last is back.
    RollingRestart,
    KillEngine(Engine),
    PauseEngine(Engine),
    /// PostgreSQL and NATS stand still together.
    PauseBoth,
    Line(Wire, Kind),
    /// The carrier takes texts, its answers never come, and its receipts come late.
    AnswersLost,
    /// Of a cluster of three: the leader of a stream, or of the cluster's own matters.
    KillLeader(Leader),
}

/// A connection between two parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    Postgres,
    Nats,
    Grpc,
    Carrier,
    Webhooks,
}

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Cut,
    Slow,
    HalfOpen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leader {
    Stream(&'static str),
    Meta,
}

const READY: Duration = Duration::from_mins(1);
/// How long a process is down before it is started again.
const DOWN_MS: std::ops::Range<u64> = 300..1_000;
/// Ingest has one address: the carrier gives a webhook up after some 700 ms without a connection.
const INGEST_DOWN_MS: std::ops::Range<u64> = 100..400;
const BETWEEN_MS: std::ops::Range<u64> = 300..1_500;
const PAUSE_MS: std::ops::Range<u64> = 3_000..5_000;
/// Later than dispatch gives an attempt up for left behind: no receipt settles it before.
const LATE_RECEIPT_MS: u64 = 11_000;
/// Longer than a call to the carrier with its lookup.
const CALL: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// One way, to the carrier, during which a call is under way.
const MID_CALL: Duration = Duration::from_millis(300);

/// The rows of the short form. One process less or more: what every release and every node's end brings.
pub(super) fn list_short() -> Vec<Fault> {
    let mut faults: Vec<Fault> = Service::ALL.map(Fault::Kill).into();
    faults.extend([
        Fault::KillMidCall,
        Fault::KillEngine(Engine::Postgres),
        Fault::KillEngine(Engine::Nats),
        Fault::RollingRestart,
    ]);
    faults
}

/// All rows for a single NATS server.
pub(super) fn list_all() -> Vec<Fault> {
    let mut faults = list_short();
    faults.extend(Service::ALL.map(Fault::Pause));
    faults.extend([Fault::PauseEngine(Engine::Postgres), Fault::PauseEngine(Engine::Nats), Fault::PauseBoth]);
    for wire in [Wire::Postgres, Wire::Nats, Wire::Grpc, Wire::Carrier, Wire::Webhooks] {
        faults.extend([Kind::Cut, Kind::Slow, Kind::HalfOpen].map(|kind| Fault::Line(wire, kind)));
    }
    faults.push(Fault::AnswersLost);
    faults
}

/// Those for a cluster of three.
pub(super) fn list_clustered() -> Vec<Fault> {
    vec![
        Fault::KillLeader(Leader::Stream("INGEST")),
        Fault::KillLeader(Leader::Stream("CONVERSATIONS")),
        Fault::KillLeader(Leader::Meta),
    ]
}

fn name_of(engine: Engine) -> &'static str {
    match engine {
        Engine::Postgres => "PostgreSQL",
        Engine::Nats | Engine::Node(_) => "nats-server",
    }
}

impl Fault {
    /// As the matrix shows it, and as `--only` takes it.
    pub(super) fn name(self) -> String {
        match self {
            Self::Kill(service) => format!("{} killed", service.name()),
            Self::KillMidCall => "dispatch killed in mid call".to_owned(),
            Self::Pause(service) => format!("{} paused", service.name()),
            Self::RollingRestart => "rolling restart of all".to_owned(),
            Self::KillEngine(engine) => format!("{} killed", name_of(engine)),
            Self::PauseEngine(engine) => format!("{} paused", name_of(engine)),
            Self::PauseBoth => "PostgreSQL and nats-server paused".to_owned(),
            Self::Line(wire, kind) => {
                let wire = match wire {
                    Wire::Postgres => "services → PostgreSQL",
                    Wire::Nats => "services → nats-server",
                    Wire::Grpc => "gateway → services",
                    Wire::Carrier => "dispatch → carrier",
                    Wire::Webhooks => "carrier → ingest",
                };
                let kind = match kind {
                    Kind::Cut => "cut",
                    Kind::Slow => "slow",
                    Kind::HalfOpen => "half-open",
                };
                format!("{wire} {kind}")
            }
            Self::AnswersLost => "carrier's answers lost".to_owned(),
            Self::KillLeader(Leader::Stream(name)) => format!("cluster: leader of {name} killed"),
            Self::KillLeader(Leader::Meta) => "cluster: meta leader killed".to_owned(),
        }
    }

    /// Does it, `rounds` times, and undoes it. Returns when it is over: what follows is recovery. The sentences are what
    /// went wrong with the system's own conduct.
    pub(super) async fn inflict(self, world: &mut World, random: &mut StdRng, rounds: usize) -> Result<Vec<String>> {
        let mut wrong = Vec::new();
        for round in 0..rounds {
            if round > 0 {
                rest(random, BETWEEN_MS).await;
            }
            match self {
                Self::Kill(service) => kill(world, random, service).await?,
                Self::KillMidCall => {
                    delay_receipts(world).await?;
                    world.lines.carrier.set(Mode::Delay(MID_CALL)).await;
                    rest(random, BETWEEN_MS).await;
                    kill(world, random, Service::Dispatch).await?;
                    world.lines.carrier.set(Mode::Pass).await;
                    world.phones.set_faults(&json!([])).await?;
                }
                Self::Pause(service) => pause(world, random, service).await,
                Self::RollingRestart => wrong.extend(restart_all(world).await?),
                Self::KillEngine(engine) => {
                    world.engines.kill(engine)?;
                    rest(random, DOWN_MS).await;
                    world.engines.start_again(engine)?;
                }
                Self::PauseEngine(engine) => {
                    world.engines.pause(engine)?;
                    rest(random, PAUSE_MS).await;
                    world.engines.resume(engine)?;
                }
                Self::PauseBoth => {
                    world.engines.pause(Engine::Postgres)?;
                    world.engines.pause(Engine::Nats)?;
                    rest(random, PAUSE_MS).await;
                    world.engines.resume(Engine::Nats)?;
                    world.engines.resume(Engine::Postgres)?;
                }
                Self::Line(wire, kind) => disturb(world, random, wire, kind).await,
                Self::AnswersLost => lose_answers(world, random).await?,
                Self::KillLeader(leader) => kill_leader(world, random, leader).await?,
            }
        }
        Ok(wrong)
    }
}

async fn rest(random: &mut StdRng, range: std::ops::Range<u64>) {
    tokio::time::sleep(Duration::from_millis(random.random_range(range))).await;
}

fn choose(random: &mut StdRng, replicas: &[Replica]) -> Option<Replica> {
    replicas.get(random.random_range(0..replicas.len().max(1))).copied()
}

async fn kill(world: &mut World, random: &mut StdRng, service: Service) -> Result<()> {
    let all = world.processes.list_of(service);
    let one = choose(random, &all);
    let down = if service == Service::Ingest { INGEST_DOWN_MS } else { DOWN_MS };
    for victims in [one.as_slice(), &all] {
        for victim in victims {
            world.processes.kill(*victim)?;
        }
        rest(random, down.clone()).await;
        for victim in victims {
            world.processes.start(*victim)?;
        }
        if victims.len() < all.len() {
            for victim in victims {
                world.processes.wait_until_ready(*victim, READY).await?;
            }
            rest(random, BETWEEN_MS).await;
        }
    }
    Ok(())
}

async fn pause(world: &mut World, random: &mut StdRng, service: Service) {
    let all = world.processes.list_of(service);
    let one = choose(random, &all);
    for victims in [one.as_slice(), &all] {
        for victim in victims {
            world.processes.pause(*victim);
        }
        rest(random, PAUSE_MS).await;
        for victim in victims {
            world.processes.resume(*victim);
        }
        if victims.len() < all.len() {
            rest(random, BETWEEN_MS).await;
        }
    }
}

/// As a deployment does it, with calls to the carrier under way. No attempt of dispatch may be left without an outcome that
/// is known, not for a moment: receipts, which would settle it, come late.
async fn restart_all(world: &mut World) -> Result<Vec<String>> {
    delay_receipts(world).await?;
    world.lines.carrier.set(Mode::Delay(MID_CALL)).await;
    let (since, mut wrong) = (Utc::now(), Vec::new());
    for replica in world.processes.list() {
        if let Err(error) = world.processes.terminate(replica).await {
            wrong.push(format!("{error:#}"));
            world.processes.kill(replica)?;
        }
        world.processes.start(replica)?;
        world.processes.wait_until_ready(replica, READY).await?;
    }
    let (until, deadline) = (Utc::now(), Instant::now() + CALL);
    let mut counts = world.count_attempts(since, until).await?;
    while counts.1 > 0 && Instant::now() < deadline {
        tokio::time::sleep(LOOK_AGAIN).await;
        counts = world.count_attempts(since, until).await?;
    }
    if counts != (0, 0) {
        let (unknown, open) = counts;
        wrong.push(format!(
            "a restart in order left {unknown} attempts unknown and {open} without an outcome (dispatch: attempts)"
        ));
    }
    world.lines.carrier.set(Mode::Pass).await;
    world.phones.set_faults(&json!([])).await?;
    Ok(wrong)
}

async fn delay_receipts(world: &World) -> Result<()> {
    world.phones.set_faults(&json!([{ "on": "receipt", "kind": "late", "delay_ms": LATE_RECEIPT_MS }])).await
}

async fn disturb(world: &mut World, random: &mut StdRng, wire: Wire, kind: Kind) {
    let lines = &world.lines;
    let lines: Vec<&Proxy> = match wire {
        Wire::Postgres => vec![&lines.postgres],
        Wire::Nats => lines.nats.iter().collect(),
        Wire::Grpc => lines.grpc.iter().collect(),
        Wire::Carrier => vec![&lines.carrier],
        Wire::Webhooks => vec![&lines.webhooks],
    };
    let mode = match kind {
        Kind::Cut => Mode::Cut,
        // A transaction is some ten trips to PostgreSQL.
        Kind::Slow if wire == Wire::Postgres => Mode::Delay(Duration::from_millis(30)),
        Kind::Slow => Mode::Delay(Duration::from_millis(300)),
        Kind::HalfOpen => Mode::HalfOpen,
    };
    for line in &lines {
        line.set(mode).await;
    }
    rest(random, PAUSE_MS).await;
    for line in &lines {
        line.set(Mode::Pass).await;
    }
}

/// The text is out each time.
async fn lose_answers(world: &World, random: &mut StdRng) -> Result<()> {
    let faults = json!([
        { "on": "send", "kind": "reset_after_accept", "count": 6 },
        { "on": "send", "kind": "http_500_after_accept", "count": 6 },
        { "on": "send", "kind": "timeout_after_accept", "count": 6, "delay_ms": 10_000 },
        { "on": "receipt", "kind": "late", "delay_ms": LATE_RECEIPT_MS },
    ]);
    world.phones.set_faults(&faults).await?;
    rest(random, PAUSE_MS).await;
    world.phones.set_faults(&json!([])).await
}

async fn kill_leader(world: &mut World, random: &mut StdRng, leader: Leader) -> Result<()> {
    let cluster = world.cluster.as_ref().context("this world has no cluster")?;
    let node = tokio::time::timeout(READY, find_leader(cluster, leader)).await.context("there is no leader")?;
    world.engines.kill(Engine::Node(node))?;
    rest(random, PAUSE_MS).await;
    world.engines.start_again(Engine::Node(node))
}

/// As the servers see it, once one of them does.
async fn find_leader(cluster: &Cluster, leader: Leader) -> usize {
    let client = reqwest::Client::new();
    loop {
        for url in &cluster.monitor_urls {
            let asked =
                client.get(format!("{url}/jsz?accounts=true&streams=true")).timeout(Duration::from_secs(1)).send();
            let Ok(answer) = asked.await else { continue };
            let Ok(answer) = answer.json::<Value>().await else { continue };
            if let Some(node) = read_leader(&answer, leader) {
                return node;
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn read_leader(answer: &Value, leader: Leader) -> Option<usize> {
    let name = match leader {
        Leader::Meta => &answer["meta_cluster"]["leader"],
        Leader::Stream(stream) => {
            let name = format!("{}_{stream}", NAMESPACE.to_uppercase());
            let streams = answer["account_details"][0]["stream_detail"].as_array()?;
            &streams.iter().find(|stream| stream["name"] == name)?["cluster"]["leader"]
        }
    };
    Cluster::find_node(name.as_str()?)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_row_has_a_name_of_its_own() {
        let all: Vec<Fault> = list_all().into_iter().chain(list_clustered()).collect();
        let names: HashSet<String> = all.iter().map(|fault| fault.name()).collect();
        assert_eq!(names.len(), all.len());
        assert!(list_short().iter().all(|fault| all.contains(fault)));
    }

    #[test]
    fn the_leader_is_the_one_that_the_servers_name() {
        let stream = json!({ "name": "CRASH_INGEST", "cluster": { "leader": "node-2" } });
        let answer = json!({
            "meta_cluster": { "leader": "node-1" },
            "account_details": [{ "stream_detail": [{ "name": "CRASH_OTHER", "cluster": { "leader": "node-0" } }, stream] }],
        });
        assert_eq!(read_leader(&answer, Leader::Meta), Some(1));
        assert_eq!(read_leader(&answer, Leader::Stream("INGEST")), Some(2));
        assert_eq!(read_leader(&answer, Leader::Stream("NUMBERS")), None, "none yet");
    }

    #[test]
    fn every_service_is_killed_and_paused_and_every_line_is_cut_slow_and_half_open() {
        let all = list_all();
        assert!(Service::ALL.iter().all(|service| all.contains(&Fault::Kill(*service))));
        assert!(Service::ALL.iter().all(|service| all.contains(&Fault::Pause(*service))));
        assert_eq!(all.iter().filter(|fault| matches!(fault, Fault::Line(..))).count(), 15);
    }
}
