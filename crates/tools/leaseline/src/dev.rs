//! `leaseline dev`: the development stack with two licenses to try, until Ctrl-C.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use engines::{Durability, Engines, write_private};
use serde_json::{Value, json};

use crate::audit;
use crate::client::Api;
use crate::demo_licenses::{DEMO, DEMO_LICENSES, DemoLicense, Person, write_sign_in};
use crate::stack::{ACCOUNT_SID, Options, Ports, Service, Stack, random_secret};
use crate::token::Signer;

/// In the folder of the stack: who may be chosen at the console's sign-in.
const SIGN_IN: &str = "sign-in.json";

/// The one file of addresses and tokens, in shell form.
#[derive(Debug)]
pub struct Environment {
    pub values: BTreeMap<String, String>,
}

impl Environment {
    /// Reads `env` of a folder, if a stack wrote one.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn find(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join("env");
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let values = text.lines().filter_map(|line| {
            let (name, value) = line.strip_prefix("export ")?.split_once('=')?;
            Some((name.to_owned(), value.trim_matches('\'').to_owned()))
        });
        Ok(Some(Self { values: values.collect() }))
    }

    /// # Errors
    /// When the file does not have it.
    pub fn get(&self, name: &str) -> Result<&str> {
        self.values.get(name).map(String::as_str).with_context(|| format!("{name} is missing in the env file"))
    }

    fn write(&self, dir: &Path) -> Result<()> {
        let lines = self.values.iter().map(|(name, value)| format!("export {name}='{value}'\n"));
        write_private(&dir.join("env"), &lines.collect::<String>())
    }
}

/// The signing key of a folder, made on first use and kept.
///
/// # Errors
/// When the folder cannot be written.
pub fn signer(dir: &Path) -> Result<Signer> {
    fs::create_dir_all(dir)?;
    Ok(Signer::new(read_or_make(&dir.join("token.key"), || random_secret() + &random_secret())?))
}

