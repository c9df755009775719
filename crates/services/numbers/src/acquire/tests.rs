//! The saga against a real database and the real Twilio adapter, with the simulator as carrier.
//! A replica is driven by `run_due`; a crash is a replica that is dropped between two steps.

use std::collections::HashSet;

use bus::Bus;
use carriers::twilio::{Twilio, TwilioSettings};
use chrono::{DateTime, Utc};
use domain::{CompanyName, LicenseId};
use prost::Message as _;
use proto::numbers::NumberAssigned;
use serde_json::{Value, json};
use sqlx::PgPool;
use testkit::{Database, Simulator};
use url::Url;

use super::*;
use crate::model::acquisition::Step;
use crate::model::license::{Company, LicenseSettings};

/// Short, so that the tests of time-outs are; long enough for a busy machine's quick answers.
const CALL_TIMEOUT: Duration = Duration::from_millis(1_500);
/// Longer than any lease and any pause between tries.
const LATER: Duration = Duration::from_mins(6);

struct World {
    simulator: Simulator,
    database: Database,
    clock: Clock,
    relay: Relay,
}

impl World {
    async fn new() -> Self {
        let database =
            testkit::database(&[("_bus_migrations", &bus::MIGRATIONS), ("_migrations", &crate::MIGRATIONS)]).await;
        let bus = Bus::connect(&testkit::nats(), "numbers").await.unwrap();
        let relay = Relay::new(database.pool.clone(), bus);
        Self { simulator: Simulator::start().await, database, clock: testkit::clock(), relay }
    }

    fn replica(&self) -> Acquirer {
        let settings = TwilioSettings {
            base_url: self.simulator.url().to_owned(),
            account_sid: Simulator::ACCOUNT_SID.to_owned(),
            auth_token: chassis::Secret::from(Simulator::AUTH_TOKEN),
            request_timeout_ms: u64::try_from(CALL_TIMEOUT.as_millis()).unwrap(),
        };
        let carrier = Arc::new(Twilio::new(&settings).unwrap());
        let at = |path: &str| Url::parse("https://in.example.com/webhooks/twilio/").unwrap().join(path).unwrap();
        let webhooks =
            NumberWebhooks { message_url: at("message"), voice_url: at("voice"), voice_status_url: at("voice/after") };
        let store = Store::new(self.pool());
        Acquirer::new(store, carrier, webhooks, CALL_TIMEOUT, self.clock.clone(), self.relay.clone())
    }

    fn pool(&self) -> PgPool {
        self.database.pool.clone()
    }

    async fn put_license(&self, id: &str, phone: Option<&str>) {
        let phone = phone.map(|phone| PhoneNumber::parse(phone).unwrap());
        let company = Company { name: CompanyName::parse("Acme").unwrap(), phone };
        let recorded =
            Store::new(self.pool()).record_license(&license(id), &company, true, self.clock.now()).await.unwrap();
        assert!(recorded.created);
    }

    async fn settings(&self, id: &str) -> LicenseSettings {
        Store::new(self.pool()).get_settings(&license(id)).await.unwrap()
    }

    async fn set_faults(&self, faults: Value) {
        self.simulator.set_faults(faults).await;
    }

    /// The one number that the carrier has sold us, tagged for `acme` and assigned to it, and nothing left to do.
    async fn assert_one_number_owned_and_assigned(&self, case: &str) -> String {
        let owned = self.simulator.numbers().await;
        assert_eq!(owned.len(), 1, "{case}: {owned:?}");
        assert_eq!(owned[0]["friendly_name"], "acme", "{case}");
        let settings = self.settings("acme").await;
        let assigned = settings.messages_number.unwrap_or_else(|| panic!("{case}: {:?}", settings.provisioning));
        assert_eq!(owned[0]["phone_number"], assigned.number.as_str(), "{case}");
        assert_eq!(settings.provisioning, None, "{case}");
        assert_eq!(self.events().await.len(), 1, "{case}");
        assigned.number.as_str().to_owned()
    }

