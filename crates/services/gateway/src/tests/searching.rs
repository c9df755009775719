//! Search, as clients see it. What somebody looks for stands in the address, and nowhere else.

use std::io::Write;
use std::sync::{Arc, Mutex};

use chassis::Fault;
use metrics_exporter_prometheus::PrometheusBuilder;
use proto::conversations::{ConversationPerson, FoundMessage, Person, SearchResponse};
use serde_json::json;
use tracing::subscriber::NoSubscriber;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use super::World;
use super::services::a_message;

const MESSAGE: &str = "01900000-0000-7000-8000-000000000001";

fn found() -> SearchResponse {
    let tina = ConversationPerson { person_id: "t-1".to_owned(), kind: "tenant".to_owned(), name: "Tina".to_owned() };
    let leaky = Person {
        person_id: "v-1".to_owned(),
        kind: "vendor".to_owned(),
        name: "Leak Ltd".to_owned(),
        ..Default::default()
    };
    SearchResponse {
        messages: vec![FoundMessage { message: Some(a_message("acme", MESSAGE)), people: vec![tina] }],
        people: vec![leaky],
        next_cursor: "more".to_owned(),
    }
}

#[tokio::test]
async fn search_answers_messages_with_their_people_and_people_by_name() {
    let world = World::start().await;
    world.services.known().finding.search.answer = Ok(found());
    let answer = world.get("/v1/search?q=%22rent%20due%22+-garage&limit=3&cursor=abc").await;
    assert_eq!(answer.status, 200);
    let item = &answer.body["items"][0];
    assert_eq!((&item["message"]["message_id"], &item["message"]["status"]), (&json!(MESSAGE), &json!("queued")));
    assert_eq!(item["people"], json!([{"person_id": "t-1", "kind": "tenant", "name": "Tina"}]));
    let people = json!([{"person_id": "v-1", "kind": "vendor", "name": "Leak Ltd", "phones": []}]);
    assert_eq!((&answer.body["people"], &answer.body["next_cursor"]), (&people, &json!("more")));
    let asked = world.services.known().finding.search.asked.remove(0);
    assert_eq!((asked.license_id.as_str(), asked.query.as_str()), ("acme", "\"rent due\" -garage"));
    assert_eq!((asked.limit, asked.cursor.as_str()), (3, "abc"));
}

#[tokio::test]
async fn what_cannot_be_searched_for_is_refused_by_the_name_of_the_parameter() {
    let world = World::start().await;
    for (query, code, field) in [
        ("", "missing_parameter", "q"),
        ("?q=", "missing_parameter", "q"),
        ("?q=a&q=b", "repeated_parameter", "q"),
        ("?q=a&limit=0", "invalid_value", "limit"),
        ("?q=a&query=b", "unknown_parameter", "query"),
    ] {
        let answer = world.get(&format!("/v1/search{query}")).await;
        assert_eq!(answer.problem(), (422, code, Some(field)), "{query}");
    }
    assert!(world.services.known().finding.search.asked.is_empty());
    // The service knows the words by another name.
    world.services.known().finding.search.answer = Err(Fault::invalid("query", "query_too_long", "Too long."));
    assert_eq!(world.get("/v1/search?q=a").await.problem(), (422, "query_too_long", Some("q")));
    world.services.known().finding.search.answer = Err(Fault::invalid("cursor", "invalid_cursor", "No."));
    assert_eq!(world.get("/v1/search?q=a&cursor=x").await.problem(), (422, "invalid_cursor", Some("cursor")));
}

/// What is written, for all to see.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

// One thread: the subscriber and the recorder are set for it alone.
#[tokio::test]
async fn what_somebody_looks_for_reaches_no_log_no_span_and_no_metric() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // A second dispatcher: to a single one tracing-core does not look, and a span that a test on another thread reaches
    // first would be off in this one too.
    let _second = tracing::Dispatch::new(NoSubscriber::new());
    let _scope = tracing::subscriber::set_default(subscriber);
    let recorder = PrometheusBuilder::new().build_recorder();
    let page = recorder.handle();
    let _metrics = metrics::set_default_local_recorder(&recorder);

    let world = World::start().await;
    world.services.known().finding.search.answer = Ok(found());
    assert_eq!(world.get("/v1/search?q=evictionword&cursor=cursorword").await.status, 200);
    world.services.known().finding.search.answer = Err(Fault::service_unavailable());
    assert_eq!(world.get("/v1/search?q=evictionword").await.status, 503);
    world.services.known().finding.search.answer = Err(Fault::invalid("query", "query_too_long", "`evictionword`."));
    assert_eq!(world.get("/v1/search?q=evictionword").await.status, 422);
    assert_eq!(world.get("/v1/search?q=evictionword&limit=evictionword").await.status, 422);
    assert_eq!(world.get("/v1/nothing?q=evictionword").await.status, 404);

    let written = String::from_utf8_lossy(&lines.0.lock().unwrap()).into_owned();
    assert!(written.contains("route=/v1/search"));
    let measured = page.render();
    assert!(measured.contains("route=\"/v1/search\""), "{measured}");
    for word in ["evictionword", "cursorword", "plumber"] {
        let line = written.lines().find(|line| line.contains(word));
        assert_eq!(line, None);
        assert!(!measured.contains(word), "{measured}");
    }
}
