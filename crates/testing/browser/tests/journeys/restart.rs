//! Services go and come back.

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
            window
                .see_messages(&["Before", "Written while it was away", "Sent while it was away", "And afterwards"])
                .await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_opened_in_the_moment_the_gateway_dies_says_so_and_then_shows_everything_once() {
    journey("restart-opening", 1, async |world| {
        world.send(0, "Before").await;
        world.arrives_once(0, "Before").await;
        world.text(0, "An answer").await;
        let mia = world.sign_in("Mia Manager").await;
        mia.see("An answer").await;

        world.stack.kill_service(Service::Gateway, 0).await;
        mia.click("row", "Tenant 0").await;
        mia.see_a("heading", "Tenant 0").await;
        mia.see("The messages are on their way").await;
        mia.see("Connection is away").await;
        mia.save_picture("thread-away").await;
        world.text(0, "Written meanwhile").await;

        world.stack.start_service(Service::Gateway, 0).await.unwrap();
        mia.see_messages(&["Before", "An answer", "Written meanwhile"]).await;
        mia.see_no("Connection is away").await;
        mia.see_no("The messages are on their way").await;
        // It is live.
        world.text(0, "And afterwards").await;
        mia.see_messages(&["Before", "An answer", "Written meanwhile", "And afterwards"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_and_dispatch_that_restart_leave_nothing_out_and_double_nothing_in_two_windows() {
    journey("restart-others", 2, async |world| {
        world.send(0, "Welcome").await;
        world.arrives_once(0, "Welcome").await;
        world.send(1, "Hello").await;
        world.arrives_once(1, "Hello").await;
        let (mia, noah) = (world.sign_in("Mia Manager").await, world.sign_in("Noah Manager").await);
        for window in [&mia, &noah] {
            window.click("row", "Tenant 0").await;
            window.see_messages(&["Welcome"]).await;
        }
        for service in [Service::Conversations, Service::Dispatch] {
            let name = service.name();
            let (sent, came) = (format!("Out without {name}"), format!("In without {name}"));
            world.stack.kill_service(service, 0).await;
            // Another tenant writes, so that nobody has to read first what came.
            world.text(1, &came).await;
            mia.write("Text", &sent).await;
            mia.click("button", "Send").await;
            mia.see(&sent).await;
            mia.save_picture(&format!("without-{name}")).await;
            world.stack.start_service(service, 0).await.unwrap();
            world.arrives_once(0, &sent).await;
            for window in [&mia, &noah] {
                window.see(&sent).await;
                window.see(&came).await;
            }
        }
        for window in [&mia, &noah] {
            window.see_messages(&["Welcome", "Out without conversations", "Out without dispatch"]).await;
            window.see_no("Sending…").await;
            window.click("row", "Tenant 1").await;
            window.see_messages(&["Hello", "In without conversations", "In without dispatch"]).await;
        }
    })
    .await;
}