    async fn events(&self) -> Vec<NumberAssigned> {
        let rows: Vec<(String, Vec<u8>)> = sqlx::query_as("select subject, payload from outbox order by position")
            .fetch_all(&self.pool())
            .await
            .unwrap();
        rows.into_iter()
            .map(|(subject, payload)| {
                assert_eq!(subject, "numbers.number.assigned.v1");
                NumberAssigned::decode(payload.as_slice()).unwrap()
            })
            .collect()
    }

    /// What the carrier was asked, oldest first, as `METHOD last-part-of-the-path`.
    async fn calls(&self) -> Vec<String> {
        let answer = self.simulator.get("/_sim/requests").await;
        let mut calls: Vec<String> = answer["requests"].as_array().unwrap().iter().map(describe_call).collect();
        calls.reverse();
        calls
    }
}

fn describe_call(request: &Value) -> String {
    let path = request["path"].as_str().unwrap();
    format!("{} {}", request["method"].as_str().unwrap(), path.rsplit('/').next().unwrap())
}

fn license(id: &str) -> LicenseId {
    LicenseId::parse(id).unwrap()
}

/// Step, failed tries, why, and when the next try is due.
fn provisioning(settings: &LicenseSettings) -> (Step, u32, Option<&'static str>, DateTime<Utc>) {
    let provisioning = settings.provisioning.as_ref().unwrap();
    let last_error = provisioning.last_error.map(Setback::as_str);
    (provisioning.step, provisioning.attempts, last_error, provisioning.next_attempt_at)
}

#[tokio::test]
async fn a_new_license_gets_a_number_by_itself_in_the_area_code_of_the_company_phone() {
    let world = World::new().await;
    world.put_license("acme", Some("+14152345678")).await;
    assert_eq!(world.replica().run_due().await.unwrap(), 1);

    let number = world.assert_one_number_owned_and_assigned("first assignment").await;
    assert!(number.starts_with("+1415"), "{number}");
    let owned = &world.simulator.numbers().await[0];
    assert_eq!(owned["sms_url"], "https://in.example.com/webhooks/twilio/message#rc=3&rp=all");
    assert_eq!(owned["voice_url"], "https://in.example.com/webhooks/twilio/voice");
    assert_eq!(owned["status_callback"], "https://in.example.com/webhooks/twilio/voice/after");
    let event = NumberAssigned {
        license_id: "acme".into(),
        number,
        carrier: "twilio".into(),
        assigned_at: Some(proto::to_timestamp(world.clock.now())),
        version: 1,
    };
    assert_eq!(world.events().await, [event]);
    assert_eq!(world.replica().run_due().await.unwrap(), 0);
}

#[tokio::test]
async fn when_the_area_code_has_no_numbers_any_number_of_the_united_states_is_taken() {
    let world = World::new().await;
    world.set_faults(json!([{ "on": "search", "kind": "area_code_empty", "area_code": "415" }])).await;
    world.put_license("acme", Some("+14152345678")).await;
    world.replica().run_due().await.unwrap();
    let number = world.assert_one_number_owned_and_assigned("area code empty").await;
    assert!(!number.starts_with("+1415"), "{number}");
}

#[tokio::test]
async fn without_an_area_code_any_number_of_the_united_states_is_taken() {
    let world = World::new().await;
    world.put_license("acme", None).await;
    world.replica().run_due().await.unwrap();
    world.assert_one_number_owned_and_assigned("no company phone").await;
}

