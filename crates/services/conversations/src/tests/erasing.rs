//! What a deletion finds in queues, streams and dead letters: rule 11.

use bus::{Classify as _, HandleError, Handler, Received, consume};
use proto::catalogue::{CONVERSATIONS_MESSAGE_RECEIVED, DISPATCH_MESSAGE_QUEUED};
use proto::conversations::conversations_service_server::ConversationsService as _;
use proto::conversations::people_service_server::PeopleService as _;
use proto::conversations::sending_withdrawn::Of;
use sqlx::PgTransaction;
use tonic::Request;

use super::deletion::deletion;
use super::poison::{remove_all, until_buried};
use super::*;

/// In no other text, and one word: a search would keep it.
const UNIQUE: &str = "xylophoneq7";

/// dispatch, as far as the stream goes: digests what is to be sent, except what ends with a question mark.
struct Dispatch;

impl Handler for Dispatch {
    type Event = wire::MessageQueued;
    type Done = ();

    async fn handle(
        &self,
        _: &mut PgTransaction<'_>,
        events: &[Received<wire::MessageQueued>],
    ) -> Result<(), HandleError> {
        if events.iter().any(|received| received.event.body.ends_with('?')) {
            Err(anyhow::anyhow!("a question")).permanent()?;
        }
        Ok(())
    }

    async fn committed(&self, (): ()) {}
}

impl World {
    fn play_dispatch(&self) {
        let (bus, pool, clock) = (self.bus.clone(), self.pool().clone(), self.clock.clone());
        let stopping = self.lifecycle.stopping();
        self.lifecycle.spawn("dispatch", consume(bus, pool, clock, DISPATCH_MESSAGE_QUEUED, Dispatch, stopping));
    }

    /// The loop of the service, driven by hand.
    fn eraser(&self) -> Eraser {
        Eraser::new(self.pool().clone(), self.bus.clone(), self.clock.clone())
    }

    /// A text that no consumer ever digests.
    fn poison(&self, from: &str, to: &str) -> ingest::MessageReceived {
        self.text(from, to, &format!("\0{UNIQUE}"))
    }

    /// The unique text stands in so many messages of all streams. What was consumed goes a moment later.
    async fn until_only_in_streams(&self, count: usize) {
        testkit::eventually("the end of the others", async || {
            let found = testkit::find_text_in_streams(self.bus.client(), &self.namespace, UNIQUE).await;
            if found.len() == count { Ok(()) } else { Err(found) }
        })
        .await;
    }
}

#[tokio::test]
async fn deleting_a_conversation_erases_every_message_in_it_everywhere() {
    let world = World::with_ann().await;
    world.play_dispatch();
    world.put_person(ACME, "bob", &[BOB]).await.unwrap();
    let other = world.send_one(person("bob"), "for Bob").await;
    let request = wire::SendMessagesRequest {
        media_urls: vec![format!("https://media.example/{UNIQUE}")],
        ..keyed("k-1", &send(vec![person("ann"), person("eve")], UNIQUE))
    };
    let sent = world.send(request.clone()).await.unwrap().messages.remove(0);
    let home = sent.conversation_id.as_str();
    let error = Some(dispatch::Error { code: "not_reachable".to_owned(), detail: UNIQUE.to_owned() });
    world.apply(&[dispatch::MessageProgressed { error, ..world.outcome(&sent.message_id, "failed") }]).await;
    let media = vec![ingest::Media { url: format!("https://api.example/{UNIQUE}"), content_type: String::new() }];
    let said = format!("I said {UNIQUE}!");
    world.apply(&[ingest::MessageReceived { media, ..world.text(ANN, OFFICE, &said) }]).await;
    let note = wire::PutConsentRequest {
        license_id: ACME.to_owned(),
        conversation_id: home.to_owned(),
        manager: Some(manager("m-1", "Mia")),
        opted_out: false,
        reason: "She said yes on the phone.".to_owned(),
    };
    answer(world.conversations.clone().put_consent(note).await).unwrap();
    world.send_one(person("ann"), &format!("Where is the {UNIQUE}?")).await;
    world.publish(&world.poison(ANN, OFFICE), "poison").await;
    until_buried(&world, 2).await;
    // The search sees what is there.
    assert!(testkit::find_text(world.pool(), UNIQUE).await.iter().any(|(table, _)| table == "public.messages"));
    world.until_only_in_streams(2).await;
    assert!(format!("{:?}", world.feed_after(ACME, 0).await).contains(UNIQUE));

    assert_eq!(world.delete(home).await.unwrap().messages, 3);
    assert_eq!(testkit::find_text(world.pool(), UNIQUE).await, []);
    world.until_only_in_streams(0).await;
    let history = world.feed_after(ACME, 0).await;
    assert!(!format!("{history:?}").contains(UNIQUE), "{history:?}");
    assert_eq!(seqs(&history), (1..=world.head(ACME).await).collect::<Vec<_>>(), "positions stay");
    assert!(
        !format!("{:?}", world.send(request).await.unwrap()).contains(UNIQUE),
        "the key is remembered, not the text"
    );
    assert_eq!(world.get_message(ACME, &other.message_id).await.unwrap(), other);
    world.finish().await;
}

