//! Rule 15: in order, without a gap and without a double, also across reconnects, restarts and lost messages.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use domain::{LicenseId, ManagerId};
use futures_util::StreamExt as _;
use prost::Message as _;
use proto::conversations::feed_entry::Content;
use proto::conversations::{FeedEntry, FeedPush, Person};
use serde_json::json;

use super::World;
use super::sse::Block;
use super::tokens::{Token, token};
use crate::feed::Feeds;
use crate::upstreams::Upstreams;

fn entry(license: &str, seq: u64) -> FeedEntry {
    let person = Person { person_id: format!("{license}-{seq}"), name: format!("Person {seq}"), ..Default::default() };
    let content = Some(Content::PersonUpdated(person));
    FeedEntry { license_id: license.to_owned(), seq, occurred_at: None, content }
}

impl World {
    /// The next `count` entries of a license are there; nothing is pushed.
    fn commit(&self, license: &str, count: u64) {
        let mut known = self.services.known();
        let entries = known.feed.entry(license.to_owned()).or_default();
        let head = entries.last().map_or(0, |entry| entry.seq);
        entries.extend((head + 1..=head + count).map(|seq| entry(license, seq)));
    }

    /// Pushes entries that are there, as `conversations` would.
    async fn push(&self, license: &str, seqs: &[u64]) {
        let entries = seqs.iter().map(|seq| entry(license, *seq)).collect();
        self.push_raw(license, FeedPush { entries }.encode_to_vec()).await;
    }

    pub(super) async fn push_raw(&self, license: &str, payload: Vec<u8>) {
        let bus = bus::Bus::connect(&self.settings.nats, "test").await.unwrap();
        bus.client().publish(bus.subject(&format!("feed.{license}")), Bytes::from(payload)).await.unwrap();
        bus.client().flush().await.unwrap();
    }
}

/// Heads are not compared within the test: only pushes and their gaps count.
fn without_comparing(settings: &mut crate::Settings) {
    settings.feed.heads_interval_ms = 3_600_000;
}

#[tokio::test]
async fn what_happens_in_a_license_reaches_every_connected_client_of_that_license_in_order() {
    let world = World::with(without_comparing).await;
    world.commit("acme", 3);
    let (mut first, mut second) = (world.follow("acme", None).await, world.follow("acme", None).await);
    // Where it stands, before anything happens.
    let start = Block { id: 3, event: None, data: None };
    assert_eq!((first.next().await, second.next().await), (Block { id: 3, ..Block::default() }, start));
    world.commit("acme", 3);
    world.push("acme", &[4]).await;
    world.push("acme", &[5, 6]).await;
    let expected = Block {
        id: 4,
        event: Some("person.updated".to_owned()),
        data: Some(json!({"person_id": "acme-4", "kind": "", "name": "Person 4", "phones": []})),
    };
    assert_eq!(first.next().await, expected);
    assert_eq!(first.ids(2).await, [5, 6]);
    assert_eq!(second.ids(3).await, [4, 5, 6]);
}

#[tokio::test]
async fn lost_doubled_and_reordered_pushes_make_no_gap_and_no_double() {
    let world = World::with(without_comparing).await;
    let mut client = world.follow("acme", None).await;
    assert_eq!(client.next().await.id, 0);
    world.commit("acme", 40);
    // 1 to 4 are lost, 6 and 7 come twice, 20 before 12, garbage in between.
    for push in [&[5][..], &[7, 6], &[6, 7], &[20], &[12, 13], &[1], &[39]] {
        world.push("acme", push).await;
    }
    world.push_raw("acme", b"\xff\xff".to_vec()).await;
    world.push("acme", &[40]).await;
    assert_eq!(client.ids(40).await, (1..=40).collect::<Vec<_>>());
    world.commit("acme", 1);
    world.push("acme", &[41]).await;
    assert_eq!(client.ids(1).await, [41]);
}

#[tokio::test]
async fn a_lost_push_is_found_by_comparing_heads() {
    let world = World::start().await;
    let mut client = world.follow("acme", None).await;
    assert_eq!(client.next().await.id, 0);
    world.commit("acme", 10);
    assert_eq!(client.ids(10).await, (1..=10).collect::<Vec<_>>());
}

#[tokio::test]
async fn with_nats_away_the_feed_goes_on_from_comparing_heads() {
    let world = World::with(|settings| "nats://127.0.0.1:1".clone_into(&mut settings.nats.url)).await;
    let mut client = world.follow("acme", None).await;
    assert_eq!(client.next().await.id, 0);
    world.commit("acme", 2);
    assert_eq!(client.ids(2).await, [1, 2]);
}

#[tokio::test]
async fn across_a_reconnect_and_a_restart_of_the_gateway_there_is_no_gap_and_no_double() {
    let mut world = World::with(without_comparing).await;
    world.commit("acme", 5);
    let mut client = world.follow("acme", None).await;
    assert_eq!(client.next().await.id, 5);
    drop(client);
    world.commit("acme", 20);
    let mut client = world.follow("acme", Some(5)).await;
    assert_eq!(client.ids(21).await, (5..=25).collect::<Vec<_>>());
    world.restart().await;
    assert_eq!(client.raw().await, None);
    world.commit("acme", 10);
    let mut client = world.follow("acme", Some(25)).await;
    assert_eq!(client.ids(11).await, (25..=35).collect::<Vec<_>>());
    world.commit("acme", 1);
    world.push("acme", &[36]).await;
    assert_eq!(client.ids(1).await, [36]);
}

