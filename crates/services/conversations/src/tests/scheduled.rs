//! Sends that wait for their time.

use domain::{LicenseId, PhoneNumber};
use tokio_util::sync::CancellationToken;

use super::batches::everybody;
use super::*;
use crate::due::DueSends;
use crate::push::Pusher;
use crate::store::licenses::Subject;
use crate::store::{licenses, scheduled};

const HOUR: Duration = Duration::from_hours(1);

impl World {
    fn due_sends(&self) -> DueSends {
        let (pusher, _) = Pusher::new(self.pool().clone(), self.bus.clone(), CancellationToken::new());
        let relay = bus::Relay::new(self.pool().clone(), self.bus.clone());
        DueSends { pool: self.pool().clone(), clock: self.clock.clone(), relay, pusher }
    }

    /// Sends all that is due; the service's own loop may do a part of it.
    async fn send_due(&self) {
        let due = self.due_sends();
        while due.take_turn(&CancellationToken::new()).await.unwrap() > 0 {}
    }

    /// The same send, in an hour.
    fn in_an_hour(&self, request: wire::SendMessagesRequest) -> wire::SendMessagesRequest {
        wire::SendMessagesRequest { send_at: Some(to_timestamp(self.clock.now() + HOUR)), ..request }
    }

    async fn schedule(&self, recipients: Vec<wire::Recipient>, body: &str) -> wire::ScheduledSend {
        self.send(self.in_an_hour(send(recipients, body))).await.unwrap().scheduled.unwrap()
    }

    async fn get_scheduled(&self, id: &str) -> Result<wire::ScheduledSend, Fault> {
        let request = wire::GetScheduledRequest { license_id: ACME.to_owned(), scheduled_id: id.to_owned() };
        answer(self.scheduled.clone().get_scheduled(request).await)
    }

    async fn list_scheduled(&self, ended: bool) -> Vec<String> {
        let (mut listed, mut cursor) = (Vec::new(), String::new());
        loop {
            let request = wire::ListScheduledRequest { license_id: ACME.to_owned(), limit: 2, cursor, ended };
            let page = answer(self.scheduled.clone().list_scheduled(request).await).unwrap();
            listed.extend(page.scheduled.into_iter().map(|each| each.scheduled_id));
            cursor = page.next_cursor;
            if cursor.is_empty() {
                return listed;
            }
        }
    }

    async fn update_scheduled(
        &self,
        id: &str,
        body: Option<&str>,
        send_at: Option<chrono::DateTime<chrono::Utc>>,
    ) -> Result<wire::ScheduledSend, Fault> {
        let request = wire::UpdateScheduledRequest {
            license_id: ACME.to_owned(),
            scheduled_id: id.to_owned(),
            body: body.map(str::to_owned),
            send_at: send_at.map(to_timestamp),
        };
        answer(self.scheduled.clone().update_scheduled(request).await)
    }

    async fn cancel_scheduled(&self, id: &str) -> Result<wire::ScheduledSend, Fault> {
        let request = wire::CancelScheduledRequest { license_id: ACME.to_owned(), scheduled_id: id.to_owned() };
        answer(self.scheduled.clone().cancel_scheduled(request).await)
    }