#[tokio::test]
async fn numbers_must_do_sms_and_voice_and_are_bought_by_their_digits() {
    let world = World::new().await;
    world.put_license("acme", Some("+14152345678")).await;
    world.replica().run_due().await.unwrap();
    let asked = world.simulator.get("/_sim/requests").await;
    let [purchase, search] = asked["requests"].as_array().unwrap().as_slice() else { panic!("{asked}") };
    assert_eq!(search["query"]["SmsEnabled"], json!(["true"]));
    assert_eq!(search["query"]["VoiceEnabled"], json!(["true"]));
    assert_eq!(purchase["method"], "POST");
    assert!(purchase["form"]["PhoneNumber"].is_array());
    assert!(purchase["form"]["AreaCode"].is_null());
}

#[tokio::test]
async fn a_carrier_that_is_too_busy_is_asked_again_later_and_settings_say_so() {
    let world = World::new().await;
    world.set_faults(json!([{ "on": "buy", "kind": "http_429", "count": 2 }])).await;
    world.put_license("acme", None).await;
    let (replica, start) = (world.replica(), world.clock.now());
    replica.run_due().await.unwrap();
    let (step, attempts, last_error, next) = provisioning(&world.settings("acme").await);
    assert_eq!((step, attempts, last_error), (Step::Buying, 1, Some("carrier_throttled")));
    assert!(next > start);
    assert_eq!(replica.run_due().await.unwrap(), 0, "not before it is due");

    world.clock.advance(LATER);
    replica.run_due().await.unwrap();
    assert_eq!(provisioning(&world.settings("acme").await).1, 2);
    world.clock.advance(LATER);
    replica.run_due().await.unwrap();
    world.assert_one_number_owned_and_assigned("429").await;
}

#[tokio::test]
async fn a_purchase_whose_answer_was_lost_is_found_and_never_repeated() {
    for kind in ["http_500_after_accept", "timeout_after_accept", "reset_after_accept"] {
        let world = World::new().await;
        world.set_faults(json!([{ "on": "buy", "kind": kind, "count": 1 }])).await;
        world.put_license("acme", Some("+14152345678")).await;
        let replica = world.replica();
        replica.run_due().await.unwrap();
        let (step, attempts, last_error, _) = provisioning(&world.settings("acme").await);
        assert_eq!((step, attempts, last_error), (Step::Buying, 1, Some("carrier_outcome_unknown")), "{kind}");

        world.clock.advance(Duration::from_secs(1));
        replica.run_due().await.unwrap();
        world.assert_one_number_owned_and_assigned(kind).await;
        let calls = world.calls().await;
        let purchases = calls.iter().filter(|call| *call == "POST IncomingPhoneNumbers.json").count();
        assert_eq!(purchases, 1, "{kind}: {calls:?}");
        assert_eq!(calls[2], "GET IncomingPhoneNumbers.json", "{kind}: the look comes first: {calls:?}");
    }
}

#[tokio::test]
async fn a_purchase_that_did_not_happen_is_made_after_a_look() {
    for kind in ["http_500", "timeout_before_accept", "reset_before_accept"] {
        let world = World::new().await;
        world.set_faults(json!([{ "on": "buy", "kind": kind, "count": 1 }])).await;
        world.put_license("acme", Some("+14152345678")).await;
        let replica = world.replica();
        replica.run_due().await.unwrap();
        world.clock.advance(Duration::from_secs(1));
        replica.run_due().await.unwrap();
        world.assert_one_number_owned_and_assigned(kind).await;
    }
}

#[tokio::test]
async fn a_number_that_was_sold_meanwhile_is_skipped_and_another_one_bought() {
    let world = World::new().await;
    world.set_faults(json!([{ "on": "buy", "kind": "sold_meanwhile", "count": 1 }])).await;
    world.put_license("acme", Some("+14152345678")).await;
    let replica = world.replica();
    replica.run_due().await.unwrap();
    let (step, attempts, last_error, next) = provisioning(&world.settings("acme").await);
    assert_eq!((step, attempts, last_error, next), (Step::Searching, 0, Some("number_taken"), world.clock.now()));
    replica.run_due().await.unwrap();
    let number = world.assert_one_number_owned_and_assigned("sold meanwhile").await;
    assert!(number.starts_with("+1415"), "{number}");
}

