//! A line of TCP between two programs on loopback, which can be cut, slow, or half-open. With several targets it gives
//! connections to those that take them, in turns, as a load balancer does.
//!
//! It knows nothing of what travels. What is lost on the way is lost for both ends; what is late comes in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

/// What the line does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// All goes through at once.
    Pass,
    /// Connections are reset, new ones are refused.
    Cut,
    /// Everything takes so long, each way.
    Delay(Duration),
    /// Connections stay and new ones are taken, but nothing goes through, no end either. When this is over they are
    /// reset: each end learns that the other one knows nothing of them.
    HalfOpen,
}

/// Bytes of one read, and reads on their way, in each direction of a connection.
const READ: usize = 16 * 1024;
const ON_THE_WAY: usize = 1024;
/// Of a listener that comes back to its port.
const BIND_AGAIN: Duration = Duration::from_millis(10);

/// A line. It ends when it is dropped.
#[derive(Debug)]
pub(super) struct Proxy {
    port: u16,
    wanted: watch::Sender<Mode>,
    applied: watch::Receiver<Mode>,
    _stop: DropGuard,
}

impl Proxy {
    /// Listens on a free port of loopback and leads to ports of loopback.
    pub(super) async fn start(targets: &[u16]) -> Result<Self> {
        let port = engines::free_port()?;
        let listener = listen(port).await?;
        let (wanted, modes) = watch::channel(Mode::Pass);
        let (applied_to, applied) = watch::channel(Mode::Pass);
        let stop = CancellationToken::new();
        let line = Line { port, targets: targets.into(), turn: Arc::default() };
        let (stopped, serving) = (stop.clone(), line.serve(listener, modes, applied_to));
        tokio::spawn(async move { stopped.run_until_cancelled(serving).await });
        Ok(Self { port, wanted, applied, _stop: stop.drop_guard() })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Changes what the line does, also for the connections that it has. Returns when it does.
    pub(super) async fn set(&self, mode: Mode) {
        self.wanted.send_replace(mode);
        // Fails when the line has ended: then nothing goes through anyway.
        let _ = self.applied.clone().wait_for(|applied| *applied == mode).await;
    }
}

async fn listen(port: u16) -> Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", port)).await.with_context(|| format!("port {port} of a line is taken"))
}

#[derive(Clone)]
struct Line {
    port: u16,
    targets: Arc<[u16]>,
    turn: Arc<AtomicUsize>,
}

impl Line {
    async fn serve(self, listener: TcpListener, mut modes: watch::Receiver<Mode>, applied: watch::Sender<Mode>) {
        let mut listener = Some(listener);
        let mut connections = JoinSet::new();
        loop {
            let mode = *modes.borrow_and_update();
            if mode == Mode::Cut {
                listener = None;
                // Each of them sees the mode by itself; the line is cut when all are reset.
                while connections.join_next().await.is_some() {}
            } else if listener.is_none() {
                listener = listen(self.port).await.ok();
            }
            applied.send_replace(mode);
            let accepting = async {
                match &listener {
                    Some(listener) => listener.accept().await.ok(),
                    None if mode == Mode::Cut => std::future::pending().await,
                    None => {
                        tokio::time::sleep(BIND_AGAIN).await;
                        None
                    }
                }
            };
            tokio::select! {
                changed = modes.changed() => if changed.is_err() { return },
                accepted = accepting => {
                    if let Some((client, _)) = accepted {
                        connections.spawn(self.clone().connect(client, modes.clone()));
                    }
                }
            }
            while connections.try_join_next().is_some() {}
        }
    }

    async fn connect(self, mut client: TcpStream, modes: watch::Receiver<Mode>) {
        let server = tokio::select! {
            server = self.find_server(modes.clone()) => server,
            () = broken(modes.clone()) => None,
        };
        let Some(mut server) = server else {
            let _ = client.set_zero_linger();
            return;
        };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let broke = {
            let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
            let there = pump(from_client, to_server, modes.clone());
            let back = pump(from_server, to_client, modes.clone());
            tokio::select! {
                both = async { tokio::try_join!(there, back) } => both.is_err(),
                () = broken(modes) => true,
            }
        };
        if broke {
            let _ = (client.set_zero_linger(), server.set_zero_linger());
        }
    }

    /// Connects to the first target that takes it, beginning with whose turn it is. Never while the line is half-open:
    /// what was sent on it meanwhile is lost.
    async fn find_server(&self, modes: watch::Receiver<Mode>) -> Option<TcpStream> {
        if *modes.borrow() == Mode::HalfOpen {
            std::future::pending::<()>().await;
        }
        let first = self.turn.fetch_add(1, Relaxed);
        for step in 0..self.targets.len() {
            let port = self.targets[(first + step) % self.targets.len()];
            if let Ok(server) = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).await {
                return Some(server);
            }
        }
        None
    }
}

/// Returns when a connection of this line is to be reset.
async fn broken(mut modes: watch::Receiver<Mode>) {
    let over = async {
        let mut lost = false;
        loop {
            match *modes.borrow_and_update() {
                Mode::Cut => return,
                Mode::HalfOpen => lost = true,
                Mode::Pass | Mode::Delay(_) if lost => return,
                Mode::Pass | Mode::Delay(_) => {}
            }
            if modes.changed().await.is_err() {
                return;
            }
        }
    };
    over.await;
}

