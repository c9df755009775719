//! Our accounts at the carriers, as far as their webhooks go: who signs them, whose they say they are, and how long
//! the carrier waits for an answer.

use std::time::Duration;

use anyhow::Context as _;
use carriers::telnyx::TelnyxWebhooks;
use carriers::twilio::TwilioWebhooks;
use carriers::{WebhookRequest, Webhooks};
use url::form_urlencoded;

use crate::config::{TelnyxSettings, TwilioSettings};
use crate::error::WebhookError;

/// Longer than the publisher waits by itself: Twilio waits 15 s, of which the body may take 5.
const TWILIO_STORES_WITHIN: Duration = Duration::from_secs(5);
/// Telnyx gives up after 2 s (CARRIERS §4). What is stored later than this comes again anyway.
const TELNYX_STORES_WITHIN: Duration = Duration::from_millis(1_500);

/// The account of the settings at one carrier.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) webhooks: Box<dyn Webhooks>,
    /// The `AccountSid` that every form must name. `None`: whatever is signed with our keys is ours.
    expected_sid: Option<String>,
    /// How long an event may take into the stream before the carrier is told to try again.
    pub(crate) stores_within: Duration,
}

impl Account {
    pub(crate) fn twilio(settings: &TwilioSettings) -> Self {
        Self {
            webhooks: Box::new(TwilioWebhooks::new(settings.auth_tokens.clone())),
            expected_sid: Some(settings.account_sid.clone()).filter(|sid| !sid.is_empty()),
            stores_within: TWILIO_STORES_WITHIN,
        }
    }

    /// # Errors
    /// A key that is none.
    pub(crate) fn telnyx(settings: &TelnyxSettings) -> anyhow::Result<Self> {
        let webhooks = TelnyxWebhooks::new(&settings.public_keys)
            .context("`telnyx.public_keys` must be ed25519 keys in base64, as Telnyx shows them")?;
        Ok(Self { webhooks: Box::new(webhooks), expected_sid: None, stores_within: TELNYX_STORES_WITHIN })
    }

    /// Did the carrier make this request, for our account?
    pub(crate) fn check(&self, request: &WebhookRequest<'_>) -> Result<(), WebhookError> {
        self.webhooks.verify(request).map_err(WebhookError::Untrusted)?;
        if self.is_ours(request.body) { Ok(()) } else { Err(WebhookError::OtherAccount) }
    }

    /// Does this form, whose signature is good, belong to our account? A form that names no account does not, nor
    /// does one that names several.
    fn is_ours(&self, form: &[u8]) -> bool {
        let Some(ours) = &self.expected_sid else { return true };
        let mut named = form_urlencoded::parse(form).filter(|(name, _)| name == "AccountSid").peekable();
        named.peek().is_some() && named.all(|(_, sid)| sid == *ours)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(account_sid: &str) -> Account {
        Account::twilio(&TwilioSettings { account_sid: account_sid.to_owned(), auth_tokens: Vec::new() })
    }

    #[test]
    fn a_form_belongs_to_the_account_that_it_names() {
        let ours = account("AC1");
        assert!(ours.is_ours(b"Body=x&AccountSid=AC1&From=y"));
        for other in [&b"AccountSid=AC2"[..], b"AccountSid=", b"Body=AC1", b"", b"AccountSid=AC1&AccountSid=AC2"] {
            assert!(!ours.is_ours(other), "{}", String::from_utf8_lossy(other));
        }
    }

    #[test]
    fn without_a_configured_account_the_signature_alone_decides() {
        assert!(account("").is_ours(b"AccountSid=AC2"));
        assert!(account("").is_ours(b""));
    }
}
