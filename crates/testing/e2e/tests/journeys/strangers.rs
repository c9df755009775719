//! Somebody whom nobody knows texts (rule 8): kept apart, then tied to a person, or blocked.

use reqwest::Method;
use serde_json::json;

use super::world::{PATIENCE, World, phone};

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_kept_apart_until_a_manager_ties_him_and_his_messages_become_the_conversation() {
    let world = World::start(2, 1).await;
    let mut feed = world.noah.feed(None).await.unwrap();
    let (stranger, spammer) = (7, 8);
    world.text(stranger, "is the flat on Elm Street still free?").await;
    world.text(stranger, "it is Tom from the open house").await;
    world.text(spammer, "you have won").await;
    testkit::eventually("three messages are kept apart", async || {
        let page = world.mia.get("/v1/unmatched").await.map_err(|error| format!("{error:#}"))?;
        if page["items"].as_array().is_some_and(|items| items.len() == 3) { Ok(()) } else { Err(page.to_string()) }
    })
    .await;
    feed.wait_for("news of strangers", PATIENCE, |event| event.kind == "unmatched.updated").await.unwrap();
    let conversations = world.mia.get("/v1/conversations").await.unwrap();
    assert_eq!(conversations["items"], json!([]), "never shown in a conversation");

    let page = world.mia.get("/v1/unmatched").await.unwrap();
    let items = page["items"].as_array().unwrap();
    let find = |n: usize| items.iter().find(|item| item["from"] == phone(n)).unwrap()["unmatched_id"].clone();
    let block = json!({ "unmatched_id": find(spammer) });
    let blocked = world.mia.call(Method::POST, "/v1/blocked-numbers", Some(&block)).await.unwrap();
    assert_eq!(blocked.status, 201, "{}", blocked.body);
    let lead = json!({ "kind": "lead", "name": "Tom", "phones": [] });
    world.mia.put("/v1/people/tom", &lead).await.unwrap();
    let path = format!("/v1/unmatched/{}/tie", find(stranger).as_str().unwrap());
    let tied = world.mia.call(Method::POST, &path, Some(&json!({ "person_id": "tom" }))).await.unwrap().ok().unwrap();
    assert_eq!((&tied["messages"], &tied["conversation"]["people"][0]["name"]), (&json!(2), &json!("Tom")), "{tied}");
    let texts = ["is the flat on Elm Street still free?", "it is Tom from the open house"].map(str::to_owned);
    world.wait_for_messages(&texts, "received").await;
    feed.wait_for("his message", PATIENCE, |event| {
        event.kind == "message.created" && event.data["body"] == texts[1].as_str()
    })
    .await
    .unwrap();

    // He answers like everybody else; the other one is heard no more.
    world.text(spammer, "you have won again").await;
    world.text(stranger, "can I see it at five?").await;
    world.wait_for_messages(&["can I see it at five?".to_owned()], "received").await;
    let page = world.mia.get("/v1/unmatched").await.unwrap();
    assert_eq!(page["items"], json!([]), "{page}");
    world.stop().await;
}