/// One direction, until its sender has said all. A sender that is gone has.
async fn pump(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, modes: watch::Receiver<Mode>) -> std::io::Result<()> {
    let (sender, mut on_the_way) = mpsc::channel::<(Instant, Bytes)>(ON_THE_WAY);
    let reading = async move {
        let mut buffer = vec![0; READ];
        loop {
            let count = from.read(&mut buffer).await.unwrap_or(0);
            let mode = *modes.borrow();
            let due = match mode {
                // Whatever came, an end too, was lost. `broken` ends this.
                Mode::HalfOpen if count == 0 => std::future::pending().await,
                Mode::HalfOpen => continue,
                Mode::Delay(delay) => Instant::now() + delay,
                Mode::Pass | Mode::Cut => Instant::now(),
            };
            let bytes = Bytes::copy_from_slice(&buffer[..count]);
            if sender.send((due, bytes)).await.is_err() || count == 0 {
                return Ok(());
            }
        }
    };
    let writing = async move {
        while let Some((due, bytes)) = on_the_way.recv().await {
            if due > Instant::now() {
                tokio::time::sleep_until(due).await;
            }
            if bytes.is_empty() {
                return to.shutdown().await;
            }
            to.write_all(&bytes).await?;
        }
        Ok(())
    };
    tokio::try_join!(reading, writing).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(10);
    const SHORT: Duration = Duration::from_millis(100);

    /// Answers each byte with itself and its own name.
    async fn echo(name: u8) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    while let Ok(byte) = stream.read_u8().await {
                        stream.write_all(&[byte, name]).await.unwrap();
                    }
                });
            }
        });
        port
    }

    async fn connect(proxy: &Proxy) -> std::io::Result<TcpStream> {
        TcpStream::connect(("127.0.0.1", proxy.port())).await
    }

    async fn ask(stream: &mut TcpStream) -> std::io::Result<[u8; 2]> {
        stream.write_u8(b'x').await?;
        let mut answer = [0; 2];
        tokio::time::timeout(LONG, stream.read_exact(&mut answer)).await.unwrap()?;
        Ok(answer)
    }

    #[tokio::test]
    async fn a_line_passes_both_ways_and_shares_connections_among_the_targets_that_take_them() {
        let (one, two) = (echo(b'1').await, echo(b'2').await);
        let nobody = engines::free_port().unwrap();
        let proxy = Proxy::start(&[one, nobody, two]).await.unwrap();
        let mut names = Vec::new();
        for _ in 0..6 {
            names.push(ask(&mut connect(&proxy).await.unwrap()).await.unwrap()[1]);
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names, [b'1', b'2']);
    }

    #[tokio::test]
    async fn a_line_that_is_cut_resets_what_it_has_and_refuses_what_comes() {
        let proxy = Proxy::start(&[echo(b'1').await]).await.unwrap();
        let mut stream = connect(&proxy).await.unwrap();
        ask(&mut stream).await.unwrap();
        proxy.set(Mode::Cut).await;
        let error = ask(&mut stream).await.unwrap_err();
        assert!(
            matches!(error.kind(), std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe),
            "{error}"
        );
        assert_eq!(connect(&proxy).await.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
        proxy.set(Mode::Pass).await;
        assert_eq!(&ask(&mut connect(&proxy).await.unwrap()).await.unwrap(), b"x1");
    }

    #[tokio::test]
    async fn a_slow_line_takes_its_time_each_way_and_keeps_the_order() {
        let proxy = Proxy::start(&[echo(b'1').await]).await.unwrap();
        let mut stream = connect(&proxy).await.unwrap();
        proxy.set(Mode::Delay(SHORT)).await;
        let begun = Instant::now();
        stream.write_all(b"a").await.unwrap();
        tokio::time::sleep(SHORT / 4).await;
        proxy.set(Mode::Pass).await;
        stream.write_all(b"b").await.unwrap();
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"a1b1", "what came later does not overtake");
        assert!(begun.elapsed() >= SHORT);
    }

    #[tokio::test]
    async fn a_half_open_line_takes_everything_tells_nothing_and_resets_its_connections_afterwards() {
        let proxy = Proxy::start(&[echo(b'1').await]).await.unwrap();
        let mut before = connect(&proxy).await.unwrap();
        ask(&mut before).await.unwrap();
        proxy.set(Mode::HalfOpen).await;
        let mut during = connect(&proxy).await.unwrap();
        for stream in [&mut before, &mut during] {
            stream.write_u8(b'x').await.unwrap();
            assert!(tokio::time::timeout(SHORT, stream.read_u8()).await.is_err(), "neither an answer nor an end");
        }
        proxy.set(Mode::Pass).await;
        for stream in [&mut before, &mut during] {
            let ended = tokio::time::timeout(LONG, stream.read_u8()).await.unwrap();
            assert_eq!(ended.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
        }
        assert_eq!(&ask(&mut connect(&proxy).await.unwrap()).await.unwrap(), b"x1");
    }

    #[tokio::test]
    async fn what_a_sender_said_before_its_end_arrives() {
        let proxy = Proxy::start(&[echo(b'1').await]).await.unwrap();
        proxy.set(Mode::Delay(SHORT)).await;
        let mut stream = connect(&proxy).await.unwrap();
        stream.write_u8(b'x').await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        tokio::time::timeout(LONG, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
        assert_eq!(answer, b"x1");
    }
}
