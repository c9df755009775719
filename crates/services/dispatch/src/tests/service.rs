//! The whole service: events in over NATS, texts out, events out, gRPC.

use bus::Publisher;
use chassis::Lifecycle;
use chassis::serve::{ChannelTimeouts, grpc_channel};
use proto::conversations::Priority::Reply;
use proto::conversations::SendingWithdrawn;
use proto::conversations::sending_withdrawn::Of;
use proto::dispatch::dispatch_service_client::DispatchServiceClient;
use proto::dispatch::{EstimateFinishRequest, ListWaitingRequest};

use super::*;
use crate::{DEFAULTS, Listeners, Settings};

#[test]
fn the_defaults_are_complete_and_every_setting_has_its_own_variable() {
    let settings: Settings = chassis::config::load(DEFAULTS, None, &|_| None).unwrap();
    assert!((settings.pace.segments_per_second - 1.0).abs() < f64::EPSILON);
    chassis::config::names(DEFAULTS).unwrap();
}

/// Why a process with these settings does not start.
async fn refusal(change: impl FnOnce(&mut Settings)) -> String {
    let mut settings: Settings = chassis::config::load(DEFAULTS, None, &|_| None).unwrap();
    settings.twilio = twilio("http://127.0.0.1:1", Duration::from_secs(20));
    settings.webhooks.base_url = "http://127.0.0.1:9".to_owned();
    change(&mut settings);
    let listeners = Listeners { grpc: testkit::listener().await, admin: testkit::listener().await };
    format!("{:#}", crate::run(settings, listeners, Clock::system(), Lifecycle::new()).await.unwrap_err())
}

