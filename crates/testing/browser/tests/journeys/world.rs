//! The world of one journey: a stack with its console, a license with people, managers, phones, and a browser.

use std::time::Duration;

use futures_util::FutureExt as _;
use leaseline::client::{Api, Phones};
use leaseline::newcomer;
pub use leaseline::newcomer::{COMPANY_PHONE, phone};
use leaseline::seed::Size;
use leaseline::stack::{Options, Service, Stack};
use leaseline::token::Signer;
use serde_json::{Value, json};

use super::browser::{Browser, PATIENCE, Programs};
use super::window::Window;

/// Of the managers and the people.
pub const LICENSE: &str = "journey-homes";

pub struct World {
    pub stack: Stack,
    pub phones: Phones,
    /// May change the settings.
    pub adam: Api,
    pub mia: Api,
    /// Of another license, which is there once it is seeded.
    pub sam: Api,
    pub backend: Api,
    pub number: String,
    browser: Browser,
    /// Read whenever a gateway starts.
    _sign_in: tempfile::NamedTempFile,
}

/// As the console shows a number.
pub fn shown(number: &str) -> String {
    format!("({}) {}-{}", &number[2..5], &number[5..8], &number[8..])
}

/// Runs a journey in a world of its own with `people` people, or says aloud that there is no browser. Whatever happens, the
/// browser and the stack end.
pub async fn journey(name: &str, people: usize, body: impl AsyncFnOnce(&mut World)) {
    let Some(programs) = Programs::find(name) else { return };
    let mut world = World::start(programs, people).await;
    let outcome = std::panic::AssertUnwindSafe(body(&mut world)).catch_unwind().await;
    let World { stack, browser, .. } = world;
    browser.close(outcome.is_err().then_some(name)).await;
    let stopped = stack.stop().await;
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
    stopped.expect("the stack stops in order");
}

impl World {
    async fn start(programs: Programs, people: usize) -> Self {
        let id = uuid::Uuid::now_v7().simple().to_string();
        let signer = Signer::new("a-key-of-this-journeys-own-32-bytes-long".to_owned());
        let sign = |role: &str, manager: &str, name: &str| signer.sign(LICENSE, role, manager, name).expect("a token");
        let managers = [
            ("admin", "Adam Admin", sign("admin", "adam", "Adam Admin")),
            ("manager", "Mia Manager", sign("manager", "mia", "Mia Manager")),
            ("manager", "Noah Manager", sign("manager", "noah", "Noah Manager")),
        ];
        let mut choices: Vec<Value> = managers
            .iter()
            .map(|(role, name, token)| {
                json!({ "label": format!("{name}, Journey Homes"), "name": name, "role": role, "license_id": LICENSE, "token": token })
            })
            .collect();
        let seeded = leaseline::seed::license_id(0);
        let sams_token = signer.sign(&seeded, "manager", "sam", "Sam Manager").expect("a token");
        choices.push(
            json!({ "label": "Sam Manager, Seeded Homes", "name": "Sam Manager", "role": "manager", "license_id": seeded, "token": sams_token }),
        );
        let sign_in = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(sign_in.path(), json!(choices).to_string()).expect("the sign-in file is written");
        let settings = [
            ("LEASELINE_PACE_SEGMENTS_PER_SECOND", "0"),
            ("LEASELINE_FEED_HEADS_INTERVAL_MS", "1000"),
            ("LEASELINE_INQUIRIES_CONFIRM_WITHIN_S", "12"),
            ("LEASELINE_INQUIRIES_RECEIPTS_AFTER_S", "5"),
            ("LEASELINE_CONSOLE_ENABLED", "true"),
            ("LEASELINE_CONSOLE_SIGN_IN_FILE", sign_in.path().to_str().expect("a path in Unicode")),
        ];
        let options = Options {
            database_prefix: format!("browser_{id}_"),
            namespace: format!("b{id}"),
            settings: settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            receipt_delay: Duration::from_millis(20),
            ..Options::new(
                &testkit::engine("LEASELINE_TEST_DATABASE_URL"),
                &testkit::engine("LEASELINE_TEST_NATS_URL"),
                &signer,
            )
        };
        let stack = Stack::start(&options).await.expect("the stack starts");
        let gateway = &stack.gateway_urls[0];
        let backend = Api::new(gateway, &signer.sign("", "service", "backend", "Backend").expect("a token"));
        let [adam, mia, _] = managers.each_ref().map(|(_, _, token)| Api::new(gateway, token));
        let sam = Api::new(gateway, &sams_token);
        let created = newcomer::create_license(&backend, &mia, LICENSE, "twilio", people).await;
        let number = created.expect("the license gets its number by itself");
        let phones = Phones::new(&stack.simulator_url);
        Self {
            stack,
            phones,
            adam,
            mia,
            sam,
            backend,
            number,
            browser: Browser::start(programs).await,
            _sign_in: sign_in,
        }
    }

