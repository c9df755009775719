//! Rule 16, the finding out: what settles a message whose outcome nobody knows, and one without a receipt.

use proptest::prelude::*;
use proto::conversations::Priority::{Batch, Reply};
use serde_json::json;
use tokio::task::JoinSet;

use super::*;

impl World {
    /// A minute at a time, as all loops of a process would do it.
    async fn pass_minutes(&self, minutes: usize) {
        for _ in 0..minutes * 6 {
            self.clock.advance(Duration::from_secs(10));
            self.sweep().await;
            self.inquire().await;
            self.work(&self.replica(0.0)).await;
        }
    }

    /// A send whose answer is lost in this way.
    async fn unknown(&self, carrier: CarrierName, fault: &str) -> String {
        self.assign_at(carrier, "acme", 1).await;
        self.simulator.set_faults(json!([{ "on": "send", "kind": fault, "count": 1 }])).await;
        let message = self.queue("acme", PHONE, Reply, 1).await.remove(0);
        self.work(&self.replica(0.0)).await;
        assert_eq!(self.state(&message).await, "unknown", "{carrier} {fault}");
        message
    }

    /// Questions to the carrier's list so far.
    async fn looks(&self) -> usize {
        self.requests("GET", "/Messages.json").await
    }

    async fn requests(&self, method: &str, path: &str) -> usize {
        let answer = self.simulator.get("/_sim/requests").await;
        let requests = answer["requests"].as_array().unwrap();
        let fits = |request: &&serde_json::Value| {
            request["method"] == method && request["path"].as_str().unwrap().contains(path)
        };
        requests.iter().filter(fits).count()
    }
}

#[tokio::test]
async fn one_message_leads_to_at_most_one_text_and_the_carrier_s_list_settles_it_without_a_receipt() {
    for fault in ["timeout_after_accept", "http_500_after_accept", "reset_after_accept"] {
        let world = World::new().await;
        let message = world.unknown(CarrierName::Twilio, fault).await;
        world.pass_minutes(1).await;
        assert_eq!(world.state(&message).await, "accepted", "{fault}");
        assert_eq!(world.texts(PHONE).await, [message.as_str()], "{fault}");
        let statuses = world.statuses(&message).await;
        assert_eq!(statuses[..2], ["unknown", "sending"], "{fault}");
        let sending = world.events(&message).await.remove(1);
        let sid = world.simulator.inbox(PHONE).await[0]["message_sid"].clone();
        assert_eq!(sending.carrier_message_id.as_deref(), sid.as_str(), "{fault}");
        world.pass_minutes(10).await;
        assert_eq!(world.texts(PHONE).await.len(), 1, "{fault}");
    }
}

#[tokio::test]
async fn what_the_carrier_surely_did_not_take_goes_out_once_after_it_was_looked_for_more_than_once() {
    for fault in ["timeout_before_accept", "http_500", "reset_before_accept"] {
        let world = World::new().await;
        let message = world.unknown(CarrierName::Twilio, fault).await;
        world.pass_minutes(1).await;
        assert_eq!((world.state(&message).await, world.looks().await), ("unknown".into(), 2), "{fault}: no hurry");
        world.pass_minutes(2).await;
        assert_eq!(world.texts(PHONE).await, [message.as_str()], "{fault}");
        assert_eq!(world.looks().await, 3, "{fault}");
        assert_eq!(world.statuses(&message).await[..2], ["unknown", "sending"], "{fault}");
    }
}

#[tokio::test]
async fn what_a_crash_left_behind_before_the_call_is_not_lost() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    let message = world.queue("acme", PHONE, Reply, 1).await.remove(0);
    world.store.claim(&everything(Pace::OFF), world.clock.now()).await.unwrap();
    world.pass_minutes(5).await;
    assert_eq!(world.texts(PHONE).await, [message]);
}

#[tokio::test]
async fn two_messages_of_the_same_text_never_take_the_same_copy() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    let once = json!([{ "on": "send", "kind": "http_500_after_accept", "count": 1 }, { "on": "send", "kind": "http_500", "count": 1 }]);
    world.simulator.set_faults(once).await;
    let mut same: Vec<_> = (0..3).map(|_| world.queued("acme", PHONE, Reply)).collect();
    for event in &mut same {
        event.body = "On my way".to_owned();
    }
    // The first is taken without an answer, the second not taken; the third is taken and says so.
    for event in &same {
        world.take_over(std::slice::from_ref(event)).await;
        world.work(&world.replica(0.0)).await;
        world.clock.advance(Duration::from_secs(1));
    }
    world.pass_minutes(5).await;
    for event in &same {
        assert_eq!(world.state(&event.message_id).await, "accepted");
    }
    assert_eq!(world.texts(PHONE).await, ["On my way"; 3]);
    let mut sids = Vec::new();
    for event in &same {
        let events = world.events(&event.message_id).await;
        sids.push(events.into_iter().find_map(|event| event.carrier_message_id).unwrap());
    }
    assert!(is_distinct(&sids), "{sids:?}");
}

