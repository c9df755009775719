//! What each kind of request gets, and what lies in the stream afterwards.

use std::time::Duration;

use carriers::WebhookAddresses;
use domain::{CarrierName, Id, LicenseId, Message};
use futures_util::future::join_all;
use proto::ingest::{MessageReceived, ReceiptReceived};

use super::service::{ACCOUNT, OLD_TOKEN, PUBLIC, Service, TOKEN, Webhook, settings};
use crate::Settings;

const EMPTY_TWIML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response></Response>";
const TEXT: &str = "  Ünï & 100% + \"x\"\r\n日本 😀 🏳️‍🌈 e\u{301}\u{200d}\u{1}\u{feff} ";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn message_texts_keep_every_character_on_their_way_into_the_stream() {
    let service = Service::start().await;
    let webhook = Webhook::message_with(&[
        ("MessageSid", "MM1"),
        ("Body", TEXT),
        ("MediaUrl0", "https://api.twilio.com/a"),
        ("MediaContentType0", "image/jpeg"),
    ]);
    let response = webhook.request(&service.client, &service.address).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/xml");
    assert_eq!(response.text().await.unwrap(), EMPTY_TWIML);

    let stored = service.list_stored::<MessageReceived>().await;
    assert_eq!(stored.len(), 1);
    let (event, headers) = (&stored[0].event, &stored[0].headers);
    assert_eq!(event.body, TEXT);
    assert_eq!((event.carrier.as_str(), event.carrier_message_id.as_str()), ("twilio", "MM1"));
    assert_eq!((event.from.as_str(), event.to.as_str()), ("+14155550123", "+16465550111"));
    assert_eq!(
        (event.media[0].url.as_str(), event.media[0].content_type.as_str()),
        ("https://api.twilio.com/a", "image/jpeg")
    );
    let received_at = proto::from_timestamp(event.received_at).unwrap();
    assert_eq!(received_at, testkit::clock().now());
    assert_eq!(headers.get("Nats-Msg-Id").unwrap().as_str(), "twilio:MM1");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_doubled_webhook_makes_one_message() {
    let service = Service::start().await;
    let webhook = Webhook::message("SM1", "once");
    let answers = join_all((0..8).map(|_| service.send(&webhook))).await;
    assert!(answers.iter().all(|(status, body)| *status == 200 && body == EMPTY_TWIML), "{answers:?}");
    assert_eq!(service.send(&webhook).await.0, 200);
    // In one batch with others that are new.
    let mixed = ["SM1", "SM2", "SM3", "SM1", "SM2"].map(|sid| Webhook::message(sid, "once"));
    assert!(join_all(mixed.iter().map(|webhook| service.send(webhook))).await.iter().all(|(status, _)| *status == 200));
    assert_eq!(service.count_stored().await, 3);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_webhook_makes_no_message() {
    let service = Service::start().await;
    let good = Webhook::message("SM1", "hello");
    let params = [("MessageSid", "SM1"), ("AccountSid", ACCOUNT)];
    let at = "/webhooks/twilio/message";
    for (what, forged) in [
        ("unsigned", Webhook { signature: None, ..good.clone() }),
        ("empty signature", Webhook { signature: Some(String::new()), ..good.clone() }),
        ("changed text", Webhook { body: good.body.replace("hello", "hullo"), ..good.clone() }),
        ("added parameter", Webhook { body: format!("{}&MediaUrl0=http%3A%2F%2Fx", good.body), ..good.clone() }),
        ("other path", Webhook { target: "/webhooks/twilio/status".to_owned(), ..good.clone() }),
        ("added query", Webhook { target: format!("{at}?mid=1"), ..good.clone() }),
        ("wrong token", Webhook::signed("guess", PUBLIC, at, &params)),
        ("empty token", Webhook::signed("", PUBLIC, at, &params)),
        ("other host", Webhook::signed(TOKEN, "https://evil.example.com/leaseline", at, &params)),
        ("other scheme", Webhook::signed(TOKEN, "http://in.example.com/leaseline", at, &params)),
        ("the address it is served at", Webhook::signed(TOKEN, &format!("http://{}", service.address), at, &params)),
    ] {
        let (status, problem) = service.send(&forged).await;
        assert_eq!(status, 403, "{what}");
        assert!(problem.contains("\"code\":\"webhook_not_trusted\""), "{what}: {problem}");
    }
    assert_eq!(service.count_stored().await, 0);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_is_taken_with_and_without_the_port_and_with_either_token() {
    let service = Service::start().await;
    for (number, (token, base)) in [
        (TOKEN, "https://in.example.com/leaseline"),
        (TOKEN, "https://in.example.com:443/leaseline"),
        (OLD_TOKEN, "https://in.example.com/leaseline"),
    ]
    .into_iter()
    .enumerate()
    {
        let sid = format!("SM{number}");
        let params =
            [("MessageSid", sid.as_str()), ("AccountSid", ACCOUNT), ("From", "+14155550123"), ("To", "+16465550111")];
        let webhook = Webhook::signed(token, base, "/webhooks/twilio/message", &params);
        assert_eq!(service.send(&webhook).await.0, 200, "{base}");
    }
    assert_eq!(service.count_stored().await, 3);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_webhook_of_another_account_gets_403() {
    let service = Service::start().await;
    let other = Webhook::message_with(&[("AccountSid", "AC00000000000000000000000000000000"), ("Body", "x")]);
    assert_eq!(service.send(&other).await.0, 403);
    assert_eq!(service.count_stored().await, 0);
    let (_, metrics) = service.ask_admin("/metrics").await;
    let line = "ingest_webhooks_total{carrier=\"twilio\",kind=\"message\",result=\"other_account\"}";
    assert!(metrics.contains(line), "{metrics}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_that_is_no_north_american_number_gets_200_and_no_event() {
    let service = Service::start().await;
    for from in ["+442079460958", "72345", "whatsapp:+14155550123", "Bank"] {
        let (status, body) = service.send(&Webhook::message_with(&[("From", from), ("Body", "x")])).await;
        assert_eq!((status, body.as_str()), (200, EMPTY_TWIML), "{from}");
    }
    assert_eq!(service.count_stored().await, 0);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_webhook_that_cannot_be_read_gets_400_with_the_reason() {
    let service = Service::start().await;
    for (params, code) in [
        (&[("To", "nobody")][..], "invalid_field"),
        (&[("MessageSid", "")], "missing_field"),
        (&[("MessageSid", "SM1\r\nNats-Rollup: all")], "invalid_field"),
        (&[("MediaUrl0", "not an address")], "invalid_field"),
    ] {
        let (status, problem) = service.send(&Webhook::message_with(params)).await;
        assert_eq!(status, 400, "{params:?}");
        assert!(problem.contains(&format!("\"code\":\"{code}\"")), "{problem}");
    }
    assert_eq!(service.count_stored().await, 0);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_too_long_gets_413_and_one_that_fits_is_stored() {
    let service = Service::start().await;
    let fits = Webhook::message("SM1", &"a".repeat(60 * 1024));
    assert_eq!(service.send(&fits).await.0, 200);
    let too_long = Webhook::message("SM2", &"a".repeat(64 * 1024));
    let (status, problem) = service.send(&too_long).await;
    assert_eq!(status, 413);
    assert!(problem.contains("\"code\":\"body_too_large\""), "{problem}");
    assert_eq!(service.count_stored().await, 1);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_are_stored_in_our_words_once_for_each_status() {
    let service = Service::start().await;
    let mid = Id::<Message>::new().to_string();
    for word in ["queued", "sending", "sent", "delivered", "sent", "teleported"] {
        let (status, body) = service.send(&Webhook::receipt(&mid, &[("MessageStatus", word)])).await;
        assert_eq!((status, body.as_str()), (200, ""), "{word}");
    }
    let failed = [("MessageStatus", "undelivered"), ("ErrorCode", "30006")];
    assert_eq!(service.send(&Webhook::receipt(&mid, &failed)).await.0, 200);

    let stored = service.list_stored::<ReceiptReceived>().await;
    let words: Vec<_> = stored.iter().map(|stored| stored.event.status.as_str()).collect();
    assert_eq!(words, ["sending", "sent", "delivered", "undelivered"]);
    assert!(stored.iter().all(|stored| stored.event.message_id == mid && stored.event.carrier_message_id == "SM1"));
    assert_eq!(stored[3].event.error.as_ref().unwrap().code, "cannot_receive_sms");
    assert_eq!(stored[0].event.error, None);
    assert_eq!(stored[3].headers.get("Nats-Msg-Id").unwrap().as_str(), "twilio:SM1:undelivered");

    assert_eq!(service.send(&Webhook::receipt("17", &[("MessageStatus", "sent")])).await.0, 400);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_webhooks_at_once_are_all_stored() {
    let service = Service::start().await;
    let webhooks: Vec<_> = (0..1_000).map(|n| Webhook::message(&format!("SM{n}"), &format!("text {n}"))).collect();
    let answers = join_all(webhooks.iter().map(|webhook| service.send(webhook))).await;
    assert!(answers.iter().all(|(status, _)| *status == 200));
    let mut bodies: Vec<_> =
        service.list_stored::<MessageReceived>().await.into_iter().map(|stored| stored.event.body).collect();
    bodies.sort_unstable();
    let mut expected: Vec<_> = (0..1_000).map(|n| format!("text {n}")).collect();
    expected.sort_unstable();
    assert_eq!(bodies, expected);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_webhook_too_many_gets_503_at_once() {
    let mut settings = settings(testkit::nats());
    settings.webhooks.max_in_flight = 1;
    let service = Service::start_with(settings).await;
    service.until_ready().await;
    let request = Webhook::message("SM1", "slow").raw();

    // Which of the two comes first is the system's to say: when the quick one had the place, the slow one was sent away.
    let (slow, took) = testkit::eventually("the overload", async || {
        let mut slow = tokio::net::TcpStream::connect(&service.address).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut slow, &request[..request.len() - 1]).await.unwrap();
        let asked = std::time::Instant::now();
        match service.send(&Webhook::message("SM2", "x")).await.0 {
            503 => Ok((slow, asked.elapsed())),
            status => Err(status),
        }
    })
    .await;
    assert!(took < Duration::from_secs(4), "not the time-out of the body");
    drop(slow);
    testkit::eventually("the free place", async || match service.send(&Webhook::message("SM2", "x")).await.0 {
        200 => Ok(()),
        status => Err(status),
    })
    .await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_webhooks_are_there() {
    let service = Service::start().await;
    for (path, expected) in [("/", 404), ("/webhooks/twilio/message", 405), ("/webhooks/twilio/message/x", 404)] {
        let response = service.client.get(format!("http://{}{path}", service.address)).send().await.unwrap();
        assert_eq!(response.status(), expected, "{path}");
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_address_that_carriers_are_given_is_there_and_asks_for_a_signature() {
    let service = Service::start().await;
    let addresses = WebhookAddresses::parse(PUBLIC).unwrap();
    for carrier in CarrierName::ALL {
        let number = addresses.of_number(*carrier);
        for url in [
            number.message_url,
            number.voice_url,
            number.voice_status_url,
            addresses.receipt(*carrier, Id::new()),
            addresses.after_call(*carrier, &LicenseId::parse("acme").unwrap()),
        ] {
            let target = url.as_str().strip_prefix(PUBLIC).unwrap().to_owned();
            let (status, _) = service.send(&Webhook { target, signature: None, body: String::new() }).await;
            assert_eq!(status, 403, "{url}");
        }
    }
    service.stop().await;
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_by_name() {
    type Spoil = fn(&mut Settings);
    let wrong: [(Spoil, &str); 5] = [
        (|settings| settings.webhooks.public_url = "in.example.com".to_owned(), "`webhooks.public_url`"),
        (|settings| settings.webhooks.max_in_flight = 0, "`webhooks.max_in_flight`"),
        (|settings| settings.calls.ring_seconds = 4, "`calls.ring_seconds`"),
        (|settings| settings.calls.ring_seconds = 121, "`calls.ring_seconds`"),
        (|settings| settings.telnyx.public_keys = vec!["no key".to_owned()], "`telnyx.public_keys`"),
    ];
    for (spoil, name) in wrong {
        let mut settings = settings(testkit::nats());
        spoil(&mut settings);
        let listeners = crate::Listeners { http: testkit::listener().await, admin: testkit::listener().await };
        let outcome = crate::run(settings, listeners, testkit::clock(), chassis::Lifecycle::new()).await;
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
}
