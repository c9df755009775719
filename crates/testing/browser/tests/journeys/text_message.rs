//! One text to many.

use serde_json::json;

use super::world::{journey, phone, shown};

#[tokio::test(flavor = "multi_thread")]
async fn a_text_message_to_many_is_previewed_sent_and_followed_and_its_rest_can_be_stopped() {
    journey("text-message", 12, async |world| {
        // One of them wants no texts: the preview says so.
        world.send(11, "Hello").await;
        world.arrives_once(11, "Hello").await;
        world.text(11, "STOP").await;
        let mia = world.sign_in("Mia Manager").await;
        mia.click("button", "Text Message").await;
        mia.see_a("dialog", "Text Message").await;
        mia.see("Nobody sees who else got it").await;
        mia.see(&shown(&phone(2))).await;
        mia.click("button", "Choose all shown").await;
        mia.write("Text", "The water is off on Monday").await;
        mia.click("button", "Preview").await;
        mia.see("Tenant 11").await;
        mia.see("11 messages").await;
        mia.save_picture("text-message-preview").await;
        mia.click("button", "Send").await;
        for n in 0..11 {
            world.arrives_once(n, "The water is off on Monday").await;
        }
        mia.see("11 delivered").await;
        mia.save_picture("text-message-progress").await;
        assert_eq!(world.received(11, "The water is off on Monday").await, 0);

        // The carrier takes nothing for now: what waits can be stopped.
        world.phones.set_faults(&json!([{ "on": "send", "kind": "http_429" }])).await.unwrap();
        mia.click("button", "Write another one").await;
        mia.see(&shown(&phone(2))).await;
        mia.click("button", "Choose all shown").await;
        mia.write("Text", "It is on again").await;
        mia.click("button", "Preview").await;
        mia.see("11 messages").await;
        mia.click("button", "Send").await;
        mia.click("button", "Stop what is not sent…").await;
        mia.see_a("dialog", "Stop this send?").await;
        mia.click("button", "Stop it").await;
        mia.see("Mia Manager stopped it").await;
        mia.see("11 stopped").await;
        world.phones.set_faults(&json!([])).await.unwrap();
        world.send(0, "This one goes").await;
        world.arrives_once(0, "This one goes").await;
        for n in 0..11 {
            assert_eq!(world.received(n, "It is on again").await, 0);
        }
    })
    .await;
}
