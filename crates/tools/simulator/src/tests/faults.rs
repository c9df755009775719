//! Each fault as a client meets it.

use super::*;

#[tokio::test]
async fn a_send_is_refused_as_told_and_then_works_again() {
    let receiver = Receiver::start().await;
    let carrier = Carrier::with_number(&receiver).await;
    carrier
        .set_faults(
            json!([{ "on": "send", "kind": "http_429", "count": 1 }, { "on": "send", "kind": "http_500", "count": 1 }]),
        )
        .await;
    let (status, answer) = carrier.send(PHONE, "a").await;
    assert_eq!((status, &answer["code"]), (StatusCode::TOO_MANY_REQUESTS, &json!(20429)));
    let (_, left) = carrier.control_get("faults").await;
    assert_eq!(left["faults"].as_array().unwrap().len(), 1);
    let (status, answer) = carrier.send(PHONE, "b").await;
    assert_eq!((status, &answer["code"]), (StatusCode::INTERNAL_SERVER_ERROR, &json!(20500)));
    assert_eq!(carrier.send(PHONE, "c").await.0, StatusCode::CREATED);
    assert_eq!(carrier.inbox().await, ["c"]);
}

#[tokio::test]
async fn a_full_queue_takes_nothing_and_is_no_reason_to_give_up() {
    let receiver = Receiver::start().await;
    let carrier = Carrier::with_number(&receiver).await;
    carrier.set_faults(json!([{ "on": "send", "kind": "queue_full", "count": 1 }])).await;
    let (status, answer) = carrier.send(PHONE, "a").await;
    assert_eq!((status, &answer["code"]), (StatusCode::TOO_MANY_REQUESTS, &json!(21611)));
    assert!(carrier.inbox().await.is_empty());
    assert_eq!(carrier.send(PHONE, "b").await.0, StatusCode::CREATED);
}

#[tokio::test]
async fn a_stale_list_lacks_what_is_young_and_a_single_read_does_not() {
    let receiver = Receiver::start().await;
    let carrier = Carrier::with_number(&receiver).await;
    let (_, sent) = carrier.send(PHONE, "a").await;
    carrier.set_faults(json!([{ "on": "list", "kind": "stale", "count": 2, "delay_ms": 60000 }])).await;
    let count = async || carrier.get("Messages.json").await.1["messages"].as_array().unwrap().len();
    assert_eq!(count().await, 0);
    let (status, _) = carrier.get(&format!("Messages/{}.json", sent["sid"].as_str().unwrap())).await;
    let (_, numbers) = carrier.get("IncomingPhoneNumbers.json").await;
    assert_eq!((status, numbers["incoming_phone_numbers"].as_array().unwrap().len()), (StatusCode::OK, 1));
    assert_eq!(count().await, 0, "nothing else has used the fault up");
    assert_eq!(count().await, 1);
    carrier.set_faults(json!([{ "on": "list", "kind": "stale", "delay_ms": 1 }])).await;
    tokio::time::sleep(Duration::from_millis(2)).await;
    assert_eq!(count().await, 1, "old enough");
}

#[tokio::test]
async fn bad_news_of_a_message_come_with_the_code_that_was_asked_for() {
    let fault = json!({ "on": "receipt", "kind": "failed", "code": 30022, "count": 1 });
    let receipts = receipts_with(fault, 1).await;
    assert_eq!((receipts[0].get("MessageStatus"), receipts[0].get("ErrorCode")), ("failed", "30022"));
}

