//! Rule 8: unknown senders are tied to people, or blocked.

use chassis::Fault;
use proto::conversations::block_number_request::Which;
use proto::conversations::feed_entry::Content;
use proto::conversations::{
    BlockedNumber, Conversation, FeedEntry, ListBlockedNumbersResponse, ListUnmatchedResponse, Manager, Media,
    TieUnmatchedResponse, UnblockNumberResponse, UnmatchedMessage, UnmatchedUpdated,
};
use proto::to_timestamp;
use serde_json::{Value, json};

use super::sse::Block;
use super::tokens::{Token, token};
use super::{World, a_time, read};

const UNMATCHED: &str = "01900000-0000-7000-8000-00000000000e";
const BLOCKED: &str = "01900000-0000-7000-8000-00000000000f";
const CONVERSATION: &str = "01900000-0000-7000-8000-00000000000c";
const MEDIUM: &str = "01900000-0000-7000-8000-0000000000aa";
const TIE: &str = "/v1/unmatched/01900000-0000-7000-8000-00000000000e/tie";
const BLOCKS: &str = "/v1/blocked-numbers";

fn mia() -> Manager {
    Manager { id: "m-1".to_owned(), name: "Mia Manager".to_owned() }
}

fn a_blocked_number() -> BlockedNumber {
    BlockedNumber {
        license_id: "acme".to_owned(),
        blocked_id: BLOCKED.to_owned(),
        number: "+12125550123".to_owned(),
        blocked_by: Some(mia()),
        blocked_at: Some(to_timestamp(a_time())),
    }
}

fn blocked_json() -> Value {
    json!({
        "blocked_id": BLOCKED, "number": "+12125550123", "blocked_by": {"id": "m-1", "name": "Mia Manager"},
        "blocked_at": "2026-03-02T15:00:00Z",
    })
}

#[tokio::test]
async fn messages_of_unknown_senders_are_listed() {
    let world = World::start().await;
    let message = UnmatchedMessage {
        license_id: "acme".to_owned(),
        unmatched_id: UNMATCHED.to_owned(),
        from: "+12125550123".to_owned(),
        to: "+12125550100".to_owned(),
        body: "Who is this?".to_owned(),
        media: vec![Media { media_id: Some(MEDIUM.to_owned()), state: "pending".to_owned(), ..Default::default() }],
        received_at: Some(to_timestamp(a_time())),
    };
    let page = ListUnmatchedResponse { messages: vec![message], next_cursor: "more".to_owned() };
    world.services.known().strangers.list.answer = Ok(page);
    let answer = world.get("/v1/unmatched?limit=2&cursor=abc").await;
    let expected = json!({
        "items": [{
            "unmatched_id": UNMATCHED, "from": "+12125550123", "to": "+12125550100", "body": "Who is this?",
            "media": [{"url": null, "content_type": null, "media_id": MEDIUM, "state": "pending", "size_bytes": null}],
            "received_at": "2026-03-02T15:00:00Z",
        }],
        "next_cursor": "more",
    });
    assert_eq!((answer.status, answer.body), (200, expected));
    let asked = world.services.known().strangers.list.asked.remove(0);
    assert_eq!((asked.license_id.as_str(), asked.limit, asked.cursor.as_str()), ("acme", 2, "abc"));
    // A number in an address would stand in logs of others.
    let refused = world.get("/v1/unmatched?from=%2B12125550123").await;
    assert_eq!(refused.problem(), (422, "unknown_parameter", Some("from")));
}

#[tokio::test]
async fn a_sender_is_tied_to_a_person_and_the_conversation_is_answered() {
    let world = World::start().await;
    let manager = token(Token::default());
    let conversation = Conversation {
        license_id: "acme".to_owned(),
        conversation_id: CONVERSATION.to_owned(),
        number: "+12125550123".to_owned(),
        sendable: true,
        opened_at: Some(to_timestamp(a_time())),
        ..Default::default()
    };
    world.services.known().strangers.tie.answer =
        Ok(TieUnmatchedResponse { conversation: Some(conversation), messages: 3 });
    let answer = world.send("POST", TIE, &manager, &json!({"person_id": "t-1"})).await;
    assert_eq!((answer.status, &answer.body["messages"]), (200, &json!(3)));
    assert_eq!(answer.body["conversation"]["conversation_id"], CONVERSATION);
    assert_eq!(answer.body["conversation"].get("unread"), None, "nobody asked for a manager's");
    let asked = world.services.known().strangers.tie.asked.remove(0);
    assert_eq!((asked.license_id.as_str(), asked.unmatched_id.as_str()), ("acme", UNMATCHED));
    assert_eq!(asked.person_id, "t-1");

    for (body, code, field) in [
        (json!({}), "missing_field", "person_id"),
        (json!({"person_id": "a b"}), "invalid_value", "person_id"),
        (json!({"person_id": "t-1", "name": "x"}), "unknown_field", "name"),
    ] {
        assert_eq!(world.send("POST", TIE, &manager, &body).await.problem(), (422, code, Some(field)));
    }
    assert!(world.services.known().strangers.tie.asked.is_empty());
    for code in ["unmatched_not_found", "person_not_found"] {
        world.services.known().strangers.tie.answer = Err(Fault::not_found(code, "None."));
        let refused = world.send("POST", TIE, &manager, &json!({"person_id": "t-1"})).await;
        assert_eq!(refused.problem(), (404, code, None));
    }
}

