//! Each fault as a client of Telnyx meets it.

use super::*;

fn code(answer: &Value) -> &str {
    answer["errors"][0]["code"].as_str().unwrap_or("none")
}

#[tokio::test]
async fn faults_come_in_telnyxs_own_words() {
    let receiver = Receiver::start().await;
    let (carrier, number) = Carrier::with_telnyx_number(&receiver).await;
    carrier
        .set_faults(json!([{ "on": "send", "kind": "http_429", "count": 1 }, { "on": "send", "kind": "http_500_after_accept", "count": 1 }]))
        .await;
    let body = json!({ "to": PHONE, "from": number, "text": "x" });
    let answer = carrier.try_telnyx("POST", "messages", body.clone()).await.unwrap();
    assert!(answer.status() == StatusCode::TOO_MANY_REQUESTS && answer.headers()["retry-after"] == "1");
    assert!(answer.headers().contains_key("x-ratelimit-reset"));
    assert_eq!(code(&answer.json().await.unwrap()), "10011");
    assert!(carrier.inbox().await.is_empty());
    let (status, answer) = carrier.telnyx("POST", "messages", body).await;
    assert_eq!((status, code(&answer)), (StatusCode::INTERNAL_SERVER_ERROR, "10007"));
    assert_eq!(carrier.inbox().await, ["x"]);
}

#[tokio::test]
async fn a_full_queue_and_a_limit_have_telnyxs_own_codes() {
    let receiver = Receiver::start().await;
    let (carrier, number) = Carrier::with_telnyx_number(&receiver).await;
    carrier
        .set_faults(json!([
            { "on": "send", "kind": "queue_full", "count": 1 },
            { "on": "receipt", "kind": "undelivered", "code": 40016 },
        ]))
        .await;
    let body = json!({ "to": PHONE, "from": number, "text": "x", "webhook_url": receiver.url("/status") });
    let (status, answer) = carrier.telnyx("POST", "messages", body.clone()).await;
    assert_eq!((status, code(&answer)), (StatusCode::TOO_MANY_REQUESTS, "40318"));
    let (_, sent) = carrier.telnyx("POST", "messages", body).await;
    let events = receiver.wait_for(2).await;
    assert_eq!(events[1].json["data"]["payload"]["errors"][0]["code"], "40016");
    let (_, kept) = carrier.telnyx_get(&format!("messages/{}", sent["data"]["id"].as_str().unwrap())).await;
    assert_eq!((&kept["data"]["to"][0]["status"], code(&kept["data"])), (&json!("delivery_failed"), "40016"));
}

#[tokio::test]
async fn lookups_tell_the_network_in_both_of_telnyxs_spellings() {
    let carrier = Carrier::start().await;
    for (number, name, normalized) in [
        ("+14155550102", "AT&T", json!("AT&T")),
        ("+14155550103", "T-MOBILE USA, INC.", json!("T-Mobile USA")),
        ("+14155550108", "CELLCO PARTNERSHIP DBA VERIZON WIRELESS - OH", json!("Verizon Wireless")),
        ("+14155550109", "Simulated Wireless", Value::Null),
    ] {
        let (_, answer) = carrier.telnyx_get(&format!("number_lookup/{number}?type=carrier")).await;
        let line = &answer["data"]["carrier"];
        assert_eq!((&line["name"], &line["normalized_carrier"]), (&json!(name), &normalized));
    }
}

#[tokio::test]
async fn a_fault_can_be_one_carriers_only() {
    let receiver = Receiver::start().await;
    let (carrier, _) = Carrier::with_telnyx_number(&receiver).await;
    carrier.set_faults(json!([{ "on": "list", "kind": "http_500", "carrier": "telnyx" }])).await;
    assert_eq!(carrier.get("IncomingPhoneNumbers.json").await.0, StatusCode::OK);
    for path in
        ["phone_numbers", "phone_numbers/1", "number_orders", "messaging_profiles", "texml_applications", "messages/1"]
    {
        assert_eq!(carrier.telnyx_get(path).await.0, StatusCode::INTERNAL_SERVER_ERROR, "{path}");
    }
}

