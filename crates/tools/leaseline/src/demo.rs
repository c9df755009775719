//! `leaseline demo`: the main job, played against a running stack and printed as a timeline.
//!
//! Every line is printed only after the step really happened; the first step that does not happen ends the demo
//! with an error.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use engines::{Durability, Engines};
use serde_json::{Value, json};

use crate::client::{Api, Feed, Phones};
use crate::dev::{self, Environment, wait_for_number};
use crate::stack::{Options, Stack};

/// How long one step may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// Ana's phone; the number belongs to nobody.
const PHONE: &str = "+14155550142";
const OUTGOING: &str = "Hi Ana, the plumber comes tomorrow at 3 pm. Is that fine? 🔧";
const ANSWER: &str = "Yes, 3 pm is perfect — thank you!";

/// Plays against the stack of `dir` when one runs there, else against one of its own.
///
/// # Errors
/// The step that did not happen.
pub async fn run(dir: PathBuf, given: (Option<String>, Option<String>)) -> Result<()> {
    if let Some((gateway, simulator)) = find_running(&dir).await? {
        println!("playing against the running stack at {gateway}\n");
        return play(&gateway, &simulator, &dev::signer(&dir)?).await;
    }
    println!("no stack is running: starting one for the demo\n");
    let dir = dir.join("demo");
    let engines = Engines::start(&dir, Durability::Full, given.0, given.1)?;
    let signer = dev::signer(&dir)?;
    let options = Options {
        database_prefix: "leaseline_demo_".to_owned(),
        namespace: "demo".to_owned(),
        // The databases outlive the demo: so do the carrier's numbers.
        numbers_file: Some(dir.join("carrier-numbers.json")),
        media_folder: Some(dir.join("media")),
        ..Options::new(&engines.database_url, &engines.nats_url, &signer)
    };
    let stack = Stack::start(&options).await?;
    let played = match stack.gateway_urls.first() {
        Some(gateway) => play(gateway, &stack.simulator_url, &signer).await,
        None => bail!("the stack has no gateway"),
    };
    stack.stop().await?;
    played
}

/// The addresses of the stack that runs in this folder. A killed stack leaves its file behind: it is asked.
async fn find_running(dir: &Path) -> Result<Option<(String, String)>> {
    let Some(environment) = Environment::find(dir)? else { return Ok(None) };
    let gateway = environment.get("LEASELINE_GATEWAY_URL")?;
    let answers = Api::new(gateway, environment.get("LEASELINE_MANAGER_TOKEN")?).get("/v1/settings").await.is_ok();
    Ok(answers.then_some((gateway.to_owned(), environment.get("LEASELINE_SIMULATOR_URL")?.to_owned())))
}

