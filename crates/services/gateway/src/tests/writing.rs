//! Sends and other writes.

use std::sync::atomic::Ordering;
use std::time::Duration;

use proto::conversations::recipient::To;
use proto::conversations::{Recipient, Rejection, SendMessagesResponse};
use serde_json::{Value, json};

use super::services::a_message;
use super::tokens::{Token, token};
use super::{World, read};

const MESSAGE: &str = "01900000-0000-7000-8000-000000000001";
const CONVERSATION: &str = "01900000-0000-7000-8000-00000000000c";

fn rejection(person: &str, code: &str) -> Rejection {
    let recipient = Recipient { to: Some(To::PersonId(person.to_owned())) };
    Rejection {
        recipient: Some(recipient),
        code: code.to_owned(),
        detail: "It cannot be.".to_owned(),
        unseen: Vec::new(),
    }
}

fn rejected_json(person: &str, code: &str) -> Value {
    json!({"recipient": {"person_id": person}, "code": code, "detail": "It cannot be."})
}

fn text_to(recipients: &Value) -> Value {
    json!({"recipients": recipients, "body": "The plumber comes at nine."})
}

async fn post(world: &World, body: &Value) -> super::Answer {
    world.send("POST", "/v1/messages", &token(Token::default()), body).await
}

#[tokio::test]
async fn a_send_carries_the_managers_id_and_name_and_says_what_was_accepted_and_what_not() {
    let world = World::start().await;
    world.services.known().send_answer = SendMessagesResponse {
        batch_id: Some("01900000-0000-7000-8000-00000000000b".to_owned()),
        messages: vec![a_message("acme", MESSAGE)],
        rejected: vec![rejection("t-9", "person_has_no_phone")],
        scheduled: None,
    };
    let body = text_to(&json!([{"conversation_id": CONVERSATION}, {"person_id": "t-9"}]));
    let request = world.request("POST", "/v1/messages", &token(Token::default()));
    let answer = read(request.header("Idempotency-Key", "k-1").json(&body)).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    assert_eq!(answer.body["batch_id"], "01900000-0000-7000-8000-00000000000b");
    assert_eq!(answer.body["messages"][0]["message_id"], MESSAGE);
    assert_eq!(answer.body["rejected"], json!([rejected_json("t-9", "person_has_no_phone")]));

    let sent = world.services.known().sends.remove(0);
    let manager = sent.manager.unwrap();
    assert_eq!((manager.id.as_str(), manager.name.as_str()), ("m-1", "Mia Manager"));
    assert_eq!((sent.license_id.as_str(), sent.idempotency_key.as_str()), ("acme", "k-1"));
    assert_eq!(sent.recipients[0].to, Some(To::ConversationId(CONVERSATION.to_owned())));
    assert_eq!(sent.body, "The plumber comes at nine.");
}

#[tokio::test]
async fn a_message_that_came_to_nothing_is_sent_again_in_the_name_of_who_asks() {
    const AGAIN: &str = "01900000-0000-7000-8000-000000000002";
    let world = World::start().await;
    let mut failed = a_message("acme", MESSAGE);
    failed.status = "failed".to_owned();
    world.services.known().messages.insert(("acme".to_owned(), MESSAGE.to_owned()), failed);
    world.services.known().messages.insert(("acme".to_owned(), AGAIN.to_owned()), a_message("acme", AGAIN));
    world.services.known().send_answer =
        SendMessagesResponse { messages: vec![a_message("acme", AGAIN)], ..Default::default() };
    let again = async |id: &str| {
        let path = format!("/v1/messages/{id}/send-again");
        read(world.request("POST", &path, &token(Token::default()))).await
    };
    let answer = again(MESSAGE).await;
    assert_eq!((answer.status, &answer.body["messages"][0]["message_id"]), (202, &json!(AGAIN)));
    let asked = world.services.known().sent_again.remove(0);
    let manager = asked.manager.unwrap();
    assert_eq!((manager.id.as_str(), manager.name.as_str()), ("m-1", "Mia Manager"));
    assert_eq!(again(AGAIN).await.problem(), (409, "message_may_arrive", None));
    assert_eq!(again("01900000-0000-7000-8000-00000000000f").await.problem(), (404, "message_not_found", None));
    world.services.known().send_answer =
        SendMessagesResponse { rejected: vec![rejection("t-1", "recipient_opted_out")], ..Default::default() };
    assert_eq!(again(MESSAGE).await.problem(), (409, "recipient_opted_out", None));
}

#[tokio::test]
async fn a_send_of_which_nothing_was_accepted_is_an_error_with_the_reasons() {
    let world = World::start().await;
    let one = text_to(&json!([{"person_id": "t-1"}]));
    let two = text_to(&json!([{"person_id": "t-1"}, {"person_id": "t-2"}]));
    for (body, codes, expected) in [
        (&one, vec!["person_not_found"], (404, "person_not_found", None)),
        (&one, vec!["number_no_longer_tied"], (409, "number_no_longer_tied", None)),
        (&one, vec!["cannot_receive_sms"], (409, "cannot_receive_sms", None)),
        (&two, vec!["person_not_found"; 2], (422, "no_recipient_accepted", Some("recipients"))),
    ] {
        let rejected = codes.iter().map(|code| rejection("t-1", code)).collect();
        world.services.known().send_answer = SendMessagesResponse { rejected, ..Default::default() };
        let answer = post(&world, body).await;
        assert_eq!(answer.problem(), expected);
        assert_eq!(answer.body["rejected"][0], rejected_json("t-1", codes[0]));
    }
}

