//! Sending, receipts, lists, STOP and lookups.

use super::*;

#[tokio::test]
async fn a_sent_text_is_on_the_phone_and_its_receipts_come_signed_and_in_order() {
    let receiver = Receiver::start().await;
    let carrier = Carrier::with_number(&receiver).await;
    let callback = receiver.url("/status?mid=42&x=a%20b");
    let (status, sent) = carrier
        .post("Messages.json", &[("To", PHONE), ("From", NUMBER), ("Body", "Grüße 😀"), ("StatusCallback", &callback)])
        .await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(
        (&sent["status"], &sent["num_segments"], &sent["date_sent"], &sent["direction"]),
        (&json!("queued"), &json!("1"), &Value::Null, &json!("outbound-api"))
    );
    assert_eq!(carrier.inbox().await, ["Grüße 😀"]);

    let receipts = receiver.wait_for(2).await;
    assert_eq!(receipts.iter().map(|receipt| receipt.get("MessageStatus")).collect::<Vec<_>>(), ["sent", "delivered"]);
    for receipt in &receipts {
        assert!(receipt.signed, "{receipt:?}");
        assert_eq!(receipt.path, "/status?mid=42&x=a%20b");
        assert_eq!(
            (receipt.get("MessageSid"), receipt.get("To"), receipt.get("From"), receipt.get("AccountSid")),
            (sent["sid"].as_str().unwrap(), PHONE, NUMBER, ACCOUNT)
        );
    }
    let (_, fetched) = carrier.get(&format!("Messages/{}.json", sent["sid"].as_str().unwrap())).await;
    assert_eq!(fetched["status"], "delivered");
    assert!(fetched["date_sent"].as_str().unwrap().ends_with(" +0000"));
}

#[tokio::test]
async fn what_the_carrier_cannot_send_is_refused_with_its_code() {
    let receiver = Receiver::start().await;
    let carrier = Carrier::with_number(&receiver).await;
    let long = "x".repeat(1_601);
    for (form, code) in [
        (vec![("From", NUMBER), ("Body", "x")], 21604),
        (vec![("To", PHONE), ("Body", "x")], 21603),
        (vec![("To", PHONE), ("From", NUMBER)], 21602),
        (vec![("To", PHONE), ("From", NUMBER), ("Body", &long)], 21617),
        (vec![("To", "+12"), ("From", NUMBER), ("Body", "x")], 21211),
        (vec![("To", NUMBER), ("From", NUMBER), ("Body", "x")], 21211),
        (vec![("To", PHONE), ("From", "+14152000002"), ("Body", "x")], 21606),
        (vec![("To", PHONE), ("From", NUMBER), ("Body", "x"), ("StatusCallback", "http://under_score/x")], 21609),
        (vec![("To", PHONE), ("From", NUMBER), ("Body", "x"), ("SendAt", "tomorrow")], 20001),
    ] {
        let (status, answer) = carrier.post("Messages.json", &form).await;
        assert_eq!(
            (status, &answer["code"], &answer["status"]),
            (StatusCode::BAD_REQUEST, &json!(code), &json!(400)),
            "{answer}"
        );
        assert_eq!(answer["more_info"], format!("https://www.twilio.com/docs/errors/{code}"));
    }
    assert!(carrier.inbox().await.is_empty());
}

#[tokio::test]
async fn bad_credentials_and_a_strangers_account_are_refused() {
    let carrier = Carrier::start().await;
    let answer =
        carrier.client.get(carrier.account("Messages.json")).basic_auth(ACCOUNT, Some("wrong")).send().await.unwrap();
    let (status, answer) = read(answer).await;
    assert_eq!((status, &answer["code"]), (StatusCode::UNAUTHORIZED, &json!(20003)));
    let url = format!("{}/2010-04-01/Accounts/ACffff/Messages.json", carrier.base);
    let (status, answer) = read(carrier.client.get(url).basic_auth(ACCOUNT, Some(TOKEN)).send().await.unwrap()).await;
    assert_eq!((status, &answer["code"]), (StatusCode::NOT_FOUND, &json!(20404)));
}

