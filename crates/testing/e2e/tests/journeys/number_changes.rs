//! Generate and Save: the license's number is replaced, and everything goes on from the new one.

use domain::CarrierName;
use leaseline::stack::Service;
use serde_json::{Value, json};

use super::world::{PATIENCE, World, phone};

/// The license's number is the candidate's: settings, feed and the carrier agree.
async fn wait_until_saved(world: &World, number: &str) {
    testkit::eventually("the cut-over", async || {
        let settings = world.settings().await;
        if settings["messages_number"]["number"] == number && settings["provisioning"].is_null() {
            Ok(())
        } else {
            Err(settings)
        }
    })
    .await;
    world.wait_until_owned_is(number).await;
}

async fn generate_and_save(carrier: CarrierName) {
    let world = World::start_at(carrier, 1, 1).await;
    let old = world.number.clone();
    assert_eq!(world.settings().await["messages_number"]["carrier"], carrier.as_str());
    let mut feed = world.mia.feed(None).await.unwrap();

    let candidate = world.generate(Some("212")).await.ok().unwrap();
    assert_eq!(candidate["area_code_matched"], true);
    let new = candidate["number"].as_str().unwrap();
    assert!(new.starts_with("+1212"), "{candidate}");
    // Nothing is bought before Save.
    assert_eq!(world.owned().await, [old.as_str()]);

    let saved = world.save(&candidate).await;
    assert_eq!(saved.status, 200, "{}", saved.body);
    assert_eq!(saved.body["messages_number"]["number"], new);
    assert!(saved.body["next_change_allowed_at"].is_string(), "{}", saved.body);
    let changed = feed.wait_for("number.changed", PATIENCE, |event| event.kind == "number.changed").await.unwrap();
    assert_eq!(changed.data["number"], new);
    // The old number is released after the cut-over.
    wait_until_saved(&world, new).await;

    // Once a calendar month: the refusal names the time.
    let again = world.generate(None).await.ok().unwrap();
    assert_eq!(again["area_code_matched"], false);
    let refused = world.save(&again).await;
    assert_eq!(
        (refused.status, refused.body["code"].as_str()),
        (409, Some("change_limit_reached")),
        "{}",
        refused.body
    );
    assert_eq!(refused.body["next_change_allowed_at"], saved.body["next_change_allowed_at"]);

    // Everything goes on from the new number.
    world.send_until_accepted(0, "from the new number").await;
    world.wait_for_messages(&["from the new number".to_owned()], "delivered").await;
    let inbox = world.phones.inbox(&phone(0)).await.unwrap();
    assert_eq!((inbox.len(), inbox[0]["from"].as_str()), (1, Some(new)), "{inbox:?}");
    let answered = world.phones.text(&phone(0), new, "to the new number").await.unwrap();
    assert_eq!(answered["webhook_status"], 200, "{answered}");
    world.wait_for_messages(&["to the new number".to_owned()], "received").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn save_replaces_the_old_number_at_most_once_per_calendar_month_at_twilio() {
    generate_and_save(CarrierName::Twilio).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn save_replaces_the_old_number_at_most_once_per_calendar_month_at_telnyx() {
    generate_and_save(CarrierName::Telnyx).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_license_may_change_its_carrier_and_its_number_belongs_to_its_carrier_for_life() {
    let world = World::start(1, 1).await;
    let license = world.settings().await["license_id"].as_str().unwrap().to_owned();
    let backend = world.signer.sign("", "service", "backend", "Backend").unwrap();
    let backend = leaseline::client::Api::new(&world.stack.gateway_urls[0], &backend);
    let company = json!({ "company_name": "Journey Homes", "carrier": "telnyx" });
    let settings = backend.put(&format!("/v1/licenses/{license}"), &company).await.unwrap();
    assert_eq!((&settings["carrier"], &settings["messages_number"]["carrier"]), (&json!("telnyx"), &json!("twilio")));

    world.send_until_accepted(0, "over Twilio").await;
    let candidate = world.generate(None).await.ok().unwrap();
    let saved = world.save(&candidate).await.ok().unwrap();
    assert_eq!(saved["messages_number"]["carrier"], "telnyx");
    wait_until_saved(&world, candidate["number"].as_str().unwrap()).await;
    world.send_until_accepted(0, "over Telnyx").await;
    let texts = ["over Twilio".to_owned(), "over Telnyx".to_owned()];
    world.wait_for_messages(&texts, "delivered").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_cut_over_waiting_messages_leave_from_the_new_number_and_the_old_one_brings_only_receipts() {
    let mut world = World::start(1, 2).await;
    let old = world.number.clone();
    // Sent from the old number, with receipts that come after the change.
    world.phones.set_faults(&json!([{ "on": "receipt", "kind": "late", "delay_ms": 3000, "count": 1 }])).await.unwrap();
    world.send_until_accepted(1, "from the old number").await;
    world.wait_for_messages(&["from the old number".to_owned()], "sending").await;
    // Queued before Save, and sent after it.
    world.stack.kill_service(Service::Dispatch, 0).await;
    world.send_until_accepted(0, "queued before Save").await;
    let candidate = world.generate(None).await.ok().unwrap();
    let new = candidate["number"].as_str().unwrap();
    world.save(&candidate).await.ok().unwrap();
    wait_until_saved(&world, new).await;
    let mut feed = world.mia.feed(Some(0)).await.unwrap();
    feed.wait_for("the new number", PATIENCE, |event| event.data["number"] == new).await.unwrap();
    world.stack.start_service(Service::Dispatch, 0).await.unwrap();
    world.wait_for_messages(&["queued before Save".to_owned(), "from the old number".to_owned()], "delivered").await;
    let from = |inbox: Vec<Value>| inbox[0]["from"].as_str().unwrap().to_owned();
    assert_eq!(from(world.phones.inbox(&phone(0)).await.unwrap()), new);
    assert_eq!(from(world.phones.inbox(&phone(1)).await.unwrap()), old);

    // What the carrier still brings for the old number is taken and not shown.
    let late = world.webhook_to(&old, 0, "SM00000000000000000000000000000003", 0, "to the old number");
    assert_eq!(late.send().await.unwrap().status(), 200);
    world.phones.text(&phone(0), new, "to the new number").await.unwrap();
    world.wait_for_messages(&["to the new number".to_owned()], "received").await;
    assert!(!world.messages().await.unwrap().contains_key("to the old number"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_admins_save_at_the_same_moment_one_wins_and_the_other_gets_a_clear_answer() {
    let world = World::start(2, 0).await;
    let (first, second) = (world.generate(None).await.ok().unwrap(), world.generate(None).await.ok().unwrap());
    let eve = leaseline::client::Api::at(&world.adam, &world.stack.gateway_urls[1]);
    let other = json!({ "candidate_id": second["candidate_id"] });
    let (one, two) = tokio::join!(world.save(&first), eve.call(reqwest::Method::PUT, "/v1/number", Some(&other)));
    let two = two.unwrap();
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "{} {}", one.body, two.body);
    let (winner, loser) = if one.status == 200 { (one, two) } else { (two, one) };
    let code = loser.body["code"].as_str().unwrap();
    assert!(["change_in_progress", "change_limit_reached"].contains(&code), "{}", loser.body);
    wait_until_saved(&world, winner.body["messages_number"]["number"].as_str().unwrap()).await;
    world.stop().await;
}

/// Kills the numbers service while the carrier is at one call of it: before it did anything, and after.
async fn save_survives_a_kill(carrier: CarrierName, on: &str) {
    let mut world = World::start_at(carrier, 1, 0).await;
    for kind in ["timeout_before_accept", "timeout_after_accept"] {
        let license = world.settings().await["license_id"].as_str().unwrap().to_owned();
        allow_another_change(&world, &license).await;
        let candidate = world.generate(None).await.ok().unwrap();
        let new = candidate["number"].as_str().unwrap().to_owned();
        let fault = json!([{ "on": on, "kind": kind, "delay_ms": 20_000, "count": 1 }]);
        world.phones.set_faults(&fault).await.unwrap();
        let (outside, save) = (world.outside.clone(), candidate.clone());
        let saving = tokio::spawn(async move { outside.save(&save).await });
        testkit::eventually("the call that hangs", async || {
            let left = world.phones.get("/_sim/faults").await.unwrap();
            if left["faults"].as_array().is_some_and(Vec::is_empty) { Ok(()) } else { Err(left) }
        })
        .await;
        world.stack.kill_service(Service::Numbers, 0).await;
        saving.abort();
        world.stack.start_service(Service::Numbers, 0).await.unwrap();
        wait_until_saved(&world, &new).await;
    }
    world.stop().await;
}

/// As if a month had passed.
async fn allow_another_change(world: &World, license: &str) {
    let database = world.stack.database_urls[&Service::Numbers].clone();
    let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(&database).await.unwrap();
    sqlx::query("update licenses set last_changed_at = null where license_id = $1")
        .bind(license)
        .execute(&mut connection)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_twilio_is_asked_to_sell_or_to_take_back_leaves_one_number_owned_and_assigned() {
    for on in ["buy", "release"] {
        save_survives_a_kill(CarrierName::Twilio, on).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_telnyx_is_asked_to_sell_or_to_take_back_leaves_one_number_owned_and_assigned() {
    for on in ["buy", "release"] {
        save_survives_a_kill(CarrierName::Telnyx, on).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sold_between_generate_and_save_is_a_clear_conflict_and_the_old_number_stays() {
    let world = World::start(1, 0).await;
    let candidate = world.generate(None).await.ok().unwrap();
    world.phones.set_faults(&json!([{ "on": "buy", "kind": "sold_meanwhile", "count": 1 }])).await.unwrap();
    let refused = world.save(&candidate).await;
    assert_eq!((refused.status, refused.body["code"].as_str()), (409, Some("number_taken")), "{}", refused.body);
    let settings = world.settings().await;
    assert_eq!(settings["messages_number"]["number"], world.number.as_str());
    assert!(settings["next_change_allowed_at"].is_null(), "nothing was changed: {settings}");
    // Another one can be had at once.
    let candidate = world.generate(None).await.ok().unwrap();
    world.save(&candidate).await.ok().unwrap();
    wait_until_saved(&world, candidate["number"].as_str().unwrap()).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_says_whether_its_area_code_was_to_be_had_and_a_wrong_area_code_says_what_is_wrong() {
    let world = World::start(1, 0).await;
    let empty = json!([{ "on": "search", "kind": "area_code_empty", "area_code": "907" }]);
    world.phones.set_faults(&empty).await.unwrap();
    let candidate = world.generate(Some("907")).await.ok().unwrap();
    assert_eq!(candidate["area_code_matched"], false, "{candidate}");
    for (area_code, code) in [
        ("416", "area_code_not_united_states"),
        ("800", "area_code_toll_free"),
        ("900", "area_code_premium"),
        ("199", "area_code_unknown"),
        ("41", "area_code_not_three_digits"),
    ] {
        let refused = world.generate(Some(area_code)).await;
        let problem = (refused.status, refused.body["code"].as_str(), refused.body["field"].as_str());
        assert_eq!(problem, (422, Some(code), Some("area_code")), "{}", refused.body);
    }
    world.phones.set_faults(&json!([{ "on": "search", "kind": "sold_out" }])).await.unwrap();
    let refused = world.generate(None).await;
    assert_eq!((refused.status, refused.body["code"].as_str()), (409, Some("no_numbers_available")));
    let limited = testkit::eventually("the limit", async || {
        let answer = world.generate(None).await;
        if answer.status == 429 { Ok(answer) } else { Err(answer.body) }
    })
    .await;
    assert_eq!(limited.body["code"], "generate_limit_reached");
    world.stop().await;
}
