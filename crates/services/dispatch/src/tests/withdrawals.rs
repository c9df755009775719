//! What is not to be sent any more, whether its messages came before or come after that is known.

use std::collections::HashMap;
use std::time::Duration;

use bus::HandleError;
use proto::conversations::Priority::{Batch, Reply};
use proto::conversations::SendingWithdrawn;
use proto::conversations::sending_withdrawn::Of;
use serde_json::json;

use super::lanes::waiting_at;
use super::*;
use crate::events::SendingWithdrawnHandler;

/// Applies the event in a transaction that is still open.
pub(super) async fn begin_withdrawal(world: &World, license: &str, of: &Of) -> sqlx::PgTransaction<'static> {
    let handler = SendingWithdrawnHandler { clock: world.clock.clone(), relay: world.relay.clone() };
    let mut tx = world.database.pool.begin().await.unwrap();
    handler.handle(&mut tx, &[received(withdrawn(world, license, of))]).await.unwrap();
    tx
}

/// The same with what is queued.
pub(super) async fn begin_intake(world: &World, event: &MessageQueued) -> sqlx::PgTransaction<'static> {
    let mut tx = world.database.pool.begin().await.unwrap();
    world.queued_handler().handle(&mut tx, &[received(event.clone())]).await.unwrap();
    tx
}

fn withdrawn(world: &World, license: &str, of: &Of) -> SendingWithdrawn {
    SendingWithdrawn {
        license_id: license.to_owned(),
        of: Some(of.clone()),
        withdrawn_at: Some(proto::to_timestamp(world.clock.now())),
    }
}

pub(super) fn new_batch() -> String {
    Id::<domain::Batch>::new().to_string()
}

impl World {
    async fn withdraw(&self, license: &str, of: &Of) {
        begin_withdrawal(self, license, of).await.commit().await.unwrap();
    }

    pub(super) async fn cancel(&self, batch: &str) {
        self.withdraw("acme", &Of::BatchId(batch.to_owned())).await;
    }

    pub(super) async fn delete(&self, conversation: &str) {
        self.withdraw("acme", &Of::ConversationId(conversation.to_owned())).await;
    }

    pub(super) fn of_batch(&self, batch: &str, to: &str) -> MessageQueued {
        MessageQueued { batch_id: Some(batch.to_owned()), ..self.queued("acme", to, Batch) }
    }

    /// Queues a batch of acme's. Their texts are their ids.
    pub(super) async fn queue_batch(&self, batch: &str, to: &str, count: usize) -> Vec<String> {
        let events: Vec<_> = (0..count).map(|_| self.of_batch(batch, to)).collect();
        self.take_over(&events).await;
        events.into_iter().map(|event| event.message_id).collect()
    }

    /// How many of the messages have a text or media in the queue.
    pub(super) async fn texts_kept(&self, messages: &[String]) -> i64 {
        let messages: Vec<uuid::Uuid> = messages.iter().map(|id| id.parse().unwrap()).collect();
        sqlx::query_scalar(
            "select count(*) from deliveries where message_id = any($1) and (body is not null or media_urls <> '{}')",
        )
        .bind(messages)
        .fetch_one(&self.database.pool)
        .await
        .unwrap()
    }

    /// The statuses that were published of each message.
    pub(super) async fn all_statuses(&self) -> HashMap<String, Vec<String>> {
        let payloads: Vec<Vec<u8>> = sqlx::query_scalar("select payload from outbox order by position")
            .fetch_all(&self.database.pool)
            .await
            .unwrap();
        let mut statuses: HashMap<String, Vec<String>> = HashMap::new();
        for payload in payloads {
            let event = MessageProgressed::decode(payload.as_slice()).unwrap();
            statuses.entry(event.message_id).or_default().push(event.status);
        }
        statuses
    }
}

