//! One trace from the change to its effects.

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use proto::catalogue::CONVERSATIONS_MESSAGE_PROGRESSED as PROGRESSED;
use proto::dispatch::MessageProgressed;
use tracing::Instrument as _;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::probe::Probe;
use crate::world::World;

/// The second field of `00-<trace id>-<span id>-<flags>`.
fn trace_id(traceparent: &str) -> &str {
    traceparent.split('-').nth(1).unwrap()
}

/// On one thread, because the subscriber belongs to the thread.
#[tokio::test(flavor = "current_thread")]
async fn a_trace_goes_from_the_writers_span_to_the_handler() {
    let provider = SdkTracerProvider::builder().build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    // A second dispatcher: with a single one, a span that a test on another thread reaches first is off for good.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
    let _subscriber = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let world = World::new().await;
    let record = async {
        world.record::<MessageProgressed>(&["m1"]).await;
        let mut writer = String::new();
        chassis::trace_context::inject(&mut |_, value| writer = value);
        writer
    };
    let writer = record.instrument(tracing::info_span!("write")).await;
    world.start_relay();
    world.start(&Probe::<MessageProgressed>::new(PROGRESSED));
    world.until_applied_once(PROGRESSED, &["m1"]).await;
    let handler: String = sqlx::query_scalar("select trace from applied").fetch_one(&world.pool).await.unwrap();
    assert_eq!(trace_id(&handler), trace_id(&writer));
    assert_ne!(handler, writer, "the handler runs in a span of its own");
    world.end().await;
}
