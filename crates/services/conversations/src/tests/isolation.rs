//! The license is the unit of isolation: what belongs to another one is not there.

use super::*;

#[tokio::test]
async fn what_belongs_to_another_license_is_not_found() {
    let world = World::with_ann().await;
    let message = world.send_one(person("ann"), "for Acme only").await;
    let (message_id, home) = (message.message_id.as_str(), message.conversation_id.as_str());
    let head = world.head(ACME).await;

    for license_id in ["birch", "ACME", "acm_"] {
        let not_found = async |id: &str| refusal(world.get_message(license_id, id).await).0;
        assert_eq!(not_found(message_id).await, "message_not_found");
        assert_eq!(refusal(world.get_conversation(license_id, home).await).0, "conversation_not_found");
        assert_eq!(refusal(world.list_messages(license_id, home).await).0, "conversation_not_found");
        let request = wire::GetPersonRequest { license_id: license_id.to_owned(), person_id: "ann".to_owned() };
        assert_eq!(refusal(answer(world.people.clone().get_person(request).await)).0, "person_not_found");
        let request = wire::DeletePersonRequest { license_id: license_id.to_owned(), person_id: "ann".to_owned() };
        answer(world.people.clone().delete_person(request).await).unwrap();

        let recipients = vec![person("ann"), conversation(home), conversation("no-id-of-ours")];
        let request =
            wire::SendMessagesRequest { license_id: license_id.to_owned(), ..send(recipients.clone(), "sneaky") };
        let refused = world.send(request).await.unwrap();
        assert_eq!(codes(&refused.rejected), ["person_not_found", "conversation_not_found", "conversation_not_found"]);
        let named: Vec<_> = refused.rejected.into_iter().filter_map(|each| each.recipient).collect();
        assert_eq!((named, refused.messages), (recipients, vec![]));
        assert_eq!(world.list_conversations(license_id).await, []);
        assert_eq!(world.feed_after(license_id, 0).await, []);
    }
    assert_eq!(world.head(ACME).await, head, "nothing of Acme's has changed");
    assert_eq!(world.get_message(ACME, message_id).await.unwrap(), message);
    world.finish().await;
}

#[tokio::test]
async fn two_licenses_that_know_the_same_person_and_phone_have_a_conversation_each() {
    let world = World::with_ann().await;
    world.assign("birch", "+16462000200", 1).await;
    world.put_person("birch", "ann", &[ANN]).await.unwrap();
    world.apply(&[world.text(ANN, OFFICE, "to Acme"), world.text(ANN, "+16462000200", "to Birch")]).await;
    for (license_id, body) in [(ACME, "to Acme"), ("birch", "to Birch")] {
        let conversations = world.list_conversations(license_id).await;
        assert_eq!(conversations.len(), 1);
        let messages = world.list_messages(license_id, &conversations[0].conversation_id).await.unwrap();
        assert_eq!(bodies(&messages), [body]);
        assert!(world.feed_after(license_id, 0).await.iter().all(|entry| entry.license_id == license_id));
    }
    world.finish().await;
}

#[tokio::test]
async fn ids_that_cannot_be_any_are_refused_or_not_found_and_never_our_mistake() {
    let world = World::with_ann().await;
    for license_id in ["", "a.b", "\0", "*"] {
        let refused = refusal(world.get_message(license_id, &Uuid::now_v7().to_string()).await);
        assert_eq!(refused, ("invalid_id".to_owned(), Some("license_id".to_owned())));
    }
    for id in ["", "x", "\0"] {
        assert_eq!(refusal(world.get_message(ACME, id).await).0, "message_not_found");
        assert_eq!(refusal(world.get_conversation(ACME, id).await).0, "conversation_not_found");
        let request = wire::GetPersonRequest { license_id: ACME.to_owned(), person_id: id.to_owned() };
        assert_eq!(refusal(answer(world.people.clone().get_person(request).await)).0, "person_not_found");
        // What comes back names the recipient as the caller did.
        let refused = world.send(send(vec![conversation(id)], "hello")).await.unwrap();
        assert_eq!(codes(&refused.rejected), ["conversation_not_found"]);
    }
    world.finish().await;
}
