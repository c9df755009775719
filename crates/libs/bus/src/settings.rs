//! The `[nats]` section of a service's settings.

use chassis::Secret;
use serde::Deserialize;

/// How to reach NATS and under which names.
#[derive(Debug, Clone, Deserialize)]
pub struct NatsSettings {
    /// `nats://host:port`, several separated by commas.
    pub url: String,
    /// User name, empty: none.
    pub user: String,
    /// Password of the user.
    pub password: Secret,
    /// Prefix of all subjects and streams, so that several installations (tests) share one server. Empty: none.
    pub namespace: String,
    /// Replicas of each stream: 1 on a single server, 3 on a cluster.
    pub replicas: usize,
}
