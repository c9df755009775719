//! A client of the live feed, as a browser's `EventSource` reads it.

use std::time::Duration;

use serde_json::Value;

use super::tokens::{Token, token};
use super::{World, read};

const PATIENCE: Duration = Duration::from_secs(10);

/// An open stream.
pub(super) struct Stream {
    response: reqwest::Response,
    buffer: String,
}

/// One block that is not a comment.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Block {
    pub(super) id: u64,
    pub(super) event: Option<String>,
    pub(super) data: Option<Value>,
}

impl World {
    /// Follows as a manager of `license`, after `last`.
    pub(super) async fn follow(&self, license: &'static str, last: Option<u64>) -> Stream {
        self.follow_with(&token(Token { license_id: Some(license), ..Token::default() }), last).await
    }

    pub(super) async fn follow_with(&self, bearer: &str, last: Option<u64>) -> Stream {
        let mut request = self.request("GET", "/v1/feed", bearer);
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Stream { response, buffer: String::new() }
    }
}

impl Stream {
    /// The next block, raw, comments included. None at the end of the stream.
    pub(super) async fn raw(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.buffer = rest;
                return Some(block);
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await.expect("the stream is silent");
            self.buffer.push_str(std::str::from_utf8(&chunk.unwrap()?).unwrap());
        }
    }

    pub(super) async fn next(&mut self) -> Block {
        loop {
            let raw = self.raw().await.expect("the stream goes on");
            if !raw.starts_with(':') {
                return parse(&raw);
            }
        }
    }

    /// The positions of the next `count` blocks.
    pub(super) async fn ids(&mut self, count: usize) -> Vec<u64> {
        let mut ids = Vec::new();
        while ids.len() < count {
            ids.push(self.next().await.id);
        }
        ids
    }
}

fn parse(raw: &str) -> Block {
    let mut block = Block::default();
    for line in raw.lines() {
        match line.split_once(": ").unwrap() {
            ("id", id) => block.id = id.parse().unwrap(),
            ("event", event) => block.event = Some(event.to_owned()),
            ("data", data) => block.data = Some(serde_json::from_str(data).unwrap()),
            other => panic!("{other:?}"),
        }
    }
    block
}

#[tokio::test]
async fn a_last_event_id_that_is_no_position_is_refused() {
    let world = World::start().await;
    let request = world.request("GET", "/v1/feed", &token(Token::default())).header("Last-Event-ID", "abc");
    assert_eq!(read(request).await.problem(), (422, "invalid_last_event_id", Some("Last-Event-ID")));
}
