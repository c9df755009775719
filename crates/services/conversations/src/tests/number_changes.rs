//! Rules 9 and 10, case by case: what becomes of conversations when numbers change hands, where they lead, where an
//! inbound message lands, and what clients see. And the same while everything happens at once.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::store::{licenses, links};

const CY: &str = "+14152000003";
const DEE: &str = "+14152000004";
const NO_LONGER_TIED: &str = "number_no_longer_tied";

/// What a conversation says of itself: why it is read-only, where it leads, and what leads to it.
#[derive(Debug, PartialEq, Eq)]
struct State<'a> {
    reason: Option<&'a str>,
    newer: Option<&'a str>,
    older: Vec<&'a str>,
}

const WRITABLE: State<'static> = State { reason: None, newer: None, older: Vec::new() };
const READ_ONLY: State<'static> = State { reason: Some(NO_LONGER_TIED), newer: None, older: Vec::new() };

fn leads_to(newer: &str) -> State<'_> {
    State { newer: Some(newer), ..READ_ONLY }
}

fn came_from<'a>(older: &[&'a str]) -> State<'a> {
    State { older: older.to_vec(), ..WRITABLE }
}

impl World {
    async fn assert_leads(&self, id: &str, expected: State<'_>) {
        let shown = self.get_conversation(ACME, id).await.unwrap();
        assert_eq!(shown.sendable, shown.reason.is_none());
        let state = State {
            reason: shown.reason.as_deref(),
            newer: shown.newer_conversation_id.as_deref(),
            older: shown.older_conversation_ids.iter().map(String::as_str).collect(),
        };
        assert_eq!(state, expected);
        // A send into it is answered accordingly.
        let sent = self.send(send(vec![conversation(id)], "into this one")).await.unwrap();
        assert_eq!(codes(&sent.rejected), expected.reason.into_iter().collect::<Vec<_>>());
        assert!(sent.messages.iter().all(|message| message.conversation_id == id && message.to == shown.number));
    }

    async fn names(&self, id: &str) -> Vec<String> {
        let people = self.get_conversation(ACME, id).await.unwrap().people;
        people.into_iter().map(|each| each.person_id).collect()
    }

    /// Somebody texts the office: the conversation in which it shows.
    async fn land(&self, from: &str) -> Option<String> {
        self.clock.advance(Duration::from_secs(1));
        let body = format!("from {from}");
        let head = self.head(ACME).await;
        self.apply(&[self.text(from, OFFICE, &body)]).await;
        let shown = self.feed_after(ACME, head).await;
        let created = shown.iter().filter_map(|entry| match &entry.content {
            Some(Content::MessageCreated(message)) => Some(message.conversation_id.clone()),
            _ => None,
        });
        let created: Vec<String> = created.collect();
        match created.as_slice() {
            [] => assert_eq!(kinds(&shown), ["unmatched.updated"]),
            [home] => assert_eq!(self.list_messages(ACME, home).await.unwrap()[0].body, body),
            _ => panic!("{shown:?}"),
        }
        created.into_iter().next()
    }

    /// The conversations that the feed shows as updated after a position, and the kinds of the other entries.
    async fn shown_after(&self, head: u64) -> (BTreeSet<String>, Vec<&'static str>) {
        let (mut updated, mut others) = (BTreeSet::new(), Vec::new());
        for entry in self.feed_after(ACME, head).await {
            match &entry.content {
                Some(Content::ConversationUpdated(shown)) => {
                    assert!(updated.insert(shown.conversation_id.clone()), "each once");
                    // What a client is shown is what it would get.
                    let now = self.get_conversation(ACME, &shown.conversation_id).await.unwrap();
                    assert_eq!(shown, &now);
                }
                _ => others.extend(kinds(&[entry])),
            }
        }
        (updated, others)
    }

    async fn delete_person(&self, person_id: &str) {
        let request = wire::DeletePersonRequest { license_id: ACME.to_owned(), person_id: person_id.to_owned() };
        answer(self.people.clone().delete_person(request).await).unwrap();
    }

