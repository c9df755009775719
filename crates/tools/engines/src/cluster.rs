//! Three nats-servers that keep each stream three times, beside the single one: for runs in which a leader dies.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::server::{Launch, Server};
use crate::{NATS_CONF, find_nats, free_port};

/// A majority of three survives the loss of one.
pub(crate) const NODES: usize = 3;

/// Where a cluster is.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// All servers, separated by commas, as a service takes it.
    pub nats_url: String,
    /// Of each server in its turn, for `GET /jsz`, which names the leader of the cluster's own matters.
    pub monitor_urls: Vec<String>,
}

impl Cluster {
    /// The name of a server, as its peers and JetStream call it.
    pub fn name(node: usize) -> String {
        format!("node-{node}")
    }

    /// The server of this name.
    pub fn find_node(name: &str) -> Option<usize> {
        (0..NODES).find(|node| Self::name(*node) == name)
    }
}

pub(crate) fn start(dir: &Path, servers: &mut Vec<Server>) -> Result<Cluster> {
    let program = find_nats(dir)?;
    let mut ports = Vec::with_capacity(NODES);
    for _ in 0..NODES {
        ports.push((free_port()?, free_port()?, free_port()?));
    }
    let routes: Vec<String> = ports.iter().map(|(.., route)| format!("nats-route://127.0.0.1:{route}")).collect();
    let routes = routes.join(", ");
    for (node, (client, monitor, route)) in ports.iter().enumerate() {
        let name = Cluster::name(node);
        let home = dir.join(&name);
        // Of another run, whose cluster was on other ports.
        let _ = fs::remove_dir_all(&home);
        fs::create_dir_all(&home).with_context(|| format!("cannot create {}", home.display()))?;
        let config = home.join("nats.conf");
        let reference = NATS_CONF.replace("server_name: leaseline", &format!("server_name: {name}"));
        let cluster =
            format!("cluster {{\n    name: leaseline\n    listen: 127.0.0.1:{route}\n    routes: [{routes}]\n}}\n");
        fs::write(&config, format!("{reference}\n{cluster}"))?;
        let arguments = [
            OsString::from("-c"),
            config.into(),
            "-a".into(),
            "127.0.0.1".into(),
            "-p".into(),
            client.to_string().into(),
            "-m".into(),
            monitor.to_string().into(),
            "-sd".into(),
            home.join("store").into(),
        ];
        let launch = Launch {
            name: "nats-server",
            program: program.clone(),
            user: None,
            arguments: arguments.into(),
            port: *client,
            log: dir.join(format!("{name}.log")),
            ready: None,
        };
        servers.push(launch.start_unready()?);
    }
    for server in servers {
        server.wait_until_ready()?;
    }
    let urls: Vec<String> = ports.iter().map(|(client, ..)| format!("nats://127.0.0.1:{client}")).collect();
    let monitor_urls = ports.iter().map(|(_, monitor, _)| format!("http://127.0.0.1:{monitor}")).collect();
    Ok(Cluster { nats_url: urls.join(","), monitor_urls })
}
