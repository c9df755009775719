//! What is measured: fresh engines, the five services and the simulator, licenses with people, and open feeds.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use engines::{Durability, Engines};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use rand::RngExt as _;
use serde_json::json;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::task::JoinSet;

use super::ledger::Ledger;
use crate::client::{Api, Feed, Phones};
use crate::dev::wait_for_number;
use crate::stack::{Options, Stack};
use crate::token::Signer;

/// One license in each; phones 555-0100 to 555-0149 of an area code belong to its people.
const AREA_CODES: [&str; 10] = ["212", "213", "305", "312", "404", "415", "512", "617", "646", "702"];
pub(super) const LICENSES: usize = AREA_CODES.len();
pub(super) const PEOPLE: usize = 50;

const DATABASE_PREFIX: &str = "leaseline_bench_";
const NAMESPACE: &str = "bench";
/// From the simulator's acceptance of a text to its first receipt.
const RECEIPT_DELAY: Duration = Duration::from_millis(20);
/// A feed that brings a text twice brings it within this time.
const AFTERMATH: Duration = Duration::from_millis(300);
/// How long what a phase left behind may take.
const SETTLING: Duration = Duration::from_secs(15);

/// A customer company under load.
pub(super) struct License {
    pub(super) id: String,
    /// Its messages number.
    pub(super) number: String,
    /// Of its people, in the order of their ids.
    pub(super) phones: Vec<String>,
    pub(super) manager: Api,
}

impl License {
    /// The id of the person with this phone.
    pub(super) fn person_id(index: usize) -> String {
        format!("person-{index:02}")
    }
}

/// Everything that runs. Its folder goes with it.
pub(super) struct World {
    pub(super) licenses: Vec<License>,
    /// The company product that serves all of them.
    pub(super) backend: Api,
    pub(super) phones: Phones,
    pub(super) stack: Stack,
    /// The database of conversations, as the administrator.
    pub(super) conversations: PgPool,
    pub(super) nats: async_nats::Client,
    admin: PgPool,
    // Last: the engines end before their folder goes.
    engines: Engines,
    _folder: Folder,
}

impl World {
    /// Starts all of it in a fresh folder. Engines that are given by their addresses are used instead of own ones.
    pub(super) async fn start(dir: &Path, given: (Option<String>, Option<String>)) -> Result<Self> {
        let mut folder = Folder::fresh(dir)?;
        let own_database = given.0.is_none();
        let engines = Engines::start(&folder.path, Durability::Full, given.0, given.1)?;
        let admin = PgPoolOptions::new().max_connections(1).connect(&engines.database_url).await?;
        if own_database {
            let data: String = sqlx::query_scalar("show data_directory").fetch_one(&admin).await?;
            folder.include(Path::new(&data))?;
        }
        let nats = async_nats::connect(&engines.nats_url).await.context("NATS cannot be reached")?;
        remove_leftovers(&admin, &nats, DATABASE_PREFIX, &[NAMESPACE]).await?;
        let signer = Signer::new(format!("{:032x}{:032x}", rand::rng().random::<u128>(), rand::rng().random::<u128>()));
        let stack = Stack::start(&options(&engines, &signer)).await?;
        let address: PgConnectOptions = engines.database_url.parse()?;
        let address = address.database(&format!("{DATABASE_PREFIX}conversations"));
        let conversations = PgPoolOptions::new().max_connections(16).connect_with(address).await?;
        let gateway = stack.gateway_urls.first().context("the stack has no gateway")?;
        let backend = Api::new(gateway, &signer.sign("", "service", "backend", "Company backend")?);
        let licenses = create_licenses(gateway, &backend, &signer).await?;
        wait_until_known(&conversations).await?;
        let phones = Phones::new(&stack.simulator_url);
        Ok(Self { licenses, backend, phones, stack, conversations, nats, admin, engines, _folder: folder })
    }