#[tokio::test]
async fn a_number_is_blocked_by_its_message_or_by_itself_and_who_did_it_is_kept() {
    let world = World::start().await;
    let manager = token(Token::default());
    world.services.known().strangers.block.answer = Ok(a_blocked_number());
    for body in [json!({"unmatched_id": UNMATCHED}), json!({"number": "(212) 555-0123"})] {
        let answer = world.send("POST", BLOCKS, &manager, &body).await;
        assert_eq!((answer.status, answer.body), (201, blocked_json()));
    }
    let asked = std::mem::take(&mut world.services.known().strangers.block.asked);
    assert_eq!(asked[0].which, Some(Which::UnmatchedId(UNMATCHED.to_owned())));
    assert_eq!(asked[1].which, Some(Which::Number("(212) 555-0123".to_owned())));
    assert_eq!((asked[0].license_id.as_str(), asked[0].manager.clone()), ("acme", Some(mia())));

    for (body, code, field) in [
        (json!({}), "invalid_value", None),
        (json!({"unmatched_id": UNMATCHED, "number": "+12125550123"}), "invalid_value", None),
        (json!({"unmatched_id": "7"}), "invalid_value", Some("unmatched_id")),
        (json!({"phone": "+12125550123"}), "unknown_field", Some("phone")),
    ] {
        assert_eq!(world.send("POST", BLOCKS, &manager, &body).await.problem(), (422, code, field), "{body}");
    }
    assert!(world.services.known().strangers.block.asked.is_empty());
    for (fault, expected) in [
        (Fault::not_found("unmatched_not_found", "None."), (404, "unmatched_not_found", None)),
        (Fault::conflict("number_is_tied", "Tina's."), (409, "number_is_tied", None)),
        (Fault::invalid("number", "phone_too_short", "No."), (422, "phone_too_short", Some("number"))),
    ] {
        world.services.known().strangers.block.answer = Err(fault);
        let refused = world.send("POST", BLOCKS, &manager, &json!({"number": "1"})).await;
        assert_eq!(refused.problem(), expected);
    }
}

#[tokio::test]
async fn blocked_numbers_are_listed_and_a_block_is_lifted_by_its_id() {
    let world = World::start().await;
    let page = ListBlockedNumbersResponse { numbers: vec![a_blocked_number()], next_cursor: String::new() };
    world.services.known().strangers.list_blocked.answer = Ok(page);
    let answer = world.get("/v1/blocked-numbers?limit=2&cursor=abc").await;
    assert_eq!((answer.status, answer.body), (200, json!({"items": [blocked_json()], "next_cursor": null})));
    let asked = world.services.known().strangers.list_blocked.asked.remove(0);
    assert_eq!((asked.license_id.as_str(), asked.limit, asked.cursor.as_str()), ("acme", 2, "abc"));

    world.services.known().strangers.unblock.answer = Ok(UnblockNumberResponse {});
    let manager = token(Token::default());
    let lift = async |id: &str| read(world.request("DELETE", &format!("{BLOCKS}/{id}"), &manager)).await;
    assert_eq!(lift(BLOCKED).await.status, 204);
    let asked = world.services.known().strangers.unblock.asked.remove(0);
    assert_eq!((asked.license_id.as_str(), asked.blocked_id.as_str()), ("acme", BLOCKED));
    assert_eq!(lift("+12125550123").await.problem(), (422, "invalid_id", Some("blocked_id")));
}

#[tokio::test]
async fn that_messages_of_unknown_senders_came_or_went_is_told_with_their_number_only() {
    let world = World::start().await;
    let mut client = world.follow("acme", None).await;
    assert_eq!(client.next().await.id, 0);
    let content = Some(Content::UnmatchedUpdated(UnmatchedUpdated { messages: 4 }));
    let entry = FeedEntry { license_id: "acme".to_owned(), seq: 1, occurred_at: None, content };
    world.services.known().feed.insert("acme".to_owned(), vec![entry]);
    let expected = Block { id: 1, event: Some("unmatched.updated".to_owned()), data: Some(json!({"messages": 4})) };
    assert_eq!(client.next().await, expected);
}
