//! Texts with merge fields: each recipient reads his own.

use super::batches::everybody;
use super::*;

impl World {
    async fn put_named(&self, id: &str, name: &str, phones: &[&str]) {
        let person = wire::Person {
            person_id: id.to_owned(),
            kind: "tenant".to_owned(),
            name: name.to_owned(),
            phones: phones.iter().map(ToString::to_string).collect(),
        };
        let request = wire::PutPersonRequest { license_id: ACME.to_owned(), person: Some(person) };
        answer(self.people.clone().put_person(request).await).unwrap();
    }

    pub(super) async fn name_company(&self, name: &str, version: u64) {
        self.apply(&[numbers::CompanyChanged {
            license_id: ACME.to_owned(),
            company_name: name.to_owned(),
            changed_at: Some(to_timestamp(self.clock.now())),
            version,
            ..Default::default()
        }])
        .await;
    }
}

#[tokio::test]
async fn an_unknown_merge_field_is_refused_before_anything_is_sent() {
    let world = World::with_three().await;
    let head = world.head(ACME).await;
    for body in ["Hi {{person.nmae}}", "{{person.name}} {{rent}}", "Hi {{person.name}", "Hi {{}}"] {
        let fault = world.send(send(everybody(), body)).await.unwrap_err();
        assert_eq!((fault.code.as_ref(), fault.field.as_deref()), ("unknown_merge_field", Some("body")), "{body}");
        assert!(fault.detail.contains("{{person.first_name}}"), "{}", fault.detail);
    }
    let fault = world.send(send(everybody(), "Hi {{person.nmae}}")).await.unwrap_err();
    assert!(fault.detail.contains("{{person.nmae}}"), "it says which: {}", fault.detail);
    assert_eq!((world.count("messages").await, world.count("batches").await), (0, 0));
    assert_eq!(world.head(ACME).await, head);
    assert_eq!(world.list_queued().await, []);
    world.finish().await;
}

#[tokio::test]
async fn each_recipient_reads_a_text_with_the_names_of_the_people_it_goes_to() {
    let world = World::with_ann().await;
    world.put_named("ann", "Ann Torres", &[ANN]).await;
    world.put_named("bob", "Bob Ray", &[BOB]).await;
    world.clock.advance(Duration::from_secs(1));
    world.put_named("zoe", "Zoe Ray", &[BOB]).await;
    let shared = world.send_one(person("bob"), "hello").await.conversation_id;
    world.name_company("Acme Homes", 1).await;
    let body = "Dear {{person.name}}, or {{ person.first_name }}: {{company.name}}";

    // Two people share a number: one message, for the first who is named. Their conversation is both of theirs.
    let sent = world.send(send(vec![person("ann"), person("zoe"), person("bob")], body)).await.unwrap();
    let filled = ["Dear Ann Torres, or Ann: Acme Homes", "Dear Zoe Ray, or Zoe: Acme Homes"];
    assert_eq!((bodies(&sent.messages), codes(&sent.rejected)), (filled.to_vec(), vec!["duplicate_recipient"]));
    let sent = world.send(send(vec![conversation(&shared)], body)).await.unwrap();
    assert_eq!(bodies(&sent.messages), ["Dear Bob Ray and Zoe Ray, or Bob and Zoe: Acme Homes"]);
    let queued: Vec<String> = world.list_queued().await.into_iter().map(|each| each.body).collect();
    assert_eq!(queued[1..], [filled[0], filled[1], "Dear Bob Ray and Zoe Ray, or Bob and Zoe: Acme Homes"]);

    // Who has left the number is not addressed at it.
    world.put_named("bob", "Bob Ray", &[]).await;
    let sent = world.send(send(vec![conversation(&shared)], "Hi {{person.first_name}}")).await.unwrap();
    assert_eq!(bodies(&sent.messages), ["Hi Zoe"]);
    world.finish().await;
}

#[tokio::test]
async fn a_text_that_names_the_company_waits_until_its_name_is_known() {
    let world = World::with_three().await;
    let request = keyed("k-1", &send(everybody(), "Yours, {{company.name}}"));
    let fault = world.send(request.clone()).await.unwrap_err();
    assert_eq!((fault.kind, fault.code.as_ref()), (chassis::FaultKind::Conflict, "company_name_unknown"));
    assert_eq!(refusal(world.preview(request.clone()).await).0, "company_name_unknown");
    assert_eq!((world.count("messages").await, world.count("idempotency").await), (0, 0));
    world.send(send(everybody(), "Hello {{person.name}}")).await.unwrap();
    world.name_company("Acme Homes", 1).await;
    assert_eq!(bodies(&world.send(request).await.unwrap().messages), ["Yours, Acme Homes"; 3]);
    world.finish().await;
}

#[tokio::test]
async fn who_would_get_a_text_that_is_too_long_is_rejected_and_the_others_get_theirs() {
    let world = World::with_three().await;
    world.put_named("bob", &"Bob".repeat(20), &[BOB]).await;
    let body = format!("{{{{person.name}}}}{}", "x".repeat(1_570));
    let sent = world.send(send(everybody(), &body)).await.unwrap();
    assert_eq!(codes(&sent.rejected), ["body_too_long"]);
    assert_eq!(sent.rejected[0].recipient, Some(person("bob")));
    let to: Vec<_> = sent.messages.iter().map(|each| (&each.body[..3], each.segments)).collect();
    assert_eq!(to, [("ann", 11), ("cat", 11)], "segments are those of the filled text");
    world.finish().await;
}

#[tokio::test]
async fn the_same_key_compares_the_text_as_it_was_written_and_returns_the_texts_that_were_sent() {
    let world = World::with_three().await;
    let request = keyed("k-1", &send(everybody(), "Hi {{person.name}}"));
    let first = world.send(request.clone()).await.unwrap();
    assert_eq!(bodies(&first.messages), ["Hi ann", "Hi bob", "Hi cat"]);
    world.put_named("ann", "Anna", &[ANN]).await;
    assert_eq!(world.send(request.clone()).await.unwrap(), first);
    let other = wire::SendMessagesRequest { body: "Hi {{ person.name }}".to_owned(), ..request };
    assert_eq!(refusal(world.send(other).await).0, "idempotency_key_reused");
    assert_eq!(world.count("messages").await, 3);
    world.finish().await;
}
