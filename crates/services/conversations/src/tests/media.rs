//! What people send beside their texts: fetched from the simulator, kept in a folder, handed out over gRPC.

use std::path::PathBuf;

use carriers::twilio::{Twilio, TwilioSettings};
use carriers::{Carrier as _, Carriers, MediaLimits, NumberOrder, NumberWebhooks};
use domain::{LicenseId, PhoneNumber};
use proto::conversations::media_chunk::Part;
use sqlx::AssertSqlSafe;
use testkit::Simulator;

use super::*;
use crate::fetch::Fetcher;
use crate::push::Pusher;
use crate::store::media::{self, Claimed};

/// `data:` and "hello".
const HELLO: &str = "data:image/png;base64,aGVsbG8=";
const MINUTE: Duration = Duration::from_mins(1);

fn twilio(simulator: &Simulator) -> Twilio {
    let settings = TwilioSettings {
        base_url: simulator.url().to_owned(),
        lookups_url: simulator.url().to_owned(),
        account_sid: Simulator::ACCOUNT_SID.to_owned(),
        auth_token: Secret::new(Simulator::AUTH_TOKEN),
        request_timeout_ms: 5_000,
    };
    Twilio::new(&settings).unwrap()
}

/// A world with Ann, whose carrier is a simulator that owns the messages number.
async fn with_carrier() -> (World, Simulator) {
    let simulator = Simulator::start().await;
    let nowhere = Url::parse("http://127.0.0.1:9/").unwrap();
    let order = NumberOrder {
        number: PhoneNumber::from_e164(OFFICE).unwrap(),
        license_id: LicenseId::parse(ACME).unwrap(),
        webhooks: NumberWebhooks {
            message_url: nowhere.clone(),
            voice_url: nowhere.clone(),
            voice_status_url: nowhere,
        },
    };
    twilio(&simulator).buy_number(&order).await.unwrap();
    let world = World::start_at(simulator.url()).await;
    world.assign(ACME, OFFICE, 1).await;
    world.put_person(ACME, "ann", &[ANN]).await.unwrap();
    (world, simulator)
}

impl World {
    /// What ingest announces when these addresses came with a text of Ann's.
    fn picture(&self, urls: &[String]) -> ingest::MessageReceived {
        let media = urls.iter().map(|url| ingest::Media { url: url.clone(), content_type: "image/jpeg".to_owned() });
        ingest::MessageReceived { media: media.collect(), ..self.text(ANN, OFFICE, "look") }
    }

    async fn last_message(&self) -> wire::Message {
        self.list_conversations(ACME).await.remove(0).last_message.unwrap()
    }

    async fn states(&self) -> Vec<String> {
        self.last_message().await.media.into_iter().map(|each| each.state).collect()
    }

    async fn until_states(&self, wanted: &[&str]) {
        testkit::eventually("the end of the media", async || {
            let states = self.states().await;
            if states == wanted { Ok(()) } else { Err(states) }
        })
        .await;
    }

    /// The type, the size and the bytes.
    async fn get_media(&self, license_id: &str, media_id: &str) -> Result<(String, u64, Vec<u8>), Fault> {
        let request = wire::GetMediaRequest { license_id: license_id.to_owned(), media_id: media_id.to_owned() };
        let mut parts = answer(self.media.clone().get_media(request).await)?;
        let Some(Part::Head(head)) = parts.message().await.unwrap().unwrap().part else { panic!("the head is first") };
        let mut bytes = Vec::new();
        while let Some(chunk) = parts.message().await.unwrap() {
            let Some(Part::Bytes(part)) = chunk.part else { panic!("after the head there are bytes") };
            bytes.extend(part);
        }
        Ok((head.content_type, head.size_bytes, bytes))
    }

    fn object(&self, media_id: &str) -> PathBuf {
        self.objects.path().join(ACME).join(media_id)
    }

    /// Media that the service's own worker leaves alone: they are due in an hour.
    async fn leave_alone(&self, urls: &[String]) {
        let later = to_timestamp(self.clock.now() + Duration::from_hours(1));
        self.apply(&[ingest::MessageReceived { received_at: Some(later), ..self.picture(urls) }]).await;
    }

    /// Takes them as a worker would in an hour.
    async fn claim(&self, limit: i64) -> Vec<Claimed> {
        let then = self.clock.now() + Duration::from_hours(1);
        media::claim(self.pool(), then, then + MINUTE, limit).await.unwrap()
    }

