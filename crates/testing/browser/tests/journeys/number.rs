//! The messages number is changed.

use super::world::{journey, shown};

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_generates_a_number_by_the_three_dot_menu_saves_it_and_reads_when_the_next_change_is_allowed() {
    journey("number", 0, async |world| {
        let fault = serde_json::json!([{ "on": "search", "kind": "area_code_empty", "area_code": "907" }]);
        world.phones.set_faults(&fault).await.unwrap();
        let adam = world.sign_in("Adam Admin").await;
        adam.click("link", "Settings").await;
        adam.see("Company Information").await;
        adam.see("Messages Phone Number").await;
        adam.see(&shown(&world.number)).await;
        adam.save_picture("settings").await;

        // Cancel changes nothing, and another area code is said plainly.
        adam.choose("What can be done with the messages number", "Generate a number…").await;
        adam.write("Area code", "907").await;
        adam.click("button", "Generate").await;
        adam.see("There is no number with area code 907").await;
        adam.save_picture("generate-a-number").await;
        adam.click("button", "Cancel").await;
        assert_eq!(world.adam.get("/v1/settings").await.unwrap()["messages_number"]["number"], world.number.as_str());

        adam.choose("What can be done with the messages number", "Generate a number…").await;
        adam.write("Area code", "212").await;
        adam.click("button", "Generate").await;
        adam.see("(212) ").await;
        adam.click("button", "Save").await;
        let settings = testkit::eventually("the change", async || {
            let settings = world.adam.get("/v1/settings").await.unwrap();
            let number = settings["messages_number"]["number"].as_str().unwrap_or_default().to_owned();
            if number.starts_with("+1212") { Ok(settings) } else { Err(number) }
        })
        .await;
        adam.see(&shown(settings["messages_number"]["number"].as_str().unwrap())).await;
        adam.see_no(&shown(&world.number)).await;
        adam.see("It can be changed again from").await;
    })
    .await;
}
