//! The machine and the state of the code, so that results can be told apart. No names of hosts, users or folders.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use chrono::Utc;

/// The sync rate is measured for at most so many syncs and so long.
const MOST_SYNCS: u32 = 500;
const SYNC_LIMIT: Duration = Duration::from_secs(2);

/// Where and what was measured.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    pub(super) processor: String,
    pub(super) cores: usize,
    pub(super) memory_gib: u64,
    pub(super) kernel: String,
    /// 4 KiB writes, each followed by a sync, one after another.
    pub(super) syncs_per_second: f64,
    pub(super) postgres: String,
    pub(super) nats: String,
    pub(super) commit: String,
    pub(super) date: String,
}

impl Machine {
    /// `dir` is on the disk that is measured; `engines` are the versions of PostgreSQL and nats-server.
    pub(super) fn look(dir: &Path, (postgres, nats): (String, String)) -> Result<Self> {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let memory_kib: u64 = find_line(&read("/proc/meminfo"), "MemTotal").parse().unwrap_or_default();
        Ok(Self {
            processor: find_line(&read("/proc/cpuinfo"), "model name"),
            cores: std::thread::available_parallelism()?.get(),
            memory_gib: memory_kib.div_ceil(1024 * 1024),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            syncs_per_second: measure_syncs(dir)?,
            postgres,
            nats,
            commit: find_commit(),
            date: Utc::now().format("%Y-%m-%d").to_string(),
        })
    }
}

/// The value of the first `name : value`, without a unit; "unknown" when there is none.
fn find_line(text: &str, name: &str) -> String {
    let value = text.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == name).then(|| value.trim().trim_end_matches(" kB").to_owned())
    });
    value.unwrap_or_else(|| "unknown".to_owned())
}

fn measure_syncs(dir: &Path) -> Result<f64> {
    let path = dir.join("sync.probe");
    let mut file = fs::File::create(&path).context("cannot write a probe")?;
    let (begun, mut syncs) = (Instant::now(), 0_u32);
    while syncs < MOST_SYNCS && begun.elapsed() < SYNC_LIMIT {
        file.write_all(&[0x5a; 4096])?;
        file.sync_data()?;
        syncs += 1;
    }
    let per_second = f64::from(syncs) / begun.elapsed().as_secs_f64();
    fs::remove_file(path)?;
    Ok(per_second)
}

pub(crate) fn find_commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short", "HEAD"]).unwrap_or_else(|| "none yet".to_owned());
    // Reports are written by every run.
    let reports = [":(exclude,top)BENCHMARKS.md", ":(exclude,top)CRASHES.md"];
    let changed =
        git(&["status", "--porcelain", "--", ":/", reports[0], reports[1]]).is_some_and(|changes| !changes.is_empty());
    if changed { format!("{commit} + changes") } else { commit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_proc_is_found_by_its_name() {
        assert_eq!(find_line("model\t\t: 85\nmodel name\t: Some CPU @ 2.60GHz\n", "model name"), "Some CPU @ 2.60GHz");
        assert_eq!(find_line("MemTotal:       24684688 kB\n", "MemTotal"), "24684688");
        assert_eq!(find_line("", "MemTotal"), "unknown");
    }
}
