//! Import of people: lines in, lines out, both as streams.
//!
//! Memory is bounded whatever the length of the body: lines are put a batch at a time, and answers wait for a slow
//! client in a queue that ends. A line that is refused stops nobody else; repeating an import changes nothing.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use chassis::Fault;
use domain::PersonKind;
use futures_util::StreamExt as _;
use http::{HeaderValue, header};
use proto::conversations::{Person, PutPeopleRequest, PutPersonResult};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use utoipa::ToSchema;

use super::App;
use super::extract::{Query, parse_json};
use crate::auth::{Actor, Backend, Manager};
use crate::error::Problem;

/// Lines of one transaction.
const BATCH: usize = 500;
/// A person with twenty numbers has less than 1 KiB.
const MAX_LINE: usize = 16 * 1024;
/// Answers of so many batches wait for a client that sends all before it reads: about 16 MiB.
const WAITING_ANSWERS: usize = 256;
/// A client that sends nothing for so long is gone.
const SILENCE: Duration = Duration::from_secs(30);
/// A batch that cannot be put is tried again after these pauses; doing it twice is doing it once.
const PAUSES: [Duration; 3] = [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(3)];

const NDJSON: &str = "application/x-ndjson";

/// One line of the body.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"person_id": "t-1", "kind": "tenant", "name": "Tina Tenant", "phones": ["(212) 555-0123"]}))]
pub(crate) struct ImportLine {
    /// 1 to 50 characters of A-Z, a-z, 0-9, _ and -.
    person_id: String,
    /// `tenant`, `lead`, `vendor` or `owner`.
    #[schema(value_type = String)]
    kind: PersonKind,
    name: String,
    /// The preferred one first. May be empty.
    #[serde(default)]
    phones: Vec<String>,
}

/// One line of the answer, for one line of the body.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"line": 1, "result": "created", "person_id": "t-1"}))]
pub(crate) struct ImportResult {
    /// Counted from 1; empty lines count and have no answer.
    line: u64,
    /// `created`, `updated`, `unchanged`, `refused`; or `stopped`: this line and all after it were not done.
    result: String,
    /// Null when the line could not be read.
    person_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
}

/// Create or replace many people. One JSON object a line, one line of answer each, in the same order.
///
/// Answers come while lines are still read. A line that is refused stops nobody else. Importing the same lines again
/// changes nothing, so an import that broke off is simply repeated.
#[utoipa::path(
    post, path = "/v1/people/import", tag = "people",
    request_body(content = ImportLine, content_type = "application/x-ndjson"),
    responses(
        (status = 200, description = "A line for each line.", content_type = "application/x-ndjson", body = ImportResult),
        (status = 415, description = "`unsupported_media_type`: the body must be `application/x-ndjson`."),
    ),
)]
pub(crate) async fn import_people(
    State(app): State<App>,
    _: Backend,
    Manager(actor): Manager,
    _: Query<()>,
    request: Request,
) -> Result<Response, Problem> {
    let named = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if named.split(';').next().map(str::trim) != Some(NDJSON) {
        return Err(Problem::unsupported_media_type());
    }
    let (answers, waiting) = mpsc::channel::<Bytes>(WAITING_ANSWERS);
    let lines = Lines::of(request.into_body());
    // A batch that was begun ends although the client is gone. Nobody waits for the task: its answers are the stream.
    drop(app.lifecycle.spawn_tracked(import(app.clone(), actor, lines, answers)));
    let stream = futures_util::stream::unfold(waiting, async |mut waiting| {
        waiting.recv().await.map(|answer| (Ok::<_, Infallible>(answer), waiting))
    });
    let mut response = Response::new(Body::from_stream(stream));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(NDJSON));
    Ok(response)
}