#[tokio::test]
async fn what_is_not_yet_sent_of_a_canceled_batch_is_not_sent() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    let batch = new_batch();
    let messages = world.queue_batch(&batch, PHONE, 4).await;
    let other = world.queue_batch(&new_batch(), PHONE, 1).await.remove(0);
    let reply = world.queue("acme", OTHER_PHONE, Reply, 1).await.remove(0);
    let sender = world.replica(1.0);
    for _ in 0..2 {
        world.work(&sender).await;
        world.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(world.texts(PHONE).await, messages[..1]);

    world.cancel(&batch).await;
    assert_eq!(world.texts_kept(&messages).await, 0, "at once");
    let asked: Vec<&String> = messages.iter().chain([&other]).collect();
    let waiting = waiting_at(&world, CarrierName::ALL, 1.0, "acme", &asked).await;
    assert_eq!(waiting, [("pace".to_owned(), Some(world.clock.now()))], "only the other batch waits, and goes next");
    for _ in 0..5 {
        world.work(&sender).await;
        world.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(world.texts(PHONE).await, [&messages[0], &other].map(String::clone));
    assert_eq!(world.texts(OTHER_PHONE).await, [reply]);
    assert_eq!(world.statuses(&messages[0]).await, ["sending"]);
    for message in &messages[1..] {
        assert_eq!(world.state(message).await, "canceled");
        let event = world.events(message).await.pop().unwrap();
        assert_eq!((event.status.as_str(), event.license_id.as_str()), ("canceled", "acme"));
        assert_eq!((event.from, event.error, event.carrier), (None, None, None), "nothing was tried");
    }
    world.cancel(&batch).await;
    assert_eq!(world.statuses(&messages[3]).await, ["canceled"], "once");
}

#[tokio::test]
async fn a_foreign_license_s_withdrawal_stops_nothing() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    let batch = new_batch();
    let event = world.of_batch(&batch, PHONE);
    world.take_over(std::slice::from_ref(&event)).await;
    for of in [Of::BatchId(batch.clone()), Of::ConversationId(event.conversation_id.clone())] {
        world.withdraw("bree", &of).await;
    }
    let later = world.queue_batch(&batch, PHONE, 1).await.remove(0);
    world.work(&world.replica(0.0)).await;
    assert_eq!(world.texts(PHONE).await, [event.body, later]);
}

#[tokio::test]
async fn a_batch_of_ten_thousand_is_canceled_whole_and_each_message_is_reported_once() {
    let world = World::new().await;
    let batch = new_batch();
    let messages = world.queue_batch(&batch, PHONE, 10_001).await;
    world.cancel(&batch).await;
    assert_eq!((world.count("canceled").await, world.count("waiting").await), (10_001, 0));
    let statuses = world.all_statuses().await;
    assert!(messages.iter().all(|message| statuses[message] == ["canceled"]));
}

#[tokio::test]
async fn what_comes_back_after_its_batch_was_canceled_is_not_sent_again() {
    for (carrier, fault) in
        CarrierName::ALL.iter().flat_map(|carrier| ["http_429", "away"].map(|fault| (*carrier, fault)))
    {
        let world = World::new().await;
        world.assign_at(carrier, "acme", 1).await;
        let batch = new_batch();
        let message = world.queue_batch(&batch, PHONE, 1).await.remove(0);
        let untouched = world.queue("acme", PHONE, Reply, 1).await.remove(0);
        let sender = if fault == "away" {
            world.replica_with(Pace::OFF, 64, both("http://127.0.0.1:1", Duration::from_millis(400)))
        } else {
            world.simulator.set_faults(json!([{ "on": "send", "kind": fault, "count": 2 }])).await;
            world.replica(0.0)
        };
        let (recorder, finished) = sender.recorder();
        let mut calls = JoinSet::new();
        sender.take_turn(&mut calls, &finished).await.unwrap();
        while calls.join_next().await.is_some() {}
        world.cancel(&batch).await;
        assert_eq!(world.state(&message).await, "attempting", "{carrier} {fault}: it goes on");
        drop(finished);
        recorder.run().await;
        assert_eq!(world.state(&message).await, "canceled", "{carrier} {fault}");
        assert_eq!(world.statuses(&message).await, ["canceled"]);
        assert_eq!(world.texts_kept(std::slice::from_ref(&message)).await, 0);
        world.clock.advance(Duration::from_hours(1));
        world.work(&world.replica(0.0)).await;
        assert_eq!(world.texts(PHONE).await, [untouched], "{carrier} {fault}: what is not of the batch waited");
    }
}

#[tokio::test]
async fn what_a_carrier_may_have_of_a_canceled_batch_stays_unknown_and_is_not_sent_again() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    let batch = new_batch();
    let before = world.queue_batch(&batch, PHONE, 1).await.remove(0);
    world.simulator.set_faults(json!([{ "on": "send", "kind": "http_500", "count": 2 }])).await;
    world.work(&world.replica(0.0)).await;
    world.clock.advance(Duration::from_mins(1));
    let meanwhile = world.queue_batch(&batch, PHONE, 1).await.remove(0);
    let sender = world.replica(0.0);
    let (recorder, finished) = sender.recorder();
    let mut calls = JoinSet::new();
    sender.take_turn(&mut calls, &finished).await.unwrap();
    world.cancel(&batch).await;
    drop(finished);
    recorder.run().await;
    world.clock.advance(Duration::from_hours(1));
    world.work(&world.replica(0.0)).await;
    for message in [&before, &meanwhile] {
        assert_eq!(world.state(message).await, "unknown");
        assert_eq!(world.statuses(message).await, ["unknown"]);
        world.receipt(message).await;
        assert_eq!(world.statuses(message).await, ["unknown", "sending"], "evidence still counts");
    }
    assert_eq!(world.sends().await, 2);
}

