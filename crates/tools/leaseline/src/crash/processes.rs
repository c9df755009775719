//! The five services as processes of their own, as in production: each replica can be killed, paused, asked to end, and
//! started again on its ports. All of them end with this process, however it ends.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::stack::{Layout, Service, Settings};

/// Longer than the deadline of any service.
const END: Duration = Duration::from_secs(40);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// One process of one service.
pub(super) type Replica = (Service, usize);

/// Running services. They are killed when this is dropped.
#[derive(Debug)]
pub(super) struct Processes {
    binaries: PathBuf,
    logs: PathBuf,
    settings: BTreeMap<Replica, Settings>,
    running: BTreeMap<Replica, Child>,
    client: reqwest::Client,
}

impl Processes {
    /// Where the binaries are, beside this one; and where the logs go. Nothing runs yet.
    pub(super) fn new(layout: &Layout, logs: &Path) -> Result<Self> {
        let binaries = std::env::current_exe()?.parent().context("this program is nowhere")?.to_path_buf();
        for service in Service::ALL {
            let path = binaries.join(service.name());
            ensure!(path.exists(), "{} is missing: build the services first (cargo build --bins)", path.display());
        }
        fs::create_dir_all(logs)?;
        let settings = layout.settings.iter().map(|(replica, values)| (*replica, values.clone())).collect();
        Ok(Self {
            binaries,
            logs: logs.to_path_buf(),
            settings,
            running: BTreeMap::new(),
            client: reqwest::Client::new(),
        })
    }

    /// Every replica, running or not.
    pub(super) fn list(&self) -> Vec<Replica> {
        self.settings.keys().copied().collect()
    }

    /// Of one service.
    pub(super) fn list_of(&self, service: Service) -> Vec<Replica> {
        self.list().into_iter().filter(|(of, _)| *of == service).collect()
    }

    /// Starts a replica; `wait_until_ready` tells when it is up. To be called on the thread that lives as long as the
    /// program: what a thread started ends with it.
    pub(super) fn start(&mut self, replica: Replica) -> Result<()> {
        let (service, index) = replica;
        let settings = self.settings.get(&replica).context("no such replica")?;
        let path = self.logs.join(format!("{}-{index}.log", service.name()));
        let log = fs::OpenOptions::new().create(true).append(true).open(&path)?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(self.binaries.join(service.name()));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("LEASELINE_")) {
            command.env_remove(name);
        }
        command.envs(settings).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("{} cannot be started", service.name()))?;
        self.running.insert(replica, child);
        Ok(())
    }

    /// Waits until it says so itself.
    pub(super) async fn wait_until_ready(&mut self, replica: Replica, patience: Duration) -> Result<()> {
        let (service, index) = replica;
        let deadline = Instant::now() + patience;
        let name = service.name();
        while !self.is_ready(replica).await {
            let child = self.running.get_mut(&replica).with_context(|| format!("{name} {index} does not run"))?;
            if let Some(status) = child.try_wait()? {
                bail!("{name} {index} ended by itself ({status}); see {}", self.logs.display());
            }
            if Instant::now() > deadline {
                bail!("{name} {index} does not get ready; see {}", self.logs.display());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    async fn is_ready(&self, replica: Replica) -> bool {
        let Some(address) = self.settings.get(&replica).and_then(|values| values.get("LEASELINE_ADMIN_LISTEN")) else {
            return false;
        };
        let asked = self.client.get(format!("http://{address}/health/ready")).timeout(Duration::from_secs(2)).send();
        asked.await.is_ok_and(|answer| answer.status().is_success())
    }

    /// Ends it at once, wherever it is.
    pub(super) fn kill(&mut self, replica: Replica) -> Result<()> {
        if let Some(mut child) = self.running.remove(&replica) {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// It stands still until `resume`.
    pub(super) fn pause(&self, replica: Replica) {
        self.signal("STOP", replica);
    }

    pub(super) fn resume(&self, replica: Replica) {
        self.signal("CONT", replica);
    }

    fn signal(&self, name: &str, replica: Replica) {
        if let Some(child) = self.running.get(&replica) {
            engines::signal(name, child.id());
        }
    }

    /// Asks it to end, as Kubernetes does, and waits.
    ///
    /// # Errors
    /// When it does not end in time, or not in order.
    pub(super) async fn terminate(&mut self, replica: Replica) -> Result<()> {
        let (service, index) = replica;
        self.signal("TERM", replica);
        let deadline = Instant::now() + END;
        let Some(child) = self.running.get_mut(&replica) else { return Ok(()) };
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            ensure!(Instant::now() < deadline, "{} {index} does not end when it is asked to", service.name());
            tokio::time::sleep(LOOK_AGAIN).await;
        };
        self.running.remove(&replica);
        ensure!(status.success(), "{} {index} did not end in order ({status})", service.name());
        Ok(())
    }

    /// Starts what has ended by itself, as Kubernetes does. Returns which ones.
    pub(super) fn revive(&mut self) -> Result<Vec<Replica>> {
        let mut ended = Vec::new();
        for (replica, child) in &mut self.running {
            if child.try_wait()?.is_some() {
                ended.push(*replica);
            }
        }
        for replica in &ended {
            self.start(*replica)?;
        }
        Ok(ended)
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for child in self.running.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
