//! A TCP relay in front of NATS that can be cut and mended: how a test takes NATS away from one service.

use bus::NatsSettings;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub(super) struct Relay {
    open: watch::Sender<bool>,
}

impl Relay {
    /// Settings that lead through the relay, which is cut at first.
    pub(super) async fn start(nats: NatsSettings) -> (Self, NatsSettings) {
        let listener = testkit::listener().await;
        let server = nats.url.trim_start_matches("nats://").to_owned();
        let url = format!("nats://{}", listener.local_addr().unwrap());
        let (open, opened) = watch::channel(false);
        tokio::spawn(accept(listener, server, opened));
        (Self { open }, NatsSettings { url, ..nats })
    }

    pub(super) fn mend(&self) {
        self.open.send_replace(true);
    }

    /// Ends every connection and every attempt to make one.
    pub(super) fn cut(&self) {
        self.open.send_replace(false);
    }
}

async fn accept(listener: TcpListener, server: String, open: watch::Receiver<bool>) {
    while let Ok((mut near, _)) = listener.accept().await {
        let (server, mut open) = (server.clone(), open.clone());
        tokio::spawn(async move {
            if !*open.borrow_and_update() {
                return;
            }
            let mut far = TcpStream::connect(server).await.unwrap();
            tokio::select! {
                _ = copy_bidirectional(&mut near, &mut far) => {}
                _ = open.changed() => {}
            }
        });
    }
}
