//! Sending again what came to nothing: a person's decision (rule 16), and a new message.

use futures_util::future::join;

use super::*;

impl World {
    async fn send_again_as(
        &self,
        manager: wire::Manager,
        license_id: &str,
        message_id: &str,
    ) -> Result<wire::SendMessagesResponse, Fault> {
        let request = wire::SendAgainRequest {
            license_id: license_id.to_owned(),
            message_id: message_id.to_owned(),
            manager: Some(manager),
        };
        answer(self.conversations.clone().send_again(request).await)
    }

    async fn send_again(&self, message_id: &str) -> Result<wire::SendMessagesResponse, Fault> {
        self.send_again_as(manager("m-2", "Noah"), ACME, message_id).await
    }

    async fn came_to(&self, message_id: &str, status: &str, code: Option<&str>) {
        let error = code.map(|code| dispatch::Error { code: code.to_owned(), detail: "So it is.".to_owned() });
        self.apply(&[dispatch::MessageProgressed { error, ..self.outcome(message_id, status) }]).await;
    }
}

#[tokio::test]
async fn what_came_to_nothing_is_sent_again_as_a_new_message_that_the_old_one_names() {
    for (status, code) in [
        ("failed", Some("expired")),
        ("undelivered", Some("not_reachable")),
        ("canceled", None),
        ("unknown", Some("not_confirmed")),
    ] {
        let world = World::with_ann().await;
        let media_urls = vec!["https://files.example.com/plan.png".to_owned()];
        let request = wire::SendMessagesRequest { media_urls, ..send(vec![person("ann")], "It costs $5") };
        let old = world.send(request).await.unwrap().messages.remove(0);
        world.came_to(&old.message_id, status, code).await;
        let head = world.head(ACME).await;

        let new = world.send_again(&old.message_id).await.unwrap().messages.remove(0);
        assert_eq!(
            (&new.body, &new.media, &new.conversation_id),
            (&old.body, &old.media, &old.conversation_id),
            "{status}"
        );
        assert_eq!((new.status.as_str(), new.manager.unwrap().name.as_str()), ("queued", "Noah"), "{status}");
        let shown = world.get_message(ACME, &old.message_id).await.unwrap();
        assert_eq!((shown.status.as_str(), shown.sent_again_as.as_ref()), (status, Some(&new.message_id)));
        let entries = kinds(&world.feed_after(ACME, head).await);
        assert_eq!(entries.iter().filter(|kind| **kind == "message.updated").count(), 1, "{entries:?}");
        let queued = world.list_queued().await;
        assert!(queued.iter().any(|queued| queued.message_id == new.message_id && queued.body == "It costs $5"));
        world.finish().await;
    }
}

#[tokio::test]
async fn what_has_arrived_or_may_still_arrive_is_not_sent_again() {
    let world = World::with_ann().await;
    let sent = world.send_one(person("ann"), "hello").await.message_id;
    for status in ["queued", "unknown", "sending", "sent", "delivered"] {
        if status != "queued" {
            world.came_to(&sent, status, None).await;
        }
        assert_eq!(world.send_again(&sent).await.unwrap_err().code, "message_may_arrive", "{status}");
    }
    world.apply(&[world.text(ANN, OFFICE, "hello you")]).await;
    let inbound = world.list_conversations(ACME).await.remove(0).last_message.unwrap().message_id;
    assert_eq!(world.send_again(&inbound).await.unwrap_err().code, "message_not_found");
    let failed = world.send_one(person("ann"), "hello again").await.message_id;
    world.came_to(&failed, "failed", Some("expired")).await;
    let stranger = world.send_again_as(manager("m-1", "Mia"), "other", &failed).await;
    assert_eq!(stranger.unwrap_err().code, "message_not_found");
    assert_eq!(world.count("messages").await, 3);
    world.finish().await;
}

#[tokio::test]
async fn two_managers_who_send_it_again_at_once_send_one_message() {
    let world = World::with_ann().await;
    let old = world.send_one(person("ann"), "hello").await.message_id;
    world.came_to(&old, "failed", Some("expired")).await;
    let mia = world.send_again_as(manager("m-1", "Mia"), ACME, &old);
    let (one, other) = join(mia, world.send_again(&old)).await;
    let (one, other) = (one.unwrap().messages.remove(0), other.unwrap().messages.remove(0));
    assert_eq!(one.message_id, other.message_id);
    assert_eq!(world.send_again(&old).await.unwrap().messages[0].message_id, one.message_id, "also later");
    assert_eq!(world.count("messages").await, 2);
    world.finish().await;
}

#[tokio::test]
async fn who_gets_it_is_decided_anew_when_it_is_sent_again() {
    let world = World::with_ann().await;
    let old = world.send_one(person("ann"), "hello").await.message_id;
    world.came_to(&old, "failed", Some("expired")).await;
    world.apply(&[world.text(ANN, OFFICE, "STOP")]).await;
    let answer = world.send_again(&old).await.unwrap();
    assert_eq!((answer.messages.len(), answer.rejected[0].code.as_str()), (0, "recipient_opted_out"));
    world.apply(&[world.text(ANN, OFFICE, "START")]).await;
    assert_eq!(world.send_again(&old).await.unwrap().messages.len(), 1, "a refusal is not remembered");
    world.finish().await;
}