    /// Another replica of the service, on the same database and streams.
    async fn start_replica(&self) {
        let nats = bus::NatsSettings { namespace: self.namespace.clone(), ..testkit::nats() };
        let settings = settings(&self.database, &nats, &self.objects, NO_CARRIER);
        let listeners = Listeners { grpc: testkit::listener().await, admin: testkit::listener().await };
        crate::run(settings, listeners, self.clock.clone(), self.lifecycle.clone()).await.unwrap();
        let consumer = consumer_of::<ingest::MessageReceived>();
        let stream = self.stream(consumer.stream).await;
        testkit::eventually("two replicas that ask for texts", async || {
            let info = stream.consumer_info(consumer.name).await.unwrap();
            if info.num_waiting >= 2 { Ok(()) } else { Err(info) }
        })
        .await;
    }
}

fn ids(ids: &[&String]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).clone()).collect()
}

#[tokio::test]
async fn changed_the_old_conversation_is_read_only_and_leads_to_the_one_that_the_new_number_opens() {
    let world = World::with_ann().await;
    let old = world.land(ANN).await.unwrap();
    let head = world.head(ACME).await;
    world.put_person(ACME, "ann", &[BOB]).await.unwrap();
    assert_eq!(world.shown_after(head).await, (ids(&[&old]), vec!["person.updated"]));
    world.assert_leads(&old, READ_ONLY).await;
    assert_eq!(world.land(ANN).await, None, "it is nobody's number now");

    let head = world.head(ACME).await;
    let new = world.land(BOB).await.unwrap();
    assert_eq!(world.shown_after(head).await, (ids(&[&old, &new]), vec!["message.created"]));
    world.assert_leads(&old, leads_to(&new)).await;
    world.assert_leads(&new, came_from(&[&old])).await;
    assert_eq!(world.send_one(person("ann"), "to Ann").await.conversation_id, new);

    // Once more, and this time it is the manager's message that opens it: all that is old leads to the newest.
    world.put_person(ACME, "ann", &[CY]).await.unwrap();
    world.assert_leads(&new, State { older: vec![&old], ..READ_ONLY }).await;
    let head = world.head(ACME).await;
    let newest = world.send_one(person("ann"), "to Ann").await.conversation_id;
    assert_eq!(world.shown_after(head).await, (ids(&[&old, &new, &newest]), vec!["message.created"]));
    world.assert_leads(&old, leads_to(&newest)).await;
    world.assert_leads(&new, leads_to(&newest)).await;
    world.assert_leads(&newest, came_from(&[&new, &old])).await;
    world.finish().await;
}

#[tokio::test]
async fn changed_and_first_heard_of_by_a_message_that_is_tied_by_hand_leads_on_as_well() {
    let world = World::with_ann().await;
    let old = world.land(ANN).await.unwrap();
    world.put_person(ACME, "ann", &[]).await.unwrap();
    assert_eq!(world.land(BOB).await, None);
    let head = world.head(ACME).await;
    let tied = world.tie(ACME, &world.kept().await[0].unmatched_id, "ann").await.unwrap();
    let new = tied.conversation.unwrap().conversation_id;
    let others = vec!["person.updated", "message.created", "unmatched.updated"];
    assert_eq!(world.shown_after(head).await, (ids(&[&old, &new]), others));
    world.assert_leads(&old, leads_to(&new)).await;
    world.assert_leads(&new, came_from(&[&old])).await;
    world.finish().await;
}

#[tokio::test]
async fn changed_back_the_old_conversation_is_writable_again_and_the_one_in_between_leads_to_it() {
    let world = World::with_ann().await;
    let first = world.land(ANN).await.unwrap();
    world.put_person(ACME, "ann", &[BOB]).await.unwrap();
    let second = world.land(BOB).await.unwrap();
    world.assert_leads(&first, leads_to(&second)).await;

    let head = world.head(ACME).await;
    world.put_person(ACME, "ann", &[ANN]).await.unwrap();
    assert_eq!(world.shown_after(head).await, (ids(&[&first, &second]), vec!["person.updated"]));
    world.assert_leads(&first, came_from(&[&second])).await;
    world.assert_leads(&second, leads_to(&first)).await;
    assert_eq!(world.land(ANN).await.as_ref(), Some(&first));
    assert_eq!(world.land(BOB).await, None);

    // In two steps it comes to the same.
    world.put_person(ACME, "ann", &[]).await.unwrap();
    world.assert_leads(&first, State { older: vec![&second], ..READ_ONLY }).await;
    let head = world.head(ACME).await;
    world.put_person(ACME, "ann", &[BOB]).await.unwrap();
    assert_eq!(world.shown_after(head).await, (ids(&[&first, &second]), vec!["person.updated"]));
    world.assert_leads(&second, came_from(&[&first])).await;
    world.assert_leads(&first, leads_to(&second)).await;

    // With both numbers both are writable, and none leads anywhere.
    world.put_person(ACME, "ann", &[BOB, ANN]).await.unwrap();
    world.assert_leads(&first, WRITABLE).await;
    world.assert_leads(&second, WRITABLE).await;
    world.finish().await;
}