#[tokio::test]
async fn a_number_that_our_account_owns_for_another_license_is_left_alone() {
    let world = World::new().await;
    world.put_license("acme", Some("+14152345678")).await;
    let replica = world.replica();
    let (mut held, next) = claim(&replica).await;
    let Some(Next::Buy(number)) = replica.take_step(&mut held, next).await.unwrap() else { panic!("no choice") };
    let webhooks = replica.webhooks.clone();
    replica.carrier.buy_number(&NumberOrder { number, license_id: license("other"), webhooks }).await.unwrap();

    world.clock.advance(LATER);
    replica.run_due().await.unwrap();
    replica.run_due().await.unwrap();
    let assigned = world.settings("acme").await.messages_number.unwrap().number;
    assert_ne!(assigned, number);
    let owned = world.simulator.numbers().await;
    let tags: HashSet<_> = owned.iter().map(|owned| owned["friendly_name"].as_str().unwrap()).collect();
    assert_eq!((owned.len(), tags), (2, HashSet::from(["acme", "other"])));
}

#[tokio::test]
async fn while_there_are_no_numbers_at_all_settings_say_so_and_the_search_goes_on() {
    let world = World::new().await;
    world.set_faults(json!([{ "on": "search", "kind": "sold_out" }])).await;
    world.put_license("acme", Some("+14152345678")).await;
    let replica = world.replica();
    for (attempt, pause) in [(1, 1), (2, 2), (3, 4)] {
        replica.run_due().await.unwrap();
        let (step, attempts, last_error, next) = provisioning(&world.settings("acme").await);
        assert_eq!((step, attempts, last_error), (Step::Searching, attempt, Some("no_numbers_available")));
        assert_eq!((next - world.clock.now()).num_seconds(), pause);
        world.clock.advance(Duration::from_secs(4));
    }
    world.set_faults(json!([])).await;
    replica.run_due().await.unwrap();
    world.assert_one_number_owned_and_assigned("numbers are back").await;
}

#[tokio::test]
async fn no_number_is_bought_that_is_some_company_s_own_phone() {
    let world = World::new().await;
    world.put_license("first", Some("+14152345678")).await;
    world.replica().run_due().await.unwrap();
    // The next one that the carrier would offer.
    let search = NumberSearch { area_code: plan_search(world.settings("first").await.company.phone)[0], limit: 1 };
    let offered = world.replica().carrier.search_numbers(&search).await.unwrap()[0];
    world.put_license("second", Some(offered.as_str())).await;
    world.replica().run_due().await.unwrap();
    let assigned = world.settings("second").await.messages_number.unwrap().number;
    assert_ne!(assigned, offered);
    assert_eq!(assigned.area_code(), offered.area_code());
}

#[tokio::test]
async fn two_replicas_buy_one_number_for_each_license() {
    let world = World::new().await;
    let ids: Vec<String> = (0..12).map(|n| format!("license-{n}")).collect();
    for id in &ids {
        // All in one area code: every search shows the same numbers.
        world.put_license(id, Some("+14152345678")).await;
    }
    let (one, other) = (world.replica(), world.replica());
    for _ in 0..4 {
        let (first, second) = tokio::join!(one.run_due(), other.run_due());
        first.unwrap();
        second.unwrap();
        world.clock.advance(LATER);
    }
    let mut assigned = HashSet::new();
    for id in &ids {
        let settings = world.settings(id).await;
        let number = settings.messages_number.unwrap_or_else(|| panic!("{id}: {:?}", settings.provisioning)).number;
        assigned.insert(number.as_str().to_owned());
    }
    let owned = world.simulator.numbers().await;
    let bought: HashSet<_> = owned.iter().map(|owned| owned["phone_number"].as_str().unwrap().to_owned()).collect();
    assert_eq!((owned.len(), assigned.len()), (ids.len(), ids.len()));
    assert_eq!(assigned, bought);
    assert_eq!(world.events().await.len(), ids.len());
}

