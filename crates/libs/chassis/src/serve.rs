//! The servers that a service opens, and the connections it makes to other services.
//!
//! On stop a server closes its listener, lets running requests finish and closes idle connections. Open streams are
//! not cut here: they watch [`Lifecycle::stopping`] themselves, else they hold the shutdown until its deadline.

use std::time::Duration;

use anyhow::Context as _;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};

use crate::lifecycle::Lifecycle;
use crate::trace_context::{ExtractTraceLayer, InjectTrace};

/// What one slow reader of a stream holds back, and what all of a connection hold back together.
const STREAM_WINDOW: u32 = 128 * 1024;
const STREAMS_WINDOW: u32 = 256 * 1024 * 1024;

/// gRPC clients keep one connection and do not look names up again. Closing it now and then lets them see new
/// replicas; the spread keeps servers that started together from closing together.
const CONNECTION_AGE_S: std::ops::RangeInclusive<u64> = 270..=330;
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// What [`traced`] makes: a channel whose calls carry the trace context.
pub type TracedChannel = InterceptedService<Channel, InjectTrace>;

/// Opens a listener; `name` says in the error what could not listen.
pub async fn listen(name: &str, address: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on `{address}` for {name}"))
}

/// Serves HTTP until the service stops.
pub fn serve_http(name: &'static str, listener: TcpListener, router: axum::Router, lifecycle: &Lifecycle) {
    let stopping = lifecycle.stopping();
    lifecycle.spawn(name, async move {
        let listener = listener.tap_io(|connection| {
            if let Err(error) = connection.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY could not be set");
            }
        });
        axum::serve(listener, router).with_graceful_shutdown(stopping.cancelled_owned()).await?;
        Ok(())
    });
}

/// Serves gRPC until the service stops. Every call continues its caller's trace.
pub fn serve_grpc(name: &'static str, listener: TcpListener, routes: Routes, lifecycle: &Lifecycle) {
    let stopping = lifecycle.stopping();
    lifecycle.spawn(name, async move {
        let age = Duration::from_secs(rand::random_range(CONNECTION_AGE_S));
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        Server::builder()
            .max_connection_age(age)
            .http2_keepalive_interval(Some(KEEP_ALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
            .layer(ExtractTraceLayer)
            .serve_with_incoming_shutdown(routes.prepare(), incoming, stopping.cancelled_owned())
            .await?;
        Ok(())
    });
}

/// How long a client waits.
#[derive(Clone, Copy, Debug)]
pub struct ChannelTimeouts {
    /// For the connection.
    pub connect: Duration,
    /// For the answer's headers: the whole call when it is unary, the beginning of a stream.
    pub request: Duration,
}

impl Default for ChannelTimeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(2), request: Duration::from_secs(10) }
    }
}

/// A connection to another service, made when it is first used and again whenever it is lost.
///
/// `urls` is `http://host:port`, or several of them separated by commas: calls are then spread over those that answer.
///
/// # Errors
/// When an address is none.
pub fn grpc_channel(urls: &str, timeouts: ChannelTimeouts) -> anyhow::Result<Channel> {
    Ok(connect(endpoints(urls, timeouts)?))
}

/// The same for streams that are read as slowly as somebody else likes, so that no reader holds up the calls beside it:
/// what is not read yet counts against its own small window, and the connection has room for the windows of all.
///
/// # Errors
/// As [`grpc_channel`].
pub fn grpc_stream_channel(urls: &str, timeouts: ChannelTimeouts) -> anyhow::Result<Channel> {
    let narrow = |endpoint: Endpoint| {
        endpoint.initial_stream_window_size(STREAM_WINDOW).initial_connection_window_size(STREAMS_WINDOW)
    };
    Ok(connect(endpoints(urls, timeouts)?.into_iter().map(narrow).collect()))
}

fn endpoints(urls: &str, timeouts: ChannelTimeouts) -> anyhow::Result<Vec<Endpoint>> {
    let mut endpoints = Vec::new();
    for url in urls.split(',').map(str::trim) {
        let endpoint = Endpoint::from_shared(url.to_owned())
            .with_context(|| format!("`{url}` is not an address such as `http://127.0.0.1:9001`"))?;
        endpoints.push(
            endpoint
                .connect_timeout(timeouts.connect)
                .timeout(timeouts.request)
                .tcp_nodelay(true)
                .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
                .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
                .keep_alive_while_idle(true),
        );
    }
    Ok(endpoints)
}

fn connect(endpoints: Vec<Endpoint>) -> Channel {
    match endpoints.as_slice() {
        [only] => only.connect_lazy(),
        _ => Channel::balance_list(endpoints.into_iter()),
    }
}

