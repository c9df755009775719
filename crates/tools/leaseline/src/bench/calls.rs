//! Calls: signed voice webhooks as Twilio posts them, at a fixed rate, each answered with the company's phone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use carriers::twilio::signature;
use chassis::Secret;

use super::ledger::{Ledger, Percentiles};
use super::load::{Load, drive};
use super::world::World;
use crate::stack::ACCOUNT_SID;

const PATH: &str = "/webhooks/twilio/voice";
/// Twilio's own limit for a call.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// Posts `count` calls and checks that each is forwarded.
///
/// # Errors
/// When one is not, or not all could begin in time.
pub(super) async fn measure(world: &World, count: usize, load: Load, limit: Duration) -> Result<Percentiles> {
    let url = format!("{}{PATH}", world.ingest_url()?);
    let token = Secret::new(world.stack.twilio_auth_token.as_str());
    let calls: Vec<_> = world
        .licenses
        .iter()
        .cycle()
        .take(count)
        .map(|license| {
            let sid = format!("CA{:032x}", uuid::Uuid::now_v7().as_u128());
            let from = license.phones.first().cloned().unwrap_or_default();
            let form = [
                ("AccountSid", ACCOUNT_SID.to_owned()),
                ("ApiVersion", "2010-04-01".to_owned()),
                ("CallSid", sid),
                ("CallStatus", "ringing".to_owned()),
                ("Direction", "inbound".to_owned()),
                ("From", from),
                ("To", license.number.clone()),
            ];
            let signature = signature::sign(&token, &url, &form);
            (form, signature)
        })
        .collect();
    let ledger = Arc::new(Ledger::open("call", count));
    let carrier = Arc::new((reqwest::Client::builder().timeout(REQUEST_TIMEOUT).build()?, url, calls, ledger.clone()));
    let call = move |index: usize, due| {
        let carrier = carrier.clone();
        async move {
            let (client, url, calls, ledger) = &*carrier;
            let Some((form, signature)) = calls.get(index) else { return Ok(()) };
            let request = client.post(url).header(signature::SIGNATURE_HEADER, signature).form(form);
            ledger.begin(index, due);
            let answer = request.send().await?.error_for_status()?.text().await?;
            ensure!(answer.contains("<Dial"), "a call was not forwarded: {answer}");
            ledger.answer(index);
            Ok(())
        }
    };
    drive(load, count, Instant::now() + limit, call).await?;
    ensure!(ledger.count_answered() == count, "{} of {count} calls were answered", ledger.count_answered());
    ledger.answers()
}
