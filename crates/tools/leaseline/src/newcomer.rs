//! A license as the journeys have it: with its messages number, and with tenants whose phones belong to nobody.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use crate::client::Api;
use crate::dev::wait_for_number;

/// Calls ring there. Belongs to nobody.
pub const COMPANY_PHONE: &str = "+14155550199";

const PATIENCE: Duration = Duration::from_secs(20);

/// The phone of person `n`; belongs to nobody.
pub fn phone(n: usize) -> String {
    format!("+1415555{:04}", 100 + n)
}

/// Creates the license of `manager`, whose next number is bought at this carrier, with the people `t0` ("Tenant 0"), `t1`, …
/// Answers its number, once texts to it are heard.
///
/// # Errors
/// When the gateway refuses, or it takes too long.
pub async fn create_license(
    backend: &Api,
    manager: &Api,
    license_id: &str,
    carrier: &str,
    people: usize,
) -> Result<String> {
    let company = json!({ "company_name": "Journey Homes", "company_phone": COMPANY_PHONE, "carrier": carrier });
    backend.put(&format!("/v1/licenses/{license_id}"), &company).await?;
    for n in 0..people {
        let person = json!({ "kind": "tenant", "name": format!("Tenant {n}"), "phones": [phone(n)] });
        manager.put(&format!("/v1/people/t{n}"), &person).await?;
    }
    let number = wait_for_number(manager).await?;
    // Until conversations has heard of the number: before, answers are kept apart (rule 8).
    let mut feed = manager.feed(Some(0)).await?;
    feed.wait_for("number.changed", PATIENCE, |event| event.kind == "number.changed").await?;
    Ok(number)
}
