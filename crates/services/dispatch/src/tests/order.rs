//! Texts to one person arrive in the order in which they were accepted, whatever happens on the way here and to each of them.

use proto::conversations::Priority::Reply;
use serde_json::json;

use super::*;

impl World {
    /// Texts to one person, each after the one before. Their texts are their ids.
    fn one_after_the_other(&self, to: &str, count: usize) -> Vec<MessageQueued> {
        let mut events: Vec<MessageQueued> = Vec::new();
        for _ in 0..count {
            let follows = events.last().map(|last| last.message_id.clone());
            events.push(MessageQueued { follows, ..self.queued("acme", to, Reply) });
        }
        events
    }

    async fn pass_seconds(&self, seconds: usize) {
        for _ in 0..seconds {
            self.clock.advance(Duration::from_secs(1));
            self.sweep().await;
            self.inquire().await;
            self.work(&self.replica(0.0)).await;
        }
    }
}

fn ids(events: &[MessageQueued]) -> Vec<String> {
    events.iter().map(|event| event.message_id.clone()).collect()
}

#[tokio::test]
async fn a_text_does_not_overtake_the_one_before_it_that_comes_here_later() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    let events = world.one_after_the_other(PHONE, 4);
    for event in events.iter().rev() {
        world.take_over(std::slice::from_ref(event)).await;
        world.work(&world.replica(0.0)).await;
    }
    world.pass_seconds(5).await;
    assert_eq!(world.texts(PHONE).await, ids(&events));
}

#[tokio::test]
async fn texts_to_one_person_are_not_in_a_carrier_s_hands_at_the_same_time_and_others_do_not_wait() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    let events = world.one_after_the_other(PHONE, 3);
    world.take_over(&events).await;
    let others = world.queue("acme", OTHER_PHONE, Reply, 5).await;
    let claim = world.store.claim(&everything(Pace::OFF), world.clock.now()).await.unwrap();
    let claimed: Vec<String> = claim.claimed.iter().map(|each| each.key.message_id.to_string()).collect();
    assert_eq!(claimed, [&ids(&events)[..1], &others].concat());
    world.clock.advance(Duration::from_secs(1));
    let again = world.store.claim(&everything(Pace::OFF), world.clock.now()).await.unwrap();
    assert_eq!(again.claimed.len(), 0, "the first one is not over");
}

#[tokio::test]
async fn what_comes_while_a_text_waits_for_the_one_before_it_goes_at_once() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    world.take_over(&world.one_after_the_other(PHONE, 2)).await;
    world.store.claim(&everything(Pace::OFF), world.clock.now()).await.unwrap();
    let other = world.queue("acme", OTHER_PHONE, Reply, 1).await;
    let claim = world.store.claim(&everything(Pace::OFF), world.clock.now()).await.unwrap();
    let claimed: Vec<String> = claim.claimed.iter().map(|each| each.key.message_id.to_string()).collect();
    assert_eq!(claimed, other);
}

#[tokio::test]
async fn a_lane_has_nothing_to_do_when_what_followed_has_gone() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    for event in world.one_after_the_other(PHONE, 2) {
        world.take_over(&[event]).await;
        world.work(&world.replica(0.0)).await;
        assert_eq!(world.store.find_next_due(&everything(Pace::OFF)).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_text_waits_while_it_is_not_known_whether_the_carrier_took_the_one_before_it() {
    for fault in ["http_500_after_accept", "http_500"] {
        let world = World::new().await;
        world.assign("acme", 1).await;
        world.simulator.set_faults(json!([{ "on": "send", "kind": fault, "count": 1 }])).await;
        let events = world.one_after_the_other(PHONE, 2);
        world.take_over(&events).await;
        let other = world.queue("acme", OTHER_PHONE, Reply, 1).await;
        world.work(&world.replica(0.0)).await;
        world.pass_seconds(5).await;
        assert_eq!(world.state(&events[0].message_id).await, "unknown", "{fault}");
        assert_eq!(world.state(&events[1].message_id).await, "waiting", "{fault}");
        assert_eq!(world.texts(OTHER_PHONE).await, other, "{fault}: nobody else waits");
        world.pass_seconds(130).await;
        assert_eq!(world.texts(PHONE).await, ids(&events), "{fault}");
    }
}

#[tokio::test]
async fn a_text_whose_predecessor_never_comes_goes_after_a_minute() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    let events = world.one_after_the_other(PHONE, 2);
    world.take_over(&events[1..]).await;
    world.work(&world.replica(0.0)).await;
    world.pass_seconds(58).await;
    assert_eq!(world.texts(PHONE).await.len(), 0);
    world.pass_seconds(5).await;
    assert_eq!(world.texts(PHONE).await, ids(&events[1..]));
}

#[tokio::test]
async fn a_text_goes_when_the_one_before_it_is_withdrawn() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    let events = world.one_after_the_other(PHONE, 3);
    world.take_over(&events).await;
    world.delete(&events[1].conversation_id).await;
    world.work(&world.replica(0.0)).await;
    world.pass_seconds(1).await;
    assert_eq!(world.texts(PHONE).await, [ids(&events)[0].as_str(), ids(&events)[2].as_str()]);
}
