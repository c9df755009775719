//! Clients of the public API and of the simulator's phones, for the demo, the benchmark and the journeys.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures_util::{Stream, StreamExt as _};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

/// Somebody who calls the gateway.
#[derive(Debug, Clone)]
pub struct Api {
    client: reqwest::Client,
    base_url: String,
    token: String,
}

/// What the gateway answered.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Answer {
    /// The body of a success.
    ///
    /// # Errors
    /// The problem document of a refusal.
    pub fn ok(self) -> Result<Value> {
        if (200..300).contains(&self.status) { Ok(self.body) } else { bail!("{} {}", self.status, self.body) }
    }
}

impl Api {
    pub fn new(base_url: &str, token: &str) -> Self {
        chassis::process::install_tls();
        Self { client: reqwest::Client::new(), base_url: base_url.to_owned(), token: token.to_owned() }
    }

    /// The same caller at another gateway.
    #[must_use]
    pub fn at(&self, base_url: &str) -> Self {
        Self { base_url: base_url.to_owned(), ..self.clone() }
    }

    /// A request with the caller's token; `path` begins with `/`.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base_url)).bearer_auth(&self.token)
    }

    /// # Errors
    /// When the gateway does not answer.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        let mut request = self.request(method, path).timeout(Duration::from_secs(30));
        if let Some(body) = body {
            request = request.json(body);
        }
        answer(request).await
    }

    /// # Errors
    /// When the gateway does not answer with a success.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.call(Method::GET, path, None).await?.ok()
    }

    /// # Errors
    /// When the gateway does not answer with a success.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Value> {
        self.call(Method::PUT, path, Some(body)).await?.ok()
    }

    /// Sends a text under an idempotency key.
    ///
    /// # Errors
    /// When the gateway does not answer.
    pub async fn send(&self, key: &str, recipients: &[Value], body: &str) -> Result<Answer> {
        let request = self
            .request(Method::POST, "/v1/messages")
            .timeout(Duration::from_secs(30))
            .header("Idempotency-Key", key)
            .json(&json!({ "recipients": recipients, "body": body }));
        answer(request).await
    }

    /// Opens the feed, from the present or after a position. Returns when it is open.
    ///
    /// # Errors
    /// When the gateway refuses.
    pub async fn feed(&self, after: Option<u64>) -> Result<Feed> {
        let mut request = self.request(Method::GET, "/v1/feed");
        if let Some(after) = after {
            request = request.header("Last-Event-ID", after.to_string());
        }
        let response = request.send().await.context("the gateway does not answer")?;
        if !response.status().is_success() {
            bail!("the feed was refused: {} {}", response.status(), response.text().await.unwrap_or_default());
        }
        let bytes = Box::pin(response.bytes_stream());
        let mut feed = Feed { bytes, buffer: Vec::new(), position: after, heard: Instant::now() };
        if after.is_none() {
            let first = feed.next_block().await?.context("the feed ended before it began")?;
            feed.position = Some(first.seq);
        }
        Ok(feed)
    }
}

async fn answer(request: RequestBuilder) -> Result<Answer> {
    let response = request.send().await.context("the gateway does not answer")?;
    let status = response.status().as_u16();
    let text = response.text().await?;
    let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap_or(Value::String(text)) };
    Ok(Answer { status, body })
}

/// One event of the feed.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its position. Every event of the gateway has one.
    pub seq: u64,
    /// `message.created`, …; empty for a position without content.
    pub kind: String,
    pub data: Value,
}

/// An open feed: server-sent events, read as a browser reads them.
pub struct Feed {
    bytes: std::pin::Pin<Box<dyn Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>,
    buffer: Vec<u8>,
    position: Option<u64>,
    heard: Instant,
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed").field("position", &self.position).finish_non_exhaustive()
    }
}

impl Feed {
    /// The position up to which everything was seen: what a reconnect sends as `Last-Event-ID`.
    pub fn position(&self) -> Option<u64> {
        self.position
    }

    /// How long nothing came, not even a sign of life: the connection may be dead.
    pub fn silent_for(&self) -> Duration {
        self.heard.elapsed()
    }

    /// The next event; positions without content are passed over. `None`: the stream ended.
    ///
    /// # Errors
    /// When the connection breaks or the gateway speaks no SSE.
    pub async fn next(&mut self) -> Result<Option<Event>> {
        loop {
            let Some(event) = self.next_block().await? else { return Ok(None) };
            self.position = Some(event.seq);
            if !event.kind.is_empty() {
                return Ok(Some(event));
            }
        }
    }

