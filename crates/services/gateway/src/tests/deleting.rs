//! Rule 11: a deleted conversation leaves a receipt.

use chassis::Fault;
use proto::conversations::feed_entry::Content;
use proto::conversations::{
    Conversation, ConversationDeleted, DeletionReceipt, FeedEntry, Manager, SendMessagesResponse,
};
use proto::to_timestamp;
use serde_json::{Value, json};

use super::sse::Block;
use super::tokens::{Token, token};
use super::{World, a_time, read};

const CONVERSATION: &str = "01900000-0000-7000-8000-00000000000c";
const NEWER: &str = "01900000-0000-7000-8000-0000000000c1";
const OLDER: &str = "01900000-0000-7000-8000-0000000000c0";
const ONE: &str = "/v1/conversations/01900000-0000-7000-8000-00000000000c";

fn a_receipt() -> DeletionReceipt {
    DeletionReceipt {
        conversation_id: CONVERSATION.to_owned(),
        deleted_by: Some(Manager { id: "m-2".to_owned(), name: "Max".to_owned() }),
        deleted_at: Some(to_timestamp(a_time())),
        messages: 212,
    }
}

fn receipt_json() -> Value {
    json!({
        "conversation_id": CONVERSATION, "deleted_by": {"id": "m-2", "name": "Max"},
        "deleted_at": "2026-03-02T15:00:00Z", "messages": 212,
    })
}

#[tokio::test]
async fn deleting_a_conversation_answers_a_receipt_who_when_how_many() {
    let world = World::start().await;
    world.services.known().deletion.answer = Ok(a_receipt());
    let max = token(Token { sub: "m-2", name: "Max", ..Token::default() });
    for _ in 0..2 {
        let answer = read(world.request("DELETE", ONE, &max)).await;
        assert_eq!((answer.status, answer.body), (200, receipt_json()));
    }
    let asked = world.services.known().deletion.asked.remove(0);
    assert_eq!((asked.license_id.as_str(), asked.conversation_id.as_str()), ("acme", CONVERSATION));
    assert_eq!(asked.manager, Some(Manager { id: "m-2".to_owned(), name: "Max".to_owned() }));

    world.services.known().deletion.answer = Err(Fault::not_found("conversation_not_found", "None."));
    assert_eq!(read(world.request("DELETE", ONE, &max)).await.problem(), (404, "conversation_not_found", None));
    let nobody = read(world.http.delete(format!("{}{ONE}", world.gateway.url))).await;
    assert_eq!(nobody.problem(), (401, "unauthenticated", None));
}

#[tokio::test]
async fn every_client_is_told_of_the_deletion_and_what_was_before_is_only_a_position() {
    let world = World::start().await;
    let entry = |seq, content| FeedEntry { license_id: "acme".to_owned(), seq, occurred_at: None, content };
    let deleted = Content::ConversationDeleted(ConversationDeleted { receipt: Some(a_receipt()) });
    world.services.known().feed.insert("acme".to_owned(), vec![entry(1, None), entry(2, Some(deleted))]);
    let mut client = world.follow("acme", Some(0)).await;
    assert_eq!(client.next().await, Block { id: 0, event: None, data: None });
    assert_eq!(client.next().await, Block { id: 1, event: None, data: None });
    let expected = Block { id: 2, event: Some("conversation.deleted".to_owned()), data: Some(receipt_json()) };
    assert_eq!(client.next().await, expected);
}

#[tokio::test]
async fn a_repeated_send_whose_message_was_deleted_is_still_accepted_and_not_refused() {
    let world = World::start().await;
    let body = json!({"recipients": [{"conversation_id": CONVERSATION}], "body": "x"});
    world.services.known().send_answer = SendMessagesResponse::default();
    let answer = world.send("POST", "/v1/messages", &token(Token::default()), &body).await;
    assert_eq!((answer.status, answer.body), (202, json!({"messages": [], "rejected": []})));
}

#[tokio::test]
async fn a_conversation_leads_to_its_newer_one_and_back_to_the_older_ones() {
    let world = World::start().await;
    let conversation = Conversation {
        license_id: "acme".to_owned(),
        conversation_id: CONVERSATION.to_owned(),
        reason: Some("number_no_longer_tied".to_owned()),
        opened_at: Some(to_timestamp(a_time())),
        newer_conversation_id: Some(NEWER.to_owned()),
        older_conversation_ids: vec![OLDER.to_owned()],
        ..Default::default()
    };
    world.services.known().conversations.insert(("acme".to_owned(), CONVERSATION.to_owned()), conversation);
    let answer = world.get(ONE).await;
    assert_eq!(answer.body["newer_conversation_id"], NEWER);
    assert_eq!(answer.body["older_conversation_ids"], json!([OLDER]));
}