    /// A second license, of Sam's, with a history of this many conversations, one message in each. Answers its number.
    pub async fn seed(&self, conversations: u64) -> String {
        let database = &self.stack.database_urls[&Service::Conversations];
        let size = Size { licenses: 1, conversations, messages: conversations };
        leaseline::seed::run(database, size).await.expect("the history is written");
        let mut feed = self.sam.feed(None).await.expect("the feed opens");
        let company = json!({ "company_name": "Seeded Homes", "company_phone": COMPANY_PHONE });
        let path = format!("/v1/licenses/{}", leaseline::seed::license_id(0));
        self.backend.put(&path, &company).await.expect("the license is created");
        feed.wait_for("number.changed", PATIENCE, |event| event.kind == "number.changed").await.expect("a number");
        leaseline::dev::wait_for_number(&self.sam).await.expect("the license gets its number by itself")
    }

    /// A new window in which this manager is signed in.
    pub async fn sign_in(&self, manager: &str) -> Window {
        let window = self.browser.open().await;
        window.go(&format!("{}/console/", self.stack.gateway_urls[0])).await;
        window.click("button", manager).await;
        window.see_a("link", "Messages").await;
        window
    }

    /// A new window with the phones page, and this phone in it.
    pub async fn hold_phone(&self, phone: &str) -> Window {
        let window = self.browser.open().await;
        window.go(&format!("{}/phones#{phone}", self.stack.simulator_url)).await;
        window.see_a("heading", &shown(phone)).await;
        window
    }

    /// The phone of person `n` texts.
    pub async fn text(&self, n: usize, body: &str) {
        let answer = self.phones.text(&phone(n), &self.number, body).await.expect("the simulator answers");
        assert_eq!(answer["webhook_status"], 200, "{answer}");
    }

    /// Sends to person `n` by the API; answers the conversation.
    pub async fn send(&self, n: usize, body: &str) -> String {
        let key = uuid::Uuid::now_v7().to_string();
        let recipients = [json!({ "person_id": format!("t{n}") })];
        let sent =
            self.mia.send(&key, &recipients, body).await.expect("the gateway answers").ok().expect("it is taken");
        sent["messages"][0]["conversation_id"].as_str().expect("a conversation").to_owned()
    }

    /// Texts with exactly this body that the phone of person `n` got.
    pub async fn received(&self, n: usize, body: &str) -> usize {
        let inbox = self.phones.inbox(&phone(n)).await.expect("the simulator answers");
        inbox.iter().filter(|text| text["body"] == body).count()
    }

    /// Waits until the phone of person `n` got this text, and checks that it got it once.
    pub async fn arrives_once(&self, n: usize, body: &str) {
        testkit::eventually("the text on the phone", async || match self.received(n, body).await {
            0 => Err("it is not there"),
            _ => Ok(()),
        })
        .await;
        assert_eq!(self.received(n, body).await, 1, "{body}");
    }
}
