//! Telnyx: sending, events, texts from phones, STOP and lookups.

use super::*;

fn code(answer: &Value) -> &str {
    answer["errors"][0]["code"].as_str().unwrap_or("none")
}

fn kinds(events: &[Received]) -> Vec<&str> {
    events.iter().map(|event| event.json["data"]["event_type"].as_str().unwrap()).collect()
}

fn status(event: &Received) -> &str {
    event.json["data"]["payload"]["to"][0]["status"].as_str().unwrap()
}

#[tokio::test]
async fn a_sent_text_is_on_the_phone_and_its_events_come_signed() {
    let receiver = Receiver::start().await;
    let (carrier, number) = Carrier::with_telnyx_number(&receiver).await;
    let body =
        json!({ "to": PHONE, "from": number, "text": "Grüße 😀", "webhook_url": receiver.url("/status?mid=42") });
    let (answer, sent) = carrier.telnyx("POST", "messages", body).await;
    let sent = &sent["data"];
    assert_eq!(answer, StatusCode::OK, "{sent}");
    assert_eq!(
        (&sent["to"][0]["status"], &sent["parts"], &sent["direction"], &sent["text"], &sent["encoding"]),
        (&json!("queued"), &json!(1), &json!("outbound"), &json!("Grüße 😀"), &json!("UCS-2"))
    );
    assert_eq!(carrier.inbox().await, ["Grüße 😀"]);

    let events = receiver.wait_for(2).await;
    assert_eq!(kinds(&events), ["message.sent", "message.finalized"]);
    assert_eq!(events.iter().map(status).collect::<Vec<_>>(), ["sent", "delivered"]);
    for event in &events {
        assert!(event.signed_by_telnyx && event.path == "/status?mid=42", "{event:?}");
        assert_eq!((&event.json["data"]["payload"]["id"], &event.json["meta"]["attempt"]), (&sent["id"], &json!(1)));
    }
    assert_ne!(events[0].json["data"]["id"], events[1].json["data"]["id"]);
    let (_, fetched) = carrier.telnyx_get(&format!("messages/{}", sent["id"].as_str().unwrap())).await;
    assert_eq!(fetched["data"]["to"][0]["status"], "delivered");
    // Twilio knows nothing of it.
    assert_eq!(carrier.get("Messages.json").await.1["messages"], json!([]));
}

#[tokio::test]
async fn without_an_address_of_its_own_a_message_is_told_to_its_profile() {
    let receiver = Receiver::start().await;
    let (carrier, number) = Carrier::with_telnyx_number(&receiver).await;
    carrier.telnyx("POST", "messages", json!({ "to": PHONE, "from": number, "text": "a" })).await;
    assert!(receiver.wait_for(2).await.iter().all(|event| event.path == "/event"));
}

#[tokio::test]
async fn what_telnyx_cannot_send_is_refused_with_its_code() {
    let receiver = Receiver::start().await;
    let (carrier, number) = Carrier::with_telnyx_number(&receiver).await;
    carrier.buy(NUMBER, &[]).await;
    let message = |to: &str, from: &str, text: &str| json!({ "to": to, "from": from, "text": text });
    for (body, wanted) in [
        (message("+12", &number, "x"), "40310"),
        (message(&number, &number, "x"), "40310"),
        (message(PHONE, NUMBER, "x"), "40305"),
        (message(PHONE, "+14152000002", "x"), "40305"),
        (message(PHONE, &number, ""), "40316"),
        (message(PHONE, &number, &"x".repeat(1_531)), "40302"),
        (json!({ "to": PHONE, "from": number, "media_urls": ["nonsense"] }), "40317"),
        (json!({ "to": PHONE, "text": "x" }), "10004"),
        (json!({ "to": PHONE, "from": number, "text": "x", "send_at": "tomorrow" }), "10027"),
    ] {
        let (status, refused) = carrier.telnyx("POST", "messages", body).await;
        assert!(status.is_client_error() && code(&refused) == wanted, "{wanted}: {refused}");
    }
    // A number of Telnyx cannot send through Twilio either.
    let (_, refused) = carrier.post("Messages.json", &[("To", PHONE), ("From", &number), ("Body", "x")]).await;
    assert_eq!(refused["code"], 21606);
    assert!(carrier.inbox().await.is_empty());
    let longest = carrier.telnyx("POST", "messages", message(PHONE, &number, &"x".repeat(1_530))).await;
    assert_eq!((longest.0, &longest.1["data"]["parts"]), (StatusCode::OK, &json!(10)));
}