    /// As the deletion of a conversation does it.
    async fn erase_scheduled(&self, conversation_id: &str, number: &str) -> Vec<String> {
        let license_id = LicenseId::parse(ACME).unwrap();
        let number = PhoneNumber::from_e164(number).unwrap();
        let mut tx = self.pool().begin().await.unwrap();
        let mut locked = licenses::lock(&mut tx, [license_id.clone()]).await.unwrap();
        let id = conversation_id.parse().unwrap();
        let changed = scheduled::erase_conversation(&mut tx, &license_id, id, number, self.clock.now()).await.unwrap();
        for id in &changed {
            locked.record(&license_id, Subject::ScheduledUpdated(*id), self.clock.now());
        }
        locked.write(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        changed.iter().map(ToString::to_string).collect()
    }
}

fn scheduled_entries(entries: &[wire::FeedEntry]) -> Vec<(&str, &str)> {
    let content = entries.iter().filter_map(|entry| match &entry.content {
        Some(Content::ScheduledUpdated(scheduled)) => Some(scheduled),
        _ => None,
    });
    content.map(|each| (each.scheduled_id.as_str(), each.status.as_str())).collect()
}

#[tokio::test]
async fn a_scheduled_send_waits_for_its_time_and_goes_out_once_under_the_name_of_the_day_it_was_scheduled() {
    let world = World::with_three().await;
    let head = world.head(ACME).await;
    let media_urls = vec!["https://example.com/1.jpg".to_owned()];
    let request = wire::SendMessagesRequest { media_urls, ..send(everybody(), "Hi {{person.name}}") };
    let kept = world.send(world.in_an_hour(request)).await.unwrap();
    assert_eq!((kept.batch_id, kept.messages, kept.rejected), (None, vec![], vec![]));
    let kept = kept.scheduled.unwrap();
    assert_eq!((kept.status.as_str(), kept.body.as_str()), ("waiting", "Hi {{person.name}}"));
    assert_eq!((&kept.recipients, kept.recipient_count), (&everybody(), 3));
    assert_eq!(kept.send_at, Some(to_timestamp(world.clock.now() + HOUR)));
    assert_eq!(world.get_scheduled(&kept.scheduled_id).await.unwrap(), kept);
    assert_eq!(world.list_scheduled(false).await, [kept.scheduled_id.as_str()]);
    assert_eq!(kinds(&world.feed_after(ACME, head).await), ["scheduled.updated"]);
    for table in ["messages", "conversations", "batches"] {
        assert_eq!(world.count(table).await, 0, "{table}");
    }

    world.clock.advance(Duration::from_micros(3_600_000_000 - 1));
    world.send_due().await;
    assert_eq!(world.count("messages").await, 0);
    world.put_person(ACME, "bob", &[&phone(7)]).await.unwrap();
    world.clock.advance(Duration::from_micros(1));
    for _ in 0..3 {
        world.send_due().await;
    }
    let queued = world.list_queued().await;
    let texts: Vec<_> = queued.iter().map(|each| (each.to.as_str(), each.body.as_str())).collect();
    assert_eq!(texts, [(ANN, "Hi ann"), (&*phone(7), "Hi bob"), ("+14152000003", "Hi cat")]);
    assert_eq!(queued[0].media_urls, ["https://example.com/1.jpg"]);
    assert_eq!(queued[0].queued_at, Some(to_timestamp(world.clock.now())));
    let ended = world.get_scheduled(&kept.scheduled_id).await.unwrap();
    assert_eq!((ended.status.as_str(), ended.body.as_str(), ended.media_urls.len()), ("sent", "", 0));
    assert_eq!((ended.ended_at, ended.message_id, ended.rejected_count), (queued[0].queued_at, None, 0));
    let batch = world.get_batch(ACME, ended.batch_id.as_ref().unwrap()).await.unwrap();
    assert_eq!((batch.messages, batch.manager), (3, Some(manager("m-1", "Mia"))));
    let shown = world.get_message(ACME, &queued[0].message_id).await.unwrap();
    assert_eq!((shown.manager, shown.batch_id), (Some(manager("m-1", "Mia")), ended.batch_id));
    assert_eq!(world.list_scheduled(false).await, [""; 0]);
    assert_eq!(world.list_scheduled(true).await, [kept.scheduled_id.as_str()]);
    let entries = world.feed_after(ACME, head).await;
    assert_eq!(scheduled_entries(&entries).len(), 2);
    assert_eq!(kinds(&entries).last(), Some(&"scheduled.updated"));

    // A send to one ends as one message.
    let one = world.schedule(vec![person("ann")], "you").await;
    world.clock.advance(HOUR);
    world.send_due().await;
    let ended = world.get_scheduled(&one.scheduled_id).await.unwrap();
    let message = world.get_message(ACME, &ended.message_id.unwrap()).await.unwrap();
    assert_eq!((ended.batch_id, message.body.as_str(), message.batch_id), (None, "you", None));
    world.finish().await;
}

#[tokio::test]
async fn a_scheduled_send_is_checked_again_when_it_is_due() {
    let world = World::with_three().await;
    for (id, n) in [("optout", 11), ("changed", 12), ("gone", 13), ("left", 14), ("twin", 15)] {
        world.put_person(ACME, id, &[&phone(n)]).await.unwrap();
    }
    let left = world.send_one(person("left"), "hello").await.conversation_id;
    let mut recipients: Vec<_> = ["optout", "changed", "ann", "gone"].map(person).to_vec();
    recipients.extend([conversation(&left), person("twin"), person("bob")]);
    let kept = world.schedule(recipients.clone(), "rent is due").await;
    assert_eq!(kept.recipient_count, 7);

    world.apply(&[world.text(&phone(11), OFFICE, "STOP")]).await;
    world.put_person(ACME, "changed", &[&phone(22)]).await.unwrap();
    let request = wire::DeletePersonRequest { license_id: ACME.to_owned(), person_id: "gone".to_owned() };
    answer(world.people.clone().delete_person(request).await).unwrap();
    world.put_person(ACME, "left", &[]).await.unwrap();
    world.put_person(ACME, "twin", &[ANN]).await.unwrap();
    world.clock.advance(HOUR);
    world.send_due().await;

    let ended = world.get_scheduled(&kept.scheduled_id).await.unwrap();
    let expected = ["recipient_opted_out", "person_not_found", "number_no_longer_tied", "duplicate_recipient"];
    assert_eq!((ended.status.as_str(), codes(&ended.rejected)), ("sent", expected.to_vec()));
    let named: Vec<_> = ended.rejected.iter().map(|each| each.recipient.clone().unwrap()).collect();
    let expected = [0, 3, 4, 5].map(|index: usize| recipients[index].clone());
    assert_eq!((named, ended.rejected_count), (expected.to_vec(), 4));
    assert_eq!(ended.recipients, recipients, "as they were named");
    let batch = ended.batch_id.unwrap();
    let queued = world.list_queued().await;
    let to: Vec<_> = queued.iter().filter(|each| each.batch_id.as_ref() == Some(&batch)).map(|each| &each.to).collect();
    assert_eq!(to, [&*phone(22), ANN, BOB], "the number of the day it is sent");
    world.finish().await;
}

#[tokio::test]
async fn who_cannot_get_it_is_rejected_when_it_is_scheduled_and_not_kept() {
    let world = World::with_three().await;
    let mut recipients = everybody();
    recipients.insert(1, person("nobody"));
    recipients.push(person("ann"));
    let request = world.in_an_hour(send(recipients, "hello"));
    let kept = world.send(request).await.unwrap();
    assert_eq!(codes(&kept.rejected), ["person_not_found", "duplicate_recipient"]);
    let scheduled = kept.scheduled.unwrap();
    assert_eq!((scheduled.recipients, scheduled.rejected_count), (everybody(), 0));

    let head = world.head(ACME).await;
    let request = keyed("k-1", &world.in_an_hour(send(vec![person("nobody")], "hello")));
    let refused = world.send(request).await.unwrap();
    assert_eq!((codes(&refused.rejected), refused.scheduled), (vec!["person_not_found"], None));
    assert_eq!((world.count("scheduled_sends").await, world.count("idempotency").await), (1, 0));
    assert_eq!(world.head(ACME).await, head);

    // What the manager has not seen counts when he schedules, not when it is sent.
    world.apply(&[world.text(ANN, OFFICE, "wait!")]).await;
    let request = wire::SendMessagesRequest { last_seen_seq: Some(head), ..send(vec![person("ann")], "hello") };
    let refused = world.send(world.in_an_hour(request.clone())).await.unwrap();
    assert_eq!((codes(&refused.rejected), refused.scheduled), (vec!["conversation_moved_on"], None));
    assert_eq!(bodies(&refused.rejected[0].unseen), ["wait!"]);
    let seen = Some(world.head(ACME).await);
    let kept =
        world.send(world.in_an_hour(wire::SendMessagesRequest { last_seen_seq: seen, ..request })).await.unwrap();
    world.apply(&[world.text(ANN, OFFICE, "no!")]).await;
    world.clock.advance(HOUR);
    world.send_due().await;
    assert_eq!(world.get_scheduled(&kept.scheduled.unwrap().scheduled_id).await.unwrap().rejected, []);
    world.finish().await;
}

#[tokio::test]
async fn a_time_to_send_at_lies_ahead_and_at_most_sixty_days() {
    let world = World::with_ann().await;
    let now = world.clock.now();
    let at = |time| wire::SendMessagesRequest { send_at: Some(to_timestamp(time)), ..send(vec![person("ann")], "hi") };
    let expected = ("send_at_out_of_range".to_owned(), Some("send_at".to_owned()));
    let (microsecond, days) = (Duration::from_micros(1), Duration::from_hours(60 * 24));
    for time in [now, now - HOUR, now + days + microsecond] {
        assert_eq!(refusal(world.send(at(time)).await), expected);
        assert_eq!(refusal(world.preview(at(time)).await), expected);
    }
    assert_eq!(world.count("scheduled_sends").await, 0);
    world.send(at(now + microsecond)).await.unwrap();
    let last = world.send(at(now + days)).await.unwrap().scheduled.unwrap().scheduled_id;
    assert_eq!(refusal(world.update_scheduled(&last, None, Some(now)).await), expected);
    assert_eq!(refusal(world.update_scheduled(&last, None, Some(now + days + microsecond)).await), expected);
    world.finish().await;
}

#[tokio::test]
async fn the_same_key_schedules_once_and_returns_the_scheduled_send_as_it_is() {
    let world = World::with_three().await;
    let mut recipients = everybody();
    recipients.push(person("nobody"));
    let request = keyed("k-1", &world.in_an_hour(send(recipients, "Hi")));
    let first = world.send(request.clone()).await.unwrap();
    assert_eq!(world.send(request.clone()).await.unwrap(), first);
    let later = Some(to_timestamp(world.clock.now() + 2 * HOUR));
    for send_at in [None, later] {
        let other = wire::SendMessagesRequest { send_at, ..request.clone() };
        assert_eq!(refusal(world.send(other).await).0, "idempotency_key_reused");
    }
    world.clock.advance(2 * HOUR);
    world.send_due().await;
    let again = world.send(request).await.unwrap();
    assert_eq!((again.rejected, again.messages), (first.rejected, vec![]));
    assert_eq!(again.scheduled.unwrap().status, "sent");
    assert_eq!((world.count("scheduled_sends").await, world.count("messages").await), (1, 3));
    world.finish().await;
}

#[tokio::test]
async fn a_scheduled_send_can_be_changed_and_canceled_while_it_waits_and_not_after() {
    let world = World::with_three().await;
    let now = world.clock.now();
    let [first, second, third] = [
        world.schedule(everybody(), "one").await.scheduled_id,
        world.schedule(everybody(), "two").await.scheduled_id,
        world.schedule(everybody(), "three").await.scheduled_id,
    ];
    let head = world.head(ACME).await;
    let changed = world.update_scheduled(&first, Some("Hi {{person.name}}"), Some(now + 2 * HOUR)).await.unwrap();
    assert_eq!((changed.body.as_str(), changed.send_at), ("Hi {{person.name}}", Some(to_timestamp(now + 2 * HOUR))));
    // Saying the same again is no change.
    assert_eq!(world.update_scheduled(&first, None, Some(now + 2 * HOUR)).await.unwrap(), changed);
    assert_eq!(scheduled_entries(&world.feed_after(ACME, head).await), [(first.as_str(), "waiting")]);
    assert_eq!(world.list_scheduled(false).await, [&*second, &*third, &*first], "soonest first");
    for (body, code) in [("{{x}}", "unknown_merge_field"), (" ", "body_empty")] {
        let refused = refusal(world.update_scheduled(&first, Some(body), None).await);
        assert_eq!(refused, (code.to_owned(), Some("body".to_owned())));
    }
    let refused = world.update_scheduled(&first, Some("{{company.name}}"), None).await;
    assert_eq!(refusal(refused).0, "company_name_unknown");

    let canceled = world.cancel_scheduled(&second).await.unwrap();
    assert_eq!((canceled.status.as_str(), canceled.body.as_str()), ("canceled", ""));
    assert_eq!(canceled.ended_at, Some(to_timestamp(now)));
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.cancel_scheduled(&second).await.unwrap(), canceled);
    assert_eq!(refusal(world.update_scheduled(&second, Some("x"), None).await).0, "already_canceled");