/// Takes the one acquisition that is due, as `run_due` does.
async fn claim(replica: &Acquirer) -> (Acquisition, Next) {
    let due = replica.store.claim_due_acquisitions(1, replica.lease, replica.clock.now()).await.unwrap();
    let [held] = due.as_slice() else { panic!("{} are due", due.len()) };
    (held.clone(), model::plan_first(held))
}

#[tokio::test]
async fn a_crash_after_each_step_ends_with_exactly_one_number_owned_and_assigned() {
    // Nothing, the choice stored, the number bought, the number assigned.
    for steps in 0..=3 {
        let world = World::new().await;
        world.put_license("acme", Some("+14152345678")).await;
        let replica = world.replica();
        let (mut held, next) = claim(&replica).await;
        let mut next = Some(next);
        for _ in 0..steps {
            next = replica.take_step(&mut held, next.unwrap()).await.unwrap();
        }
        assert_eq!(next.is_none(), steps == 3);
        drop((replica, held));

        let survivor = world.replica();
        assert_eq!(survivor.run_due().await.unwrap(), 0, "the lease of the dead still runs");
        world.clock.advance(LATER);
        survivor.run_due().await.unwrap();
        world.assert_one_number_owned_and_assigned(&format!("crash after {steps} steps")).await;
    }
}

#[tokio::test]
async fn a_crash_while_the_carrier_sells_ends_with_exactly_one_number_owned_and_assigned() {
    let world = World::new().await;
    world.set_faults(json!([{ "on": "buy", "kind": "timeout_after_accept", "count": 1 }])).await;
    world.put_license("acme", Some("+14152345678")).await;
    let replica = world.replica();
    let sold = testkit::eventually("the purchase", async || {
        let owned = world.simulator.numbers().await;
        if owned.is_empty() { Err("nothing sold") } else { Ok(()) }
    });
    tokio::select! {
        () = sold => {}
        worked = replica.run_due() => panic!("the carrier answered: {worked:?}"),
    }
    world.clock.advance(LATER);
    world.replica().run_due().await.unwrap();
    world.assert_one_number_owned_and_assigned("crash during the purchase").await;
}

#[tokio::test]
async fn a_replica_that_was_slower_than_its_lease_changes_nothing() {
    let world = World::new().await;
    world.put_license("acme", Some("+14152345678")).await;
    let slow = world.replica();
    let (mut held, next) = claim(&slow).await;
    let buy = slow.take_step(&mut held, next).await.unwrap().unwrap();
    let assign = slow.take_step(&mut held, buy.clone()).await.unwrap().unwrap();
    world.clock.advance(LATER);
    world.replica().run_due().await.unwrap();

    for late in [buy, assign] {
        assert!(matches!(slow.take_step(&mut held, late).await, Err(StoreError::LeaseLost)));
    }
    world.assert_one_number_owned_and_assigned("lease lost").await;
}

#[tokio::test]
async fn what_a_given_up_purchase_left_behind_is_adopted_before_another_number_is_bought() {
    let world = World::new().await;
    world.set_faults(json!([{ "on": "buy", "kind": "sold_meanwhile", "count": 1 }])).await;
    world.put_license("acme", Some("+14152345678")).await;
    let replica = world.replica();
    replica.run_due().await.unwrap();
    // The carrier's list was late: it now shows a number with our tag.
    let number = PhoneNumber::from_e164("+14152340001").unwrap();
    let webhooks = replica.webhooks.clone();
    replica.carrier.buy_number(&NumberOrder { number, license_id: license("acme"), webhooks }).await.unwrap();
    replica.run_due().await.unwrap();
    assert_eq!(world.assert_one_number_owned_and_assigned("left behind").await, "+14152340001");
}
