//! Unknown senders (rule 8): listed, tied to a person, blocked.

use proto::conversations::block_number_request::Which;

use super::*;
use crate::sweep;

/// Numbers that nobody has.
const CY: &str = "+14152000003";
const DEE: &str = "+14152000004";

impl World {
    async fn list_unmatched(
        &self,
        license_id: &str,
        limit: u32,
        cursor: &str,
    ) -> Result<wire::ListUnmatchedResponse, Fault> {
        let request =
            wire::ListUnmatchedRequest { license_id: license_id.to_owned(), limit, cursor: cursor.to_owned() };
        answer(self.unmatched.clone().list_unmatched(request).await)
    }

    /// Everything that is kept apart for the license, newest first.
    pub(super) async fn kept(&self) -> Vec<wire::UnmatchedMessage> {
        self.list_unmatched(ACME, 200, "").await.unwrap().messages
    }

    pub(super) async fn tie(
        &self,
        license_id: &str,
        unmatched_id: &str,
        person_id: &str,
    ) -> Result<wire::TieUnmatchedResponse, Fault> {
        let request = wire::TieUnmatchedRequest {
            license_id: license_id.to_owned(),
            unmatched_id: unmatched_id.to_owned(),
            person_id: person_id.to_owned(),
        };
        answer(self.unmatched.clone().tie_unmatched(request).await)
    }

    async fn block(&self, which: impl Into<Option<Which>>) -> Result<wire::BlockedNumber, Fault> {
        let manager = Some(manager("m-1", "Mia"));
        let request = wire::BlockNumberRequest { license_id: ACME.to_owned(), manager, which: which.into() };
        answer(self.unmatched.clone().block_number(request).await)
    }

    async fn list_blocked(&self, limit: u32, cursor: &str) -> Result<wire::ListBlockedNumbersResponse, Fault> {
        let request = wire::ListBlockedNumbersRequest { license_id: ACME.to_owned(), limit, cursor: cursor.to_owned() };
        answer(self.unmatched.clone().list_blocked_numbers(request).await)
    }

    async fn unblock(&self, license_id: &str, blocked_id: &str) {
        let request =
            wire::UnblockNumberRequest { license_id: license_id.to_owned(), blocked_id: blocked_id.to_owned() };
        answer(self.unmatched.clone().unblock_number(request).await).unwrap();
    }

    /// Somebody texts the office; a second passes.
    async fn hear_from(&self, from: &str, body: &str) -> ingest::MessageReceived {
        let event = self.text(from, OFFICE, body);
        self.apply(std::slice::from_ref(&event)).await;
        self.clock.advance(Duration::from_secs(1));
        event
    }

    /// What Max has not read: here, and of all.
    async fn unread_of(&self, conversation_id: &str) -> (u32, u64) {
        let request = wire::ListConversationsRequest {
            license_id: ACME.to_owned(),
            limit: 200,
            manager_id: "m-2".to_owned(),
            ..Default::default()
        };
        let list = answer(self.conversations.clone().list_conversations(request).await).unwrap();
        let here = list.conversations.iter().find(|each| each.conversation_id == conversation_id);
        (here.map_or(0, |each| each.unread), list.total_unread)
    }

    async fn list_lines(&self, conversation_id: &str) -> Vec<wire::ConversationEvent> {
        let request = wire::ListConversationEventsRequest {
            license_id: ACME.to_owned(),
            conversation_id: conversation_id.to_owned(),
            limit: 200,
            cursor: String::new(),
        };
        answer(self.conversations.clone().list_conversation_events(request).await).unwrap().events
    }
}

fn by_message(unmatched_id: &str) -> Which {
    Which::UnmatchedId(unmatched_id.to_owned())
}

fn by_number(number: &str) -> Which {
    Which::Number(number.to_owned())
}

fn texts(kept: &[wire::UnmatchedMessage]) -> Vec<&str> {
    kept.iter().map(|each| each.body.as_str()).collect()
}

/// How many messages an entry says there are.
fn told(entry: &wire::FeedEntry) -> u32 {
    let Some(Content::UnmatchedUpdated(updated)) = &entry.content else { panic!("{entry:?}") };
    updated.messages
}

