//! Quiet hours: batches wait for the end of the recipient's night, replies do not, and a held message is never lost.

use std::time::Duration;

use bus::HandleError;
use proto::conversations::Priority::{Batch, Reply};
use proto::numbers::{QuietHours, SendingChanged};

use super::lanes::waiting_at;
use super::withdrawals::new_batch;
use super::*;
use crate::events::SendingChangedHandler;
use crate::release::Releaser;

pub(super) const NEW_YORK: &str = "+12125550123";

impl World {
    pub(super) async fn change_sending(&self, event: SendingChanged) -> Result<(), HandleError> {
        let handler = SendingChangedHandler { clock: self.clock.clone(), hint: Hint::default() };
        let mut tx = self.database.pool.begin().await.unwrap();
        handler.handle(&mut tx, &[received(event)]).await?;
        tx.commit().await.unwrap();
        Ok(())
    }

    /// The hours of the day in which acme's batches wait.
    pub(super) async fn set_quiet(&self, hours: Option<(u32, u32)>, version: u64) {
        let quiet_hours = hours.map(|(from, until)| QuietHours { from_minute: from * 60, until_minute: until * 60 });
        let event = SendingChanged { license_id: "acme".to_owned(), quiet_hours, version, ..SendingChanged::default() };
        self.change_sending(event).await.unwrap();
    }

    pub(super) async fn release(&self) {
        let releaser = Releaser { store: self.store.clone(), clock: self.clock.clone(), hint: Hint::default() };
        while releaser.release_once().await.unwrap() > 0 {}
    }

    /// Everything that happens by itself within this time, a second at a time.
    pub(super) async fn live(&self, sender: &Sender, seconds: u64) {
        for _ in 0..seconds {
            self.clock.advance(Duration::from_secs(1));
            self.release().await;
            self.work(sender).await;
        }
    }
}

#[tokio::test]
async fn batches_wait_in_the_quiet_hours_of_their_recipient_replies_do_not_and_each_message_says_so() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    world.set_quiet(Some((21, 8)), 1).await;
    // It is seven in San Francisco and ten in New York.
    let batch = world.queue("acme", PHONE, Batch, 3).await;
    let east = world.queue("acme", NEW_YORK, Batch, 2).await;
    let reply = world.queue("acme", PHONE, Reply, 1).await.remove(0);
    let eight = world.clock.now() + Duration::from_hours(1);
    let quiet = |seconds| ("quiet_hours".to_owned(), Some(eight + Duration::from_secs(seconds)));
    let asked: Vec<&String> = batch.iter().collect();
    let expected = [quiet(0), quiet(1), quiet(2)];
    assert_eq!(waiting_at(&world, CarrierName::ALL, 1.0, "acme", &asked).await, expected, "before anybody looked");

    let sender = world.replica(1.0);
    world.work(&sender).await;
    world.live(&sender, 5).await;
    assert_eq!(world.texts(PHONE).await, [reply], "the reply");
    assert_eq!(world.texts(NEW_YORK).await, east, "those behind are not held up");
    assert_eq!(world.count("held").await, 3);
    assert_eq!(waiting_at(&world, CarrierName::ALL, 1.0, "acme", &asked).await, expected, "while they are held");

    world.clock.advance(Duration::from_hours(1) - Duration::from_secs(6));
    world.release().await;
    assert_eq!(world.count("held").await, 3, "not a second too early");
    world.live(&sender, 1).await;
    assert_eq!(world.count("held").await, 0);
    world.live(&sender, 2).await;
    assert_eq!(world.texts(PHONE).await[1..], batch, "in their old order, at the pace of the number");
}

#[tokio::test]
async fn what_is_held_comes_back_into_its_old_place() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    world.set_quiet(Some((21, 8)), 1).await;
    let early = world.queue("acme", PHONE, Batch, 2).await;
    let sender = world.replica(1.0);
    world.work(&sender).await;
    world.clock.advance(Duration::from_secs(3_599));
    let late = world.queue("acme", NEW_YORK, Batch, 5).await;
    world.work(&sender).await;
    world.live(&sender, 6).await;
    assert_eq!(world.texts(NEW_YORK).await, late);
    assert_eq!(world.texts(PHONE).await, early);
    let now = world.clock.now();
    let last: Vec<String> = sqlx::query_scalar("select message_id::text from attempts order by started_at")
        .fetch_all(&world.database.pool)
        .await
        .unwrap();
    assert_eq!(last[..3], [late[0].clone(), early[0].clone(), early[1].clone()], "{now}");
}