#[tokio::test]
async fn a_person_who_is_reached_in_several_places_is_led_to_the_preferred_number() {
    let world = World::start().await;
    world.assign(ACME, OFFICE, 1).await;
    world.put_person(ACME, "ann", &[ANN, BOB, CY]).await.unwrap();
    let of_ann = world.land(ANN).await.unwrap();
    let of_cy = world.land(CY).await.unwrap();
    let of_bob = world.land(BOB).await.unwrap();
    world.put_person(ACME, "ann", &[CY, BOB]).await.unwrap();
    world.assert_leads(&of_ann, leads_to(&of_cy)).await;
    world.assert_leads(&of_cy, came_from(&[&of_ann])).await;
    world.assert_leads(&of_bob, WRITABLE).await;
    // It stays as long as it leads to her, and then goes on.
    world.put_person(ACME, "ann", &[BOB, CY]).await.unwrap();
    world.assert_leads(&of_ann, leads_to(&of_cy)).await;
    let head = world.head(ACME).await;
    world.put_person(ACME, "ann", &[BOB]).await.unwrap();
    assert_eq!(world.shown_after(head).await, (ids(&[&of_ann, &of_bob, &of_cy]), vec!["person.updated"]));
    world.assert_leads(&of_ann, leads_to(&of_bob)).await;
    world.assert_leads(&of_cy, leads_to(&of_bob)).await;
    // What opens is the newest, wherever it stands among her numbers.
    world.put_person(ACME, "ann", &[BOB, DEE]).await.unwrap();
    let of_dee = world.land(DEE).await.unwrap();
    world.assert_leads(&of_ann, leads_to(&of_dee)).await;
    world.assert_leads(&of_dee, came_from(&[&of_cy, &of_ann])).await;
    world.assert_leads(&of_bob, WRITABLE).await;
    world.finish().await;
}

#[tokio::test]
async fn given_to_a_new_person_the_old_conversation_leads_to_where_the_same_people_are_reached_and_never_to_the_strangers()
 {
    let world = World::with_ann().await;
    let anns = world.land(ANN).await.unwrap();
    world.put_people(&[("ann", &[]), ("bob", &[ANN])]).await;
    world.assert_leads(&anns, READ_ONLY).await;
    let head = world.head(ACME).await;
    let bobs = world.land(ANN).await.unwrap();
    assert_eq!(world.shown_after(head).await, (ids(&[&anns, &bobs]), vec!["message.created"]), "it is replaced");
    assert_eq!((world.names(&bobs).await, world.names(&anns).await), (vec!["bob".to_owned()], vec!["ann".to_owned()]));
    world.assert_leads(&anns, READ_ONLY).await;
    world.assert_leads(&bobs, WRITABLE).await;

    world.put_person(ACME, "ann", &[BOB]).await.unwrap();
    let head = world.head(ACME).await;
    let new = world.land(BOB).await.unwrap();
    assert_eq!(world.shown_after(head).await, (ids(&[&anns, &new]), vec!["message.created"]));
    world.assert_leads(&anns, leads_to(&new)).await;
    world.assert_leads(&new, came_from(&[&anns])).await;
    world.assert_leads(&bobs, WRITABLE).await;
    // Ann gets her number back, together with Bob: her old conversation stays closed.
    world.put_person(ACME, "ann", &[BOB, ANN]).await.unwrap();
    world.assert_leads(&anns, leads_to(&new)).await;
    assert_eq!(world.land(ANN).await.as_ref(), Some(&bobs));
    assert!(!bodies(&world.list_messages(ACME, &bobs).await.unwrap()).contains(&"for Ann only"));
    world.finish().await;
}

