//! What a manager has read, transcripts, and the guard of the last position seen.

use prost::Message as _;
use proto::conversations::feed_entry::Content;
use proto::conversations::recipient::To;
use proto::conversations::{
    Conversation, FeedEntry, FeedPush, Message, ReadState, ReadUpdated, Recipient, Rejection, SendMessagesResponse,
};
use proto::to_timestamp;
use serde_json::json;

use super::services::a_message;
use super::sse::Block;
use super::tokens::{Token, token};
use super::{World, a_time, read};

const MESSAGE: &str = "01900000-0000-7000-8000-000000000001";
const CONVERSATION: &str = "01900000-0000-7000-8000-00000000000c";

fn max() -> String {
    token(Token { sub: "m-2", name: "Max", ..Token::default() })
}

fn state() -> ReadState {
    ReadState { conversation_id: CONVERSATION.to_owned(), unread: 1, total_unread: 4 }
}

fn state_json() -> serde_json::Value {
    json!({"conversation_id": CONVERSATION, "unread": 1, "total_unread": 4})
}

fn a_conversation() -> Conversation {
    Conversation {
        license_id: "acme".to_owned(),
        conversation_id: CONVERSATION.to_owned(),
        number: "+12125550123".to_owned(),
        people: vec![proto::conversations::ConversationPerson {
            person_id: "t-1".to_owned(),
            kind: "tenant".to_owned(),
            name: "Tina".to_owned(),
        }],
        opened_at: Some(to_timestamp(a_time())),
        unread: 2,
        ..Default::default()
    }
}

impl World {
    /// An entry is there, and is pushed.
    async fn tell(&self, seq: u64, content: Content) {
        let entry = FeedEntry { license_id: "acme".to_owned(), seq, occurred_at: None, content: Some(content) };
        self.services.known().feed.entry("acme".to_owned()).or_default().push(entry.clone());
        self.push_raw("acme", FeedPush { entries: vec![entry] }.encode_to_vec()).await;
    }
}

#[tokio::test]
async fn what_a_manager_has_read_reaches_his_own_devices_and_others_only_move_on() {
    let world = World::with(|settings| settings.feed.heads_interval_ms = 3_600_000).await;
    let mut phone = world.follow("acme", None).await;
    let mut desk = world.follow("acme", None).await;
    let mut other = world.follow_with(&max(), None).await;
    assert_eq!((phone.next().await.id, desk.next().await.id, other.next().await.id), (0, 0, 0));
    let read = ReadUpdated { manager_id: "m-1".to_owned(), state: Some(state()) };
    world.tell(1, Content::ReadUpdated(read)).await;
    world.tell(2, Content::ConversationUpdated(a_conversation())).await;
    let shown = Block { id: 1, event: Some("conversation.read".to_owned()), data: Some(state_json()) };
    let only_position = Block { id: 1, event: None, data: None };
    assert_eq!((phone.next().await, desk.next().await), (shown, Block { id: 1, ..desk_block() }));
    assert_eq!(other.next().await, only_position);
    for client in [&mut phone, &mut other] {
        let updated = client.next().await;
        assert_eq!((updated.id, updated.event.as_deref()), (2, Some("conversation.updated")));
        assert_eq!(updated.data.unwrap().get("unread"), None, "it is for all managers");
    }
    // The same when it is read again.
    let mut again = world.follow("acme", Some(0)).await;
    assert_eq!((again.next().await.id, again.next().await), (0, Block { id: 1, ..desk_block() }));
    let mut other = world.follow_with(&max(), Some(0)).await;
    assert_eq!((other.next().await.id, other.next().await), (0, Block { id: 1, event: None, data: None }));
    assert_eq!(other.ids(1).await, [2]);
}

fn desk_block() -> Block {
    Block { id: 0, event: Some("conversation.read".to_owned()), data: Some(state_json()) }
}

