//! Many at once: an import of people as a stream of lines, and a text to ten thousand of them in one call.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::world::World;

/// Lines of the import.
pub(super) const PEOPLE: usize = 100_000;
/// The most that one send takes.
pub(super) const RECIPIENTS: usize = 10_000;
const IMPORT_LIMIT: Duration = Duration::from_mins(1);

/// How long each took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Many {
    pub(super) import: Duration,
    /// From the request to the answer with all messages.
    pub(super) batch: Duration,
}

/// Imports people and texts the first of them. What has not gone out when the answer is there is canceled.
///
/// # Errors
/// When a line or a recipient is refused.
pub(super) async fn measure(world: &World) -> Result<Many> {
    let license = world.licenses.first().context("there is no license")?;
    let lines: String = (0..PEOPLE)
        .map(|index| {
            let phone = format!("+1415{}{:04}", 220 + index / 10_000, index % 10_000);
            let name = format!("Person {index}");
            json!({ "person_id": person_id(index), "kind": "lead", "name": name, "phones": [phone] }).to_string() + "\n"
        })
        .collect();
    let start = Instant::now();
    let request = world.backend.request(Method::POST, "/v1/people/import").timeout(IMPORT_LIMIT);
    let request = request.header("Leaseline-License", &license.id).header("Content-Type", "application/x-ndjson");
    let answer = request.body(lines).send().await?.error_for_status()?.text().await?;
    let import = start.elapsed();
    let created = answer.lines().filter(|line| line.contains(r#""result":"created""#)).count();
    ensure!(created == PEOPLE, "{created} of {PEOPLE} people were created");

    let recipients: Vec<Value> = (0..RECIPIENTS).map(|index| json!({ "person_id": person_id(index) })).collect();
    let body = "Hi {{person.first_name}}, the water is off on Tuesday from 9 to 11. {{company.name}}";
    let start = Instant::now();
    let sent = license.manager.send("many", &recipients, body).await?.ok()?;
    let batch = start.elapsed();
    let accepted = sent["messages"].as_array().map_or(0, Vec::len);
    ensure!(accepted == RECIPIENTS, "{accepted} of {RECIPIENTS} recipients were accepted");
    let id = sent["batch_id"].as_str().context("a batch has no id")?;
    license.manager.call(Method::POST, &format!("/v1/batches/{id}/cancel"), None).await?.ok()?;
    Ok(Many { import, batch })
}

fn person_id(index: usize) -> String {
    format!("imported-{index}")
}