#[tokio::test]
async fn an_order_stays_pending_or_fails_as_told() {
    let carrier = Carrier::start().await;
    let number = carrier.search_telnyx().await;
    let order = async || {
        let body = json!({ "phone_numbers": [{ "phone_number": number }] });
        carrier.telnyx("POST", "number_orders", body).await.1
    };
    carrier.set_faults(json!([{ "on": "buy", "kind": "order_pending", "count": 1, "delay_ms": 100 }])).await;
    let started = std::time::Instant::now();
    let pending = order().await;
    // Nobody else can have it meanwhile.
    assert_eq!(code(&order().await), "85001");
    let (_, refused) = carrier.post("IncomingPhoneNumbers.json", &[("PhoneNumber", &number)]).await;
    assert_eq!(refused["code"], 21422);
    assert_eq!(carrier.telnyx_get("phone_numbers").await.1["data"], json!([]));
    let settled = carrier.wait_for_order(pending["data"]["id"].as_str().unwrap()).await;
    assert_eq!(settled["status"], "success");
    assert!(started.elapsed() >= Duration::from_millis(100));

    let number = carrier.search_telnyx().await;
    carrier.set_faults(json!([{ "on": "buy", "kind": "order_failed", "count": 1 }])).await;
    assert_eq!(carrier.order_telnyx(&number, json!({})).await["status"], "failure");
    assert_eq!(carrier.telnyx_get("phone_numbers").await.1["data"].as_array().unwrap().len(), 1);
    assert_ne!(carrier.search_telnyx().await, number);
}

#[tokio::test]
async fn an_order_that_was_taken_is_settled_although_its_answer_is_lost() {
    let carrier = Carrier::start().await;
    let number = carrier.search_telnyx().await;
    carrier.set_faults(json!([{ "on": "buy", "kind": "reset_after_accept", "count": 1 }])).await;
    let body = json!({ "phone_numbers": [{ "phone_number": number }], "customer_reference": "license-1" });
    assert!(carrier.try_telnyx("POST", "number_orders", body).await.is_err());
    let (_, orders) = carrier.telnyx_get("number_orders?filter[customer_reference]=license-1").await;
    carrier.wait_for_order(orders["data"][0]["id"].as_str().unwrap()).await;
    let (_, owned) = carrier.telnyx_get("phone_numbers?filter[customer_reference]=license-1").await;
    assert_eq!(owned["data"][0]["phone_number"], json!(number));
}

#[tokio::test]
async fn numbers_sell_out_and_are_sold_meanwhile_as_told() {
    let carrier = Carrier::start().await;
    let number = carrier.search_telnyx().await;
    carrier
        .set_faults(json!([
            { "on": "search", "kind": "area_code_empty", "area_code": "907" },
            { "on": "buy", "kind": "sold_meanwhile", "count": 1 },
        ]))
        .await;
    let search = async |more: &str| {
        let path = format!("available_phone_numbers?filter[country_code]=US&filter[limit]=2{more}");
        carrier.telnyx_get(&path).await.1["data"].as_array().unwrap().len()
    };
    assert_eq!((search("&filter[national_destination_code]=907").await, search("").await), (0, 2));
    for _ in 0..2 {
        let body = json!({ "phone_numbers": [{ "phone_number": number }] });
        assert_eq!(code(&carrier.telnyx("POST", "number_orders", body).await.1), "85001");
    }
    carrier.set_faults(json!([{ "on": "search", "kind": "sold_out" }])).await;
    assert_eq!(search("").await, 0);
}

