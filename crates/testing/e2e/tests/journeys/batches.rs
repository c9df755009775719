//! A text to many: separate messages, filled in for each, and what is not yet sent can be stopped. A text for later.

use chrono::{TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};

use super::world::{PATIENCE, World, phone};

fn people(range: std::ops::Range<usize>) -> Vec<Value> {
    range.map(|n| json!({ "person_id": format!("t{n}") })).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_goes_out_as_separate_messages_as_its_preview_says_and_shows_its_progress() {
    const BODY: &str = "Hi {{person.first_name}}, no water tomorrow. {{company.name}}";
    let world = World::start(2, 5).await;
    world
        .mia
        .put("/v1/people/ana", &json!({ "kind": "tenant", "name": "Ana Ruiz", "phones": [phone(40)] }))
        .await
        .unwrap();
    world
        .mia
        .put("/v1/people/bea", &json!({ "kind": "owner", "name": "Bea Ruiz", "phones": [phone(40)] }))
        .await
        .unwrap();
    let mut recipients = people(0..5);
    // One that nobody knows, and two who share a number.
    recipients.extend(["nobody", "ana", "bea"].map(|id| json!({ "person_id": id })));
    let request = json!({ "recipients": recipients, "body": BODY });
    let preview = world.mia.call(Method::POST, "/v1/messages/preview", Some(&request)).await.unwrap().ok().unwrap();
    let mut feed = world.noah.feed(None).await.unwrap();
    let sent = world.mia.send("batch", &recipients, BODY).await.unwrap().ok().unwrap();

    let codes = |answer: &Value| -> Vec<String> {
        answer["rejected"].as_array().unwrap().iter().map(|each| each["code"].as_str().unwrap().to_owned()).collect()
    };
    let bodies = |answer: &Value| -> Vec<String> {
        answer["messages"].as_array().unwrap().iter().map(|each| each["body"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(codes(&preview), ["person_not_found", "duplicate_recipient"]);
    assert_eq!((codes(&sent), bodies(&sent)), (codes(&preview), bodies(&preview)), "the preview tells the truth");
    assert_eq!((&preview["duplicates"], &preview["segments"]), (&json!(1), &json!(6)));
    assert_eq!(
        bodies(&sent)[5],
        "Hi Ana, no water tomorrow. Journey Homes",
        "of two with one number, the first one named"
    );

    let batch = sent["batch_id"].as_str().unwrap().to_owned();
    let done = feed
        .wait_for("the end of the batch", PATIENCE, |event| {
            event.kind == "batch.updated" && event.data["counts"]["delivered"] == 6
        })
        .await
        .unwrap();
    let shown = world.noah.get(&format!("/v1/batches/{batch}")).await.unwrap();
    let mut told = done.data;
    for only_here in ["finish_at", "held_by"] {
        told[only_here] = Value::Null;
    }
    assert_eq!(shown, told, "the feed and the call show the same");
    for n in [0, 1, 2, 3, 4, 40] {
        let inbox = world.phones.inbox(&phone(n)).await.unwrap();
        assert_eq!(inbox.len(), 1, "one message a distinct number: {inbox:?}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_yet_sent_of_a_canceled_batch_reaches_no_phone() {
    const PEOPLE: usize = 20;
    let world = World::start(2, PEOPLE).await;
    world.phones.set_faults(&json!([{ "on": "send", "kind": "http_429" }])).await.unwrap();
    let sent = world.mia.send("batch", &people(0..PEOPLE), "never to be read").await.unwrap().ok().unwrap();
    let path = format!("/v1/batches/{}/cancel", sent["batch_id"].as_str().unwrap());
    let canceled = world.noah.call(Method::POST, &path, None).await.unwrap();
    assert_eq!(canceled.status, 202, "{}", canceled.body);
    assert_eq!(canceled.body["canceled_by"]["name"], "Noah Manager");
    let batch = format!("/v1/batches/{}", sent["batch_id"].as_str().unwrap());
    testkit::eventually("all are canceled", async || {
        let shown = world.mia.get(&batch).await.map_err(|error| format!("{error:#}"))?;
        if shown["counts"] == json!({ "canceled": PEOPLE }) { Ok(()) } else { Err(shown.to_string()) }
    })
    .await;
    world.phones.set_faults(&json!([])).await.unwrap();
    world.send_until_accepted(0, "this one goes").await;
    world.wait_for_messages(&["this one goes".to_owned()], "delivered").await;
    for n in 0..PEOPLE {
        assert_eq!(world.received(n, "never to be read").await, 0);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_text_goes_out_once_when_it_is_due_to_those_who_still_want_it() {
    let world = World::start(2, 2).await;
    // A conversation for the word STOP to show in.
    world.send_until_accepted(1, "hello").await;
    world.wait_for_messages(&["hello".to_owned()], "delivered").await;
    let mut feed = world.noah.feed(None).await.unwrap();
    let send_at = Utc::now() + TimeDelta::seconds(4);
    let request = json!({ "recipients": people(0..2), "body": "rent is due, {{person.name}}", "send_at": send_at });
    let accepted = world.mia.call(Method::POST, "/v1/messages", Some(&request)).await.unwrap();
    assert_eq!((accepted.status, &accepted.body["messages"]), (202, &json!([])), "{}", accepted.body);
    let id = accepted.body["scheduled"]["scheduled_id"].as_str().unwrap().to_owned();
    let listed = world.noah.get("/v1/scheduled").await.unwrap();
    assert_eq!(listed["items"][0]["scheduled_id"], json!(id));
    world.text(1, "STOP").await;

    let ended = feed
        .wait_for("the end of the scheduled send", PATIENCE, |event| {
            event.kind == "scheduled.updated" && event.data["status"] == "sent"
        })
        .await
        .unwrap();
    assert_eq!(ended.data["rejected"][0]["code"], "recipient_opted_out", "{}", ended.data);
    world.wait_for_messages(&["rent is due, Tenant 0".to_owned()], "delivered").await;
    let inbox = world.phones.inbox(&phone(0)).await.unwrap();
    assert_eq!(inbox.len(), 1, "{inbox:?}");
    assert!(inbox[0]["received_at"].as_str().unwrap().parse::<chrono::DateTime<Utc>>().unwrap() >= send_at);
    assert_eq!(world.received(1, "rent is due, Tenant 1").await, 0);
    world.stop().await;
}
