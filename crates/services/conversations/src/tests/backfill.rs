//! Texts that came to the carrier and not to us: found in its list, shown once, in order.
//!
//! The carrier is a list that a test writes. The loop does not run: each look is driven.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bus::Intake;
use carriers::{
    CallError, Carrier, Carriers, FetchedMedia, InboundMedia, InboundMessage, LineInfo, MediaError, MediaLimits,
    NumberOrder, NumberSearch, OutboundMessage, OwnedNumber, OwnedPage, ReceivedMessage, ReceivedPage, SendOutcome,
    SentCopy, SentMessage,
};
use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use domain::{CarrierName, LicenseId, PhoneNumber};
use proto::catalogue::CONVERSATIONS_MESSAGE_RECEIVED;
use tokio::sync::Semaphore;

use super::poison::{remove_all, until_buried};
use super::*;
use crate::backfill::Backfiller;
use crate::config::BackfillSettings;
use crate::events::MessageReceived;

const MINUTE: Duration = Duration::from_mins(1);
const EVERY: Duration = Duration::from_mins(15);
const STRANGER: &str = "+14152000009";

/// What was asked: the number, from when on, the page.
type Asked = (String, DateTime<Utc>, Option<String>);

/// A carrier whose list a test writes.
#[derive(Debug, Default)]
struct Listing {
    /// In the order in which they came.
    texts: Mutex<Vec<ReceivedMessage>>,
    failures: Mutex<VecDeque<CallError>>,
    asked: Mutex<Vec<Asked>>,
    is_unlisted: bool,
    /// The next answer waits for a permit.
    gate: Mutex<Option<Arc<Semaphore>>>,
}

/// Texts of a page.
const PAGE: usize = 2;

#[async_trait]
impl Carrier for Listing {
    fn name(&self) -> CarrierName {
        CarrierName::Twilio
    }

    async fn list_received(
        &self,
        to: &PhoneNumber,
        since: DateTime<Utc>,
        page: Option<&str>,
    ) -> Result<Option<ReceivedPage>, CallError> {
        self.asked.lock().unwrap().push((to.as_str().to_owned(), since, page.map(str::to_owned)));
        if let Some(failure) = self.failures.lock().unwrap().pop_front() {
            return Err(failure);
        }
        if self.is_unlisted {
            return Ok(None);
        }
        let gate = self.gate.lock().unwrap().take();
        if let Some(gate) = gate {
            gate.acquire().await.unwrap().forget();
        }
        let texts = self.texts.lock().unwrap();
        let mut listed: Vec<&ReceivedMessage> =
            texts.iter().filter(|text| text.message.to == *to && text.received_at >= since).collect();
        listed.reverse();
        let from: usize = page.map_or(0, |page| page.parse().unwrap());
        let next = (from + PAGE < listed.len()).then(|| (from + PAGE).to_string());
        Ok(Some(ReceivedPage { messages: listed.into_iter().skip(from).take(PAGE).cloned().collect(), next }))
    }

    async fn search_numbers(&self, _: &NumberSearch) -> Result<Vec<PhoneNumber>, CallError> {
        unreachable!()
    }
    async fn buy_number(&self, _: &NumberOrder) -> Result<OwnedNumber, CallError> {
        unreachable!()
    }
    async fn find_owned_number(&self, _: &PhoneNumber, _: &LicenseId) -> Result<Option<OwnedNumber>, CallError> {
        unreachable!()
    }
    async fn list_owned_by(&self, _: &LicenseId) -> Result<Vec<OwnedNumber>, CallError> {
        unreachable!()
    }
    async fn list_owned_numbers(&self, _: Option<&str>) -> Result<OwnedPage, CallError> {
        unreachable!()
    }
    async fn configure_number(&self, _: &OwnedNumber, _: &NumberOrder) -> Result<OwnedNumber, CallError> {
        unreachable!()
    }
    async fn release_number(&self, _: &str) -> Result<(), CallError> {
        unreachable!()
    }
    async fn look_up_line(&self, _: &PhoneNumber) -> Result<LineInfo, CallError> {
        unreachable!()
    }
    async fn send_message(&self, _: &OutboundMessage) -> SendOutcome {
        unreachable!()
    }
    async fn find_sent(&self, _: &SentMessage) -> Result<Option<Vec<SentCopy>>, CallError> {
        unreachable!()
    }
    async fn get_sent(&self, _: &str) -> Result<Option<SentCopy>, CallError> {
        unreachable!()
    }
    async fn fetch_media(&self, _: &InboundMedia, _: &MediaLimits) -> Result<FetchedMedia, MediaError> {
        unreachable!()
    }
}

