//! A person's number changes.

use serde_json::json;

use super::world::{journey, phone, shown};

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_conversation_says_why_and_leads_to_the_new_one() {
    journey("read-only", 1, async |world| {
        let old = world.send(0, "To the old number").await;
        let mia = world.sign_in("Mia Manager").await;
        mia.click("row", "Tenant 0").await;
        mia.see_a("textbox", "Text").await;
        // While it is open.
        let person = json!({ "kind": "tenant", "name": "Tenant 0", "phones": [phone(7)] });
        world.mia.put("/v1/people/t0", &person).await.unwrap();
        mia.see("Read-only").await;
        assert_ne!(world.send(0, "To the new number").await, old);
        mia.see_a("link", "Go on in the newer conversation").await;
        assert!(!mia.is_there("textbox", "Text").await);
        mia.save_picture("read-only").await;
        mia.click("link", "Go on in the newer conversation").await;
        mia.see(&shown(&phone(7))).await;
        mia.see("To the new number").await;
        mia.see_a("textbox", "Text").await;
        mia.click("link", "Read the earlier conversation").await;
        mia.see("To the old number").await;
    })
    .await;
}
