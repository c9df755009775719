//! Private PostgreSQL and NATS instances on loopback, for development, tests and benchmarks.
//!
//! They live in one folder and end with this process, also when it is killed: the kernel ends the children of a
//! dead parent (`setpriv --pdeathsig`). A leftover of an earlier run is stopped first. PostgreSQL refuses to run
//! as root, so for root it runs as the `postgres` user. A run that wants to see what a failure does kills, pauses and
//! restarts them, and starts a cluster of three NATS servers.

mod cluster;
mod server;

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

pub use self::cluster::Cluster;
pub use self::server::signal;
use self::server::{Launch, Server, child_of_ours};

/// How much the engines do so that nothing is lost when the machine loses power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// As in production: every commit and every stored event is synced to disk.
    Full,
    /// For tests: a crash of a service loses nothing, one of an engine or the machine may.
    Process,
}

/// Running engines. They end when this is dropped.
#[derive(Debug)]
pub struct Engines {
    /// The administrator's address: may create roles and databases.
    pub database_url: String,
    pub nats_url: String,
    /// Held as long as they run: nobody else starts, stops or removes engines in this folder.
    _lock: fs::File,
    dir: PathBuf,
    postgres: Option<Server>,
    nats: Option<Server>,
    cluster: Vec<Server>,
}

/// One of the servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Postgres,
    /// The single server.
    Nats,
    /// A server of the cluster, from 0.
    Node(usize),
}

/// The reference configuration: the sync setting is the point of it.
const NATS_CONF: &str = include_str!("../../../../deploy/nats/nats.conf");

impl Engines {
    /// Starts both in `dir`, or uses what the addresses name instead.
    ///
    /// # Errors
    /// Says what is missing and what to do about it.
    pub fn start(
        dir: &Path,
        durability: Durability,
        database_url: Option<String>,
        nats_url: Option<String>,
    ) -> Result<Self> {
        let lock = lock(dir)?;
        let dir = fs::canonicalize(dir)?;
        let (mut postgres, mut nats) = (None, None);
        let database_url = match database_url {
            Some(url) => url,
            None => start_postgres(&dir, durability, &mut postgres)?,
        };
        let nats_url = match nats_url {
            Some(url) => url,
            None => start_nats(&dir, durability, &mut nats)?,
        };
        Ok(Self { database_url, nats_url, _lock: lock, dir, postgres, nats, cluster: Vec::new() })
    }

    /// Starts three more NATS servers, empty ones, which keep what a stream holds three times.
    ///
    /// # Errors
    /// Says what is missing.
    pub fn start_cluster(&mut self) -> Result<Cluster> {
        self.cluster.clear();
        cluster::start(&self.dir, &mut self.cluster)
    }

    /// Ends a server at once, as the crash of its machine does (its disk stays). `start_again` brings it back.
    ///
    /// # Errors
    /// For a server that is not ours.
    pub fn kill(&mut self, engine: Engine) -> Result<()> {
        self.server(engine)?.kill()
    }

    /// A server stands still: connections stay open, nothing answers. `resume` lets it go on.
    ///
    /// # Errors
    /// For a server that is not ours.
    pub fn pause(&mut self, engine: Engine) -> Result<()> {
        self.server(engine)?.pause();
        Ok(())
    }

    /// # Errors
    /// For a server that is not ours.
    pub fn resume(&mut self, engine: Engine) -> Result<()> {
        self.server(engine)?.resume();
        Ok(())
    }

    /// Starts a killed server on its port and its data, and waits until it serves.
    ///
    /// # Errors
    /// For a server that is not ours, and with its last words when it does not start.
    pub fn start_again(&mut self, engine: Engine) -> Result<()> {
        self.server(engine)?.start_again()
    }

    fn server(&mut self, engine: Engine) -> Result<&mut Server> {
        let server = match engine {
            Engine::Postgres => self.postgres.as_mut(),
            Engine::Nats => self.nats.as_mut(),
            Engine::Node(node) => self.cluster.get_mut(node),
        };
        server.with_context(|| format!("{engine:?} was not started here"))
    }
}

impl Engines {
    /// Removes the engines of a folder, running or not, with all their data.
    ///
    /// # Errors
    /// When the folder cannot be removed.
    pub fn remove(dir: &Path) -> Result<()> {
        if !dir.exists() {
            return Ok(());
        }
        let _lock = lock(dir)?;
        let dir = fs::canonicalize(dir)?;
        let user = runs_as_root().then_some("postgres");
        let home = postgres_home(&dir, user)?;
        if let Ok(bin) = find_postgres() {
            stop_leftover_postgres(&bin, &home.join("data"), user);
        }
        stop_leftover_nats(&dir.join("nats.pid"), &dir.join("nats"));
        for folder in [home, dir] {
            if folder.exists() {
                fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
            }
        }
        Ok(())
    }
}

