//! The wire to the carriers, on which a process can be killed: what passes is counted, and at a chosen transfer the
//! wire goes dead before it passes. A request that stays behind was never made; an answer that stays behind was, and
//! nobody heard. Between two transfers a process talks to its own database only.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

#[derive(Debug)]
pub(crate) struct Wire {
    url: String,
    state: Arc<State>,
    accepting: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    passed: AtomicUsize,
    dead_at: usize,
    dead: Notify,
}

impl Wire {
    /// Dead before transfer `dead_at`, which counts from 1.
    pub(crate) async fn start(target_url: &str, dead_at: usize) -> Self {
        let target = target_url.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State { passed: AtomicUsize::new(0), dead_at, dead: Notify::new() });
        let accepting = tokio::spawn({
            let state = Arc::clone(&state);
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(pass(client, target.clone(), Arc::clone(&state)));
                }
            }
        });
        Self { url, state, accepting }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// When the process dies.
    pub(crate) async fn dead(&self) {
        self.state.dead.notified().await;
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn pass(client: TcpStream, target: String, state: Arc<State>) {
    let server = TcpStream::connect(target).await.unwrap();
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    tokio::select! {
        () = forward(client_read, server_write, &state) => {}
        () = forward(server_read, client_write, &state) => {}
    }
}

async fn forward(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, state: &State) {
    // Larger than any request or answer here.
    let mut buffer = vec![0; 1 << 20];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if state.passed.fetch_add(1, Ordering::Relaxed) + 1 >= state.dead_at {
            state.dead.notify_one();
            std::future::pending::<()>().await;
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
