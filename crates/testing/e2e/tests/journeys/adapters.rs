//! The real adapters ask the simulated carriers afterwards: what was taken, what became of it, what came in.

use std::time::Duration;

use carriers::{
    Carrier, MediaLimits, OutboundMessage, ReceiptStatus, SendOutcome, SentMessage,
    telnyx::{Telnyx, TelnyxSettings},
    twilio::{Twilio, TwilioSettings},
};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{Id, MessageBody, Network, PhoneNumber, SendingLimit};
use serde_json::json;
use testkit::Simulator;
use url::Url;

const OURS: &str = "+14152000001";
const PHONE: &str = "+14155550123";

fn number(e164: &str) -> PhoneNumber {
    PhoneNumber::from_e164(e164).unwrap()
}

fn twilio(simulator: &Simulator) -> Twilio {
    Twilio::new(&TwilioSettings {
        base_url: simulator.url().to_owned(),
        lookups_url: simulator.url().to_owned(),
        account_sid: Simulator::ACCOUNT_SID.to_owned(),
        auth_token: Simulator::AUTH_TOKEN.into(),
        request_timeout_ms: 5_000,
    })
    .unwrap()
}

fn telnyx(simulator: &Simulator) -> Telnyx {
    Telnyx::new(&TelnyxSettings {
        base_url: simulator.url().to_owned(),
        api_key: Simulator::TELNYX_API_KEY.into(),
        outbound_voice_profile_id: String::new(),
        request_timeout_ms: 5_000,
        order_timeout_ms: 5_000,
    })
    .unwrap()
}

/// A Twilio whose account owns [`OURS`], without addresses for webhooks.
async fn twilio_with_number() -> (Simulator, Twilio) {
    let simulator = Simulator::start().await;
    let account = format!("{}/2010-04-01/Accounts/{}", simulator.url(), Simulator::ACCOUNT_SID);
    let bought = reqwest::Client::new()
        .post(format!("{account}/IncomingPhoneNumbers.json"))
        .basic_auth(Simulator::ACCOUNT_SID, Some(Simulator::AUTH_TOKEN))
        .form(&[("PhoneNumber", OURS)])
        .send()
        .await
        .unwrap();
    assert_eq!(bought.status(), 201);
    let twilio = twilio(&simulator);
    (simulator, twilio)
}

fn message(to: &str, body: &str) -> OutboundMessage {
    OutboundMessage {
        message_id: Id::new(),
        from: number(OURS),
        to: number(to),
        body: MessageBody::parse(body).unwrap(),
        media_urls: Vec::new(),
        receipt_url: Url::parse("http://127.0.0.1:9/status?mid=1").unwrap(),
    }
}

fn sent(message: &OutboundMessage, attempted_at: DateTime<Utc>) -> SentMessage {
    SentMessage { from: message.from, to: message.to, body: message.body.clone(), attempted_at }
}

#[tokio::test]
async fn a_message_whose_answer_was_lost_is_found_once_the_list_shows_it_and_only_it() {
    let (simulator, twilio) = twilio_with_number().await;
    let message_sent = message(PHONE, " Grüße 😀\n");
    for other in [message(PHONE, "Grüße 😀"), message("+14155550199", " Grüße 😀\n")] {
        assert!(matches!(twilio.send_message(&other).await, SendOutcome::Accepted { .. }));
    }
    let attempted_at = Utc::now();
    simulator
        .set_faults(json!([
            { "on": "send", "kind": "reset_after_accept", "count": 1 },
            { "on": "list", "kind": "stale", "count": 1, "delay_ms": 60000 },
            { "on": "receipt", "kind": "late", "delay_ms": 60000 },
        ]))
        .await;
    assert!(matches!(twilio.send_message(&message_sent).await, SendOutcome::Unknown { .. }));
    let asked = sent(&message_sent, attempted_at);
    assert_eq!(twilio.find_sent(&asked).await, Ok(Some(Vec::new())), "the list lags behind");
    let found = twilio.find_sent(&asked).await.unwrap().unwrap();
    // Made within the seconds by which clocks may differ, and told apart by its text.
    let (same, other): (Vec<_>, Vec<_>) = found.clone().into_iter().partition(|copy| copy.same_text);
    let ([copy], 1) = (&same[..], other.len()) else { panic!("{found:?}") };
    assert_eq!((copy.status, &copy.error), (ReceiptStatus::Sending, &None), "it is found before it is sent");
    let inbox = simulator.inbox(PHONE).await;
    assert_eq!(inbox.last().unwrap()["message_sid"], copy.carrier_message_id.as_str());
    assert_eq!(twilio.get_sent(&copy.carrier_message_id).await, Ok(Some(copy.clone())));
    let later = sent(&message_sent, attempted_at + TimeDelta::minutes(1));
    assert_eq!(twilio.find_sent(&later).await, Ok(Some(Vec::new())), "made before the attempt");
    assert_eq!(twilio.get_sent("SM00000000000000000000000000000000").await, Ok(None));
}

