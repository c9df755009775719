//! A carrier for tests that says exactly what it is told, well-behaved or not: a bare TCP listener, because the
//! interesting answers are those that no HTTP server gives.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use url::{Url, form_urlencoded};

/// What the server does with the next request.
#[derive(Clone, Copy)]
pub(crate) enum Act {
    /// Status, one more header line (or ""), body.
    Answer(u16, &'static str, &'static str),
    /// As `Answer`, but the connection ends before the body does.
    Cut(u16, &'static str),
    /// As `Answer`, but without a length: the end of the connection is the end of the body.
    Endless(u16, &'static str, &'static str),
    /// Reads the request and hangs up.
    HangUp,
    /// Hangs up before it reads anything.
    HangUpUnread,
    /// Reads the request and never answers.
    Silence,
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) line: String,
    pub(crate) head: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) form: Vec<(String, String)>,
    body: String,
}

impl Recorded {
    /// Method and path, without the query.
    pub(crate) fn path(&self) -> &str {
        self.line.split(['?', ' ']).nth(1).map_or("", |path| &self.line[..self.line.find(path).unwrap() + path.len()])
    }

    /// The values of a parameter of the address.
    pub(crate) fn asked(&self, name: &str) -> Vec<&str> {
        self.query.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The body, read as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

pub(crate) struct Scripted {
    pub(crate) url: Url,
    requests: Arc<Mutex<Vec<Recorded>>>,
}

impl Scripted {
    pub(crate) async fn start(acts: &[Act]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let mut acts: VecDeque<Act> = acts.iter().copied().collect();
        let log = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that hangs up is no failure of the server's.
                let _hung_up = serve(stream, &mut acts, &log).await;
            }
        });
        Self { url, requests }
    }

    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn only_request(&self) -> Recorded {
        let [request] = <[Recorded; 1]>::try_from(self.requests()).unwrap();
        request
    }
}

async fn serve(mut stream: TcpStream, acts: &mut VecDeque<Act>, log: &Mutex<Vec<Recorded>>) -> io::Result<()> {
    loop {
        if let Some(Act::HangUpUnread) = acts.front() {
            acts.pop_front();
            return Ok(());
        }
        let request = read_request(&mut stream).await?;
        log.lock().unwrap().push(request);
        let (status, header, body, missing) = match acts.pop_front() {
            Some(Act::Answer(status, header, body)) => (status, header, body, 0),
            Some(Act::Cut(status, body)) => (status, "", body, 10),
            Some(Act::Endless(status, header, body)) => {
                let answer = format!("HTTP/1.1 {status} x\r\nconnection: close\r\n{header}\r\n{body}");
                return stream.write_all(answer.as_bytes()).await;
            }
            Some(Act::Silence) => std::future::pending().await,
            Some(Act::HangUp | Act::HangUpUnread) | None => return Ok(()),
        };
        let length = body.len() + missing;
        let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\n{header}\r\n{body}");
        stream.write_all(answer.as_bytes()).await?;
        if missing > 0 {
            return Ok(());
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> io::Result<Recorded> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                let line = text.lines().next().unwrap_or_default().to_owned();
                let target = line.split(' ').nth(1).unwrap_or_default();
                let query = target.split_once('?').map(|(_, query)| query).unwrap_or_default();
                return Ok(Recorded {
                    query: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
                    form: form_urlencoded::parse(body.as_bytes()).into_owned().collect(),
                    line,
                    head,
                    body: body.to_owned(),
                });
            }
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
