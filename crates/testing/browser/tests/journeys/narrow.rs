//! On a phone's screen.

use super::world::{journey, phone};

#[tokio::test(flavor = "multi_thread")]
async fn at_360_pixels_nothing_needs_scrolling_sideways_and_a_text_is_sent() {
    journey("narrow", 3, async |world| {
        let long = "A-word-that-nobody-would-write-and-that-has-no-place-to-break-because-it-is-one-word-only";
        world.send(0, &format!("Welcome. {long}")).await;
        world.text(1, "An answer that is long enough to need more than one line on a narrow screen").await;
        let adam = world.sign_in("Adam Admin").await;
        adam.look(360, 740, false).await;
        let check = async |state: &str| {
            assert!(!adam.is_too_wide().await, "{state} is wider than the window");
            adam.save_picture(&format!("narrow-{state}")).await;
        };
        adam.see_a("row", "Tenant 0").await;
        check("list").await;
        adam.click("row", "Tenant 0").await;
        adam.see_a("heading", "Tenant 0").await;
        adam.write("Text", "From a small screen").await;
        check("thread").await;
        adam.click("button", "Attach a file").await;
        adam.write("Address of a picture or file", &format!("https://example.com/{long}.jpg")).await;
        adam.click("button", "Attach").await;
        adam.see_a("button", &format!("Remove {long}.jpg")).await;
        adam.click("button", "Send later").await;
        adam.see("Send at once instead").await;
        check("attachment").await;
        adam.click("button", "Send at once instead").await;
        adam.click("button", &format!("Remove {long}.jpg")).await;
        adam.click("button", "Send").await;
        world.arrives_once(0, "From a small screen").await;
        adam.click("button", "Back to the conversations").await;
        adam.see_a("row", "Tenant 1").await;
        adam.click("button", "Text Message").await;
        adam.see_a("dialog", "Text Message").await;
        check("text-message").await;
        adam.click("button", "Close").await;
        adam.click("link", "Settings").await;
        adam.see("Messages Phone Number").await;
        check("settings").await;

        let tenant = world.hold_phone(&phone(0)).await;
        tenant.look(360, 740, false).await;
        tenant.see("From a small screen").await;
        assert!(!tenant.is_too_wide().await, "the phones page is wider than the window");
    })
    .await;
}