fn plural(count: &Value, word: &str) -> String {
    if *count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

struct Timeline {
    start: Instant,
}

impl Timeline {
    fn say(&self, who: &str, what: &str) {
        println!("{:7.3} s  {who:<9} {what}", self.start.elapsed().as_secs_f32());
    }
}

async fn play(gateway: &str, simulator: &str, signer: &crate::token::Signer) -> Result<()> {
    let timeline = Timeline { start: Instant::now() };
    // A license of its own each time, so that it is really seen to get its number.
    let license = format!("demo-{}", uuid::Uuid::now_v7().simple());
    let backend = Api::new(gateway, &signer.sign("", "service", "backend", "Company backend")?);
    let mia = Api::new(gateway, &signer.sign(&license, "manager", "mia", "Mia Manager")?);
    let noah = Api::new(gateway, &signer.sign(&license, "manager", "noah", "Noah Manager")?);
    let phones = Phones::new(simulator);

    let company = json!({ "company_name": "Sunset Property Management", "company_phone": "+14155550100" });
    backend.put(&format!("/v1/licenses/{license}"), &company).await?;
    timeline.say("backend", &format!("creates the license {license}, company phone +14155550100"));
    let number = wait_for_number(&mia).await?;
    timeline.say("numbers", &format!("searched, bought and configured {number} by itself"));
    check_number(&phones, &number, &license).await?;
    timeline.say("carrier", "owns it for this license, with Leaseline's webhooks");

    let ana = json!({ "kind": "tenant", "name": "Ana Torres", "phones": [PHONE] });
    mia.put("/v1/people/ana", &ana).await?;
    let plumber = json!({ "kind": "vendor", "name": "Dario's Plumbing", "phones": ["+13125550104"] });
    mia.put("/v1/people/dario", &plumber).await?;
    timeline.say("backend", &format!("puts Ana Torres (tenant, {PHONE}) and Dario's Plumbing (vendor)"));

    let mut feed = mia.feed(None).await?;
    timeline.say("Mia", "opens the live feed");
    let key = uuid::Uuid::now_v7().to_string();
    let recipients = [json!({ "person_id": "ana" })];
    let accepted = mia.send(&key, &recipients, OUTGOING).await?.ok()?;
    let message = &accepted["messages"][0];
    ensure!(
        message["status"] == "queued" && message["body"] == OUTGOING,
        "the accepted message is another: {accepted}"
    );
    let (message_id, conversation_id) = (message["message_id"].clone(), message["conversation_id"].clone());
    timeline.say("Mia", &format!("texts Ana: “{OUTGOING}” ({})", plural(&message["segments"], "segment")));
    let repeated = mia.send(&key, &recipients, OUTGOING).await?.ok()?;
    ensure!(repeated == accepted, "the same Idempotency-Key answered differently: {repeated}");
    timeline.say("Mia", "sends the same request again (same Idempotency-Key): the same answer, nothing new");

    let created = feed
        .wait_for("the new message", PATIENCE, |event| {
            event.kind == "message.created" && event.data["message_id"] == message_id
        })
        .await?;
    timeline.say("feed", &format!("#{} message.created, queued", created.seq));
    follow_to_delivery(&timeline, &mut feed, &message_id).await?;
    let inbox = phones.inbox(PHONE).await?;
    let got: Vec<_> = inbox.iter().filter(|text| text["from"] == number.as_str()).collect();
    ensure!(got.len() == 1, "Ana's phone got {} texts from {number}, not 1", got.len());
    ensure!(got[0]["body"] == OUTGOING, "Ana's phone got another text: {}", got[0]);
    timeline.say("phone", &format!("Ana's phone has exactly that text, once, from {number}"));

    let answered = phones.text(PHONE, &number, ANSWER).await?;
    ensure!(answered["webhook_status"] == 200, "the webhook was not taken: {answered}");
    timeline.say("phone", &format!("Ana answers: “{ANSWER}”; ingest took it with 200"));
    let arrived = feed
        .wait_for("the answer", PATIENCE, |event| {
            event.kind == "message.created" && event.data["direction"] == "inbound" && event.data["body"] == ANSWER
        })
        .await?;
    ensure!(arrived.data["conversation_id"] == conversation_id, "the answer is in another conversation");
    timeline.say("feed", &format!("#{} message.created, inbound, in the same conversation", arrived.seq));

    let Some(id) = conversation_id.as_str() else { bail!("the conversation has no id") };
    let conversation = noah.get(&format!("/v1/conversations/{id}")).await?;
    ensure!(conversation["people"][0]["name"] == "Ana Torres", "Noah sees other people: {conversation}");
    let messages = noah.get(&format!("/v1/conversations/{id}/messages")).await?;
    let items = messages["items"].as_array().cloned().unwrap_or_default();
    ensure!(items.len() == 2, "Noah sees {} messages, not 2", items.len());
    let (answer, first) = (&items[0], &items[1]);
    ensure!(answer["body"] == ANSWER && first["body"] == OUTGOING, "Noah sees other messages: {messages}");
    ensure!(first["manager"]["name"] == "Mia Manager", "the first message does not carry Mia's name: {first}");
    ensure!(first["status"] == "delivered", "the first message is not delivered: {first}");
    timeline.say("Noah", "opens the same conversation and reads both; the first one is signed “Mia Manager”");
    println!("\nEvery step happened.");
    Ok(())
}

/// Prints what the feed shows of a message until it is delivered. An entry shows the message as it is when it is read:
/// on a slow machine "sent" may show together with "delivered", and its time proves it.
async fn follow_to_delivery(timeline: &Timeline, feed: &mut Feed, message_id: &Value) -> Result<()> {
    loop {
        let updated = feed
            .wait_for("an update of the message", PATIENCE, |event| {
                event.kind == "message.updated" && event.data["message_id"] == *message_id
            })
            .await?;
        let status = updated.data["status"].as_str().unwrap_or_default();
        timeline.say("feed", &format!("#{} message.updated, {status}", updated.seq));
        match status {
            "sending" | "sent" => {}
            "delivered" => {
                ensure!(updated.data["sent_at"].is_string(), "it was delivered and never sent: {}", updated.data);
                return Ok(());
            }
            _ => bail!("the message took another way: {}", updated.data),
        }
    }
}

async fn check_number(phones: &Phones, number: &str, license: &str) -> Result<()> {
    let owned = phones.get("/_sim/numbers").await?;
    let numbers = owned["numbers"].as_array().cloned().unwrap_or_default();
    let Some(found) = numbers.iter().find(|owned| owned["phone_number"] == number) else {
        bail!("the carrier does not own {number}");
    };
    ensure!(
        found["friendly_name"].as_str().is_some_and(|name| name.contains(license)),
        "it is not tagged with the license: {found}"
    );
    for webhook in ["sms_url", "voice_url"] {
        ensure!(
            found[webhook].as_str().is_some_and(|url| url.contains("/webhooks/twilio/")),
            "{webhook} is not ours: {found}"
        );
    }
    Ok(())
}