    /// The next block with an id, with or without content. Comments are passed over. Nothing is lost when this is dropped
    /// before it is done.
    ///
    /// # Errors
    /// When the connection breaks or the gateway speaks no SSE.
    pub async fn next_block(&mut self) -> Result<Option<Event>> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
                if let Some(event) = parse_block(std::str::from_utf8(&block)?)? {
                    return Ok(Some(event));
                }
                continue;
            }
            match self.bytes.next().await {
                Some(bytes) => {
                    self.heard = Instant::now();
                    self.buffer.extend_from_slice(&bytes.context("the feed broke")?);
                }
                None => return Ok(None),
            }
        }
    }

    /// The next event that `wanted` accepts, within `patience`.
    ///
    /// # Errors
    /// When it does not come in time.
    pub async fn wait_for(&mut self, what: &str, patience: Duration, wanted: impl Fn(&Event) -> bool) -> Result<Event> {
        let search = async {
            while let Some(event) = self.next().await? {
                if wanted(&event) {
                    return Ok(event);
                }
            }
            bail!("the feed ended before {what}")
        };
        tokio::time::timeout(patience, search).await.with_context(|| format!("{what} did not come on the feed"))?
    }
}

fn parse_block(block: &str) -> Result<Option<Event>> {
    let (mut seq, mut kind, mut data) = (None, String::new(), String::new());
    for line in block.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => seq = Some(value.parse().context("an id is no position")?),
            "event" => value.clone_into(&mut kind),
            "data" => data.push_str(value),
            _ => {}
        }
    }
    let Some(seq) = seq else { return Ok(None) };
    let data = if data.is_empty() { Value::Null } else { serde_json::from_str(&data).context("data is no JSON")? };
    Ok(Some(Event { seq, kind, data }))
}

/// The phones of the carrier simulator.
#[derive(Debug, Clone)]
pub struct Phones {
    client: reqwest::Client,
    base_url: String,
}

impl Phones {
    pub fn new(base_url: &str) -> Self {
        chassis::process::install_tls();
        Self { client: reqwest::Client::new(), base_url: base_url.to_owned() }
    }

    /// A phone texts a number; answers once the webhook was answered.
    ///
    /// # Errors
    /// When the simulator refuses.
    pub async fn text(&self, phone: &str, to: &str, body: &str) -> Result<Value> {
        self.post(&format!("/_sim/phones/{phone}/text"), &json!({ "to": to, "body": body })).await
    }

    /// A phone calls a number; answers when the call is over. `outcome`: what the phone does that rings:
    /// `answered`, `no_answer`, `busy`, `failed` or `canceled`.
    ///
    /// # Errors
    /// When the simulator refuses.
    pub async fn call(&self, phone: &str, to: &str, outcome: &str) -> Result<Value> {
        self.post(&format!("/_sim/phones/{phone}/call"), &json!({ "to": to, "outcome": outcome })).await
    }

    /// A control call that does something.
    ///
    /// # Errors
    /// When the simulator refuses.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let response = self.client.post(format!("{}{path}", self.base_url)).json(body).send().await?;
        let status = response.status();
        let answer: Value = response.json().await?;
        if status.is_success() { Ok(answer) } else { bail!("{status} {answer}") }
    }

    /// What a phone got, oldest first.
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub async fn inbox(&self, phone: &str) -> Result<Vec<Value>> {
        let answer = self.get(&format!("/_sim/phones/{phone}/inbox")).await?;
        Ok(answer["messages"].as_array().cloned().unwrap_or_default())
    }

    /// A control call that reads.
    ///
    /// # Errors
    /// When the simulator does not answer with a success.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let response = self
            .client
            .get(format!("{}{path}", self.base_url))
            .send()
            .await
            .context("the simulator does not answer")?;
        Ok(response.error_for_status()?.json().await?)
    }

    /// Replaces the faults: see the simulator's README.
    ///
    /// # Errors
    /// When the simulator refuses.
    pub async fn set_faults(&self, faults: &Value) -> Result<()> {
        let url = format!("{}/_sim/faults", self.base_url);
        self.client.put(url).json(&json!({ "faults": faults })).send().await?.error_for_status()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_an_event_a_position_or_a_comment() {
        let event = parse_block("id: 7\nevent: message.created\ndata: {\"body\":\"hi: there\"}\n\n").unwrap().unwrap();
        assert_eq!(
            (event.seq, event.kind.as_str(), event.data["body"].as_str()),
            (7, "message.created", Some("hi: there"))
        );
        assert_eq!(parse_block("id: 41\n\n").unwrap().unwrap().kind, "");
        assert_eq!(parse_block(": heartbeat\n\n").unwrap(), None);
    }
}
