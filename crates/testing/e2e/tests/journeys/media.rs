//! A picture comes in: fetched from the carrier, kept by us, shown to the license's managers alone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::CarrierName;
use reqwest::Method;
use serde_json::json;

use super::world::{PATIENCE, World, phone};

async fn a_picture_comes_in(carrier: CarrierName) {
    let world = World::start_at(carrier, 2, 1).await;
    let mut feed = world.mia.feed(None).await.unwrap();
    // The signature of a PNG and some bytes: nobody looks inside.
    let picture: Vec<u8> =
        b"\x89PNG\r\n\x1a\n".iter().copied().chain((0..50_000_u32).map(|n| n.to_le_bytes()[0])).collect();
    let url = format!("data:image/png;base64,{}", STANDARD.encode(&picture));
    let text = json!({ "to": world.number, "body": "look at this leak", "media_urls": [url] });
    let answer = world.phones.post(&format!("/_sim/phones/{}/text", phone(0)), &text).await.unwrap();
    assert_eq!(answer["webhook_status"], 200, "{answer}");

    let stored =
        feed.wait_for("the picture", PATIENCE, |event| event.data["media"][0]["state"] == "stored").await.unwrap();
    let media = &stored.data["media"][0];
    assert_eq!((&media["content_type"], &media["size_bytes"]), (&json!("image/png"), &json!(picture.len())), "{media}");
    let path = media["url"].as_str().unwrap().to_owned();
    let answer = world.noah.request(Method::GET, &path).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap()), (200, "image/png"));
    assert_eq!(answer.bytes().await.unwrap(), picture, "every byte");
    let other = world.signer.sign("another-license", "manager", "eve", "Eve").unwrap();
    let stranger = leaseline::client::Api::new(&world.gateways[0], &other).request(Method::GET, &path).send().await;
    assert_eq!(stranger.unwrap().status(), 404, "no other license's managers");

    // With its conversation, it goes.
    let conversation = stored.data["conversation_id"].as_str().unwrap().to_owned();
    world.mia.call(Method::DELETE, &format!("/v1/conversations/{conversation}"), None).await.unwrap().ok().unwrap();
    assert_eq!(world.noah.request(Method::GET, &path).send().await.unwrap().status(), 404);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_comes_in_over_twilio_is_kept_and_shown() {
    a_picture_comes_in(CarrierName::Twilio).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_comes_in_over_telnyx_is_kept_and_shown() {
    a_picture_comes_in(CarrierName::Telnyx).await;
}
