//! Private PostgreSQL and NATS instances on loopback, for development, tests and benchmarks.
//!
//! They live in one folder and end with this process, also when it is killed: the kernel ends the children of a
//! dead parent (`setpriv --pdeathsig`). A leftover of an earlier run is stopped first. PostgreSQL refuses to run
//! as root, so for root it runs as the `postgres` user.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// How much the engines do so that nothing is lost when the machine loses power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// As in production: every commit and every stored event is synced to disk.
    Full,
    /// For tests: a crash of a process loses nothing, a crash of the machine may.
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
    children: Vec<(&'static str, Child)>,
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
        let mut engines =
            Self { database_url: String::new(), nats_url: String::new(), _lock: lock, children: Vec::new() };
        engines.database_url = match database_url {
            Some(url) => url,
            None => start_postgres(&dir, durability, &mut engines.children)?,
        };
        engines.nats_url = match nats_url {
            Some(url) => url,
            None => start_nats(&dir, durability, &mut engines.children)?,
        };
        Ok(engines)
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

impl Drop for Engines {
    fn drop(&mut self) {
        for (name, child) in &mut self.children {
            // SIGINT is PostgreSQL's fast shutdown and nats-server's orderly one.
            signal("INT", child.id());
            if !ends_within(child, Duration::from_secs(10)) {
                eprintln!("{name} did not end in time; it is killed");
                let _ = child.kill();
                let _ = child.wait();
            }
        }
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

fn signal(name: &str, pid: u32) {
    let _ = Command::new("kill").args(["-s", name, &pid.to_string()]).stderr(Stdio::null()).status();
}

fn ends_within(child: &mut Child, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        if !matches!(child.try_wait(), Ok(None)) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
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

/// Runs a program that ends with us, as another user if need be.
fn child_of_ours(program: &Path, user: Option<&str>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "INT"]);
    if let Some(user) = user {
        command.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--init-groups"]);
    }
    command.arg("--").arg(program).stdin(Stdio::null());
    command
}

fn log_file(dir: &Path, name: &str) -> Result<fs::File> {
    let path = dir.join(name);
    fs::File::create(&path).with_context(|| format!("cannot write {}", path.display()))
}

fn start_postgres(dir: &Path, durability: Durability, children: &mut Vec<(&'static str, Child)>) -> Result<String> {
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
    let log = log_file(dir, "postgres.log")?;
    let mut command = child_of_ours(&bin.join("postgres"), user);
    command.arg("-D").arg(&data).args(["-p", &port.to_string(), "-h", "127.0.0.1", "-k"]).arg(&home);
    command.args(["-c", "max_connections=300", "-c", "shared_buffers=256MB"]);
    if durability == Durability::Process {
        command.args(["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]);
    }
    let child = command.stdout(log.try_clone()?).stderr(log).spawn().context("PostgreSQL cannot be started")?;
    children.push(("PostgreSQL", child));
    let url = format!("postgres://leaseline:{password}@127.0.0.1:{port}/postgres");
    wait_until_open("PostgreSQL", port, &dir.join("postgres.log"), children)?;
    let ready = || {
        let mut check = Command::new(bin.join("pg_isready"));
        check.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]).status().is_ok_and(|status| status.success())
    };
    let deadline = Instant::now() + Duration::from_mins(1);
    while !ready() {
        if Instant::now() > deadline {
            bail!("PostgreSQL does not get ready; see {}", dir.join("postgres.log").display());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(url)
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

fn start_nats(dir: &Path, durability: Durability, children: &mut Vec<(&'static str, Child)>) -> Result<String> {
    let program = find_nats(dir)?;
    let store = dir.join("nats");
    let pid_file = dir.join("nats.pid");
    stop_leftover_nats(&pid_file, &store);
    let port = free_port()?;
    let log = log_file(dir, "nats.log")?;
    let mut command = child_of_ours(&program, None);
    if durability == Durability::Full {
        let config = dir.join("nats.conf");
        fs::write(&config, NATS_CONF)?;
        command.arg("-c").arg(config);
    } else {
        command.arg("-js");
    }
    command.args(["-a", "127.0.0.1", "-p", &port.to_string(), "-sd"]).arg(&store).arg("-P").arg(&pid_file);
    let child = command.stdout(log.try_clone()?).stderr(log).spawn().context("nats-server cannot be started")?;
    children.push(("nats-server", child));
    wait_until_open("nats-server", port, &dir.join("nats.log"), children)?;
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

fn wait_until_open(name: &str, port: u16, log: &Path, children: &mut [(&'static str, Child)]) -> Result<()> {
    let deadline = Instant::now() + Duration::from_mins(1);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        let ended = children.last_mut().is_some_and(|(_, child)| !matches!(child.try_wait(), Ok(None)));
        if ended || Instant::now() > deadline {
            let text = fs::read_to_string(log).unwrap_or_default();
            let last: Vec<&str> = text.lines().rev().take(5).collect();
            bail!(
                "{name} did not start:\n  {}\n(all of it: {})",
                last.into_iter().rev().collect::<Vec<_>>().join("\n  "),
                log.display()
            );
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