#[tokio::test]
async fn a_text_from_a_phone_is_an_event_with_its_media() {
    let receiver = Receiver::start().await;
    let (carrier, number) = Carrier::with_telnyx_number(&receiver).await;
    let body = json!({ "to": number, "body": "", "media_urls": ["https://example.org/a.jpg"] });
    let (_, answer) = carrier.control_post(&format!("phones/{PHONE}/text"), body).await;
    assert_eq!(answer["webhook_status"], 200);
    let [event] = receiver.received().try_into().unwrap();
    assert!(event.signed_by_telnyx && event.path == "/event");
    let payload = &event.json["data"]["payload"];
    assert_eq!(event.json["data"]["event_type"], "message.received");
    assert_eq!(
        (&payload["id"], &payload["direction"], &payload["type"], &payload["text"], &payload["to"][0]["phone_number"]),
        (&answer["message_sid"], &json!("inbound"), &json!("MMS"), &Value::Null, &json!(number))
    );
    assert_eq!(
        (&payload["from"]["phone_number"], &payload["media"][0]["url"], status(&event)),
        (&json!(PHONE), &json!("https://example.org/a.jpg"), "webhook_delivered")
    );
}

#[tokio::test]
async fn an_event_is_tried_three_times_at_each_address_and_only_a_200_counts() {
    let receiver = Receiver::start().await;
    let (carrier, number) = Carrier::with_telnyx_number(&receiver).await;
    for status in [500, 204, 302, 503] {
        receiver.answer(status, "");
    }
    assert_eq!(carrier.text_to(&number, "hello").await["webhook_status"], 200);
    let events = receiver.received();
    let told: Vec<_> =
        events.iter().map(|event| (event.path.as_str(), event.json["meta"]["attempt"].as_u64())).collect();
    assert_eq!(
        told,
        [("/event", Some(1)), ("/event", Some(2)), ("/event", Some(3)), ("/failover", Some(4)), ("/failover", Some(5))]
    );
    assert!(events.iter().all(|event| event.signed_by_telnyx));
    assert!(events.iter().all(|event| event.json["data"]["id"] == events[0].json["data"]["id"]));
    assert_eq!(events[3].json["meta"]["delivered_to"], json!(receiver.url("/failover")));
}

#[tokio::test]
async fn stop_blocks_the_whole_profile_until_start() {
    let receiver = Receiver::start().await;
    let (carrier, number) = Carrier::with_telnyx_number(&receiver).await;
    let (_, profiles) = carrier.telnyx_get("messaging_profiles").await;
    let second = carrier.search_telnyx().await;
    carrier.order_telnyx(&second, json!({ "messaging_profile_id": profiles["data"][0]["id"] })).await;
    let send = async |from: &str| {
        code(&carrier.telnyx("POST", "messages", json!({ "to": PHONE, "from": from, "text": "x" })).await.1).to_owned()
    };
    carrier.text_to(&number, "Stop all").await;
    assert_eq!((send(&number).await, send(&second).await), ("40300".to_owned(), "40300".to_owned()));
    carrier.text_to(&second, "START").await;
    assert_eq!(send(&number).await, "none");
    assert_eq!(carrier.inbox().await.len(), 3);
    let words: Vec<_> = receiver.wait_for(4).await[..2]
        .iter()
        .map(|event| event.json["data"]["payload"]["autoresponse_type"].clone())
        .collect();
    assert_eq!(words, [json!("STOP"), json!("START")]);
}

#[tokio::test]
async fn a_lookup_tells_landlines_from_mobiles() {
    let carrier = Carrier::start().await;
    carrier.set_faults(json!([{ "on": "send", "kind": "landline", "to": "+14155550188" }])).await;
    let lookup = async |number: &str| carrier.telnyx_get(&format!("number_lookup/{number}?type=carrier")).await;
    assert_eq!(lookup(PHONE).await.1["data"]["carrier"]["type"], "mobile");
    assert_eq!(lookup("%2B14155550188").await.1["data"]["carrier"]["type"], "fixed line");
    assert_eq!(lookup("+1999").await.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(carrier.telnyx_get(&format!("number_lookup/{PHONE}")).await.0, StatusCode::UNPROCESSABLE_ENTITY);
}