#[tokio::test]
async fn what_unknown_senders_write_is_kept_apart_listed_newest_first_and_told_on_the_feed() {
    let world = World::with_ann().await;
    let head = world.head(ACME).await;
    let media = vec![ingest::Media { url: "https://example.com/a".to_owned(), content_type: "image/png".to_owned() }];
    let first = ingest::MessageReceived { media, ..world.text(BOB, OFFICE, "one") };
    world.apply(std::slice::from_ref(&first)).await;
    // The carrier repeats it.
    world.apply(std::slice::from_ref(&first)).await;
    world.apply(&[world.text(BOB, OFFICE, "two"), world.text(BOB, "+16462000999", "to nobody's number")]).await;
    world.clock.advance(Duration::from_secs(1));
    world.apply(&[world.text(CY, OFFICE, "three")]).await;

    let mut pages = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = world.list_unmatched(ACME, 2, &cursor).await.unwrap();
        pages.push(page.messages);
        cursor = page.next_cursor;
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(pages.iter().map(|page| texts(page)).collect::<Vec<_>>(), [vec!["three", "two"], vec!["one"]]);
    let expected = wire::UnmatchedMessage {
        license_id: ACME.to_owned(),
        unmatched_id: pages[1][0].unmatched_id.clone(),
        from: BOB.to_owned(),
        to: OFFICE.to_owned(),
        body: "one".to_owned(),
        media: vec![wire::Media { content_type: "image/png".to_owned(), ..Default::default() }],
        received_at: first.received_at,
    };
    assert_eq!(pages[1][0], expected);
    let shown = world.feed_after(ACME, head).await;
    assert_eq!(kinds(&shown), ["unmatched.updated"; 3], "once for each time that something came, never for a repeat");
    assert_eq!(told(&shown[2]), 3);
    assert_eq!(world.list_conversations(ACME).await, []);

    assert_eq!(world.list_unmatched("birch", 200, "").await.unwrap().messages, []);
    for (limit, cursor, code) in [(0, "", "out_of_range"), (201, "", "out_of_range"), (1, "x", "invalid_cursor")] {
        assert_eq!(refusal(world.list_unmatched(ACME, limit, cursor).await).0, code);
    }
    world.finish().await;
}

#[tokio::test]
async fn a_sender_who_is_tied_to_a_person_brings_everything_that_was_kept_into_the_conversation_of_that_number() {
    let world = World::with_ann().await;
    world.put_person(ACME, "bob", &[DEE]).await.unwrap();
    world.unread_of("").await;
    let one = world.hear_from(BOB, "one").await;
    world.hear_from(CY, "from somebody else").await;
    let two = world.hear_from(BOB, "two").await;
    let kept = world.kept().await;
    let head = world.head(ACME).await;

    let tied = world.tie(ACME, &kept[2].unmatched_id, "bob").await.unwrap();
    let home = tied.conversation.unwrap();
    let people: Vec<_> = home.people.iter().map(|each| each.person_id.as_str()).collect();
    assert_eq!((tied.messages, home.number.as_str(), people, home.sendable), (2, BOB, vec!["bob"], true));
    assert_eq!(home.opened_at, one.received_at);
    assert_eq!(world.get_conversation(ACME, &home.conversation_id).await.unwrap(), home);
    let messages = world.list_messages(ACME, &home.conversation_id).await.unwrap();
    assert_eq!(home.last_message.as_ref(), messages.first());
    let facts = messages.iter().map(|each| (each.message_id.as_str(), each.body.as_str(), each.created_at));
    let expected = [(&*kept[0].unmatched_id, "two", two.received_at), (&*kept[2].unmatched_id, "one", one.received_at)];
    assert_eq!(facts.collect::<Vec<_>>(), expected, "under their own ids and times");
    for message in &messages {
        let facts = [&message.direction, &message.status, &message.from, &message.to].map(String::as_str);
        assert_eq!(facts, ["inbound", "received", BOB, OFFICE]);
        assert_eq!(message.carrier.as_deref(), Some("twilio"));
    }
    assert_eq!(world.unread_of(&home.conversation_id).await, (2, 2));
    assert_eq!(texts(&world.kept().await), ["from somebody else"]);

    let shown = world.feed_after(ACME, head).await;
    let expected =
        ["person.updated", "conversation.updated", "message.created", "message.created", "unmatched.updated"];
    assert_eq!(kinds(&shown), expected);
    let Some(Content::PersonUpdated(bob)) = &shown[0].content else { panic!("{shown:?}") };
    assert_eq!(bob.phones, [DEE, BOB], "the number comes last: what managers send goes where it went");
    assert_eq!(told(&shown[4]), 1);

    // It is done once, and what the carrier repeats is there already.
    assert_eq!(refusal(world.tie(ACME, &kept[2].unmatched_id, "bob").await).0, "unmatched_not_found");
    world.apply(&[one]).await;
    assert_eq!(world.list_messages(ACME, &home.conversation_id).await.unwrap().len(), 2);
    assert_eq!(world.send_one(conversation(&home.conversation_id), "hello Bob").await.to, BOB);
    world.hear_from(BOB, "three").await;
    assert_eq!(world.list_messages(ACME, &home.conversation_id).await.unwrap()[0].body, "three");
    world.finish().await;
}

