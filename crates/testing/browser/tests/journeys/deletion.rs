//! A conversation is deleted.

use super::world::journey;

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_is_deleted_only_with_the_word_typed_and_goes_from_every_window() {
    const MENU: &str = "What to do with this conversation";
    journey("deletion", 2, async |world| {
        world.send(0, "To be erased").await;
        world.send(1, "To be kept").await;
        let (mia, noah) = (world.sign_in("Mia Manager").await, world.sign_in("Noah Manager").await);
        for window in [&mia, &noah] {
            window.click("row", "Tenant 0").await;
            window.see_a("heading", "Tenant 0").await;
        }
        // A stray Enter cancels: the safe answer has the focus.
        mia.choose(MENU, "Delete Conversation…").await;
        mia.see_a("dialog", "Delete this conversation?").await;
        mia.save_picture("delete-conversation").await;
        mia.press(fantoccini::key::Key::Enter).await;
        mia.see_no("Delete this conversation?").await;
        // Neither does the button, before the word is there.
        mia.choose(MENU, "Delete Conversation…").await;
        mia.write("To go on, type", "delet").await;
        let disabled = "return [...document.querySelectorAll('dialog button')].find((button) => button.innerText === 'Delete Conversation').disabled;";
        assert_eq!(mia.run(disabled, vec![]).await, true);
        mia.see("To be erased").await;
        mia.write("To go on, type", "e").await;
        mia.click("button", "Delete Conversation").await;
        for window in [&mia, &noah] {
            window.see_no("To be erased").await;
            window.see("To be kept").await;
            assert!(!window.is_there("row", "Tenant 0").await);
        }
    })
    .await;
}
