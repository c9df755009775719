//! A license with ten thousand conversations.

use std::time::Duration;

use fantoccini::key::Key;
use serde_json::json;

use super::world::journey;

const CONVERSATIONS: u64 = 10_000;
/// Of the one with the first message, which stands last in the list.
const LAST: &str = "Ana Torres 0";
const FRAMES: u32 = 300;

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_conversations_scroll_smoothly_and_only_what_is_visible_is_in_the_page() {
    journey("many", 0, async |world| {
        let number = world.seed(CONVERSATIONS).await;
        let sam = world.sign_in("Sam Manager").await;
        sam.see_a("row", &format!("Patel {}", CONVERSATIONS - 1)).await;
        sam.tab_to("listbox", "Conversations").await;
        let to_the_end = async {
            while !sam.is_there("row", LAST).await {
                sam.press(Key::End).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), to_the_end).await.expect("the End key reaches the last one");
        let position = "return [...document.querySelectorAll('[role=option]')].at(-1).ariaPosInSet;";
        assert_eq!(sam.run(position, vec![]).await, CONVERSATIONS.to_string(), "none is left out, none is there twice");
        sam.save_picture("many-end").await;

        // Up again as with a quick wheel, 400 pixels a frame: in each frame every place in sight has its row.
        let before = sam.measure().await;
        let holes = sam.scroll_up("Conversations", FRAMES, 400).await;
        let after = sam.measure().await;
        assert_eq!(holes, 0, "frames in which a place in the list was empty");
        let work = (after["ThreadTime"] - before["ThreadTime"]) / f64::from(FRAMES);
        assert!(work < 0.016, "a frame takes {work} s of computing: more than there is between two of 60 a second");

        let rows = sam.run("return document.querySelectorAll('[role=option]').length;", vec![]).await;
        assert!(rows.as_u64().unwrap() < 40, "rows in the page: {rows}");
        assert!(after["Nodes"] < 2_000.0, "nodes that the page holds: {}", after["Nodes"]);
        assert!(after["JSHeapUsedSize"] < 40e6, "bytes that the page holds: {}", after["JSHeapUsedSize"]);

        // What comes in the middle of it all stands first.
        let text = json!({ "to": number, "body": "I moved in first" });
        let path = format!("/_sim/phones/{}/text", leaseline::seed::phone(0));
        world.phones.post(&path, &text).await.unwrap();
        sam.press(Key::Home).await;
        sam.see_a("row", LAST).await;
        sam.see("I moved in first").await;
    })
    .await;
}
