//! The five services and the carrier simulator in one process, over engines that run already.
//!
//! Used by the development stack, the demo, the benchmark and the journeys. Every service is started exactly as its
//! own binary starts it: from its defaults and a set of `LEASELINE_…` variables, with a life of its own, so that one
//! can be stopped or killed while the others go on. [`Layout`] is what services are told, also where each is a process
//! of its own.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use chassis::{Clock, Lifecycle};
use engines::free_port;
use rand::RngExt as _;
use serde::de::DeserializeOwned;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;

use crate::token::Signer;

/// The services, in the order in which they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    Numbers,
    Conversations,
    Dispatch,
    Ingest,
    Gateway,
}

impl Service {
    pub const ALL: [Self; 5] = [Self::Numbers, Self::Conversations, Self::Dispatch, Self::Ingest, Self::Gateway];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Numbers => "numbers",
            Self::Conversations => "conversations",
            Self::Dispatch => "dispatch",
            Self::Ingest => "ingest",
            Self::Gateway => "gateway",
        }
    }

    const fn has_database(self) -> bool {
        matches!(self, Self::Numbers | Self::Conversations | Self::Dispatch)
    }

    /// What it serves to others, beside its admin port: gRPC or HTTP.
    const fn listener(self) -> &'static str {
        match self {
            Self::Numbers | Self::Conversations | Self::Dispatch => "LEASELINE_GRPC_LISTEN",
            Self::Ingest | Self::Gateway => "LEASELINE_HTTP_LISTEN",
        }
    }

    /// The port of its defaults.
    const fn usual_port(self) -> u16 {
        match self {
            Self::Numbers => 9001,
            Self::Conversations => 9002,
            Self::Dispatch => 9003,
            Self::Ingest => 8081,
            Self::Gateway => 8080,
        }
    }
}

/// Which ports the stack listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ports {
    /// Those of the services' defaults, so that addresses can be remembered.
    Usual,
    /// Free ones: several stacks side by side.
    Free,
}

/// What a stack is made of.
#[derive(Debug, Clone)]
pub struct Options {
    /// The administrator's address of PostgreSQL.
    pub database_url: String,
    /// Prefix of the databases' names and their roles.
    pub database_prefix: String,
    pub nats_url: String,
    /// Prefix of subjects and streams. Empty: none.
    pub namespace: String,
    pub ports: Ports,
    /// Replicas of each service; only the first one listens on the usual ports.
    pub replicas: usize,
    /// Further settings of all services, by their environment names.
    pub settings: BTreeMap<String, String>,
    /// From the acceptance of a message to its first receipt.
    pub receipt_delay: Duration,
    /// With which Twilio signs, and with which it is called.
    pub twilio_auth_token: String,
    /// With which Telnyx is called.
    pub telnyx_api_key: String,
    /// With which Telnyx signs: 32 bytes in hexadecimal digits.
    pub telnyx_signing_key: String,
    /// Where the carrier keeps the numbers it sold, if the databases outlive the stack.
    pub numbers_file: Option<PathBuf>,
    /// Where media are kept. `None`: they are gone with the stack.
    pub media_folder: Option<PathBuf>,
    /// Among whom one chooses at the console's sign-in. `None`: there is no console.
    pub sign_in_file: Option<PathBuf>,
    pub signer: Signer,
}

impl Options {
    /// A stack of one replica each on free ports, whose carrier forgets with it.
    pub fn new(database_url: &str, nats_url: &str, signer: &Signer) -> Self {
        Self {
            database_url: database_url.to_owned(),
            database_prefix: "leaseline_".to_owned(),
            nats_url: nats_url.to_owned(),
            namespace: String::new(),
            ports: Ports::Free,
            replicas: 1,
            settings: BTreeMap::new(),
            receipt_delay: Duration::from_millis(400),
            twilio_auth_token: random_secret(),
            telnyx_api_key: random_secret(),
            telnyx_signing_key: random_secret() + &random_secret(),
            numbers_file: None,
            media_folder: None,
            sign_in_file: None,
            signer: signer.clone(),
        }
    }
}

/// 128 random bits in hexadecimal digits.
pub fn random_secret() -> String {
    format!("{:032x}", rand::rng().random::<u128>())
}

/// How long a replaced number is kept here: long enough to be seen, and no longer.
const RELEASE_DELAY_S: &str = "2";

/// Without one, Telnyx forwards no call.
const OUTBOUND_VOICE_PROFILE: &str = "development";

/// The carrier's account in development. Nobody's.
pub const ACCOUNT_SID: &str = "ACdead0000beef0000dead0000beef0000";

