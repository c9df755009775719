//! What is put to the test: engines of its own, lines that can fail, the simulator, two replicas of each service, licenses
//! with people, and a client at each license's feed. What is counted is read past the lines.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bus::{Bus, DeadLetters, NatsSettings};
use chrono::{DateTime, Utc};
use engines::{Cluster, Durability, Engines};
use serde_json::json;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use url::Url;

use super::count::{Evidence, Text, check_positions};
use super::load::{Conversation, Said, parse};
use super::newcomer::Newcomer;
use super::processes::Processes;
use super::proxy::Proxy;
use super::watch::Watcher;
use crate::client::{Api, Phones};
use crate::dev::wait_for_number;
use crate::stack::{Carrier, Layout, Options, Service};
use crate::token::Signer;

/// A license in each.
const AREA_CODES: [&str; 3] = ["212", "312", "415"];
/// With whom each license texts, beside one person whom only probes text.
const PEOPLE: usize = 4;
const PROBED: usize = 99;

const DATABASE_PREFIX: &str = "leaseline_crash_";
pub(super) const NAMESPACE: &str = "crash";
/// From the carrier's acceptance of a text to its first receipt.
const RECEIPT_DELAY: Duration = Duration::from_millis(150);
const READY: Duration = Duration::from_mins(1);
/// A feed that is behind the database for so long does not come any more: a client asks for what it misses at once, and a
/// gateway compares heads every two seconds.
const BEHIND: Duration = Duration::from_secs(20);

/// Shorter times than in production, so that a row is over soon; otherwise everything is as it is there.
const SETTINGS: [(&str, &str); 10] = [
    ("LEASELINE_PACE_SEGMENTS_PER_SECOND", "20"),
    ("LEASELINE_TWILIO_REQUEST_TIMEOUT_MS", "3000"),
    ("LEASELINE_TELNYX_REQUEST_TIMEOUT_MS", "3000"),
    ("LEASELINE_LOOKUP_TIMEOUT_MS", "1000"),
    // Twice as long as a call with its lookup, and more than a pause of these runs.
    ("LEASELINE_DELIVERY_ATTEMPT_DEADLINE_MS", "9000"),
    ("LEASELINE_INQUIRIES_CONFIRM_WITHIN_S", "12"),
    ("LEASELINE_INQUIRIES_RECEIPTS_AFTER_S", "10"),
    ("LEASELINE_FEED_HEARTBEAT_MS", "1000"),
    ("LEASELINE_FEED_HEADS_INTERVAL_MS", "2000"),
    ("LEASELINE_LOG_FORMAT", "pretty"),
];

/// Lines between the parts.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) postgres: Proxy,
    /// Not to a cluster, whose servers name each other to their clients.
    pub(super) nats: Option<Proxy>,
    /// From the services to the carrier.
    pub(super) carrier: Proxy,
    /// From the carrier to the replicas of ingest, by turns.
    pub(super) webhooks: Proxy,
    /// From the gateways to each replica behind them.
    pub(super) grpc: Vec<Proxy>,
}

/// Everything that runs.
pub(super) struct World {
    pub(super) processes: Processes,
    pub(super) lines: Lines,
    pub(super) conversations: Vec<Conversation>,
    /// For texts that ask whether everything works.
    pub(super) probed: Conversation,
    pub(super) phones: Phones,
    pub(super) cluster: Option<Cluster>,
    licenses: Vec<String>,
    gateways: Vec<String>,
    signer: Signer,
    watchers: Vec<Watcher>,
    texts: PgPool,
    deliveries: PgPool,
    letters: DeadLetters,
    _carrier: Carrier,
    // Last: whoever uses them ends before.
    pub(super) engines: Engines,
}

