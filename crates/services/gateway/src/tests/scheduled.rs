//! Sends for later, as clients see them.

use chassis::Fault;
use proto::conversations::feed_entry::Content;
use proto::conversations::recipient::To;
use proto::conversations::{
    FeedEntry, ListScheduledResponse, Manager, Recipient, Rejection, ScheduledSend, SendMessagesResponse,
};
use proto::to_timestamp;
use serde_json::{Value, json};

use super::sse::Block;
use super::tokens::{Token, token};
use super::{World, a_time, read};

const SCHEDULED: &str = "01900000-0000-7000-8000-00000000000d";
const BATCH: &str = "01900000-0000-7000-8000-00000000000b";
const ONE: &str = "/v1/scheduled/01900000-0000-7000-8000-00000000000d";

fn waiting() -> ScheduledSend {
    ScheduledSend {
        license_id: "acme".to_owned(),
        scheduled_id: SCHEDULED.to_owned(),
        manager: Some(Manager { id: "m-1".to_owned(), name: "Mia Manager".to_owned() }),
        recipients: vec![Recipient { to: Some(To::PersonId("t-1".to_owned())) }],
        recipient_count: 1,
        body: "Dear {{person.name}}".to_owned(),
        media_urls: vec!["https://example.com/a.png".to_owned()],
        send_at: Some(to_timestamp(a_time())),
        created_at: Some(to_timestamp(a_time())),
        status: "waiting".to_owned(),
        ..Default::default()
    }
}

fn waiting_json() -> Value {
    json!({
        "scheduled_id": SCHEDULED, "manager": {"id": "m-1", "name": "Mia Manager"},
        "recipients": [{"person_id": "t-1"}], "recipient_count": 1, "body": "Dear {{person.name}}",
        "media_urls": ["https://example.com/a.png"], "send_at": "2026-03-02T15:00:00Z",
        "created_at": "2026-03-02T15:00:00Z", "status": "waiting",
        "waiting": {"reason": "scheduled", "until": "2026-03-02T15:00:00Z"}, "ended_at": null, "batch_id": null,
        "message_id": null, "rejected": [], "rejected_count": 0,
    })
}

/// Sent to several, one of whom got nothing.
fn ended() -> ScheduledSend {
    let rejected = Rejection {
        recipient: Some(Recipient { to: Some(To::PersonId("t-9".to_owned())) }),
        code: "recipient_opted_out".to_owned(),
        detail: "No.".to_owned(),
        unseen: Vec::new(),
    };
    ScheduledSend {
        status: "sent".to_owned(),
        body: String::new(),
        ended_at: Some(to_timestamp(a_time())),
        batch_id: Some(BATCH.to_owned()),
        rejected: vec![rejected],
        rejected_count: 1,
        ..waiting()
    }
}

fn ended_json() -> Value {
    let mut expected = waiting_json();
    for (name, value) in [
        ("status", json!("sent")),
        ("waiting", json!(null)),
        ("body", json!(null)),
        ("ended_at", json!("2026-03-02T15:00:00Z")),
        ("batch_id", json!(BATCH)),
        ("rejected", json!([{"recipient": {"person_id": "t-9"}, "code": "recipient_opted_out", "detail": "No."}])),
        ("rejected_count", json!(1)),
    ] {
        expected[name] = value;
    }
    expected
}

#[tokio::test]
async fn a_send_with_a_time_is_kept_and_answered_as_accepted() {
    let world = World::start().await;
    world.services.known().send_answer =
        SendMessagesResponse { scheduled: Some(waiting()), ..SendMessagesResponse::default() };
    let manager = token(Token::default());
    let mut body = json!({"recipients": [{"person_id": "t-1"}], "body": "x", "send_at": "2026-03-02T16:00:00+01:00"});
    let answer = world.send("POST", "/v1/messages", &manager, &body).await;
    assert_eq!(
        (answer.status, answer.body),
        (202, json!({"messages": [], "rejected": [], "scheduled": waiting_json()}))
    );
    assert_eq!(world.services.known().sends[0].send_at, Some(to_timestamp(a_time())));

    for wrong in [json!("tomorrow"), json!(1_772_463_600), json!("2026-03-02")] {
        body["send_at"] = wrong;
        let refused = world.send("POST", "/v1/messages", &manager, &body).await;
        assert_eq!(refused.problem(), (422, "invalid_value", Some("send_at")));
    }
    // Without a time, and with one that is null, it goes at once.
    body["send_at"] = json!(null);
    world.send("POST", "/v1/messages", &manager, &body).await;
    assert_eq!(world.services.known().sends.last().unwrap().send_at, None);
    assert_eq!(world.services.known().sends.len(), 2);
}

