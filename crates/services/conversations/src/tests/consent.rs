//! Rule 13: STOP (and its synonyms) stops, START lifts it, and what the carrier already answers is not answered twice.

use std::time::Duration;

use bus::Handler as _;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::events::MessageReceived;
use crate::push::Pusher;

const CODE: &str = "recipient_opted_out";
const STOPPED: (bool, Option<&str>) = (false, Some(CODE));
const FINE: (bool, Option<&str>) = (true, None);

impl World {
    /// Somebody texts the office.
    async fn hear(&self, from: &str, body: &str) {
        self.apply(&[self.text(from, OFFICE, body)]).await;
    }

    async fn lines_page(
        &self,
        id: &str,
        limit: u32,
        cursor: &str,
    ) -> Result<wire::ListConversationEventsResponse, Fault> {
        let request = wire::ListConversationEventsRequest {
            license_id: ACME.to_owned(),
            conversation_id: id.to_owned(),
            limit,
            cursor: cursor.to_owned(),
        };
        answer(self.conversations.clone().list_conversation_events(request).await)
    }

    /// The lines of a conversation, oldest first: kind and source.
    async fn lines(&self, id: &str) -> Vec<(String, String)> {
        let lines = self.lines_page(id, 200, "").await.unwrap().events;
        lines.into_iter().rev().map(|line| (line.kind, line.source)).collect()
    }

    async fn note(&self, id: &str, opted_out: bool, reason: &str) -> Result<wire::Conversation, Fault> {
        let request = wire::PutConsentRequest {
            license_id: ACME.to_owned(),
            conversation_id: id.to_owned(),
            manager: Some(manager("m-1", "Mia")),
            opted_out,
            reason: reason.to_owned(),
        };
        answer(self.conversations.clone().put_consent(request).await)
    }

    async fn assert_state(&self, id: &str, (sendable, reason): (bool, Option<&str>)) {
        let shown = self.get_conversation(ACME, id).await.unwrap();
        assert_eq!((shown.sendable, shown.reason.as_deref()), (sendable, reason));
        // What is shown is what happens.
        let sent = self.send(send(vec![conversation(id)], "hello")).await.unwrap();
        assert_eq!(codes(&sent.rejected), Vec::from_iter(reason));
    }

    /// A message to Ann fails because of the carrier's own list, before or after the carrier took it.
    async fn refuse(&self, message_id: &str, by_receipt: bool) {
        let (code, detail) = (CODE.to_owned(), "The carrier says so.".to_owned());
        if by_receipt {
            let error = Some(ingest::Error { code, detail, limit: None });
            self.apply(&[ingest::ReceiptReceived { error, ..self.receipt(message_id, "undelivered") }]).await;
        } else {
            let error = Some(dispatch::Error { code, detail });
            self.apply(&[dispatch::MessageProgressed { error, ..self.outcome(message_id, "failed") }]).await;
        }
    }
}

fn said(kind: &str, source: &str) -> (String, String) {
    (kind.to_owned(), source.to_owned())
}

#[tokio::test]
async fn stop_and_its_synonyms_stop_and_the_conversation_shows_it() {
    for (carrier, word) in [("twilio", "STOP"), ("twilio", " optout\n"), ("twilio", "Cancel"), ("telnyx", "Stop  All")]
    {
        let world = World::with_ann().await;
        world.put_person(ACME, "bob", &[BOB]).await.unwrap();
        let home = world.send_one(person("ann"), "hello").await.conversation_id;
        let head = world.head(ACME).await;
        world.apply(&[ingest::MessageReceived { carrier: carrier.to_owned(), ..world.text(ANN, OFFICE, word) }]).await;

        let shown = world.feed_after(ACME, head).await;
        assert_eq!(kinds(&shown), ["conversation.updated", "message.created", "conversation.event"], "{word}");
        let Some(Content::ConversationUpdated(flipped)) = &shown[0].content else { panic!("{shown:?}") };
        assert_eq!((flipped.sendable, flipped.reason.as_deref()), STOPPED);
        let expected = wire::Consent {
            opted_out: true,
            source: "keyword".to_owned(),
            manager: None,
            reason: None,
            changed_at: Some(to_timestamp(world.clock.now())),
        };
        assert_eq!(flipped.consent.as_ref(), Some(&expected));
        let Some(Content::ConversationEvent(line)) = &shown[2].content else { panic!("{shown:?}") };
        assert_eq!((line.kind.as_str(), line.source.as_str(), &line.manager), ("opted_out", "keyword", &None));
        assert_eq!(world.lines_page(&home, 200, "").await.unwrap().events, std::slice::from_ref(line));
        assert_eq!(bodies(&world.list_messages(ACME, &home).await.unwrap()), [word, "hello"], "the text shows as well");

        for recipient in [person("ann"), conversation(&home)] {
            let refused = world.send(send(vec![recipient.clone()], "again")).await.unwrap();
            assert_eq!((codes(&refused.rejected), refused.messages), (vec![CODE], vec![]));
            assert_eq!(refused.rejected[0].recipient, Some(recipient));
        }
        let batch = world.send(send(vec![person("ann"), person("bob"), conversation(&home)], "to all")).await.unwrap();
        assert_eq!((codes(&batch.rejected), batch.messages.len()), (vec![CODE; 2], 1));
        // It is this license whose texts are not wanted.
        world.put_person("birch", "ann", &[ANN]).await.unwrap();
        let request =
            wire::SendMessagesRequest { license_id: "birch".to_owned(), ..send(vec![person("ann")], "hello") };
        assert_eq!(world.send(request).await.unwrap().messages.len(), 1);
        world.finish().await;
    }
}

