//! Carries the W3C trace context across processes: NATS headers, gRPC metadata, outbox rows.
//!
//! It moves two strings, `traceparent` and `tracestate`, and nothing else: no baggage. When tracing is off it
//! writes nothing and reads nothing.

use std::collections::HashMap;
use std::task::{Context as TaskContext, Poll};

use opentelemetry::Context;
use opentelemetry::propagation::{Injector, TextMapPropagator as _};
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tonic::metadata::{MetadataKey, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};
use tower::{Layer, Service};
use tracing::instrument::Instrumented;
use tracing::{Instrument as _, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

const HEADERS: [&str; 2] = ["traceparent", "tracestate"];

/// Hands the current span's context to `set` as (header, value).
pub fn inject(set: &mut dyn FnMut(&str, String)) {
    struct Set<'a>(&'a mut dyn FnMut(&str, String));
    impl Injector for Set<'_> {
        fn set(&mut self, key: &str, value: String) {
            if !value.is_empty() {
                (self.0)(key, value);
            }
        }
    }
    TraceContextPropagator::new().inject_context(&Span::current().context(), &mut Set(set));
}

/// Makes `span` a child of the caller whose headers `get` reads. Call it before the span is entered: afterwards its
/// parent is fixed.
pub fn set_parent(span: &Span, get: &dyn Fn(&str) -> Option<String>) {
    let context = extract(get);
    if context.span().span_context().is_valid() {
        // Fails when tracing is off or the span is filtered out; both mean that there is nothing to connect.
        let _ = span.set_parent(context);
    }
}

/// Links `span` to another trace, for work that has several causes (a batch of events).
pub fn link(span: &Span, get: &dyn Fn(&str) -> Option<String>) {
    let context = extract(get);
    span.add_link(context.span().span_context().clone());
}

fn extract(get: &dyn Fn(&str) -> Option<String>) -> Context {
    let headers: HashMap<String, String> =
        HEADERS.into_iter().filter_map(|name| Some((name.to_owned(), get(name)?))).collect();
    TraceContextPropagator::new().extract_with_context(&Context::new(), &headers)
}

/// Client side of gRPC: `XClient::with_interceptor(channel, InjectTrace)`.
#[derive(Clone, Copy, Debug, Default)]
pub struct InjectTrace;

impl Interceptor for InjectTrace {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        inject(&mut |name, value| {
            if let (Ok(name), Ok(value)) = (MetadataKey::from_bytes(name.as_bytes()), MetadataValue::try_from(value)) {
                metadata.insert(name, value);
            }
        });
        Ok(request)
    }
}

/// Server side of gRPC: every call runs in a span `rpc` that continues the caller's trace.
/// [`crate::serve::serve_grpc`] installs it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExtractTraceLayer;

impl<S> Layer<S> for ExtractTraceLayer {
    type Service = ExtractTrace<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ExtractTrace(inner)
    }
}

/// What [`ExtractTraceLayer`] makes of a service.
#[derive(Clone, Debug)]
pub struct ExtractTrace<S>(S);

impl<S, B> Service<http::Request<B>> for ExtractTrace<S>
where
    S: Service<http::Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Instrumented<S::Future>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        // The path of a gRPC call is the method's name; it carries no data.
        let span = tracing::info_span!("rpc", method = request.uri().path());
        set_parent(&span, &|name| {
            let value = request.headers().get(name)?;
            Some(value.to_str().ok()?.to_owned())
        });
        self.0.call(request).instrument(span)
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{TraceId, TracerProvider as _};
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const CALLERS_TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn caller(name: &str) -> Option<String> {
        (name == "traceparent").then(|| CALLER.to_owned())
    }

    fn traced(work: impl FnOnce()) {
        let provider = SdkTracerProvider::builder().build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
    }

    fn injected() -> Vec<(String, String)> {
        let mut headers = Vec::new();
        inject(&mut |name, value| headers.push((name.to_owned(), value)));
        headers
    }

    #[test]
    fn a_span_continues_the_trace_of_its_caller_and_hands_it_on() {
        traced(|| {
            let span = tracing::info_span!("consume");
            set_parent(&span, &caller);
            let headers = span.in_scope(injected);
            assert_eq!(headers.len(), 1, "{headers:?}");
            let (name, value) = &headers[0];
            assert_eq!(name, "traceparent");
            assert!(value.contains(CALLERS_TRACE), "{value}");
            assert_ne!(value, CALLER, "the span has an id of its own");
        });
    }

    #[test]
    fn a_caller_without_context_leaves_the_span_where_it_is() {
        traced(|| {
            let outer = tracing::info_span!("outer").entered();
            let outer_trace = outer.context().span().span_context().trace_id();
            let inner = tracing::info_span!("inner");
            set_parent(&inner, &|_| None);
            let inner_trace = inner.context().span().span_context().trace_id();
            assert_eq!(inner_trace, outer_trace);
            assert_ne!(inner_trace, TraceId::INVALID);
        });
    }

    #[test]
    fn grpc_metadata_carries_the_trace() {
        traced(|| {
            let span = tracing::info_span!("call");
            set_parent(&span, &caller);
            let request = span.in_scope(|| InjectTrace.call(Request::new(())));
            let value = request.ok().and_then(|request| request.metadata().get("traceparent").cloned());
            let value = value.as_ref().and_then(|value| value.to_str().ok());
            assert!(value.is_some_and(|value| value.contains(CALLERS_TRACE)));
        });
    }

    #[test]
    fn without_tracing_nothing_is_written() {
        assert_eq!(injected(), Vec::new());
        link(&tracing::info_span!("batch"), &caller);
    }
}