impl Listing {
    /// A text came to the carrier, whatever became of its webhook.
    fn take(&self, id: &str, from: &str, to: &str, body: &str, received_at: DateTime<Utc>) {
        let message = InboundMessage {
            carrier_message_id: id.to_owned(),
            from: PhoneNumber::from_e164(from).unwrap(),
            to: PhoneNumber::from_e164(to).unwrap(),
            body: body.to_owned(),
            media: Vec::new(),
            segments: Some(1),
        };
        self.texts.lock().unwrap().push(ReceivedMessage { message, received_at });
    }

    fn fail(&self, failure: CallError) {
        self.failures.lock().unwrap().push_back(failure);
    }

    /// What was asked since the last time.
    fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

struct Backfill {
    world: World,
    carrier: Arc<Listing>,
    backfiller: Backfiller,
}

impl std::ops::Deref for Backfill {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl Backfill {
    async fn with_ann() -> Self {
        Self::with_carrier(Listing::default()).await
    }

    async fn with_carrier(listing: Listing) -> Self {
        let world = World::with_ann().await;
        let settings = BackfillSettings {
            every_s: EVERY.as_secs(),
            overlap_s: 600,
            furthest_s: 7 * 24 * 3_600,
            calls_per_second: 10_000,
        };
        let carrier = Arc::new(listing);
        let handler =
            MessageReceived::new(Pusher::new(world.pool().clone(), world.bus.clone(), CancellationToken::new()).0);
        let (pool, bus, clock) = (world.pool().clone(), world.bus.clone(), world.clock.clone());
        let intake = Intake::new(bus, pool.clone(), clock.clone(), CONVERSATIONS_MESSAGE_RECEIVED, handler);
        let carriers = Carriers::new([carrier.clone() as Arc<dyn Carrier>]);
        let backfiller = Backfiller::new(pool, clock, carriers, intake, &settings);
        Self { world, carrier, backfiller }
    }

    /// A text to the office that comes to the carrier now.
    fn takes(&self, id: &str, from: &str, body: &str) {
        self.carrier.take(id, from, OFFICE, body, self.clock.now());
    }

    /// Its webhook, too.
    async fn hears(&self, id: &str, from: &str, body: &str) {
        self.takes(id, from, body);
        self.webhook(id, from, body).await;
    }

    async fn webhook(&self, id: &str, from: &str, body: &str) {
        let event = ingest::MessageReceived { carrier_message_id: id.to_owned(), ..self.text(from, OFFICE, body) };
        let (event_id, event) = event.identify().unwrap();
        self.publish(&event, &event_id).await;
        self.until_applied::<ingest::MessageReceived>(&[event_id]).await;
    }

    /// Looks at every number that is due. Returns how many.
    async fn look(&self) -> usize {
        let claimed = self.backfiller.claim(100).await.unwrap();
        let looks = claimed.len();
        for each in claimed {
            self.backfiller.look_at(each, &CancellationToken::new()).await;
        }
        looks
    }

    /// Waits a period, then looks.
    async fn look_again(&self) {
        self.clock.advance(EVERY);
        assert_eq!(self.look().await, 1);
    }

    /// What stands in the newest conversation, newest first.
    async fn shown(&self) -> Vec<String> {
        let conversation = self.list_conversations(ACME).await.remove(0);
        let messages = self.list_messages(ACME, &conversation.conversation_id).await.unwrap();
        messages.into_iter().map(|message| message.body).collect()
    }

    /// Erases the newest conversation.
    async fn delete(&self) {
        let conversation_id = self.list_conversations(ACME).await.remove(0).conversation_id;
        let request = wire::DeleteConversationRequest {
            license_id: ACME.to_owned(),
            conversation_id,
            manager: Some(manager("m-1", "Mia")),
        };
        answer(self.conversations.clone().delete_conversation(request).await).unwrap();
    }

