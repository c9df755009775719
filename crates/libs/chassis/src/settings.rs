//! The sections of a service's settings that every service has.
//!
//! Their defaults and comments stand in each service's `defaults.toml`, which is the reference; here are only
//! the shapes. Units are in the names (`_ms`, `_s`). `""` means "not set".

use std::time::Duration;

use serde::Deserialize;

use crate::Secret;

/// What a process needs whatever it does. A service embeds it with `#[serde(flatten)] pub process: ProcessSettings`,
/// so that the sections stand at the top of its file as `[admin]`, `[log]`, `[tracing]` and `[shutdown]`.
#[derive(Clone, Debug, Deserialize)]
pub struct ProcessSettings {
    pub admin: ListenSettings,
    pub log: LogSettings,
    pub tracing: TracingSettings,
    pub shutdown: ShutdownSettings,
}

/// `[grpc]`, `[http]`, `[admin]`: where something is served.
#[derive(Clone, Debug, Deserialize)]
pub struct ListenSettings {
    /// Address and port, for example `127.0.0.1:9100`.
    pub listen: String,
}

/// `[log]`
#[derive(Clone, Debug, Deserialize)]
pub struct LogSettings {
    pub format: LogFormat,
    /// A `tracing` filter, for example `info,sqlx=warn`.
    pub filter: String,
}

/// How log lines look on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line, for machines.
    Json,
    /// For people.
    Pretty,
}

/// `[tracing]`
#[derive(Clone, Debug, Deserialize)]
pub struct TracingSettings {
    /// OTLP over gRPC, for example `http://127.0.0.1:4317`. `""` exports nothing.
    pub otlp_endpoint: String,
    /// The share of new traces that are kept, 0 to 1. A caller's decision is followed.
    pub sample_ratio: f64,
}

/// `[shutdown]`
#[derive(Clone, Debug, Deserialize)]
pub struct ShutdownSettings {
    /// How long running work may take after the process was asked to stop.
    pub deadline_s: u64,
}

impl ShutdownSettings {
    pub fn deadline(&self) -> Duration {
        Duration::from_secs(self.deadline_s)
    }
}

/// `[database]`, for services that have one.
#[derive(Clone, Debug, Deserialize)]
pub struct DatabaseSettings {
    /// `postgres://role:password@host:port/database`
    pub url: Secret,
    pub max_connections: u32,
    /// How long a caller waits for a free connection before it is told "unavailable".
    pub acquire_timeout_ms: u64,
    /// PostgreSQL ends a statement that takes longer.
    pub statement_timeout_ms: u64,
}