impl World {
    /// Starts all of it in a fresh folder.
    pub(super) async fn start(dir: &Path, clustered: bool) -> Result<Self> {
        Engines::remove(dir)?;
        // A cluster stands in for the single server.
        let no_server = clustered.then(String::new);
        let mut engines = Engines::start(dir, Durability::Full, None, no_server)?;
        let cluster = if clustered { Some(engines.start_cluster()?) } else { None };
        let nats_url = cluster.as_ref().map_or(&engines.nats_url, |cluster| &cluster.nats_url).clone();

        let postgres = Proxy::start(&[port_of(&engines.database_url)?]).await?;
        let nats = if clustered { None } else { Some(Proxy::start(&[port_of(&nats_url)?]).await?) };
        let signer = Signer::new(crate::stack::random_secret() + &crate::stack::random_secret());
        let mut settings: BTreeMap<_, _> = SETTINGS.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        settings.insert("LEASELINE_NATS_REPLICAS".to_owned(), if clustered { "3" } else { "1" }.to_owned());
        let through_line = nats.as_ref().map_or(nats_url.clone(), |line| format!("nats://127.0.0.1:{}", line.port()));
        let mut layout = Layout::make(&Options {
            database_prefix: DATABASE_PREFIX.to_owned(),
            namespace: NAMESPACE.to_owned(),
            replicas: 2,
            settings,
            receipt_delay: RECEIPT_DELAY,
            media_folder: Some(dir.join("media")),
            ..Options::new(&with_port(&engines.database_url, postgres.port())?, &through_line, &signer)
        })
        .await?;
        let (carrier, webhooks, grpc) = draw_lines(&mut layout).await?;
        let lines = Lines { postgres, nats, carrier, webhooks, grpc };

        let mut processes = Processes::new(&layout, &dir.join("logs"))?;
        for replica in processes.list() {
            processes.start(replica)?;
        }
        for replica in processes.list() {
            processes.wait_until_ready(replica, READY).await?;
        }

        let texts = connect(&engines.database_url, Service::Conversations).await?;
        let deliveries = connect(&engines.database_url, Service::Dispatch).await?;
        let gateways = layout.list_urls(Service::Gateway);
        let mut conversations = Vec::new();
        for area_code in AREA_CODES {
            conversations.push(create_license(&gateways, &signer, area_code).await?);
        }
        wait_until_known(&texts).await?;
        let probed = conversations[0].last().cloned().context("nobody to probe")?;
        let licenses: Vec<String> = AREA_CODES.map(license_id).into();
        let mut watchers = Vec::new();
        for (license_id, with) in licenses.iter().zip(&conversations) {
            watchers.push(Watcher::start(&with[0].managers, find_head(&texts, license_id).await?));
        }
        let conversations = conversations.into_iter().flatten().filter(|with| with.person_id != person_id(PROBED));
        let nats_settings = NatsSettings {
            url: nats_url,
            user: String::new(),
            password: chassis::Secret::default(),
            namespace: NAMESPACE.to_owned(),
            replicas: 1,
        };
        let bus = Bus::connect(&nats_settings, "leaseline crash").await?;
        Ok(Self {
            processes,
            lines,
            conversations: conversations.collect(),
            probed,
            phones: Phones::new(&layout.simulator_url),
            cluster,
            licenses,
            gateways,
            signer,
            watchers,
            texts,
            deliveries,
            letters: DeadLetters::new(bus),
            _carrier: layout.carrier,
            engines,
        })
    }

    /// A company that signs up now.
    pub(super) fn admit(&self, license_id: &str) -> Result<Newcomer> {
        let backend = self.signer.sign("", "service", "backend", "Company backend")?;
        let manager = self.signer.sign(license_id, "manager", "mia", "Mia Manager")?;
        let at_each = |token: &str| self.gateways.iter().map(|gateway| Api::new(gateway, token)).collect();
        Ok(Newcomer::start(license_id, at_each(&backend), at_each(&manager)))
    }