#[tokio::test]
async fn start_lifts_it_whoever_set_it() {
    let world = World::with_ann().await;
    let message = world.send_one(person("ann"), "hello").await;
    let home = message.conversation_id.as_str();
    for source in ["keyword", "manager", "carrier"] {
        match source {
            "keyword" => world.hear(ANN, "stop").await,
            "manager" => drop(world.note(home, true, "on the phone").await.unwrap()),
            _ => world.refuse(&message.message_id, false).await,
        }
        world.assert_state(home, STOPPED).await;
        let head = world.head(ACME).await;
        world.hear(ANN, "Start").await;
        let shown = kinds(&world.feed_after(ACME, head).await);
        assert_eq!(shown, ["conversation.updated", "message.created", "conversation.event"], "{source}");
        world.assert_state(home, FINE).await;
        assert_eq!(
            world.lines(home).await.into_iter().rev().take(2).collect::<Vec<_>>(),
            [said("opted_in", "keyword"), said("opted_out", source)]
        );
    }
    let consent = world.get_conversation(ACME, home).await.unwrap().consent.unwrap();
    assert_eq!((consent.opted_out, consent.source.as_str()), (false, "keyword"));
    world.finish().await;
}

#[tokio::test]
async fn what_the_carrier_already_answers_is_not_answered_twice() {
    let world = World::with_ann().await;
    for word in ["HELP", "STOP", "START", "INFO"] {
        world.hear(ANN, word).await;
    }
    let home = world.list_conversations(ACME).await.remove(0).conversation_id;
    let expected = [
        said("help_requested", "keyword"),
        said("opted_out", "keyword"),
        said("opted_in", "keyword"),
        said("help_requested", "keyword"),
    ];
    assert_eq!(world.lines(&home).await, expected);
    assert_eq!(world.list_queued().await, [], "nothing goes out");
    assert!(world.list_messages(ACME, &home).await.unwrap().iter().all(|message| message.direction == "inbound"));
    world.finish().await;
}

#[tokio::test]
async fn ordinary_sentences_with_stop_do_not_stop() {
    let world = World::with_ann().await;
    let sentences = ["please stop", "STOP PLEASE", "stop by at 5", "Stop.", "don't stop", "help me", "yes please", ""];
    for sentence in sentences {
        world.hear(ANN, sentence).await;
    }
    let unknown = ingest::MessageReceived { carrier: "pigeon".to_owned(), ..world.text(ANN, OFFICE, "STOP") };
    world.apply(&[unknown]).await;
    // Where nothing was refused, "yes" is an answer.
    world.hear(ANN, "Yes").await;
    let home = world.list_conversations(ACME).await.remove(0);
    assert_eq!((home.sendable, home.consent), (true, None));
    assert_eq!(world.lines(&home.conversation_id).await, []);
    assert_eq!(world.list_messages(ACME, &home.conversation_id).await.unwrap().len(), sentences.len() + 2);
    assert!(!kinds(&world.feed_after(ACME, 0).await).contains(&"conversation.event"));
    world.finish().await;
}