#[tokio::test]
async fn shared_by_two_people_there_is_one_conversation_that_names_both_and_a_batch_sends_one_message() {
    let world = World::with_ann().await;
    world.put_person(ACME, "bob", &[ANN]).await.unwrap();
    let head = world.head(ACME).await;
    let home = world.land(ANN).await.unwrap();
    assert_eq!(world.shown_after(head).await, (ids(&[&home]), vec!["message.created"]));
    assert_eq!(world.names(&home).await, ["ann", "bob"]);
    let sent = world.send(send(vec![person("ann"), person("bob"), conversation(&home)], "to you two")).await.unwrap();
    assert_eq!((sent.messages.len(), codes(&sent.rejected)), (1, vec!["duplicate_recipient"; 2]));
    world.assert_leads(&home, WRITABLE).await;

    // A third one joins with the next message, and what she had before leads here.
    world.put_person(ACME, "cy", &[CY]).await.unwrap();
    let of_cy = world.land(CY).await.unwrap();
    world.put_person(ACME, "cy", &[ANN]).await.unwrap();
    world.assert_leads(&of_cy, READ_ONLY).await;
    let head = world.head(ACME).await;
    assert_eq!(world.land(ANN).await.as_ref(), Some(&home));
    assert_eq!(world.shown_after(head).await, (ids(&[&home, &of_cy]), vec!["message.created"]));
    assert_eq!(world.names(&home).await, ["ann", "bob", "cy"]);
    world.assert_leads(&of_cy, leads_to(&home)).await;
    world.assert_leads(&home, came_from(&[&of_cy])).await;
    world.finish().await;
}

#[tokio::test]
async fn one_of_the_two_leaves_and_the_conversation_goes_on_with_the_other() {
    let world = World::with_ann().await;
    world.put_person(ACME, "bob", &[ANN]).await.unwrap();
    let shared = world.land(ANN).await.unwrap();
    world.put_person(ACME, "bob", &[BOB]).await.unwrap();
    world.assert_leads(&shared, WRITABLE).await;
    let bobs = world.land(BOB).await.unwrap();
    assert_eq!(world.names(&bobs).await, ["bob"]);
    assert_eq!(world.land(ANN).await.as_ref(), Some(&shared));
    world.assert_leads(&shared, WRITABLE).await;
    world.assert_leads(&bobs, WRITABLE).await;

    // The other one leaves too: now it leads to where one of them is reached.
    let head = world.head(ACME).await;
    world.put_person(ACME, "ann", &[]).await.unwrap();
    assert_eq!(world.shown_after(head).await, (ids(&[&shared, &bobs]), vec!["person.updated"]));
    world.assert_leads(&shared, leads_to(&bobs)).await;
    world.assert_leads(&bobs, came_from(&[&shared])).await;
    assert_eq!(world.land(ANN).await, None);
    world.put_person(ACME, "ann", &[ANN]).await.unwrap();
    world.assert_leads(&shared, WRITABLE).await;
    world.assert_leads(&bobs, WRITABLE).await;
    world.finish().await;
}

#[tokio::test]
async fn person_deleted_the_conversation_is_read_only_leads_nowhere_and_waits_for_the_same_person() {
    let world = World::with_ann().await;
    let home = world.land(ANN).await.unwrap();
    let head = world.head(ACME).await;
    world.delete_person("ann").await;
    assert_eq!(world.shown_after(head).await, (ids(&[&home]), vec!["gone"]));
    world.assert_leads(&home, READ_ONLY).await;
    let refused = world.send(send(vec![person("ann")], "hello")).await.unwrap();
    assert_eq!(codes(&refused.rejected), ["person_not_found"]);
    assert_eq!(world.land(ANN).await, None);
    assert_eq!(world.names(&home).await, ["ann"]);

    let head = world.head(ACME).await;
    world.put_person(ACME, "ann", &[ANN]).await.unwrap();
    assert_eq!(world.shown_after(head).await, (ids(&[&home]), vec!["person.updated"]));
    world.assert_leads(&home, WRITABLE).await;
    assert_eq!(world.land(ANN).await.as_ref(), Some(&home));
    world.finish().await;
}