#[tokio::test]
async fn a_plain_change_of_a_persons_numbers_moves_nothing_of_what_was_kept_before() {
    let world = World::with_ann().await;
    world.unread_of("").await;
    world.hear_from(BOB, "before").await;
    world.put_person(ACME, "bob", &[BOB]).await.unwrap();
    assert_eq!(texts(&world.kept().await), ["before"]);
    assert_eq!(world.list_conversations(ACME).await, []);
    world.hear_from(BOB, "after").await;
    let home = world.list_conversations(ACME).await.remove(0);
    assert_eq!(bodies(&world.list_messages(ACME, &home.conversation_id).await.unwrap()), ["after"]);

    // Tied by hand later: it takes its place by its time, and is unread all the same.
    let head = world.head(ACME).await;
    let tied = world.tie(ACME, &world.kept().await[0].unmatched_id, "bob").await.unwrap();
    let shown = tied.conversation.unwrap();
    assert_eq!((shown.conversation_id.as_str(), tied.messages), (home.conversation_id.as_str(), 1));
    assert_eq!(shown.last_message, home.last_message);
    assert_eq!(bodies(&world.list_messages(ACME, &home.conversation_id).await.unwrap()), ["after", "before"]);
    assert_eq!(world.unread_of(&home.conversation_id).await, (2, 2));
    let kinds = kinds(&world.feed_after(ACME, head).await);
    assert_eq!(kinds, ["conversation.updated", "message.created", "unmatched.updated"], "the tie was there");
    world.finish().await;
}

#[tokio::test]
async fn what_is_tied_long_after_it_came_leaves_no_gap_in_the_feed() {
    let world = World::with_ann().await;
    world.put_person(ACME, "bob", &[]).await.unwrap();
    world.hear_from(BOB, "STOP").await;
    world.clock.advance(Duration::from_hours(10 * 24));
    world.send_one(person("ann"), "new").await;
    let head = world.head(ACME).await;
    world.tie(ACME, &world.kept().await[0].unmatched_id, "bob").await.unwrap();
    sweep::sweep_once(world.pool(), &world.clock).await.unwrap();
    let left = world.feed_after(ACME, head).await;
    let expected =
        ["person.updated", "conversation.updated", "message.created", "conversation.event", "unmatched.updated"];
    assert_eq!(kinds(&left), expected);
    assert_eq!(seqs(&left), (head + 1..=head + 5).collect::<Vec<_>>());
    world.finish().await;
}

#[tokio::test]
async fn a_stop_among_them_was_heard_when_it_came_and_shows() {
    let world = World::with_ann().await;
    world.put_person(ACME, "bob", &[]).await.unwrap();
    world.put_person(ACME, "cy", &[]).await.unwrap();
    world.hear_from(BOB, "who are you?").await;
    let stop = world.hear_from(BOB, "STOP").await;
    let tied = world.tie(ACME, &world.kept().await[0].unmatched_id, "bob").await.unwrap();
    let home = tied.conversation.unwrap();
    assert_eq!((home.sendable, home.reason.as_deref()), (false, Some("recipient_opted_out")));
    assert_eq!(home.consent.unwrap().changed_at, stop.received_at);
    let lines = world.list_lines(&home.conversation_id).await;
    let facts: Vec<_> = lines.iter().map(|line| (line.kind.as_str(), &*line.source, line.occurred_at)).collect();
    assert_eq!(facts, [("opted_out", "keyword", stop.received_at)]);

    // What was taken back before the tie does not come into force again.
    world.hear_from(CY, "STOP").await;
    let start = world.hear_from(CY, "START").await;
    let tied = world.tie(ACME, &world.kept().await[0].unmatched_id, "cy").await.unwrap();
    let home = tied.conversation.unwrap();
    assert!(home.sendable);
    let lines = world.list_lines(&home.conversation_id).await;
    let facts: Vec<_> = lines.iter().map(|line| (line.kind.as_str(), line.occurred_at)).collect();
    assert_eq!(facts, [("opted_in", start.received_at)]);
    world.finish().await;
}