fn read_or_make(path: &Path, make: impl FnOnce() -> String) -> Result<String> {
    if !path.exists() {
        write_private(path, &make())?;
    }
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Starts the stack in `dir`, seeds it, prints where it is, and waits for Ctrl-C.
///
/// # Errors
/// Says what could not be started and what to do.
pub async fn run(dir: PathBuf, ports: Ports, databases: (Option<String>, Option<String>)) -> Result<()> {
    let start = Instant::now();
    say(start, "starting PostgreSQL and nats-server");
    let engines = Engines::start(&dir, Durability::Full, databases.0, databases.1)?;
    say(start, "starting the carrier simulator and the five services");
    let signer = signer(&dir)?;
    let mut options = Options::new(&engines.database_url, &engines.nats_url, &signer);
    options.ports = ports;
    // The databases outlive the stack: so do the carriers' numbers and their secrets.
    options.twilio_auth_token = read_or_make(&dir.join("twilio.token"), random_secret)?;
    options.telnyx_api_key = read_or_make(&dir.join("telnyx.key"), random_secret)?;
    options.telnyx_signing_key = read_or_make(&dir.join("telnyx.signing"), || random_secret() + &random_secret())?;
    options.numbers_file = Some(dir.join("carrier-numbers.json"));
    options.media_folder = Some(dir.join("media"));
    let sign_in_file = dir.join(SIGN_IN);
    write_sign_in(&sign_in_file, &signer)?;
    options.sign_in_file = Some(sign_in_file);
    let stack = Stack::start(&options).await?;
    say(start, "seeding the demo licenses");
    let environment = environment(&stack, &signer, &engines)?;
    let number = seed(&environment, &signer).await?;
    environment.write(&dir)?;
    say(start, "ready");
    print_guide(&dir, &environment, &number)?;

    let gone = wait_for_the_end(&stack).await;
    println!("\nstopping");
    let stopped = stack.stop().await;
    for tokens in [dir.join("env"), dir.join(SIGN_IN)] {
        let _ = fs::remove_file(tokens);
    }
    drop(engines);
    if let Some(service) = gone {
        bail!("the {} service stopped by itself: see its log above", service.name());
    }
    stopped
}

fn say(start: Instant, what: &str) {
    println!("[{:5.1} s] {what}", start.elapsed().as_secs_f32());
}

fn environment(stack: &Stack, signer: &Signer, engines: &Engines) -> Result<Environment> {
    let first = |urls: &[String]| urls.first().cloned().unwrap_or_default();
    let values = [
        ("LEASELINE_GATEWAY_URL", first(&stack.gateway_urls)),
        ("LEASELINE_INGEST_URL", first(&stack.ingest_urls)),
        ("LEASELINE_SIMULATOR_URL", stack.simulator_url.clone()),
        ("LEASELINE_LICENSE_ID", DEMO.id.to_owned()),
        ("LEASELINE_MANAGER_TOKEN", signer.sign(DEMO.id, "manager", "mia", "Mia Manager")?),
        ("LEASELINE_ADMIN_TOKEN", signer.sign(DEMO.id, "admin", "adam", "Adam Admin")?),
        ("LEASELINE_SERVICE_TOKEN", signer.sign("", "service", "backend", "Company backend")?),
        ("LEASELINE_TWILIO_ACCOUNT_SID", ACCOUNT_SID.to_owned()),
        ("LEASELINE_TWILIO_AUTH_TOKEN", stack.twilio_auth_token.clone()),
        ("LEASELINE_TELNYX_API_KEY", stack.telnyx_api_key.clone()),
        ("LEASELINE_NUMBERS_URL", first(&stack.numbers_urls)),
        ("LEASELINE_NATS_URL", engines.nats_url.clone()),
        (
            "LEASELINE_CONVERSATIONS_DATABASE_URL",
            stack.database_urls.get(&Service::Conversations).cloned().unwrap_or_default(),
        ),
    ];
    Ok(Environment { values: values.map(|(name, value)| (name.to_owned(), value)).into() })
}

/// The demo licenses and their people, through the public API; returns the first one's messages number. Doing it again
/// changes nothing, but that the numbers of an earlier run on other ports get the addresses of this one.
async fn seed(environment: &Environment, signer: &Signer) -> Result<String> {
    let gateway = environment.get("LEASELINE_GATEWAY_URL")?;
    let backend = Api::new(gateway, environment.get("LEASELINE_SERVICE_TOKEN")?);
    let mut numbers = Vec::new();
    for DemoLicense { id, company_name, company_phone, people, .. } in DEMO_LICENSES {
        let license = json!({ "company_name": company_name, "company_phone": company_phone });
        backend.put(&format!("/v1/licenses/{id}"), &license).await?;
        let admin = Api::new(gateway, &signer.sign(id, "admin", "seed", "Seed")?);
        for Person { id, kind, name, phones } in *people {
            admin.put(&format!("/v1/people/{id}"), &json!({ "kind": kind, "name": name, "phones": phones })).await?;
        }
        numbers.push(wait_for_number(&admin).await?);
    }
    audit::repair(environment.get("LEASELINE_NUMBERS_URL")?).await?;
    Ok(numbers.swap_remove(0))
}

/// Waits until the license has its messages number.
///
/// # Errors
/// With the state of the purchase when it takes too long.
pub async fn wait_for_number(manager: &Api) -> Result<String> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let settings = manager.get("/v1/settings").await?;
        if let Value::String(number) = &settings["messages_number"]["number"] {
            return Ok(number.clone());
        }
        if Instant::now() > deadline {
            bail!("the license got no number; its provisioning: {}", settings["provisioning"]);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn print_guide(dir: &Path, environment: &Environment, number: &str) -> Result<()> {
    let env_file = dir.join("env");
    let phones = DEMO.people.iter().find_map(|person| Some((person.id, person.phones.first()?)));
    let (ana, phone) = phones.context("nobody of the demo license has a phone")?;
    println!(
        "
Leaseline is running. Open this first:

  {gateway}/console/

It is the console. Choose who you are; a second window can be another manager. \"Phones\" in it is where you are the tenant.

For reference:

  gateway    {gateway}   (REST and the feed; reference: {gateway}/docs)
  simulator  {simulator}   (the carrier; its phones: {simulator}/phones)
  ingest     {ingest}   (the carrier's webhooks)
  license    {license}, messages number {number}
  tokens     in {env}: LEASELINE_MANAGER_TOKEN is Mia Manager's

Four things to try by hand, in another terminal:

  1. Watch what happens, live:
       . {env}; curl -N -H \"Authorization: Bearer $LEASELINE_MANAGER_TOKEN\" $LEASELINE_GATEWAY_URL/v1/feed
  2. Text the tenant Ana, then look at her phone:
       . {env}; curl -H \"Authorization: Bearer $LEASELINE_MANAGER_TOKEN\" -H 'Content-Type: application/json' \\
         -d '{{\"recipients\":[{{\"person_id\":\"{ana}\"}}],\"body\":\"Hello Ana, the plumber comes at 3.\"}}' $LEASELINE_GATEWAY_URL/v1/messages
       curl $LEASELINE_SIMULATOR_URL/_sim/phones/{phone}/inbox
  3. Be Ana and answer:
       . {env}; curl -H 'Content-Type: application/json' -d '{{\"to\":\"{number}\",\"body\":\"Thanks!\"}}' \\
         $LEASELINE_SIMULATOR_URL/_sim/phones/{phone}/text
  4. Be Ana and call: the company's phone rings, and the feed shows it:
       . {env}; curl -H 'Content-Type: application/json' -d '{{\"to\":\"{number}\"}}' $LEASELINE_SIMULATOR_URL/_sim/phones/{phone}/call

The whole job as a story: scripts/demo. Ctrl-C stops everything.",
        gateway = environment.get("LEASELINE_GATEWAY_URL")?,
        ingest = environment.get("LEASELINE_INGEST_URL")?,
        simulator = environment.get("LEASELINE_SIMULATOR_URL")?,
        license = DEMO.id,
        env = env_file.display(),
    );
    Ok(())
}

/// Waits for Ctrl-C, SIGTERM, or a service that stops by itself; returns that service.
async fn wait_for_the_end(stack: &Stack) -> Option<Service> {
    let stopping = Service::ALL.iter().filter_map(|service| {
        let token = stack.stopping(*service, 0)?;
        Some(Box::pin(async move {
            token.cancelled().await;
            *service
        }))
    });
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).ok();
    let terminated = async {
        match &mut terminate {
            Some(signal) => signal.recv().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => None,
        _ = terminated => None,
        (service, ..) = futures_util::future::select_all(stopping) => Some(service),
    }
}

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

    use super::*;
    use crate::client::Phones;

    /// Her phone.
    const ANA: &str = "+14155550101";

    /// The stack, on other ports than before, with what was left: its databases and the carriers' numbers.
    async fn start(dir: &Path, engines: &Engines, id: &str) -> (Stack, Environment, String) {
        let signer = Signer::new("a-key-of-this-tests-own-at-least-32-bytes".to_owned());
        let sign_in_file = dir.join(SIGN_IN);
        write_sign_in(&sign_in_file, &signer).unwrap();
        let options = Options {
            sign_in_file: Some(sign_in_file),
            database_prefix: format!("dev_{id}_"),
            namespace: format!("dev{id}"),
            twilio_auth_token: "the-same-each-time".to_owned(),
            telnyx_api_key: "the-same-each-time".to_owned(),
            telnyx_signing_key: "07".repeat(32),
            numbers_file: Some(dir.join("carrier-numbers.json")),
            ..Options::new(&engines.database_url, &engines.nats_url, &signer)
        };
        let stack = Stack::start(&options).await.unwrap();
        let environment = environment(&stack, &signer, engines).unwrap();
        let number = seed(&environment, &signer).await.unwrap();
        (stack, environment, number)
    }

    /// As the console does it.
    async fn everybody_of_the_sign_in_gets_in(gateway: &str) {
        let configuration = Api::new(gateway, "nobody").get("/console/config.json").await.unwrap();
        assert!(configuration["phones_url"].as_str().unwrap().ends_with("/phones"));
        let choices = configuration["sign_in"].as_array().unwrap();
        let mut seen = Vec::new();
        for choice in choices {
            let people = Api::new(gateway, choice["token"].as_str().unwrap()).get("/v1/people").await.unwrap();
            seen.push((choice["label"].as_str().unwrap(), people["items"].as_array().unwrap().len()));
        }
        let (demo, second) = (DEMO.people.len(), 2);
        let expected = [
            ("Mia Manager, Demo Property Management", demo),
            ("Max Manager, Demo Property Management", demo),
            ("Adam Admin, Demo Property Management", demo),
            ("Olga Admin, Second Street Rentals", second),
        ];
        assert_eq!(seen, expected);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn texts_and_calls_arrive_also_when_the_stack_comes_back_on_other_ports() {
        let id = uuid::Uuid::now_v7().simple().to_string();
        let dir = std::env::temp_dir().join(format!("leaseline-dev-{id}"));
        fs::create_dir_all(&dir).unwrap();
        let given = |name| Some(std::env::var(name).unwrap());
        let (database_url, nats_url) = (given("LEASELINE_TEST_DATABASE_URL"), given("LEASELINE_TEST_NATS_URL"));
        let engines = Engines::start(&dir, Durability::Full, database_url, nats_url).unwrap();

        let (first, environment, bought) = start(&dir, &engines, &id).await;
        everybody_of_the_sign_in_gets_in(environment.get("LEASELINE_GATEWAY_URL").unwrap()).await;
        first.stop().await.unwrap();
        let (again, environment, number) = start(&dir, &engines, &id).await;
        assert_eq!(number, bought, "what it holds is there again");
        let phones = Phones::new(environment.get("LEASELINE_SIMULATOR_URL").unwrap());
        assert_eq!(phones.text(ANA, &number, "hello").await.unwrap()["webhook_status"], 200);
        // Ingest may still be reading the routes.
        let rings = async {
            while phones.call(ANA, &number, "busy").await.unwrap()["dialed"] != "+14155550100" {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), rings).await.unwrap();
        again.stop().await.unwrap();

        let mut admin = PgConnection::connect(&engines.database_url).await.unwrap();
        for name in ["numbers", "conversations", "dispatch"].map(|service| format!("\"dev_{id}_{service}\"")) {
            let statement = format!("drop database {name} with (force)");
            sqlx::query(AssertSqlSafe(statement)).execute(&mut admin).await.unwrap();
            sqlx::query(AssertSqlSafe(format!("drop role {name}"))).execute(&mut admin).await.unwrap();
        }
        fs::remove_dir_all(&dir).unwrap();
    }
}
