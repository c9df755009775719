//! Sends to many, as clients see them: what they would do, how far they are, how they are stopped.

use std::sync::atomic::Ordering;

use chassis::Fault;
use proto::conversations::feed_entry::Content;
use proto::conversations::recipient::To;
use proto::conversations::{
    Batch, FeedEntry, ListBatchMessagesResponse, ListBatchesResponse, Manager, PreviewMessagesResponse,
    PreviewedMessage, Recipient, Rejection, StatusCount,
};
use proto::dispatch::EstimateFinishResponse;
use proto::to_timestamp;
use serde_json::{Value, json};

use super::services::a_message;
use super::sse::Block;
use super::tokens::{Token, token};
use super::{World, a_time};

const MESSAGE: &str = "01900000-0000-7000-8000-000000000001";
const BATCH: &str = "01900000-0000-7000-8000-00000000000b";
const CONVERSATION: &str = "01900000-0000-7000-8000-00000000000c";
const PREVIEW: &str = "/v1/messages/preview";

fn mia() -> Manager {
    Manager { id: "m-1".to_owned(), name: "Mia Manager".to_owned() }
}

fn a_batch() -> Batch {
    let counts = [("delivered", 7), ("queued", 3)];
    Batch {
        license_id: "acme".to_owned(),
        batch_id: BATCH.to_owned(),
        manager: Some(mia()),
        created_at: Some(to_timestamp(a_time())),
        recipients: 12,
        rejected: 2,
        messages: 10,
        counts: counts.map(|(status, messages)| StatusCount { status: status.to_owned(), messages }).to_vec(),
        canceled_at: None,
        canceled_by: None,
    }
}

fn batch_json() -> Value {
    json!({
        "batch_id": BATCH, "manager": {"id": "m-1", "name": "Mia Manager"}, "created_at": "2026-03-02T15:00:00Z",
        "recipients": 12, "rejected": 2, "messages": 10, "counts": {"delivered": 7, "queued": 3},
        "canceled_at": null, "canceled_by": null,
    })
}

fn to_person(id: &str) -> Recipient {
    Recipient { to: Some(To::PersonId(id.to_owned())) }
}

fn rejection(person: &str, code: &str) -> Rejection {
    let recipient = Some(to_person(person));
    Rejection { recipient, code: code.to_owned(), detail: "It cannot be.".to_owned(), unseen: Vec::new() }
}

fn a_preview() -> PreviewMessagesResponse {
    let message = PreviewedMessage {
        recipient: Some(to_person("t-1")),
        to: "+12125550123".to_owned(),
        body: "Dear Tina".to_owned(),
        segments: 2,
        conversation_id: None,
    };
    let goes_on = PreviewedMessage {
        recipient: Some(Recipient { to: Some(To::ConversationId(CONVERSATION.to_owned())) }),
        conversation_id: Some(CONVERSATION.to_owned()),
        ..message.clone()
    };
    let rejected = [("t-2", "duplicate_recipient"), ("t-3", "person_has_no_phone"), ("t-4", "duplicate_recipient")];
    PreviewMessagesResponse {
        messages: vec![message, goes_on],
        rejected: rejected.map(|(person, code)| rejection(person, code)).to_vec(),
        segments: 4,
    }
}

fn to_everybody() -> Value {
    let people = ["t-1", "t-2", "t-3", "t-4"].map(|id| json!({"person_id": id}));
    let mut recipients = people.to_vec();
    recipients.push(json!({"conversation_id": CONVERSATION}));
    json!({"recipients": recipients, "body": "Dear {{person.first_name}}", "last_seen_seq": 41})
}

async fn preview(world: &World, body: &Value) -> super::Answer {
    world.send("POST", PREVIEW, &token(Token::default()), body).await
}