/// A running stack. Everything in it ends when it is dropped.
#[derive(Debug)]
pub struct Stack {
    pub gateway_urls: Vec<String>,
    pub ingest_urls: Vec<String>,
    /// gRPC, for operators.
    pub numbers_urls: Vec<String>,
    /// As the services connect, for those that have one.
    pub database_urls: HashMap<Service, String>,
    pub simulator_url: String,
    pub twilio_auth_token: String,
    pub telnyx_api_key: String,
    replicas: HashMap<(Service, usize), Replica>,
    settings: HashMap<(Service, usize), Settings>,
    _carrier: Carrier,
}

/// Settings of one replica, by their environment names.
pub(crate) type Settings = HashMap<String, String>;

/// Where everything is and what each replica is told. The simulator runs, the databases are there, no service runs.
#[derive(Debug)]
pub(crate) struct Layout {
    /// Of every replica.
    pub(crate) urls: HashMap<Service, Vec<String>>,
    pub(crate) settings: HashMap<(Service, usize), Settings>,
    pub(crate) database_urls: HashMap<Service, String>,
    pub(crate) simulator_url: String,
    pub(crate) carrier: Carrier,
}

/// What ends with a stack beside its services: the simulator, and the media.
#[derive(Debug)]
pub(crate) struct Carrier {
    _simulator: DropGuard,
    _media: Option<TempDir>,
}

/// One process, so to speak: a runtime of its own, so that it can be killed.
#[derive(Debug)]
struct Replica {
    lifecycle: Lifecycle,
    runtime: Option<Runtime>,
}

impl Replica {
    /// Ends what still runs, and returns when its sockets are closed: its ports can be listened on again.
    async fn end(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Fails when the caller's own runtime ends: then everything does.
            let _ = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(Duration::from_secs(2))).await;
        }
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Layout {
    /// Starts the simulator, creates the databases that are missing and chooses the ports.
    ///
    /// # Errors
    /// When one of these cannot be had.
    pub(crate) async fn make(options: &Options) -> Result<Self> {
        chassis::process::install_tls();
        let twilio_auth_token = options.twilio_auth_token.clone();
        let simulator_port = pick(options.ports, 8090)?;
        let simulator_url = format!("http://127.0.0.1:{simulator_port}");
        let simulator = start_simulator(simulator_port, options).await?;

        let mut ports = HashMap::new();
        for service in Service::ALL {
            for index in 0..options.replicas {
                let usual = if index == 0 { options.ports } else { Ports::Free };
                ports.insert((service, index), pick(usual, service.usual_port())?);
            }
        }
        let urls = |service: Service| -> Vec<String> {
            (0..options.replicas).map(|index| format!("http://127.0.0.1:{}", ports[&(service, index)])).collect()
        };

        let telnyx_public_key = simulator::telnyx_public_key(&options.telnyx_signing_key)?;
        let databases = create_databases(options).await?;
        let (media_folder, temporary) = choose_media_folder(options)?;
        let mut settings = HashMap::new();
        for (&(service, index), port) in &ports {
            let mut values: Settings = options.settings.clone().into_iter().collect();
            let mut set = |name: &str, value: String| {
                values.entry(name.to_owned()).or_insert(value);
            };
            set(service.listener(), format!("127.0.0.1:{port}"));
            set("LEASELINE_ADMIN_LISTEN", format!("127.0.0.1:{}", free_port()?));
            set("LEASELINE_NATS_URL", options.nats_url.clone());
            set("LEASELINE_NATS_NAMESPACE", options.namespace.clone());
            set("LEASELINE_TWILIO_BASE_URL", simulator_url.clone());
            set("LEASELINE_TWILIO_LOOKUPS_URL", simulator_url.clone());
            // Ingest takes whatever the token signs: a hand-made webhook need not know the account.
            let account = if service == Service::Ingest { "" } else { ACCOUNT_SID };
            set("LEASELINE_TWILIO_ACCOUNT_SID", account.to_owned());
            set("LEASELINE_TWILIO_AUTH_TOKEN", twilio_auth_token.clone());
            set("LEASELINE_TWILIO_AUTH_TOKENS", twilio_auth_token.clone());
            set("LEASELINE_TELNYX_BASE_URL", simulator_url.clone());
            set("LEASELINE_TELNYX_API_KEY", options.telnyx_api_key.clone());
            set("LEASELINE_TELNYX_OUTBOUND_VOICE_PROFILE_ID", OUTBOUND_VOICE_PROFILE.to_owned());
            set("LEASELINE_TELNYX_PUBLIC_KEYS", telnyx_public_key.clone());
            set("LEASELINE_MEDIA_STORE", media_folder.to_string());
            set("LEASELINE_RELEASE_DELAY_S", RELEASE_DELAY_S.to_owned());
            set("LEASELINE_WEBHOOKS_BASE_URL", urls(Service::Ingest).swap_remove(0));
            set("LEASELINE_WEBHOOKS_PUBLIC_URL", urls(Service::Ingest).swap_remove(0));
            set("LEASELINE_PHONE_NUMBERS_ALLOW_FICTIONAL", "true".to_owned());
            set("LEASELINE_UPSTREAMS_NUMBERS_URL", urls(Service::Numbers).join(","));
            set("LEASELINE_UPSTREAMS_CONVERSATIONS_URL", urls(Service::Conversations).join(","));
            set("LEASELINE_UPSTREAMS_DISPATCH_URL", urls(Service::Dispatch).join(","));
            set("LEASELINE_AUTH_ISSUER", options.signer.issuer.clone());
            set("LEASELINE_AUTH_AUDIENCE", options.signer.audience.clone());
            set("LEASELINE_AUTH_STATIC_KEYS", options.signer.key.clone());
            set("LEASELINE_CORS_ALLOWED_ORIGINS", "*".to_owned());
            if let Some(file) = &options.sign_in_file {
                set("LEASELINE_CONSOLE_ENABLED", "true".to_owned());
                set("LEASELINE_CONSOLE_SIGN_IN_FILE", file.display().to_string());
                set("LEASELINE_CONSOLE_PHONES_URL", format!("{simulator_url}/phones"));
            }
            if let Some(url) = databases.get(&service) {
                set("LEASELINE_DATABASE_URL", url.clone());
            }
            settings.insert((service, index), values);
        }

        let urls = Service::ALL.map(|service| (service, urls(service))).into();
        let carrier = Carrier { _simulator: simulator, _media: temporary };
        Ok(Self { urls, settings, database_urls: databases, simulator_url, carrier })
    }

    /// Where the replicas of a service are.
    pub(crate) fn list_urls(&self, service: Service) -> Vec<String> {
        self.urls.get(&service).cloned().unwrap_or_default()
    }
}