#[tokio::test]
async fn two_people_swap_numbers_in_one_import_and_each_is_led_to_her_own_new_conversation() {
    let world = World::with_ann().await;
    world.put_person(ACME, "bob", &[BOB]).await.unwrap();
    let (anns, bobs) = (world.land(ANN).await.unwrap(), world.land(BOB).await.unwrap());
    let head = world.head(ACME).await;
    world.put_people(&[("ann", &[BOB]), ("bob", &[ANN])]).await;
    assert_eq!(world.shown_after(head).await, (ids(&[&anns, &bobs]), vec!["person.updated"; 2]));
    world.assert_leads(&anns, READ_ONLY).await;
    world.assert_leads(&bobs, READ_ONLY).await;

    let head = world.head(ACME).await;
    let bobs_new = world.land(ANN).await.unwrap();
    assert_eq!(world.shown_after(head).await, (ids(&[&anns, &bobs, &bobs_new]), vec!["message.created"]));
    assert_eq!(world.names(&bobs_new).await, ["bob"]);
    world.assert_leads(&bobs, leads_to(&bobs_new)).await;
    world.assert_leads(&anns, READ_ONLY).await;
    let anns_new = world.send_one(person("ann"), "to Ann").await;
    assert_eq!(anns_new.to, BOB);
    let anns_new = anns_new.conversation_id;
    world.assert_leads(&anns, leads_to(&anns_new)).await;
    world.assert_leads(&anns_new, came_from(&[&anns])).await;
    world.assert_leads(&bobs_new, came_from(&[&bobs])).await;
    assert_eq!(bodies(&world.list_messages(ACME, &anns).await.unwrap()), [format!("from {ANN}")]);

    // Back again: what was replaced stays closed, so each is led nowhere until the number opens anew.
    world.put_people(&[("ann", &[ANN]), ("bob", &[BOB])]).await;
    for closed in [&anns, &bobs] {
        assert_eq!(world.get_conversation(ACME, closed).await.unwrap().reason.as_deref(), Some(NO_LONGER_TIED));
    }
    let anns_newest = world.land(ANN).await.unwrap();
    assert!(![&anns, &bobs, &anns_new, &bobs_new].contains(&&anns_newest));
    world.assert_leads(&anns, leads_to(&anns_newest)).await;
    world.assert_leads(&anns_new, leads_to(&anns_newest)).await;
    world.assert_leads(&anns_newest, came_from(&[&anns_new, &anns])).await;
    world.finish().await;
}

#[tokio::test]
async fn a_conversation_names_the_newest_twenty_that_lead_to_it_and_one_that_is_erased_is_named_no_more() {
    let world = World::with_ann().await;
    let home = world.land(ANN).await.unwrap();
    let many: Vec<Uuid> = (0..21).map(|_| Uuid::now_v7()).collect();
    sqlx::query("insert into conversation_links select 'acme', older, $2, now() from unnest($1) as older")
        .bind(&many)
        .bind(Uuid::try_parse(&home).unwrap())
        .execute(world.pool())
        .await
        .unwrap();
    let newest = |many: &[Uuid]| many.iter().rev().take(20).map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(world.get_conversation(ACME, &home).await.unwrap().older_conversation_ids, newest(&many));

    let acme = domain::LicenseId::parse(ACME).unwrap();
    let erase = async |id: Uuid| {
        let mut tx = world.pool().begin().await.unwrap();
        licenses::lock(&mut tx, [acme.clone()]).await.unwrap();
        links::erase_conversation(&mut tx, &acme, domain::Id::from_uuid(id)).await.unwrap();
        tx.commit().await.unwrap();
    };
    erase(many[20]).await;
    assert_eq!(world.get_conversation(ACME, &home).await.unwrap().older_conversation_ids, newest(&many[..20]));
    erase(Uuid::try_parse(&home).unwrap()).await;
    assert_eq!(world.count("conversation_links").await, 0);
    world.finish().await;
}

/// Whose the number is, round by round: somebody's, nobody's, somebody else's.
const OWNERS: [Option<&str>; 4] = [Some("ann"), None, Some("bob"), None];