#[tokio::test]
async fn a_preview_tells_duplicates_refusals_segments_and_the_finish_time_and_sends_nothing() {
    let world = World::start().await;
    let finish = EstimateFinishResponse {
        finish_at: Some(to_timestamp(a_time())),
        held_by: Some("carrier_throttled".to_owned()),
    };
    world.services.known().sends_to_many.preview.answer = Ok(a_preview());
    world.services.known().estimate.answer = Ok(finish);
    let answer = preview(&world, &to_everybody()).await;
    let rejected =
        |person: &str, code: &str| json!({"recipient": {"person_id": person}, "code": code, "detail": "It cannot be."});
    let expected = json!({
        "messages": [
            {"recipient": {"person_id": "t-1"}, "to": "+12125550123", "body": "Dear Tina", "segments": 2,
             "conversation_id": null},
            {"recipient": {"conversation_id": CONVERSATION}, "to": "+12125550123", "body": "Dear Tina", "segments": 2,
             "conversation_id": CONVERSATION},
        ],
        "rejected": [rejected("t-2", "duplicate_recipient"), rejected("t-3", "person_has_no_phone"),
            rejected("t-4", "duplicate_recipient")],
        "duplicates": 2, "segments": 4, "finish_at": "2026-03-02T15:00:00Z", "held_by": "carrier_throttled",
    });
    assert_eq!((answer.status, answer.body), (200, expected));

    let known = world.services.known();
    let asked = &known.sends_to_many.preview.asked[0];
    assert_eq!((asked.license_id.as_str(), asked.body.as_str()), ("acme", "Dear {{person.first_name}}"));
    assert_eq!((asked.recipients.len(), asked.last_seen_seq), (5, Some(41)));
    assert_eq!(asked.manager, Some(mia()));
    let estimate = &known.estimate.asked[0];
    assert_eq!((estimate.license_id.as_str(), estimate.segments, estimate.batch), ("acme", 4, true));
    assert!(known.sends.is_empty());
}

#[tokio::test]
async fn a_preview_is_answered_without_a_finish_time_when_dispatch_is_away_and_asks_only_when_something_would_go_now() {
    let world = World::start().await;
    world.services.known().sends_to_many.preview.answer = Ok(a_preview());
    world.services.known().estimate.answer =
        Ok(EstimateFinishResponse { finish_at: Some(to_timestamp(a_time())), held_by: None });
    world.services.state().dispatch_away.store(true, Ordering::SeqCst);
    let answer = preview(&world, &to_everybody()).await;
    assert_eq!((answer.status, &answer.body["segments"]), (200, &json!(4)));
    assert_eq!((&answer.body["finish_at"], &answer.body["held_by"]), (&json!(null), &json!(null)));
    world.services.state().dispatch_away.store(false, Ordering::SeqCst);
    world.services.known().estimate.asked.clear();

    // Later: nobody can say yet.
    let mut later = to_everybody();
    later["send_at"] = json!("2026-03-03T09:00:00Z");
    assert_eq!(preview(&world, &later).await.body["finish_at"], json!(null));
    // To nobody: that is an answer, not an error.
    let nobody = PreviewMessagesResponse { rejected: vec![rejection("t-1", "person_not_found")], ..Default::default() };
    world.services.known().sends_to_many.preview.answer = Ok(nobody);
    let one = json!({"recipients": [{"person_id": "t-1"}], "body": "x"});
    let answer = preview(&world, &one).await;
    assert_eq!((answer.status, &answer.body["rejected"][0]["code"]), (200, &json!("person_not_found")));
    assert!(world.services.known().estimate.asked.is_empty());

    world.services.known().sends_to_many.preview.answer = Ok(a_preview());
    assert_eq!(preview(&world, &one).await.body["finish_at"], "2026-03-02T15:00:00Z");
    assert!(!world.services.known().estimate.asked[0].batch, "an answer to one goes before batches");
}

