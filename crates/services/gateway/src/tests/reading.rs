//! What can be read, and what every answer has in common.

use std::sync::atomic::Ordering;

use proto::conversations::{Conversation, ConversationPerson};
use proto::dispatch::Waiting;
use proto::numbers::{ChangeError, MessagesNumber, Provisioning, Settings};
use proto::to_timestamp;
use serde_json::json;

use super::services::a_message;
use super::tokens::{Token, token};
use super::{World, a_time, read};

const MESSAGE: &str = "01900000-0000-7000-8000-000000000001";
const CONVERSATION: &str = "01900000-0000-7000-8000-00000000000c";

fn a_conversation() -> Conversation {
    let person = ConversationPerson { person_id: "t-1".to_owned(), kind: "tenant".to_owned(), name: "Tina".to_owned() };
    Conversation {
        license_id: "acme".to_owned(),
        conversation_id: CONVERSATION.to_owned(),
        number: "+12125550123".to_owned(),
        people: vec![person],
        last_message: Some(a_message("acme", MESSAGE)),
        sendable: false,
        reason: Some("number_no_longer_tied".to_owned()),
        opened_at: Some(to_timestamp(a_time())),
        consent: None,
        unread: 2,
        newer_conversation_id: None,
        older_conversation_ids: Vec::new(),
    }
}

fn know_everything(world: &World) {
    let mut known = world.services.known();
    known.messages.insert(("acme".to_owned(), MESSAGE.to_owned()), a_message("acme", MESSAGE));
    known.conversations.insert(("acme".to_owned(), CONVERSATION.to_owned()), a_conversation());
}

fn message_json() -> serde_json::Value {
    json!({
        "message_id": MESSAGE, "conversation_id": CONVERSATION, "direction": "outbound",
        "body": "The plumber comes at nine.", "media": [], "from": null, "to": "+12125550123",
        "manager": {"id": "m-1", "name": "Mia Manager"}, "status": "queued", "error": null, "segments": 1,
        "created_at": "2026-03-02T15:00:00Z", "sent_at": null, "delivered_at": null,
    })
}

#[tokio::test]
async fn settings_show_the_messages_number_and_how_its_purchase_goes() {
    let world = World::start().await;
    let number = MessagesNumber {
        number: "+12125550100".to_owned(),
        carrier: "twilio".to_owned(),
        assigned_at: Some(to_timestamp(a_time())),
    };
    let provisioning = Provisioning {
        step: "buying".to_owned(),
        attempts: 2,
        last_error: Some("carrier_unreachable".to_owned()),
        next_attempt_at: Some(to_timestamp(a_time())),
    };
    let change_error = ChangeError { code: "number_taken".to_owned(), occurred_at: Some(to_timestamp(a_time())) };
    let settings = Settings {
        license_id: "acme".to_owned(),
        company_name: "Acme".to_owned(),
        messages_number: Some(number),
        provisioning: Some(provisioning),
        next_change_allowed_at: Some(to_timestamp(a_time())),
        carrier: "telnyx".to_owned(),
        last_change_error: Some(change_error),
        ..Default::default()
    };
    world.services.known().settings.insert("acme".to_owned(), settings);
    let expected = json!({
        "license_id": "acme", "company_name": "Acme", "company_phone": null,
        "messages_number": {"number": "+12125550100", "carrier": "twilio", "assigned_at": "2026-03-02T15:00:00Z"},
        "provisioning": {"step": "buying", "attempts": 2, "last_error": "carrier_unreachable",
            "next_attempt_at": "2026-03-02T15:00:00Z"},
        "next_change_allowed_at": "2026-03-02T15:00:00Z", "carrier": "telnyx",
        "last_change_error": {"code": "number_taken", "occurred_at": "2026-03-02T15:00:00Z"},
        "quiet_hours": null, "registration": null,
    });
    assert_eq!(world.get("/v1/settings").await.body, expected);
}

#[tokio::test]
async fn a_conversation_and_its_messages_have_the_shapes_of_the_design() {
    let world = World::start().await;
    know_everything(&world);
    let conversation = json!({
        "conversation_id": CONVERSATION, "number": "+12125550123", "last_message": message_json(),
        "people": [{"person_id": "t-1", "kind": "tenant", "name": "Tina"}],
        "sendable": false, "reason": "number_no_longer_tied", "consent": null, "opened_at": "2026-03-02T15:00:00Z",
        "unread": 2, "newer_conversation_id": null, "older_conversation_ids": [],
    });
    let path = format!("/v1/conversations/{CONVERSATION}");
    assert_eq!(world.get(&path).await.body, conversation);
    let landline =
        proto::conversations::Conversation { reason: Some("cannot_receive_sms".to_owned()), ..a_conversation() };
    world.services.known().conversations.insert(("acme".to_owned(), CONVERSATION.to_owned()), landline);
    assert_eq!(world.get(&path).await.body["reason"], "cannot_receive_sms");
    know_everything(&world);
    let page = json!({"items": [conversation], "next_cursor": null, "total_unread": 5});
    assert_eq!(world.get("/v1/conversations?limit=10").await.body, page);
    let messages = world.get(&format!("{path}/messages?before={MESSAGE}")).await;
    assert_eq!(messages.body, json!({"items": [message_json()], "next_cursor": null}));
}

