//! A call to the messages number rings at the company's phone.

use domain::CarrierName;
use leaseline::stack::Service;
use serde_json::{Value, json};

use super::world::{COMPANY_PHONE, PATIENCE, World, phone};

async fn call_and_follow(carrier: CarrierName) {
    let mut world = World::start_at(carrier, 1, 1).await;
    let mut feed = world.mia.feed(None).await.unwrap();
    let called = wait_for_forward(&world, COMPANY_PHONE).await;
    assert_eq!(called["caller_id"], phone(0), "{called}");
    let ended = feed
        .wait_for("the result", PATIENCE, |event| event.kind == "call.updated" && event.data["result"].is_string())
        .await
        .unwrap();
    assert_eq!(ended.data["result"], "answered");
    assert_eq!(ended.data["people"][0]["name"], "Tenant 0");

    // As it is set now, also while the numbers service is down.
    let company = json!({ "company_name": "Journey Homes", "company_phone": "(212) 555-0142" });
    let settings = world.adam.put("/v1/settings/company", &company).await.unwrap();
    assert_eq!(settings["company_phone"], "+12125550142");
    feed.wait_for("the company", PATIENCE, |event| event.kind == "company.updated").await.unwrap();
    wait_for_forward(&world, "+12125550142").await;
    world.stack.kill_service(Service::Numbers, 0).await;
    wait_for_forward(&world, "+12125550142").await;

    for (outcome, result) in [("no_answer", "no_answer"), ("busy", "busy"), ("failed", "failed")] {
        let called = world.phones.call(&phone(0), &world.number, outcome).await.unwrap();
        assert_eq!(called["result_status"], 200, "{called}");
        assert!(called["after"].as_str().unwrap().contains("<Say>"), "{called}");
        testkit::eventually(result, async || {
            let calls = world.noah.get("/v1/calls").await.map_err(|error| format!("{error:#}"))?;
            if calls["items"][0]["result"] == result { Ok(()) } else { Err(calls.to_string()) }
        })
        .await;
    }
    world.stack.start_service(Service::Numbers, 0).await.unwrap();
    world.stop().await;
}

async fn wait_for_forward(world: &World, to: &str) -> Value {
    testkit::eventually("the forwarded call", async || {
        let called = world.phones.call(&phone(0), &world.number, "answered").await.unwrap();
        if called["dialed"] == to { Ok(called) } else { Err(called) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_forwarded_to_the_company_phone_as_it_is_set_now_at_twilio() {
    call_and_follow(CarrierName::Twilio).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_forwarded_to_the_company_phone_as_it_is_set_now_at_telnyx() {
    call_and_follow(CarrierName::Telnyx).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_company_phone_a_sentence_is_spoken_and_the_company_phone_may_not_be_a_number_we_own() {
    let world = World::start(1, 0).await;
    let loop_back = json!({ "company_name": "Journey Homes", "company_phone": world.number });
    let refused = world.adam.call(reqwest::Method::PUT, "/v1/settings/company", Some(&loop_back)).await.unwrap();
    let problem = (refused.status, refused.body["code"].as_str());
    assert_eq!(problem, (422, Some("company_phone_is_a_messages_number")), "{}", refused.body);

    world.adam.put("/v1/settings/company", &json!({ "company_name": "Journey Homes" })).await.unwrap();
    let called = testkit::eventually("the sentence", async || {
        let called = world.phones.call(&phone(0), &world.number, "answered").await.unwrap();
        if called["dialed"].is_null() { Ok(called) } else { Err(called) }
    })
    .await;
    assert!(called["said"].as_str().is_some_and(|said| !said.is_empty()), "{called}");
    world.stop().await;
}
