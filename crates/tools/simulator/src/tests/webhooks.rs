//! Phones that text: webhooks, retries, fallbacks, and the control API's manners.

use super::*;

#[tokio::test]
async fn a_phone_texts_and_the_signed_webhook_tells_it() {
    let receiver = Receiver::start().await;
    let carrier = Carrier::with_number(&receiver).await;
    let body = json!({ "to": NUMBER, "body": "Is it free? é😀", "media_urls": ["https://example.org/a.jpg"] });
    let (status, answer) = carrier.control_post(&format!("phones/{}/text", PHONE.replace('+', "%2B")), body).await;
    assert_eq!((status, &answer["webhook_status"]), (StatusCode::OK, &json!(200)));
    let [webhook] = receiver.received().try_into().unwrap();
    assert!(webhook.signed);
    for (name, value) in [
        ("Body", "Is it free? é😀"),
        ("From", PHONE),
        ("To", NUMBER),
        ("NumMedia", "1"),
        ("MediaUrl0", "https://example.org/a.jpg"),
        ("NumSegments", "1"),
        ("MessageSid", answer["message_sid"].as_str().unwrap()),
    ] {
        assert_eq!(webhook.get(name), value, "{name}");
    }
    assert!(webhook.get("SmsMessageSid").starts_with("MM"));
}

#[tokio::test]
async fn a_refused_webhook_is_not_repeated_unless_its_address_asks_for_it() {
    let receiver = Receiver::start().await;
    let carrier = Carrier::start().await;
    let sid = carrier.buy(NUMBER, &[("SmsUrl", &receiver.url("/sms"))]).await;
    receiver.answer(503, "");
    assert_eq!(carrier.text("once").await["webhook_status"], 503);
    assert_eq!(receiver.received().len(), 1);

    carrier
        .post(&format!("IncomingPhoneNumbers/{sid}.json"), &[("SmsUrl", &receiver.url("/sms?a=b#rc=3&rp=all"))])
        .await;
    receiver.answer(503, "");
    receiver.answer(404, "");
    assert_eq!(carrier.text("again").await["webhook_status"], 200);
    let webhooks = receiver.received().split_off(1);
    assert_eq!(webhooks.len(), 3);
    assert!(webhooks.iter().all(|webhook| webhook.signed
        && webhook.path == "/sms?a=b"
        && webhook.token.is_some()
        && webhook.token == webhooks[0].token));
}

#[tokio::test]
async fn the_fallback_address_is_asked_when_the_first_fails() {
    let receiver = Receiver::start().await;
    let carrier = Carrier::start().await;
    // Nothing listens on the discard port of the loopback.
    carrier.buy(NUMBER, &[("SmsUrl", "http://127.0.0.1:9/sms"), ("SmsFallbackUrl", &receiver.url("/fallback"))]).await;
    assert_eq!(carrier.text("hello").await["webhook_status"], 200);
    let [webhook] = receiver.received().try_into().unwrap();
    assert_eq!(
        (webhook.path.as_str(), webhook.get("ErrorCode"), webhook.get("ErrorUrl"), webhook.signed),
        ("/fallback", "11200", "http://127.0.0.1:9/sms", true)
    );
}

#[tokio::test]
async fn a_text_that_nobody_answers_has_no_webhook_status() {
    let carrier = Carrier::start().await;
    carrier.buy(NUMBER, &[("SmsUrl", "http://127.0.0.1:9/sms")]).await;
    assert_eq!(carrier.text("hello").await["webhook_status"], Value::Null);
    assert_eq!(carrier.control_get("counts").await.1["webhooks_failed"], 1);
}

#[tokio::test]
async fn the_control_api_names_what_is_wrong() {
    let receiver = Receiver::start().await;
    let carrier = Carrier::with_number(&receiver).await;
    let text = format!("phones/{PHONE}/text");
    for (path, body, status, word) in [
        (text.as_str(), json!({ "to": NUMBER, "body": "x", "colour": "red" }), 422, "colour"),
        (&text, json!({ "body": "x" }), 422, "to"),
        (&text, json!({ "to": NUMBER, "body": "" }), 422, "body"),
        (&text, json!({ "to": "+14152000009", "body": "x" }), 404, "nobody owns"),
        ("phones/+1911/text", json!({ "to": NUMBER, "body": "x" }), 404, "+1911"),
        ("nothing", json!({}), 404, "/_sim/nothing"),
        ("numbers", json!({}), 405, "/_sim/numbers"),
    ] {
        let (got, problem) = carrier.control_post(path, body).await;
        assert_eq!(got.as_u16(), status, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(word) && problem["status"] == status, "{problem}");
    }
    assert!(receiver.received().is_empty());
}

#[tokio::test]
async fn requests_are_shown_newest_first_with_their_forms() {
    let receiver = Receiver::start().await;
    let carrier = Carrier::with_number(&receiver).await;
    carrier.send("+1", "x").await;
    let (_, shown) = carrier.control_get("requests").await;
    let newest = &shown["requests"][0];
    assert_eq!(
        (&newest["method"], &newest["status"], &newest["form"]["To"]),
        (&json!("POST"), &json!(400), &json!(["+1"]))
    );
    assert!(newest["path"].as_str().unwrap().ends_with("/Messages.json"));
    assert_eq!(shown["requests"].as_array().unwrap().len(), 2);
}