    world.clock.advance(HOUR);
    world.send_due().await;
    assert_eq!(refusal(world.cancel_scheduled(&third).await).0, "already_sent");
    assert_eq!(refusal(world.update_scheduled(&third, Some("x"), None).await).0, "already_sent");
    assert_eq!(world.list_scheduled(false).await, [first.as_str()]);
    assert_eq!(world.list_scheduled(true).await, [&*third, &*second], "newest first");
    let sent: Vec<_> = world.list_queued().await.into_iter().map(|each| each.body).collect();
    assert_eq!(sent, ["three"; 3]);
    world.clock.advance(HOUR);
    world.send_due().await;
    assert_eq!(world.list_queued().await[3].body, "Hi ann");

    for id in ["x", &Uuid::now_v7().to_string()] {
        assert_eq!(refusal(world.get_scheduled(id).await).0, "scheduled_send_not_found");
        assert_eq!(refusal(world.cancel_scheduled(id).await).0, "scheduled_send_not_found");
        assert_eq!(refusal(world.update_scheduled(id, None, None).await).0, "scheduled_send_not_found");
    }
    let request = wire::CancelScheduledRequest { license_id: "birch".to_owned(), scheduled_id: first };
    assert_eq!(refusal(answer(world.scheduled.clone().cancel_scheduled(request).await)).0, "scheduled_send_not_found");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_and_send_of_a_scheduled_send_settle_once() {
    let world = World::with_ann().await;
    let head = world.head(ACME).await;
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(world.schedule(vec![person("ann")], "hello").await.scheduled_id);
    }
    world.clock.advance(HOUR);
    let ((), answers) = tokio::join!(world.send_due(), join_all(ids.iter().map(|id| world.cancel_scheduled(id))));
    world.send_due().await;

