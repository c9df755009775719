//! Files that go out, and pictures that come in.

use serde_json::{Value, json};

use super::world::{journey, phone};

const PLAN: &str = "https://files.example.com/floor-plan.png";

/// A picture of 320 by 200 pixels, as an address of its own.
const DRAW: &str = "
    const canvas = Object.assign(document.createElement('canvas'), { width: 320, height: 200 });
    const paper = canvas.getContext('2d');
    paper.fillStyle = 'steelblue';
    paper.fillRect(0, 0, 320, 200);
    paper.fillStyle = 'gold';
    paper.fillRect(120, 60, 80, 80);
    return canvas.toDataURL('image/png');
";

#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_out_with_a_text_and_a_picture_that_the_tenant_sends_shows() {
    journey("attachments", 1, async |world| {
        world.send(0, "Welcome").await;
        world.arrives_once(0, "Welcome").await;
        let (mia, noah) = (world.sign_in("Mia Manager").await, world.sign_in("Noah Manager").await);
        for window in [&mia, &noah] {
            window.click("row", "Tenant 0").await;
            window.see_messages(&["Welcome"]).await;
        }
        mia.click("button", "Attach a file").await;
        mia.click("button", "Attach").await;
        mia.see("Give an address that begins with https://").await;
        mia.write("Address of a picture or file", PLAN).await;
        mia.click("button", "Attach").await;
        mia.see_a("button", "Remove floor-plan.png").await;
        mia.write("Text", "The plan of the flat").await;
        mia.save_picture("attaching").await;
        mia.click("button", "Send").await;
        world.arrives_once(0, "The plan of the flat").await;
        let inbox = world.phones.inbox(&phone(0)).await.unwrap();
        assert_eq!(inbox.last().unwrap()["media_urls"], json!([PLAN]));
        for window in [&mia, &noah] {
            window.see_a("link", "floor-plan.png").await;
            window.see_messages(&["Welcome", "The plan of the flat"]).await;
        }
        assert!(!mia.is_there("button", "Remove floor-plan.png").await, "it goes once");

        let picture = mia.run(DRAW, vec![]).await;
        assert!(matches!(&picture, Value::String(url) if url.starts_with("data:image/png")));
        let text = json!({ "to": world.number, "body": "Look at this", "media_urls": [picture] });
        world.phones.post(&format!("/_sim/phones/{}/text", phone(0)), &text).await.unwrap();
        for window in [&mia, &noah] {
            window.see("Look at this").await;
            window.see_a("button", "Show the picture").await;
            let is_drawn = "return document.querySelector('article img')?.naturalWidth === 320;";
            window.see_that("the picture is drawn", is_drawn).await;
        }
        mia.save_picture("picture-in").await;
        mia.click("button", "Show the picture").await;
        mia.see_a("dialog", "Picture").await;
        mia.see_a("link", "Download").await;
        // A window that is opened now shows it as well.
        let adam = world.sign_in("Adam Admin").await;
        adam.click("row", "Tenant 0").await;
        adam.see_a("button", "Show the picture").await;
    })
    .await;
}
