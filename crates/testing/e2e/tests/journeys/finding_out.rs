//! Rule 16, through all services: what the carrier did with a message is found out before it is sent again.

use std::time::Duration;

use domain::CarrierName;
use reqwest::Method;
use serde_json::{Value, json};

use super::world::World;

impl World {
    async fn send_to(&self, n: usize, body: &str) -> String {
        let sent = self.mia.send("k", &[json!({ "person_id": format!("t{n}") })], body).await.unwrap();
        assert_eq!(sent.status, 202, "{}", sent.body);
        sent.body["messages"][0]["message_id"].as_str().unwrap().to_owned()
    }

    async fn until(&self, message_id: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let path = format!("/v1/messages/{message_id}");
        let ask = async || {
            let message = self.mia.get(&path).await.unwrap();
            if is_so(&message) { Ok(message) } else { Err(message) }
        };
        tokio::time::timeout(Duration::from_secs(40), async {
            loop {
                match ask().await {
                    Ok(message) => return message,
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
        })
        .await
        .unwrap_or_else(|_| panic!("never {what}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_found_out_without_receipts_and_one_message_leads_to_one_text() {
    for (fault, body) in [("http_500_after_accept", "taken"), ("http_500", "not taken")] {
        let world = World::start(1, 1).await;
        let faults = json!([
            { "on": "send", "kind": fault, "count": 1 }, { "on": "receipt", "kind": "lost" },
        ]);
        world.phones.set_faults(&faults).await.unwrap();
        let message_id = world.send_to(0, body).await;
        let waiting = world.until(&message_id, "unknown", |message| message["status"] == "unknown").await;
        assert_eq!(waiting["waiting"]["reason"], "being_confirmed", "{waiting}");
        world.until(&message_id, "delivered", |message| message["status"] == "delivered").await;
        assert_eq!(world.received(0, body).await, 1, "{body}");
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_can_find_out_is_a_managers_decision_and_sending_it_again_is_a_new_message() {
    let world = World::start_at(CarrierName::Telnyx, 1, 1).await;
    world.phones.set_faults(&json!([{ "on": "send", "kind": "http_500", "count": 1 }])).await.unwrap();
    let old = world.send_to(0, "the key is with the neighbor").await;
    let again = format!("/v1/messages/{old}/send-again");
    world.until(&old, "unknown", |message| message["status"] == "unknown").await;
    let early = world.noah.call(Method::POST, &again, None).await.unwrap();
    assert_eq!((early.status, &early.body["code"]), (409, &json!("message_may_arrive")));
    let over = world.until(&old, "given up", |message| message["error"]["code"] == "not_confirmed").await;
    assert_eq!((&over["status"], &over["waiting"]), (&json!("unknown"), &Value::Null));
    assert_eq!(world.received(0, "the key is with the neighbor").await, 0);

    let new = world.noah.call(Method::POST, &again, None).await.unwrap();
    let new = new.body["messages"][0]["message_id"].as_str().unwrap();
    world.until(new, "delivered", |message| message["status"] == "delivered").await;
    assert_eq!(world.received(0, "the key is with the neighbor").await, 1);
    assert_eq!(world.mia.get(&format!("/v1/messages/{old}")).await.unwrap()["sent_again_as"], new);
    world.stop().await;
}