#[tokio::test]
async fn lists_show_both_directions_newest_first_in_pages() {
    let receiver = Receiver::start().await;
    let carrier = Carrier::with_number(&receiver).await;
    carrier.send(PHONE, "one").await;
    carrier.text("two").await;
    carrier.send(PHONE, "three").await;
    carrier.send("+14155550199", "elsewhere").await;
    let bodies = |answer: &Value| {
        answer["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|message| message["body"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let (_, all) = carrier.get("Messages.json").await;
    assert_eq!(bodies(&all), ["elsewhere", "three", "two", "one"]);
    assert_eq!(all["messages"][2]["direction"], "inbound");
    let (_, some) = carrier
        .get(&format!("Messages.json?To={}&From={}", PHONE.replace('+', "%2B"), NUMBER.replace('+', "%2B")))
        .await;
    assert_eq!(bodies(&some), ["three", "one"]);
    let (_, first) = carrier.get("Messages.json?PageSize=3").await;
    assert_eq!(bodies(&first), ["elsewhere", "three", "two"]);
    let next = format!("{}{}", carrier.base, first["next_page_uri"].as_str().unwrap());
    let (_, second) = read(carrier.client.get(next).basic_auth(ACCOUNT, Some(TOKEN)).send().await.unwrap()).await;
    assert_eq!((bodies(&second), &second["next_page_uri"]), (vec!["one".to_owned()], &Value::Null));
    let today = chrono::Utc::now().date_naive();
    // What is not sent yet has no day.
    while bodies(&carrier.get(&format!("Messages.json?DateSent={today}")).await.1).len() < 4 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for (filter, count) in [
        (format!("DateSent%3E={today}"), 4),
        (format!("DateSent>={}", today.succ_opt().unwrap().succ_opt().unwrap()), 0),
        ("DateSent<=2020-01-01".to_owned(), 0),
    ] {
        let (_, answer) = carrier.get(&format!("Messages.json?{filter}")).await;
        assert_eq!(bodies(&answer).len(), count, "{filter}");
    }
}

#[tokio::test]
async fn a_message_that_is_not_sent_yet_is_in_no_list_of_a_day() {
    let receiver = Receiver::start().await;
    let carrier = Carrier::with_number(&receiver).await;
    carrier.set_faults(json!([{ "on": "receipt", "kind": "late", "delay_ms": 60000 }])).await;
    carrier.send(PHONE, "queued").await;
    let count = async |filter: &str| {
        carrier.get(&format!("Messages.json?{filter}")).await.1["messages"].as_array().unwrap().len()
    };
    assert_eq!((count("").await, count("DateSent>=2020-01-01").await, count("DateSent<=2100-01-01").await), (1, 0, 0));
}

#[tokio::test]
async fn what_a_number_sent_is_shown_with_the_times_of_acceptance() {
    let receiver = Receiver::start().await;
    let carrier = Carrier::with_number(&receiver).await;
    let before = chrono::Utc::now();
    carrier.send(PHONE, "one").await;
    carrier.text("not sent").await;
    carrier.send("+14155550199", &"x".repeat(161)).await;
    let (_, shown) = carrier.control_get(&format!("numbers/{NUMBER}/sent")).await;
    let sent = shown["messages"].as_array().unwrap();
    let told: Vec<_> = sent.iter().map(|message| (&message["to"], &message["segments"])).collect();
    assert_eq!(told, [(&json!(PHONE), &json!(1)), (&json!("+14155550199"), &json!(2))]);
    let times: Vec<chrono::DateTime<chrono::Utc>> =
        sent.iter().map(|message| message["accepted_at"].as_str().unwrap().parse().unwrap()).collect();
    assert!(before - chrono::TimeDelta::microseconds(1) <= times[0] && times[0] < times[1], "{times:?}");
}

#[tokio::test]
async fn stop_blocks_until_start_and_the_carrier_answers_by_itself() {
    let receiver = Receiver::start().await;
    let carrier = Carrier::with_number(&receiver).await;
    carrier.text("Stop").await;
    assert_eq!(carrier.inbox().await.len(), 1);
    let (status, refused) = carrier.send(PHONE, "hello?").await;
    assert_eq!((status, &refused["code"]), (StatusCode::BAD_REQUEST, &json!(21610)));
    carrier.text("START").await;
    let (status, _) = carrier.send(PHONE, "hello again").await;
    assert_eq!(status, StatusCode::CREATED);
    let inbox = carrier.inbox().await;
    assert!(
        inbox[0].contains("unsubscribed") && inbox[1].contains("re-subscribed") && inbox[2] == "hello again",
        "{inbox:?}"
    );
    assert_eq!(receiver.received().iter().map(|webhook| webhook.get("Body")).collect::<Vec<_>>(), ["Stop", "START"]);
}

#[tokio::test]
async fn a_lookup_tells_landlines_from_mobiles_and_numbers_from_nonsense() {
    let carrier = Carrier::start().await;
    carrier.set_faults(json!([{ "on": "send", "kind": "landline", "to": "+14155550188" }])).await;
    let lookup = async |number: &str| {
        let url = format!("{}/v2/PhoneNumbers/{number}?Fields=line_type_intelligence", carrier.base);
        read(carrier.client.get(url).basic_auth(ACCOUNT, Some(TOKEN)).send().await.unwrap()).await.1
    };
    assert_eq!(lookup(PHONE).await["line_type_intelligence"]["type"], "mobile");
    for (number, name, code) in [
        ("+14155550100", "AT&T Wireless", "410"),
        ("+14155550105", "T-Mobile USA, Inc.", "260"),
        ("+14155550106", "Verizon Wireless", "480"),
        ("+14155550109", "Simulated Wireless", "000"),
    ] {
        let line = &lookup(number).await["line_type_intelligence"];
        assert_eq!((&line["carrier_name"], &line["mobile_network_code"]), (&json!(name), &json!(code)));
    }
    let landline = lookup("%2B14155550188").await;
    let landline = &landline["line_type_intelligence"];
    assert_eq!((&landline["type"], &landline["mobile_network_code"]), (&json!("landline"), &Value::Null));
    let nonsense = lookup("+1999").await;
    assert_eq!((&nonsense["valid"], &nonsense["line_type_intelligence"]), (&json!(false), &Value::Null));
}