#[tokio::test]
async fn what_fails_after_it_was_accepted_still_reaches_the_phone() {
    let receiver = Receiver::start().await;
    let carrier = Carrier::with_number(&receiver).await;
    let callback = receiver.url("/status");
    for (kind, reaches) in [
        ("http_500_after_accept", true),
        ("timeout_after_accept", true),
        ("reset_after_accept", true),
        ("timeout_before_accept", false),
        ("reset_before_accept", false),
    ] {
        let mut fault = json!({ "on": "send", "kind": kind, "count": 1 });
        if kind.starts_with("timeout") {
            fault["delay_ms"] = json!(50);
        }
        carrier.set_faults(json!([fault])).await;
        let form = [("To", PHONE), ("From", NUMBER), ("Body", kind), ("StatusCallback", callback.as_str())];
        let answer = carrier.try_post("Messages.json", &form).await;
        match kind {
            "http_500_after_accept" => assert_eq!(answer.unwrap().status(), StatusCode::INTERNAL_SERVER_ERROR),
            _ => assert!(answer.is_err(), "{kind}: {answer:?}"),
        }
        assert_eq!(carrier.inbox().await.contains(&kind.to_owned()), reaches, "{kind}");
    }
    assert_eq!(receiver.wait_for(6).await.len(), 6);
    let (_, shown) = carrier.control_get("requests").await;
    assert_eq!((&shown["requests"][0]["status"], &shown["requests"][4]["status"]), (&Value::Null, &json!(500)));
}

#[tokio::test]
async fn a_held_connection_answers_nothing_until_the_client_goes_away() {
    let receiver = Receiver::start().await;
    let carrier = Carrier::with_number(&receiver).await;
    carrier.set_faults(json!([{ "on": "send", "kind": "timeout_before_accept", "count": 1 }])).await;
    let form = [("To", PHONE), ("From", NUMBER), ("Body", "x")];
    let held = tokio::time::timeout(Duration::from_millis(200), carrier.try_post("Messages.json", &form)).await;
    assert!(held.is_err());
    assert_eq!(carrier.send(PHONE, "y").await.0, StatusCode::CREATED);
    assert_eq!(carrier.inbox().await, ["y"]);
}

async fn receipts_with(fault: Value, count: usize) -> Vec<Received> {
    let receiver = Receiver::start().await;
    let carrier = Carrier::with_number(&receiver).await;
    carrier.set_faults(json!([fault])).await;
    let callback = receiver.url("/status");
    carrier
        .post("Messages.json", &[("To", PHONE), ("From", NUMBER), ("Body", "x"), ("StatusCallback", &callback)])
        .await;
    // A second message without a fault: its receipts show that nothing else was under way before them.
    carrier
        .post(
            "Messages.json",
            &[("To", PHONE), ("From", NUMBER), ("Body", "y"), ("StatusCallback", &receiver.url("/end"))],
        )
        .await;
    let webhooks = receiver.wait_for(count + 2).await;
    webhooks.into_iter().filter(|receipt| receipt.path == "/status").collect()
}

fn statuses(receipts: &[Received]) -> Vec<&str> {
    receipts.iter().map(|receipt| receipt.get("MessageStatus")).collect()
}

#[tokio::test]
async fn receipts_are_lost_doubled_reordered_or_bad_news_as_told() {
    let fault = |kind: &str| json!({ "on": "receipt", "kind": kind, "count": 1 });
    assert!(receipts_with(fault("lost"), 0).await.is_empty());
    assert_eq!(statuses(&receipts_with(fault("doubled"), 4).await), ["sent", "sent", "delivered", "delivered"]);
    assert_eq!(statuses(&receipts_with(fault("reordered"), 2).await), ["delivered", "sent"]);
    let undelivered = receipts_with(fault("undelivered"), 2).await;
    assert_eq!((statuses(&undelivered), undelivered[1].get("ErrorCode")), (vec!["sent", "undelivered"], "30003"));
    let failed = receipts_with(fault("failed"), 1).await;
    assert_eq!((statuses(&failed), failed[0].get("ErrorCode")), (vec!["failed"], "30008"));
}