    async fn resume(&self) {
        self.apply(&[ingest::ReceivingResumed { resumed_at: Some(to_timestamp(self.clock.now())) }]).await;
    }

    async fn finish(self) {
        self.world.finish().await;
    }
}

#[tokio::test]
async fn a_text_whose_webhook_was_lost_appears_by_itself_once_and_in_order() {
    let backfill = Backfill::with_ann().await;
    assert_eq!(backfill.look().await, 1, "a new number is looked at");
    backfill.hears("SM1", ANN, "one").await;
    backfill.clock.advance(MINUTE);
    backfill.takes("SM2", ANN, "two");
    backfill.takes("SM3", ANN, "two and a half");
    backfill.clock.advance(MINUTE);
    backfill.hears("SM4", ANN, "three").await;
    let head = backfill.head(ACME).await;
    assert_eq!(backfill.look().await, 0, "it is not due yet");

    backfill.look_again().await;
    assert_eq!(backfill.shown().await, ["three", "two and a half", "two", "one"]);
    let conversation = backfill.list_conversations(ACME).await.remove(0);
    assert_eq!(conversation.last_message.unwrap().body, "three");
    // New on the feed, in the order in which people sent it.
    let entries = backfill.feed_after(ACME, head).await;
    assert_eq!(kinds(&entries), ["message.created", "message.created"]);
    assert!(entries.iter().all(|entry| entry.occurred_at == Some(to_timestamp(backfill.clock.now()))));
    let Some(Content::MessageCreated(first)) = &entries[0].content else { panic!("{:?}", entries[0]) };
    assert_eq!(first.body, "two");

    // Neither another look nor the webhook, should it come at last, shows it again.
    backfill.look_again().await;
    backfill.webhook("SM2", ANN, "two").await;
    assert_eq!(backfill.count("messages").await, 4);
    assert_eq!(backfill.head(ACME).await, head + 2);
    backfill.finish().await;
}

#[tokio::test]
async fn a_look_asks_from_a_while_before_the_last_one_and_after_a_long_outage_no_further_than_told() {
    let backfill = Backfill::with_ann().await;
    let assigned = backfill.clock.now();
    backfill.look().await;
    backfill.look_again().await;
    backfill.look_again().await;
    backfill.clock.advance(Duration::from_hours(24 * 30));
    backfill.look().await;
    let since: Vec<_> = backfill.carrier.asked().into_iter().map(|(number, since, _)| (number, since)).collect();
    let expected = [assigned, assigned, assigned + TimeDelta::minutes(5), backfill.clock.now() - TimeDelta::days(7)];
    assert_eq!(since, expected.map(|since| (OFFICE.to_owned(), since)));
    backfill.finish().await;
}

#[tokio::test]
async fn all_pages_are_read_and_their_texts_appear_in_the_order_in_which_they_came() {
    let backfill = Backfill::with_ann().await;
    let bodies: Vec<String> = (0..5).map(|n| format!("text {n}")).collect();
    for (n, body) in bodies.iter().enumerate() {
        // Carriers' times are whole seconds: some are equal.
        if n % 2 == 0 {
            backfill.clock.advance(MINUTE);
        }
        backfill.takes(&format!("SM{n}"), ANN, body);
    }
    let head = backfill.head(ACME).await;
    backfill.look().await;
    let pages: Vec<_> = backfill.carrier.asked().into_iter().map(|(.., page)| page).collect();
    assert_eq!(pages, [None, Some("2".to_owned()), Some("4".to_owned())]);
    let told: Vec<String> = backfill
        .feed_after(ACME, head)
        .await
        .into_iter()
        .filter_map(|entry| match entry.content {
            Some(Content::MessageCreated(message)) => Some(message.body),
            _ => None,
        })
        .collect();
    assert_eq!(told, bodies);
    let shown: Vec<String> = backfill.shown().await.into_iter().rev().collect();
    assert_eq!(shown, bodies);
    backfill.finish().await;
}

#[tokio::test]
async fn a_text_that_is_found_stands_after_what_its_sender_texted_before_it_though_a_list_tells_only_seconds() {
    let backfill = Backfill::with_ann().await;
    backfill.look().await;
    backfill.clock.advance(Duration::from_millis(1_100));
    let listed_at = backfill.clock.now().trunc_subsecs(0);
    let lists = |id: &str, from: &str, body: &str| backfill.carrier.take(id, from, OFFICE, body, listed_at);
    // All in one second. What came by webhook has the time at which it came, here even a later second: it was repeated.
    lists("SM1", ANN, "one");
    backfill.clock.advance(Duration::from_secs(1));
    backfill.webhook("SM1", ANN, "one").await;
    for (id, from, body) in [
        ("SM2", ANN, "two"),
        ("SM3", STRANGER, "who is this?"),
        ("SM4", ANN, "three"),
        ("SM5", STRANGER, "hello?"),
        ("SM6", ANN, "four"),
    ] {
        lists(id, from, body);
    }
    backfill.clock.advance(Duration::from_millis(200));
    lists("SM7", ANN, "five");
    backfill.webhook("SM7", ANN, "five").await;
    backfill.look_again().await;
    assert_eq!(backfill.shown().await, ["five", "four", "three", "two", "one"]);
    // Nobody's text is put off because of somebody else's.
    let strangers: Vec<DateTime<Utc>> =
        sqlx::query_scalar("select received_at from unmatched_messages").fetch_all(backfill.pool()).await.unwrap();
    assert_eq!(strangers.iter().map(|at| at.trunc_subsecs(0)).collect::<Vec<_>>(), [listed_at; 2]);
    backfill.finish().await;
}

#[tokio::test]
async fn a_text_to_the_number_before_it_was_the_licenses_is_never_shown() {
    let backfill = Backfill::with_ann().await;
    let now = backfill.clock.now();
    backfill.carrier.take("SM0", ANN, OFFICE, "for who had it before", now - TimeDelta::seconds(1));
    backfill.carrier.take("SM1", ANN, OFFICE, "for us", now);
    backfill.look().await;
    assert_eq!((backfill.count("messages").await, backfill.count("unmatched_messages").await), (1, 0));
    assert_eq!(backfill.shown().await, ["for us"]);
    backfill.finish().await;
}

#[tokio::test]
async fn a_replaced_number_is_looked_at_no_more_and_the_new_one_from_its_assignment() {
    const NEW: &str = "+16462000200";
    let backfill = Backfill::with_ann().await;
    backfill.look().await;
    backfill.clock.advance(EVERY);
    let under_way = backfill.backfiller.claim(1).await.unwrap().remove(0);
    backfill.clock.advance(MINUTE);
    backfill.assign(ACME, NEW, 2).await;
    let assigned = backfill.clock.now();
    // Who is still looking at the old one changes nothing about the new one.
    backfill.carrier.asked();
    backfill.backfiller.look_at(under_way, &CancellationToken::new()).await;
    backfill.takes("SM1", ANN, "to the old one");
    backfill.carrier.take("SM2", ANN, NEW, "to the new one", assigned);
    assert_eq!(backfill.look().await, 1);
    let asked: Vec<_> = backfill.carrier.asked().into_iter().map(|(number, since, _)| (number, since)).collect();
    assert_eq!(asked[1..], [(NEW.to_owned(), assigned)]);
    assert_eq!(backfill.shown().await, ["to the new one"]);

    // The same number told again is no new one.
    backfill.look_again().await;
    let (checked_to, due_at): (DateTime<Utc>, DateTime<Utc>) =
        sqlx::query_as("select checked_to, due_at from backfills").fetch_one(backfill.pool()).await.unwrap();
    assert_eq!((checked_to, due_at), (backfill.clock.now(), backfill.clock.now() + EVERY));
    assert_eq!(backfill.count("backfills").await, 1);
    backfill.finish().await;
}

#[tokio::test]
async fn a_deleted_conversation_is_not_brought_back_by_the_carriers_list() {
    let backfill = Backfill::with_ann().await;
    backfill.hears("SM1", ANN, "erase me").await;
    backfill.delete().await;
    backfill.look().await;
    backfill.look_again().await;
    assert_eq!((backfill.count("messages").await, backfill.count("conversations").await), (0, 0));

    // Nor what never got so far, and was erased with its dead letter.
    backfill.hears("SM2", ANN, "hello again").await;
    sqlx::query("update people set kind = 'ghost'").execute(backfill.pool()).await.unwrap();
    backfill.takes("SM3", ANN, "erase me, too");
    backfill.look_again().await;
    until_buried(&backfill, 1).await;
    sqlx::query("update people set kind = 'tenant'").execute(backfill.pool()).await.unwrap();
    backfill.delete().await;
    until_buried(&backfill, 0).await;
    sqlx::query("update backfills set checked_to = assigned_at").execute(backfill.pool()).await.unwrap();
    backfill.look_again().await;
    assert_eq!((backfill.count("messages").await, backfill.count("conversations").await), (0, 0));
    backfill.finish().await;
}

#[tokio::test]
async fn what_is_found_goes_through_the_same_door_strangers_are_kept_apart_and_stop_stops() {
    let backfill = Backfill::with_ann().await;
    backfill.takes("SM1", STRANGER, "who is this?");
    backfill.takes("SM2", ANN, "STOP");
    backfill.look().await;
    assert_eq!(backfill.count("unmatched_messages").await, 1);
    assert_eq!(backfill.shown().await, ["STOP"]);
    let refused = backfill.send(send(vec![person("ann")], "hello")).await.unwrap();
    assert_eq!(codes(&refused.rejected), ["recipient_opted_out"]);
    backfill.finish().await;
}

#[tokio::test]
async fn an_old_keyword_that_is_found_late_does_not_overrule_a_newer_one() {
    // What came before the lost one, the lost one, what came after it, and what holds then.
    for (before, lost, after, refused) in [
        (Some("STOP"), "START", Some("STOP"), true),
        (Some("START"), "STOP", Some("START"), false),
        (None, "STOP", Some("START"), false),
        (None, "STOP", Some("thanks, start on Monday please"), true),
        (Some("STOP"), "START", Some("help"), false),
        (None, "STOP", None, true),
    ] {
        let backfill = Backfill::with_ann().await;
        // So that there is something to be lifted.
        backfill.hears("SM0", ANN, if lost == "STOP" && before.is_none() { "hello" } else { "STOP" }).await;
        for (id, heard) in [("SM1", before), ("SM3", after)] {
            backfill.clock.advance(MINUTE);
            if let Some(heard) = heard {
                backfill.hears(id, ANN, heard).await;
            }
            backfill.clock.advance(MINUTE);
            if id == "SM1" {
                backfill.takes("SM2", ANN, lost);
            }
        }
        backfill.look().await;
        assert!(backfill.shown().await.contains(&lost.to_owned()));
        let sent = backfill.send(send(vec![person("ann")], "hello")).await.unwrap();
        assert_eq!(!sent.rejected.is_empty(), refused, "{before:?} {lost} {after:?}");
        backfill.finish().await;
    }
}

#[tokio::test]
async fn a_carrier_that_does_not_answer_is_asked_again_and_nothing_is_skipped() {
    let backfill = Backfill::with_ann().await;
    backfill.look().await;
    backfill.takes("SM1", ANN, "lost");
    backfill.clock.advance(EVERY);
    backfill.carrier.fail(CallError::Unreachable { cause: "refused".into() });
    assert_eq!(backfill.look().await, 1);
    assert_eq!(backfill.look().await, 0);
    backfill.clock.advance(Duration::from_secs(10));
    let patience = Some(Duration::from_millis(50));
    backfill.carrier.fail(CallError::Throttled { retry_after: patience });
    assert_eq!(backfill.look().await, 1);
    backfill.clock.advance(Duration::from_secs(19));
    assert_eq!(backfill.look().await, 0);
    // Long after: what was not listed then is listed now.
    backfill.clock.advance(Duration::from_hours(5));
    assert_eq!(backfill.look().await, 1);
    assert_eq!(backfill.shown().await, ["lost"]);
    backfill.look_again().await;
    backfill.finish().await;
}

#[tokio::test]
async fn a_carrier_without_a_list_is_not_asked_again() {
    let backfill = Backfill::with_carrier(Listing { is_unlisted: true, ..Listing::default() }).await;
    assert_eq!(backfill.look().await, 1);
    backfill.clock.advance(Duration::from_hours(24));
    backfill.resume().await;
    assert_eq!(backfill.look().await, 0);
    backfill.finish().await;
}

#[tokio::test]
async fn after_an_outage_of_the_door_every_number_is_looked_at_once_however_often_it_is_said() {
    let backfill = Backfill::with_ann().await;
    backfill.assign("other", "+16462000300", 1).await;
    assert_eq!(backfill.look().await, 2);
    backfill.clock.advance(MINUTE);
    backfill.takes("SM1", ANN, "turned away");
    assert_eq!(backfill.look().await, 0);
    backfill.clock.advance(MINUTE);
    backfill.resume().await;
    // A worker looks at one of them, and meanwhile another replica of ingest is back.
    let under_way = backfill.backfiller.claim(1).await.unwrap().remove(0);
    let gate = Arc::new(Semaphore::new(0));
    *backfill.carrier.gate.lock().unwrap() = Some(gate.clone());
    backfill.carrier.asked();
    let stopping = CancellationToken::new();
    tokio::join!(backfill.backfiller.look_at(under_way, &stopping), async {
        testkit::eventually("the question", async || match backfill.carrier.asked().len() {
            1 => Ok(()),
            asked => Err(asked),
        })
        .await;
        backfill.clock.advance(MINUTE);
        backfill.resume().await;
        backfill.clock.advance(MINUTE);
        gate.add_permits(1);
    });
    assert_eq!(backfill.look().await, 2, "the one that was looked at began too early");
    assert_eq!(backfill.shown().await, ["turned away"]);
    assert_eq!(backfill.look().await, 0);
    // Late news of what is over already.
    let before = ingest::ReceivingResumed { resumed_at: Some(to_timestamp(backfill.clock.now() - MINUTE)) };
    backfill.apply(&[before]).await;
    assert_eq!(backfill.look().await, 0);
    backfill.finish().await;
}

#[tokio::test]
async fn workers_look_at_different_numbers_and_one_that_died_is_replaced_and_one_that_stops_gives_back() {
    let backfill = Backfill::with_ann().await;
    for n in 0..9 {
        backfill.assign(&format!("license-{n}"), &format!("+1646200040{n}"), 1).await;
    }
    let claims = join_all((0..5).map(|_| backfill.backfiller.claim(3))).await;
    let mut claimed: Vec<_> = claims.into_iter().flat_map(Result::unwrap).map(|each| each.number).collect();
    claimed.sort();
    claimed.dedup();
    assert_eq!(claimed.len(), 10);
    assert_eq!(backfill.look().await, 0);
    backfill.clock.advance(5 * MINUTE);
    let mut left = backfill.backfiller.claim(10).await.unwrap();
    assert_eq!(left.len(), 10, "nobody else came back");

    let stopping = CancellationToken::new();
    stopping.cancel();
    backfill.backfiller.look_at(left.remove(0), &stopping).await;
    assert_eq!(backfill.carrier.asked(), []);
    assert_eq!(backfill.look().await, 1);
    backfill.finish().await;
}

#[tokio::test]
async fn a_poison_text_in_the_list_becomes_a_dead_letter_and_holds_up_nobody() {
    let backfill = Backfill::with_ann().await;
    backfill.put_person(ACME, "bob", &[BOB]).await.unwrap();
    // Something that is not this service has been here.
    sqlx::query("update people set kind = 'ghost' where person_id = 'bob'").execute(backfill.pool()).await.unwrap();
    backfill.takes("SM1", ANN, "before");
    backfill.takes("SM2", BOB, "poison");
    backfill.takes("SM3", ANN, "after");
    backfill.look().await;
    assert_eq!(backfill.shown().await, ["after", "before"]);
    let letters = until_buried(&backfill, 1).await;
    assert_eq!(letters[0].event_id, "twilio:SM2");
    // It is over for the list, and a person decides.
    backfill.clock.advance(Duration::from_hours(1));
    backfill.look().await;
    backfill.clock.advance(Duration::from_hours(1));
    backfill.look().await;
    remove_all(&backfill, &backfill.list_dead_letters().await).await;
    backfill.finish().await;
}