    let entries = world.feed_after(ACME, head).await;
    let mut sent = 0;
    for (id, canceled) in ids.iter().zip(answers) {
        let ended = world.get_scheduled(id).await.unwrap();
        match canceled {
            Ok(canceled) => {
                assert_eq!((ended.status.as_str(), ended.message_id.as_ref()), ("canceled", None));
                assert_eq!(canceled, ended);
            }
            Err(fault) => {
                assert_eq!(fault.code, "already_sent");
                assert_eq!(ended.status, "sent");
                assert!(ended.message_id.is_some());
                sent += 1;
            }
        }
        let told = scheduled_entries(&entries).iter().filter(|(told, _)| told == id).count();
        assert_eq!(told, 2, "its beginning and its one end");
    }
    assert_eq!(world.count("messages").await, sent);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_send_what_is_due_once() {
    let world = World::with_three().await;
    for license_id in ["birch", "cedar"] {
        world.put_person(license_id, "ann", &[ANN]).await.unwrap();
    }
    for _ in 0..10 {
        for license_id in [ACME, "birch", "cedar"] {
            let request = send(vec![person("ann")], "once");
            let request = wire::SendMessagesRequest { license_id: license_id.to_owned(), ..request };
            world.send(world.in_an_hour(request)).await.unwrap();
        }
    }
    world.clock.advance(HOUR);
    tokio::join!(world.send_due(), world.send_due(), world.send_due());
    // What a busy database made one of them put off.
    world.send_due().await;
    assert_eq!(world.count("messages").await, 30);
    assert_eq!(world.count("scheduled_sends where status = 'sent' and message_id is not null").await, 30);
    assert_eq!(world.list_queued().await.len(), 30);
    world.finish().await;
}

#[tokio::test]
async fn a_license_with_many_due_sends_does_not_hold_up_another() {
    let world = World::with_ann().await;
    world.put_person("birch", "ann", &[ANN]).await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(world.schedule(vec![person("ann")], "hello").await.scheduled_id);
        world.clock.advance(Duration::from_secs(1));
    }
    let birch = wire::SendMessagesRequest { license_id: "birch".to_owned(), ..send(vec![person("ann")], "hello") };
    let birch = world.send(world.in_an_hour(birch)).await.unwrap().scheduled.unwrap().scheduled_id;
    let then = world.clock.now() + HOUR;
    let due = scheduled::list_due(world.pool(), then, 100, 100).await.unwrap();
    let due: Vec<_> = due.iter().map(|(license_id, id)| (license_id.as_str(), id.to_string())).collect();
    assert_eq!(due, [(ACME, ids[0].clone()), ("birch", birch)]);
    world.finish().await;
}

