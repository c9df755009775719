//! NATS away, the client away, the service asked to stop: nothing that got 200 is lost, and nothing else breaks.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use proto::ingest::{MessageReceived, ReceivingResumed};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::relay::Relay;
use super::service::{Service, Webhook, settings};

/// The carrier gets its answer within this time.
const IN_TIME: Duration = Duration::from_secs(5);

async fn behind_a_relay() -> (Service, Relay) {
    let (relay, nats) = Relay::start(testkit::nats()).await;
    (Service::start_with(settings(nats)).await, relay)
}

/// With room for one webhook: a second one shows by its 503 that the first is under way.
async fn narrow_behind_a_relay() -> (Service, Relay) {
    let (relay, nats) = Relay::start(testkit::nats()).await;
    let mut settings = settings(nats);
    settings.webhooks.max_in_flight = 1;
    relay.mend();
    let service = Service::start_with(settings).await;
    service.until_ready().await;
    (service, relay)
}

/// Asks whether there is room, without NATS: 403 if there is, 503 if not.
async fn probe(service: &Service) -> u16 {
    service.send(&Webhook { signature: None, ..Webhook::message("SMprobe", "") }).await.0
}

async fn until_under_way(service: &Service) {
    testkit::eventually("a webhook under way", async || match probe(service).await {
        503 => Ok(()),
        status => Err(status),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_down_makes_ingest_answer_503_within_5_s_and_it_recovers_by_itself() {
    let (service, relay) = behind_a_relay().await;

    let asked = Instant::now();
    let (status, problem) = service.send(&Webhook::message("SM1", "first")).await;
    assert!(asked.elapsed() < IN_TIME, "{:?}", asked.elapsed());
    assert_eq!(status, 503);
    assert!(problem.contains("\"code\":\"service_unavailable\""), "{problem}");
    assert_eq!(service.ready().await, 503);
    assert_eq!(service.ask_admin("/health/live").await.0, 200);
    let forged = Webhook { signature: None, ..Webhook::message("SM2", "forged") };
    assert_eq!(service.send(&forged).await.0, 403, "what needs no NATS still works");

    relay.mend();
    service.until_ready().await;
    testkit::eventually("the repeated webhook", async || {
        match service.send(&Webhook::message("SM1", "first")).await.0 {
            200 => Ok(()),
            status => Err(status),
        }
    })
    .await;

    relay.cut();
    let asked = Instant::now();
    let answers = join_all((0..20).map(|number| {
        let webhook = Webhook::message(&format!("SMcut{number}"), "x");
        let service = &service;
        async move { service.send(&webhook).await.0 }
    }))
    .await;
    assert_eq!(answers, [503; 20]);
    assert!(asked.elapsed() < IN_TIME, "{:?}", asked.elapsed());

    relay.mend();
    service.until_ready().await;
    assert_eq!(service.send(&Webhook::message("SM3", "after")).await.0, 200);
    let bodies: Vec<_> =
        service.list_stored::<MessageReceived>().await.into_iter().map(|stored| stored.event.body).collect();
    assert!(bodies.contains(&"first".to_owned()) && bodies.contains(&"after".to_owned()), "{bodies:?}");
    assert!(!bodies.contains(&"forged".to_owned()), "{bodies:?}");
    service.stop().await;
}

/// Waits until it was told so often that texts are taken again.
async fn until_told(service: &Service, times: usize) {
    testkit::eventually("news that texts are taken again", async || {
        let told = service.list_stored::<ReceivingResumed>().await.len();
        if told == times { Ok(()) } else { Err(told) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_its_start_and_after_a_text_that_was_answered_503_ingest_says_that_texts_are_taken_again() {
    let (relay, nats) = Relay::start(testkit::nats()).await;
    let mut settings = settings(nats);
    settings.webhooks.resumed_every_s = 0;
    relay.mend();
    let service = Service::start_with(settings).await;
    service.until_ready().await;
    until_told(&service, 1).await;
    assert_eq!(service.send(&Webhook::message("SM1", "taken")).await.0, 200);

    // What is turned away for other reasons, and what carriers cannot be asked for, is no text that is missed.
    let forged = Webhook { signature: None, ..Webhook::message("SM2", "forged") };
    assert_eq!(service.send(&forged).await.0, 403);
    relay.cut();
    let mid = domain::Id::<domain::Message>::new().to_string();
    assert_eq!(service.send(&Webhook::receipt(&mid, &[("MessageStatus", "sent")])).await.0, 503);
    relay.mend();
    service.until_ready().await;
    assert_eq!(service.send(&Webhook::message("SM3", "taken")).await.0, 200);
    until_told(&service, 1).await;

    relay.cut();
    assert_eq!(service.send(&Webhook::message("SM4", "turned away")).await.0, 503);
    relay.mend();
    until_told(&service, 2).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_loss_of_nats_is_waited_out() {
    let (service, relay) = behind_a_relay().await;
    relay.mend();
    service.until_ready().await;
    relay.cut();
    let webhook = Webhook::message("SM1", "x");
    let mut answer = Box::pin(service.send(&webhook));
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut answer).await.is_err(), "nobody has stored it");
    relay.mend();
    assert_eq!(answer.await.0, 200);
    assert_eq!(service.count_stored().await, 1);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_hangs_up_does_not_cancel_the_publish() {
    let (service, relay) = narrow_behind_a_relay().await;
    relay.cut();
    service.until_nats_is_missed().await;
    let mut client = TcpStream::connect(&service.address).await.unwrap();
    client.write_all(&Webhook::message("SM1", "said and gone").raw()).await.unwrap();
    until_under_way(&service).await;
    drop(client);
    for _ in 0..20 {
        assert_eq!(probe(&service).await, 503, "it is still under way");
    }
    relay.mend();
    let stored = testkit::eventually("the event", async || {
        let stored = service.list_stored::<MessageReceived>().await;
        if stored.is_empty() { Err("nothing") } else { Ok(stored) }
    })
    .await;
    assert_eq!(stored[0].event.body, "said and gone");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_answers_the_webhooks_under_way() {
    let (service, _relay) = narrow_behind_a_relay().await;
    let mut client = TcpStream::connect(&service.address).await.unwrap();
    let request = Webhook::message("SM1", "under way").raw();
    let (most, rest) = request.split_at(request.len() - 5);
    client.write_all(most).await.unwrap();
    until_under_way(&service).await;
    service.lifecycle.stop();
    client.write_all(rest).await.unwrap();
    let mut answer = [0; 12];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 200");
    assert_eq!(service.count_stored().await, 1);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_nats_the_service_still_stops_in_order() {
    let (service, _relay) = behind_a_relay().await;
    let asked = Instant::now();
    service.lifecycle.finish(Duration::from_secs(20)).await.unwrap();
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
}