impl Stack {
    /// Starts everything and waits until every service has started.
    ///
    /// # Errors
    /// Says which service could not start and why.
    pub async fn start(options: &Options) -> Result<Self> {
        let layout = Layout::make(options).await?;
        let mut stack = Self {
            gateway_urls: layout.list_urls(Service::Gateway),
            ingest_urls: layout.list_urls(Service::Ingest),
            numbers_urls: layout.list_urls(Service::Numbers),
            database_urls: layout.database_urls,
            simulator_url: layout.simulator_url,
            twilio_auth_token: options.twilio_auth_token.clone(),
            telnyx_api_key: options.telnyx_api_key.clone(),
            replicas: HashMap::new(),
            settings: layout.settings,
            _carrier: layout.carrier,
        };
        for service in Service::ALL {
            for index in 0..options.replicas {
                stack.start_service(service, index).await?;
            }
        }
        Ok(stack)
    }

    /// Starts one replica of one service, as its binary would.
    ///
    /// # Errors
    /// When it cannot start.
    pub async fn start_service(&mut self, service: Service, index: usize) -> Result<()> {
        let settings = self.settings.get(&(service, index)).context("no such replica")?.clone();
        let lifecycle = Lifecycle::new();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name(service.name())
            .enable_all()
            .build()
            .context("no runtime")?;
        // As `main` does it: the composition runs on a thread of its own, and what it spawns on the runtime.
        let (handle, composing) = (runtime.handle().clone(), lifecycle.clone());
        let started =
            tokio::task::spawn_blocking(move || handle.block_on(run_service(service, settings, composing))).await;
        self.replicas.insert((service, index), Replica { lifecycle, runtime: Some(runtime) });
        started
            .context("the service ended while it started")?
            .with_context(|| format!("{} did not start", service.name()))
    }

    /// Asks one replica to stop and waits for it, as SIGTERM does.
    ///
    /// # Errors
    /// When it does not end in time, or a task of it failed.
    pub async fn stop_service(&mut self, service: Service, index: usize) -> Result<()> {
        let Some(mut replica) = self.replicas.remove(&(service, index)) else { return Ok(()) };
        let finished = replica.lifecycle.finish(Duration::from_secs(20)).await;
        replica.end().await;
        finished
    }

    /// Ends one replica at once, wherever it is: nothing of it runs any more, and it finishes nothing.
    pub async fn kill_service(&mut self, service: Service, index: usize) {
        if let Some(mut replica) = self.replicas.remove(&(service, index)) {
            replica.end().await;
        }
    }

