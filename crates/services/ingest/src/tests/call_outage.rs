//! Calls while NATS is away: they are answered along the last known routes, and recorded afterwards.

use async_nats::jetstream;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::calls::{CALLED, COMPANY, action, number};
use super::relay::Relay;
use super::service::{Service, Webhook, settings};

const CALLER: &str = "+14155550123";

async fn behind_a_relay(max_in_flight: usize) -> (Service, Relay) {
    let (relay, nats) = Relay::start(testkit::nats()).await;
    let mut settings = settings(nats);
    settings.webhooks.max_in_flight = max_in_flight;
    (Service::start_with(settings).await, relay)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn until_the_routes_have_been_read_once_a_call_gets_503_so_that_the_carrier_asks_another_replica() {
    let (service, relay) = behind_a_relay(64).await;
    let call = Webhook::call("CA1", CALLER, CALLED);
    let (status, problem) = service.send(&call).await;
    assert_eq!(status, 503);
    assert!(problem.contains("\"code\":\"service_unavailable\""), "{problem}");
    let (status, readiness) = service.ask_admin("/health/ready").await;
    assert_eq!(status, 503);
    assert!(readiness.contains("the routes of calls have not been read yet"), "{readiness}");

    relay.mend();
    service.until_ready().await;
    assert!(service.send(&call).await.1.contains("not in use"), "now it is known that the number is nobody's");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_answered_while_nats_is_away_with_the_last_known_route_and_recorded_when_it_is_back() {
    let (service, relay) = behind_a_relay(64).await;
    relay.mend();
    service.until_ready().await;
    service.set_route("acme", CALLED, Some(COMPANY), 1).await;
    service.call_until(&Webhook::call("CA0", CALLER, CALLED), &number(COMPANY)).await;
    service.calls(1).await;

    relay.cut();
    service.until_nats_is_missed().await;
    let (status, answer) = service.send(&Webhook::call("CA1", CALLER, CALLED)).await;
    assert_eq!(status, 200);
    assert!(answer.contains(&number(COMPANY)), "{answer}");
    let report = Webhook::call_report(&action(&answer), "CA1", CALLED, &[("DialCallStatus", "busy")]);
    let text = Webhook::message("SM1", "x");
    let mut texts_answer = Box::pin(service.send(&text));
    tokio::select! {
        (status, answer) = service.send(&report) => {
            assert_eq!(status, 200);
            assert!(answer.contains("<Say>Nobody can take your call"), "{answer}");
        }
        answer = &mut texts_answer => unreachable!("a caller waits less for the store than a text: {answer:?}"),
    }
    assert_eq!(texts_answer.await.0, 503);
    service.set_route("acme", CALLED, Some("+12125550172"), 2).await;
    assert!(service.send(&Webhook::call("CA1", CALLER, CALLED)).await.1.contains(&number(COMPANY)));

    relay.mend();
    service.call_until(&Webhook::call("CA1", CALLER, CALLED), &number("+12125550172")).await;
    let recorded: Vec<_> = service.calls(3).await.into_keys().collect();
    assert_eq!(recorded, ["twilio:CA0:ringing", "twilio:CA1:busy", "twilio:CA1:ringing"]);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_does_not_wait_behind_texts_that_wait_for_the_store() {
    let (service, relay) = behind_a_relay(1).await;
    relay.mend();
    service.until_ready().await;
    let mut slow = TcpStream::connect(&service.address).await.unwrap();
    let request = Webhook::message("SM1", "slow").raw();
    slow.write_all(&request[..request.len() - 1]).await.unwrap();
    testkit::eventually("a text under way", async || {
        match service.send(&Webhook { signature: None, ..Webhook::message("SM2", "x") }).await.0 {
            503 => Ok(()),
            status => Err(status),
        }
    })
    .await;
    let (status, answer) = service.send(&Webhook::call("CA1", CALLER, CALLED)).await;
    assert_eq!(status, 200, "{answer}");
    drop(slow);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_the_stream_refuses_is_recorded_as_soon_as_it_is_taken() {
    let service = Service::start().await;
    service.set_route("acme", CALLED, None, 1).await;
    service.call_until(&Webhook::call("CA0", CALLER, CALLED), "text message").await;
    service.calls(1).await;
    let bus = service.bus().await;
    let stream = format!("{}_INGEST", service.nats.namespace.to_uppercase());
    jetstream::new(bus.client().clone()).delete_stream(stream).await.unwrap();

    assert_eq!(service.send(&Webhook::call("CA1", CALLER, CALLED)).await.0, 200);
    // Asked after it: by the time the text is refused, so was the call.
    assert_eq!(service.send(&Webhook::message("SM1", "x")).await.0, 503);
    bus.declare().await.unwrap();
    let recorded: Vec<_> = service.calls(1).await.into_keys().collect();
    assert_eq!(recorded, ["twilio:CA1:failed"]);
    service.stop().await;
}