/// While the number passes from hand to hand, it texts. Every message is in one place, and that is nobody's but those who
/// had the number when it was written.
async fn pass_from_hand_to_hand(world: &World, rounds: usize, texts: usize) {
    let owner = |round: usize| OWNERS[round % OWNERS.len()];
    world.put_people(&[("ann", &[ANN]), ("bob", &[])]).await;
    for round in 1..=rounds {
        let events: Vec<_> = (0..texts).map(|n| world.text(ANN, OFFICE, &format!("{round}.{n}"))).collect();
        let phones = |id: &str| if owner(round) == Some(id) { vec![ANN] } else { vec![] };
        let (anns, bobs) = (phones("ann"), phones("bob"));
        let change = [("ann", anns.as_slice()), ("bob", bobs.as_slice())];
        tokio::join!(world.apply(&events), world.put_people(&change));
    }

    let rows: Vec<(String, Option<String>, Vec<String>)> = sqlx::query_as(
        "select m.body, m.conversation_id::text, array_agg(p.person_id) from messages m
         join conversation_people p using (license_id, conversation_id) group by m.message_id, m.body, m.conversation_id
         union all select body, null, '{}' from unmatched_messages",
    )
    .fetch_all(world.pool())
    .await
    .unwrap();
    let mut found: BTreeMap<&str, u32> = BTreeMap::new();
    for (body, _, people) in &rows {
        *found.entry(body).or_default() += 1;
        let round: usize = body.split('.').next().unwrap().parse().unwrap();
        let owners = [owner(round - 1), owner(round)];
        match people.as_slice() {
            [] => assert!(owners.contains(&None), "{body} was somebody's"),
            [one] => assert!(owners.contains(&Some(one.as_str())), "{body} is shown to {one}, a stranger"),
            _ => panic!("{people:?} never had the number together"),
        }
    }
    assert!(found.values().all(|times| *times == 1), "{found:?}");
    assert_eq!(found.len(), rounds * texts);
    let entries = world.feed_after(ACME, 0).await;
    assert_eq!(seqs(&entries), (1..=world.head(ACME).await).collect::<Vec<_>>());
    let created = kinds(&entries).into_iter().filter(|kind| *kind == "message.created").count();
    assert_eq!(created, rows.iter().filter(|(_, conversation, _)| conversation.is_some()).count());
}

#[tokio::test]
async fn an_inbound_message_while_the_persons_number_changes_is_in_exactly_one_place_and_no_stranger_reads_it() {
    let world = World::with_ann().await;
    pass_from_hand_to_hand(&world, 40, 3).await;
    world.finish().await;
}

#[tokio::test]
async fn two_replicas_that_consume_while_numbers_change_put_every_message_in_exactly_one_place() {
    let world = World::with_ann().await;
    world.start_replica().await;
    pass_from_hand_to_hand(&world, 40, 3).await;
    world.finish().await;
}

#[tokio::test]
async fn an_inbound_message_that_meets_a_change_of_its_number_is_the_old_owners_before_it_and_the_new_owners_after_it()
{
    for text_first in [true, false] {
        let world = World::with_ann().await;
        let anns = world.land(ANN).await.unwrap();
        // Both are on their way and wait for the license, one behind the other.
        let mut license = world.pool().begin().await.unwrap();
        licenses::lock(&mut license, [domain::LicenseId::parse(ACME).unwrap()]).await.unwrap();
        let turn = async |turn: i64| testkit::until_locked_out(world.pool(), turn).await;
        let text = [world.text(ANN, OFFICE, "who is it?")];
        let (first, second) = if text_first { (0, 1) } else { (1, 0) };
        let texting = async {
            turn(first).await;
            world.apply(&text).await;
        };
        let changing = async {
            turn(second).await;
            world.put_people(&[("ann", &[]), ("bob", &[ANN])]).await;
        };
        let letting_go = async {
            turn(2).await;
            license.commit().await.unwrap();
        };
        tokio::join!(texting, changing, letting_go);

        let conversations = world.list_conversations(ACME).await;
        let home = conversations.iter().find(|each| each.last_message.as_ref().unwrap().body == "who is it?").unwrap();
        let owner = if text_first { "ann" } else { "bob" };
        assert_eq!(world.names(&home.conversation_id).await, [owner]);
        assert_eq!(home.conversation_id == anns, text_first);
        assert_eq!(home.sendable, !text_first);
        world.finish().await;
    }
}