#[tokio::test]
async fn scheduled_sends_are_listed_soonest_first_or_when_they_have_ended() {
    let world = World::start().await;
    let page = ListScheduledResponse { scheduled: vec![waiting(), ended()], next_cursor: "more".to_owned() };
    world.services.known().sends_to_many.list_scheduled.answer = Ok(page);
    let answer = world.get("/v1/scheduled?ended=true&limit=2&cursor=abc").await;
    let expected = json!({"items": [waiting_json(), ended_json()], "next_cursor": "more"});
    assert_eq!((answer.status, answer.body), (200, expected));
    world.get("/v1/scheduled").await;
    let asked = std::mem::take(&mut world.services.known().sends_to_many.list_scheduled.asked);
    assert_eq!((asked[0].license_id.as_str(), asked[0].limit, asked[0].cursor.as_str()), ("acme", 2, "abc"));
    assert_eq!((asked[0].ended, asked[1].ended, asked[1].limit), (true, false, 50));
    for (query, field) in [("ended=yes", "ended"), ("limit=201", "limit"), ("status=sent", "status")] {
        assert_eq!(world.get(&format!("/v1/scheduled?{query}")).await.problem().2, Some(field), "{query}");
    }
}

#[tokio::test]
async fn a_scheduled_send_is_shown_changed_and_canceled_until_it_is_sent() {
    let world = World::start().await;
    let manager = token(Token::default());
    {
        let known = &mut world.services.known().sends_to_many;
        known.get_scheduled.answer = Ok(waiting());
        known.update_scheduled.answer = Ok(waiting());
        known.cancel_scheduled.answer = Ok(ScheduledSend { status: "canceled".to_owned(), ..waiting() });
    }
    let answer = world.get(ONE).await;
    assert_eq!((answer.status, answer.body), (200, waiting_json()));
    for body in [
        json!({"body": "Hello", "send_at": "2026-03-02T15:00:00Z"}),
        json!({"body": "Hello"}),
        json!({"send_at": "2026-03-02T15:00:00Z"}),
    ] {
        let answer = world.send("PATCH", ONE, &manager, &body).await;
        assert_eq!((answer.status, answer.body), (200, waiting_json()));
    }
    let answer = read(world.request("DELETE", ONE, &manager)).await;
    assert_eq!((answer.status, &answer.body["status"]), (200, &json!("canceled")));

    let known = &world.services.known().sends_to_many;
    assert_eq!((known.get_scheduled.asked[0].license_id.as_str()), "acme");
    assert_eq!(known.get_scheduled.asked[0].scheduled_id, SCHEDULED);
    let changes = known.update_scheduled.asked.iter().map(|asked| {
        assert_eq!((asked.license_id.as_str(), asked.scheduled_id.as_str()), ("acme", SCHEDULED));
        (asked.body.as_deref(), asked.send_at.is_some())
    });
    assert_eq!(changes.collect::<Vec<_>>(), [(Some("Hello"), true), (Some("Hello"), false), (None, true)]);
    let canceled = &known.cancel_scheduled.asked[0];
    assert_eq!((canceled.license_id.as_str(), canceled.scheduled_id.as_str()), ("acme", SCHEDULED));
}

#[tokio::test]
async fn what_cannot_be_changed_any_more_says_why() {
    let world = World::start().await;
    let manager = token(Token::default());
    let change = json!({"body": "Hello"});
    for (fault, expected) in [
        (Fault::not_found("scheduled_send_not_found", "None."), (404, "scheduled_send_not_found", None)),
        (Fault::conflict("already_sent", "Gone."), (409, "already_sent", None)),
        (Fault::conflict("already_canceled", "Gone."), (409, "already_canceled", None)),
        (Fault::invalid("send_at", "send_at_out_of_range", "No."), (422, "send_at_out_of_range", Some("send_at"))),
    ] {
        {
            let known = &mut world.services.known().sends_to_many;
            known.get_scheduled.answer = Err(fault.clone());
            known.update_scheduled.answer = Err(fault.clone());
            known.cancel_scheduled.answer = Err(fault);
        }
        assert_eq!(world.get(ONE).await.problem(), expected);
        assert_eq!(world.send("PATCH", ONE, &manager, &change).await.problem(), expected);
        assert_eq!(read(world.request("DELETE", ONE, &manager)).await.problem(), expected);
    }
    world.services.known().sends_to_many.update_scheduled.asked.clear();
    for (body, code, field) in [
        (json!({"status": "sent"}), "unknown_field", "status"),
        (json!({"body": 7}), "invalid_value", "body"),
        (json!({"send_at": "now"}), "invalid_value", "send_at"),
    ] {
        assert_eq!(world.send("PATCH", ONE, &manager, &body).await.problem(), (422, code, Some(field)));
    }
    assert_eq!(world.send("PATCH", "/v1/scheduled/7", &manager, &change).await.problem().1, "invalid_id");
    assert!(world.services.known().sends_to_many.update_scheduled.asked.is_empty());
}

#[tokio::test]
async fn a_scheduled_send_that_changes_is_told_to_every_client() {
    let world = World::start().await;
    let mut client = world.follow("acme", None).await;
    assert_eq!(client.next().await.id, 0);
    let content = Some(Content::ScheduledUpdated(ended()));
    let entry = FeedEntry { license_id: "acme".to_owned(), seq: 1, occurred_at: None, content };
    world.services.known().feed.insert("acme".to_owned(), vec![entry]);
    let expected = Block { id: 1, event: Some("scheduled.updated".to_owned()), data: Some(ended_json()) };
    assert_eq!(client.next().await, expected);
}
