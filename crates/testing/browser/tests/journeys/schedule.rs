//! A text for later.

use http::Method;
use serde_json::json;

use super::window::Window;
use super::world::journey;

async fn schedule(window: &Window, body: &str) {
    window.write("Text", body).await;
    window.click("button", "Send later").await;
    window.see("Send at (your time").await;
    window.click("button", "Schedule").await;
    window.see("Scheduled: ").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_for_later_shows_as_waiting_is_changed_or_canceled_and_goes_when_its_time_comes() {
    journey("schedule", 1, async |world| {
        world.send(0, "Welcome").await;
        world.arrives_once(0, "Welcome").await;
        let (mia, noah) = (world.sign_in("Mia Manager").await, world.sign_in("Noah Manager").await);
        for window in [&mia, &noah] {
            window.click("row", "Tenant 0").await;
            window.see_messages(&["Welcome"]).await;
        }
        // The one shows in both windows, and either manager may cancel it.
        schedule(&mia, "Nobody reads this").await;
        noah.see("Nobody reads this").await;
        noah.click("button", "Cancel the text of").await;
        for window in [&mia, &noah] {
            window.see_no("Nobody reads this").await;
        }
        // The other one is changed, with its length shown as in the composer.
        schedule(&mia, "The rent is due").await;
        noah.see("The rent is due").await;
        mia.save_picture("scheduled").await;
        noah.click("button", "Change the text of").await;
        noah.see_a("dialog", "Change a scheduled text").await;
        noah.write("Text", " tomorrow").await;
        noah.see("1 segment").await;
        noah.save_picture("scheduled-change").await;
        noah.click("button", "Save").await;
        for window in [&mia, &noah] {
            window.see("The rent is due tomorrow").await;
            window.see_messages(&["Welcome"]).await;
        }
        assert_eq!(world.received(0, "The rent is due tomorrow").await, 0);

        // The field knows minutes: the time comes in two seconds by the API.
        let scheduled = world.mia.get("/v1/scheduled").await.unwrap();
        let path = format!("/v1/scheduled/{}", scheduled["items"][0]["scheduled_id"].as_str().unwrap());
        let soon = mia.run("return new Date(Date.now() + 2000).toISOString();", vec![]).await;
        world.mia.call(Method::PATCH, &path, Some(&json!({ "send_at": soon }))).await.unwrap().ok().unwrap();
        world.arrives_once(0, "The rent is due tomorrow").await;
        for window in [&mia, &noah] {
            window.see_messages(&["Welcome", "The rent is due tomorrow"]).await;
            window.see("Delivered").await;
            assert!(!window.is_there("button", "Change the text of").await, "it waits no more");
        }
        assert_eq!(world.received(0, "Nobody reads this").await, 0);
    })
    .await;
}
