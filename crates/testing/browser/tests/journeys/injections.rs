//! Text from outside is text.

use serde_json::json;

use super::world::{COMPANY_PHONE, LICENSE, journey, phone};

/// What people type who try.
const INJECTIONS: [&str; 6] = [
    "<img src=x onerror=\"window.broken=1\">",
    "<script>window.broken=1</script>",
    "\"><svg onload=window.broken=1>",
    "<iframe srcdoc='<script>parent.broken=1</script>'></iframe>",
    "javascript:window.broken=1",
    "<style>*{display:none}</style>{{7*7}}${7*7}",
];

#[tokio::test(flavor = "multi_thread")]
async fn markup_in_texts_names_and_company_names_shows_as_it_was_typed() {
    journey("injections", 1, async |world| {
        let [image, script, svg, ..] = INJECTIONS;
        let company = json!({ "company_name": image, "company_phone": COMPANY_PHONE });
        world.backend.put(&format!("/v1/licenses/{LICENSE}"), &company).await.unwrap();
        let person = json!({ "kind": "tenant", "name": script, "phones": [phone(0)] });
        world.mia.put("/v1/people/t0", &person).await.unwrap();
        for injection in INJECTIONS {
            world.text(0, injection).await;
        }
        let mia = world.sign_in("Mia Manager").await;
        mia.see(image).await;
        mia.click("row", script).await;
        mia.see_a("heading", script).await;
        for injection in INJECTIONS {
            mia.see(injection).await;
        }
        // Live as well, out as well, and in the pages beside.
        world.text(0, &format!("now {svg}")).await;
        mia.see(&format!("now {svg}")).await;
        mia.write("Text", image).await;
        mia.click("button", "Send").await;
        world.arrives_once(0, image).await;
        mia.see("Delivered").await;
        mia.save_picture("injections").await;
        mia.click("button", "Text Message").await;
        mia.see(script).await;
        let phone = world.hold_phone(&phone(0)).await;
        for injection in INJECTIONS {
            phone.see(injection).await;
        }
        for window in [&mia, &phone] {
            let harm = "return window.broken ?? document.querySelectorAll('main script, main iframe, main style, main img[src=x]').length;";
            assert_eq!(window.run(harm, vec![]).await, 0);
        }
    })
    .await;
}