/// Takes a folder for this process. The kernel gives it back when the process ends, however it ends.
fn lock(dir: &Path) -> Result<fs::File> {
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let file = fs::File::create(dir.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => bail!(
            "{} is in use by another run: stop that one first (Ctrl-C where it runs), or give another folder with --dir",
            dir.display()
        ),
        Err(fs::TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", dir.display())),
    }
}

/// Below the range from which the system gives ports to connections: a port that is free now stays free until it is
/// listened on, also across a restart of who listens.
const PORTS: std::ops::Range<u16> = 16_000..32_000;

/// A port that nobody listens on, and that this process did not hand out before.
///
/// # Errors
/// When loopback has none.
pub fn free_port() -> Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Processes begin at different places.
    let offset = u16::try_from(std::process::id() % u32::from(PORTS.end - PORTS.start)).unwrap_or_default();
    for _ in PORTS {
        let step = offset.wrapping_mul(7).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + step % (PORTS.end - PORTS.start);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port on loopback between {} and {}", PORTS.start, PORTS.end)
}

fn start_postgres(dir: &Path, durability: Durability, server: &mut Option<Server>) -> Result<String> {
    let bin = find_postgres()?;
    let user = runs_as_root().then_some("postgres");
    let home = postgres_home(dir, user)?;
    let data = home.join("data");
    let password = read_or_make_password(dir)?;
    if !data.join("PG_VERSION").exists() {
        init_postgres(&bin, &home, &data, user, &password)?;
    }
    stop_leftover_postgres(&bin, &data, user);
    let port = free_port()?;
    let mut arguments: Vec<OsString> = vec!["-D".into(), data.into(), "-p".into(), port.to_string().into()];
    arguments.extend([OsString::from("-h"), "127.0.0.1".into(), "-k".into(), home.into()]);
    arguments.extend(["-c", "max_connections=300", "-c", "shared_buffers=256MB"].map(OsString::from));
    if durability == Durability::Process {
        let quick = ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"];
        arguments.extend(quick.map(OsString::from));
    }
    let launch = Launch {
        name: "PostgreSQL",
        program: bin.join("postgres"),
        user,
        arguments,
        port,
        log: dir.join("postgres.log"),
        ready: Some(bin.join("pg_isready")),
    };
    *server = Some(launch.start()?);
    Ok(format!("postgres://leaseline:{password}@127.0.0.1:{port}/postgres"))
}

fn runs_as_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// The newest PostgreSQL of at least version 15.
fn find_postgres() -> Result<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    let debian =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    for dir in debian.chain(std::env::split_paths(&path)) {
        // Where the program really is, its companions are too: a link may stand alone.
        let Ok(program) = fs::canonicalize(dir.join("postgres")) else { continue };
        let Some(dir) = program.parent().map(Path::to_path_buf) else { continue };
        let Ok(output) = Command::new(&program).arg("--version").output() else { continue };
        let text = String::from_utf8_lossy(&output.stdout);
        let version = text.split_whitespace().find_map(|word| word.split('.').next()?.parse::<u32>().ok());
        found.extend(version.filter(|version| *version >= 15).map(|version| (version, dir)));
    }
    found.sort();
    found.pop().map(|(_, dir)| dir).context("PostgreSQL 15 or newer is not installed: run scripts/setup")
}

/// Where the data live: below `dir`, unless the `postgres` user may not go there (a clone in root's home).
fn postgres_home(dir: &Path, user: Option<&str>) -> Result<PathBuf> {
    let Some(user) = user else {
        let home = dir.join("postgres");
        fs::create_dir_all(&home)?;
        return Ok(home);
    };
    let reachable = child_of_ours(Path::new("test"), Some(user)).arg("-x").arg(dir).status()?.success();
    let home = if reachable {
        dir.join("postgres")
    } else {
        let name: String = dir.display().to_string().replace('/', "-");
        let home = PathBuf::from("/var/tmp").join(format!("leaseline{name}"));
        eprintln!("the postgres user cannot reach {}: its data live in {}", dir.display(), home.display());
        home
    };
    fs::create_dir_all(&home)?;
    let done = Command::new("chown").arg(user).arg(&home).status()?.success();
    if !done {
        bail!("cannot give {} to the user {user}", home.display());
    }
    Ok(home)
}