    /// Stops in order. Nothing of the run stays, also at engines that were given.
    pub(super) async fn end(self) -> Result<()> {
        let Self { stack, conversations, admin, nats, engines, _folder: folder, .. } = self;
        stack.stop().await?;
        conversations.close().await;
        remove_leftovers(&admin, &nats, DATABASE_PREFIX, &[NAMESPACE]).await?;
        admin.close().await;
        drop(engines);
        drop(folder);
        Ok(())
    }

    /// The first and only replica of ingest.
    pub(super) fn ingest_url(&self) -> Result<&str> {
        self.stack.ingest_urls.first().map(String::as_str).context("the stack has no ingest")
    }

    /// The versions of PostgreSQL and nats-server.
    pub(super) async fn engine_versions(&self) -> Result<(String, String)> {
        let version: String = sqlx::query_scalar("show server_version").fetch_one(&self.admin).await?;
        let version = version.split_whitespace().next().unwrap_or_default().to_owned();
        Ok((version, self.nats.server_info().version))
    }

    /// Messages of a phase that are committed.
    pub(super) async fn count_messages(&self, tag: &str) -> Result<usize> {
        let count: i64 = sqlx::query_scalar("select count(*) from messages where starts_with(body, $1)")
            .bind(tag)
            .fetch_one(&self.conversations)
            .await?;
        Ok(usize::try_from(count)?)
    }

