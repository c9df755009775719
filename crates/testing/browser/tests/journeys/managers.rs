//! Two managers in two windows.

use super::world::{journey, phone, shown};

#[tokio::test(flavor = "multi_thread")]
async fn two_managers_see_each_others_texts_the_answer_and_the_delivery_without_a_refresh() {
    journey("two-managers", 2, async |world| {
        world.send(0, "Welcome").await;
        let (mia, noah) = (world.sign_in("Mia Manager").await, world.sign_in("Noah Manager").await);
        for window in [&mia, &noah] {
            window.click("row", "Tenant 0").await;
            window.see_a("heading", "Tenant 0").await;
            window.see(&shown(&phone(0))).await;
        }
        mia.write("Text", "The plumber comes at nine").await;
        mia.click("button", "Send").await;
        noah.see("The plumber comes at nine").await;
        noah.see("Mia Manager").await;
        for window in [&mia, &noah] {
            window.see("Delivered").await;
        }
        world.arrives_once(0, "The plumber comes at nine").await;

        noah.write("Text", "And the painter at ten").await;
        noah.click("button", "Send").await;
        mia.see("Noah Manager").await;
        world.text(0, "Thank you both").await;
        for window in [&mia, &noah] {
            window.see("And the painter at ten").await;
            window.see("Thank you both").await;
            assert!(window.count("And the painter at ten").await >= 1);
        }
        // Somebody else writes: the list shows it, unread, until it is opened.
        world.text(1, "Is anybody there?").await;
        for window in [&mia, &noah] {
            window.see("Is anybody there?").await;
        }
        // Whoever hears the list hears it in the order in which it shows.
        let heard = "return [...document.querySelectorAll('[role=option]')].map((each) => each.innerText);";
        let rows = mia.run(heard, vec![]).await;
        assert!(rows[0].as_str().is_some_and(|row| row.contains("Tenant 1")), "{rows}");
        mia.save_picture("messages-light").await;
        noah.look(1280, 800, true).await;
        noah.save_picture("messages-dark").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pressed_in_the_list_opens_also_when_the_list_moves_meanwhile() {
    journey("moving-list", 2, async |world| {
        world.send(0, "To the second place").await;
        world.arrives_once(0, "To the second place").await;
        world.send(1, "To the first place").await;
        let (mia, noah) = (world.sign_in("Mia Manager").await, world.sign_in("Noah Manager").await);
        mia.see("To the first place").await;
        mia.press_mouse_on("row", "Tenant 0").await;
        world.text(0, "This moves me up").await;
        noah.see("This moves me up").await;
        // What a window shows a frame after another one is shown now.
        mia.run_long("const [done] = arguments; requestAnimationFrame(() => requestAnimationFrame(done));").await;
        mia.release_mouse().await;
        mia.see_a("heading", "Tenant 0").await;
        mia.see_messages(&["To the second place", "This moves me up"]).await;
        let first =
            "return document.querySelector('[role=option][aria-posinset=\"1\"]').innerText.includes('Tenant 0');";
        mia.see_that("the list has moved", first).await;
    })
    .await;
}