#[tokio::test]
async fn bad_input_is_refused_with_the_field_and_the_reason_and_reaches_no_service() {
    let world = World::start().await;
    let too_many: Vec<Value> = (0..10_001).map(|index| json!({"person_id": format!("t-{index}")})).collect();
    for (body, code, field) in [
        (json!({"recipients": [{"person_id": "t-1"}]}), "missing_field", "body"),
        (json!({"recipients": [{"person_id": "t-1"}], "body": "x", "text": "y"}), "unknown_field", "text"),
        (json!({"recipients": [{"person_id": "t-1", "x": 1}], "body": "x"}), "unknown_field", "recipients[0].x"),
        (text_to(&json!([])), "invalid_recipients", "recipients"),
        (text_to(&json!(too_many)), "invalid_recipients", "recipients"),
        (text_to(&json!([{"person_id": "t-1"}, {}])), "invalid_recipient", "recipients[1]"),
        (
            text_to(&json!([{"person_id": "t-1", "conversation_id": CONVERSATION}])),
            "invalid_recipient",
            "recipients[0]",
        ),
        (text_to(&json!([{"person_id": "a b"}])), "invalid_value", "recipients[0].person_id"),
        (text_to(&json!([{"conversation_id": "7"}])), "invalid_value", "recipients[0].conversation_id"),
    ] {
        assert_eq!(post(&world, &body).await.problem(), (422, code, Some(field)));
    }
    for key in ["", "a b", &"x".repeat(201)] {
        let request = world.request("POST", "/v1/messages", &token(Token::default()));
        let request = request.header("Idempotency-Key", key).json(&text_to(&json!([{"person_id": "t-1"}])));
        assert_eq!(read(request).await.problem(), (422, "invalid_idempotency_key", Some("Idempotency-Key")));
    }
    assert!(world.services.known().sends.is_empty());
}

#[tokio::test]
async fn a_body_that_is_no_json_or_too_large_is_refused() {
    let world = World::start().await;
    let put = |path: &str, kind: &str, body: String| {
        let request = world.request("PUT", path, &token(Token::default()));
        read(request.header("Content-Type", kind.to_owned()).body(body))
    };
    let path = "/v1/people/t-1";
    let answer = put(path, "application/json", "{\n  \"kind\": tenant\n}".to_owned()).await;
    assert_eq!(answer.problem(), (400, "invalid_json", None));
    assert!(answer.body["detail"].as_str().unwrap().contains("line 2"), "{}", answer.body);
    assert_eq!(put(path, "text/plain", "{}".to_owned()).await.problem().0, 415);
    let large = format!("\"{}\"", "x".repeat(64 * 1024));
    assert_eq!(put(path, "application/json", large.clone()).await.problem(), (413, "body_too_large", None));
    // A send may be larger, and is bounded as well.
    let post = |body: String| {
        let request = world.request("POST", "/v1/messages", &token(Token::default()));
        read(request.header("Content-Type", "application/json; charset=utf-8").body(body))
    };
    assert_eq!(post(large).await.problem().1, "invalid_value");
    assert_eq!(post("x".repeat(2 * 1024 * 1024 + 1)).await.problem().0, 413);
}

#[tokio::test]
async fn a_person_is_put_read_and_deleted_and_a_bad_number_is_named() {
    let world = World::start().await;
    let manager = token(Token::default());
    let person = json!({"kind": "tenant", "name": "Tina", "phones": ["+12125550123"]});
    let mut expected = person.clone();
    expected["person_id"] = json!("t-1");
    let put = world.send("PUT", "/v1/people/t-1", &manager, &person).await;
    assert_eq!((put.status, &put.body), (200, &expected));
    assert_eq!(world.get("/v1/people/t-1").await.body, expected);
    let bad = json!({"kind": "tenant", "name": "Tina", "phones": ["+12125550123", "911"]});
    let answer = world.send("PUT", "/v1/people/t-1", &manager, &bad).await;
    assert_eq!(answer.problem(), (422, "invalid_phone", Some("phones[1]")));
    let bad = json!({"kind": "king", "name": "Tina", "phones": []});
    let answer = world.send("PUT", "/v1/people/t-1", &manager, &bad).await;
    assert_eq!(answer.problem(), (422, "invalid_value", Some("kind")));
    for _ in 0..2 {
        assert_eq!(read(world.request("DELETE", "/v1/people/t-1", &manager)).await.status, 204);
    }
    assert_eq!(world.get("/v1/people/t-1").await.problem().0, 404);
}

#[tokio::test]
async fn a_write_goes_to_its_end_when_the_client_hangs_up_and_the_shutdown_waits_for_it() {
    let world = World::start().await;
    world.services.state().send_held.store(true, Ordering::SeqCst);
    world.services.known().send_answer =
        SendMessagesResponse { messages: vec![a_message("acme", MESSAGE)], ..Default::default() };
    let request = world.request("POST", "/v1/messages", &token(Token::default()));
    let client = tokio::spawn(request.json(&text_to(&json!([{"person_id": "t-1"}]))).send());
    world.services.state().send_arrived.notified().await;
    client.abort();
    let _aborted = client.await;
    let lifecycle = world.gateway.lifecycle.clone();
    let end = tokio::spawn(async move { lifecycle.finish(Duration::from_secs(10)).await });
    world.services.state().send_released.notify_one();
    end.await.unwrap().unwrap();
    assert_eq!(world.services.known().sends_done, 1);
}
