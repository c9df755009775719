//! The phones page: one is the tenant.

use super::world::{COMPANY_PHONE, journey, phone, shown};

#[tokio::test(flavor = "multi_thread")]
async fn on_the_phones_page_one_is_the_tenant_reads_answers_calls_goes_away_and_says_stop() {
    journey("phones", 2, async |world| {
        let conversation = world.send(0, "Welcome").await;
        let path = format!("/v1/conversations/{conversation}/messages");
        let tenant = world.hold_phone(&phone(0)).await;
        tenant.see("Welcome").await;
        tenant.write("Text", "Thank you").await;
        tenant.click("button", "Send").await;
        testkit::eventually("the answer", async || {
            let messages = world.mia.get(&path).await.unwrap();
            if messages["items"][0]["body"] == "Thank you" { Ok(()) } else { Err(messages) }
        })
        .await;
        world.send(0, "You are welcome").await;
        tenant.see("You are welcome").await;

        tenant.click("button", "Call the messages number").await;
        tenant.see(&format!("{} rings", shown(COMPANY_PHONE))).await;
        tenant.see("It is answered").await;

        tenant.click("button", "Airplane mode").await;
        tenant.see("This phone is away").await;
        world.send(0, "On the way").await;
        tenant.see("1 text waits").await;
        tenant.save_picture("phones").await;
        let status = async || world.mia.get(&path).await.unwrap()["items"][0]["status"].as_str().unwrap().to_owned();
        testkit::eventually("it is sent", async || if status().await == "sent" { Ok(()) } else { Err(()) }).await;
        assert!(tenant.count("On the way").await == 0 && world.received(0, "On the way").await == 0);
        tenant.click("button", "Airplane mode").await;
        tenant.see("On the way").await;
        testkit::eventually("it is delivered", async || if status().await == "delivered" { Ok(()) } else { Err(()) })
            .await;

        tenant.click("button", "STOP").await;
        testkit::eventually("the end of texts", async || {
            let conversation = world.mia.get(&format!("/v1/conversations/{conversation}")).await.unwrap();
            if conversation["sendable"] == false { Ok(()) } else { Err(conversation) }
        })
        .await;

        // Another phone, by its number; and one that is none.
        tenant.write("Phone number", "call me").await;
        tenant.click("button", "Open").await;
        tenant.see("This is no North American number").await;
        tenant.run("document.getElementById('other').reset();", vec![]).await;
        tenant.write("Phone number", "415.555.0101").await;
        tenant.click("button", "Open").await;
        tenant.see_a("heading", &shown(&phone(1))).await;
        world.send(1, "To the second phone").await;
        tenant.see("To the second phone").await;
    })
    .await;
}