#[tokio::test]
async fn a_late_receipt_comes_after_those_of_later_messages() {
    let receiver = Receiver::start().await;
    let carrier = Carrier::with_number(&receiver).await;
    carrier.set_faults(json!([{ "on": "receipt", "kind": "late", "count": 1, "delay_ms": 300, "to": PHONE }])).await;
    for path in ["/late", "/quick"] {
        carrier
            .post(
                "Messages.json",
                &[("To", PHONE), ("From", NUMBER), ("Body", "x"), ("StatusCallback", &receiver.url(path))],
            )
            .await;
    }
    let webhooks = receiver.wait_for(4).await;
    assert_eq!(
        webhooks.iter().map(|receipt| receipt.path.as_str()).collect::<Vec<_>>(),
        ["/quick", "/quick", "/late", "/late"]
    );
}

#[tokio::test]
async fn an_inbound_webhook_is_lost_or_doubled_as_told() {
    let receiver = Receiver::start().await;
    let carrier = Carrier::with_number(&receiver).await;
    carrier.set_faults(json!([{ "on": "inbound", "kind": "lost", "count": 1 }, { "on": "inbound", "kind": "doubled", "count": 1 }, { "on": "inbound", "kind": "late", "count": 1, "delay_ms": 20 }])).await;
    assert_eq!(carrier.text("lost").await["webhook_status"], Value::Null);
    let doubled = carrier.text("doubled").await;
    carrier.text("late").await;
    let webhooks = receiver.received();
    assert_eq!(webhooks.iter().map(|webhook| webhook.get("Body")).collect::<Vec<_>>(), ["doubled", "doubled", "late"]);
    assert!(webhooks[..2].iter().all(|webhook| webhook.get("MessageSid") == doubled["message_sid"].as_str().unwrap()));
    let (_, listed) = carrier.get("Messages.json").await;
    assert_eq!(listed["messages"][2]["body"], "lost");
}

#[tokio::test]
async fn numbers_sell_out_and_area_codes_run_empty_as_told() {
    let carrier = Carrier::start().await;
    let search = async |query: &str| {
        carrier.get(&format!("AvailablePhoneNumbers/US/Local.json?{query}")).await.1["available_phone_numbers"]
            .as_array()
            .unwrap()
            .len()
    };
    carrier.set_faults(json!([{ "on": "search", "kind": "area_code_empty", "area_code": "907" }])).await;
    assert_eq!(
        (search("AreaCode=907").await, search("AreaCode=212&PageSize=2").await, search("PageSize=2").await),
        (0, 2, 2)
    );
    let (_, refused) = carrier.post("IncomingPhoneNumbers.json", &[("AreaCode", "907")]).await;
    assert_eq!(refused["code"], 21452);
    carrier
        .set_faults(
            json!([{ "on": "search", "kind": "sold_out" }, { "on": "buy", "kind": "sold_meanwhile", "count": 1 }]),
        )
        .await;
    assert_eq!((search("AreaCode=212").await, search("").await), (0, 0));
    for _ in 0..2 {
        let (_, refused) = carrier.post("IncomingPhoneNumbers.json", &[("PhoneNumber", NUMBER)]).await;
        assert_eq!(refused["code"], 21422);
    }
}

