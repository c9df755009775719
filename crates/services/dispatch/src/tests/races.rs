//! A withdrawal beside the intake and beside a turn, in transactions that overlap.

use std::time::Duration;

use proto::conversations::sending_withdrawn::Of;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::withdrawals::{begin_intake, begin_withdrawal, new_batch};
use super::*;

/// One transaction is open, the other one waits for it, then both are committed.
async fn overlap<'a>(
    pool: &PgPool,
    first: sqlx::PgTransaction<'a>,
    second: impl Future<Output = sqlx::PgTransaction<'a>>,
) {
    let first = async {
        testkit::until_locked_out(pool, 1).await;
        first.commit().await.unwrap();
    };
    let ((), second) = tokio::join!(first, second);
    second.commit().await.unwrap();
}

#[tokio::test]
async fn a_withdrawal_and_a_message_that_come_at_the_same_moment_do_not_miss_each_other() {
    for (has_lane, erased, message_first) in (0..8).map(|case| (case & 1 == 1, case & 2 == 2, case & 4 == 4)) {
        let case = format!("lane {has_lane}, erased {erased}, the message first {message_first}");
        let world = World::new().await;
        if has_lane {
            world.assign("acme", 1).await;
        }
        let event = world.of_batch(&new_batch(), PHONE);
        let of = if erased {
            Of::ConversationId(event.conversation_id.clone())
        } else {
            Of::BatchId(event.batch_id.clone().unwrap())
        };
        let pool = &world.database.pool;
        if message_first {
            overlap(pool, begin_intake(&world, &event).await, begin_withdrawal(&world, "acme", &of)).await;
        } else {
            overlap(pool, begin_withdrawal(&world, "acme", &of).await, begin_intake(&world, &event)).await;
        }
        assert_eq!(world.count("waiting").await, 0, "{case}");
        let statuses: &[&str] = if erased { &[] } else { &["canceled"] };
        assert_eq!(world.statuses(&event.message_id).await, statuses, "{case}");
        world.assign("acme", 2).await;
        world.work(&world.replica(0.0)).await;
        assert_eq!(world.sends().await, 0, "{case}");
    }
}

#[tokio::test]
async fn while_a_batch_is_being_canceled_no_turn_takes_of_it() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    let batch = new_batch();
    world.queue_batch(&batch, PHONE, 3).await;
    let canceling = begin_withdrawal(&world, "acme", &Of::BatchId(batch)).await;
    let request = everything(Pace::OFF);
    let claim = async || {
        let claim = world.store.claim(&request, world.clock.now());
        let claim = tokio::time::timeout(Duration::from_secs(10), claim).await.expect("a turn waits for nobody");
        claim.unwrap().claimed.len()
    };
    assert_eq!(claim().await, 0);
    canceling.commit().await.unwrap();
    assert_eq!(claim().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancel_and_send_settle_each_message_once() {
    const BATCHES: usize = 6;
    let world = World::with_clock(Clock::system()).await;
    world.assign("acme", 1).await;
    let mut messages = Vec::new();
    let mut batches = Vec::new();
    for _ in 0..BATCHES {
        let batch = new_batch();
        messages.extend(world.queue_batch(&batch, PHONE, 50).await);
        batches.push(batch);
    }
    let stopping = CancellationToken::new();
    // Three seconds for all of them.
    let replicas = [(); 2].map(|()| tokio::spawn(world.replica(100.0).run(stopping.clone())));
    // The last one first, each as soon as something has been sent since: turns and withdrawals meet.
    let mut sent = 0;
    for batch in batches.iter().rev() {
        sent = testkit::eventually("more is sent", async || {
            let accepted = world.count("accepted").await;
            if accepted > sent { Ok(accepted) } else { Err(accepted) }
        })
        .await;
        world.cancel(batch).await;
    }
    testkit::eventually("each has its end", async || {
        let open = world.count("waiting").await + world.count("attempting").await;
        if open == 0 { Ok(()) } else { Err(open) }
    })
    .await;
    stopping.cancel();
    for replica in replicas {
        replica.await.unwrap().unwrap();
    }
    let texts = world.texts(PHONE).await;
    assert!(is_distinct(&texts));
    let statuses = world.all_statuses().await;
    for message in &messages {
        let (state, status) = if texts.contains(message) { ("accepted", "sending") } else { ("canceled", "canceled") };
        assert_eq!((world.state(message).await.as_str(), &statuses[message][..]), (state, &[status.to_owned()][..]));
    }
    assert!(!texts.is_empty() && texts.len() < messages.len(), "{} of {}", texts.len(), messages.len());
}