    /// Waits until every sent text is delivered, receipts and all, so that the next phase meets idle services.
    /// Answers whether they got there.
    pub(super) async fn settle(&self) -> Result<bool> {
        let deadline = Instant::now() + SETTLING;
        loop {
            let open: i64 = sqlx::query_scalar(
                "select count(*) from messages where direction = 'outbound' and status <> 'delivered'",
            )
            .fetch_one(&self.conversations)
            .await?;
            if open == 0 {
                return Ok(true);
            }
            if Instant::now() > deadline {
                return Ok(false);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

fn options(engines: &Engines, signer: &Signer) -> Options {
    let pace_off = ("LEASELINE_PACE_SEGMENTS_PER_SECOND".to_owned(), "0".to_owned());
    Options {
        database_prefix: DATABASE_PREFIX.to_owned(),
        namespace: NAMESPACE.to_owned(),
        settings: BTreeMap::from([pace_off]),
        receipt_delay: RECEIPT_DELAY,
        ..Options::new(&engines.database_url, &engines.nats_url, signer)
    }
}

async fn create_licenses(gateway: &str, backend: &Api, signer: &Signer) -> Result<Vec<License>> {
    let mut licenses = Vec::with_capacity(LICENSES);
    for area_code in AREA_CODES {
        let id = format!("bench-{area_code}");
        let company =
            json!({ "company_name": "Bench Property Management", "company_phone": format!("+1{area_code}5550199") });
        backend.put(&format!("/v1/licenses/{id}"), &company).await?;
        let manager = Api::new(gateway, &signer.sign(&id, "manager", "mia", "Mia Manager")?);
        let number = wait_for_number(&manager).await?;
        let phones: Vec<String> = (0..PEOPLE).map(|index| format!("+1{area_code}55501{index:02}")).collect();
        let puts = phones.iter().enumerate().map(|(index, phone)| {
            let person = json!({ "kind": "tenant", "name": format!("Tenant {index}"), "phones": [phone] });
            let manager = &manager;
            async move { manager.put(&format!("/v1/people/{}", License::person_id(index)), &person).await.map(drop) }
        });
        stream::iter(puts).buffer_unordered(16).try_collect::<()>().await?;
        licenses.push(License { id, number, phones, manager });
    }
    Ok(licenses)
}

/// Waits until conversations has heard of every number: before that, texts to it belong to nobody.
async fn wait_until_known(conversations: &PgPool) -> Result<()> {
    let deadline = Instant::now() + SETTLING;
    loop {
        let known: i64 = sqlx::query_scalar("select count(*) from licenses where number is not null")
            .fetch_one(conversations)
            .await?;
        if usize::try_from(known)? == LICENSES {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("conversations knows {known} of {LICENSES} numbers");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Of an earlier run that was killed, or of this one.
pub(super) async fn remove_leftovers(
    admin: &PgPool,
    nats: &async_nats::Client,
    prefix: &str,
    namespaces: &[&str],
) -> Result<()> {
    let databases: Vec<String> =
        sqlx::query_scalar("select datname::text from pg_database where starts_with(datname, $1)")
            .bind(prefix)
            .fetch_all(admin)
            .await?;
    for name in databases {
        // A name of ours: it begins with the prefix.
        let statement = format!("drop database \"{name}\" with (force)");
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(admin).await?;
    }
    let jetstream = async_nats::jetstream::new(nats.clone());
    let prefixes: Vec<String> = ["", "KV_"]
        .iter()
        .flat_map(|kind| namespaces.iter().map(move |namespace| format!("{kind}{}_", namespace.to_uppercase())))
        .collect();
    let names: Vec<String> = jetstream.stream_names().try_collect().await?;
    for name in names.iter().filter(|name| prefixes.iter().any(|prefix| name.starts_with(prefix))) {
        jetstream.delete_stream(name).await?;
    }
    Ok(())
}

/// Managers who watch: each license's feed, read to the end of a phase.
#[derive(Debug)]
pub(super) struct Watchers {
    readers: JoinSet<Result<()>>,
    jumps: Arc<AtomicUsize>,
}

impl Watchers {
    /// Opens a feed for each license; new messages are noted in the ledger when there is one.
    pub(super) async fn open(world: &World, ledger: Option<&Arc<Ledger>>) -> Result<Self> {
        let jumps = Arc::new(AtomicUsize::new(0));
        let mut readers = JoinSet::new();
        for license in &world.licenses {
            let feed = license.manager.feed(None).await?;
            readers.spawn(watch(feed, ledger.cloned(), jumps.clone()));
        }
        Ok(Self { readers, jumps })
    }

    /// Waits for doubles and closes the feeds.
    ///
    /// # Errors
    /// When a feed broke, or had a gap or a double.
    pub(super) async fn close(mut self) -> Result<()> {
        tokio::time::sleep(AFTERMATH).await;
        while let Some(ended) = self.readers.try_join_next() {
            ended??;
        }
        let jumps = self.jumps.load(Relaxed);
        ensure!(jumps == 0, "the feeds had {jumps} gaps or doubles");
        Ok(())
    }
}

async fn watch(mut feed: Feed, ledger: Option<Arc<Ledger>>, jumps: Arc<AtomicUsize>) -> Result<()> {
    let mut position = feed.position();
    while let Some(event) = feed.next_block().await? {
        if position.is_some_and(|before| before + 1 != event.seq) {
            jumps.fetch_add(1, Relaxed);
        }
        position = Some(event.seq);
        if let (Some(ledger), "message.created", Some(body)) =
            (&ledger, event.kind.as_str(), event.data["body"].as_str())
        {
            ledger.arrive(body);
        }
    }
    bail!("the gateway ended a feed")
}

/// Where this run keeps its data. Removed when it is dropped; what a killed run left is removed before.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    /// PostgreSQL's home, when its user may not go to `path`.
    elsewhere: Option<PathBuf>,
}

impl Folder {
    pub(super) fn fresh(path: &Path) -> Result<Self> {
        // Without the data inside it holds the password of data that are elsewhere: those are used again.
        if path.join("postgres").exists() {
            fs::remove_dir_all(path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
        Ok(Self { path: path.to_owned(), elsewhere: None })
    }

    pub(super) fn include(&mut self, data: &Path) -> Result<()> {
        let inside = data.starts_with(fs::canonicalize(&self.path)?);
        self.elsewhere = data.parent().filter(|_| !inside).map(Path::to_owned);
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        for path in self.elsewhere.iter().chain([&self.path]) {
            if let Err(error) = fs::remove_dir_all(path) {
                eprintln!("cannot remove {}: {error}", path.display());
            }
        }
    }
}