#[tokio::test]
async fn a_scheduled_send_that_can_never_be_sent_ends_with_everybody_rejected() {
    let world = World::with_three().await;
    world.name_company("Acme Homes", 1).await;
    let unnamed = world.schedule(everybody(), "Yours, {{company.name}}").await.scheduled_id;
    let unreadable = world.schedule(everybody(), "hello").await.scheduled_id;
    sqlx::query("update licenses set company_name = null").execute(world.pool()).await.unwrap();
    sqlx::query("update scheduled_sends set body = '' where scheduled_id = $1")
        .bind(Uuid::try_parse(&unreadable).unwrap())
        .execute(world.pool())
        .await
        .unwrap();
    world.clock.advance(HOUR);
    world.send_due().await;
    for (id, code) in [(unnamed, "company_name_unknown"), (unreadable, "cannot_be_sent")] {
        let ended = world.get_scheduled(&id).await.unwrap();
        assert_eq!((ended.status.as_str(), ended.batch_id, ended.message_id), ("sent", None, None));
        assert_eq!((codes(&ended.rejected), ended.rejected_count), (vec![code; 3], 3));
    }
    assert_eq!(world.count("messages").await, 0);
    world.finish().await;
}

#[tokio::test]
async fn a_deleted_conversation_is_taken_off_what_is_scheduled() {
    let world = World::with_three().await;
    let ann = world.send_one(person("ann"), "hello").await.conversation_id;
    let by_id = world.schedule(vec![conversation(&ann)], "only in there").await.scheduled_id;
    let by_person = world.schedule(vec![person("ann")], "for Ann").await.scheduled_id;
    let shared = world.schedule(vec![person("bob"), person("ann"), person("cat")], "to all").await.scheduled_id;
    let others = world.schedule(vec![person("bob")], "for Bob").await;
    let head = world.head(ACME).await;

    let mut changed = world.erase_scheduled(&ann, ANN).await;
    changed.sort_unstable();
    assert_eq!(changed, [&*by_id, &*by_person, &*shared]);
    for id in [&by_id, &by_person] {
        let ended = world.get_scheduled(id).await.unwrap();
        assert_eq!((ended.status.as_str(), ended.body.as_str(), ended.recipient_count), ("canceled", "", 0));
        assert!(ended.ended_at.is_some() && ended.recipients.is_empty());
    }
    let kept = world.get_scheduled(&shared).await.unwrap();
    assert_eq!((kept.status.as_str(), kept.body.as_str()), ("waiting", "to all"));
    assert_eq!((kept.recipients, kept.recipient_count), (vec![person("bob"), person("cat")], 2));
    assert_eq!(world.get_scheduled(&others.scheduled_id).await.unwrap(), others);
    assert_eq!(scheduled_entries(&world.feed_after(ACME, head).await).len(), 3);

    world.clock.advance(HOUR);
    world.send_due().await;
    assert!(world.list_queued().await[1..].iter().all(|each| each.to != ANN));
    world.finish().await;
}