#[tokio::test]
async fn each_call_can_fail() {
    let receiver = Receiver::start().await;
    let carrier = Carrier::with_number(&receiver).await;
    let (_, numbers) = carrier.control_get("numbers").await;
    let owned = format!("IncomingPhoneNumbers/{}.json", numbers["numbers"][0]["sid"].as_str().unwrap());
    let points = ["search", "buy", "configure", "release", "lookup", "list"];
    carrier.set_faults(points.iter().map(|on| json!({ "on": on, "kind": "http_500", "count": 1 })).collect()).await;
    let lookup = carrier
        .client
        .get(format!("{}/v2/PhoneNumbers/{PHONE}", carrier.base))
        .basic_auth(ACCOUNT, Some(TOKEN))
        .send()
        .await
        .unwrap();
    let answers = [
        carrier.get("AvailablePhoneNumbers/US/Local.json").await.0,
        carrier.post("IncomingPhoneNumbers.json", &[("PhoneNumber", "+14152000007")]).await.0,
        carrier.post(&owned, &[]).await.0,
        carrier.delete(&owned).await,
        lookup.status(),
        carrier.get("IncomingPhoneNumbers.json").await.0,
    ];
    assert_eq!(answers, [StatusCode::INTERNAL_SERVER_ERROR; 6]);
    assert_eq!(carrier.get("IncomingPhoneNumbers.json").await.1["incoming_phone_numbers"].as_array().unwrap().len(), 1);

    carrier.set_faults(json!([{ "on": "buy", "kind": "reset_after_accept", "count": 1 }, { "on": "release", "kind": "http_500_after_accept", "count": 1 }])).await;
    assert!(carrier.try_post("IncomingPhoneNumbers.json", &[("PhoneNumber", "+14152000007")]).await.is_err());
    assert_eq!(carrier.delete(&owned).await, StatusCode::INTERNAL_SERVER_ERROR);
    let (_, left) = carrier.get("IncomingPhoneNumbers.json").await;
    assert_eq!(
        (left["incoming_phone_numbers"].as_array().unwrap().len(), &left["incoming_phone_numbers"][0]["phone_number"]),
        (1, &json!("+14152000007"))
    );
}

#[tokio::test]
async fn what_is_refused_for_good_is_refused_with_a_400_and_nothing_is_done() {
    let receiver = Receiver::start().await;
    let carrier = Carrier::with_number(&receiver).await;
    let (_, numbers) = carrier.control_get("numbers").await;
    let owned = format!("IncomingPhoneNumbers/{}.json", numbers["numbers"][0]["sid"].as_str().unwrap());
    let points = ["buy", "configure", "release"];
    carrier.set_faults(points.iter().map(|on| json!({ "on": on, "kind": "refused", "count": 1 })).collect()).await;
    let (status, refused) = carrier.post("IncomingPhoneNumbers.json", &[("PhoneNumber", "+14152000007")]).await;
    assert_eq!((status, &refused["code"]), (StatusCode::BAD_REQUEST, &json!(21404)));
    let (status, refused) = carrier.post(&owned, &[("SmsUrl", "https://leaseline.example/x")]).await;
    assert_eq!((status, &refused["code"]), (StatusCode::BAD_REQUEST, &json!(21402)));
    assert_eq!(carrier.delete(&owned).await, StatusCode::BAD_REQUEST);
    assert_eq!(carrier.control_get("numbers").await.1, numbers);
    assert_eq!(carrier.delete(&owned).await, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_landline_gets_no_text() {
    let receiver = Receiver::start().await;
    let carrier = Carrier::with_number(&receiver).await;
    carrier.set_faults(json!([{ "on": "send", "kind": "landline", "to": PHONE }])).await;
    assert_eq!(carrier.send(PHONE, "x").await.1["code"], 21614);
    assert_eq!(carrier.send("+14155550124", "x").await.0, StatusCode::CREATED);
}

#[tokio::test]
async fn faults_that_make_no_sense_are_refused_by_name_and_can_be_cleared() {
    let carrier = Carrier::start().await;
    for (fault, word) in [
        (json!({ "on": "search", "kind": "lost" }), "Lost cannot happen on Search"),
        (json!({ "on": "send", "kind": "http_429", "times": 3 }), "times"),
        (json!({ "on": "send", "kind": "explode" }), "explode"),
        (json!({ "on": "moon", "kind": "lost" }), "moon"),
    ] {
        let (status, problem) = carrier.put_faults(json!([fault])).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(problem["detail"].as_str().unwrap().contains(word), "{problem}");
    }
    carrier.set_faults(json!([{ "on": "list", "kind": "http_500" }])).await;
    assert_eq!(carrier.get("Messages.json").await.0, StatusCode::INTERNAL_SERVER_ERROR);
    let cleared = carrier.client.delete(format!("{}/_sim/faults", carrier.base)).send().await.unwrap();
    assert_eq!(cleared.status(), StatusCode::NO_CONTENT);
    assert_eq!(carrier.get("Messages.json").await.0, StatusCode::OK);
}
