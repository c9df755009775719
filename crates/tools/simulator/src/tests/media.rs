//! Files that phones send: where the webhook says they are, and who gets them.

use super::*;

const PICTURE: &str = "data:image/png;base64,aGVsbG8=";

async fn text_with_picture(carrier: &Carrier, to: &str) {
    let body = json!({ "to": to, "media_urls": [PICTURE, "https://example.org/a.jpg"] });
    let (status, answer) = carrier.control_post(&format!("phones/{PHONE}/text"), body).await;
    assert_eq!((status, &answer["webhook_status"]), (StatusCode::OK, &json!(200)));
}

async fn get(carrier: &Carrier, url: &str, with: bool) -> (u16, Option<String>, String) {
    let client = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    assert!(url.starts_with(&carrier.base), "{url}");
    let request = client.get(url);
    let request = if with { request.basic_auth(ACCOUNT, Some(TOKEN)) } else { request };
    let answer = request.send().await.unwrap();
    let header = if answer.status().is_redirection() { "location" } else { "content-type" };
    let header = answer.headers().get(header).map(|value| value.to_str().unwrap().to_owned());
    (answer.status().as_u16(), header, answer.text().await.unwrap())
}

fn picture() -> (u16, Option<String>, String) {
    (200, Some("image/png".to_owned()), "hello".to_owned())
}

#[tokio::test]
async fn a_file_at_twilio_asks_for_credentials_and_leads_to_a_store_that_refuses_them() {
    let receiver = Receiver::start().await;
    let carrier = Carrier::with_number(&receiver).await;
    text_with_picture(&carrier, NUMBER).await;
    let [webhook] = receiver.received().try_into().unwrap();
    assert_eq!((webhook.get("NumMedia"), webhook.get("MediaContentType0")), ("2", "image/png"));
    assert_eq!(
        (webhook.get("MediaUrl1"), webhook.get("MediaContentType1")),
        ("https://example.org/a.jpg", "image/jpeg")
    );
    let url = webhook.get("MediaUrl0");
    assert!(url.contains(&format!("/Messages/{}/Media/ME", webhook.get("MessageSid"))), "{url}");
    assert_eq!(get(&carrier, url, false).await.0, 401);
    let (status, location, _) = get(&carrier, url, true).await;
    assert_eq!(status, 307);
    let location = location.unwrap();
    assert_eq!(get(&carrier, &location, true).await.0, 400);
    assert_eq!(get(&carrier, &location, false).await, picture());
    assert_eq!(get(&carrier, &url.replace("/Media/ME", "/Media/MX"), true).await.0, 404);

    let list = format!("Messages/{}/Media.json", webhook.get("MessageSid"));
    let (_, listed) = carrier.get(&list).await;
    let media = listed["media_list"].as_array().unwrap();
    let types: Vec<_> = media.iter().map(|item| item["content_type"].as_str().unwrap()).collect();
    assert_eq!((types, &listed["next_page_uri"]), (vec!["image/png", "image/jpeg"], &Value::Null));
    assert!(url.ends_with(media[0]["sid"].as_str().unwrap()), "the list names what the webhook named");
    let elsewhere = url.rsplit_once('/').unwrap().0.to_owned() + "/" + media[1]["sid"].as_str().unwrap();
    assert_eq!(get(&carrier, &elsewhere, true).await.1.as_deref(), Some("https://example.org/a.jpg"));
    assert_eq!(carrier.get("Messages/MM1/Media.json").await.0, StatusCode::NOT_FOUND);

    carrier
        .set_faults(json!([{ "on": "media", "kind": "http_500", "count": 1 }, { "on": "media", "kind": "lost" }]))
        .await;
    assert_eq!(get(&carrier, url, true).await.0, 500);
    assert_eq!(get(&carrier, url, true).await.0, 404);
}

#[tokio::test]
async fn a_file_at_telnyx_is_got_without_credentials() {
    let receiver = Receiver::start().await;
    let (carrier, number) = Carrier::with_telnyx_number(&receiver).await;
    text_with_picture(&carrier, &number).await;
    let [event] = receiver.received().try_into().unwrap();
    let media = &event.json["data"]["payload"]["media"];
    assert_eq!((&media[0]["content_type"], media.as_array().unwrap().len()), (&json!("image/png"), 2));
    let url = media[0]["url"].as_str().unwrap();
    assert_eq!(get(&carrier, url, false).await, picture());
    carrier
        .set_faults(json!([{ "on": "media", "kind": "http_429", "count": 1 }, { "on": "media", "kind": "lost" }]))
        .await;
    assert_eq!(get(&carrier, url, false).await.0, 429);
    assert_eq!(get(&carrier, url, false).await.0, 404);
}

#[tokio::test]
async fn a_data_address_that_cannot_be_read_is_refused() {
    let carrier = Carrier::start().await;
    let body = json!({ "to": NUMBER, "media_urls": ["data:image/png,hello"] });
    let (status, answer) = carrier.control_post(&format!("phones/{PHONE}/text"), body).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer["detail"].as_str().unwrap().starts_with("media_urls"), "{answer}");
}
