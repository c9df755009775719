//! The description of the API, made from the code.

use serde_json::{Value, json};

use super::{World, read};

#[tokio::test]
async fn the_api_describes_itself_and_its_page_needs_no_internet() {
    let world = World::start().await;
    let url = |path: &str| format!("{}{path}", world.gateway.url);
    let api = read(world.http.get(url("/v1/openapi.json"))).await;
    assert_eq!(api.status, 200);
    let paths = api.body["paths"].as_object().unwrap();
    for path in [
        "/v1/licenses/{license_id}",
        "/v1/settings",
        "/v1/settings/company",
        "/v1/settings/quiet-hours",
        "/v1/licenses/{license_id}/registration",
        "/v1/people",
        "/v1/people/{person_id}",
        "/v1/messages",
        "/v1/messages/{message_id}",
        "/v1/conversations",
        "/v1/conversations/{conversation_id}",
        "/v1/conversations/{conversation_id}/messages",
        "/v1/conversations/{conversation_id}/read",
        "/v1/conversations/{conversation_id}/transcript",
        "/v1/messages/preview",
        "/v1/batches",
        "/v1/batches/{batch_id}",
        "/v1/batches/{batch_id}/messages",
        "/v1/batches/{batch_id}/cancel",
        "/v1/scheduled",
        "/v1/scheduled/{scheduled_id}",
        "/v1/search",
        "/v1/media/{media_id}",
        "/v1/unmatched",
        "/v1/unmatched/{unmatched_id}/tie",
        "/v1/blocked-numbers",
        "/v1/blocked-numbers/{blocked_id}",
        "/v1/calls",
        "/v1/number",
        "/v1/number/candidates",
        "/v1/feed",
    ] {
        assert!(paths.contains_key(path), "{path}");
    }
    let refusal = &api.body["paths"]["/v1/messages"]["post"]["responses"]["422"]["content"];
    let problem = json!({"$ref": "#/components/schemas/Problem"});
    assert_eq!(refusal["application/problem+json"]["schema"], problem);
    for (path, operations) in paths {
        for (method, operation) in operations.as_object().unwrap() {
            assert!(operation["summary"].is_string(), "{method} {path} does not say what it does");
            for (status, response) in operation["responses"].as_object().unwrap() {
                let said = response["description"].as_str().unwrap_or_default();
                let enough = said.contains('`') || status.starts_with('2') && !said.is_empty();
                assert!(enough, "{method} {path} {status} is not described, or names no code");
            }
        }
    }
    let candidate = &api.body["paths"]["/v1/number/candidates"]["post"];
    assert_eq!(candidate["requestBody"]["required"], json!(null), "the body may be left out");
    assert!(candidate["responses"]["429"]["headers"]["Retry-After"].is_object());
    let page = world.http.get(url("/docs/")).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("swagger-ui") && !page.contains("https://"), "{page}");
    let script = world.http.get(url("/docs/swagger-ui-bundle.js")).send().await.unwrap();
    assert_eq!(script.status(), 200);
    // Every schema that is referred to is there.
    let text = api.body.to_string();
    for name in text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(api.body["components"]["schemas"].get(name).is_some(), "{name}");
    }
}

#[tokio::test]
async fn every_body_of_a_request_and_of_an_answer_has_an_example() {
    let world = World::start().await;
    let api = read(world.http.get(format!("{}/v1/openapi.json", world.gateway.url))).await.body;
    let mut bodies = 0;
    for (path, operations) in api["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let answers = operation["responses"].as_object().unwrap().iter();
            let answers = answers.filter(|(status, _)| status.starts_with('2')).map(|(_, answer)| answer);
            for body in answers.chain([&operation["requestBody"]]) {
                for (kind, content) in body["content"].as_object().into_iter().flatten() {
                    bodies += 1;
                    assert!(has_example(&api, kind, content), "{method} {path} {kind}: {content}");
                }
            }
        }
    }
    assert!(bodies > 50, "{bodies}");
    let events = api["paths"]["/v1/feed"]["get"]["description"].as_str().unwrap();
    for event in ["conversation.deleted", "batch.updated", "scheduled.updated", "unmatched.updated"] {
        assert!(events.contains(event), "{event}");
    }
}

/// The example may stand at the body, at its schema, or at the items of a page. Bytes and streams of events need none.
fn has_example(api: &Value, kind: &str, content: &Value) -> bool {
    if matches!(kind, "image/*" | "text/event-stream") || content["example"] != json!(null) {
        return true;
    }
    let schema = resolve(api, &content["schema"]);
    let items = resolve(api, &schema["properties"]["items"]["items"]);
    schema["example"] != json!(null) || items["example"] != json!(null)
}

/// What a reference refers to; of one that may be null, what it is otherwise.
fn resolve<'a>(api: &'a Value, schema: &'a Value) -> &'a Value {
    let alternatives = schema["oneOf"].as_array().into_iter().flatten();
    let reference = std::iter::once(schema).chain(alternatives).find_map(|each| each["$ref"].as_str());
    let name = reference.and_then(|reference| reference.rsplit('/').next());
    name.map_or(schema, |name| &api["components"]["schemas"][name])
}
