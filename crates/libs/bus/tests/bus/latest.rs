//! States that every replica follows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bus::{Bus, Follower, follow_latest};
use proto::numbers::Route;

use crate::world::World;

/// What a reader knows: the company phone of each license, and whether it has been up to date.
#[derive(Clone, Default)]
struct Reader(Arc<Mutex<(BTreeMap<String, String>, bool)>>);

impl Follower<Route> for Reader {
    fn value(&mut self, route: Route) {
        self.0.lock().unwrap().0.insert(route.license_id, route.company_phone.unwrap_or_default());
    }

    fn current(&mut self) {
        self.0.lock().unwrap().1 = true;
    }
}

impl Reader {
    fn start(world: &World, bus: &Bus) -> Self {
        let reader = Self::default();
        tokio::spawn(follow_latest(bus.clone(), reader.clone(), world.stopping.clone()));
        reader
    }

    async fn wait_for(&self, expected: &[(&str, &str)]) {
        testkit::eventually("the values", async || {
            let known = self.0.lock().unwrap().clone();
            let same = known.0.iter().map(|(key, value)| (key.as_str(), value.as_str())).eq(expected.iter().copied());
            if same && known.1 { Ok(()) } else { Err(known) }
        })
        .await;
    }
}

fn route(license: &str, phone: &str) -> Route {
    let company_phone = Some(phone.to_owned());
    Route { license_id: license.to_owned(), number: "+14152345678".to_owned(), company_phone, version: 1 }
}

#[tokio::test]
async fn a_reader_that_comes_late_gets_the_last_value_of_each_key_and_then_every_change() {
    let world = World::new().await;
    Reader::start(&world, &world.bus).wait_for(&[]).await;
    for (license, phone) in [("a", "1"), ("b", "1"), ("a", "2")] {
        world.bus.put_latest(license, &route(license, phone)).await.unwrap();
    }
    assert_eq!(world.bus.count_latest::<Route>().await.unwrap(), 2);
    let late = Reader::start(&world, &world.bus);
    late.wait_for(&[("a", "2"), ("b", "1")]).await;
    world.bus.put_latest("b", &route("b", "3")).await.unwrap();
    late.wait_for(&[("a", "2"), ("b", "3")]).await;
    world.end().await;
}

#[tokio::test]
async fn a_reader_keeps_what_it_knows_while_nats_is_away_and_catches_up() {
    let world = World::new().await;
    let (gate, bus) = world.gated_bus().await;
    bus.declare_until_done().await;
    world.bus.put_latest("a", &route("a", "1")).await.unwrap();
    let reader = Reader::start(&world, &bus);
    reader.wait_for(&[("a", "1")]).await;
    gate.shut();
    world.bus.put_latest("a", &route("a", "2")).await.unwrap();
    assert_eq!(reader.0.lock().unwrap().0["a"], "1");
    gate.open();
    reader.wait_for(&[("a", "2")]).await;
    world.end().await;
}

#[tokio::test]
async fn of_two_writers_that_do_not_take_turns_one_is_told_so() {
    let world = World::new().await;
    let (one, two) = (route("a", "1"), route("a", "2"));
    let mut refused = 0;
    for _ in 0..50 {
        let (first, second) = tokio::join!(world.bus.put_latest("a", &one), world.bus.put_latest("a", &two));
        assert!(first.is_ok() || second.is_ok());
        refused += usize::from(first.is_err() || second.is_err());
    }
    assert!(refused > 0, "the later of two puts replaced a value that it had not seen");
    world.end().await;
}