    /// Asks both ends of a row. The feeds' clients get a moment to catch up.
    pub(super) async fn collect(&self, tag: &str, said: &Said) -> Result<Evidence> {
        let mut evidence =
            Evidence { accepted: said.accepted.clone(), answered: said.answered.clone(), ..Evidence::default() };
        let prefix = format!("{tag} ");
        for (index, conversation) in self.conversations.iter().enumerate() {
            for text in self.phones.inbox(&conversation.phone).await? {
                let Some(body) = text["body"].as_str().filter(|body| body.starts_with(&prefix)) else { continue };
                evidence.on_phones.push(Text { conversation: index, body: body.to_owned() });
            }
        }
        let rows: Vec<(String, String)> = sqlx::query_as(
            "select body, status from messages where starts_with(body, $1) order by created_at, message_id",
        )
        .bind(&prefix)
        .fetch_all(&self.texts)
        .await?;
        for (body, status) in rows {
            match parse(&body) {
                Some((_, true)) if status == "unknown" => drop(evidence.unknown.insert(body.clone())),
                Some((conversation, false)) => evidence.stored.push(Text { conversation, body: body.clone() }),
                _ => {}
            }
            evidence.committed.push(body);
        }
        self.list_heads().await?;
        for watcher in &self.watchers {
            watcher.count_created(&evidence.committed, &mut evidence.created);
        }
        Ok(evidence)
    }