#[tokio::test]
async fn settings_that_fight_are_refused_at_the_start() {
    let deadline = "`delivery.attempt_deadline_ms` must be";
    assert!(refusal(|settings| settings.twilio.request_timeout_ms = 25_001).await.starts_with(deadline));
    assert!(refusal(|settings| settings.lookup.timeout_ms = 10_001).await.starts_with(deadline));
    let telnyx = telnyx("http://127.0.0.1:1", Duration::from_secs(26));
    assert!(refusal(|settings| settings.telnyx = telnyx).await.starts_with(deadline));
    assert!(refusal(|settings| settings.lookup.keep_days = 0).await.starts_with("`lookup.keep_days`"));
    assert!(refusal(|settings| settings.lookup.timeout_ms = 0).await.starts_with("`lookup.timeout_ms`"));
    assert!(refusal(|settings| settings.twilio.account_sid = String::new()).await.starts_with("Twilio cannot be used"));
    assert!(refusal(|settings| settings.limits.att_per_minute = -1.0).await.starts_with("`limits.att_per_minute`"));
    assert!(
        refusal(|settings| settings.limits.brands = vec!["B1 sprint=1".into()]).await.starts_with("`limits.brands`")
    );
    let nobody = chassis::config::load::<Settings>(DEFAULTS, None, &|_| None).unwrap().twilio;
    assert!(refusal(|settings| settings.twilio = nobody).await.starts_with("no carrier is set up"));
    assert!(refusal(|settings| settings.webhooks.base_url = String::new()).await.starts_with("`webhooks.base_url`"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queued_message_goes_out_once_its_license_has_a_number_and_its_progress_is_published() {
    let world = World::with_clock(Clock::system()).await;
    let nats = testkit::nats();
    let mut settings: Settings = chassis::config::load(DEFAULTS, None, &|_| None).unwrap();
    settings.database.url = world.database.url.as_str().into();
    settings.nats = nats.clone();
    settings.twilio = twilio(world.simulator.url(), Duration::from_secs(20));
    settings.telnyx = telnyx(world.simulator.url(), Duration::from_secs(10));
    settings.webhooks.base_url = "http://127.0.0.1:9/base/".to_owned();
    let listeners = Listeners { grpc: testkit::listener().await, admin: testkit::listener().await };
    let grpc = format!("http://{}", listeners.grpc.local_addr().unwrap());
    let lifecycle = Lifecycle::new();
    crate::run(settings, listeners, Clock::system(), lifecycle.clone()).await.unwrap();

    let bus = Bus::connect(&nats, "test").await.unwrap();
    bus.declare_until_done().await;
    let (publisher, publishing) = Publisher::new(bus.clone(), lifecycle.stopping());
    lifecycle.spawn("publish", publishing);

    let queued = world.queued("acme", PHONE, Reply);
    for event_id in ["one", "again"] {
        publisher.publish(&queued, event_id.to_owned(), world.clock.now()).await.unwrap();
    }
    let mut client = DispatchServiceClient::new(grpc_channel(&grpc, ChannelTimeouts::default()).unwrap());
    let request = ListWaitingRequest { license_id: "acme".to_owned(), message_ids: vec![queued.message_id.clone()] };
    testkit::eventually("the message waits for a number", async || {
        let waiting = client.list_waiting(request.clone()).await.unwrap().into_inner().waiting;
        if waiting.len() == 1 && waiting[0].reason == "no_number" { Ok(()) } else { Err(waiting) }
    })
    .await;

    let request = EstimateFinishRequest { license_id: "acme".to_owned(), segments: 1, batch: false };
    let estimate = client.estimate_finish(request).await.unwrap().into_inner();
    assert_eq!((estimate.finish_at, estimate.held_by.as_deref()), (None, Some("no_number")));

    let batch_id = Id::<domain::Batch>::new().to_string();
    let canceled = MessageQueued { batch_id: Some(batch_id.clone()), ..world.queued("acme", PHONE, Reply) };
    publisher.publish(&canceled, "canceled".to_owned(), world.clock.now()).await.unwrap();
    let withdrawn = SendingWithdrawn {
        license_id: "acme".to_owned(),
        of: Some(Of::BatchId(batch_id)),
        withdrawn_at: Some(proto::to_timestamp(world.clock.now())),
    };
    publisher.publish(&withdrawn, "withdrawn".to_owned(), world.clock.now()).await.unwrap();
    testkit::eventually("the withdrawal", async || {
        let waiting = world.count("waiting").await;
        let known: i64 =
            sqlx::query_scalar("select count(*) from withdrawals").fetch_one(&world.database.pool).await.unwrap();
        if (waiting, known) == (1, 1) { Ok(()) } else { Err((waiting, known)) }
    })
    .await;

    let assigned = NumberAssigned {
        license_id: "acme".to_owned(),
        number: buy(world.simulator.url(), CarrierName::Twilio, "acme").await.number.as_str().to_owned(),
        carrier: "twilio".to_owned(),
        assigned_at: Some(proto::to_timestamp(world.clock.now())),
        version: 1,
    };
    publisher.publish(&assigned, "assigned".to_owned(), world.clock.now()).await.unwrap();
    testkit::eventually("the text", async || {
        let texts = world.texts(PHONE).await;
        if texts == [queued.body.clone()] { Ok(()) } else { Err(texts) }
    })
    .await;
    let sent = world.simulator.get("/_sim/requests").await.to_string();
    assert!(sent.contains(&format!("http://127.0.0.1:9/base/webhooks/twilio/status?mid={}", queued.message_id)));
    testkit::eventually("the outcome is recorded and published", async || {
        let left: i64 =
            sqlx::query_scalar("select count(*) from outbox").fetch_one(&world.database.pool).await.unwrap();
        let state = world.state(&queued.message_id).await;
        if left == 0 && state == "accepted" { Ok(()) } else { Err((left, state)) }
    })
    .await;
    assert_eq!(world.texts(PHONE).await.len(), 1, "the doubled event sent nothing twice");
    lifecycle.finish(Duration::from_secs(10)).await.unwrap();
    bus.delete_streams().await.unwrap();
}
