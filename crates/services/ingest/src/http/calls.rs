//! Webhooks about calls. A caller listens while we think: the answer comes from memory, the event follows.

use std::time::Duration;

use carriers::{CallInstruction, WebhookAnswer, WebhookRequest, Webhooks};
use domain::{LicenseId, PhoneNumber};
use url::Url;

use super::receive::{Receiver, Taken, ignore_or_refuse};
use crate::account::Account;
use crate::error::WebhookError;
use crate::model::{CallPlan, call_updated, decide_after_call, plan_call};
use crate::routes::{Callee, NeverCurrent};

/// How long the answer to a caller who was forwarded waits for the stream at most.
const STORES_WITHIN: Duration = Duration::from_secs(2);

impl Receiver {
    /// Somebody calls: rings the company phone as it is set now, or says a sentence.
    pub(super) fn take_call(
        &self,
        webhooks: &dyn Webhooks,
        request: &WebhookRequest<'_>,
    ) -> Result<(Taken, WebhookAnswer), WebhookError> {
        let call = match webhooks.parse_call(request) {
            Ok(call) => call,
            Err(reason) => return hang_up(webhooks, ignore_or_refuse(reason)),
        };
        let callee = self.find_callee(&call.to)?;
        match plan_call(webhooks.name(), call, callee, &self.forwarding, self.clock.now()) {
            Ok(CallPlan { instruction, event, outcome }) => {
                if let Some(event) = event {
                    // Nobody waits for it.
                    let _recording = self.recorder.record_call(event);
                }
                Ok((Taken::Answered(outcome), webhooks.call_answer(&instruction)))
            }
            Err(reason) => hang_up(webhooks, ignore_or_refuse(reason)),
        }
    }

    /// A call has ended, or the company was rung in vain. Answers also when the stream does not.
    pub(super) async fn take_call_report(
        &self,
        account: &Account,
        request: &WebhookRequest<'_>,
    ) -> Result<(Taken, WebhookAnswer), WebhookError> {
        let webhooks = account.webhooks.as_ref();
        let report = match webhooks.parse_call_report(request) {
            Ok(Some(report)) => report,
            Ok(None) => return hang_up(webhooks, Ok(Taken::Ignored("no_result"))),
            Err(reason) => return hang_up(webhooks, ignore_or_refuse(reason)),
        };
        // Only a call that was forwarded has a caller who waits; they were sent here with the license.
        let forwarded = find_license(request.url);
        let instruction = if forwarded.is_some() { decide_after_call(report.result) } else { CallInstruction::HangUp };
        let license_id = match forwarded {
            Some(license_id) => license_id,
            None => match self.find_callee(&report.to)? {
                Some(callee) => callee.license_id,
                None => return hang_up(webhooks, Ok(Taken::Ignored("nobodys_number"))),
            },
        };
        let taken = match call_updated(webhooks.name(), &license_id, report, self.clock.now()) {
            Ok(event) => {
                let recording = self.recorder.record_call(event);
                match tokio::time::timeout(account.stores_within.min(STORES_WITHIN), recording).await {
                    Ok(Ok(true)) => Taken::Stored,
                    _ => Taken::Answered("not_stored_yet"),
                }
            }
            Err(reason) => ignore_or_refuse(reason)?,
        };
        Ok((taken, webhooks.call_answer(&instruction)))
    }

    fn find_callee(&self, number: &PhoneNumber) -> Result<Option<Callee>, WebhookError> {
        self.routes.find(number).map_err(|NeverCurrent| {
            tracing::warn!("nothing is known of any number yet; a call is answered 503");
            WebhookError::RoutesUnknown
        })
    }
}

/// The license in the address that we gave the carrier with the call.
fn find_license(url: &Url) -> Option<LicenseId> {
    let (_, license_id) = url.query_pairs().find(|(name, _)| name == "license")?;
    LicenseId::parse(license_id).ok()
}

fn hang_up(
    webhooks: &dyn Webhooks,
    taken: Result<Taken, WebhookError>,
) -> Result<(Taken, WebhookAnswer), WebhookError> {
    Ok((taken?, webhooks.call_answer(&CallInstruction::HangUp)))
}
