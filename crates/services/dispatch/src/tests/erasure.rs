//! Rule 11, as far as it is dispatch's: a deleted conversation's texts are gone from the queue, and what is not yet sent
//! is not sent.

use std::time::Duration;

use proto::conversations::Priority::Reply;
use serde_json::json;
use sqlx::AssertSqlSafe;

use super::*;

impl World {
    /// Tables that hold this text, also inside of what is encoded.
    async fn tables_with(&self, text: &str) -> Vec<String> {
        let tables: Vec<String> =
            sqlx::query_scalar("select tablename::text from pg_tables where schemaname = 'public' order by 1")
                .fetch_all(&self.database.pool)
                .await
                .unwrap();
        let mut holding = Vec::new();
        for table in tables {
            let count = format!(
                "select count(*) from {table} as t
                 where strpos(t::text, $1) > 0 or strpos(t::text, encode(convert_to($1, 'UTF8'), 'hex')) > 0"
            );
            let rows: i64 =
                sqlx::query_scalar(AssertSqlSafe(count)).bind(text).fetch_one(&self.database.pool).await.unwrap();
            if rows > 0 {
                holding.push(table);
            }
        }
        holding
    }
}

/// Of one conversation: one message waits, one is being attempted, one is unknown. Then it is deleted.
#[tokio::test]
async fn a_deleted_conversations_texts_are_gone_and_never_sent() {
    const TEXT: &str = "the boiler of flat seventeen";
    let world = World::new().await;
    world.assign("acme", 1).await;
    let mine = world.queued("acme", PHONE, Reply);
    let say = |n: u32| MessageQueued {
        message_id: Id::<Message>::new().to_string(),
        body: format!("{TEXT} {n}"),
        media_urls: vec!["https://files.example.com/boiler".to_owned()],
        ..mine.clone()
    };
    let (unknown, attempting, waiting) = (say(1), say(2), say(3));
    world.simulator.set_faults(json!([{ "on": "send", "kind": "http_500", "count": 1 }])).await;
    world.take_over(std::slice::from_ref(&unknown)).await;
    world.work(&world.replica(0.0)).await;
    world.clock.advance(Duration::from_mins(1));
    world.take_over(std::slice::from_ref(&attempting)).await;
    let sender = world.replica(0.0);
    let (recorder, finished) = sender.recorder();
    let mut calls = JoinSet::new();
    sender.take_turn(&mut calls, &finished).await.unwrap();
    world.take_over(std::slice::from_ref(&waiting)).await;
    let other = world.queue("acme", OTHER_PHONE, Reply, 1).await.remove(0);
    assert_eq!(world.tables_with(TEXT).await, ["deliveries"]);
    for (event, state) in [(&unknown, "unknown"), (&attempting, "attempting"), (&waiting, "waiting")] {
        assert_eq!(world.state(&event.message_id).await, state);
    }

    world.delete(&mine.conversation_id).await;
    assert_eq!(world.tables_with(TEXT).await, [""; 0], "at once");
    assert_eq!(world.tables_with("files.example.com/boiler").await, [""; 0]);
    drop(finished);
    recorder.run().await;
    world.clock.advance(Duration::from_hours(1));
    world.sweep().await;
    world.work(&world.replica(0.0)).await;
    assert_eq!(
        world.texts(PHONE).await,
        std::slice::from_ref(&attempting.body),
        "what was under way, once; nothing else"
    );
    assert_eq!(world.texts(OTHER_PHONE).await, [other], "others go on");
    assert_eq!(world.tables_with(TEXT).await, [""; 0]);
    assert_eq!(world.statuses(&waiting.message_id).await, [""; 0]);

    for event in [&unknown, &attempting, &waiting] {
        world.take_over(std::slice::from_ref(event)).await;
        world.receipt(&event.message_id).await;
    }
    assert_eq!(world.tables_with(TEXT).await, [""; 0], "nothing that comes late brings it back");
    assert_eq!(world.statuses(&unknown.message_id).await, ["unknown"], "nothing is said of it any more");
    world.clock.advance(Duration::from_hours(15 * 24));
    world.sweep().await;
    assert_eq!(world.tables_with(PHONE).await, [""; 0], "the number goes with the sweep, of all three");
}

#[tokio::test]
async fn what_comes_back_after_its_conversation_was_deleted_is_over_without_a_word() {
    for fault in ["http_429", "http_500", "crash"] {
        let world = World::new().await;
        world.assign("acme", 1).await;
        world.simulator.set_faults(json!([{ "on": "send", "kind": fault.replace("crash", "http_500") }])).await;
        let event = world.queued("acme", PHONE, Reply);
        world.take_over(std::slice::from_ref(&event)).await;
        let sender = world.replica(0.0);
        let (recorder, finished) = sender.recorder();
        let mut calls = JoinSet::new();
        sender.take_turn(&mut calls, &finished).await.unwrap();
        while calls.join_next().await.is_some() {}
        world.delete(&event.conversation_id).await;
        assert_eq!(world.texts_kept(std::slice::from_ref(&event.message_id)).await, 0, "also while it is attempted");
        drop(finished);
        if fault == "crash" {
            drop(recorder);
            world.clock.advance(Duration::from_secs(61));
            world.sweep().await;
        } else {
            recorder.run().await;
        }
        assert_eq!(world.state(&event.message_id).await, "canceled", "{fault}");
        assert_eq!(world.statuses(&event.message_id).await, [""; 0], "{fault}");
        world.simulator.set_faults(json!([])).await;
        world.clock.advance(Duration::from_hours(1));
        world.work(&world.replica(0.0)).await;
        assert_eq!(world.sends().await, 1, "{fault}");
    }
}
