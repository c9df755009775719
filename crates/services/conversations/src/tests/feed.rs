//! The feed: rule 15. In order, without a gap and without a double.

use std::collections::BTreeSet;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::timeout;

use super::*;
use crate::sweep;

const TASKS: u32 = 8;
const ROUNDS: u32 = 6;
const LICENSES: [&str; 3] = [ACME, "birch", "cedar"];

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_has_no_gap_and_no_double_whatever_happens_at_the_same_time() {
    let world = World::start().await;
    let mut pushed = Vec::new();
    for (n, license_id) in (0..).zip(LICENSES) {
        pushed.push(Pushed::listen(&world, license_id).await);
        world.assign(license_id, &office(n), 1).await;
        for task in 0..TASKS {
            world.put_person(license_id, &format!("p-{task}"), &[&phone(task)]).await.unwrap();
        }
    }
    // Half of the tasks write in one license, the others in all.
    let tasks: FuturesUnordered<_> = (0..TASKS).map(|task| everything_at_once(&world, task)).collect();
    tasks.collect::<Vec<_>>().await;

    for (license_id, pushed) in LICENSES.into_iter().zip(pushed) {
        let entries = world.feed_after(license_id, 0).await;
        let head = world.head(license_id).await;
        assert_eq!(seqs(&entries), (1..=head).collect::<Vec<_>>());
        assert!(entries.iter().all(|entry| entry.license_id == license_id));
        let mine = |task: &u32| license_id == ACME || task.is_multiple_of(2);
        let rounds = (0..TASKS).filter(mine).count() * usize::try_from(ROUNDS).unwrap();
        let shown = kinds(&entries);
        let times = |kind| shown.iter().filter(|each| **each == kind).count();
        // A send and an answer in each round; the outcome of each send.
        assert_eq!(times("message.created"), 2 * rounds, "{license_id}");
        assert_eq!(times("message.updated"), rounds, "{license_id}");
        pushed.until_all(head).await;
    }
    let asked = LICENSES.into_iter().chain(["unheard-of"]).map(str::to_owned).collect();
    let heads = answer(world.feed.clone().list_feed_heads(wire::ListFeedHeadsRequest { license_ids: asked }).await);
    for each in heads.unwrap().heads {
        assert_eq!(each.seq, world.head(&each.license_id).await);
    }
    world.finish().await;
}

async fn everything_at_once(world: &World, task: u32) {
    for round in 0..ROUNDS {
        for (n, license_id) in (0..).zip(LICENSES) {
            if license_id != ACME && !task.is_multiple_of(2) {
                continue;
            }
            let recipients = vec![person(&format!("p-{task}"))];
            let request = wire::SendMessagesRequest {
                license_id: license_id.to_owned(),
                ..send(recipients, &format!("{task}/{round}"))
            };
            let sent = world.send(request).await.unwrap();
            let (answer, receipt) = (
                [world.text(&phone(task), &office(n), "an answer")],
                [world.receipt(&sent.messages[0].message_id, "delivered")],
            );
            tokio::join!(world.apply(&answer), world.apply(&receipt));
        }
    }
}

fn office(n: u32) -> String {
    format!("+1646{:07}", 2_000_100 + n)
}

#[tokio::test]
async fn a_committed_change_is_pushed_to_its_license_and_to_no_other() {
    let world = World::start().await;
    let mut acme = Pushed::listen(&world, ACME).await;
    let mut birch = Pushed::listen(&world, "birch").await;
    world.put_person(ACME, "ann", &[ANN]).await.unwrap();
    world.put_person("birch", "bob", &[BOB]).await.unwrap();
    world.send_one(person("ann"), "for Acme's people only").await;

    let mut entries = acme.next().await;
    while entries.len() < 3 {
        entries.extend(acme.next().await);
    }
    assert_eq!(entries, world.feed_after(ACME, 0).await);
    assert_eq!(kinds(&entries), ["person.updated", "conversation.updated", "message.created"]);
    let others = birch.next().await;
    assert_eq!(others, world.feed_after("birch", 0).await);
    assert_eq!(kinds(&others), ["person.updated"]);
    world.finish().await;
}

#[tokio::test]
async fn a_change_that_changes_nothing_takes_no_position() {
    let world = World::with_ann().await;
    let head = world.head(ACME).await;
    world.put_person(ACME, "ann", &[ANN]).await.unwrap();
    let request = wire::DeletePersonRequest { license_id: ACME.to_owned(), person_id: "nobody".to_owned() };
    answer(world.people.clone().delete_person(request).await).unwrap();
    world.assign(ACME, OFFICE, 1).await;
    world.send(send(vec![person("nobody")], "to nobody")).await.unwrap();
    assert_eq!(world.head(ACME).await, head);
    world.finish().await;
}

