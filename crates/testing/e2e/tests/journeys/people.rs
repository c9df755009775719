//! People come in by the thousand, and their numbers change hands.

use serde_json::{Value, json};

use super::world::{World, phone};

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_lines_are_imported_with_a_result_each_and_again_change_nothing() {
    const COUNT: usize = 3_000;
    let world = World::start(2, 0).await;
    let license = world.settings().await["license_id"].as_str().unwrap().to_owned();
    let token = world.signer.sign("", "service", "backend", "Backend").unwrap();
    let body: String = (0..COUNT)
        .map(|n| {
            let phones = [format!("+1212555{:04}", n % 100 + 100)];
            json!({ "person_id": format!("p{n}"), "kind": "tenant", "name": format!("Person {n}"), "phones": phones })
                .to_string()
                + "\n"
        })
        .collect();
    for result in ["created", "unchanged"] {
        let answer = reqwest::Client::new()
            .post(format!("{}/v1/people/import", world.gateways[0]))
            .bearer_auth(&token)
            .header("Leaseline-License", &license)
            .header("Content-Type", "application/x-ndjson")
            .body(body.clone())
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        let text = answer.text().await.unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), COUNT);
        for (n, line) in lines.iter().enumerate() {
            assert_eq!((&line["line"], &line["result"]), (&json!(n + 1), &json!(result)), "{line}");
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_come_while_the_number_is_given_to_somebody_else_stand_in_one_conversation_each() {
    let world = World::start(2, 1).await;
    world.send_until_accepted(0, "for the first one").await;
    world.wait_for_messages(&["for the first one".to_owned()], "delivered").await;
    // First nobody's, then somebody else's, while texts come in from it.
    let nobody = json!({ "kind": "tenant", "name": "Tenant 0", "phones": [] });
    let other = json!({ "kind": "lead", "name": "Somebody Else", "phones": [phone(0)] });
    let texts: Vec<String> = (0..10).map(|n| format!("answer {n}")).collect();
    let bringing = async {
        for text in &texts {
            world.bring_until_taken(0, text).await;
        }
    };
    let changing = async {
        world.mia.put("/v1/people/t0", &nobody).await.unwrap();
        world.mia.put("/v1/people/other", &other).await.unwrap();
    };
    tokio::join!(bringing, changing);
    world.bring_until_taken(0, "for the new one alone").await;
    world.wait_for_messages(&["for the new one alone".to_owned()], "received").await;
    let found = world.messages().await.unwrap();
    // What came while the number was nobody's is kept apart; nothing is shown twice.
    assert!(texts.iter().all(|text| found.get(text).is_none_or(|statuses| statuses.len() == 1)), "{found:?}");
    let conversations = world.noah.get("/v1/conversations").await.unwrap();
    let shown: Vec<_> = conversations["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|each| {
            (each["people"][0]["person_id"].clone(), each["people"].as_array().unwrap().len(), each["sendable"].clone())
        })
        .collect();
    // Nobody reads a stranger's messages: two conversations, one person each.
    assert_eq!(shown, [(json!("other"), 1, json!(true)), (json!("t0"), 1, json!(false))]);
    world.stop().await;
}
