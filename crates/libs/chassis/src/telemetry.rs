//! Logs on stderr, traces over OTLP when an endpoint is set, metrics for Prometheus to fetch.
//!
//! The subscriber and the recorder belong to the process; the first installation wins, later ones are harmless.
//! Message texts and phone numbers never get here: callers log ids.

use std::io::IsTerminal as _;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Context as _;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::settings::{LogFormat, LogSettings, TracingSettings};

/// For histograms whose name ends in `_seconds`.
const SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// For histograms whose name ends in `_size`, for example the events in a batch.
const SIZES: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 10_000.0];
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Keeps the trace exporter; hand it back with [`TelemetryGuard::shutdown`] as the last thing a process does.
#[derive(Debug)]
#[must_use = "spans are flushed by `shutdown`"]
pub struct TelemetryGuard {
    provider: Option<SdkTracerProvider>,
}

impl TelemetryGuard {
    /// Sends what is still buffered, at most five seconds long.
    pub async fn shutdown(self) {
        let Some(provider) = self.provider else {
            return;
        };
        // The exporter blocks; on a worker thread it would wait for itself.
        let flushed = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH_TIMEOUT)).await;
        if let Ok(Err(error)) = flushed {
            tracing::warn!(%error, "the last spans could not be exported");
        }
    }
}

/// Installs logging, tracing and the metrics recorder. Call it inside the tokio runtime: the exporter's connection
/// lives on it. `service` is the name that traces carry.
///
/// The log filter does not apply to exported spans: those are all of level `info` and above, without the spans of
/// the exporter's own connection.
pub fn init(service: &'static str, log: &LogSettings, tracing: &TracingSettings) -> anyhow::Result<TelemetryGuard> {
    metrics_handle();

    let filter = EnvFilter::try_new(&log.filter).context("`log.filter` is not a filter such as `info,sqlx=warn`")?;
    let lines =
        tracing_subscriber::fmt::layer().with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr);
    let lines = match log.format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Pretty => lines.boxed(),
    }
    .with_filter(filter);

    let provider = tracer_provider(service, tracing)?;
    let spans = provider.as_ref().map(|provider| {
        tracing_opentelemetry::layer().with_tracer(provider.tracer("leaseline")).with_filter(exported())
    });

    let installed = tracing_subscriber::registry().with(spans).with(lines).try_init().is_ok();
    Ok(TelemetryGuard {
        // Without our layer nothing reaches this provider.
        provider: provider.filter(|_| installed),
    })
}

/// The metrics of this process; installs the recorder on the first call.
pub fn metrics_handle() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let recorder = metrics_recorder();
            let handle = recorder.handle();
            // Somebody else's recorder may stay: then our page is empty, and nothing breaks.
            if metrics::set_global_recorder(recorder).is_err() {
                tracing::warn!("another metrics recorder is installed; /metrics stays empty");
            }
            handle
        })
        .clone()
}

fn metrics_recorder() -> metrics_exporter_prometheus::PrometheusRecorder {
    let suffixes = [("_seconds", SECONDS), ("_size", SIZES)];
    let mut builder = PrometheusBuilder::new();
    for (suffix, buckets) in suffixes {
        // Fails only for an empty list of buckets.
        builder = builder.set_buckets_for_metric(Matcher::Suffix(suffix.to_owned()), buckets).unwrap_or_default();
    }
    builder.build_recorder()
}

fn tracer_provider(service: &'static str, settings: &TracingSettings) -> anyhow::Result<Option<SdkTracerProvider>> {
    if settings.otlp_endpoint.is_empty() {
        return Ok(None);
    }
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(&settings.otlp_endpoint)
        .build()
        .context("`tracing.otlp_endpoint` is not an address such as `http://127.0.0.1:4317`")?;
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(settings.sample_ratio)));
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(sampler)
        .with_resource(Resource::builder().with_service_name(service).build())
        .build();
    Ok(Some(provider))
}

fn exported() -> Targets {
    ["opentelemetry", "tonic", "h2", "hyper", "tower"]
        .into_iter()
        .fold(Targets::new().with_default(LevelFilter::INFO), |targets, connection| {
            targets.with_target(connection, LevelFilter::OFF)
        })
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;

    use super::*;
    use crate::Lifecycle;
    use crate::serve::serve_http;

    fn log_settings() -> LogSettings {
        LogSettings { format: LogFormat::Json, filter: "off".to_owned() }
    }

    fn tracing_settings(otlp_endpoint: String) -> TracingSettings {
        TracingSettings { otlp_endpoint, sample_ratio: 1.0 }
    }

    /// The one test that installs the process-wide subscriber.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn spans_reach_the_collector_when_the_process_ends_and_a_second_start_is_harmless() {
        let (received, mut exports) = mpsc::unbounded_channel();
        let collector = axum::Router::new().fallback(async move |body: axum::body::Bytes| {
            let _ = received.send(body);
            [("content-type", "application/grpc"), ("grpc-status", "0")]
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let lifecycle = Lifecycle::new();
        serve_http("collector", listener, collector, &lifecycle);

        let settings = tracing_settings(endpoint);
        let first = init("numbers", &log_settings(), &settings).unwrap();
        let second = init("dispatch", &log_settings(), &settings).unwrap();
        tracing::info_span!("buy a number").in_scope(|| ());
        first.shutdown().await;
        second.shutdown().await;

        let mut wanted = vec![&b"buy a number"[..], b"numbers"];
        while !wanted.is_empty() {
            let export = tokio::time::timeout(Duration::from_secs(10), exports.recv()).await.unwrap().unwrap();
            wanted.retain(|word| !export.windows(word.len()).any(|part| part == *word));
        }
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_refused_with_the_name_of_the_setting() {
        let log = LogSettings { filter: "info,=".to_owned(), ..log_settings() };
        let error = init("numbers", &log, &tracing_settings(String::new())).unwrap_err();
        assert!(error.to_string().contains("`log.filter`"), "{error}");
    }

    #[test]
    fn histograms_of_seconds_and_of_sizes_have_buckets() {
        let recorder = metrics_recorder();
        metrics::with_local_recorder(&recorder, || {
            metrics::histogram!("webhook_seconds").record(0.003);
            metrics::histogram!("batch_size").record(30.0);
        });
        let page = recorder.handle().render();
        assert!(page.contains("webhook_seconds_bucket{le=\"0.005\"} 1"), "{page}");
        assert!(page.contains("batch_size_bucket{le=\"20\"} 0"), "{page}");
    }
}