async fn import(app: App, actor: Actor, mut lines: Lines, answers: mpsc::Sender<Bytes>) {
    let stopping = app.lifecycle.stopping();
    loop {
        let next = stopping.run_until_cancelled(lines.next_batch()).await;
        let Some((batch, end)) = next else {
            let _ = answers.send(write(&[refusal(lines.done + 1, Fault::service_unavailable(), "stopped")])).await;
            return;
        };
        if !batch.is_empty() {
            let (results, done) = put(&app, &actor, batch).await;
            let gone = answers.send(write(&results)).await.is_err();
            if gone || !done {
                return;
            }
        }
        lines.done = lines.number - 1;
        match end {
            End::More => {}
            End::Done => return,
            End::Broken(line) => {
                let fault = Fault::malformed("body_unreadable", "The body could not be read to its end.");
                // The client that broke off may still read.
                let _ = answers.send(write(&[refusal(line, fault, "stopped")])).await;
                return;
            }
        }
    }
}

/// Puts what can be read. Answers each line; false when the service was away and the import stops.
async fn put(app: &App, actor: &Actor, batch: Vec<Line>) -> (Vec<ImportResult>, bool) {
    let mut results: Vec<ImportResult> = Vec::with_capacity(batch.len());
    let mut people = Vec::with_capacity(batch.len());
    let mut places = Vec::with_capacity(batch.len());
    for Line { number, text } in batch {
        match text.and_then(|text| parse_json::<ImportLine>(&text)) {
            Ok(ImportLine { person_id, kind, name, phones }) => {
                places.push(results.len());
                results.push(ImportResult::of(number, person_id.clone()));
                people.push(Person { person_id, kind: kind.to_string(), name, phones });
            }
            Err(fault) => results.push(refusal(number, fault, "refused")),
        }
    }
    if people.is_empty() {
        return (results, true);
    }
    let request = PutPeopleRequest { license_id: actor.license.to_string(), people };
    match put_patiently(app, &request).await {
        Ok(puts) => {
            for (place, put) in places.into_iter().zip(puts) {
                if let Some(result) = results.get_mut(place) {
                    result.settle(put);
                }
            }
            (results, true)
        }
        Err(fault) => {
            let first = places.first().and_then(|place| results.get(*place)).map_or(0, |result| result.line);
            // Lines of this batch before the first one that could be read were refused, and that stands.
            results.truncate(places.first().copied().unwrap_or_default());
            results.push(refusal(first, fault, "stopped"));
            (results, false)
        }
    }
}

async fn put_patiently(app: &App, request: &PutPeopleRequest) -> Result<Vec<PutPersonResult>, Fault> {
    let mut pauses = PAUSES.iter();
    loop {
        let fault = match app.upstreams.people.clone().put_people(request.clone()).await {
            Ok(answer) => return Ok(answer.into_inner().results),
            Err(status) => Fault::from_status(&status),
        };
        match pauses.next() {
            Some(pause) if fault.kind == chassis::FaultKind::Unavailable => tokio::time::sleep(*pause).await,
            _ => return Err(fault),
        }
    }
}

impl ImportResult {
    fn of(line: u64, person_id: String) -> Self {
        Self { line, result: String::new(), person_id: Some(person_id), code: None, detail: None, field: None }
    }

    fn settle(&mut self, put: PutPersonResult) {
        self.result = put.result;
        self.code = put.code;
        self.detail = put.detail;
        self.field = put.field;
    }
}

fn refusal(line: u64, fault: Fault, result: &str) -> ImportResult {
    ImportResult {
        line,
        result: result.to_owned(),
        person_id: None,
        code: Some(fault.code.into_owned()),
        detail: Some(fault.detail),
        field: fault.field,
    }
}

fn write(results: &[ImportResult]) -> Bytes {
    let mut text = Vec::with_capacity(results.len() * 96);
    for result in results {
        // A struct of strings and numbers always serializes.
        if serde_json::to_writer(&mut text, result).is_ok() {
            text.push(b'\n');
        }
    }
    text.into()
}

/// A line of the body, or why it cannot be one.
struct Line {
    number: u64,
    text: Result<Bytes, Fault>,
}

impl Line {
    fn is_blank(&self) -> bool {
        self.text.as_ref().is_ok_and(|text| text.iter().all(u8::is_ascii_whitespace))
    }
}

