//! What a webhook leaves behind for operators: the beginning of a trace, and log lines that tell nothing private.

use std::io;
use std::sync::{Arc, Mutex};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use proto::ingest::MessageReceived;
use tracing::subscriber::NoSubscriber;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;

use super::service::{Service, Webhook};

const FOREIGN_TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// One thread: the subscriber is set for it alone.
#[tokio::test]
async fn a_webhook_starts_a_trace_and_its_text_and_numbers_reach_no_log() {
    let lines = Lines::default();
    let writer = lines.clone();
    let log = tracing_subscriber::fmt::layer().json().with_writer(move || writer.clone());
    let provider = SdkTracerProvider::builder().build();
    let traces = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let subscriber = tracing_subscriber::registry().with(traces).with(log.with_filter(LevelFilter::INFO));
    // A second dispatcher: to a single one tracing-core does not look, and a span that a test on another thread reaches
    // first would be off in this one too.
    let _second = tracing::Dispatch::new(NoSubscriber::new());
    let _scope = tracing::subscriber::set_default(subscriber);

    let service = Service::start().await;
    service.set_route("acme", "+16465550111", Some("+12125550171"), 1).await;
    service.set_route("broken", "+1646555011", None, 1).await;
    service.call_until(&Webhook::call("CA0", "+14155550123", "+16465550111"), "+12125550171").await;
    let stored = Webhook::message("SM1", "the secret text");
    let request = stored.request(&service.client, &service.address);
    let response =
        request.header("traceparent", format!("00-{FOREIGN_TRACE}-00f067aa0ba902b7-01")).send().await.unwrap();
    assert_eq!(response.status(), 200);
    for (webhook, status) in [
        (Webhook { signature: None, ..stored.clone() }, 403),
        (Webhook { target: format!("{}?x=the+secret+text", stored.target), ..stored.clone() }, 403),
        (Webhook::message_with(&[("To", "+1646555011"), ("Body", "the secret text")]), 400),
        (Webhook::message_with(&[("From", "+442079460958"), ("Body", "the secret text")]), 200),
        (Webhook::receipt("4155550123", &[("MessageStatus", "sent"), ("To", "+14155550123")]), 400),
        (Webhook::call("CA1", "+14155550123", "+16465550111"), 200),
        (Webhook::call("CA2", "+442079460958", "+16465550112"), 200),
        (Webhook::call("CA3", "+14155550123", "+1646555011"), 400),
        (
            Webhook::call_report("/webhooks/twilio/voice/after", "CA1", "+16465550111", &[("DialCallStatus", "busy")]),
            200,
        ),
        (
            Webhook::call_report("/webhooks/twilio/voice/after", "CA1", "+16465550111", &[("DialCallStatus", "odd")]),
            200,
        ),
    ] {
        assert_eq!(service.send(&webhook).await.0, status);
    }

    let events = service.list_stored::<MessageReceived>().await;
    let trace = events[0].headers.get("traceparent").expect("the event carries the trace").to_string();
    assert!(!trace.contains(FOREIGN_TRACE), "a caller does not choose the trace: {trace}");
    service.stop().await;

    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("a webhook is refused") && log.contains("cannot be read"), "{log}");
    for private in ["secret", "4155550123", "6465550111", "6465550112", "646555011", "442079460958", "2125550171"] {
        assert!(!log.contains(private), "{private} is in the log: {log}");
    }
}