#[tokio::test]
async fn marking_as_read_answers_what_is_left() {
    let world = World::start().await;
    world.services.known().mark_answer = Some(Ok(state()));
    let path = format!("/v1/conversations/{CONVERSATION}/read");
    let answer = world.send("POST", &path, &max(), &json!({"message_id": MESSAGE})).await;
    assert_eq!((answer.status, answer.body), (200, state_json()));
    let marked = world.services.known().marked.remove(0);
    assert_eq!((marked.license_id.as_str(), marked.manager_id.as_str()), ("acme", "m-2"));
    assert_eq!((marked.conversation_id.as_str(), marked.message_id.as_str()), (CONVERSATION, MESSAGE));

    for (body, code, field) in [
        (json!({}), "missing_field", "message_id"),
        (json!({"message_id": "x"}), "invalid_value", "message_id"),
        (json!({"message_id": MESSAGE, "at": 1}), "unknown_field", "at"),
    ] {
        assert_eq!(world.send("POST", &path, &max(), &body).await.problem(), (422, code, Some(field)), "{body}");
    }
    let fault = chassis::Fault::not_found("message_not_found", "No such message.");
    world.services.known().mark_answer = Some(Err(fault));
    let refused = world.send("POST", &path, &max(), &json!({"message_id": MESSAGE})).await;
    assert_eq!(refused.problem(), (404, "message_not_found", None));
}

#[tokio::test]
async fn lists_show_what_the_asking_manager_has_not_read_and_pass_on_what_is_looked_for() {
    let world = World::start().await;
    world.services.known().conversations.insert(("acme".to_owned(), CONVERSATION.to_owned()), a_conversation());
    let list = world.get("/v1/conversations?query=Ti%20na&unread=true&limit=3&cursor=abc").await;
    assert_eq!((list.body["total_unread"].as_u64(), list.body["items"][0]["unread"].as_u64()), (Some(5), Some(2)));
    read(world.request("GET", "/v1/conversations", &max())).await;
    let asked = std::mem::take(&mut world.services.known().conversations_asked);
    assert_eq!((asked[0].query.as_str(), asked[0].unread_only, asked[0].limit), ("Ti na", true, 3));
    assert_eq!((asked[0].cursor.as_str(), asked[0].manager_id.as_str()), ("abc", "m-1"));
    assert_eq!((asked[1].query.as_str(), asked[1].unread_only, asked[1].manager_id.as_str()), ("", false, "m-2"));

    let one = world.get(&format!("/v1/conversations/{CONVERSATION}")).await;
    assert_eq!(one.body["unread"], 2);
    assert_eq!(world.services.known().conversation_asked[0].manager_id, "m-1");
    let refused = world.get("/v1/conversations?unread=perhaps").await;
    assert_eq!(refused.problem(), (422, "invalid_value", Some("unread")));
}

fn know_a_conversation(world: &World) {
    let mut known = world.services.known();
    known.conversations.insert(("acme".to_owned(), CONVERSATION.to_owned()), a_conversation());
    for n in 1..=5 {
        let id = format!("01900000-0000-7000-8000-00000000000{n}");
        known.messages.insert(("acme".to_owned(), id.clone()), a_message("acme", &id));
    }
    let first = known.messages.get_mut(&("acme".to_owned(), MESSAGE.to_owned())).unwrap();
    first.carrier = Some("twilio".to_owned());
    first.carrier_message_id = Some("SM1".to_owned());
    first.status = "delivered".to_owned();
    "+12125550100".clone_into(&mut first.from);
    first.delivered_at = Some(to_timestamp(a_time()));
    let id = "01900000-0000-7000-8000-000000000005".to_owned();
    let last = Message {
        direction: "inbound".to_owned(),
        status: "received".to_owned(),
        manager: None,
        body: "Fine.\n\n2026-03-02 15:00:00 UTC  Mia".to_owned(),
        from: "+12125550123".to_owned(),
        to: "+12125550100".to_owned(),
        ..a_message("acme", &id)
    };
    known.messages.insert(("acme".to_owned(), id), last);
}

