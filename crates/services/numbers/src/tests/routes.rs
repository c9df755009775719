//! Where calls go is told at once, survives a lost bucket, and is never older than what settings say (rule 6).

use std::collections::HashMap;
use std::sync::mpsc;

use bus::Follower;
use proto::numbers::Route;
use tokio_util::sync::CancellationToken;

use super::world::{CARRIERS, Replica, World};

struct Reader(mpsc::Sender<Option<Route>>);

impl Follower<Route> for Reader {
    fn value(&mut self, route: Route) {
        let _ = self.0.send(Some(route));
    }

    fn current(&mut self) {
        let _ = self.0.send(None);
    }
}

/// What a process that starts now reads.
async fn read(world: &World) -> HashMap<String, Route> {
    let (sender, receiver) = mpsc::channel();
    let stopping = CancellationToken::new();
    let following = tokio::spawn(bus::follow_latest::<Route>(world.bus.clone(), Reader(sender), stopping.clone()));
    let routes = tokio::task::spawn_blocking(move || {
        let routes = receiver.into_iter().map_while(|brought| brought);
        routes.map(|route| (route.license_id.clone(), route)).collect()
    });
    let routes = routes.await.unwrap();
    stopping.cancel();
    following.await.unwrap().unwrap();
    routes
}

async fn publish(replica: &Replica) {
    while replica.routes.publish_stale().await.unwrap() > 0 {}
}

#[tokio::test]
async fn a_route_follows_the_number_and_the_company_phone() {
    let (world, replica, number) = World::with_number(CARRIERS[0]).await;
    world.bus.declare().await.unwrap();
    publish(&replica).await;
    let first = read(&world).await.remove("acme").unwrap();
    assert_eq!((first.number.as_str(), first.company_phone.as_deref()), (number.as_str(), Some("+14152345678")));

    replica.put_license("acme", None).await.unwrap();
    publish(&replica).await;
    let second = read(&world).await.remove("acme").unwrap();
    assert_eq!((second.number.as_str(), second.company_phone), (number.as_str(), None));
    assert!(second.version > first.version);

    let offer = replica.generate("acme", None).await.unwrap();
    assert!(replica.save("acme", offer.candidate_id).await.unwrap().done);
    publish(&replica).await;
    let third = read(&world).await.remove("acme").unwrap();
    assert_eq!(third.number, offer.number.as_str());
    assert!(third.version > second.version);
    assert_eq!(world.count("stale_routes").await, 0);
}

#[tokio::test]
async fn a_license_without_a_number_has_no_route() {
    let world = World::new(CARRIERS[0]).await;
    world.bus.declare().await.unwrap();
    let replica = world.replica();
    replica.put_license("acme", Some("+14152345678")).await.unwrap();
    replica.put_license("acme", Some("+14152345679")).await.unwrap();
    publish(&replica).await;
    assert!(read(&world).await.is_empty());
    assert_eq!(world.count("stale_routes").await, 0);
}

#[tokio::test]
async fn a_change_while_its_route_is_being_published_is_published_after_it() {
    let (world, replica, _) = World::with_number(CARRIERS[0]).await;
    world.bus.declare().await.unwrap();
    // A publisher has read the state and not yet removed its mark.
    let held = replica.store.claim_stale_routes(10).await.unwrap();
    assert_eq!((held.len(), held.routes[0].company_phone.as_deref()), (1, Some("+14152345678")));
    let other = world.replica();
    let mut change = Box::pin(other.put_license("acme", None));
    tokio::select! {
        _ = &mut change => panic!("the change did not wait for the publisher"),
        () = tokio::time::sleep(std::time::Duration::from_millis(100)) => {}
    }
    world.bus.put_latest("acme", &held.routes[0]).await.unwrap();
    held.record_published().await.unwrap();
    change.await.unwrap();
    publish(&other).await;
    assert_eq!(read(&world).await["acme"].company_phone, None);
}

#[tokio::test]
async fn a_bucket_that_was_lost_is_filled_again() {
    let (world, replica, number) = World::with_number(CARRIERS[0]).await;
    world.bus.declare().await.unwrap();
    publish(&replica).await;
    replica.routes.recount().await.unwrap();
    assert_eq!(world.count("stale_routes").await, 0, "nothing is missing");

    world.bus.delete_streams().await.unwrap();
    world.bus.declare().await.unwrap();
    assert!(read(&world).await.is_empty());
    replica.routes.recount().await.unwrap();
    publish(&replica).await;
    assert_eq!(read(&world).await["acme"].number, number.as_str());
}
