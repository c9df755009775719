//! Inbound: signed webhooks as Twilio posts them, counted when they are committed in PostgreSQL and received, exactly
//! once, by the license's client on the feed. They are made and signed beforehand: that is the carrier's work.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use carriers::twilio::signature;
use chassis::Secret;
use url::form_urlencoded;

use super::ledger::Ledger;
use super::load::{Load, drive};
use super::world::{LICENSES, License, PEOPLE, Watchers, World};
use super::{Measured, Progress};
use crate::stack::ACCOUNT_SID;

const PATH: &str = "/webhooks/twilio/message";
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// A text to a license's number, as the carrier sees it.
pub(super) struct Text<'a> {
    pub(super) message_sid: String,
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    pub(super) body: String,
}

/// The texts of a phase: licenses take turns, and so do their people.
pub(super) fn list_texts<'a>(
    licenses: &'a [License],
    tag: &'static str,
    count: usize,
) -> impl Iterator<Item = Text<'a>> {
    let phones = licenses.iter().map(|license| license.phones.as_slice());
    let turns: Vec<_> = phones.zip(licenses).collect();
    (0..count).filter_map(move |index| {
        let (phones, license) = turns.get(index % LICENSES)?;
        Some(Text {
            message_sid: format!("SM{:032x}", uuid::Uuid::now_v7().as_u128()),
            from: phones.get(index / LICENSES % PEOPLE)?,
            to: &license.number,
            body: Ledger::text(tag, index),
        })
    })
}

/// A webhook that is ready to be posted.
struct Webhook {
    form: Bytes,
    signature: String,
}

impl Webhook {
    /// The full set of parameters that Twilio sends for a text without media.
    fn new(url: &str, token: &Secret, text: &Text<'_>) -> Self {
        let params = [
            ("ToCountry", "US"),
            ("ToState", "CA"),
            ("SmsMessageSid", &text.message_sid),
            ("NumMedia", "0"),
            ("ToCity", "SAN FRANCISCO"),
            ("FromZip", "94103"),
            ("SmsSid", &text.message_sid),
            ("FromState", "CA"),
            ("SmsStatus", "received"),
            ("FromCity", "SAN FRANCISCO"),
            ("Body", &text.body),
            ("FromCountry", "US"),
            ("To", text.to),
            ("ToZip", "94105"),
            ("NumSegments", "1"),
            ("MessageSid", &text.message_sid),
            ("AccountSid", ACCOUNT_SID),
            ("From", text.from),
            ("ApiVersion", "2010-04-01"),
        ];
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
        Self { form: form.into(), signature: signature::sign(token, url, &params) }
    }
}

/// Posts `count` webhooks and waits until they are committed and received.
///
/// # Errors
/// When one is refused, doubled or altered. When time runs out, the result says so.
pub(super) async fn measure(
    world: &World,
    progress: &Progress,
    tag: &'static str,
    count: usize,
    load: Load,
    limit: Duration,
) -> Result<Measured> {
    let url = format!("{}{PATH}", world.ingest_url()?);
    let token = Secret::new(world.stack.twilio_auth_token.as_str());
    let webhooks: Vec<_> =
        list_texts(&world.licenses, tag, count).map(|text| Webhook::new(&url, &token, &text)).collect();
    let ledger = Arc::new(Ledger::open(tag, count));
    let watchers = Watchers::open(world, Some(&ledger)).await?;
    let deadline = Instant::now() + limit;
    let carrier = Arc::new(Carrier {
        client: reqwest::Client::builder().timeout(REQUEST_TIMEOUT).build()?,
        url,
        webhooks,
        ledger: ledger.clone(),
    });
    let call = move |index, due| {
        let carrier = carrier.clone();
        async move { carrier.post(index, due).await }
    };
    let work = async {
        drive(load, count, deadline, call).await?;
        while ledger.count_arrived() < count && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        anyhow::Ok(())
    };
    progress.follow(&ledger, work).await?;
    let measured = Measured::of(&ledger)?;
    let committed = world.count_messages(tag).await?;
    watchers.close().await?;
    ledger.check_once()?;
    ensure!(committed >= measured.done, "{} texts were shown but only {committed} are committed", measured.done);
    ensure!(measured.is_early() || committed == count, "{committed} messages were made of {count} webhooks");
    Ok(measured)
}

struct Carrier {
    client: reqwest::Client,
    url: String,
    webhooks: Vec<Webhook>,
    ledger: Arc<Ledger>,
}

impl Carrier {
    async fn post(&self, index: usize, due: Instant) -> Result<()> {
        let Some(webhook) = self.webhooks.get(index) else { return Ok(()) };
        let request = self
            .client
            .post(&self.url)
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .header(signature::SIGNATURE_HEADER, &webhook.signature)
            .body(webhook.form.clone());
        self.ledger.begin(index, due);
        let response = request.send().await?;
        let status = response.status();
        response.bytes().await?;
        ensure!(status == 200, "a webhook was answered {status}");
        self.ledger.answer(index);
        Ok(())
    }
}
