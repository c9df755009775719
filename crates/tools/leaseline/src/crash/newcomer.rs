//! A company that signs up while the fault happens: it gets a number, and the carrier sells exactly one for it. So the
//! numbers service, which no text needs, has work in every row.

use std::time::{Duration, Instant};

use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::client::{Api, Phones};

/// A purchase that a crash left behind is picked up after its lease.
const PATIENCE: Duration = Duration::from_mins(3);
const ANSWER: Duration = Duration::from_secs(5);
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// A license that is being put.
#[derive(Debug)]
pub(super) struct Newcomer {
    license_id: String,
    managers: Vec<Api>,
    putting: JoinHandle<Result<(), String>>,
}

impl Newcomer {
    /// Puts the license, at one gateway after the other, until one accepts it. The company's backend and the license's
    /// manager, each at every gateway.
    pub(super) fn start(license_id: &str, backends: Vec<Api>, managers: Vec<Api>) -> Self {
        let putting = tokio::spawn(put(license_id.to_owned(), backends));
        Self { license_id: license_id.to_owned(), managers, putting }
    }

    /// Waits for its number. The sentences are what went wrong.
    pub(super) async fn settle(self, phones: &Phones) -> Result<Vec<String>> {
        let mut wrong = Vec::new();
        if let Err(why) = self.putting.await? {
            wrong.push(why);
        }
        let deadline = Instant::now() + PATIENCE;
        while !has_number(&self.managers).await {
            if Instant::now() > deadline {
                wrong.push(format!("{} got no number", self.license_id));
                break;
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
        let owned = phones.get("/_sim/numbers").await?;
        let sold = count_numbers(&owned, &self.license_id);
        if sold != 1 {
            wrong.push(format!("the carrier sold {sold} numbers for {}", self.license_id));
        }
        Ok(wrong)
    }
}

async fn put(license_id: String, backends: Vec<Api>) -> Result<(), String> {
    let company = json!({ "company_name": "New Property Management", "company_phone": "+12125550197" });
    let deadline = Instant::now() + PATIENCE;
    for backend in backends.iter().cycle() {
        let request =
            backend.request(Method::PUT, &format!("/v1/licenses/{license_id}")).timeout(ANSWER).json(&company);
        if request.send().await.is_ok_and(|answer| answer.status().is_success()) || Instant::now() > deadline {
            break;
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
    if Instant::now() > deadline { Err(format!("{license_id} could not be put")) } else { Ok(()) }
}

async fn has_number(managers: &[Api]) -> bool {
    for manager in managers {
        if let Ok(settings) = manager.get("/v1/settings").await
            && settings["messages_number"]["number"].is_string()
        {
            return true;
        }
    }
    false
}

/// The carrier knows for whom it sold each.
fn count_numbers(owned: &Value, license_id: &str) -> usize {
    let numbers = owned["numbers"].as_array().map(Vec::as_slice).unwrap_or_default();
    numbers.iter().filter(|number| number["friendly_name"] == license_id).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_was_bought_twice_is_counted() {
        let owned =
            json!({ "numbers": [{ "friendly_name": "a" }, { "friendly_name": "b" }, { "friendly_name": "a" }] });
        assert_eq!((count_numbers(&owned, "a"), count_numbers(&owned, "b"), count_numbers(&owned, "c")), (2, 1, 0));
    }
}
