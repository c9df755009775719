//! The pictures of the README: a morning of Mia's, with names that people have.

use serde_json::json;

use super::world::{World, journey, phone};

const PEOPLE: [(&str, &str); 7] = [
    ("Ana Torres", "tenant"),
    ("Ben Okafor", "tenant"),
    ("Carla Nguyen", "lead"),
    ("Harbor Plumbing", "vendor"),
    ("Elena Rossi", "owner"),
    ("Frank Miller", "tenant"),
    ("Grace Kim", "tenant"),
];

/// One after the other, as people write.
async fn write_all(world: &World) {
    world.send(5, "Hi Frank, your package is at the front desk.").await;
    world.arrives_once(5, "Hi Frank, your package is at the front desk.").await;
    world.text(5, "Got it, thank you!").await;
    world.send(4, "Good morning Elena, the March statement is in your portal.").await;
    world.arrives_once(4, "Good morning Elena, the March statement is in your portal.").await;
    world.text(3, "Tomorrow between 9 and 11 works. Which unit?").await;
    world.text(2, "Is the two bedroom on Oak Street still available?").await;
    world.text(1, "The light in the hallway is out again.").await;
    world.send(0, "Hi Ana, the plumber comes tomorrow between 9 and 11.").await;
    world.arrives_once(0, "Hi Ana, the plumber comes tomorrow between 9 and 11.").await;
    world.text(0, "Great, thanks. Could he also look at the kitchen sink?").await;
    world.text(0, "It leaks a little.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pictures_of_the_readme_show_the_thread_the_preview_and_the_phone() {
    journey("pictures", 0, async |world| {
        for (n, (name, kind)) in PEOPLE.iter().enumerate() {
            let person = json!({ "kind": kind, "name": name, "phones": [phone(n)] });
            world.mia.put(&format!("/v1/people/t{n}"), &person).await.unwrap();
        }
        let (mia, noah) = (world.sign_in("Mia Manager").await, world.sign_in("Noah Manager").await);
        mia.look(1120, 700, false).await;
        write_all(world).await;
        noah.see("It leaks a little.").await;
        noah.click("row", "Ana Torres").await;
        noah.write("Text", "Of course. He will bring what he needs.").await;
        noah.click("button", "Send").await;
        mia.click("row", "Ana Torres").await;
        let is_delivered = "return document.querySelector('article:last-of-type')?.innerText.includes('Delivered');";
        mia.see_that("Noah's text is delivered", is_delivered).await;
        // The dash is what makes it longer: the line below says so.
        mia.write("Text", "I let him in – you need not be at home. Please move what stands under the sink.").await;
        mia.see("makes it longer").await;
        mia.save_picture("messages").await;

        let ana = world.hold_phone(&phone(0)).await;
        ana.look(1120, 700, false).await;
        ana.see("Of course. He will bring what he needs.").await;
        ana.write("Text", "You are the best!").await;
        ana.save_picture("phone").await;

        world.text(6, "STOP").await;
        mia.click("button", "Text Message").await;
        mia.see_a("checkbox", "Grace Kim").await;
        mia.click("button", "Choose all shown").await;
        mia.write("Text", "Hi {{person.first_name}}, the water is off on Friday from 10 to 12. {{company.name}}").await;
        mia.click("button", "Preview").await;
        mia.see("Hi Ana, the water is off").await;
        mia.save_picture("text-message").await;
    })
    .await;
}