    /// Stops everything in order.
    ///
    /// # Errors
    /// The first one, after all were asked to stop.
    pub async fn stop(mut self) -> Result<()> {
        for replica in self.replicas.values() {
            replica.lifecycle.stop();
        }
        let mut outcome = Ok(());
        let running: Vec<_> = self.replicas.keys().copied().collect();
        for (service, index) in running {
            let stopped = self.stop_service(service, index).await;
            outcome = outcome.and(stopped.with_context(|| format!("{} did not stop in order", service.name())));
        }
        outcome
    }

    /// Cancelled when the given replica has begun to stop: by itself, if nobody asked for it.
    pub fn stopping(&self, service: Service, index: usize) -> Option<CancellationToken> {
        self.replicas.get(&(service, index)).map(|replica| replica.lifecycle.stopping())
    }
}

async fn run_service(service: Service, values: Settings, lifecycle: Lifecycle) -> Result<()> {
    let clock = Clock::system();
    macro_rules! run {
        ($crate_name:ident) => {{
            let settings = load($crate_name::DEFAULTS, &values)?;
            let listeners = $crate_name::Listeners::bind(&settings).await?;
            $crate_name::run(settings, listeners, clock, lifecycle).await
        }};
    }
    match service {
        Service::Numbers => run!(numbers),
        Service::Conversations => run!(conversations),
        Service::Dispatch => run!(dispatch),
        Service::Ingest => run!(ingest),
        Service::Gateway => run!(gateway),
    }
}

fn load<T: DeserializeOwned>(defaults: &'static str, values: &Settings) -> Result<T> {
    Ok(chassis::config::load(defaults, None, &|name| values.get(name).cloned())?)
}

/// The folder of media as an address, and what removes it at the end.
fn choose_media_folder(options: &Options) -> Result<(Url, Option<TempDir>)> {
    let (folder, temporary) = if let Some(folder) = &options.media_folder {
        (std::path::absolute(folder).context("no working directory")?, None)
    } else {
        let temporary = TempDir::with_prefix("leaseline-media-").context("no temporary folder")?;
        (temporary.path().to_owned(), Some(temporary))
    };
    let Ok(address) = Url::from_directory_path(&folder) else { bail!("{} is no folder", folder.display()) };
    Ok((address, temporary))
}

fn pick(ports: Ports, usual: u16) -> Result<u16> {
    match ports {
        Ports::Usual => Ok(usual),
        Ports::Free => free_port(),
    }
}

async fn start_simulator(port: u16, options: &Options) -> Result<DropGuard> {
    let listener = TcpListener::bind(("127.0.0.1", port))
        .await
        .with_context(|| format!("port {port} (the carrier simulator's) is taken: stop what listens on it"))?;
    let stop = CancellationToken::new();
    let mut config = simulator::Config::new(ACCOUNT_SID, &options.twilio_auth_token);
    config.telnyx_api_key.clone_from(&options.telnyx_api_key);
    config.telnyx_signing_key.clone_from(&options.telnyx_signing_key);
    config.receipt_delay = options.receipt_delay;
    config.numbers_file.clone_from(&options.numbers_file);
    tokio::spawn(simulator::run(config, listener, stop.clone()));
    Ok(stop.drop_guard())
}

/// One database and one role per service; created when they are missing.
async fn create_databases(options: &Options) -> Result<HashMap<Service, String>> {
    let mut admin = PgConnection::connect(&options.database_url).await.context("PostgreSQL cannot be reached")?;
    let (address, _) = options.database_url.rsplit_once('/').context("the database address has no database name")?;
    let (scheme, host) = address.split_once("://").context("the database address has no scheme")?;
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let mut urls = HashMap::new();
    for service in Service::ALL.into_iter().filter(|service| service.has_database()) {
        let name = format!("{}{}", options.database_prefix, service.name());
        let password = uuid::Uuid::new_v4().simple().to_string();
        let role: bool = sqlx::query_scalar("select exists (select from pg_roles where rolname = $1)")
            .bind(&name)
            .fetch_one(&mut admin)
            .await?;
        let verb = if role { "alter" } else { "create" };
        // Names and passwords are made here; nothing of them comes from outside.
        let statement = format!("{verb} role \"{name}\" login password '{password}'");
        sqlx::query(AssertSqlSafe(statement)).execute(&mut admin).await?;
        let database: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
            .bind(&name)
            .fetch_one(&mut admin)
            .await?;
        if !database {
            sqlx::query(AssertSqlSafe(format!("create database \"{name}\" owner \"{name}\"")))
                .execute(&mut admin)
                .await?;
        }
        urls.insert(service, format!("{scheme}://{name}:{password}@{host}/{name}"));
    }
    admin.close().await?;
    Ok(urls)
}
