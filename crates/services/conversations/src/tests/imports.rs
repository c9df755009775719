//! Many people in one call: rules 9 and 10 while numbers change hands.

use super::*;

impl World {
    pub(super) async fn put_people(&self, people: &[(&str, &[&str])]) -> Vec<wire::PutPersonResult> {
        let people = people.iter().map(|(id, phones)| wire::Person {
            person_id: (*id).to_owned(),
            kind: "tenant".to_owned(),
            name: (*id).to_owned(),
            phones: phones.iter().map(ToString::to_string).collect(),
        });
        let request = wire::PutPeopleRequest { license_id: ACME.to_owned(), people: people.collect() };
        answer(self.people.clone().put_people(request).await).unwrap().results
    }
}

fn results(results: &[wire::PutPersonResult]) -> Vec<&str> {
    results.iter().map(|each| each.result.as_str()).collect()
}

#[tokio::test]
async fn a_person_that_is_refused_stops_nobody_else_and_a_repeated_import_changes_nothing() {
    let world = World::start().await;
    let people: &[(&str, &[&str])] = &[("ann", &[ANN]), ("no id", &[]), ("bob", &["911"]), ("cy", &[])];
    let first = world.put_people(people).await;
    assert_eq!(results(&first), ["created", "refused", "refused", "created"]);
    let reasons: Vec<_> =
        first.iter().filter_map(|each| Some((each.code.as_deref()?, each.field.as_deref()?))).collect();
    assert_eq!(reasons, [("invalid_id", "person_id"), ("phone_wrong_length", "phones[0]")]);
    assert_eq!(kinds(&world.feed_after(ACME, 0).await), ["person.updated", "person.updated"]);
    let head = world.head(ACME).await;
    assert_eq!(results(&world.put_people(people).await), ["unchanged", "refused", "refused", "unchanged"]);
    assert_eq!(world.head(ACME).await, head, "nothing new is nothing to show");
    assert_eq!(results(&world.put_people(&[("ann", &[BOB, ANN])]).await), ["updated"]);
    world.finish().await;
}

#[tokio::test]
async fn two_people_who_swap_numbers_in_one_import_read_nothing_of_each_other() {
    let world = World::with_ann().await;
    world.put_person(ACME, "bob", &[BOB]).await.unwrap();
    let of_ann = world.send_one(person("ann"), "for ann").await.conversation_id;
    let of_bob = world.send_one(person("bob"), "for bob").await.conversation_id;

    assert_eq!(results(&world.put_people(&[("ann", &[BOB]), ("bob", &[ANN])]).await), ["updated", "updated"]);
    for old in [&of_ann, &of_bob] {
        let closed = world.get_conversation(ACME, old).await.unwrap();
        assert_eq!((closed.sendable, closed.reason.as_deref()), (false, Some("number_no_longer_tied")));
    }
    let now = world.send_one(person("ann"), "for ann at her new number").await;
    assert_eq!(now.to, BOB);
    assert!(now.conversation_id != of_ann && now.conversation_id != of_bob);
    assert_eq!(bodies(&world.list_messages(ACME, &of_bob).await.unwrap()), ["for bob"]);

    // Swapped back: the old conversations are writable again, unless somebody else's took over in between.
    assert_eq!(results(&world.put_people(&[("ann", &[ANN]), ("bob", &[BOB])]).await), ["updated", "updated"]);
    assert!(world.get_conversation(ACME, &of_ann).await.unwrap().sendable);
    assert!(!world.get_conversation(ACME, &of_bob).await.unwrap().sendable, "ann had a conversation at that number");
    world.finish().await;
}

#[tokio::test]
async fn an_import_that_moves_a_number_shows_each_conversation_that_turns_once() {
    let world = World::with_ann().await;
    let home = world.send_one(person("ann"), "hello").await.conversation_id;
    let head = world.head(ACME).await;
    world.put_people(&[("ann", &[]), ("bob", &[ANN])]).await;
    let entries = world.feed_after(ACME, head).await;
    assert_eq!(kinds(&entries), ["person.updated", "person.updated", "conversation.updated"]);
    assert!(!world.get_conversation(ACME, &home).await.unwrap().sendable);
    world.finish().await;
}

#[tokio::test]
async fn an_import_has_one_to_a_thousand_people() {
    let world = World::start().await;
    let many = vec![wire::Person::default(); 1_001];
    for people in [Vec::new(), many] {
        let request = wire::PutPeopleRequest { license_id: ACME.to_owned(), people };
        let refused = refusal(answer(world.people.clone().put_people(request).await));
        assert_eq!(refused, ("out_of_range".to_owned(), Some("people".to_owned())));
    }
    world.finish().await;
}
