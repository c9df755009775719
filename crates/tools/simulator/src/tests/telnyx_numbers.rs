//! Telnyx: searching, ordering, configuring and releasing.

use super::*;

const SEARCH: &str = "available_phone_numbers?filter[country_code]=US";

fn code(answer: &Value) -> &str {
    answer["errors"][0]["code"].as_str().unwrap_or("none")
}

fn found(answer: &Value) -> Vec<String> {
    let numbers = answer["data"].as_array().unwrap();
    numbers.iter().map(|number| number["phone_number"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_wrong_key_is_refused_and_so_is_every_key_when_there_is_none() {
    let carrier = Carrier::start().await;
    let unset = Carrier::start_with(Config::new(ACCOUNT, TOKEN)).await;
    for (carrier, key) in [(&carrier, "wrong"), (&unset, KEY), (&unset, "")] {
        let url = format!("{}/v2/{SEARCH}", carrier.base);
        let (status, answer) = read(carrier.client.get(url).bearer_auth(key).send().await.unwrap()).await;
        assert_eq!((status, code(&answer)), (StatusCode::UNAUTHORIZED, "10009"));
        assert!(answer["errors"][0]["title"].is_string() && answer["errors"][0]["meta"]["url"].is_string());
    }
    let (status, answer) = carrier.telnyx_get("nothing").await;
    assert_eq!((status, code(&answer)), (StatusCode::NOT_FOUND, "10005"));
    let keyless = Config { telnyx_api_key: KEY.to_owned(), ..Config::new(ACCOUNT, TOKEN) };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    assert!(crate::run(keyless, listener, CancellationToken::new()).await.is_err());
}

#[tokio::test]
async fn a_search_shows_what_neither_carrier_has_sold() {
    let carrier = Carrier::start().await;
    let path = format!(
        "{SEARCH}&filter[national_destination_code]=907&filter[features][]=sms&filter[features][]=voice&filter[phone_number_type]=local&filter[limit]=3"
    );
    let (status, first) = carrier.telnyx_get(&path).await;
    let numbers = found(&first);
    assert_eq!((status, numbers.len(), &first["meta"]["total_results"]), (StatusCode::OK, 3, &json!(3)));
    assert!(numbers.iter().all(|number| number.starts_with("+1907")));
    carrier.buy(&numbers[0], &[]).await;
    assert_eq!(found(&carrier.telnyx_get(&path).await.1)[0], numbers[1]);
    assert_eq!(carrier.order_telnyx(&numbers[1], json!({})).await["status"], "success");
    let (_, twilio) = carrier.get("AvailablePhoneNumbers/US/Local.json?AreaCode=907&PageSize=1").await;
    assert_eq!(twilio["available_phone_numbers"][0]["phone_number"], json!(numbers[2]));
    let (_, refused) = carrier.post("IncomingPhoneNumbers.json", &[("PhoneNumber", &numbers[1])]).await;
    assert_eq!(refused["code"], 21422);

    let (status, nothing) = carrier.telnyx_get(&format!("{SEARCH}&filter[national_destination_code]=204")).await;
    assert_eq!((status, found(&nothing).len()), (StatusCode::OK, 0));
    for (path, wanted) in [
        ("available_phone_numbers", "10004"),
        (&format!("{SEARCH}&filter[locality]=Chicago"), "10027"),
        (&format!("{SEARCH}&filter[best_effort]=true"), "10027"),
        (&format!("{SEARCH}&filter[limit]=many"), "10027"),
    ] {
        let (status, refused) = carrier.telnyx_get(path).await;
        assert_eq!((status, code(&refused)), (StatusCode::UNPROCESSABLE_ENTITY, wanted), "{refused}");
        assert!(refused["errors"][0]["source"]["parameter"].is_string());
    }
    let (_, one) =
        carrier.telnyx_get(&format!("{SEARCH}&filter[phone_number][starts_with]=1907&filter[limit]=1")).await;
    assert_eq!(found(&one).len(), 1);
}

#[tokio::test]
async fn only_a_number_that_was_shown_can_be_ordered_and_only_once() {
    let carrier = Carrier::start().await;
    let order =
        |number: &str, more: (&str, &str)| json!({ "phone_numbers": [{ "phone_number": number }], more.0: more.1 });
    let number = carrier.search_telnyx().await;
    for (body, wanted) in [
        (order(NUMBER, ("customer_reference", "a")), "85000"),
        (order("+1911", ("customer_reference", "a")), "10027"),
        (order(&number, ("connection_id", "1")), "85004"),
        (order(&number, ("messaging_profile_id", "1")), "85005"),
        (order(&number, ("bundle_id", "1")), "10027"),
        (json!({}), "10004"),
        (json!({ "phone_numbers": [] }), "10027"),
    ] {
        let (status, refused) = carrier.telnyx("POST", "number_orders", body).await;
        assert_eq!((status, code(&refused)), (StatusCode::UNPROCESSABLE_ENTITY, wanted), "{refused}");
    }
    let (status, _) = carrier.telnyx("POST", "number_orders", json!("not an order")).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);

    let settled = carrier.order_telnyx(&number, json!({ "customer_reference": "license-1" })).await;
    assert_eq!((&settled["status"], &settled["phone_numbers"][0]["status"]), (&json!("success"), &json!("success")));
    let (status, refused) = carrier.telnyx("POST", "number_orders", order(&number, ("customer_reference", "b"))).await;
    assert_eq!((status, code(&refused)), (StatusCode::UNPROCESSABLE_ENTITY, "85001"));
    for (query, count) in [
        ("filter[customer_reference]=license-1", 1),
        ("filter[customer_reference]=license-1&filter[status]=pending", 0),
        ("filter[customer_reference]=nobody", 0),
    ] {
        let (_, orders) = carrier.telnyx_get(&format!("number_orders?{query}")).await;
        assert_eq!(orders["data"].as_array().unwrap().len(), count, "{query}");
    }
    assert_eq!(carrier.telnyx_get("number_orders/unknown").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_owned_number_is_listed_configured_and_released() {
    let receiver = Receiver::start().await;
    let (carrier, number) = Carrier::with_telnyx_number(&receiver).await;
    let (_, listed) = carrier.telnyx_get(&format!("phone_numbers?filter[phone_number]={}", &number[1..])).await;
    let owned = &listed["data"][0];
    assert_eq!(
        (&owned["phone_number"], &owned["customer_reference"], &owned["status"], &owned["messaging_profile_name"]),
        (&json!(number), &json!("license-1"), &json!("active"), &json!("license-1"))
    );
    let (_, shown) = carrier.control_get("numbers").await;
    assert_eq!(
        shown["numbers"][0],
        json!({
            "carrier": "telnyx",
            "sid": owned["id"],
            "phone_number": number,
            "friendly_name": "license-1",
            "sms_url": receiver.url("/event"),
            "sms_fallback_url": receiver.url("/failover"),
            "voice_url": receiver.url("/voice"),
            "voice_fallback_url": null,
            "status_callback": receiver.url("/ended"),
            "bought_at": shown["numbers"][0]["bought_at"],
        })
    );

    let path = format!("phone_numbers/{}", owned["id"].as_str().unwrap());
    let other = carrier.make_profile(&receiver.url("/other"), &receiver.url("/failover")).await;
    let (status, _) =
        carrier.telnyx("PATCH", &format!("{path}/messaging"), json!({ "messaging_profile_id": other })).await;
    assert_eq!(status, StatusCode::OK);
    let (status, changed) =
        carrier.telnyx("PATCH", &path, json!({ "customer_reference": "license-2", "connection_id": null })).await;
    assert_eq!((status, &changed["data"]["customer_reference"]), (StatusCode::OK, &json!("license-2")));
    let (_, shown) = carrier.control_get("numbers").await;
    assert_eq!(
        (&shown["numbers"][0]["sms_url"], &shown["numbers"][0]["voice_url"]),
        (&json!(receiver.url("/other")), &Value::Null)
    );
    for (path, body) in [
        (path.clone(), json!({ "connection_id": "unknown" })),
        (path.clone(), json!({ "tags": ["a"] })),
        (format!("{path}/messaging"), json!({ "messaging_profile_id": "unknown" })),
    ] {
        assert_eq!(carrier.telnyx("PATCH", &path, body).await.0, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
    }
    // The other carrier does not know it.
    let id = owned["id"].as_str().unwrap();
    assert_eq!(carrier.get(&format!("IncomingPhoneNumbers/{id}.json")).await.0, StatusCode::NOT_FOUND);
    assert_eq!(carrier.get("IncomingPhoneNumbers.json").await.1["incoming_phone_numbers"], json!([]));

    let (status, released) = carrier.telnyx("DELETE", &path, Value::Null).await;
    assert_eq!((status, &released["data"]["status"]), (StatusCode::OK, &json!("deleted")));
    assert_eq!(carrier.telnyx("DELETE", &path, Value::Null).await.0, StatusCode::NOT_FOUND);
    assert_eq!(carrier.order_telnyx(&number, json!({})).await["status"], "success");
}

#[tokio::test]
async fn lists_come_in_pages_with_their_number() {
    let carrier = Carrier::start().await;
    let (_, shown) = carrier.telnyx_get(&format!("{SEARCH}&filter[limit]=3")).await;
    for number in found(&shown) {
        carrier.order_telnyx(&number, json!({ "customer_reference": "license-1" })).await;
    }
    let mut seen = Vec::new();
    for page in 1..=2 {
        let path = format!("phone_numbers?filter[customer_reference]=license-1&page[size]=2&page[number]={page}");
        let (_, listed) = carrier.telnyx_get(&path).await;
        assert_eq!((&listed["meta"]["total_pages"], &listed["meta"]["total_results"]), (&json!(2), &json!(3)));
        seen.extend(found(&listed));
    }
    seen.reverse();
    assert_eq!(seen, found(&shown));
}

#[tokio::test]
async fn profiles_and_applications_are_made_found_and_changed() {
    let carrier = Carrier::start().await;
    let id = carrier.make_profile("https://leaseline.example/a", "https://leaseline.example/b").await;
    let (_, listed) = carrier.telnyx_get("messaging_profiles?filter[name]=license-1").await;
    assert_eq!((listed["data"].as_array().unwrap().len(), &listed["data"][0]["id"]), (1, &json!(id)));
    assert_eq!(carrier.telnyx_get("messaging_profiles?filter[name]=license").await.1["data"], json!([]));
    let path = format!("messaging_profiles/{id}");
    let (status, changed) = carrier
        .telnyx("PATCH", &path, json!({ "webhook_url": "https://leaseline.example/c", "webhook_failover_url": "" }))
        .await;
    assert_eq!(
        (status, &changed["data"]["webhook_url"], &changed["data"]["webhook_failover_url"], &changed["data"]["name"]),
        (StatusCode::OK, &json!("https://leaseline.example/c"), &Value::Null, &json!("license-1"))
    );
    assert_eq!(carrier.telnyx_get(&path).await.1, changed);
    for (body, wanted) in [
        (json!({ "name": "a" }), "10004"),
        (json!({ "whitelisted_destinations": ["US"] }), "10004"),
        (json!({ "name": "a", "whitelisted_destinations": ["US"], "webhook_url": "nonsense" }), "10027"),
        (json!({ "name": "a", "whitelisted_destinations": ["US"], "webhook_api_version": "1" }), "10027"),
        (json!({ "name": "a", "whitelisted_destinations": ["US"], "number_pool_settings": {} }), "10027"),
    ] {
        let (status, refused) = carrier.telnyx("POST", "messaging_profiles", body).await;
        assert_eq!((status, code(&refused)), (StatusCode::UNPROCESSABLE_ENTITY, wanted), "{refused}");
    }

    for (body, wanted) in [
        (json!({ "friendly_name": "Leaseline" }), "10004"),
        (json!({ "friendly_name": "Leaseline", "voice_url": "https://a.example/", "voice_method": "get" }), "10027"),
    ] {
        let (status, refused) = carrier.telnyx("POST", "texml_applications", body).await;
        assert_eq!((status, code(&refused)), (StatusCode::UNPROCESSABLE_ENTITY, wanted), "{refused}");
    }
    let body = json!({ "friendly_name": "Leaseline", "voice_url": "https://a.example/" });
    let (status, made) = carrier.telnyx("POST", "texml_applications", body).await;
    assert_eq!(status, StatusCode::CREATED);
    // The name may match anywhere: who looks for one compares again.
    let (_, listed) = carrier.telnyx_get("texml_applications?filter[friendly_name]=lease").await;
    assert_eq!(listed["data"], json!([made["data"]]));
}

#[tokio::test]
async fn what_is_owned_at_telnyx_outlives_the_program() {
    let dir = tempfile::tempdir().unwrap();
    let config = || Config {
        telnyx_api_key: KEY.to_owned(),
        telnyx_signing_key: SEED.to_owned(),
        order_delay: Duration::from_millis(1),
        numbers_file: Some(dir.path().join("numbers.json")),
        ..Config::new(ACCOUNT, TOKEN)
    };
    let carrier = Carrier::start_with(config()).await;
    let profile = carrier.make_profile("https://a.example/", "https://b.example/").await;
    let body = json!({ "friendly_name": "leaseline", "voice_url": "https://c.example/" });
    let (_, application) = carrier.telnyx("POST", "texml_applications", body).await;
    let number = carrier.search_telnyx().await;
    let more = json!({ "messaging_profile_id": profile, "connection_id": application["data"]["id"] });
    carrier.order_telnyx(&number, more).await;
    let (_, before) = carrier.control_get("numbers").await;
    drop(carrier);
    let again = Carrier::start_with(config()).await;
    assert_eq!(again.control_get("numbers").await.1, before);
    let shown = &before["numbers"][0];
    assert_eq!((&shown["sms_url"], &shown["voice_url"]), (&json!("https://a.example/"), &json!("https://c.example/")));
    assert_eq!(again.telnyx_get(&format!("messaging_profiles/{profile}")).await.0, StatusCode::OK);
}