#[tokio::test]
async fn a_dead_letter_of_a_deleted_conversation_is_erased() {
    let world = World::with_ann().await;
    world.play_dispatch();
    world.put_person(ACME, "bob", &[BOB]).await.unwrap();
    let home = world.send_one(person("ann"), "And to you?").await.conversation_id;
    world.send_one(person("bob"), "And to Bob?").await;
    world.apply(&[world.text(ANN, OFFICE, "hello")]).await;
    world.assign("birch", "+16462000200", 1).await;
    let at_once = [("ann", ANN, OFFICE), ("bob", BOB, OFFICE), ("birch", ANN, "+16462000200")];
    for (id, from, to) in at_once {
        world.publish(&world.poison(from, to), id).await;
    }
    let unreadable = world.bus.subject(ingest::MessageReceived::SUBJECT);
    jetstream::new(world.bus.client().clone()).publish(unreadable, "\0".into()).await.unwrap().await.unwrap();
    assert_eq!(until_buried(&world, 6).await.len(), 6);
    // What the license's number was then counts, not what it is now.
    world.assign(ACME, "+16462000300", 2).await;
    world.delete(&home).await.unwrap();
    let rest = until_buried(&world, 4).await;
    let received = |letters: &[DeadLetter]| {
        let of_texts = letters.iter().filter(|letter| letter.consumer == CONVERSATIONS_MESSAGE_RECEIVED.name);
        of_texts.map(|letter| letter.event_id.clone()).filter(|id| !id.contains(':')).collect::<Vec<_>>()
    };
    assert_eq!(received(&rest), ["bob", "birch"]);

    // A text of before that becomes a dead letter only now, and one of after.
    let before = world.poison(ANN, OFFICE);
    world.clock.advance(Duration::from_secs(1));
    world.publish(&before, "before").await;
    world.publish(&world.poison(ANN, OFFICE), "after").await;
    until_buried(&world, 6).await;
    assert_eq!(world.eraser().erase_once().await.unwrap(), 1);
    let rest = world.list_dead_letters().await;
    assert_eq!(received(&rest), ["bob", "birch", "after"]);
    // In the end no number is kept for this.
    assert_eq!(world.count("erasures_pending").await, 1);
    world.clock.advance(Duration::from_mins(11));
    assert_eq!(world.eraser().erase_once().await.unwrap(), 0);
    assert_eq!(world.count("erasures_pending").await, 0);
    remove_all(&world, &rest).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_that_erase_dead_letters_at_once_both_come_to_the_end() {
    let world = World::with_ann().await;
    let home = world.send_one(person("ann"), "hello").await.conversation_id;
    world.delete(&home).await.unwrap();
    let poison = world.poison(ANN, OFFICE);
    // More than a page.
    let ids: Vec<String> = (0..130).map(|n| format!("poison-{n}")).collect();
    join_all(ids.iter().map(|id| world.publish(&poison, id))).await;
    // Counted as they came: the service's own loop may have found the first ones already.
    testkit::eventually("the dead letters", async || {
        match world.stream("DEAD_LETTERS").await.cached_info().state.last_sequence {
            130 => Ok(()),
            letters => Err(letters),
        }
    })
    .await;
    let erasers = [world.eraser(), world.eraser()];
    try_join_all(erasers.iter().map(Eraser::erase_once)).await.unwrap();
    assert_eq!(world.stream("DEAD_LETTERS").await.cached_info().state.messages, 0, "nothing is left");
    world.finish().await;
}

/// The service without its loops: nothing moves by itself.
struct Still {
    context: Context,
    database: Database,
    bus: Bus,
    namespace: String,
}

impl Still {
    async fn with_ann() -> Self {
        let database =
            testkit::database(&[("_bus_migrations", &bus::MIGRATIONS), ("_migrations", &crate::MIGRATIONS)]).await;
        let nats = testkit::nats();
        let bus = Bus::connect(&nats, "conversations tests").await.unwrap();
        bus.declare_until_done().await;
        let objects = tempfile::tempdir().unwrap();
        let context = calls_alone(&database.pool, &bus, &testkit::clock(), open_objects(&objects));
        let ann = wire::Person {
            person_id: "ann".to_owned(),
            kind: "tenant".to_owned(),
            name: "Ann".to_owned(),
            phones: vec![ANN.to_owned()],
        };
        let request = wire::PutPersonRequest { license_id: ACME.to_owned(), person: Some(ann) };
        context.put_person(Request::new(request)).await.unwrap();
        Self { context, database, bus, namespace: nats.namespace }
    }

    async fn send(&self) -> wire::Message {
        let request = Request::new(send(vec![person("ann")], UNIQUE));
        self.context.send_messages(request).await.unwrap().into_inner().messages.remove(0)
    }

    async fn delete(&self, conversation_id: &str) -> wire::DeletionReceipt {
        let request = Request::new(deletion(manager("m-1", "Mia"), ACME, conversation_id));
        self.context.delete_conversation(request).await.unwrap().into_inner()
    }

    /// What waits, oldest first.
    async fn outbox(&self) -> Vec<String> {
        let subjects = sqlx::query_scalar("select subject from outbox order by position");
        subjects.fetch_all(&self.database.pool).await.unwrap()
    }

    async fn find_text(&self) -> Vec<(String, String)> {
        testkit::find_text(&self.database.pool, UNIQUE).await
    }
}

#[tokio::test]
async fn what_is_not_yet_sent_is_not_sent() {
    let still = Still::with_ann().await;
    let sent = still.send().await;
    let (queued, withdrawn) = (wire::MessageQueued::SUBJECT, wire::SendingWithdrawn::SUBJECT);
    assert_eq!(still.outbox().await, [queued]);
    assert_eq!(still.delete(&sent.conversation_id).await.messages, 1);
    assert_eq!(still.outbox().await, [withdrawn], "it is not even announced");
    assert_eq!(still.find_text().await, []);
    // A later one goes out, behind the withdrawal of the other conversation.
    let later = still.send().await;
    assert_ne!(later.conversation_id, sent.conversation_id);

    let stopped = CancellationToken::new();
    stopped.cancel();
    still.context.relay.clone().run(stopped).await.unwrap();
    let name = format!("{}_CONVERSATIONS", still.namespace.to_uppercase());
    let stream = jetstream::new(still.bus.client().clone()).get_stream(name).await.unwrap();
    let published = try_join_all((1..=2).map(|number| stream.get_raw_message(number))).await.unwrap();
    let first = wire::SendingWithdrawn::decode(published[0].payload.clone()).unwrap();
    assert_eq!((first.license_id, first.of), (ACME.to_owned(), Some(Of::ConversationId(sent.conversation_id))));
    let second = wire::MessageQueued::decode(published[1].payload.clone()).unwrap();
    assert_eq!(second.message_id, later.message_id);
    still.bus.delete_streams().await.unwrap();
}

#[tokio::test]
async fn what_a_relay_has_in_hand_holds_up_no_deletion_and_is_erased_after_it() {
    let still = Still::with_ann().await;
    let sent = still.send().await;
    let mut relay = still.database.pool.begin().await.unwrap();
    sqlx::query("select from outbox for update").execute(&mut *relay).await.unwrap();
    still.delete(&sent.conversation_id).await;
    assert_eq!(still.outbox().await.len(), 2);
    // It could not publish.
    relay.rollback().await.unwrap();
    let kept = still.send().await;
    still.context.eraser.erase_once().await.unwrap();
    let waiting: Vec<Uuid> = sqlx::query_scalar("select event_id from outbox where subject = $1")
        .bind(wire::MessageQueued::SUBJECT)
        .fetch_all(&still.database.pool)
        .await
        .unwrap();
    assert_eq!(waiting, [kept.message_id.parse::<Uuid>().unwrap()], "only what nobody deleted");
    still.bus.delete_streams().await.unwrap();
}