#[tokio::test]
async fn quiet_hours_that_change_or_are_turned_off_release_what_is_held_at_once() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    world.set_quiet(Some((21, 8)), 2).await;
    let batch = world.queue("acme", PHONE, Batch, 2).await;
    let sender = world.replica(0.0);
    world.work(&sender).await;
    assert_eq!(world.count("held").await, 2);
    world.set_quiet(None, 1).await;
    world.work(&sender).await;
    assert_eq!(world.count("held").await, 2, "an older event changes nothing");
    world.set_quiet(Some((22, 9)), 3).await;
    world.work(&sender).await;
    let nine = world.clock.now() + Duration::from_hours(2);
    let said = waiting_at(&world, CarrierName::ALL, 0.0, "acme", &[&batch[0]]).await;
    assert_eq!(said, [("quiet_hours".to_owned(), Some(nine))], "held again, for the new hours");
    world.set_quiet(None, 4).await;
    world.work(&sender).await;
    assert_eq!(world.texts(PHONE).await, batch);
}

#[tokio::test]
async fn a_night_does_not_use_up_the_patience_of_a_message() {
    for to_its_end in [false, true] {
        let world = World::new().await;
        world.assign("acme", 1).await;
        world.set_quiet(Some((7, 20)), 1).await;
        world.queue("acme", PHONE, Batch, 1).await;
        let sender = world.replica(0.0);
        world.work(&sender).await;
        // Thirteen hours; patience is ten.
        world.clock.advance(Duration::from_hours(12));
        world.sweep().await;
        assert_eq!(world.count("held").await, 1);
        // Released too early, it has as much patience left as before: it was held for twelve hours, and not for thirteen.
        if to_its_end {
            world.clock.advance(Duration::from_hours(1));
            world.release().await;
        } else {
            world.set_quiet(None, 2).await;
        }
        world.clock.advance(Duration::from_secs(35_999));
        world.sweep().await;
        assert_eq!(world.count("waiting").await, 1);
        world.clock.advance(Duration::from_secs(2));
        world.sweep().await;
        assert_eq!(world.count("failed").await, 1);
    }
}

#[tokio::test]
async fn what_is_held_and_withdrawn_is_not_sent_and_its_text_is_gone() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    world.set_quiet(Some((21, 8)), 1).await;
    let batch = new_batch();
    let of_batch = world.queue_batch(&batch, PHONE, 2).await;
    let event = world.of_batch(&new_batch(), PHONE);
    world.take_over(std::slice::from_ref(&event)).await;
    let other = world.queue("acme", PHONE, Batch, 1).await;
    let sender = world.replica(0.0);
    world.work(&sender).await;
    assert_eq!(world.count("held").await, 4);
    world.cancel(&batch).await;
    world.delete(&event.conversation_id).await;
    let statuses = world.all_statuses().await;
    for message in &of_batch {
        assert_eq!(statuses[message], ["canceled"]);
    }
    assert!(!statuses.contains_key(&event.message_id), "nothing is said of what is erased");
    assert_eq!(world.texts_kept(&[&of_batch[..], &[event.message_id]].concat()).await, 0);
    world.clock.advance(Duration::from_hours(1));
    world.release().await;
    world.work(&sender).await;
    assert_eq!(world.texts(PHONE).await, other);
}

#[tokio::test]
async fn a_receipt_settles_also_what_is_held() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    world.set_quiet(Some((21, 8)), 1).await;
    let message = world.queue("acme", PHONE, Batch, 1).await.remove(0);
    let sender = world.replica(0.0);
    world.work(&sender).await;
    world.receipt(&message).await;
    assert_eq!(world.state(&message).await, "accepted");
    world.clock.advance(Duration::from_hours(1));
    world.release().await;
    world.work(&sender).await;
    assert!(world.texts(PHONE).await.is_empty());
}

#[tokio::test]
async fn thousands_are_held_in_a_few_turns_and_others_have_theirs_meanwhile() {
    let world = World::new().await;
    for license in ["acme", "bree"] {
        world.assign(license, 1).await;
    }
    world.set_quiet(Some((21, 8)), 1).await;
    world.queue("acme", PHONE, Batch, 3_000).await;
    world.clock.advance(Duration::from_secs(1));
    world.queue("bree", OTHER_PHONE, Batch, 1).await;
    let request = ClaimRequest { free: 1, ..everything(Pace::per_second(1.0).unwrap()) };
    let mut turns = 0;
    let mut sent_after = None;
    while world.count("held").await < 3_000 {
        turns += 1;
        let claim = world.store.claim(&request, world.clock.now()).await.unwrap();
        if !claim.claimed.is_empty() {
            sent_after = Some(turns);
        }
    }
    assert!(turns <= 9, "{turns}");
    assert!(sent_after.is_some_and(|turns| turns <= 3), "{sent_after:?}");
}

#[tokio::test]
async fn an_event_with_hours_that_are_none_is_refused_for_good() {
    let world = World::new().await;
    let hours = |from_minute, until_minute| SendingChanged {
        license_id: "acme".to_owned(),
        quiet_hours: Some(QuietHours { from_minute, until_minute }),
        version: 1,
        ..SendingChanged::default()
    };
    for event in [hours(1, 1), hours(1440, 0), SendingChanged { license_id: "a.b".to_owned(), ..hours(1, 2) }] {
        let error = world.change_sending(event).await.unwrap_err();
        assert!(matches!(error, HandleError::Permanent(_)));
    }
}