#[tokio::test]
async fn what_is_refused_for_good_changes_nothing() {
    let receiver = Receiver::start().await;
    let (carrier, _) = Carrier::with_telnyx_number(&receiver).await;
    let (_, before) = carrier.control_get("numbers").await;
    let number = carrier.search_telnyx().await;
    let path = format!("phone_numbers/{}", before["numbers"][0]["sid"].as_str().unwrap());
    let points = ["buy", "configure", "release"];
    carrier.set_faults(points.iter().map(|on| json!({ "on": on, "kind": "refused" })).collect()).await;
    let profile = json!({ "name": "a", "whitelisted_destinations": ["US"] });
    for (method, path, body, status) in [
        ("POST", "number_orders".to_owned(), json!({ "phone_numbers": [{ "phone_number": number }] }), 403),
        ("PATCH", path.clone(), json!({ "customer_reference": "other" }), 422),
        ("PATCH", format!("{path}/messaging"), json!({ "messaging_profile_id": null }), 422),
        ("POST", "messaging_profiles".to_owned(), profile, 422),
        (
            "POST",
            "texml_applications".to_owned(),
            json!({ "friendly_name": "a", "voice_url": "https://a.example" }),
            422,
        ),
        ("DELETE", path.clone(), Value::Null, 400),
    ] {
        assert_eq!(carrier.telnyx(method, &path, body).await.0.as_u16(), status, "{method} {path}");
    }
    assert_eq!(carrier.control_get("numbers").await.1, before);
}

async fn events_with(fault: Value, count: usize) -> (Vec<Received>, Vec<String>) {
    let receiver = Receiver::start().await;
    let (carrier, number) = Carrier::with_telnyx_number(&receiver).await;
    carrier.set_faults(json!([fault])).await;
    // A second message without a fault: its events show that nothing else was under way before them.
    for path in ["/status", "/end"] {
        let body = json!({ "to": PHONE, "from": number, "text": path, "webhook_url": receiver.url(path) });
        assert_eq!(carrier.telnyx("POST", "messages", body).await.0, StatusCode::OK);
    }
    let events = receiver.wait_for(count + 2).await;
    (events.into_iter().filter(|event| event.path == "/status").collect(), carrier.inbox().await)
}

fn statuses(events: &[Received]) -> Vec<(&str, &str)> {
    events
        .iter()
        .map(|event| &event.json["data"])
        .map(|event| (event["event_type"].as_str().unwrap(), event["payload"]["to"][0]["status"].as_str().unwrap()))
        .collect()
}

#[tokio::test]
async fn events_are_lost_doubled_reordered_or_bad_news_as_told() {
    let fault = |kind: &str| json!({ "on": "receipt", "kind": kind, "count": 1 });
    let (sent, delivered) = (("message.sent", "sent"), ("message.finalized", "delivered"));
    assert!(events_with(fault("lost"), 0).await.0.is_empty());
    let (doubled, _) = events_with(fault("doubled"), 4).await;
    assert_eq!(statuses(&doubled), [sent, sent, delivered, delivered]);
    assert_eq!(doubled[0].json["data"]["id"], doubled[1].json["data"]["id"]);
    assert_eq!(statuses(&events_with(fault("reordered"), 2).await.0), [delivered, sent]);
    let error = |event: &Received| event.json["data"]["payload"]["errors"][0]["code"].clone();
    let (undelivered, inbox) = events_with(fault("undelivered"), 2).await;
    assert_eq!(statuses(&undelivered), [sent, ("message.finalized", "delivery_failed")]);
    assert_eq!((error(&undelivered[1]), inbox), (json!("40008"), vec!["/end".to_owned()]));
    let (failed, _) = events_with(fault("failed"), 1).await;
    assert_eq!((statuses(&failed), error(&failed[0])), (vec![("message.finalized", "sending_failed")], json!("40004")));
    let landline = json!({ "on": "send", "kind": "landline", "count": 1 });
    let (landline, inbox) = events_with(landline, 1).await;
    assert_eq!((error(&landline[0]), inbox), (json!("40001"), vec!["/end".to_owned()]));
}

#[tokio::test]
async fn a_text_from_a_phone_is_lost_or_doubled_as_told() {
    let receiver = Receiver::start().await;
    let (carrier, number) = Carrier::with_telnyx_number(&receiver).await;
    carrier.set_faults(json!([{ "on": "inbound", "kind": "lost", "count": 1 }, { "on": "inbound", "kind": "doubled", "count": 1 }])).await;
    assert_eq!(carrier.text_to(&number, "lost").await["webhook_status"], Value::Null);
    carrier.text_to(&number, "doubled").await;
    let events = receiver.received();
    assert_eq!(events.len(), 2);
    assert_eq!(events[0].json["data"]["id"], events[1].json["data"]["id"]);
}