#[tokio::test]
async fn a_message_that_comes_after_its_withdrawal_is_not_queued() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    let batch = new_batch();
    let (canceled, erased, both) = (world.of_batch(&batch, PHONE), world.queued("acme", PHONE, Reply), {
        let conversation_id = Id::<domain::Conversation>::new().to_string();
        MessageQueued { conversation_id, ..world.of_batch(&batch, PHONE) }
    });
    world.cancel(&batch).await;
    world.delete(&erased.conversation_id).await;
    world.delete(&both.conversation_id).await;
    let untouched = world.queued("acme", PHONE, Reply);
    world.take_over(&[canceled.clone(), erased.clone(), both.clone(), untouched.clone(), canceled.clone()]).await;
    for event in [&canceled, &erased, &both] {
        let rows: i64 = sqlx::query_scalar("select count(*) from deliveries where message_id = $1::uuid")
            .bind(event.message_id.parse::<uuid::Uuid>().unwrap())
            .fetch_one(&world.database.pool)
            .await
            .unwrap();
        assert_eq!(rows, 0);
    }
    assert_eq!(world.statuses(&canceled.message_id).await, ["canceled"], "it is reported");
    assert_eq!(world.statuses(&erased.message_id).await, [""; 0], "dropped without a word");
    assert_eq!(world.statuses(&both.message_id).await, [""; 0], "erasing is stronger");
    world.work(&world.replica(0.0)).await;
    assert_eq!(world.texts(PHONE).await, [untouched.body]);
}

#[tokio::test]
async fn a_message_that_is_in_the_queue_and_comes_again_after_its_batch_was_canceled_keeps_its_own_end() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    let batch = new_batch();
    world.simulator.set_faults(json!([{ "on": "send", "kind": "http_500", "count": 1 }])).await;
    let event = world.of_batch(&batch, PHONE);
    world.take_over(std::slice::from_ref(&event)).await;
    world.work(&world.replica(0.0)).await;
    world.cancel(&batch).await;
    world.take_over(std::slice::from_ref(&event)).await;
    assert_eq!(world.state(&event.message_id).await, "unknown");
    assert_eq!(
        world.statuses(&event.message_id).await,
        ["unknown"],
        "a carrier may have it: it is not called canceled"
    );
}

#[tokio::test]
async fn a_withdrawal_is_known_for_longer_than_a_dead_letter_can_be_put_back() {
    let world = World::new().await;
    let batch = new_batch();
    world.cancel(&batch).await;
    let known = async || {
        let message = world.queue_batch(&batch, PHONE, 1).await.remove(0);
        world.statuses(&message).await == ["canceled"]
    };
    world.clock.advance(Duration::from_hours(31 * 24));
    world.sweep().await;
    assert!(known().await);
    world.clock.advance(Duration::from_hours(2 * 24));
    world.sweep().await;
    let kept: i64 =
        sqlx::query_scalar("select count(*) from withdrawals").fetch_one(&world.database.pool).await.unwrap();
    assert_eq!(kept, 0);
}

#[tokio::test]
async fn a_withdrawal_that_makes_no_sense_is_refused_for_good() {
    let world = World::new().await;
    let handler = SendingWithdrawnHandler { clock: world.clock.clone(), relay: world.relay.clone() };
    let good = withdrawn(&world, "acme", &Of::BatchId(new_batch()));
    for wrong in [
        SendingWithdrawn { license_id: "a.b".to_owned(), ..good.clone() },
        SendingWithdrawn { of: None, ..good.clone() },
        SendingWithdrawn { of: Some(Of::BatchId("1".to_owned())), ..good.clone() },
        SendingWithdrawn { of: Some(Of::ConversationId(String::new())), ..good.clone() },
    ] {
        let mut tx = world.database.pool.begin().await.unwrap();
        let error = handler.handle(&mut tx, &[received(good.clone()), received(wrong)]).await.unwrap_err();
        assert!(matches!(error, HandleError::Permanent(_)));
    }
}