#[tokio::test]
async fn a_transcript_has_all_messages_oldest_first_with_who_carried_them() {
    let world = World::start().await;
    know_a_conversation(&world);
    let path = format!("/v1/conversations/{CONVERSATION}/transcript");
    let answer = world.get(&path).await;
    assert_eq!((answer.status, answer.headers["content-type"].to_str().unwrap()), (200, "application/json"));
    let expected = json!({
        "conversation_id": CONVERSATION, "number": "+12125550123", "opened_at": "2026-03-02T15:00:00Z",
        "people": [{"person_id": "t-1", "kind": "tenant", "name": "Tina"}],
    });
    assert_eq!(answer.body["conversation"], expected);
    let messages = answer.body["messages"].as_array().unwrap();
    let ids: Vec<_> = messages.iter().map(|message| message["message_id"].as_str().unwrap()).collect();
    assert!(ids.len() == 5 && ids.is_sorted(), "{ids:?}");
    assert_eq!((&messages[0]["carrier"], &messages[0]["carrier_message_id"]), (&json!("twilio"), &json!("SM1")));
    assert_eq!((&messages[0]["manager"]["name"], &messages[1]["carrier"]), (&json!("Mia Manager"), &json!(null)));
    // Other calls do not show it, and to print is not to read.
    let message = world.get(&format!("/v1/messages/{MESSAGE}")).await;
    assert_eq!(message.body.get("carrier_message_id"), None);
    assert_eq!(world.services.known().conversation_asked[0].manager_id, "");

    world.services.known().messages.clear();
    assert_eq!(world.get(&path).await.body["messages"], json!([]));
    let stranger = token(Token { license_id: Some("other"), ..Token::default() });
    let refused = read(world.request("GET", &path, &stranger)).await;
    assert_eq!(refused.problem(), (404, "conversation_not_found", None));
    assert_eq!(world.get(&format!("{path}?format=pdf")).await.problem(), (422, "invalid_value", Some("format")));
}

#[tokio::test]
async fn a_transcript_can_be_printed() {
    let world = World::start().await;
    know_a_conversation(&world);
    let path = format!("/v1/conversations/{CONVERSATION}/transcript");
    let mia = token(Token::default());
    let by_name = world.request("GET", &format!("{path}?format=text"), &mia).send().await.unwrap();
    assert_eq!(by_name.headers()["content-type"], "text/plain; charset=utf-8");
    let text = by_name.text().await.unwrap();
    let begin = "Conversation with Tina (+12125550123)\nOpened 2026-03-02 15:00:00 UTC\nId \
        01900000-0000-7000-8000-00000000000c\n\n2026-03-02 15:00:00 UTC  Mia Manager (+12125550100) to +12125550123\n\
        [delivered, delivered 2026-03-02 15:00:00 UTC, twilio SM1]\n    The plumber comes at nine.\n\n";
    let end = "\n\n2026-03-02 15:00:00 UTC  Tina (+12125550123) to +12125550100\n[received]\n    Fine.\n    \n    \
        2026-03-02 15:00:00 UTC  Mia\n";
    assert!(text.starts_with(begin) && text.ends_with(end), "{text}");
    assert_eq!(text.matches("comes at nine").count(), 4);
    let accepted = world.request("GET", &path, &mia).header("Accept", "text/plain").send().await.unwrap();
    assert_eq!(accepted.text().await.unwrap(), text);
    let browser = world.request("GET", &path, &mia).header("Accept", "text/html,*/*").send().await.unwrap();
    assert_eq!(browser.headers()["content-type"], "application/json");
}

#[tokio::test]
async fn a_send_into_a_conversation_that_has_moved_on_answers_409_with_what_is_new() {
    let world = World::start().await;
    let rejection = Rejection {
        recipient: Some(Recipient { to: Some(To::ConversationId(CONVERSATION.to_owned())) }),
        code: "conversation_moved_on".to_owned(),
        detail: "There is more.".to_owned(),
        unseen: vec![a_message("acme", MESSAGE)],
    };
    world.services.known().send_answer = SendMessagesResponse { rejected: vec![rejection], ..Default::default() };
    let recipients = json!([{"conversation_id": CONVERSATION}]);
    let body = json!({"recipients": recipients, "body": "Fine.", "last_seen_seq": 41});
    let refused = world.send("POST", "/v1/messages", &token(Token::default()), &body).await;
    assert_eq!(refused.problem(), (409, "conversation_moved_on", None));
    assert_eq!(refused.body["unseen"][0]["message_id"], MESSAGE);
    assert_eq!(refused.body["rejected"][0]["unseen"], refused.body["unseen"]);
    let body = json!({"recipients": recipients, "body": "Fine."});
    world.send("POST", "/v1/messages", &token(Token::default()), &body).await;
    let sends = &world.services.known().sends;
    assert_eq!((sends[0].last_seen_seq, sends[1].last_seen_seq), (Some(41), None));
}
