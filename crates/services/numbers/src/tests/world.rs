//! One test's world: a database, a namespace, a clock and a carrier; and replicas of the service in it.

use std::time::Duration;

use bus::{Bus, Relay};
use carriers::{NumberOrder, NumberSearch, OwnedNumber};
use chassis::{Clock, Fault, Lifecycle, Secret};
use chrono::{DateTime, Utc};
use domain::{AreaCode, Candidate, CarrierName, Id, LicenseId, PhoneNumber};
use proto::catalogue::Event;
use proto::numbers::{NumberAssigned, PutLicenseRequest};
use serde_json::{Value, json};
use sqlx::{PgPool, PgTransaction};
use testkit::{Database, Simulator};

use crate::acquire::Acquirer;
use crate::audit::Auditor;
use crate::calls::Calls;
use crate::config::{PhoneNumberSettings, Settings};
use crate::error::Error;
use crate::generate::Generator;
use crate::licenses::Licenses;
use crate::model::license::LicenseSettings;
use crate::model::search::Offer;
use crate::release::Releaser;
use crate::routes::RoutePublisher;
use crate::save::{Patience, Saved, Saver};
use crate::store::Store;

/// Every case runs over each of them.
pub(crate) const CARRIERS: [CarrierName; 2] = [CarrierName::Twilio, CarrierName::Telnyx];
/// Short, so that the tests of time-outs are; long enough for a busy machine's quick answers.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_millis(1_500);
/// Longer than any lease and any pause between tries, shorter than a candidate lives.
pub(crate) const LATER: Duration = Duration::from_mins(6);
/// How long a replaced number is kept.
pub(crate) const RELEASE_DELAY: Duration = Duration::from_mins(1);
/// A Save waits for the carrier, and not for a clock that stands still.
const PATIENCE: Patience = Patience { first_try: Duration::from_secs(30), in_all: Duration::ZERO };

pub(crate) struct World {
    pub(crate) carrier: CarrierName,
    pub(crate) simulator: Simulator,
    pub(crate) database: Database,
    pub(crate) clock: Clock,
    pub(crate) bus: Bus,
    pub(crate) relay: Relay,
}

/// One process of the service, without its loops.
pub(crate) struct Replica {
    pub(crate) store: Store,
    pub(crate) calls: Calls,
    pub(crate) acquirer: Acquirer,
    pub(crate) generator: Generator,
    pub(crate) releaser: Releaser,
    pub(crate) auditor: Auditor,
    pub(crate) routes: RoutePublisher,
    pub(crate) licenses: Licenses,
    clock: Clock,
    pool: PgPool,
}

pub(crate) fn license(id: &str) -> LicenseId {
    LicenseId::parse(id).unwrap()
}

/// What a caller would be told.
pub(crate) fn fault(error: Error) -> Fault {
    Fault::from(error)
}

impl World {
    pub(crate) async fn new(carrier: CarrierName) -> Self {
        let database =
            testkit::database(&[("_bus_migrations", &bus::MIGRATIONS), ("_migrations", &crate::MIGRATIONS)]).await;
        let bus = Bus::connect(&testkit::nats(), "numbers").await.unwrap();
        let relay = Relay::new(database.pool.clone(), bus.clone());
        Self { carrier, simulator: Simulator::start().await, database, clock: testkit::clock(), bus, relay }
    }

    pub(crate) fn pool(&self) -> PgPool {
        self.database.pool.clone()
    }

    pub(crate) fn replica(&self) -> Replica {
        self.replica_at(self.simulator.url())
    }

