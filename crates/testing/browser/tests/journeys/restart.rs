//! The gateway goes and comes back.

use leaseline::stack::Service;

use super::world::journey;

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_restarts_leaves_nothing_out_doubles_nothing_and_the_line_says_that_it_is_away() {
    journey("restart", 1, async |world| {
        world.send(0, "Before").await;
        let mia = world.sign_in("Mia Manager").await;
        mia.click("row", "Tenant 0").await;
        mia.see("Delivered").await;

        world.stack.kill_service(Service::Gateway, 0).await;
        mia.see("Connection is away").await;
        // Both sides write meanwhile: what the manager sends waits in the window.
        world.text(0, "Written while it was away").await;
        mia.write("Text", "Sent while it was away").await;
        mia.click("button", "Send").await;
        mia.see("Sent while it was away").await;
        mia.save_picture("connection-away").await;

        world.stack.start_service(Service::Gateway, 0).await.unwrap();
        mia.see("Written while it was away").await;
        mia.see_no("Connection is away").await;
        // The tenant wrote first: nobody answers what he has not read, until he says so.
        mia.see("Something new came while you were writing").await;
        assert_eq!(world.received(0, "Sent while it was away").await, 0);
        mia.click("button", "Send anyway").await;
        world.arrives_once(0, "Sent while it was away").await;
        mia.see_no("Sending…").await;
        world.text(0, "And afterwards").await;
        mia.see("And afterwards").await;

        // The thread holds each once, and so does a window that is opened now.
        let noah = world.sign_in("Noah Manager").await;
        noah.click("row", "Tenant 0").await;
        noah.see_a("heading", "Tenant 0").await;
        for window in [&mia, &noah] {
            window.see("And afterwards").await;
            window.see("Delivered").await;
            let texts = window
                .run("return [...document.querySelectorAll('article')].map((text) => text.innerText);", vec![])
                .await;
            let texts = texts.as_array().unwrap();
            for body in ["Before", "Written while it was away", "Sent while it was away", "And afterwards"] {
                let with_body = texts.iter().filter(|text| text.as_str().unwrap().contains(body));
                assert_eq!(with_body.count(), 1, "{body} in {texts:?}");
            }
            assert_eq!(texts.len(), 4, "{texts:?}");
        }
    })
    .await;
}