#[tokio::test]
async fn deleting_a_conversation_that_was_replaced_leaves_what_is_scheduled_for_the_people_of_today() {
    let world = World::with_ann().await;
    let anns = world.send_one(person("ann"), "hello").await.conversation_id;
    world.put_person(ACME, "ann", &[]).await.unwrap();
    world.put_person(ACME, "bob", &[ANN]).await.unwrap();
    let bobs = world.send_one(person("bob"), "hello").await.conversation_id;
    let kept = world.schedule(vec![person("bob")], "for Bob").await;
    assert_eq!(world.erase_scheduled(&anns, ANN).await, [""; 0]);
    assert_eq!(world.get_scheduled(&kept.scheduled_id).await.unwrap(), kept);
    // Also when the conversation's row is gone by then.
    for (id, changed) in [(anns, 0), (bobs, 1)] {
        sqlx::query("delete from conversations where conversation_id = $1")
            .bind(Uuid::try_parse(&id).unwrap())
            .execute(world.pool())
            .await
            .unwrap();
        assert_eq!(world.erase_scheduled(&id, ANN).await.len(), changed);
    }
    world.finish().await;
}

#[tokio::test]
async fn a_scheduled_send_that_has_ended_is_kept_for_thirty_days() {
    let world = World::with_three().await;
    let ended = world.schedule(everybody(), "hello").await.scheduled_id;
    world.cancel_scheduled(&ended).await.unwrap();
    world.clock.advance(Duration::from_hours(30 * 24));
    crate::sweep::sweep_once(world.pool(), &world.clock).await.unwrap();
    assert_eq!(world.list_scheduled(true).await, [ended.as_str()]);
    let waiting = world.schedule(everybody(), "later").await.scheduled_id;
    world.clock.advance(Duration::from_micros(1));
    assert_eq!(world.list_scheduled(true).await, [""; 0]);
    crate::sweep::sweep_once(world.pool(), &world.clock).await.unwrap();
    assert_eq!(refusal(world.get_scheduled(&ended).await).0, "scheduled_send_not_found");
    assert_eq!(world.get_scheduled(&waiting).await.unwrap().recipient_count, 3);
    assert_eq!(world.count("scheduled_recipients").await, 3);
    world.finish().await;
}