    /// A replica that reaches the carriers at this address.
    pub(crate) fn replica_at(&self, url: &str) -> Replica {
        let mut settings: Settings = chassis::config::load(crate::DEFAULTS, None, &|_| None).unwrap();
        let timeout_ms = u64::try_from(CALL_TIMEOUT.as_millis()).unwrap();
        url.clone_into(&mut settings.twilio.base_url);
        Simulator::ACCOUNT_SID.clone_into(&mut settings.twilio.account_sid);
        settings.twilio.auth_token = Secret::from(Simulator::AUTH_TOKEN);
        settings.twilio.request_timeout_ms = timeout_ms;
        url.clone_into(&mut settings.telnyx.base_url);
        settings.telnyx.api_key = Secret::from(Simulator::TELNYX_API_KEY);
        Simulator::TELNYX_OUTBOUND_PROFILE.clone_into(&mut settings.telnyx.outbound_voice_profile_id);
        settings.telnyx.request_timeout_ms = timeout_ms;
        settings.telnyx.order_timeout_ms = timeout_ms;
        self.carrier.as_str().clone_into(&mut settings.carriers.default);
        settings.webhooks.base_url = "https://in.example.com".to_owned();

        let (calls, default_carrier) = settings.connect_carriers().unwrap();
        let webhooks = settings.webhooks.addresses().unwrap();
        let (clock, relay, store) = (self.clock.clone(), self.relay.clone(), Store::new(self.pool()));
        let routes = RoutePublisher::new(store.clone(), self.bus.clone(), clock.clone());
        let acquirer = Acquirer::new(
            store.clone(),
            calls.clone(),
            webhooks.clone(),
            RELEASE_DELAY,
            clock.clone(),
            relay.clone(),
            routes.clone(),
        );
        Replica {
            generator: Generator::new(store.clone(), calls.clone(), clock.clone()),
            releaser: Releaser::new(store.clone(), calls.clone(), clock.clone()),
            auditor: Auditor::new(store.clone(), calls.clone(), webhooks, clock.clone()),
            licenses: Licenses {
                store: store.clone(),
                calls: calls.clone(),
                default_carrier,
                phone_numbers: PhoneNumberSettings { allow_fictional: true },
                clock: clock.clone(),
                acquirer: acquirer.clone(),
                relay,
                routes: routes.clone(),
            },
            store,
            calls,
            acquirer,
            routes,
            clock,
            pool: self.pool(),
        }
    }

    /// A license that has its first number, in the area code 415.
    pub(crate) async fn with_number(carrier: CarrierName) -> (Self, Replica, PhoneNumber) {
        let world = Self::new(carrier).await;
        let replica = world.replica();
        replica.put_license("acme", Some("+14152345678")).await.unwrap();
        replica.settle().await;
        let number = world.number("acme").await.unwrap();
        (world, replica, number)
    }

    /// Opens connections, so that what is started at the same moment also runs at the same moment.
    pub(crate) async fn open_connections(&self) {
        let pool = self.pool();
        let open: Vec<_> = futures_util::future::join_all((0..8).map(|_| pool.acquire())).await;
        assert!(open.iter().all(Result::is_ok));
    }

    /// A transaction of somebody else, who is about to give this number a use.
    pub(crate) async fn hold_number(&self, number: PhoneNumber) -> PgTransaction<'static> {
        let mut tx = self.pool().begin().await.unwrap();
        sqlx::query("select pg_advisory_xact_lock(hashtextextended('number ' || $1, 0))")
            .bind(number.as_str())
            .execute(&mut *tx)
            .await
            .unwrap();
        tx
    }

    pub(crate) async fn settings(&self, id: &str) -> LicenseSettings {
        Store::new(self.pool()).get_settings(&license(id), self.clock.now()).await.unwrap()
    }

    pub(crate) async fn number(&self, id: &str) -> Option<PhoneNumber> {
        self.settings(id).await.messages_number.map(|assigned| assigned.number)
    }

    pub(crate) async fn set_faults(&self, faults: Value) {
        self.simulator.set_faults(faults).await;
    }

    /// A fault of the test's carrier.
    pub(crate) async fn set_fault(&self, on: &str, kind: &str, count: Option<u32>) {
        self.set_faults(json!([{ "on": on, "kind": kind, "count": count }])).await;
    }

    pub(crate) async fn clear_faults(&self) {
        self.set_faults(json!([])).await;
    }

    /// All that the carriers say our accounts own.
    pub(crate) async fn owned(&self) -> Vec<OwnedNumber> {
        let mut owned = Vec::new();
        for carrier in self.replica().calls.list() {
            owned.extend(carrier.list_owned_numbers(None).await.unwrap().numbers);
        }
        owned
    }

    pub(crate) async fn count(&self, table: &str) -> i64 {
        let query = sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
        sqlx::query_scalar(query).fetch_one(&self.pool()).await.unwrap()
    }

    /// The one number that the carrier has sold us, tagged for `acme` and assigned to it, and nothing left to do.
    pub(crate) async fn assert_one_number_owned_and_assigned(&self, case: &str) -> PhoneNumber {
        let owned = self.owned().await;
        assert_eq!(owned.len(), 1, "{case}: {owned:?}");
        assert_eq!(owned[0].license_id, Some(license("acme")), "{case}");
        let settings = self.settings("acme").await;
        let assigned = settings.messages_number.unwrap_or_else(|| panic!("{case}: {:?}", settings.provisioning));
        assert_eq!((owned[0].number, self.carrier), (assigned.number, assigned.carrier), "{case}");
        assert_eq!(settings.provisioning, None, "{case}");
        for table in ["acquisitions", "releases"] {
            assert_eq!(self.count(table).await, 0, "{case}: {table}");
        }
        assigned.number
    }

    /// Events of one kind that were recorded, oldest first. Nothing relays them here.
    pub(crate) async fn events<E: Event>(&self) -> Vec<E> {
        let payloads: Vec<Vec<u8>> =
            sqlx::query_scalar("select payload from outbox where subject = $1 order by position")
                .bind(E::SUBJECT)
                .fetch_all(&self.pool())
                .await
                .unwrap();
        payloads.into_iter().map(|payload| E::decode(payload.as_slice()).unwrap()).collect()
    }

    pub(crate) async fn assignments(&self) -> Vec<NumberAssigned> {
        self.events().await
    }

    /// What the carriers were asked, oldest first, as `METHOD last-part-of-the-path`.
    pub(crate) async fn requests(&self) -> Vec<String> {
        let answer = self.simulator.get("/_sim/requests").await;
        let mut requests: Vec<String> = answer["requests"].as_array().unwrap().iter().map(describe_request).collect();
        requests.reverse();
        requests
    }

    /// How often the carrier was asked to sell.
    pub(crate) async fn count_purchases(&self) -> usize {
        let buy = match self.carrier {
            CarrierName::Twilio => "POST IncomingPhoneNumbers.json",
            CarrierName::Telnyx => "POST number_orders",
        };
        self.requests().await.iter().filter(|request| *request == buy).count()
    }
}