#[tokio::test]
async fn a_preview_has_the_limits_of_a_send() {
    let world = World::start().await;
    let too_many: Vec<Value> = (0..10_001).map(|index| json!({"person_id": format!("t-{index}")})).collect();
    for (body, code, field) in [
        (json!({"recipients": [], "body": "x"}), "invalid_recipients", "recipients"),
        (json!({"recipients": too_many, "body": "x"}), "invalid_recipients", "recipients"),
        (json!({"recipients": [{}], "body": "x"}), "invalid_recipient", "recipients[0]"),
        (json!({"recipients": [{"person_id": "t-1"}]}), "missing_field", "body"),
        (json!({"recipients": [{"person_id": "t-1"}], "body": "x", "send_at": "soon"}), "invalid_value", "send_at"),
    ] {
        assert_eq!(preview(&world, &body).await.problem(), (422, code, Some(field)));
    }
    let large = json!({"recipients": [{"person_id": "t-1"}], "body": "x".repeat(100_000)});
    assert_eq!(preview(&world, &large).await.problem().1, "nothing_known", "it reaches the service");
    let too_large = json!({"recipients": [{"person_id": "t-1"}], "body": "x".repeat(2 * 1024 * 1024)});
    assert_eq!(preview(&world, &too_large).await.problem(), (413, "body_too_large", None));
    for (fault, expected) in [
        (Fault::invalid("body", "unknown_merge_field", "No."), (422, "unknown_merge_field", Some("body"))),
        (Fault::conflict("company_name_unknown", "No."), (409, "company_name_unknown", None)),
    ] {
        world.services.known().sends_to_many.preview.answer = Err(fault);
        assert_eq!(preview(&world, &to_everybody()).await.problem(), expected);
    }
}

#[tokio::test]
async fn batches_are_listed_and_shown_with_how_many_messages_are_where() {
    let world = World::start().await;
    let canceled =
        Batch { canceled_at: Some(to_timestamp(a_time())), canceled_by: Some(mia()), counts: Vec::new(), ..a_batch() };
    let page = ListBatchesResponse { batches: vec![a_batch(), canceled], next_cursor: "more".to_owned() };
    world.services.known().sends_to_many.list_batches.answer = Ok(page);
    let mut canceled = batch_json();
    canceled["counts"] = json!({});
    canceled["canceled_at"] = json!("2026-03-02T15:00:00Z");
    canceled["canceled_by"] = json!({"id": "m-1", "name": "Mia Manager"});
    let answer = world.get("/v1/batches?limit=2&cursor=abc").await;
    assert_eq!(answer.body, json!({"items": [batch_json(), canceled], "next_cursor": "more"}));
    let asked = world.services.known().sends_to_many.list_batches.asked.remove(0);
    assert_eq!((asked.license_id.as_str(), asked.limit, asked.cursor.as_str()), ("acme", 2, "abc"));

    world.services.known().sends_to_many.get_batch.answer = Ok(a_batch());
    let answer = world.get(&format!("/v1/batches/{BATCH}")).await;
    let mut expected = batch_json();
    (expected["finish_at"], expected["held_by"]) = (json!(null), json!(null));
    assert_eq!((answer.status, answer.body), (200, expected));
    let asked = world.services.known().sends_to_many.get_batch.asked.remove(0);
    assert_eq!((asked.license_id.as_str(), asked.batch_id.as_str()), ("acme", BATCH));
    let none = Fault::not_found("batch_not_found", "None.");
    world.services.known().sends_to_many.get_batch.answer = Err(none);
    assert_eq!(world.get(&format!("/v1/batches/{BATCH}")).await.problem(), (404, "batch_not_found", None));
    assert_eq!(world.get("/v1/batches/7").await.problem(), (422, "invalid_id", Some("batch_id")));
}

