//! Import of people: a line in, a line out.

use serde_json::{Value, json};

use super::World;
use super::tokens::{Token, token};

impl World {
    async fn import(&self, bearer: &str, body: impl Into<reqwest::Body>) -> reqwest::Response {
        let request = self.request("POST", "/v1/people/import", bearer);
        request.header("content-type", "application/x-ndjson").body(body).send().await.unwrap()
    }
}

fn backend() -> String {
    token(Token { role: "service", license_id: Some("acme"), ..Token::default() })
}

async fn lines(response: reqwest::Response) -> Vec<Value> {
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (200, &"application/x-ndjson".parse().unwrap())
    );
    response.text().await.unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn every_line_has_a_result_line_and_a_bad_one_stops_nobody() {
    let world = World::start().await;
    let body = [
        json!({ "person_id": "a", "kind": "tenant", "name": "Ann", "phones": ["+14152000001"] }).to_string(),
        "{not json".to_owned(),
        String::new(),
        json!({ "person_id": "b", "kind": "friend", "name": "Bob" }).to_string(),
        json!({ "person_id": "c", "kind": "owner", "name": "Cy", "phones": ["911"] }).to_string(),
        json!({ "person_id": "d", "kind": "lead", "name": "Di" }).to_string(),
    ];
    let answers = lines(world.import(&backend(), body.join("\n")).await).await;
    let shown: Vec<_> = answers
        .iter()
        .map(|each| (each["line"].as_u64().unwrap(), each["result"].as_str().unwrap(), each["code"].as_str()))
        .collect();
    assert_eq!(
        shown,
        [
            (1, "created", None),
            (2, "refused", Some("invalid_json")),
            (4, "refused", Some("invalid_value")),
            (5, "refused", Some("invalid_phone")),
            (6, "created", None),
        ]
    );
    assert_eq!((&answers[3]["person_id"], &answers[3]["field"]), (&json!("c"), &json!("phones[0]")));
    assert!(world.services.known().people.contains_key(&("acme".to_owned(), "d".to_owned())));
}

#[tokio::test]
async fn an_import_of_many_lines_goes_in_batches_and_keeps_their_order() {
    let world = World::start().await;
    let body: String = (1..=1_234)
        .map(|n| json!({ "person_id": format!("p{n}"), "kind": "tenant", "name": "P" }).to_string() + "\n")
        .collect();
    let answers = lines(world.import(&backend(), body).await).await;
    let numbers: Vec<_> = answers.iter().map(|each| each["line"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=1_234).collect::<Vec<_>>());
    assert!(answers.iter().all(|each| each["person_id"] == format!("p{}", each["line"])));
}

#[tokio::test]
async fn only_the_backend_imports_and_only_lines_of_json() {
    let world = World::start().await;
    for role in ["manager", "admin"] {
        let bearer = token(Token { role, ..Token::default() });
        assert_eq!(world.import(&bearer, "").await.status(), 403, "{role}");
    }
    let plain = world.request("POST", "/v1/people/import", &backend()).body("{}").send().await.unwrap();
    assert_eq!(plain.status(), 415);
    assert_eq!(lines(world.import(&backend(), "").await).await, Vec::<Value>::new());
}

#[tokio::test]
async fn an_import_whose_service_is_away_says_where_it_stopped() {
    let world = World::start().await;
    world.services.known().people_away = true;
    let line = json!({ "person_id": "a", "kind": "tenant", "name": "Ann" }).to_string();
    let answers = lines(world.import(&backend(), format!("\n{line}\n{line}")).await).await;
    assert_eq!(answers.len(), 1);
    assert_eq!(
        (&answers[0]["line"], &answers[0]["result"], &answers[0]["code"]),
        (&json!(2), &json!("stopped"), &json!("service_unavailable"))
    );
}
