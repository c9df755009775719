//! Files that came with messages, as clients get them.

use std::sync::atomic::Ordering;
use std::time::Duration;

use chassis::Fault;
use proto::conversations::{GetMediaRequest, Media, Message};
use serde_json::{Value, json};

use super::services::{Medium, a_message};
use super::tokens::{Token, token};
use super::{World, read};
use crate::upstreams::Upstreams;

const MESSAGE: &str = "01900000-0000-7000-8000-000000000001";
const MEDIUM: &str = "01900000-0000-7000-8000-0000000000aa";
const ONE: &str = "/v1/media/01900000-0000-7000-8000-0000000000aa";

impl World {
    fn know_medium(&self, medium: Medium) {
        self.services.known().finding.media.answer = Ok(medium);
    }

    async fn download(&self) -> reqwest::Response {
        self.request("GET", ONE, &token(Token::default())).send().await.unwrap()
    }
}

/// A picture in pieces of 64 KiB.
fn a_picture(pieces: usize) -> Medium {
    let pieces: Vec<Vec<u8>> = (0..pieces).map(|piece| vec![u8::try_from(piece % 256).unwrap(); 64 * 1024]).collect();
    Medium {
        content_type: "image/jpeg".to_owned(),
        size_bytes: pieces.iter().map(|piece| piece.len() as u64).sum(),
        pieces,
        ..Default::default()
    }
}

