//! One send to as many as are allowed.

use std::collections::BTreeSet;

use super::*;

#[tokio::test]
async fn a_batch_of_ten_thousand_good_and_bad_recipients_is_answered_in_their_order() {
    let world = World::start().await;
    // 6,000 people with a number each, 1,000 who share the first ones', 1,000 without; the rest is nobody.
    sqlx::query(
        "with everybody as (insert into people (license_id, person_id, kind, name, updated_at)
           select 'acme', 'p-' || n, 'tenant', 'p-' || n, now() from generate_series(0, 7999) n)
         insert into ties (license_id, person_id, number, position, tied_at)
         select 'acme', 'p-' || n, '+1415' || (2000000 + n % 6000), 1, now() from generate_series(0, 6999) n",
    )
    .execute(world.pool())
    .await
    .unwrap();
    let recipients: Vec<_> = (0..10_000).map(|n| person(&format!("p-{n}"))).collect();
    let request = keyed("k-1", &send(recipients.clone(), "to all of you"));
    let sent = world.send(request.clone()).await.unwrap();

    let to: Vec<&str> = sent.messages.iter().map(|message| message.to.as_str()).collect();
    let expected: Vec<String> = (0..6_000).map(phone).collect();
    assert!(to == expected, "the messages are not in the order of the recipients");
    let rejected: Vec<_> = sent.rejected.iter().filter_map(|each| each.recipient.clone()).collect();
    assert!(rejected == recipients[6_000..], "the rejections are not in the order of the recipients");
    let expected = [("duplicate_recipient", 1_000), ("person_has_no_phone", 1_000), ("person_not_found", 2_000)];
    let expected: Vec<&str> = expected.into_iter().flat_map(|(code, times)| vec![code; times]).collect();
    assert!(codes(&sent.rejected) == expected);
    let conversations: BTreeSet<_> = sent.messages.iter().map(|message| &message.conversation_id).collect();
    assert_eq!(conversations.len(), 6_000, "as many separate messages: nobody sees the others");
    assert!(sent.messages.iter().all(|message| message.batch_id.is_some() && message.batch_id == sent.batch_id));

    assert!(world.send(request).await.unwrap() == sent, "the same key returns the first answer");
    let queued: Vec<String> = world.list_queued().await.into_iter().map(|each| each.message_id).collect();
    assert!(queued.iter().eq(sent.messages.iter().map(|message| &message.message_id)));
    assert_eq!(world.head(ACME).await, 12_001);
    let request = send((0..10_001).map(|n| person(&n.to_string())).collect(), "too many");
    assert_eq!(refusal(world.send(request).await), ("out_of_range".to_owned(), Some("recipients".to_owned())));
    world.finish().await;
}
