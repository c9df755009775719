//! Without a mouse.

use fantoccini::key::Key;

use super::world::{journey, shown};

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

#[tokio::test(flavor = "multi_thread")]
async fn a_text_to_many_is_sent_with_the_keyboard_alone() {
    journey("keyboard-many", 3, async |world| {
        let mia = world.sign_in("Mia Manager").await;
        mia.tab_to("button", "Text Message").await;
        mia.press(Key::Enter).await;
        mia.see_a("dialog", "Text Message").await;
        // One begins where people are looked for. The list is one stop: the arrow keys move in it, space chooses.
        mia.see_focus("searchbox", "Search people by name").await;
        mia.see_a("checkbox", "Tenant 2").await;
        mia.tab_to("checkbox", "Tenant 0").await;
        mia.type_text(" ").await;
        mia.press(Key::Down).await;
        mia.press(Key::Down).await;
        mia.type_text(" ").await;
        mia.see("2 people chosen").await;
        mia.tab_to("textbox", "Text").await;
        mia.type_text("Chosen by keys").await;
        mia.tab_to("button", "Preview").await;
        mia.press(Key::Enter).await;
        mia.see_focus("button", "Send 2 messages").await;
        mia.press(Key::Enter).await;
        mia.see("2 delivered").await;
        for n in [0, 2] {
            world.arrives_once(n, "Chosen by keys").await;
        }
        assert_eq!(world.received(1, "Chosen by keys").await, 0);
        mia.press(Key::Escape).await;
        mia.see_focus("button", "Text Message").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_messages_number_is_changed_with_the_keyboard_alone() {
    journey("keyboard-number", 0, async |world| {
        let adam = world.sign_in("Adam Admin").await;
        adam.tab_to("link", "Settings").await;
        adam.press(Key::Enter).await;
        adam.see(&shown(&world.number)).await;
        adam.tab_to("button", "What can be done with the messages number").await;
        adam.press(Key::Enter).await;
        adam.see_focus("menuitem", "Generate a number…").await;
        adam.press(Key::Enter).await;
        adam.see_focus("textbox", "Area code").await;
        adam.type_text("212").await;
        adam.press(Key::Enter).await;
        adam.see("(212) ").await;
        adam.see_focus("button", "Save").await;
        adam.press(Key::Enter).await;
        adam.see("It can be changed again from").await;
        adam.see_no(&shown(&world.number)).await;
        let settings = world.adam.get("/v1/settings").await.unwrap();
        assert!(settings["messages_number"]["number"].as_str().unwrap().starts_with("+1212"), "{settings}");
        adam.see_focus("button", "What can be done with the messages number").await;
    })
    .await;
}
