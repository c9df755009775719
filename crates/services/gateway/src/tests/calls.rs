//! Calls, as clients see them: rule 6.

use proto::conversations::{Call, ConversationPerson};
use proto::to_timestamp;
use serde_json::json;

use super::tokens::{Token, token};
use super::{World, a_time, read};

const CALL: &str = "01900000-0000-7000-8000-00000000000d";
const CONVERSATION: &str = "01900000-0000-7000-8000-00000000000c";

#[tokio::test]
async fn calls_show_who_called_and_what_came_of_it_and_only_to_their_license() {
    let world = World::start().await;
    let tina = ConversationPerson { person_id: "t-1".to_owned(), kind: "tenant".to_owned(), name: "Tina".to_owned() };
    let answered = Call {
        license_id: "acme".to_owned(),
        call_id: CALL.to_owned(),
        from: Some("+12125550123".to_owned()),
        to: "+12125550100".to_owned(),
        people: vec![tina],
        conversation_id: Some(CONVERSATION.to_owned()),
        result: Some("answered".to_owned()),
        duration_s: Some(75),
        started_at: Some(to_timestamp(a_time())),
        ended_at: Some(to_timestamp(a_time())),
    };
    let ringing = Call {
        from: None,
        people: Vec::new(),
        conversation_id: None,
        result: None,
        duration_s: None,
        ended_at: None,
        ..answered.clone()
    };
    world.services.known().calls.insert("acme".to_owned(), vec![ringing, answered]);
    let expected = json!({
        "items": [
            {"call_id": CALL, "from": null, "to": "+12125550100", "people": [], "conversation_id": null,
             "result": null, "duration_s": null, "started_at": "2026-03-02T15:00:00Z", "ended_at": null},
            {"call_id": CALL, "from": "+12125550123", "to": "+12125550100",
             "people": [{"person_id": "t-1", "kind": "tenant", "name": "Tina"}], "conversation_id": CONVERSATION,
             "result": "answered", "duration_s": 75, "started_at": "2026-03-02T15:00:00Z",
             "ended_at": "2026-03-02T15:00:00Z"},
        ],
        "next_cursor": "more",
    });
    let answer = world.get("/v1/calls?limit=2&cursor=abc").await;
    assert_eq!((answer.status, answer.body), (200, expected));
    let asked = world.services.known().calls_asked.remove(0);
    assert_eq!((asked.license_id.as_str(), asked.limit, asked.cursor.as_str()), ("acme", 2, "abc"));

    let stranger = token(Token { license_id: Some("other"), ..Token::default() });
    assert_eq!(read(world.request("GET", "/v1/calls", &stranger)).await.body["items"], json!([]));
    assert_eq!(world.services.known().calls_asked[0].limit, 50);
    for (query, field) in [("limit=0", "limit"), ("limit=x", "limit"), ("from=1", "from")] {
        assert_eq!(world.get(&format!("/v1/calls?{query}")).await.problem().2, Some(field), "{query}");
    }
}