/// What follows a batch.
enum End {
    More,
    Done,
    /// The body broke off in or before this line.
    Broken(u64),
}

/// Cuts a body into lines, holding one line and one piece of the body at a time.
struct Lines {
    body: BodyDataStream,
    buffer: BytesMut,
    /// The line that comes next.
    number: u64,
    /// The last line that was answered, or empty.
    done: u64,
    /// The beginning of this line was thrown away.
    too_long: bool,
    ended: bool,
}

impl Lines {
    fn of(body: Body) -> Self {
        Self {
            body: body.into_data_stream(),
            buffer: BytesMut::new(),
            number: 1,
            done: 0,
            too_long: false,
            ended: false,
        }
    }

    async fn next_batch(&mut self) -> (Vec<Line>, End) {
        let mut batch = Vec::new();
        loop {
            while let Some(line) = self.cut() {
                if !line.is_blank() {
                    batch.push(line);
                }
                if batch.len() == BATCH {
                    return (batch, End::More);
                }
            }
            if self.ended {
                return (batch, End::Done);
            }
            // What there is goes on its way before a slow client sends more.
            let piece = tokio::time::timeout(SILENCE, self.body.next());
            match piece.await {
                Ok(Some(Ok(piece))) => self.buffer.extend_from_slice(&piece),
                Ok(None) => self.ended = true,
                Ok(Some(Err(_))) | Err(_) => return (batch, End::Broken(self.number)),
            }
        }
    }

    /// The next line if it is whole.
    fn cut(&mut self) -> Option<Line> {
        let end = self.buffer.iter().position(|byte| *byte == b'\n');
        let Some(end) = end else {
            if self.buffer.len() > MAX_LINE {
                self.buffer.clear();
                self.too_long = true;
            }
            let last = self.ended && (self.too_long || !self.buffer.is_empty());
            return last.then(|| {
                let text = self.buffer.split().freeze();
                self.line(text)
            });
        };
        let text = self.buffer.split_to(end + 1).freeze();
        Some(self.line(text))
    }

    fn line(&mut self, text: Bytes) -> Line {
        let number = self.number;
        self.number += 1;
        if std::mem::take(&mut self.too_long) || text.len() > MAX_LINE {
            let fault = Fault::too_large("line_too_long", "A line has at most 16 KiB.");
            return Line { number, text: Err(fault) };
        }
        Line { number, text: Ok(text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn cut(pieces: &[&str]) -> Vec<(u64, Result<String, String>)> {
        let pieces: Vec<_> =
            pieces.iter().map(|piece| Ok::<_, Infallible>(Bytes::copy_from_slice(piece.as_bytes()))).collect();
        let mut lines = Lines::of(Body::from_stream(futures_util::stream::iter(pieces)));
        let (batch, end) = lines.next_batch().await;
        assert!(matches!(end, End::Done));
        let read = |line: Line| {
            let text = line.text.map(|text| String::from_utf8_lossy(&text).trim().to_owned());
            (line.number, text.map_err(|fault| fault.code.into_owned()))
        };
        batch.into_iter().map(read).collect()
    }

    #[tokio::test]
    async fn lines_are_cut_wherever_the_pieces_end_and_empty_ones_count() {
        let expected = vec![(1, Ok("a".to_owned())), (3, Ok("bc".to_owned())), (4, Ok("d".to_owned()))];
        assert_eq!(cut(&["a\n\r\nb", "c\nd"]).await, expected);
        assert_eq!(cut(&["a\n", "\n", "bc\nd\n"]).await, expected);
        assert_eq!(cut(&[]).await, []);
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_refused_and_not_kept() {
        let long = "x".repeat(MAX_LINE);
        let too_long = || Err("line_too_long".to_owned());
        assert_eq!(cut(&[&long, &long, "\nb\n"]).await, [(1, too_long()), (2, Ok("b".to_owned()))]);
        assert_eq!(cut(&["a\n", &long, "x"]).await, [(1, Ok("a".to_owned())), (2, too_long())]);
    }
}
