//! Message texts keep every character: rule 14, as far as storing and showing goes.

use super::*;

/// What stores, quotes and normalises wrongly would change.
fn texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "  a space before and after \n",
        "line one\r\nline two\n\n\ttabbed",
        "\"quotes\" 'single' `back` \\ {} $1 %s ; drop table messages; --",
        "héllo, 你好, Ωmega, €5, [brackets] ^ ~ |",
        "👩‍👩‍👧‍👦 family, 🇺🇸 flag, é composed and e\u{301} not",
        "\u{feff}marks\u{200b}that\u{202e}nobody\u{ad}sees\u{7}",
        "\u{fffd}\u{ffff}\u{10ffff}",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.push("x".repeat(1_600));
    texts.push("😀".repeat(1_600));
    texts
}

#[tokio::test]
async fn message_texts_keep_every_character_on_their_way_out_and_in() {
    let world = World::with_ann().await;
    for body in texts() {
        let sent = world.send_one(person("ann"), &body).await;
        assert_eq!(sent.body, body);
        assert_eq!(world.get_message(ACME, &sent.message_id).await.unwrap(), sent);
        assert_eq!(sent.segments, domain::count_segments(&body).segments);
    }
    let queued: Vec<String> = world.list_queued().await.into_iter().map(|each| each.body).collect();
    assert_eq!(queued, texts());
    for body in texts() {
        let head = world.head(ACME).await;
        world.apply(&[world.text(ANN, OFFICE, &body)]).await;
        let shown = world.feed_after(ACME, head).await;
        let Some(Content::MessageCreated(message)) = &shown[0].content else { panic!("{:?}", kinds(&shown)) };
        assert_eq!(message.body, body);
        assert_eq!(message.segments, domain::count_segments(&body).segments);
    }
    world.finish().await;
}

#[tokio::test]
async fn a_text_that_cannot_be_sent_is_refused_with_the_reason() {
    let world = World::with_ann().await;
    let long = "x".repeat(1_601);
    for (body, code) in
        [("", "body_empty"), (" \n", "body_empty"), ("a\0b", "body_contains_nul"), (&long, "body_too_long")]
    {
        let refused = refusal(world.send(send(vec![person("ann")], body)).await);
        assert_eq!(refused, (code.to_owned(), Some("body".to_owned())));
    }
    world.finish().await;
}

#[tokio::test]
async fn media_are_shown_in_their_order_also_without_a_text_and_sent_as_they_were_given() {
    let world = World::with_ann().await;
    let media = vec![
        ingest::Media { url: "https://example.com/a?b=\"c\"".to_owned(), content_type: "image/png".to_owned() },
        ingest::Media { url: "https://example.com/ü".to_owned(), content_type: String::new() },
    ];
    world.apply(&[ingest::MessageReceived { media: media.clone(), ..world.text(ANN, OFFICE, "") }]).await;
    let shown = world.list_conversations(ACME).await.remove(0).last_message.unwrap();
    assert_eq!(shown.body, "");
    assert!(shown.media.iter().all(|each| each.url.is_empty() && each.media_id.is_some()));
    let shown: Vec<_> = shown.media.into_iter().map(|each| each.content_type).collect();
    assert_eq!(shown, media.into_iter().map(|each| each.content_type).collect::<Vec<_>>());

    let media_urls = vec!["https://example.com/1.jpg".to_owned(), "https://example.com/2.jpg".to_owned()];
    let request = wire::SendMessagesRequest { media_urls: media_urls.clone(), ..send(vec![person("ann")], "look") };
    let sent = world.send(request).await.unwrap().messages.remove(0);
    assert_eq!(sent.media.iter().map(|each| each.url.clone()).collect::<Vec<_>>(), media_urls);
    assert_eq!(world.list_queued().await[0].media_urls, media_urls);
    world.finish().await;
}