fn describe_request(request: &Value) -> String {
    let path = request["path"].as_str().unwrap();
    format!("{} {}", request["method"].as_str().unwrap(), path.rsplit('/').next().unwrap())
}

impl Replica {
    pub(crate) async fn put_license(&self, id: &str, phone: Option<&str>) -> Result<LicenseSettings, Error> {
        self.put(PutLicenseRequest {
            license_id: id.to_owned(),
            company_name: "Acme".to_owned(),
            company_phone: phone.map(str::to_owned),
            create: true,
            carrier: None,
        })
        .await
    }

    pub(crate) async fn put(&self, request: PutLicenseRequest) -> Result<LicenseSettings, Error> {
        self.licenses.put(request).await
    }

    /// Works until nothing is due now.
    pub(crate) async fn settle(&self) {
        for _ in 0..20 {
            if self.acquirer.run_due().await.unwrap() == 0 {
                return;
            }
        }
        panic!("the acquisitions do not settle");
    }

    /// Works, as time passes, until no purchase is under way. A carrier may settle an order late.
    pub(crate) async fn finish_purchases(&self) {
        testkit::eventually("the end of the purchases", async || {
            self.clock.advance(LATER);
            self.settle().await;
            self.expect_none("select count(*) from acquisitions").await
        })
        .await;
    }

    /// The same, and gives back what is to be given back.
    pub(crate) async fn settle_all(&self) {
        self.finish_purchases().await;
        testkit::eventually("the end of the releases", async || {
            self.clock.advance(LATER);
            while self.releaser.run_due().await.unwrap() > 0 {}
            self.expect_none("select count(*) from releases").await
        })
        .await;
    }

    async fn expect_none(&self, count: &'static str) -> Result<(), i64> {
        let count: i64 = sqlx::query_scalar(count).fetch_one(&self.pool).await.unwrap();
        if count == 0 { Ok(()) } else { Err(count) }
    }

    pub(crate) async fn generate(&self, id: &str, area_code: Option<&str>) -> Result<Offer, Error> {
        let area_code = area_code.map(|code| AreaCode::parse_us(code).unwrap());
        self.generator.generate(&license(id), area_code).await
    }

    /// For a caller who waits so long.
    pub(crate) fn saver_with(&self, patience: Patience) -> Saver {
        let (store, acquirer) = (self.store.clone(), self.acquirer.clone());
        Saver::new(store, acquirer, self.clock.clone(), Lifecycle::new(), patience)
    }

    pub(crate) async fn save(&self, id: &str, candidate_id: Id<Candidate>) -> Result<Saved, Error> {
        self.saver_with(PATIENCE).save(&license(id), candidate_id).await
    }

    /// A number in the area code 212 that the carrier sells.
    pub(crate) async fn find_for_sale(&self, carrier: CarrierName) -> PhoneNumber {
        let search = NumberSearch { area_code: Some(AreaCode::parse_us("212").unwrap()), limit: 1 };
        self.calls.find(carrier).unwrap().search_numbers(&search).await.unwrap()[0]
    }

    /// Buys past the service, as a hand or a lost purchase would.
    pub(crate) async fn buy_past_us(&self, carrier: CarrierName, number: PhoneNumber, tag: &str) {
        let webhooks = carriers::WebhookAddresses::parse("https://in.example.com").unwrap().of_number(carrier);
        let order = NumberOrder { number, license_id: license(tag), webhooks };
        self.calls.find(carrier).unwrap().buy_number(&order).await.unwrap();
    }
}

pub(crate) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}