#[tokio::test]
async fn a_carrier_that_cannot_be_asked_is_asked_again_and_nothing_is_sent_meanwhile() {
    let world = World::new().await;
    let message = world.unknown(CarrierName::Twilio, "http_500_after_accept").await;
    world.simulator.set_faults(json!([{ "on": "list", "kind": "http_500" }])).await;
    world.pass_minutes(10).await;
    assert_eq!(world.state(&message).await, "unknown");
    assert!(world.looks().await > 5);
    world.simulator.set_faults(json!([])).await;
    world.pass_minutes(2).await;
    assert_eq!(world.state(&message).await, "accepted");
    assert_eq!(world.texts(PHONE).await.len(), 1);
}

#[tokio::test]
async fn without_a_list_a_person_decides_when_no_receipt_came_and_a_late_one_still_settles() {
    for fault in ["http_500", "http_500_after_accept"] {
        let world = World::new().await;
        let message = world.unknown(CarrierName::Telnyx, fault).await;
        world.pass_minutes(1).await;
        assert_eq!((world.state(&message).await, world.statuses(&message).await.len()), ("unknown".into(), 1));
        world.pass_minutes(2).await;
        assert_eq!(world.state(&message).await, "unconfirmed", "{fault}");
        let told = world.events(&message).await.pop().unwrap();
        assert_eq!((told.status.as_str(), told.error.unwrap().code.as_str()), ("unknown", "not_confirmed"));
        let texts = usize::from(fault == "http_500_after_accept");
        world.pass_minutes(10).await;
        assert_eq!(world.texts(PHONE).await.len(), texts, "{fault}: it is not sent again by itself");
        world.receipt(&message).await;
        assert_eq!(world.state(&message).await, "accepted");
        assert_eq!(world.statuses(&message).await, ["unknown", "unknown", "sending"]);
    }
}

#[tokio::test]
async fn what_was_not_taken_of_a_canceled_batch_is_canceled_and_not_sent() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    world.simulator.set_faults(json!([{ "on": "send", "kind": "http_500", "count": 1 }])).await;
    let batch = super::withdrawals::new_batch();
    let event = world.of_batch(&batch, PHONE);
    world.take_over(std::slice::from_ref(&event)).await;
    world.work(&world.replica(0.0)).await;
    world.cancel(&batch).await;
    world.pass_minutes(5).await;
    assert_eq!(world.statuses(&event.message_id).await, ["unknown", "canceled"]);
    assert_eq!(world.texts(PHONE).await.len(), 0);
}

#[tokio::test]
async fn what_a_receipt_settles_while_the_carrier_is_asked_stays_settled() {
    let world = World::new().await;
    let message = world.unknown(CarrierName::Twilio, "http_500").await;
    world.pass_minutes(1).await;
    world.clock.advance(Duration::from_mins(2));
    let now = world.clock.now();
    let claimed =
        world.store.claim_inquiries(CarrierName::ALL, 8, now + TimeDelta::minutes(1), now).await.unwrap().remove(0);
    world.receipt(&message).await;
    let nothing = crate::model::Evidence::List(Vec::new());
    let started = now - TimeDelta::minutes(3);
    world.store.record_evidence(&claimed, started, nothing, now).await.unwrap();
    assert_eq!(world.state(&message).await, "accepted");
    world.pass_minutes(10).await;
    assert_eq!(world.texts(PHONE).await.len(), 0, "the carrier's own word counts");
}

#[tokio::test]
async fn a_question_is_one_replica_s_until_its_lease_is_over() {
    let world = World::new().await;
    world.unknown(CarrierName::Twilio, "http_500").await;
    world.clock.advance(Duration::from_secs(10));
    let claim = async || {
        let now = world.clock.now();
        world.store.claim_inquiries(CarrierName::ALL, 8, now + TimeDelta::minutes(1), now).await.unwrap().len()
    };
    assert_eq!((claim().await, claim().await), (1, 0));
    world.clock.advance(Duration::from_mins(1));
    assert_eq!(claim().await, 1, "its holder has died");
}

#[tokio::test]
async fn a_message_without_a_receipt_is_asked_about_and_the_carrier_s_word_is_told() {
    for carrier in CarrierName::ALL {
        let world = World::new().await;
        world.assign_at(*carrier, "acme", 1).await;
        let undelivered = json!([{ "on": "receipt", "kind": "undelivered", "to": OTHER_PHONE }]);
        world.simulator.set_faults(undelivered).await;
        let message = world.queue("acme", PHONE, Reply, 1).await.remove(0);
        let other = world.queue("acme", OTHER_PHONE, Reply, 1).await.remove(0);
        world.work(&world.replica(0.0)).await;
        testkit::eventually("the phone's carrier is done", async || {
            let counts = world.simulator.get("/_sim/counts").await;
            let told =
                counts["receipts_failed"].as_u64().unwrap_or(0) + counts["receipts_delivered"].as_u64().unwrap_or(0);
            if told >= 4 { Ok(()) } else { Err(counts) }
        })
        .await;
        world.pass_minutes(9).await;
        assert_eq!(world.statuses(&message).await, ["sending"], "{carrier}: receipts may still come");
        world.pass_minutes(2).await;
        assert_eq!(world.statuses(&message).await, ["sending", "delivered"], "{carrier}");
        let told = world.events(&other).await.pop().unwrap();
        assert_eq!((told.status.as_str(), told.error.unwrap().code.as_str()), ("undelivered", "not_reachable"));
        world.pass_minutes(20).await;
        assert_eq!(world.statuses(&message).await.len(), 2, "{carrier}: it is not asked about again");
    }
}

