//! Message texts and phone numbers never reach logs, spans or metrics.

use std::io;
use std::sync::{Arc, Mutex, OnceLock};

use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use super::world::{World, phone};

/// Everything that this process logs, of all journeys, with all spans and their fields.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

static LOG: OnceLock<Captured> = OnceLock::new();

/// Begins to capture, once for the process. Ours at the finest level, libraries at the level of production.
pub fn capture_logs() {
    LOG.get_or_init(|| {
        let captured = Captured::default();
        let ours = ["numbers", "conversations", "dispatch", "ingest", "gateway", "bus", "carriers", "chassis"];
        let filter = ours.iter().fold("info".to_owned(), |filter, name| format!("{filter},{name}=trace"));
        tracing_subscriber::fmt()
            .json()
            .with_span_list(true)
            .with_span_events(tracing_subscriber::fmt::format::FmtSpan::NEW)
            .with_env_filter(filter)
            .with_writer(captured.clone())
            .init();
        // Metrics are recorded for the process, too.
        let _ = chassis::telemetry::metrics_handle();
        captured
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn no_message_text_and_no_full_phone_number_in_logs_spans_or_metrics() {
    let world = World::start(1, 2).await;
    let text = "the secret is under the doormat";
    world.phones.set_faults(&json!([{ "on": "send", "kind": "http_500_after_accept", "count": 1 }])).await.unwrap();
    world.send_until_accepted(0, text).await;
    world.wait_for_messages(&[text.to_owned()], "delivered").await;
    world.text(0, "answer with a secret in it").await;
    world.wait_for_messages(&["answer with a secret in it".to_owned()], "received").await;
    // What goes wrong is logged, too, and must not quote.
    let landline = json!([{ "on": "send", "kind": "http_500", "count": 1 }]);
    world.phones.set_faults(&landline).await.unwrap();
    world.send_until_accepted(1, "another secret").await;
    world.wait_for_messages(&["another secret".to_owned()], "unknown").await;
    let bad = json!({ "kind": "tenant", "name": "Secret Name", "phones": ["+14155550123456"] });
    let refused = world.mia.call(reqwest::Method::PUT, "/v1/people/bad", Some(&bad)).await.unwrap();
    assert_eq!(refused.status, 422, "{}", refused.body);

    let log = String::from_utf8_lossy(&LOG.get().unwrap().0.lock().unwrap()).into_owned();
    assert!(log.contains("consume"), "the journey was logged at all");
    let metrics = chassis::telemetry::metrics_handle().render();
    assert!(metrics.contains("bus_consumed_total"), "the journey was counted at all");
    let number = world.number.trim_start_matches('+');
    let own = phone(0);
    for (what, place) in [("the log", &log), ("the metrics", &metrics)] {
        for secret in [
            text,
            "a secret in it",
            "another secret",
            number,
            own.trim_start_matches('+'),
            "4155550199",
            "14155550123456",
        ] {
            if let Some(at) = place.find(secret) {
                let around = place[..at].lines().count();
                panic!(
                    "{what} contains a text or number: {}",
                    place.lines().nth(around.saturating_sub(1)).unwrap_or_default()
                );
            }
        }
    }
    world.stop().await;
}
