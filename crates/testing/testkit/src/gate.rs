//! A TCP proxy that can be shut: "PostgreSQL is away", "NATS is away", without touching an engine that others use.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A way to an engine that this test alone opens and shuts. Ends when it is dropped.
#[derive(Debug)]
pub struct Gate {
    address: SocketAddr,
    open: watch::Sender<bool>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Gate {
    /// An open gate to the `host:port` of an address such as `postgres://user@host:port/database`.
    pub async fn start(target_url: &str) -> Self {
        let target = host_and_port(target_url).to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on loopback");
        let address = listener.local_addr().expect("a bound port has an address");
        let open = watch::Sender::new(true);
        let state = open.subscribe();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, target.clone(), state.clone()));
            }
        });
        Self { address, open, accepting }
    }

    /// The same address through the gate.
    pub fn through(&self, target_url: &str) -> String {
        target_url.replacen(host_and_port(target_url), &self.address.to_string(), 1)
    }

    /// Cuts what is connected and lets nobody through.
    pub fn shut(&self) {
        self.open.send_replace(false);
    }

    /// Lets new connections through again.
    pub fn open(&self) {
        self.open.send_replace(true);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.accepting.abort();
        self.open.send_replace(false);
    }
}

async fn pass(mut client: TcpStream, target: String, mut open: watch::Receiver<bool>) {
    if !*open.borrow() {
        return;
    }
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => {}
        _ = open.wait_for(|open| !open) => {}
    }
}

fn host_and_port(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or(rest);
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}
