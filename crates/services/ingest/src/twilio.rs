//! Our account at Twilio, as far as its webhooks go: who signs them, and whose they say they are.

use carriers::twilio::TwilioWebhooks;
use url::form_urlencoded;

use crate::config::TwilioSettings;

/// The account of the settings.
#[derive(Debug)]
pub(crate) struct TwilioAccount {
    pub(crate) webhooks: TwilioWebhooks,
    /// `None`: any account that signs with our tokens.
    account_sid: Option<String>,
}

impl TwilioAccount {
    pub(crate) fn new(settings: &TwilioSettings) -> Self {
        let account_sid = Some(settings.account_sid.clone()).filter(|sid| !sid.is_empty());
        Self { webhooks: TwilioWebhooks::new(settings.auth_tokens.clone()), account_sid }
    }

    /// Does this form, whose signature is good, belong to our account? A form that names no account does not, nor
    /// does one that names several.
    pub(crate) fn is_ours(&self, form: &[u8]) -> bool {
        let Some(ours) = &self.account_sid else { return true };
        let mut named = form_urlencoded::parse(form).filter(|(name, _)| name == "AccountSid").peekable();
        named.peek().is_some() && named.all(|(_, sid)| sid == *ours)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(account_sid: &str) -> TwilioAccount {
        TwilioAccount::new(&TwilioSettings { account_sid: account_sid.to_owned(), auth_tokens: Vec::new() })
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