    /// The heads of the feeds, once their clients are there or have had some seconds.
    async fn list_heads(&self) -> Result<Vec<u64>> {
        let mut heads = Vec::with_capacity(self.licenses.len());
        for (license_id, watcher) in self.licenses.iter().zip(&self.watchers) {
            let (head, deadline) = (find_head(&self.texts, license_id).await?, Instant::now() + BEHIND);
            while watcher.position() < head && Instant::now() < deadline {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            heads.push(head);
        }
        Ok(heads)
    }

    /// The row is over for the feeds' clients. Returns what was wrong with the positions they saw, and how often they had
    /// to connect again.
    pub(super) async fn turn_over_feeds(&self) -> Result<(Vec<String>, usize)> {
        let (mut wrong, mut connections) = (Vec::new(), 0);
        for (head, watcher) in self.list_heads().await?.into_iter().zip(&self.watchers) {
            wrong.extend(check_positions(&watcher.look(head)));
            connections += watcher.turn_over(head);
        }
        Ok((wrong, connections))
    }

    /// Whether a feed has told of a message with this body.
    pub(super) fn is_on_feed(&self, body: &str) -> bool {
        self.watchers.iter().any(|watcher| watcher.has_created(body))
    }

    /// Whether the phone that probes go to has this text.
    pub(super) async fn is_on_phone(&self, body: &str) -> bool {
        let inbox = self.phones.inbox(&self.probed.phone).await;
        inbox.is_ok_and(|texts| texts.iter().any(|text| text["body"] == body))
    }

    /// Of the attempts begun between two moments: how many have an outcome that is unknown, and how many have none.
    pub(super) async fn count_attempts(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Result<(i64, i64)> {
        let counts = sqlx::query_as(
            "select count(*) filter (where outcome = 'unknown'), count(*) filter (where outcome is null)
             from attempts where started_at >= $1 and started_at < $2",
        );
        Ok(counts.bind(from).bind(to).fetch_one(&self.deliveries).await?)
    }

    /// All dead letters there are, each with its reason.
    pub(super) async fn list_dead_letters(&self) -> Result<Vec<String>> {
        let letters = self.letters.list(1_000).await?;
        Ok(letters.into_iter().map(|letter| format!("{}: {}", letter.consumer, letter.reason)).collect())
    }
}

/// The lines whose ends are known only now, and the settings that lead along them.
async fn draw_lines(layout: &mut Layout) -> Result<(Proxy, Proxy, Vec<Proxy>)> {
    let carrier = Proxy::start(&[port_of(&layout.simulator_url)?]).await?;
    let ingest: Vec<u16> = layout.list_urls(Service::Ingest).iter().map(|url| port_of(url)).collect::<Result<_>>()?;
    let webhooks = Proxy::start(&ingest).await?;
    let mut grpc = Vec::new();
    let mut upstreams = Vec::new();
    for (service, name) in [
        (Service::Numbers, "LEASELINE_UPSTREAMS_NUMBERS_URL"),
        (Service::Conversations, "LEASELINE_UPSTREAMS_CONVERSATIONS_URL"),
        (Service::Dispatch, "LEASELINE_UPSTREAMS_DISPATCH_URL"),
    ] {
        let mut urls = Vec::new();
        for url in layout.list_urls(service) {
            let line = Proxy::start(&[port_of(&url)?]).await?;
            urls.push(format!("http://127.0.0.1:{}", line.port()));
            grpc.push(line);
        }
        upstreams.push((name, urls.join(",")));
    }
    let (carrier_url, webhooks_url) =
        (format!("http://127.0.0.1:{}", carrier.port()), format!("http://127.0.0.1:{}", webhooks.port()));
    upstreams.extend([
        ("LEASELINE_TWILIO_BASE_URL", carrier_url.clone()),
        ("LEASELINE_TWILIO_LOOKUPS_URL", carrier_url.clone()),
        ("LEASELINE_TELNYX_BASE_URL", carrier_url),
        ("LEASELINE_WEBHOOKS_BASE_URL", webhooks_url.clone()),
        ("LEASELINE_WEBHOOKS_PUBLIC_URL", webhooks_url),
    ]);
    for values in layout.settings.values_mut() {
        values.extend(upstreams.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    }
    Ok((carrier, webhooks, grpc))
}

fn port_of(url: &str) -> Result<u16> {
    Url::parse(url).ok().and_then(|url| url.port()).context("an address without a port")
}

fn with_port(url: &str, port: u16) -> Result<String> {
    let mut url = Url::parse(url)?;
    ensure!(url.set_port(Some(port)).is_ok(), "an address that has no port");
    Ok(url.into())
}

async fn connect(database_url: &str, service: Service) -> Result<PgPool> {
    let address: PgConnectOptions = database_url.parse()?;
    let address = address.database(&format!("{DATABASE_PREFIX}{}", service.name()));
    Ok(PgPoolOptions::new().max_connections(4).connect_with(address).await?)
}

fn license_id(area_code: &str) -> String {
    format!("crash-{area_code}")
}

fn person_id(index: usize) -> String {
    format!("person-{index:02}")
}

/// A license with its number and its people; the last one is for probes.
async fn create_license(gateways: &[String], signer: &Signer, area_code: &str) -> Result<Vec<Conversation>> {
    let id = license_id(area_code);
    let gateway = gateways.first().context("there is no gateway")?;
    let backend = Api::new(gateway, &signer.sign("", "service", "backend", "Company backend")?);
    let company =
        json!({ "company_name": "Crash Property Management", "company_phone": format!("+1{area_code}5550198") });
    backend.put(&format!("/v1/licenses/{id}"), &company).await?;
    let manager = Api::new(gateway, &signer.sign(&id, "manager", "mia", "Mia Manager")?);
    let number = wait_for_number(&manager).await?;
    let managers: Vec<Api> = gateways.iter().map(|gateway| manager.at(gateway)).collect();
    let mut conversations = Vec::new();
    for index in (0..PEOPLE).chain([PROBED]) {
        let phone = format!("+1{area_code}55501{index:02}");
        let person = json!({ "kind": "tenant", "name": format!("Tenant {index}"), "phones": [phone] });
        manager.put(&format!("/v1/people/{}", person_id(index)), &person).await?;
        let (number, managers) = (number.clone(), managers.clone());
        conversations.push(Conversation { person_id: person_id(index), phone, number, managers });
    }
    Ok(conversations)
}

/// Waits until conversations has heard of every number: before that, texts to it belong to nobody.
async fn wait_until_known(texts: &PgPool) -> Result<()> {
    let deadline = Instant::now() + READY;
    loop {
        let known: i64 =
            sqlx::query_scalar("select count(*) from licenses where number is not null").fetch_one(texts).await?;
        if usize::try_from(known)? == AREA_CODES.len() {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("conversations knows {known} of {} numbers", AREA_CODES.len());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn find_head(texts: &PgPool, license_id: &str) -> Result<u64> {
    let head: i64 = sqlx::query_scalar("select feed_head from licenses where license_id = $1")
        .bind(license_id)
        .fetch_one(texts)
        .await?;
    Ok(u64::try_from(head)?)
}