/// Adds the trace context to every call of a channel: `XClient::new(traced(channel))`.
pub fn traced(channel: Channel) -> TracedChannel {
    InterceptedService::new(channel, InjectTrace)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::routing::{get, post};
    use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::sync::Notify;
    use tonic::service::RoutesBuilder;
    use tower::{Service as _, ServiceExt as _};
    use tracing::Instrument as _;
    use tracing_opentelemetry::OpenTelemetrySpanExt as _;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(5);
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n";

    async fn listener() -> (TcpListener, std::net::SocketAddr) {
        let listener = listen("the test", "127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    async fn read_until(connection: &mut TcpStream, end: &str) -> String {
        let mut seen = String::new();
        while !seen.ends_with(end) {
            let mut buffer = [0; 1024];
            let count = connection.read(&mut buffer).await.unwrap();
            assert_ne!(count, 0, "closed after: {seen}");
            seen.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
        seen
    }

    #[tokio::test]
    async fn connections_kept_alive_by_clients_do_not_hold_the_shutdown() {
        let lifecycle = Lifecycle::new();
        let (listener, address) = listener().await;
        let router = axum::Router::new().route("/", get(async || "hello"));
        serve_http("http", listener, router, &lifecycle);

        let mut used = TcpStream::connect(address).await.unwrap();
        used.write_all(REQUEST).await.unwrap();
        read_until(&mut used, "hello").await;
        let mut silent = TcpStream::connect(address).await.unwrap();

        lifecycle.finish(DEADLINE).await.unwrap();
        assert_eq!(used.read(&mut [0; 1]).await.unwrap(), 0);
        // Either way it is gone: closed, or never accepted.
        assert!(silent.read(&mut [0; 1]).await.is_ok_and(|count| count == 0));
    }

    #[tokio::test]
    async fn a_running_request_is_answered_after_the_stop() {
        let lifecycle = Lifecycle::new();
        let (listener, address) = listener().await;
        let (arrived, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let handler = {
            let (arrived, go_on) = (arrived.clone(), go_on.clone());
            async move || {
                arrived.notify_one();
                go_on.notified().await;
                "answered"
            }
        };
        serve_http("http", listener, axum::Router::new().route("/", get(handler)), &lifecycle);
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection.write_all(REQUEST).await.unwrap();
        arrived.notified().await;
        let end = tokio::spawn(lifecycle.clone().run_until_stopped(DEADLINE));
        lifecycle.stop();
        go_on.notify_one();
        read_until(&mut connection, "answered").await;
        end.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_request_that_never_ends_is_cut_at_the_deadline_and_its_server_named() {
        let lifecycle = Lifecycle::new();
        let (listener, address) = listener().await;
        let arrived = Arc::new(Notify::new());
        let handler = {
            let arrived = arrived.clone();
            async move || {
                arrived.notify_one();
                std::future::pending::<()>().await;
            }
        };
        serve_http("http", listener, axum::Router::new().route("/", get(handler)), &lifecycle);
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection.write_all(REQUEST).await.unwrap();
        arrived.notified().await;
        let error = lifecycle.finish(Duration::from_millis(20)).await;
        assert!(error.unwrap_err().to_string().ends_with("`http`"));
    }

    /// Answers with the id of the trace that the call runs in.
    fn trace_id_routes() -> Routes {
        let handler = async || {
            let context = tracing::Span::current().context();
            let id = context.span().span_context().trace_id().to_string();
            [("x-trace-id", id), ("grpc-status", "0".to_owned())]
        };
        RoutesBuilder::from(axum::Router::new().route("/test.Test/TraceId", post(handler))).routes()
    }

    async fn ask_trace_id(channel: &mut TracedChannel) -> String {
        let request = http::Request::post("/test.Test/TraceId").body(tonic::body::Body::empty()).unwrap();
        let response = channel.ready().await.unwrap().call(request).await.unwrap();
        let id = response.headers()["x-trace-id"].to_str().unwrap();
        id.to_owned()
    }

    #[tokio::test]
    async fn a_grpc_call_continues_the_trace_of_its_caller_and_an_idle_client_does_not_hold_the_shutdown() {
        let provider = SdkTracerProvider::builder().build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        // A second dispatcher: with a single one, a span that a test on another thread reaches first is off for good.
        let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
        let _tracing = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));

        let lifecycle = Lifecycle::new();
        let (listener, address) = listener().await;
        // The channel is older than the server: it connects when it is used.
        let url = format!("http://{address}");
        let mut channel = traced(grpc_channel(&url, ChannelTimeouts::default()).unwrap());
        serve_grpc("grpc", listener, trace_id_routes(), &lifecycle);

        let span = tracing::info_span!("caller");
        let id = ask_trace_id(&mut channel).instrument(span.clone()).await;
        let trace_id = span.context().span().span_context().trace_id().to_string();
        assert_eq!(id, trace_id);

        lifecycle.finish(DEADLINE).await.unwrap();
    }

    #[tokio::test]
    async fn addresses_that_cannot_work_are_named() {
        let error = grpc_channel("not an address", ChannelTimeouts::default()).unwrap_err();
        assert!(error.to_string().contains("`not an address`"));
        let error = listen("webhooks", "127.0.0.1:notaport").await.unwrap_err();
        assert!(error.to_string().ends_with("for webhooks"), "{error}");
    }
}