#[tokio::test]
async fn a_repeated_stop_and_a_doubled_webhook_make_one_line() {
    let world = World::with_ann().await;
    let stop = world.text(ANN, OFFICE, "STOP");
    // The same webhook twice, under two ids of events, together and again later.
    world.apply(&[stop.clone(), stop.clone()]).await;
    world.hear(ANN, "stop").await;
    let home = world.list_conversations(ACME).await.remove(0).conversation_id;
    assert_eq!(world.lines(&home).await, [said("opted_out", "keyword")]);
    let head = world.head(ACME).await;
    world.apply(std::slice::from_ref(&stop)).await;
    assert_eq!(world.head(ACME).await, head, "nothing has changed");

    // What was heard before START is not heard again after it.
    world.clock.advance(Duration::from_secs(1));
    let help = world.text(ANN, OFFICE, "HELP");
    world.apply(&[help.clone(), world.text(ANN, OFFICE, "START")]).await;
    world.clock.advance(Duration::from_secs(1));
    let late = Some(to_timestamp(world.clock.now()));
    let again = [stop, help].map(|event| ingest::MessageReceived { received_at: late, ..event });
    world.apply(&again).await;
    world.assert_state(&home, FINE).await;
    assert_eq!(world.lines(&home).await.len(), 3);
    assert_eq!(world.list_messages(ACME, &home).await.unwrap().len(), 5, "two stops, help, start, ours");
    world.finish().await;
}

#[tokio::test]
async fn two_replicas_that_hear_at_the_same_time_make_one_line() {
    let world = World::with_ann().await;
    let home = world.send_one(person("ann"), "hello").await.conversation_id;
    let (pusher, _pushing) = Pusher::new(world.pool().clone(), world.bus.clone(), CancellationToken::new());
    let replicas = [MessageReceived::new(pusher.clone()), MessageReceived::new(pusher)];
    let stop = world.text(ANN, OFFICE, "STOP");
    // Each has one text of her own and the doubled one.
    let hear = async |replica: &MessageReceived| {
        let received = [stop.clone(), world.text(ANN, OFFICE, "stop")].map(|event| bus::Received {
            event_id: Uuid::now_v7().to_string(),
            event,
            occurred_at: world.clock.now(),
        });
        let mut tx = world.pool().begin().await.unwrap();
        replica.handle(&mut tx, &received).await.unwrap();
        tx.commit().await.unwrap();
    };
    tokio::join!(hear(&replicas[0]), hear(&replicas[1]));
    assert_eq!(world.lines(&home).await, [said("opted_out", "keyword")]);
    assert_eq!(world.list_messages(ACME, &home).await.unwrap().len(), 4);
    assert_eq!(seqs(&world.feed_after(ACME, 0).await), (1..=world.head(ACME).await).collect::<Vec<_>>());
    world.finish().await;
}

#[tokio::test]
async fn a_stop_survives_the_rotation_of_the_number_and_a_change_of_person() {
    let world = World::with_ann().await;
    let home = world.send_one(person("ann"), "hello").await.conversation_id;
    world.hear(ANN, "STOP").await;
    world.assign(ACME, "+16462000199", 2).await;
    world.assert_state(&home, STOPPED).await;

    // The number goes to Bob: Ann's conversation is read-only for that reason first, and Bob gets nothing.
    world.put_person(ACME, "ann", &[]).await.unwrap();
    world.put_person(ACME, "bob", &[ANN]).await.unwrap();
    world.assert_state(&home, (false, Some("number_no_longer_tied"))).await;
    let refused = world.send(send(vec![person("bob")], "hello")).await.unwrap();
    assert_eq!(codes(&refused.rejected), [CODE]);
    // What he writes opens his own conversation, which says so; Ann's says nothing of what he wants.
    world.apply(&[world.text(ANN, "+16462000199", "who is this?")]).await;
    let bobs = world.list_conversations(ACME).await.remove(0);
    assert_ne!(bobs.conversation_id, home);
    assert_eq!((bobs.sendable, bobs.reason.as_deref()), STOPPED);
    assert_eq!(world.get_conversation(ACME, &home).await.unwrap().consent, None);
    world.apply(&[world.text(ANN, "+16462000199", "START")]).await;
    world.assert_state(&bobs.conversation_id, FINE).await;
    assert_eq!(world.lines(&bobs.conversation_id).await, [said("opted_in", "keyword")]);
    assert_eq!(world.lines(&home).await, [said("opted_out", "keyword")]);
    world.finish().await;
}