#[tokio::test]
async fn a_sender_who_is_tied_to_somebody_new_never_gets_into_the_conversation_of_those_who_had_the_number() {
    let world = World::with_ann().await;
    let old = world.send_one(person("ann"), "for Ann only").await.conversation_id;
    world.put_person(ACME, "ann", &[]).await.unwrap();
    world.put_person(ACME, "bob", &[]).await.unwrap();
    world.hear_from(ANN, "this is Bob").await;
    let tied = world.tie(ACME, &world.kept().await[0].unmatched_id, "bob").await.unwrap();
    let new = tied.conversation.unwrap();
    assert_ne!(new.conversation_id, old);
    assert_eq!(new.people.iter().map(|each| each.person_id.as_str()).collect::<Vec<_>>(), ["bob"]);
    assert_eq!(bodies(&world.list_messages(ACME, &old).await.unwrap()), ["for Ann only"]);
    assert_eq!(world.get_conversation(ACME, &old).await.unwrap().newer_conversation_id, None);

    // Ann herself, on the other hand, comes back into hers.
    let world = World::with_ann().await;
    let old = world.send_one(person("ann"), "hello").await.conversation_id;
    world.put_person(ACME, "ann", &[]).await.unwrap();
    world.hear_from(ANN, "it is me").await;
    let tied = world.tie(ACME, &world.kept().await[0].unmatched_id, "ann").await.unwrap();
    let home = tied.conversation.unwrap();
    assert_eq!((home.conversation_id.as_str(), home.sendable), (old.as_str(), true));
    assert_eq!(bodies(&world.list_messages(ACME, &old).await.unwrap()), ["it is me", "hello"]);
    world.finish().await;
}

#[tokio::test]
async fn whoever_goes_on_texting_while_he_is_tied_has_everything_in_one_conversation() {
    let world = World::with_ann().await;
    for round in 100..110 {
        let (number, id) = (phone(round), format!("p-{round}"));
        world.put_person(ACME, &id, &[]).await.unwrap();
        world.hear_from(&number, "first").await;
        let unmatched_id = world.kept().await.remove(0).unmatched_id;
        let more: Vec<_> = (0..3).map(|n| world.text(&number, OFFICE, &n.to_string())).collect();
        let (tied, ()) = tokio::join!(world.tie(ACME, &unmatched_id, &id), world.apply(&more));
        assert_eq!(texts(&world.kept().await), Vec::<&str>::new());
        let home = tied.unwrap().conversation.unwrap().conversation_id;
        let mut all: Vec<String> =
            world.list_messages(ACME, &home).await.unwrap().into_iter().map(|each| each.body).collect();
        all.sort_unstable();
        assert_eq!(all, ["0", "1", "2", "first"]);
    }
    world.finish().await;
}