#[tokio::test]
async fn what_is_older_than_seven_days_is_answered_with_a_reset_and_the_rest_goes_on() {
    let world = World::with_ann().await;
    let old = world.head(ACME).await;
    world.clock.advance(Duration::from_hours(8 * 24));
    sweep::sweep_once(world.pool(), &world.clock).await.unwrap();

    let behind = world.list_feed(ACME, 0, 500).await;
    assert_eq!((behind.reset, behind.head, behind.entries), (true, old, vec![]));
    let up_to_date = world.list_feed(ACME, old, 500).await;
    assert_eq!((up_to_date.reset, up_to_date.entries), (false, vec![]));
    world.put_person(ACME, "bob", &[BOB]).await.unwrap();
    assert_eq!(seqs(&world.feed_after(ACME, old).await), [old + 1]);
    assert!(world.list_feed(ACME, old - 1, 500).await.reset);
    assert!(world.list_feed(ACME, old + 2, 500).await.reset, "a position that was never reached");
    world.finish().await;
}

#[tokio::test]
async fn an_old_event_that_was_swept_from_the_middle_is_a_reset_and_not_a_gap() {
    let world = World::with_ann().await;
    let before = world.head(ACME).await;
    // A text that lay in a stream for eight days.
    let received_at = Some(to_timestamp(world.clock.now() - chrono::TimeDelta::days(8)));
    world.apply(&[ingest::MessageReceived { received_at, ..world.text(ANN, OFFICE, "late") }]).await;
    let after = world.head(ACME).await;
    world.put_person(ACME, "bob", &[BOB]).await.unwrap();
    sweep::sweep_once(world.pool(), &world.clock).await.unwrap();

    for position in 0..after {
        let page = world.list_feed(ACME, position, 500).await;
        let next = seqs(&page.entries);
        assert!(page.reset || next == (position + 1..=after + 1).collect::<Vec<_>>(), "after {position}: {next:?}");
    }
    assert!(before < after);
    assert_eq!(kinds(&world.feed_after(ACME, after).await), ["person.updated"]);
    world.finish().await;
}

#[tokio::test]
async fn heads_are_told_for_every_license_that_is_named_and_a_page_has_a_limit() {
    let world = World::with_ann().await;
    let heads = async |license_ids: Vec<&str>| {
        let license_ids = license_ids.into_iter().map(str::to_owned).collect();
        answer(world.feed.clone().list_feed_heads(wire::ListFeedHeadsRequest { license_ids }).await)
    };
    let mut told = heads(vec!["unheard-of", ACME]).await.unwrap().heads;
    told.sort_unstable_by_key(|each| each.seq);
    let told: Vec<_> = told.iter().map(|each| (each.license_id.as_str(), each.seq)).collect();
    assert_eq!(told, [("unheard-of", 0), (ACME, 2)]);
    assert_eq!(refusal(heads(vec![ACME; 1_001]).await).0, "out_of_range");
    assert_eq!(refusal(heads(vec!["\0"]).await).0, "invalid_id");
    for limit in [0, 501] {
        let request = wire::ListFeedRequest { license_id: ACME.to_owned(), after: 0, limit };
        let refused = refusal(answer(world.feed.clone().list_feed(request).await));
        assert_eq!(refused, ("out_of_range".to_owned(), Some("limit".to_owned())));
    }
    assert_eq!(seqs(&world.list_feed(ACME, 0, 1).await.entries), [1]);
    world.finish().await;
}

/// The pushes of one license, as a gateway gets them.
struct Pushed {
    license_id: &'static str,
    pushes: async_nats::Subscriber,
}

impl Pushed {
    async fn listen(world: &World, license_id: &'static str) -> Self {
        let client = world.bus.client();
        let pushes = client.subscribe(world.bus.subject(&format!("feed.{license_id}"))).await.unwrap();
        client.flush().await.unwrap();
        Self { license_id, pushes }
    }

    /// One push: consecutive entries of this license.
    async fn next(&mut self) -> Vec<wire::FeedEntry> {
        let push = timeout(Duration::from_secs(15), self.pushes.next()).await.expect("a push comes").unwrap();
        let entries = wire::FeedPush::decode(push.payload).unwrap().entries;
        assert!(entries.iter().all(|entry| entry.license_id == self.license_id));
        assert!(entries.windows(2).all(|pair| pair[0].seq + 1 == pair[1].seq), "{:?}", seqs(&entries));
        entries
    }

    /// Until every position up to this one was pushed. The order is the gateway's to restore: two commits may push in
    /// the other order.
    async fn until_all(mut self, head: u64) {
        let mut missing: BTreeSet<u64> = (1..=head).collect();
        while !missing.is_empty() {
            for seq in seqs(&self.next().await) {
                missing.remove(&seq);
            }
        }
    }
}