#[tokio::test]
async fn a_stop_from_a_number_that_is_tied_to_nobody_counts_when_it_is_tied_again() {
    let world = World::with_ann().await;
    let home = world.send_one(person("ann"), "hello").await.conversation_id;
    world.put_person(ACME, "ann", &[]).await.unwrap();
    let head = world.head(ACME).await;
    let stop = world.text(ANN, OFFICE, "STOP");
    world.apply(&[stop.clone(), stop.clone(), world.text(BOB, OFFICE, "stop"), world.text(BOB, OFFICE, "help")]).await;
    assert_eq!(world.count("unmatched_messages").await, 3);
    let mut shown = kinds(&world.feed_after(ACME, head).await);
    shown.retain(|kind| *kind != "unmatched.updated");
    assert_eq!(shown, ["conversation.updated"], "what is known of her number");
    assert_eq!(world.count("conversation_events").await, 0, "there is nothing to show it in");

    world.put_person(ACME, "ann", &[ANN]).await.unwrap();
    world.put_person(ACME, "bob", &[BOB]).await.unwrap();
    world.assert_state(&home, STOPPED).await;
    let refused = world.send(send(vec![person("ann"), person("bob")], "hello")).await.unwrap();
    assert_eq!(codes(&refused.rejected), [CODE; 2]);
    // The repeated webhook says nothing new, also after she is back.
    world.put_person(ACME, "ann", &[]).await.unwrap();
    world.clock.advance(Duration::from_secs(1));
    world.hear(ANN, "start").await;
    let late = Some(to_timestamp(world.clock.now()));
    world.apply(&[ingest::MessageReceived { received_at: late, ..stop }]).await;
    world.put_person(ACME, "ann", &[ANN]).await.unwrap();
    world.assert_state(&home, FINE).await;
    world.finish().await;
}

#[tokio::test]
async fn the_carriers_own_block_sets_it_too() {
    for by_receipt in [false, true] {
        let world = World::with_ann().await;
        let sent = world.send(send(vec![person("ann")], "one")).await.unwrap().messages.remove(0);
        let second = world.send_one(person("ann"), "two").await;
        let (home, head) = (sent.conversation_id.as_str(), world.head(ACME).await);
        world.refuse(&sent.message_id, by_receipt).await;
        let shown = world.feed_after(ACME, head).await;
        assert_eq!(kinds(&shown), ["message.updated", "conversation.updated", "conversation.event"]);
        let Some(Content::ConversationUpdated(flipped)) = &shown[1].content else { panic!("{shown:?}") };
        assert_eq!((flipped.sendable, flipped.reason.as_deref()), STOPPED);
        assert_eq!(flipped.consent.as_ref().map(|consent| consent.source.as_str()), Some("carrier"));
        world.assert_state(home, STOPPED).await;
        // The next one that waits fails as well: no second line. Nor does the carrier's repeating itself make one.
        world.refuse(&second.message_id, by_receipt).await;
        world.refuse(&sent.message_id, by_receipt).await;
        assert_eq!(world.lines(home).await, [said("opted_out", "carrier")]);
        world.hear(ANN, "START").await;
        world.refuse(&sent.message_id, !by_receipt).await;
        world.assert_state(home, FINE).await;
        world.finish().await;
    }
}

#[tokio::test]
async fn a_refusal_from_before_start_is_overtaken_by_it() {
    let world = World::with_ann().await;
    let message = world.send_one(person("ann"), "hello").await;
    let home = message.conversation_id.as_str();
    world.hear(ANN, "STOP").await;
    let early = Some(to_timestamp(world.clock.now()));
    world.clock.advance(Duration::from_secs(1));
    world.hear(ANN, "START").await;
    let error = Some(dispatch::Error { code: CODE.to_owned(), detail: "Refused.".to_owned() });
    let failed =
        dispatch::MessageProgressed { error, occurred_at: early, ..world.outcome(&message.message_id, "failed") };
    world.apply(&[failed]).await;
    world.assert_state(home, FINE).await;
    world.finish().await;
}

