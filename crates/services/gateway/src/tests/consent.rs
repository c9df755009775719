//! What managers note of people's consent, and the lines that tell of it: rule 13.

use chassis::Fault;
use proto::conversations::feed_entry::Content;
use proto::conversations::{Consent, Conversation, ConversationEvent, FeedEntry, Manager};
use proto::to_timestamp;
use serde_json::{Value, json};

use super::sse::Block;
use super::tokens::{Token, token};
use super::{World, a_time, read};

const CONVERSATION: &str = "01900000-0000-7000-8000-00000000000c";
const EVENT: &str = "01900000-0000-7000-8000-00000000000e";
const CONSENT: &str = "/v1/conversations/01900000-0000-7000-8000-00000000000c/consent";
const EVENTS: &str = "/v1/conversations/01900000-0000-7000-8000-00000000000c/events";

fn mia() -> Manager {
    Manager { id: "m-1".to_owned(), name: "Mia Manager".to_owned() }
}

fn an_opted_out_conversation() -> Conversation {
    let consent = Consent {
        opted_out: true,
        source: "manager".to_owned(),
        manager: Some(mia()),
        reason: Some("Said so on the phone.".to_owned()),
        changed_at: Some(to_timestamp(a_time())),
    };
    Conversation {
        license_id: "acme".to_owned(),
        conversation_id: CONVERSATION.to_owned(),
        number: "+12125550123".to_owned(),
        sendable: false,
        reason: Some("recipient_opted_out".to_owned()),
        opened_at: Some(to_timestamp(a_time())),
        consent: Some(consent),
        ..Default::default()
    }
}

fn a_line(source: &str) -> ConversationEvent {
    let by_manager = source == "manager";
    ConversationEvent {
        license_id: "acme".to_owned(),
        event_id: EVENT.to_owned(),
        conversation_id: CONVERSATION.to_owned(),
        kind: "opted_out".to_owned(),
        source: source.to_owned(),
        manager: by_manager.then(mia),
        reason: by_manager.then(|| "Said so on the phone.".to_owned()),
        occurred_at: Some(to_timestamp(a_time())),
    }
}

fn line_json(source: &str) -> Value {
    let by_manager = source == "manager";
    json!({
        "event_id": EVENT, "conversation_id": CONVERSATION, "kind": "opted_out", "source": source,
        "manager": by_manager.then(|| json!({"id": "m-1", "name": "Mia Manager"})),
        "reason": by_manager.then_some("Said so on the phone."), "occurred_at": "2026-03-02T15:00:00Z",
    })
}

#[tokio::test]
async fn a_manager_can_mark_and_unmark_with_a_reason_and_sees_the_conversation() {
    let world = World::start().await;
    world.services.known().consent_answer = Some(Ok(an_opted_out_conversation()));
    let body = json!({"opted_out": true, "reason": "Said so on the phone."});
    let answer = world.send("PUT", CONSENT, &token(Token::default()), &body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let shown = (&answer.body["sendable"], &answer.body["reason"], &answer.body["consent"]);
    let consent = json!({
        "opted_out": true, "source": "manager", "manager": {"id": "m-1", "name": "Mia Manager"},
        "reason": "Said so on the phone.", "changed_at": "2026-03-02T15:00:00Z",
    });
    assert_eq!(shown, (&json!(false), &json!("recipient_opted_out"), &consent));

    let put = world.services.known().consents_put.remove(0);
    assert_eq!((put.license_id.as_str(), put.conversation_id.as_str()), ("acme", CONVERSATION));
    assert_eq!((put.opted_out, put.reason.as_str(), put.manager), (true, "Said so on the phone.", Some(mia())));
    let body = json!({"opted_out": false, "reason": "Wants them again."});
    world.send("PUT", CONSENT, &token(Token::default()), &body).await;
    assert!(!world.services.known().consents_put.remove(0).opted_out);
}

#[tokio::test]
async fn what_cannot_be_noted_is_refused_with_the_reason() {
    let world = World::start().await;
    let manager = token(Token::default());
    for (body, code, field) in [
        (json!({"opted_out": true}), "missing_field", "reason"),
        (json!({"reason": "x"}), "missing_field", "opted_out"),
        (json!({"opted_out": "yes", "reason": "x"}), "invalid_value", "opted_out"),
        (json!({"opted_out": true, "reason": "x", "number": "y"}), "unknown_field", "number"),
    ] {
        let answer = world.send("PUT", CONSENT, &manager, &body).await;
        assert_eq!(answer.problem(), (422, code, Some(field)));
    }
    assert!(world.services.known().consents_put.is_empty());

    let body = json!({"opted_out": true, "reason": "x"});
    for (fault, expected) in [
        (Fault::not_found("conversation_not_found", "None."), (404, "conversation_not_found", None)),
        (Fault::conflict("number_no_longer_tied", "Gone."), (409, "number_no_longer_tied", None)),
        (Fault::invalid("reason", "reason_too_long", "Long."), (422, "reason_too_long", Some("reason"))),
    ] {
        world.services.known().consent_answer = Some(Err(fault));
        assert_eq!(world.send("PUT", CONSENT, &manager, &body).await.problem(), expected);
    }
}

#[tokio::test]
async fn the_lines_of_a_conversation_are_read_in_pages_and_only_by_their_license() {
    let world = World::start().await;
    {
        let mut known = world.services.known();
        known.conversations.insert(("acme".to_owned(), CONVERSATION.to_owned()), an_opted_out_conversation());
        known.lines = vec![a_line("manager"), a_line("keyword")];
    }
    let answer = world.get(&format!("{EVENTS}?limit=2&cursor=abc")).await;
    let expected = json!({"items": [line_json("manager"), line_json("keyword")], "next_cursor": "more"});
    assert_eq!((answer.status, answer.body), (200, expected));
    let asked = world.services.known().lines_asked.remove(0);
    assert_eq!((asked.license_id.as_str(), asked.conversation_id.as_str()), ("acme", CONVERSATION));
    assert_eq!((asked.limit, asked.cursor.as_str()), (2, "abc"));

    let stranger = token(Token { license_id: Some("other"), ..Token::default() });
    let answer = read(world.request("GET", EVENTS, &stranger)).await;
    assert_eq!(answer.problem(), (404, "conversation_not_found", None));
    assert_eq!(world.get(&format!("{EVENTS}?limit=0")).await.problem(), (422, "invalid_value", Some("limit")));
}

#[tokio::test]
async fn a_line_reaches_every_client_of_the_license() {
    let world = World::start().await;
    let mut client = world.follow("acme", None).await;
    assert_eq!(client.next().await.id, 0);
    let content = Some(Content::ConversationEvent(a_line("keyword")));
    let entry = FeedEntry { license_id: "acme".to_owned(), seq: 1, occurred_at: None, content };
    world.services.known().feed.insert("acme".to_owned(), vec![entry]);
    let expected = Block { id: 1, event: Some("conversation.event".to_owned()), data: Some(line_json("keyword")) };
    assert_eq!(client.next().await, expected);
}
