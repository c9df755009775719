//! Rule 15: what happens shows on every client, in order, without a gap and without a double.

use std::time::Duration;

use leaseline::client::Api;
use leaseline::stack::Service;
use reqwest::Method;

use super::world::{PATIENCE, World, take_in_sequence};

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_has_no_gap_and_no_double_across_a_reconnect_a_gateway_restart_and_lost_pushes() {
    let mut world = World::start(1, 2).await;
    let start = world.head().await;
    let mut steady = world.follow(start);

    // A client's reconnect: it comes back with the last position it has.
    world.send_until_accepted(0, "one").await;
    world.wait_for_messages(&["one".to_owned()], "delivered").await;
    let mut client = world.mia.feed(Some(start)).await.unwrap();
    let first = client.next().await.unwrap().unwrap();
    assert_eq!(first.seq, start + 1);
    drop(client);
    let mut again = world.follow(first.seq);

    // A gateway restart.
    world.stack.kill_service(Service::Gateway, 0).await;
    world.text(1, "two").await;
    world.stack.start_service(Service::Gateway, 0).await.unwrap();
    world.wait_for_messages(&["two".to_owned()], "received").await;

    // Lost pushes: NATS is cut while changes are committed; the gateway finds out by comparing heads.
    world.nats.shut();
    for n in 0..3 {
        let person = serde_json::json!({ "kind": "lead", "name": format!("New {n}"), "phones": [] });
        world.mia.put(&format!("/v1/people/n{n}"), &person).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    world.nats.open();
    world.send_until_accepted(1, "three").await;
    world.wait_for_messages(&["three".to_owned()], "delivered").await;

    let head = world.head().await;
    take_in_sequence(&mut steady, start, head).await;
    take_in_sequence(&mut again, first.seq, head).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_client_ever_receives_another_licenses_event() {
    let world = World::start(1, 1).await;
    let gateway = &world.stack.gateway_urls[0];
    let other = Api::new(gateway, &world.signer.sign("other", "manager", "eve", "Eve").unwrap());
    let mut feed = other.feed(None).await.unwrap();
    world.send_until_accepted(0, "private").await;
    world.wait_for_messages(&["private".to_owned()], "delivered").await;
    let person = serde_json::json!({ "kind": "lead", "name": "Own", "phones": [] });
    other.put("/v1/people/own", &person).await.unwrap();
    let first = feed.next().await.unwrap().unwrap();
    assert_eq!((first.seq, first.kind.as_str()), (1, "person.updated"), "the first thing it sees is its own");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_the_settings_open_hears_that_quiet_hours_were_changed() {
    let world = World::start(1, 0).await;
    let mut feed = world.noah.feed(None).await.unwrap();
    let hours = serde_json::json!({ "from": "21:00", "until": "08:00" });
    for expected in [hours.clone(), serde_json::Value::Null] {
        if expected.is_null() {
            world.adam.call(Method::DELETE, "/v1/settings/quiet-hours", None).await.unwrap().ok().unwrap();
        } else {
            world.adam.put("/v1/settings/quiet-hours", &hours).await.unwrap();
        }
        feed.wait_for("the settings", PATIENCE, |event| event.kind == "company.updated").await.unwrap();
        assert_eq!(world.noah.get("/v1/settings").await.unwrap()["quiet_hours"], expected);
    }
    world.stop().await;
}