#[tokio::test]
async fn a_manager_can_mark_and_unmark_with_a_reason() {
    let world = World::with_ann().await;
    let home = world.send_one(person("ann"), "hello").await.conversation_id;
    let head = world.head(ACME).await;
    let marked = world.note(&home, true, " Asked on the phone. ").await.unwrap();
    let expected = wire::Consent {
        opted_out: true,
        source: "manager".to_owned(),
        manager: Some(manager("m-1", "Mia")),
        reason: Some("Asked on the phone.".to_owned()),
        changed_at: Some(to_timestamp(world.clock.now())),
    };
    assert_eq!(
        (marked.sendable, marked.reason.as_deref(), marked.consent.as_ref()),
        (false, Some(CODE), Some(&expected))
    );
    let shown = world.feed_after(ACME, head).await;
    assert_eq!(kinds(&shown), ["conversation.updated", "conversation.event"]);
    let Some(Content::ConversationEvent(line)) = &shown[1].content else { panic!("{shown:?}") };
    assert_eq!((line.kind.as_str(), &line.manager, &line.reason), ("opted_out", &expected.manager, &expected.reason));
    world.assert_state(&home, STOPPED).await;

    // The same again is no change and no line.
    let head = world.head(ACME).await;
    assert_eq!(world.note(&home, true, "Once more.").await.unwrap().consent, Some(expected));
    assert_eq!(world.head(ACME).await, head);
    assert!(world.note(&home, false, "Wants them again.").await.unwrap().sendable);
    world.assert_state(&home, FINE).await;

    // What the person or the carrier set can be lifted as well.
    world.hear(ANN, "STOP").await;
    assert!(world.note(&home, false, "Meant somebody else.").await.unwrap().sendable);
    let message = world.send_one(person("ann"), "hello").await;
    world.refuse(&message.message_id, false).await;
    world.assert_state(&home, STOPPED).await;
    assert!(world.note(&home, false, "Texted START to the carrier.").await.unwrap().sendable);
    let expected = [
        said("opted_out", "manager"),
        said("opted_in", "manager"),
        said("opted_out", "keyword"),
        said("opted_in", "manager"),
        said("opted_out", "carrier"),
        said("opted_in", "manager"),
    ];
    assert_eq!(world.lines(&home).await, expected);
    // Page by page it is the same.
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world.lines_page(&home, 4, &cursor).await.unwrap();
        paged.extend(page.events.into_iter().map(|line| (line.kind, line.source)));
        cursor = page.next_cursor;
        if cursor.is_empty() {
            break;
        }
    }
    paged.reverse();
    assert_eq!(paged, expected);
    world.finish().await;
}

#[tokio::test]
async fn what_cannot_be_noted_is_refused_and_changes_nothing() {
    let world = World::with_ann().await;
    let home = world.send_one(person("ann"), "hello").await.conversation_id;
    let head = world.head(ACME).await;
    for (reason, code) in [
        ("", "reason_empty"),
        (" \n", "reason_empty"),
        ("a\0b", "reason_contains_nul"),
        (&"x".repeat(501), "reason_too_long"),
    ] {
        let refused = refusal(world.note(&home, true, reason).await);
        assert_eq!(refused, (code.to_owned(), Some("reason".to_owned())));
    }
    for id in [Uuid::now_v7().to_string().as_str(), "x", ""] {
        assert_eq!(refusal(world.note(id, true, "why").await).0, "conversation_not_found");
        assert_eq!(refusal(world.lines_page(id, 1, "").await).0, "conversation_not_found");
    }
    let request = wire::PutConsentRequest {
        license_id: "birch".to_owned(),
        conversation_id: home.clone(),
        manager: Some(manager("m-2", "Mo")),
        opted_out: true,
        reason: "another license's".to_owned(),
    };
    assert_eq!(refusal(answer(world.conversations.clone().put_consent(request).await)).0, "conversation_not_found");
    assert_eq!(refusal(world.lines_page(&home, 0, "").await).1.as_deref(), Some("limit"));
    assert_eq!(refusal(world.lines_page(&home, 1, "x").await).0, "invalid_cursor");
    assert_eq!((world.head(ACME).await, world.count("licenses").await), (head, 1));
    assert_eq!(world.note(&home, false, "nothing was refused").await.unwrap().consent, None);

    // Whoever has the number now has not said it.
    world.put_person(ACME, "ann", &[]).await.unwrap();
    world.put_person(ACME, "bob", &[ANN]).await.unwrap();
    assert_eq!(refusal(world.note(&home, true, "late").await).0, "number_no_longer_tied");
    world.send_one(person("bob"), "hello").await;
    assert_eq!(refusal(world.note(&home, true, "later").await).0, "number_no_longer_tied");
    world.finish().await;
}

#[tokio::test]
async fn no_longer_tied_goes_before_opted_out_and_that_before_cannot_receive_sms() {
    let world = World::with_ann().await;
    let message = world.send_one(person("ann"), "hello").await;
    let home = message.conversation_id.as_str();
    let error = Some(dispatch::Error { code: "cannot_receive_sms".to_owned(), detail: "A landline.".to_owned() });
    world.apply(&[dispatch::MessageProgressed { error, ..world.outcome(&message.message_id, "failed") }]).await;
    world.assert_state(home, (false, Some("cannot_receive_sms"))).await;
    world.note(home, true, "on the phone").await.unwrap();
    world.assert_state(home, STOPPED).await;
    world.put_person(ACME, "ann", &[BOB]).await.unwrap();
    world.assert_state(home, (false, Some("number_no_longer_tied"))).await;
    world.finish().await;
}