#[tokio::test]
async fn a_file_comes_with_its_type_and_length_and_a_browser_runs_nothing_of_it() {
    let world = World::start().await;
    let picture = a_picture(5);
    world.know_medium(picture.clone());
    let response = world.download().await;
    assert_eq!(response.status(), 200);
    for (name, value) in [
        ("content-type", "image/jpeg"),
        ("content-length", "327680"),
        ("content-disposition", "inline"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "private"),
        ("content-security-policy", "default-src 'none'; sandbox"),
    ] {
        assert_eq!(response.headers()[name], value, "{name}");
    }
    assert_eq!(response.bytes().await.unwrap(), picture.pieces.concat());
    let expected = GetMediaRequest { license_id: "acme".to_owned(), media_id: MEDIUM.to_owned() };
    assert_eq!(world.services.known().finding.media.asked, [expected]);

    world.know_medium(Medium { content_type: "text/html".to_owned(), ..a_picture(1) });
    let response = world.download().await;
    assert_eq!(response.headers()["content-disposition"], "attachment");
    world.know_medium(Medium::default());
    let response = world.download().await;
    assert_eq!((response.status().as_u16(), &response.headers()["content-length"]), (200, &"0".parse().unwrap()));
    assert_eq!(response.headers()["content-type"], "application/octet-stream");
    assert!(response.bytes().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_file_that_is_not_there_or_not_there_yet_says_so_and_when_to_come_again() {
    let world = World::start().await;
    let missing = Fault::not_found("media_not_found", "None.");
    let pending = Fault::conflict("media_pending", "It is being fetched.");
    world.services.known().finding.media.answer = Err(missing.clone());
    assert_eq!(world.get(ONE).await.problem(), (404, "media_not_found", None));
    world.services.known().finding.media.answer = Err(pending.clone());
    let answer = world.get(ONE).await;
    assert_eq!(answer.problem(), (409, "media_pending", None));
    assert_eq!(
        (&answer.headers["retry-after"], &answer.headers["cache-control"]),
        (&"3".parse().unwrap(), &"no-store".parse().unwrap())
    );
    // What the service says counts.
    world.services.known().finding.media.answer = Err(pending.clone().with("retry_after_s", 60));
    assert_eq!(world.get(ONE).await.headers["retry-after"], "60");
    // A refusal may also come where the head belongs.
    for (fault, expected) in [(missing, (404, "media_not_found", None)), (pending, (409, "media_pending", None))] {
        world.know_medium(Medium { refused_late: Some(fault), ..Default::default() });
        assert_eq!(world.get(ONE).await.problem(), expected);
    }
    assert_eq!(world.get("/v1/media/7").await.problem(), (422, "invalid_id", Some("media_id")));
    let nobody = read(world.http.get(format!("{}{ONE}", world.gateway.url))).await;
    assert_eq!(nobody.problem(), (401, "unauthenticated", None));
}

#[tokio::test]
async fn a_file_is_passed_on_piece_by_piece_and_a_slow_download_outlives_the_time_of_a_request() {
    let world = World::with(|settings| settings.upstreams.timeout_ms = 100).await;
    let picture = a_picture(3);
    world.know_medium(picture.clone());
    world.services.state().media_held.store(true, Ordering::SeqCst);
    let mut response = world.download().await;
    let mut got = Vec::new();
    // The first piece is here while the second is held back.
    while got.len() < 64 * 1024 {
        got.extend_from_slice(&response.chunk().await.unwrap().unwrap());
    }
    // Another request waits for all of its time meanwhile, and is answered.
    world.services.state().numbers_hang.store(true, Ordering::SeqCst);
    assert_eq!(world.get("/v1/settings").await.problem(), (503, "service_unavailable", None));
    world.services.state().media_released.notify_one();
    while let Some(piece) = response.chunk().await.unwrap() {
        got.extend_from_slice(&piece);
    }
    assert_eq!(got, picture.pieces.concat());
}

#[tokio::test]
async fn half_a_file_is_never_taken_for_all_of_it() {
    let world = World::start().await;
    for wrong in [
        Medium { breaks: true, size_bytes: 1_000_000, ..a_picture(2) },
        Medium { size_bytes: 1_000_000, ..a_picture(2) },
        Medium { size_bytes: 100_000, ..a_picture(2) },
    ] {
        world.know_medium(wrong);
        let response = world.download().await;
        assert_eq!(response.status(), 200);
        assert!(response.bytes().await.is_err());
    }
}

#[tokio::test]
async fn downloads_that_nobody_reads_hold_up_neither_other_downloads_nor_other_calls() {
    let world = World::start().await;
    let upstreams = Upstreams::new(&world.settings.upstreams).unwrap();
    world.know_medium(a_picture(64));
    let request = || GetMediaRequest { license_id: "acme".to_owned(), media_id: MEDIUM.to_owned() };
    let reading = async {
        let mut stalled = Vec::new();
        for _ in 0..50 {
            let mut chunks = upstreams.media.clone().get_media(request()).await.unwrap().into_inner();
            chunks.message().await.unwrap();
            stalled.push(chunks);
        }
        let mut chunks = upstreams.media.clone().get_media(request()).await.unwrap().into_inner();
        let mut count = 0;
        while chunks.message().await.unwrap().is_some() {
            count += 1;
        }
        assert_eq!(count, 65);
        assert_eq!(world.get("/v1/people").await.status, 200);
        drop(stalled);
    };
    tokio::time::timeout(Duration::from_secs(20), reading).await.expect("the others hold it up");
}

fn inbound(state: &str, size: Option<u64>) -> Message {
    let medium = Media {
        url: String::new(),
        content_type: "image/jpeg".to_owned(),
        media_id: Some(MEDIUM.to_owned()),
        state: state.to_owned(),
        size_bytes: size,
    };
    Message { direction: "inbound".to_owned(), manager: None, media: vec![medium], ..a_message("acme", MESSAGE) }
}

fn medium_json(url: Option<&str>, state: &str, size: Option<u64>) -> Value {
    json!([{"url": url, "content_type": "image/jpeg", "media_id": MEDIUM, "state": state, "size_bytes": size}])
}

#[tokio::test]
async fn a_message_says_where_its_files_are_once_they_are_stored() {
    let world = World::start().await;
    let path = format!("/v1/messages/{MESSAGE}");
    let outbound = Message {
        media: vec![Media { url: "https://example.com/a.png".to_owned(), ..Default::default() }],
        ..a_message("acme", MESSAGE)
    };
    let as_given = json!([{"url": "https://example.com/a.png", "content_type": null, "media_id": null, "state": null,
        "size_bytes": null}]);
    for (message, expected) in [
        (inbound("pending", None), medium_json(None, "pending", None)),
        (inbound("stored", Some(7)), medium_json(Some(ONE), "stored", Some(7))),
        (inbound("failed", None), medium_json(None, "failed", None)),
        (outbound, as_given),
    ] {
        world.services.known().messages.insert(("acme".to_owned(), MESSAGE.to_owned()), message);
        assert_eq!(world.get(&path).await.body["media"], expected);
    }
}

#[tokio::test]
async fn a_transcript_on_paper_names_the_files() {
    let world = World::start().await;
    let conversation = proto::conversations::Conversation {
        license_id: "acme".to_owned(),
        conversation_id: a_message("acme", MESSAGE).conversation_id,
        opened_at: Some(proto::to_timestamp(super::a_time())),
        ..Default::default()
    };
    let path = format!("/v1/conversations/{}/transcript?format=text", conversation.conversation_id);
    let key = ("acme".to_owned(), conversation.conversation_id.clone());
    world.services.known().conversations.insert(key, conversation);
    for (message, line) in [
        (inbound("stored", Some(7)), format!("    + {ONE} (image/jpeg, 7 bytes)\n")),
        (inbound("pending", None), "    + a file (image/jpeg), not here yet\n".to_owned()),
        (inbound("failed", None), "    + a file (image/jpeg), could not be fetched\n".to_owned()),
    ] {
        world.services.known().messages.insert(("acme".to_owned(), MESSAGE.to_owned()), message);
        let answer = world.request("GET", &path, &token(Token::default())).send().await.unwrap();
        let text = answer.text().await.unwrap();
        assert!(text.ends_with(&line), "{text}");
    }
}