#[tokio::test]
async fn lists_and_the_feed_show_the_first_hundred_recipients_and_the_send_itself_all() {
    let world = World::with_ann().await;
    sqlx::query(
        "with everybody as (insert into people (license_id, person_id, kind, name, updated_at)
           select 'acme', 'p-' || n, 'tenant', 'p-' || n, now() from generate_series(0, 149) n)
         insert into ties (license_id, person_id, number, position, tied_at)
         select 'acme', 'p-' || n, '+1415' || (2000000 + n), 1, now() from generate_series(0, 149) n",
    )
    .execute(world.pool())
    .await
    .unwrap();
    let recipients: Vec<_> = (0..150).map(|n| person(&format!("p-{n}"))).collect();
    let head = world.head(ACME).await;
    let kept = world.schedule(recipients.clone(), "hello").await;
    assert_eq!(kept.recipients, recipients);
    let shown = wire::ScheduledSend { recipients: recipients[..100].to_vec(), ..kept.clone() };
    let entry = world.feed_after(ACME, head).await.remove(0);
    assert_eq!(entry.content, Some(Content::ScheduledUpdated(shown.clone())));
    let request = wire::ListScheduledRequest { license_id: ACME.to_owned(), limit: 10, ..Default::default() };
    assert_eq!(answer(world.scheduled.clone().list_scheduled(request).await).unwrap().scheduled, [shown]);

    sqlx::query("delete from people where person_id <> 'ann'").execute(world.pool()).await.unwrap();
    world.clock.advance(HOUR);
    world.send_due().await;
    let ended = world.get_scheduled(&kept.scheduled_id).await.unwrap();
    assert_eq!((ended.rejected.len(), ended.rejected_count, ended.batch_id), (150, 150, None));
    world.finish().await;
}
