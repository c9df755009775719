//! Numbers that cannot receive texts, and a text over the second carrier.

use domain::CarrierName;
use serde_json::json;

use super::world::{World, phone};

#[tokio::test(flavor = "multi_thread")]
async fn a_text_goes_out_and_the_answer_comes_in_over_telnyx_and_stop_is_the_carriers_word() {
    let world = World::start_at(CarrierName::Telnyx, 1, 2).await;
    let text = " Hello “Ana” — 3 pm? 🔧\n50% & more ";
    world.send_until_accepted(0, text).await;
    world.wait_for_messages(&[text.to_owned()], "delivered").await;
    assert_eq!(world.received(0, text).await, 1, "one message leads to one text, with every character");
    world.text(0, " Fine! 👍 ").await;
    world.wait_for_messages(&[" Fine! 👍 ".to_owned()], "received").await;

    // The carrier's answer is lost: the receipt settles it, and nothing is sent twice.
    let lost = json!([{ "on": "send", "kind": "http_500_after_accept", "count": 1 }]);
    world.phones.set_faults(&lost).await.unwrap();
    world.send_until_accepted(1, "once").await;
    world.wait_for_messages(&["once".to_owned()], "delivered").await;
    assert_eq!(world.received(1, "once").await, 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_receive_sms_is_refused_before_the_first_send_and_from_then_on_at_once() {
    for carrier in [CarrierName::Twilio, CarrierName::Telnyx] {
        let world = World::start_at(carrier, 1, 1).await;
        let landline = json!([{ "on": "lookup", "kind": "landline", "to": phone(0) }]);
        world.phones.set_faults(&landline).await.unwrap();
        let message = world.send_until_accepted(0, "to a landline").await;
        world.wait_for_messages(&["to a landline".to_owned()], "failed").await;
        let id = message["message_id"].as_str().unwrap();
        let failed = world.mia.get(&format!("/v1/messages/{id}")).await.unwrap();
        assert_eq!(failed["error"]["code"], "cannot_receive_sms", "{failed}");
        assert_eq!(world.received(0, "to a landline").await, 0);

        let conversation = message["conversation_id"].as_str().unwrap();
        let shown = world.noah.get(&format!("/v1/conversations/{conversation}")).await.unwrap();
        assert_eq!((&shown["sendable"], &shown["reason"]), (&json!(false), &json!("cannot_receive_sms")), "{shown}");
        let refused = world.mia.send("again", &[json!({ "person_id": "t0" })], "again").await.unwrap();
        assert_eq!((refused.status, refused.body["code"].as_str()), (409, Some("cannot_receive_sms")));
        world.stop().await;
    }
}