fn read_or_make_password(dir: &Path) -> Result<String> {
    let path = dir.join("postgres.password");
    if let Ok(password) = fs::read_to_string(&path) {
        return Ok(password);
    }
    let password = uuid::Uuid::new_v4().simple().to_string();
    write_private(&path, &password)?;
    Ok(password)
}

/// Writes a file that only its owner may read.
///
/// # Errors
/// When it cannot be written.
pub fn write_private(path: &Path, content: &str) -> Result<()> {
    let unfinished = path.with_extension("unfinished");
    let mut file = fs::File::create(&unfinished).with_context(|| format!("cannot write {}", path.display()))?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(content.as_bytes())?;
    fs::rename(&unfinished, path)?;
    Ok(())
}

/// Under another name until it is whole: a killed run leaves no half a cluster behind.
fn init_postgres(bin: &Path, home: &Path, data: &Path, user: Option<&str>, password: &str) -> Result<()> {
    let unfinished = home.join("data.unfinished");
    let _ = fs::remove_dir_all(&unfinished);
    let password_file = home.join("password");
    write_private(&password_file, password)?;
    if let Some(user) = user {
        Command::new("chown").arg(user).arg(&password_file).status()?;
    }
    let output = child_of_ours(&bin.join("initdb"), user)
        .arg("-D")
        .arg(&unfinished)
        .args(["-U", "leaseline", "-E", "UTF8", "--locale=C.UTF-8", "--auth=scram-sha-256", "--pwfile"])
        .arg(&password_file)
        .output()
        .context("initdb cannot be run")?;
    fs::remove_file(&password_file)?;
    if !output.status.success() {
        bail!("initdb failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    fs::rename(&unfinished, data)?;
    Ok(())
}

fn stop_leftover_postgres(bin: &Path, data: &Path, user: Option<&str>) {
    if data.join("postmaster.pid").exists() {
        // Fails when the process is gone already: then PostgreSQL clears the file by itself.
        let _ = child_of_ours(&bin.join("pg_ctl"), user)
            .arg("-D")
            .arg(data)
            .args(["-m", "fast", "-w", "-s", "stop"])
            .stderr(Stdio::null())
            .status();
    }
}

fn start_nats(dir: &Path, durability: Durability, server: &mut Option<Server>) -> Result<String> {
    let program = find_nats(dir)?;
    let store = dir.join("nats");
    let pid_file = dir.join("nats.pid");
    stop_leftover_nats(&pid_file, &store);
    let port = free_port()?;
    let mut arguments: Vec<OsString> = Vec::new();
    if durability == Durability::Full {
        let config = dir.join("nats.conf");
        fs::write(&config, NATS_CONF)?;
        arguments.extend([OsString::from("-c"), config.into()]);
    } else {
        arguments.push("-js".into());
    }
    arguments.extend(["-a", "127.0.0.1", "-p"].map(OsString::from));
    arguments.extend([port.to_string().into(), OsString::from("-sd"), store.into()]);
    arguments.extend([OsString::from("-P"), pid_file.into()]);
    let launch =
        Launch { name: "nats-server", program, user: None, arguments, port, log: dir.join("nats.log"), ready: None };
    *server = Some(launch.start()?);
    Ok(format!("nats://127.0.0.1:{port}"))
}

/// `nats-server` of at least version 2.12: from the PATH, or where scripts/setup puts it.
fn find_nats(dir: &Path) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let tools = dir.ancestors().map(|above| above.join("tools/bin"));
    for program in tools.chain(std::env::split_paths(&path)).map(|dir| dir.join("nats-server")) {
        if !program.exists() {
            continue;
        }
        let Ok(output) = Command::new(&program).arg("--version").output() else { continue };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text.split_whitespace().find_map(|word| {
            let mut parts = word.trim_start_matches('v').split('.').map(str::parse::<u32>);
            Some((parts.next()?.ok()?, parts.next()?.ok()?))
        });
        if version.is_some_and(|version| version >= (2, 12)) {
            return Ok(program);
        }
    }
    bail!("nats-server 2.12 or newer is not installed: run scripts/setup")
}

fn stop_leftover_nats(pid_file: &Path, store: &Path) {
    let Some(pid) = fs::read_to_string(pid_file).ok().and_then(|text| text.trim().parse::<u32>().ok()) else { return };
    // Only if that process is the server of this very folder: numbers are used again.
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    if String::from_utf8_lossy(&arguments).contains(&store.display().to_string()) {
        signal("INT", pid);
        let deadline = Instant::now() + Duration::from_secs(5);
        while Path::new(&format!("/proc/{pid}")).exists() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    let _ = fs::remove_file(pid_file);
}