#[tokio::test]
async fn what_cannot_be_tied_is_refused_and_stays() {
    let world = World::with_ann().await;
    world.hear_from(BOB, "hello").await;
    let id = world.kept().await.remove(0).unmatched_id;
    let many: Vec<String> = (10..30).map(phone).collect();
    world.put_person(ACME, "full", &many.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
    world.put_person("birch", "ann", &[]).await.unwrap();
    let head = world.head(ACME).await;
    for (license_id, unmatched_id, person_id, code) in [
        (ACME, id.as_str(), "nobody", "person_not_found"),
        (ACME, &id, "\0", "person_not_found"),
        (ACME, &id, "full", "too_many"),
        (ACME, "\0", "ann", "unmatched_not_found"),
        (ACME, &Uuid::now_v7().to_string(), "ann", "unmatched_not_found"),
        ("birch", &id, "ann", "unmatched_not_found"),
        ("", &id, "ann", "invalid_id"),
    ] {
        assert_eq!(refusal(world.tie(license_id, unmatched_id, person_id).await).0, code);
    }
    assert_eq!((world.kept().await.len(), world.head(ACME).await), (1, head));
    world.finish().await;
}

#[tokio::test]
async fn nothing_is_kept_of_a_blocked_number_while_it_is_tied_to_nobody() {
    let world = World::with_ann().await;
    world.assign("birch", "+16462000200", 1).await;
    world.hear_from(BOB, "spam").await;
    world.hear_from(CY, "hello").await;
    world.hear_from(BOB, "more spam").await;
    let id = world.kept().await.remove(0).unmatched_id;
    let head = world.head(ACME).await;

    let block = world.block(by_message(&id)).await.unwrap();
    assert_eq!((block.number.as_str(), &block.blocked_by), (BOB, &Some(manager("m-1", "Mia"))));
    assert_eq!(block.blocked_at, Some(to_timestamp(world.clock.now())));
    assert_eq!(texts(&world.kept().await), ["hello"], "what is kept of it goes");
    let shown = world.feed_after(ACME, head).await;
    assert_eq!((kinds(&shown), told(&shown[0])), (vec!["unmatched.updated"], 1));
    // Again: by the same message, which is gone, and by the number.
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.block(by_message(&id)).await.unwrap(), block);
    assert_eq!(world.block(by_number("(415) 200-0002")).await.unwrap(), block);

    world.apply(&[world.text(BOB, OFFICE, "spam again"), world.text(CY, OFFICE, "still there")]).await;
    assert_eq!(texts(&world.kept().await), ["still there", "hello"]);
    world.hear_from(BOB, "and again").await;
    assert_eq!(kinds(&world.feed_after(ACME, head).await), ["unmatched.updated"; 2], "of it nothing is told");
    // It is this license that does not want it.
    world.apply(&[world.text(BOB, "+16462000200", "to Birch")]).await;
    assert_eq!(texts(&world.list_unmatched("birch", 200, "").await.unwrap().messages), ["to Birch"]);

    world.unblock("birch", &block.blocked_id).await;
    assert_eq!(world.list_blocked(200, "").await.unwrap().numbers, std::slice::from_ref(&block));
    for id in [&block.blocked_id, &block.blocked_id, "\0"] {
        world.unblock(ACME, id).await;
    }
    assert_eq!(world.list_blocked(200, "").await.unwrap().numbers, []);
    world.hear_from(BOB, "heard again").await;
    assert_eq!(texts(&world.kept().await)[0], "heard again");
    world.finish().await;
}

#[tokio::test]
async fn a_stop_from_a_blocked_number_counts() {
    let world = World::with_ann().await;
    world.block(by_number(BOB)).await.unwrap();
    world.hear_from(BOB, "STOP").await;
    assert_eq!(world.count("unmatched_messages").await, 0);
    world.put_person(ACME, "bob", &[BOB]).await.unwrap();
    let refused = world.send(send(vec![person("bob")], "hello")).await.unwrap();
    assert_eq!(codes(&refused.rejected), ["recipient_opted_out"]);
    world.finish().await;
}

#[tokio::test]
async fn what_a_person_writes_always_comes_in_because_a_tie_lifts_the_block() {
    let world = World::with_ann().await;
    assert_eq!(refusal(world.block(by_number(ANN)).await).0, "number_is_tied");
    world.block(by_number(BOB)).await.unwrap();
    world.clock.advance(Duration::from_secs(1));
    world.block(by_number(CY)).await.unwrap();
    world.clock.advance(Duration::from_secs(1));
    world.block(by_number(DEE)).await.unwrap();
    world.put_person("birch", "bob", &[BOB]).await.unwrap();
    let page = world.list_blocked(2, "").await.unwrap();
    let rest = world.list_blocked(2, &page.next_cursor).await.unwrap();
    let numbers: Vec<_> = page.numbers.iter().chain(&rest.numbers).map(|each| each.number.as_str()).collect();
    assert_eq!((numbers, rest.next_cursor.as_str()), (vec![DEE, CY, BOB], ""));

    world.put_person(ACME, "bob", &[DEE, BOB]).await.unwrap();
    world.hear_from(BOB, "hello").await;
    assert_eq!(world.list_conversations(ACME).await.len(), 1);
    let left = world.list_blocked(200, "").await.unwrap().numbers;
    assert_eq!(left.iter().map(|each| each.number.as_str()).collect::<Vec<_>>(), [CY]);
    world.put_person(ACME, "bob", &[]).await.unwrap();
    world.hear_from(BOB, "nobody's again, and not blocked").await;
    assert_eq!(world.kept().await.len(), 1);

    for (which, code) in [
        (None, "missing_field"),
        (Some(by_number("911")), "phone_wrong_length"),
        (Some(by_message("\0")), "unmatched_not_found"),
        (Some(by_message(&Uuid::now_v7().to_string())), "unmatched_not_found"),
    ] {
        assert_eq!(refusal(world.block(which).await).0, code);
    }
    for (limit, cursor, code) in [(0, "", "out_of_range"), (201, "", "out_of_range"), (1, "x", "invalid_cursor")] {
        assert_eq!(refusal(world.list_blocked(limit, cursor).await).0, code);
    }
    world.finish().await;
}