#[tokio::test]
async fn a_batch_says_when_its_last_message_goes_out_and_is_shown_without_when_dispatch_is_away() {
    let world = World::start().await;
    let path = format!("/v1/batches/{BATCH}");
    let finish =
        EstimateFinishResponse { finish_at: Some(to_timestamp(a_time())), held_by: Some("quiet_hours".to_owned()) };
    world.services.known().batch_estimate.answer = Ok(finish);
    let shown = async |counts: &[(&str, u32)]| {
        let count =
            |(status, messages): &(&str, u32)| StatusCount { status: (*status).to_owned(), messages: *messages };
        let batch = Batch { counts: counts.iter().map(count).collect(), ..a_batch() };
        world.services.known().sends_to_many.get_batch.answer = Ok(batch);
        let answer = world.get(&path).await;
        assert_eq!(answer.status, 200);
        (answer.body["finish_at"].clone(), answer.body["held_by"].clone())
    };
    let said = (json!("2026-03-02T15:00:00Z"), json!("quiet_hours"));
    assert_eq!(shown(&[("delivered", 7), ("queued", 3)]).await, said);
    assert_eq!(shown(&[("delivered", 9), ("unknown", 1)]).await, said);
    let asked = std::mem::take(&mut world.services.known().batch_estimate.asked);
    assert_eq!((asked[0].license_id.as_str(), asked[0].batch_id.as_str()), ("acme", BATCH));
    // Nothing waits: there is nothing to ask.
    let nothing = (json!(null), json!(null));
    assert_eq!(shown(&[("delivered", 7), ("failed", 1), ("sending", 2), ("queued", 0)]).await, nothing);
    assert!(world.services.known().batch_estimate.asked.is_empty());

    world.services.state().dispatch_away.store(true, Ordering::SeqCst);
    assert_eq!(shown(&[("queued", 10)]).await, nothing);
    assert_eq!(world.services.known().batch_estimate.asked.len(), 1);
}

#[tokio::test]
async fn the_messages_of_a_batch_are_read_in_pages_and_by_status() {
    let world = World::start().await;
    let page = ListBatchMessagesResponse { messages: vec![a_message("acme", MESSAGE)], next_cursor: "more".to_owned() };
    world.services.known().sends_to_many.batch_messages.answer = Ok(page);
    let path = format!("/v1/batches/{BATCH}/messages");
    let answer = world.get(&format!("{path}?status=failed&limit=3&cursor=abc")).await;
    assert_eq!(answer.body["items"][0]["message_id"], MESSAGE);
    assert_eq!((answer.status, &answer.body["next_cursor"]), (200, &json!("more")));
    world.get(&path).await;
    let asked = std::mem::take(&mut world.services.known().sends_to_many.batch_messages.asked);
    assert_eq!((asked[0].license_id.as_str(), asked[0].batch_id.as_str()), ("acme", BATCH));
    assert_eq!((asked[0].status.as_str(), asked[0].limit, asked[0].cursor.as_str()), ("failed", 3, "abc"));
    assert_eq!((asked[1].status.as_str(), asked[1].limit, asked[1].cursor.as_str()), ("", 50, ""));
    for (query, field) in [("status=lost", "status"), ("limit=0", "limit"), ("before=x", "before")] {
        assert_eq!(world.get(&format!("{path}?{query}")).await.problem().2, Some(field), "{query}");
    }
}

#[tokio::test]
async fn canceling_a_batch_says_who_does_it_and_answers_the_batch() {
    let world = World::start().await;
    world.services.known().sends_to_many.cancel_batch.answer = Ok(a_batch());
    let path = format!("/v1/batches/{BATCH}/cancel");
    let max = token(Token { sub: "m-2", name: "Max", ..Token::default() });
    let answer = super::read(world.request("POST", &path, &max)).await;
    assert_eq!((answer.status, answer.body), (202, batch_json()));
    let asked = world.services.known().sends_to_many.cancel_batch.asked.remove(0);
    assert_eq!((asked.license_id.as_str(), asked.batch_id.as_str()), ("acme", BATCH));
    assert_eq!(asked.manager, Some(Manager { id: "m-2".to_owned(), name: "Max".to_owned() }));
    let none = Fault::not_found("batch_not_found", "None.");
    world.services.known().sends_to_many.cancel_batch.answer = Err(none);
    assert_eq!(super::read(world.request("POST", &path, &max)).await.problem(), (404, "batch_not_found", None));
}

#[tokio::test]
async fn the_progress_of_a_batch_reaches_every_client_of_the_license() {
    let world = World::start().await;
    let mut client = world.follow("acme", None).await;
    assert_eq!(client.next().await.id, 0);
    let content = Some(Content::BatchUpdated(a_batch()));
    let entry = FeedEntry { license_id: "acme".to_owned(), seq: 1, occurred_at: None, content };
    world.services.known().feed.insert("acme".to_owned(), vec![entry]);
    let expected = Block { id: 1, event: Some("batch.updated".to_owned()), data: Some(batch_json()) };
    assert_eq!(client.next().await, expected);
}
