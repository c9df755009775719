//! Searching, buying, configuring and releasing.

use super::*;

fn found(answer: &Value) -> Vec<String> {
    answer["available_phone_numbers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|number| number["phone_number"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_search_shows_what_is_for_sale_and_not_what_is_owned() {
    let carrier = Carrier::start().await;
    let path = "AvailablePhoneNumbers/US/Local.json?AreaCode=907&SmsEnabled=true&VoiceEnabled=true&PageSize=5";
    let (status, first) = carrier.get(path).await;
    assert_eq!(status, StatusCode::OK);
    let numbers = found(&first);
    assert!(numbers.len() == 5 && numbers.iter().all(|number| number.starts_with("+1907")), "{numbers:?}");
    assert_eq!(first["available_phone_numbers"][0]["capabilities"], json!({ "mms": true, "sms": true, "voice": true }));
    carrier.buy(&numbers[0], &[]).await;
    let (_, second) = carrier.get(path).await;
    assert_eq!(found(&second)[0], numbers[1]);
    for nothing in ["US/Local.json?AreaCode=204", "CA/Local.json", "US/Local.json?AreaCode=907&Contains=1111111111"] {
        let (status, answer) = carrier.get(&format!("AvailablePhoneNumbers/{nothing}")).await;
        assert_eq!((status, found(&answer).len()), (StatusCode::OK, 0), "{nothing}");
    }
    let (_, anywhere) = carrier.get("AvailablePhoneNumbers/US/Local.json?PageSize=20").await;
    assert_eq!(found(&anywhere).len(), 20);
}

#[tokio::test]
async fn a_number_is_bought_configured_listed_and_released() {
    let carrier = Carrier::start().await;
    let sid = carrier.buy(NUMBER, &[("FriendlyName", "license-1"), ("SmsUrl", "https://leaseline.example/sms")]).await;
    let (status, taken) = carrier.post("IncomingPhoneNumbers.json", &[("PhoneNumber", NUMBER)]).await;
    assert_eq!((status, &taken["code"]), (StatusCode::BAD_REQUEST, &json!(21422)));
    for (form, code) in [
        (("PhoneNumber", "+1911"), 21421),
        (("AreaCode", "204"), 21452),
        (("AreaCode", "abc"), 21451),
        (("TrunkSid", "TK1"), 20001),
    ] {
        let (_, refused) = carrier.post("IncomingPhoneNumbers.json", &[form]).await;
        assert_eq!(refused["code"], code, "{form:?}");
    }

    let path = format!("IncomingPhoneNumbers/{sid}.json");
    let (_, configured) = carrier.post(&path, &[("VoiceUrl", "https://leaseline.example/voice"), ("SmsUrl", "")]).await;
    assert_eq!(
        (&configured["voice_url"], &configured["sms_url"]),
        (&json!("https://leaseline.example/voice"), &json!(""))
    );
    let (_, refused) = carrier.post(&path, &[("SmsUrl", "not a url")]).await;
    assert_eq!(refused["code"], 21402);

    carrier.buy("+19072000001", &[("FriendlyName", "license-2")]).await;
    for (query, count) in [
        ("PhoneNumber=%2B14152000001", 1),
        ("PhoneNumber=907*", 1),
        ("FriendlyName=license-1", 1),
        ("FriendlyName=nobody", 0),
        ("PageSize=1", 1),
        ("", 2),
    ] {
        let (_, listed) = carrier.get(&format!("IncomingPhoneNumbers.json?{query}")).await;
        assert_eq!(listed["incoming_phone_numbers"].as_array().unwrap().len(), count, "{query}");
    }
    let (_, shown) = carrier.control_get("numbers").await;
    assert_eq!(
        (&shown["numbers"][1]["phone_number"], &shown["numbers"][1]["sms_url"], &shown["numbers"][1]["friendly_name"]),
        (&json!(NUMBER), &Value::Null, &json!("license-1"))
    );

    assert_eq!(carrier.delete(&path).await, StatusCode::NO_CONTENT);
    assert_eq!(carrier.delete(&path).await, StatusCode::NOT_FOUND);
    assert_eq!(carrier.get(&path).await.1["code"], 20404);
    carrier.buy(NUMBER, &[]).await;
}

#[tokio::test]
async fn a_number_bought_by_area_code_is_in_it() {
    let carrier = Carrier::start().await;
    let (status, bought) = carrier.post("IncomingPhoneNumbers.json", &[("AreaCode", "212")]).await;
    assert_eq!(status, StatusCode::CREATED);
    assert!(bought["phone_number"].as_str().unwrap().starts_with("+1212"));
}

#[tokio::test]
async fn a_list_of_owned_numbers_is_read_page_by_page_while_it_changes() {
    let carrier = Carrier::start().await;
    let mut sids = Vec::new();
    for line in 0..5 {
        sids.push(carrier.buy(&format!("+1415200000{line}"), &[]).await);
    }
    let mut path = "/2010-04-01/Accounts/".to_owned() + ACCOUNT + "/IncomingPhoneNumbers.json?PageSize=2";
    let mut seen = Vec::new();
    for turn in 0.. {
        let url = format!("{}{path}", carrier.base);
        let (_, page) = read(carrier.client.get(url).basic_auth(ACCOUNT, Some(TOKEN)).send().await.unwrap()).await;
        let numbers = page["incoming_phone_numbers"].as_array().unwrap();
        seen.extend(numbers.iter().map(|number| number["sid"].as_str().unwrap().to_owned()));
        if turn == 0 {
            // What was seen goes, and something new comes in front: the next page is the same.
            carrier.delete(&format!("IncomingPhoneNumbers/{}.json", seen[1])).await;
            carrier.buy("+14152000009", &[]).await;
        }
        let Some(next) = page["next_page_uri"].as_str() else { break };
        assert!(next.contains("PageToken=PA"), "{next}");
        path = next.to_owned();
    }
    sids.reverse();
    assert_eq!(seen, sids);
    let (status, refused) = carrier.get("IncomingPhoneNumbers.json?PageSize=2&Page=1").await;
    assert_eq!((status, &refused["code"]), (StatusCode::BAD_REQUEST, &json!(20001)));
}

#[tokio::test]
async fn a_number_that_is_lost_is_gone_at_its_carrier() {
    let carrier = Carrier::start().await;
    let sid = carrier.buy(NUMBER, &[]).await;
    let lose = async || {
        carrier.client.delete(format!("{}/_sim/numbers/{NUMBER}", carrier.base)).send().await.unwrap().status()
    };
    assert_eq!((lose().await, lose().await), (StatusCode::NO_CONTENT, StatusCode::NOT_FOUND));
    assert_eq!(carrier.delete(&format!("IncomingPhoneNumbers/{sid}.json")).await, StatusCode::NOT_FOUND);
}