#[tokio::test]
async fn clients_that_resume_while_entries_are_pushed_see_each_exactly_once() {
    let world = World::with(without_comparing).await;
    world.commit("acme", 30);
    let mut clients = Vec::new();
    for round in 0..10 {
        clients.push((round * 3, world.follow("acme", Some(round * 3)).await));
        world.commit("acme", 2);
        let head = 30 + round * 2;
        world.push("acme", &[head + 1, head + 2]).await;
    }
    for (last, client) in &mut clients {
        let expected: Vec<u64> = (*last..=50).collect();
        assert_eq!(client.ids(expected.len()).await, expected);
    }
}

#[tokio::test]
async fn a_position_older_than_what_is_kept_gets_one_reset_and_goes_on_from_the_head() {
    let world = World::with(without_comparing).await;
    world.commit("acme", 30);
    world.services.known().forgotten = 20;
    let mut client = world.follow("acme", Some(3)).await;
    assert_eq!(client.next().await.id, 3);
    let reset = Block { id: 30, event: Some("reset".to_owned()), data: Some(json!({"head": 30})) };
    assert_eq!(client.next().await, reset);
    world.commit("acme", 1);
    world.push("acme", &[31]).await;
    assert_eq!(client.next().await.id, 31);
    // A position that the license never had is no better.
    let mut client = world.follow("acme", Some(99)).await;
    assert_eq!(client.next().await.id, 99);
    assert_eq!(client.next().await.event.as_deref(), Some("reset"));
}

#[tokio::test]
async fn no_client_ever_receives_another_licenses_event() {
    let world = World::with(without_comparing).await;
    let (mut acme, mut other) = (world.follow("acme", None).await, world.follow("other", None).await);
    assert_eq!((acme.next().await.id, other.next().await.id), (0, 0));
    // Even when somebody mixes them up.
    let foreign = FeedPush { entries: vec![entry("other", 1)] };
    world.push_raw("acme", foreign.encode_to_vec()).await;
    world.commit("acme", 1);
    world.push("acme", &[1]).await;
    world.commit("other", 1);
    world.push("other", &[1]).await;
    assert_eq!(acme.next().await.data.unwrap()["person_id"], "acme-1");
    assert_eq!(other.next().await.data.unwrap()["person_id"], "other-1");
}

#[tokio::test]
async fn while_the_history_cannot_be_read_the_stream_stays_open_and_goes_on_afterwards() {
    let world = World::with(|settings| settings.feed.heartbeat_ms = 100).await;
    world.commit("acme", 10);
    world.services.state().feed_away.store(true, Ordering::SeqCst);
    let mut client = world.follow("acme", Some(4)).await;
    assert_eq!(client.raw().await.as_deref(), Some("id: 4"));
    // Heartbeats come meanwhile.
    assert_eq!(client.raw().await.as_deref(), Some(":"));
    world.services.state().feed_away.store(false, Ordering::SeqCst);
    assert_eq!(client.ids(6).await, (5..=10).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_stream_ends_when_its_token_expires() {
    let world = World::start().await;
    // Accepted for one more second, with the leeway.
    let exp = Some(world.clock.now().timestamp() - 29);
    let mut client = world.follow_with(&token(Token { exp, ..Token::default() }), None).await;
    assert_eq!(client.next().await.id, 0);
    assert_eq!(client.raw().await, None);
}

#[tokio::test]
async fn open_streams_end_with_the_service_and_do_not_hold_its_shutdown() {
    let world = World::start().await;
    let mut client = world.follow("acme", None).await;
    assert_eq!(client.next().await.id, 0);
    world.gateway.lifecycle.finish(Duration::from_secs(5)).await.unwrap();
    assert_eq!(client.raw().await, None);
}

#[tokio::test]
async fn a_client_that_reads_slowly_misses_nothing_and_the_last_one_to_leave_ends_the_hub() {
    let world = World::start().await;
    let mut settings = world.settings.clone();
    settings.feed.buffer = 4;
    let lifecycle = chassis::Lifecycle::new();
    let bus = bus::Bus::connect(&settings.nats, "test").await.unwrap();
    let upstreams = Upstreams::new(&settings.upstreams).unwrap();
    let feeds = Feeds::start(settings.feed, bus, upstreams.feed, &lifecycle);
    let acme = || LicenseId::parse("acme").unwrap();
    let hour = Duration::from_hours(1);
    let mia = || ManagerId::parse("m-1").unwrap();
    let mut slow = Box::pin(feeds.follow(acme(), mia(), None, hour));
    let mut quick = Box::pin(feeds.follow(acme(), mia(), None, hour));
    assert_eq!(slow.next().await.unwrap().unwrap(), "id: 0\n\n");
    assert_eq!(quick.next().await.unwrap().unwrap(), "id: 0\n\n");
    world.commit("acme", 50);
    for seq in 1..=50 {
        let block = quick.next().await.unwrap().unwrap();
        assert!(block.starts_with(format!("id: {seq}\n").as_bytes()));
    }
    for seq in 1..=50 {
        let block = slow.next().await.unwrap().unwrap();
        assert!(block.starts_with(format!("id: {seq}\n").as_bytes()));
    }
    assert_eq!(feeds.count_hubs(), 1);
    drop(quick);
    assert_eq!(feeds.count_hubs(), 1);
    drop(slow);
    assert_eq!(feeds.count_hubs(), 0);
    lifecycle.finish(Duration::from_secs(5)).await.unwrap();
}
