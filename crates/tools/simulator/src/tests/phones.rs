//! The phones: what they show, airplane mode, who looks on, and the page.

use futures_util::StreamExt as _;

use super::*;

/// What the phone shows, with who wrote it.
async fn shown(carrier: &Carrier) -> Vec<(String, String)> {
    let (status, answer) = carrier.control_get(&format!("phones/{PHONE}/messages")).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let text = |message: &Value, name: &str| message[name].as_str().unwrap().to_owned();
    let messages = answer["messages"].as_array().unwrap();
    messages.iter().map(|message| (text(message, "direction"), text(message, "body"))).collect()
}

async fn airplane(carrier: &Carrier, method: reqwest::Method) -> (StatusCode, Value) {
    let url = format!("{}/_sim/phones/{PHONE}/airplane", carrier.base);
    read(carrier.client.request(method, url).send().await.unwrap()).await
}

#[tokio::test]
async fn a_phone_shows_what_it_wrote_and_got_and_is_listed() {
    for name in ["twilio", "telnyx"] {
        let receiver = Receiver::start().await;
        let (carrier, number) = match name {
            "telnyx" => Carrier::with_telnyx_number(&receiver).await,
            _ => (Carrier::with_number(&receiver).await, NUMBER.to_owned()),
        };
        let pair = |direction: &str, body: &str| (direction.to_owned(), body.to_owned());
        let text =
            json!({ "to": number, "body": "Look", "media_urls": ["data:image/png;base64,aGk=", "https://a.b/c"] });
        let (status, answer) = carrier.control_post(&format!("phones/{PHONE}/text"), text).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        if name == "telnyx" {
            carrier.telnyx("POST", "messages", json!({ "to": PHONE, "from": number, "text": "Nice" })).await;
        } else {
            carrier.send(PHONE, "Nice").await;
        }
        assert_eq!(shown(&carrier).await, [pair("written", "Look"), pair("received", "Nice")]);

        // Its own picture is had without credentials.
        let (_, answer) = carrier.control_get(&format!("phones/{PHONE}/messages")).await;
        let message = &answer["messages"][0];
        assert_eq!((&message["number"], &message["media_urls"][1]), (&json!(number), &json!("https://a.b/c")));
        let picture = format!("{}{}", carrier.base, message["media_urls"][0].as_str().unwrap());
        assert_eq!(carrier.client.get(picture).send().await.unwrap().text().await.unwrap(), "hi");

        let (_, answer) = carrier.control_get("phones").await;
        let phones = answer["phones"].as_array().unwrap();
        assert_eq!(phones.len(), 1, "{answer}");
        assert_eq!(
            (&phones[0]["phone"], &phones[0]["airplane"], &phones[0]["last_body"]),
            (&json!(PHONE), &json!(false), &json!("Nice"))
        );
    }
}

#[tokio::test]
async fn what_is_sent_to_a_phone_in_airplane_mode_arrives_with_its_receipt_when_that_ends() {
    let receiver = Receiver::start().await;
    let carrier = Carrier::with_number(&receiver).await;
    carrier.set_faults(json!([{ "on": "receipt", "kind": "doubled", "to": "+14155550124" }])).await;
    let (status, answer) = airplane(&carrier, reqwest::Method::PUT).await;
    assert_eq!((status, answer), (StatusCode::OK, json!({ "on": true, "waiting": 0 })));

    let callback = receiver.url("/status");
    for (to, body) in [(PHONE, "one"), (PHONE, "two"), ("+14155550125", "to another phone")] {
        let form = [("To", to), ("From", NUMBER), ("Body", body), ("StatusCallback", &callback)];
        assert_eq!(carrier.post("Messages.json", &form).await.0, StatusCode::CREATED);
    }
    let statuses = |received: Vec<Received>| -> Vec<String> {
        let to_phone = received.iter().filter(|receipt| receipt.get("To") == PHONE);
        to_phone.map(|receipt| receipt.get("MessageStatus").to_owned()).collect()
    };
    // Both were sent; the other phone has its text.
    assert_eq!(statuses(receiver.wait_for(4).await), ["sent", "sent"]);
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(receiver.received().len(), 4);
    assert!(carrier.inbox().await.is_empty() && shown(&carrier).await.is_empty());
    assert_eq!(airplane(&carrier, reqwest::Method::GET).await.1, json!({ "on": true, "waiting": 2 }));

    // It reaches nobody itself.
    for call in ["text", "call"] {
        let body = if call == "text" { json!({ "to": NUMBER, "body": "x" }) } else { json!({ "to": NUMBER }) };
        let (status, answer) = carrier.control_post(&format!("phones/{PHONE}/{call}"), body).await;
        assert_eq!((status, &answer["code"]), (StatusCode::CONFLICT, &json!("airplane_mode")), "{answer}");
    }

    assert_eq!(airplane(&carrier, reqwest::Method::DELETE).await.0, StatusCode::NO_CONTENT);
    assert_eq!(carrier.inbox().await, ["one", "two"]);
    let receipts = statuses(receiver.wait_for(6).await);
    assert_eq!(receipts, ["sent", "sent", "delivered", "delivered"]);
    assert_eq!(airplane(&carrier, reqwest::Method::GET).await.1, json!({ "on": false, "waiting": 0 }));
    // It ends once more without harm, and the faults are as they were.
    assert_eq!(airplane(&carrier, reqwest::Method::DELETE).await.0, StatusCode::NO_CONTENT);
    assert_eq!(carrier.control_get("faults").await.1["faults"][0]["to"], "+14155550124");
    assert_eq!(carrier.text("back").await["webhook_status"], 200);
}

#[tokio::test]
async fn who_looks_on_hears_of_each_change_and_of_the_end() {
    let receiver = Receiver::start().await;
    let carrier = Carrier::with_number(&receiver).await;
    let response = carrier.client.get(format!("{}/_sim/changes", carrier.base)).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut events = response.bytes_stream();
    assert!(events.next().await.unwrap().unwrap().starts_with(b"event: changed\n"));
    let sent_at = std::time::Instant::now();
    carrier.text("hello").await;
    assert!(events.next().await.unwrap().unwrap().starts_with(b"event: changed\n"));
    assert!(sent_at.elapsed() < Duration::from_secs(2), "not by the clock");
    carrier.shutdown.cancel();
    while let Some(Ok(_)) = events.next().await {}
}

#[tokio::test]
async fn the_page_is_served_with_a_strict_policy_and_everything_that_it_names() {
    let carrier = Carrier::start().await;
    let get = async |path: &str| carrier.client.get(format!("{}{path}", carrier.base)).send().await.unwrap();
    let page = get("/").await;
    assert_eq!(page.url().path(), "/phones");
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'"),
        "{policy}"
    );
    let mut pages = vec![page.text().await.unwrap()];
    let mut seen = Vec::new();
    while let Some(page) = pages.pop() {
        let named = page.split('"').filter_map(|part| match part.strip_prefix("./") {
            Some(module) => Some(format!("/phones/{module}")),
            None => part.starts_with("/phones/").then(|| part.to_owned()),
        });
        for path in named {
            if seen.contains(&path) {
                continue;
            }
            let file = get(&path).await;
            assert_eq!(file.status(), StatusCode::OK, "{path}");
            pages.push(file.text().await.unwrap());
            seen.push(path);
        }
    }
    assert_eq!(seen.len(), 4, "{seen:?}");
}
