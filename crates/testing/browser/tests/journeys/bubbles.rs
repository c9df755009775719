//! What a thread says of a text that did not simply arrive, and what stands between the texts.

use std::time::SystemTime;

use http::Method;
use serde_json::json;

use super::world::{World, journey, phone};

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_did_not_arrive_says_why_in_words_and_is_sent_again_by_its_button() {
    journey("not-delivered", 1, async |world| {
        let fault = json!([{ "on": "receipt", "kind": "undelivered", "count": 1 }]);
        world.phones.set_faults(&fault).await.unwrap();
        world.send(0, "The key is at the desk").await;
        let mia = world.sign_in("Mia Manager").await;
        // The list tells it to those who do not open it.
        mia.see("Not delivered").await;
        mia.click("row", "Tenant 0").await;
        mia.see("Not delivered. The phone was off or out of reach.").await;
        assert_eq!(world.received(0, "The key is at the desk").await, 0);
        mia.save_picture("not-delivered").await;
        mia.click("button", "Send again").await;
        mia.see("Delivered").await;
        mia.see_a("button", "Sent again").await;
        assert!(!mia.is_there("button", "Send again").await, "once is enough");
        assert_eq!(mia.messages().await.len(), 2);
        world.arrives_once(0, "The key is at the desk").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_of_which_nobody_knows_says_that_it_is_being_found_out_and_then_that_it_arrived() {
    journey("unknown", 1, async |world| {
        world.text(0, "Hello?").await;
        let mia = world.sign_in("Mia Manager").await;
        mia.click("row", "Tenant 0").await;
        // The carrier takes it, but its answer and its receipts are lost, and its list has it only later.
        let faults = json!([
            { "on": "send", "kind": "timeout_after_accept", "count": 1, "delay_ms": 1500 },
            { "on": "receipt", "kind": "lost" },
            { "on": "list", "kind": "stale", "delay_ms": 6000 },
        ]);
        world.phones.set_faults(&faults).await.unwrap();
        mia.write("Text", "Did you get the lease?").await;
        mia.click("button", "Send").await;
        mia.see("We are finding out whether it arrived").await;
        assert!(!mia.is_there("button", "Send again").await, "nobody may send twice what may have arrived");
        mia.save_picture("being-confirmed").await;
        mia.see("Delivered").await;
        mia.see_no("We are finding out whether it arrived").await;
        mia.see_messages(&["Hello?", "Did you get the lease?"]).await;
        world.arrives_once(0, "Did you get the lease?").await;
    })
    .await;
}

/// Makes it night where the phones are: quiet hours from six hours ago to six hours ahead, there.
async fn make_night(world: &World) {
    let hours = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a time after 1970").as_secs() / 3600;
    // In California, winter or summer.
    let clock = |offset: u64| format!("{:02}:00", (hours + 24 - 8 + offset) % 24);
    let quiet = json!({ "from": clock(18), "until": clock(6) });
    world.adam.put("/v1/settings/quiet-hours", &quiet).await.expect("the quiet hours are set");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_to_many_at_night_says_why_and_until_when_it_waits_and_that_it_was_stopped() {
    journey("quiet-hours", 2, async |world| {
        make_night(world).await;
        let recipients = [json!({ "person_id": "t0" }), json!({ "person_id": "t1" })];
        let sent = world.mia.send("a-batch", &recipients, "The water is off").await.unwrap().ok().unwrap();
        let mia = world.sign_in("Mia Manager").await;
        mia.click("row", "Tenant 0").await;
        mia.see("Waits for the morning: it is night where the recipient is, until about").await;
        mia.save_picture("waiting").await;
        // Answers to one person never wait for the morning.
        mia.write("Text", "Sorry, I meant tomorrow").await;
        mia.click("button", "Send").await;
        world.arrives_once(0, "Sorry, I meant tomorrow").await;

        let path = format!("/v1/batches/{}/cancel", sent["batch_id"].as_str().unwrap());
        world.adam.call(Method::POST, &path, None).await.unwrap().ok().unwrap();
        mia.see("Canceled").await;
        mia.see_no("Waits for the morning").await;
        assert_eq!(world.received(0, "The water is off").await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_start_and_calls_stand_as_lines_between_the_texts() {
    journey("lines", 1, async |world| {
        world.send(0, "Welcome").await;
        world.arrives_once(0, "Welcome").await;
        let mia = world.sign_in("Mia Manager").await;
        mia.click("row", "Tenant 0").await;
        mia.see_messages(&["Welcome"]).await;
        world.phones.call(&phone(0), &world.number, "answered").await.unwrap();
        mia.see("talked 30 s").await;
        world.phones.call(&phone(0), &world.number, "no_answer").await.unwrap();
        mia.see("nobody answered").await;

        world.text(0, "STOP").await;
        mia.see("STOP came from this phone: no more texts are sent to it").await;
        mia.see("Nothing can be sent until texts are welcome again").await;
        assert!(!mia.is_there("textbox", "Text").await);
        mia.save_picture("lines").await;
        world.text(0, "START").await;
        mia.see("START came from this phone: texts are welcome again").await;
        mia.see_a("textbox", "Text").await;
        // A window that is opened now has the same lines.
        let noah = world.sign_in("Noah Manager").await;
        noah.click("row", "Tenant 0").await;
        for line in ["STOP came from this phone", "START came from this phone", "talked 30 s", "nobody answered"] {
            noah.see(line).await;
        }
    })
    .await;
}