#[tokio::test]
async fn a_waiting_message_says_why_it_waits_and_is_shown_without_when_dispatch_is_away() {
    let world = World::start().await;
    know_everything(&world);
    let waiting =
        Waiting { message_id: MESSAGE.to_owned(), reason: "pace".to_owned(), until: Some(to_timestamp(a_time())) };
    world.services.known().waiting.push(waiting);
    let path = format!("/v1/messages/{MESSAGE}");
    let waiting = json!({"reason": "pace", "until": "2026-03-02T15:00:00Z"});
    assert_eq!(world.get(&path).await.body["waiting"], waiting);

    world.services.state().dispatch_away.store(true, Ordering::SeqCst);
    let answer = world.get(&path).await;
    let mut expected = message_json();
    expected["waiting"] = json!(null);
    assert_eq!((answer.status, answer.body), (200, expected));

    world.services.state().dispatch_away.store(false, Ordering::SeqCst);
    let key = ("acme".to_owned(), MESSAGE.to_owned());
    world.services.known().messages.get_mut(&key).unwrap().status = "sent".to_owned();
    assert_eq!(world.get(&path).await.body["waiting"], json!(null));
}

#[tokio::test]
async fn a_foreign_licenses_ids_answer_404_everywhere() {
    let world = World::start().await;
    know_everything(&world);
    let stranger = token(Token { license_id: Some("other"), role: "admin", ..Token::default() });
    for (path, code) in [
        (format!("/v1/messages/{MESSAGE}"), "message_not_found"),
        (format!("/v1/conversations/{CONVERSATION}"), "conversation_not_found"),
        (format!("/v1/conversations/{CONVERSATION}/messages"), "conversation_not_found"),
        ("/v1/people/t-1".to_owned(), "person_not_found"),
    ] {
        assert_eq!(read(world.request("GET", &path, &stranger)).await.problem(), (404, code, None), "{path}");
    }
    let list = read(world.request("GET", "/v1/conversations", &stranger)).await;
    assert_eq!(list.body["items"], json!([]));
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_with_the_name_of_what_is_wrong() {
    let world = World::start().await;
    for (path, status, code, field) in [
        ("/v1/people?limit=0", 422, "invalid_value", Some("limit")),
        ("/v1/people?limit=201", 422, "invalid_value", Some("limit")),
        ("/v1/people?kind=king", 422, "invalid_value", Some("kind")),
        ("/v1/people?unread=1", 422, "unknown_parameter", Some("unread")),
        ("/v1/settings?x=1", 422, "unknown_parameter", Some("x")),
        ("/v1/people/a%20b", 422, "invalid_id", Some("person_id")),
        ("/v1/messages/7", 422, "invalid_id", Some("message_id")),
        ("/v1/nothing", 404, "not_found", None),
        ("/", 404, "not_found", None),
        ("/v1/licenses/acme", 405, "method_not_allowed", None),
    ] {
        assert_eq!(world.get(path).await.problem(), (status, code, field), "{path}");
    }
}

#[tokio::test]
async fn the_recipient_picker_passes_on_what_is_looked_for() {
    let world = World::start().await;
    let answer = world.get("/v1/people?query=Ti%20na&kind=tenant&limit=3&cursor=abc").await;
    assert_eq!(answer.body, json!({"items": [], "next_cursor": "more"}));
    let asked = world.services.known().people_asked.remove(0);
    assert_eq!((asked.query.as_str(), asked.kind.as_str(), asked.limit), ("Ti na", "tenant", 3));
    assert_eq!((asked.license_id.as_str(), asked.cursor.as_str()), ("acme", "abc"));
}

#[tokio::test]
async fn a_service_that_is_away_answers_503_and_the_others_go_on() {
    let world = World::with(|settings| "http://127.0.0.1:1".clone_into(&mut settings.upstreams.numbers_url)).await;
    assert_eq!(world.get("/v1/settings").await.problem(), (503, "service_unavailable", None));
    assert_eq!(world.get("/v1/people").await.status, 200);
}

#[tokio::test]
async fn with_nats_away_the_gateway_still_reads_and_writes() {
    let world = World::with(|settings| "nats://127.0.0.1:1".clone_into(&mut settings.nats.url)).await;
    assert_eq!(world.get("/v1/people").await.status, 200);
    let person = json!({"kind": "tenant", "name": "Tina", "phones": []});
    let put = world.send("PUT", "/v1/people/t-1", &token(Token::default()), &person).await;
    assert_eq!(put.status, 200);
}

#[tokio::test]
async fn answers_are_not_stored_or_guessed_at_and_only_listed_origins_may_call_from_a_browser() {
    let allow = |settings: &mut crate::Settings| {
        settings.cors.allowed_origins = vec!["https://app.example.com".to_owned()];
    };
    let world = World::with(allow).await;
    let answer = world.get("/v1/people").await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    let preflight = async |origin: &str| {
        let request = world.http.request(http::Method::OPTIONS, format!("{}/v1/feed", world.gateway.url));
        let request = request.header("Origin", origin).header("Access-Control-Request-Method", "GET");
        read(request.header("Access-Control-Request-Headers", "authorization,last-event-id")).await
    };
    let answer = preflight("https://app.example.com").await;
    assert_eq!(answer.headers["access-control-allow-origin"], "https://app.example.com");
    let headers = answer.headers["access-control-allow-headers"].to_str().unwrap().to_owned();
    let methods = answer.headers["access-control-allow-methods"].to_str().unwrap();
    for method in ["GET", "PUT", "POST", "PATCH", "DELETE"] {
        assert!(methods.contains(method), "{method} is not in {methods}");
    }
    for name in ["authorization", "content-type", "idempotency-key", "last-event-id", "leaseline-license"] {
        assert!(headers.contains(name), "{name} is not in {headers}");
    }
    assert!(!preflight("https://evil.example.com").await.headers.contains_key("access-control-allow-origin"));
    // A refusal can be read by the page that caused it.
    let request = world.request("GET", "/v1/people", "bad").header("Origin", "https://app.example.com");
    assert!(read(request).await.headers.contains_key("access-control-allow-origin"));
}