#[tokio::test]
async fn a_receipt_of_the_end_ends_the_asking_and_one_on_the_way_does_not() {
    let world = World::new().await;
    world.assign("acme", 1).await;
    let messages = world.queue("acme", PHONE, Reply, 2).await;
    world.work(&world.replica(0.0)).await;
    world.receipt_with(&messages[0], "delivered", None).await;
    world.receipt_with(&messages[1], "sent", None).await;
    world.clock.advance(Duration::from_mins(11));
    assert_eq!(world.inquire().await, 1);
    assert_eq!(world.statuses(&messages[0]).await, ["sending"]);
}

/// What may happen to a message, and to the one who sends it.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Queued(bool),
    /// A turn, with this fault for its first send.
    Sent(&'static str),
    DiedBeforeCall,
    DiedAfterCall,
    ReceiptOf(usize),
    SecondsPassed(u64),
    Swept,
    Asked,
    AskedInVain,
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let fault = prop::sample::select(vec![
        "",
        "",
        "http_429",
        "http_500",
        "http_500_after_accept",
        "reset_before_accept",
        "reset_after_accept",
    ]);
    let one = prop_oneof![
        2 => any::<bool>().prop_map(Happening::Queued),
        4 => fault.prop_map(Happening::Sent),
        1 => Just(Happening::DiedBeforeCall),
        1 => Just(Happening::DiedAfterCall),
        2 => (0_usize..8).prop_map(Happening::ReceiptOf),
        4 => prop::sample::select(vec![1_u64, 7, 31, 61, 130]).prop_map(Happening::SecondsPassed),
        2 => Just(Happening::Swept),
        3 => Just(Happening::Asked),
        1 => Just(Happening::AskedInVain),
    ];
    prop::collection::vec(one, 5..30)
}

impl World {
    async fn let_happen(&self, happening: Happening, messages: &mut Vec<String>) {
        let sender = self.replica(0.0);
        match happening {
            Happening::Queued(reply) => {
                messages.append(&mut self.queue("acme", PHONE, if reply { Reply } else { Batch }, 1).await);
            }
            Happening::Sent("") => self.work(&sender).await,
            Happening::Sent(fault) => {
                self.simulator.set_faults(json!([{ "on": "send", "kind": fault, "count": 1 }])).await;
                self.work(&sender).await;
                self.simulator.set_faults(json!([])).await;
            }
            Happening::DiedBeforeCall => {
                drop(self.store.claim(&everything(Pace::OFF), self.clock.now()).await.unwrap());
            }
            Happening::DiedAfterCall => {
                let (recorder, finished) = sender.recorder();
                let mut calls = JoinSet::new();
                sender.take_turn(&mut calls, &finished).await.unwrap();
                while calls.join_next().await.is_some() {}
                drop((recorder, finished));
            }
            Happening::ReceiptOf(index) => {
                // Only what the carrier has can have a receipt.
                let texts = self.simulator.inbox(PHONE).await;
                if let Some(text) = messages.get(index).and_then(|id| texts.iter().find(|text| text["body"] == **id)) {
                    let (id, sid) = (text["body"].as_str().unwrap(), text["message_sid"].as_str().unwrap());
                    self.receipt_from(sid, id, "delivered", None).await;
                }
            }
            Happening::SecondsPassed(seconds) => self.clock.advance(Duration::from_secs(seconds)),
            Happening::Swept => self.sweep().await,
            Happening::Asked => drop(self.inquire().await),
            Happening::AskedInVain => drop(self.inquire_at("http://127.0.0.1:1").await),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 40, ..ProptestConfig::default() })]

    #[test]
    fn at_most_one_text_and_none_lost_whatever_happens_in_whatever_order(happenings in happenings()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new().await;
            world.assign("acme", 1).await;
            let mut messages = Vec::new();
            for happening in &happenings {
                world.let_happen(*happening, &mut messages).await;
                let texts = world.texts(PHONE).await;
                assert!(is_distinct(&texts), "twice on the phone after {happening:?}: {happenings:?}");
            }
            world.pass_minutes(8).await;
            let mut texts = world.texts(PHONE).await;
            texts.sort();
            messages.sort();
            assert_eq!(texts, messages, "{happenings:?}");
            assert_eq!(world.count("accepted").await, i64::try_from(messages.len()).unwrap(), "{happenings:?}");
        });
    }
}