    async fn erase_media(&self, conversation_id: &str) {
        let license_id = LicenseId::parse(ACME).unwrap();
        let mut tx = self.pool().begin().await.unwrap();
        let conversation_id = conversation_id.parse().unwrap();
        media::erase_conversation(&mut tx, &license_id, conversation_id).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn until_erased(&self) {
        testkit::eventually("the erasure of the objects", async || match self.count("media_erasures").await {
            0 => Ok(()),
            left => Err(left),
        })
        .await;
    }

    async fn value(&self, query: &'static str) -> Option<String> {
        sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(self.pool()).await.unwrap()
    }
}

#[tokio::test]
async fn a_fetch_that_fails_is_tried_again_and_then_the_medium_is_handed_out() {
    let (world, simulator) = with_carrier().await;
    simulator.set_faults(serde_json::json!([{ "on": "media", "kind": "http_500", "count": 1 }])).await;
    let urls = simulator.text_with_files(ANN, OFFICE, &[HELLO]).await;
    let head = world.head(ACME).await;
    world.apply(&[world.picture(&urls)]).await;
    testkit::eventually("the first try", async || {
        match world.value("select max(tries)::text from media where leased_until is null").await.as_deref() {
            Some("1") => Ok(()),
            other => Err(other.map(str::to_owned)),
        }
    })
    .await;
    let shown = world.last_message().await.media.remove(0);
    let media_id = shown.media_id.clone().unwrap();
    let expected = wire::Media {
        content_type: "image/jpeg".into(),
        media_id: shown.media_id,
        state: "pending".into(),
        ..Default::default()
    };
    assert_eq!(world.last_message().await.media, std::slice::from_ref(&expected));
    assert_eq!(refusal(world.get_media(ACME, &media_id).await).0, "media_pending");

    world.clock.advance(Duration::from_secs(15));
    world.until_states(&["stored"]).await;
    let stored =
        wire::Media { content_type: "image/png".into(), state: "stored".into(), size_bytes: Some(5), ..expected };
    assert_eq!(world.last_message().await.media, [stored]);
    assert_eq!(world.get_media(ACME, &media_id).await.unwrap(), ("image/png".to_owned(), 5, b"hello".to_vec()));
    let entries = world.feed_after(ACME, head).await;
    assert_eq!(kinds(&entries), ["conversation.updated", "message.created", "message.updated"]);
    let Some(Content::MessageUpdated(updated)) = &entries[2].content else { panic!("{entries:?}") };
    assert_eq!(*updated, world.last_message().await);

    assert_eq!(refusal(world.get_media("birch", &media_id).await).0, "media_not_found");
    for id in ["", "x", &Uuid::now_v7().to_string()] {
        assert_eq!(refusal(world.get_media(ACME, id).await).0, "media_not_found");
    }
    // Whoever knows the carrier's address can read the medium: it is kept nowhere.
    assert_eq!(world.value("select source_url from media").await, None);
    assert_eq!(world.value("select array_to_string(media_urls, ',') from messages").await.as_deref(), Some(""));
    world.finish().await;
}

#[tokio::test]
async fn media_that_are_refused_or_gone_have_failed_and_their_neighbors_have_not() {
    let (world, simulator) = with_carrier().await;
    let large = format!("data:image/png;base64,{}", "AAAA".repeat(5 * 1024 * 1024 / 3 + 1));
    let files = ["data:text/html;base64,aGVsbG8=", &large, HELLO, "https://example.com/a.png"];
    let mut urls = simulator.text_with_files(ANN, OFFICE, &files).await;
    urls.push(urls[2].replace("/Media/ME", "/Media/MX"));
    let head = world.head(ACME).await;
    world.apply(&[world.picture(&urls)]).await;
    world.until_states(&["failed", "failed", "stored", "failed", "failed"]).await;
    let ids: Vec<String> = world.last_message().await.media.into_iter().filter_map(|each| each.media_id).collect();
    for (id, stored) in ids.iter().zip([false, false, true, false, false]) {
        assert_eq!(world.object(id).exists(), stored);
        match world.get_media(ACME, id).await {
            Ok(_) => assert!(stored),
            refused => assert_eq!((refusal(refused).0.as_str(), stored), ("media_not_found", false)),
        }
    }
    let updates = kinds(&world.feed_after(ACME, head).await).into_iter().filter(|kind| *kind == "message.updated");
    assert_eq!(updates.count(), 5);
    assert_eq!(world.value("select max(source_url) from media").await, None);
    world.finish().await;
}

#[tokio::test]
async fn what_the_carrier_does_not_give_for_a_day_has_failed() {
    let (world, simulator) = with_carrier().await;
    simulator.set_faults(serde_json::json!([{ "on": "media", "kind": "http_500" }])).await;
    let urls = simulator.text_with_files(ANN, OFFICE, &[HELLO]).await;
    world.leave_alone(&urls).await;
    sqlx::query("update media set tries = 11").execute(world.pool()).await.unwrap();
    world.clock.advance(Duration::from_hours(1));
    world.until_states(&["failed"]).await;
    world.finish().await;
}

#[tokio::test]
async fn a_text_that_the_carrier_repeats_has_its_media_once_and_one_without_has_none() {
    let world = World::with_ann().await;
    let picture = world.picture(&["https://example.com/a.png".to_owned()]);
    world.apply(&[picture.clone(), world.text(ANN, OFFICE, "no picture")]).await;
    world.apply(&[picture]).await;
    assert_eq!((world.count("messages").await, world.count("media").await), (2, 1));
    assert_eq!(world.last_message().await.media, []);
    world.finish().await;
}

#[tokio::test]
async fn media_that_a_worker_left_behind_are_fetched_by_the_next_one() {
    let (world, simulator) = with_carrier().await;
    let urls = simulator.text_with_files(ANN, OFFICE, &[HELLO]).await;
    world.leave_alone(&urls).await;
    assert_eq!(world.claim(10).await.len(), 1);
    assert_eq!(world.claim(10).await.len(), 0, "it is somebody's");
    world.clock.advance(Duration::from_hours(1));
    assert_eq!(world.states().await, ["pending"]);
    world.clock.advance(MINUTE);
    world.until_states(&["stored"]).await;
    world.finish().await;
}

#[tokio::test]
async fn two_workers_get_different_media() {
    let world = World::with_ann().await;
    let urls: Vec<String> = (0..10).map(|n| format!("https://example.com/{n}.png")).collect();
    world.leave_alone(&urls).await;
    let (one, other) = tokio::join!(world.claim(5), world.claim(5));
    let mut ids: Vec<Uuid> = one.iter().chain(&other).map(|claimed| claimed.media_id.uuid()).collect();
    ids.sort_unstable();
    ids.dedup();
    // One that came upon what the other held got less, and nothing twice.
    assert_eq!(ids.len(), one.len() + other.len());
    assert_eq!(ids.len() + world.claim(10).await.len(), 10);
    world.finish().await;
}

#[tokio::test]
async fn media_of_a_deleted_conversation_are_gone() {
    let (world, simulator) = with_carrier().await;
    let urls = simulator.text_with_files(ANN, OFFICE, &[HELLO, HELLO]).await;
    world.apply(&[world.picture(&urls)]).await;
    world.until_states(&["stored", "stored"]).await;
    let message = world.last_message().await;
    let ids: Vec<String> = message.media.into_iter().filter_map(|each| each.media_id).collect();
    assert!(ids.iter().all(|id| world.object(id).exists()));
    world.erase_media(&message.conversation_id).await;
    assert_eq!(world.count("media").await, 0);
    assert_eq!(refusal(world.get_media(ACME, &ids[0]).await).0, "media_not_found");
    world.until_erased().await;
    assert!(!ids.iter().any(|id| world.object(id).exists()));
    world.finish().await;
}

#[tokio::test]
async fn an_object_that_is_stored_while_its_conversation_is_deleted_is_removed() {
    let (world, simulator) = with_carrier().await;
    let urls = simulator.text_with_files(ANN, OFFICE, &[HELLO]).await;
    world.leave_alone(&urls).await;
    let claimed = world.claim(1).await.remove(0);
    let object = world.object(&claimed.media_id.to_string());
    let head = world.head(ACME).await;
    world.erase_media(&claimed.conversation_id.to_string()).await;

    let (pusher, _) = Pusher::new(world.pool().clone(), world.bus.clone(), world.lifecycle.stopping());
    let fetcher = Fetcher {
        pool: world.pool().clone(),
        clock: world.clock.clone(),
        pusher,
        carriers: Carriers::new([std::sync::Arc::new(twilio(&simulator)) as _]),
        objects: world.open_objects(),
        limits: MediaLimits { max_bytes: 100, hosts: Vec::new() },
        in_flight: 1,
    };
    fetcher.fetch(claimed.clone()).await;
    assert!(object.parent().unwrap().exists() && !object.exists(), "it was there, and the worker removed it");
    assert_eq!((world.count("media").await, world.head(ACME).await), (0, head));

    // Another worker died before it saw that the conversation is gone.
    std::fs::write(&object, "hello").unwrap();
    assert!(!fetcher.erase_once().await.unwrap());
    assert!(object.exists(), "it may still be being stored");
    world.clock.advance(Duration::from_hours(1) + MINUTE);
    world.until_erased().await;
    assert!(!object.exists());
    world.finish().await;
}