#[tokio::test]
async fn what_became_of_a_message_is_asked_at_both_carriers_and_names_the_limit() {
    let (simulator, twilio) = twilio_with_number().await;
    let failed = json!([{ "on": "receipt", "kind": "failed", "code": 30022 }]);
    simulator.set_faults(failed).await;
    let SendOutcome::Accepted { carrier_message_id, .. } = twilio.send_message(&message(PHONE, "x")).await else {
        panic!("not taken")
    };
    let copy = loop {
        let copy = twilio.get_sent(&carrier_message_id).await.unwrap().unwrap();
        if copy.status != ReceiptStatus::Sending {
            break copy;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert_eq!((copy.status, copy.error.unwrap().limit), (ReceiptStatus::Failed, Some(SendingLimit::Campaign)));

    simulator.set_faults(json!([{ "on": "send", "kind": "queue_full" }])).await;
    let full = SendOutcome::Throttled { retry_after: None, limit: Some(SendingLimit::Sender) };
    assert_eq!(twilio.send_message(&message(PHONE, "x")).await, full);
    let telnyx = telnyx(&simulator);
    assert_eq!(telnyx.get_sent("6f1c0d1e-0000-4000-8000-000000000000").await, Ok(None));
}

#[tokio::test]
async fn every_text_that_came_in_is_listed_page_by_page_with_what_came_with_it() {
    let (simulator, twilio) = twilio_with_number().await;
    let since = Utc::now();
    simulator.text_with_files(PHONE, OURS, &["data:image/png;base64,aGVsbG8=", "data:text/plain;base64,aGk="]).await;
    for text in 0..120 {
        simulator.text(PHONE, OURS, &format!(" text {text}\r\n")).await;
    }
    let (mut listed, mut page, mut pages) = (Vec::new(), None, 0);
    loop {
        let received = twilio.list_received(&number(OURS), since, page.as_deref()).await.unwrap().unwrap();
        listed.extend(received.messages);
        pages += 1;
        page = received.next;
        if page.is_none() {
            break;
        }
    }
    assert_eq!((pages, listed.len()), (2, 121));
    assert_eq!(listed[0].message.body, " text 119\r\n", "newest first, every character");
    let first = &listed[120].message;
    assert_eq!((first.from, first.to, first.body.as_str()), (number(PHONE), number(OURS), ""));
    let limits = MediaLimits { max_bytes: 100, hosts: Vec::new() };
    let fetched = twilio.fetch_media(&first.media[0], &limits).await.unwrap();
    assert_eq!((fetched.content_type.as_str(), &fetched.bytes[..]), ("image/png", &b"hello"[..]));
    assert_eq!(twilio.fetch_media(&first.media[1], &limits).await.unwrap().content_type, "text/plain");
    let later = twilio.list_received(&number(OURS), Utc::now() + TimeDelta::minutes(1), None).await;
    assert_eq!(later.unwrap().unwrap().messages, []);
}

#[tokio::test]
async fn lookups_tell_the_network_at_both_carriers() {
    let simulator = Simulator::start().await;
    let (twilio, telnyx) = (twilio(&simulator), telnyx(&simulator));
    for (phone, network) in [
        ("+14155550100", Network::Att),
        ("+14155550104", Network::TMobile),
        ("+14155550107", Network::Verizon),
        ("+14155550109", Network::Other),
    ] {
        for carrier in [&twilio as &dyn Carrier, &telnyx] {
            let info = carrier.look_up_line(&number(phone)).await.unwrap();
            assert_eq!(info.network, Some(network), "{} {phone}", carrier.name());
        }
    }
}
