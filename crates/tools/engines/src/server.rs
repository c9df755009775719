//! One server process: how it is started, stopped, and, for runs that want to see what a failure does, killed, paused and
//! started again on its port and its data.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// How long a server may take until it listens, also after a crash.
const START: Duration = Duration::from_mins(1);
const STOP: Duration = Duration::from_secs(10);

/// What it takes to start a server, once or again.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    pub(crate) name: &'static str,
    pub(crate) program: PathBuf,
    pub(crate) user: Option<&'static str>,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) port: u16,
    pub(crate) log: PathBuf,
    /// `pg_isready`, for a server that listens before it serves.
    pub(crate) ready: Option<PathBuf>,
}

/// A server of ours. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    launch: Launch,
    child: Child,
}

impl Launch {
    /// Starts it with a new log and waits until it serves.
    pub(crate) fn start(self) -> Result<Server> {
        let mut server = self.start_unready()?;
        server.wait_until_ready()?;
        Ok(server)
    }

    /// Starts it with a new log. A member of a cluster serves when the others are there.
    pub(crate) fn start_unready(self) -> Result<Server> {
        fs::File::create(&self.log).with_context(|| format!("cannot write {}", self.log.display()))?;
        let child = self.spawn()?;
        Ok(Server { launch: self, child })
    }

    fn spawn(&self) -> Result<Child> {
        let log = fs::OpenOptions::new().append(true).open(&self.log)?;
        let mut command = child_of_ours(&self.program, self.user);
        command.args(&self.arguments).stdout(log.try_clone()?).stderr(log);
        command.spawn().with_context(|| format!("{} cannot be started", self.name))
    }

    fn is_ready(&self) -> bool {
        let Some(ready) = &self.ready else { return true };
        let mut check = Command::new(ready);
        check.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
        check.status().is_ok_and(|status| status.success())
    }
}

impl Server {
    /// Waits until it listens and serves.
    pub(crate) fn wait_until_ready(&mut self) -> Result<()> {
        let Launch { name, log, port, .. } = &self.launch;
        let deadline = Instant::now() + START;
        while std::net::TcpStream::connect(("127.0.0.1", *port)).is_err() || !self.launch.is_ready() {
            let ended = !matches!(self.child.try_wait(), Ok(None));
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

    /// Ends it and every process of it at once, as a machine that crashes does.
    pub(crate) fn kill(&mut self) -> Result<()> {
        // Stopped first, so that it starts no further process while its children are looked up.
        for (name, pid) in [("STOP", self.child.id())].into_iter().chain(self.children("KILL")) {
            signal(name, pid);
        }
        self.child.kill().with_context(|| format!("{} cannot be killed", self.launch.name))?;
        self.child.wait()?;
        Ok(())
    }

    /// Stands still with every process of it: connections stay open, nothing answers.
    pub(crate) fn pause(&self) {
        signal("STOP", self.child.id());
        self.children("STOP").for_each(|(name, pid)| signal(name, pid));
    }

    pub(crate) fn resume(&self) {
        self.children("CONT").for_each(|(name, pid)| signal(name, pid));
        signal("CONT", self.child.id());
    }

    /// Starts it again after it was killed: same port, same data, same log.
    pub(crate) fn start_again(&mut self) -> Result<()> {
        self.child = self.launch.spawn()?;
        self.wait_until_ready()
    }

    fn children<'a>(&self, name: &'a str) -> impl Iterator<Item = (&'a str, u32)> + use<'a> {
        list_children(self.child.id()).into_iter().map(move |pid| (name, pid))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.resume();
        // SIGINT is PostgreSQL's fast shutdown and nats-server's orderly one.
        signal("INT", self.child.id());
        if !ends_within(&mut self.child, STOP) {
            eprintln!("{} did not end in time; it is killed", self.launch.name);
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Processes whose parent is `pid`, by the kernel's own table.
fn list_children(pid: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|child| {
        // The name, in parentheses, may hold anything; the parent is the second field after it.
        let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        let parent = stat.rsplit_once(')').and_then(|(_, fields)| fields.split_whitespace().nth(1)?.parse().ok());
        parent == Some(pid)
    })
    .collect()
}

/// Sends a signal (`TERM`, `KILL`, `STOP`, …) to one process. One that is gone is no fault.
pub fn signal(name: &str, pid: u32) {
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

/// Runs a program that ends with us, as another user if need be. With us means with the thread that starts it.
pub(crate) fn child_of_ours(program: &Path, user: Option<&str>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "INT"]);
    if let Some(user) = user {
        command.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--init-groups"]);
    }
    command.arg("--").arg(program).stdin(Stdio::null());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state_of(pid: u32) -> Option<char> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.chars().next()
    }

    #[test]
    fn a_server_is_paused_and_killed_with_every_process_of_it() {
        let folder = std::env::temp_dir().join(format!("engines-{}", uuid::Uuid::new_v4().simple()));
        fs::create_dir_all(&folder).unwrap();
        // Stays the parent of the two that sleep.
        let arguments = ["-c", "sleep 60 & sleep 60 & wait"].map(OsString::from).to_vec();
        let launch = Launch {
            name: "sleepers",
            program: "/bin/sh".into(),
            user: None,
            arguments,
            port: 0,
            log: folder.join("log"),
            ready: None,
        };
        let mut server = launch.start_unready().unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while list_children(server.child.id()).len() < 2 && Instant::now() < deadline {
            std::thread::yield_now();
        }
        let all: Vec<u32> = list_children(server.child.id()).into_iter().chain([server.child.id()]).collect();
        assert_eq!(all.len(), 3);
        server.pause();
        // A process that runs on another core stops a moment after it was told to.
        let stopped = |pid: &u32| state_of(*pid) == Some('T');
        while !all.iter().all(stopped) && Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert!(all.iter().all(stopped));
        server.resume();
        assert!(!all.iter().any(stopped));
        server.kill().unwrap();
        let gone = |pid: &u32| matches!(state_of(*pid), None | Some('Z' | 'X'));
        while !all.iter().all(gone) && Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert!(all.iter().all(gone));
        fs::remove_dir_all(&folder).unwrap();
    }
}
