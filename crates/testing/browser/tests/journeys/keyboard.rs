//! Without a mouse.

use fantoccini::key::Key;

use super::world::journey;

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_written_and_sent_with_the_keyboard_alone() {
    journey("keyboard", 2, async |world| {
        world.send(0, "Welcome").await;
        world.send(1, "Hello").await;
        let mia = world.sign_in("Mia Manager").await;
        mia.see_a("row", "Tenant 0").await;
        mia.tab_to("searchbox", "Search people, numbers and messages").await;
        mia.type_text("Tenant 0").await;
        mia.see("1 conversation").await;
        mia.press(Key::Down).await;
        mia.press(Key::Enter).await;
        mia.see_a("heading", "Tenant 0").await;
        mia.tab_to("textbox", "Text").await;
        mia.type_text("Without a mouse").await;
        mia.press(Key::Enter).await;
        mia.see("Without a mouse").await;
        world.arrives_once(0, "Without a mouse").await;
        mia.see("Delivered").await;

        // A dialog holds the focus, Escape closes it, and what had the focus has it again.
        mia.tab_to("button", "What to do with this conversation").await;
        mia.press(Key::Enter).await;
        mia.see_a("menuitem", "Delete Conversation…").await;
        mia.press(Key::Escape).await;
        let focused = "return document.activeElement.getAttribute('aria-label');";
        assert_eq!(mia.run(focused, vec![]).await, "What to do with this conversation");
    })
    .await;
}
