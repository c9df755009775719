//! The public addresses of ingest: one place that knows their paths (design §3).
//!
//! Numbers are bought with them, messages carry them, and ingest serves and signs them. They are built from
//! configuration, never from a request.

use domain::{CarrierName, Id, LicenseId, Message};
use thiserror::Error;
use url::Url;

use crate::NumberWebhooks;

/// Not an address that carriers could call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be http or https with a host, and end with its path: no query, no fragment")]
pub struct InvalidAddress;

/// What stands before `/webhooks/…`: scheme, host, possibly a port and a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookAddresses {
    base: Url,
}

impl WebhookAddresses {
    /// Reads the setting.
    ///
    /// # Errors
    /// [`InvalidAddress`]
    pub fn parse(text: &str) -> Result<Self, InvalidAddress> {
        let base = Url::parse(text).map_err(|_| InvalidAddress)?;
        let usable = matches!(base.scheme(), "http" | "https")
            && base.has_host()
            && base.query().is_none()
            && base.fragment().is_none();
        if usable { Ok(Self { base }) } else { Err(InvalidAddress) }
    }

    /// As it was set.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// What a carrier is told about a number.
    pub fn of_number(&self, carrier: CarrierName) -> NumberWebhooks {
        NumberWebhooks {
            message_url: self.path(carrier, "message"),
            voice_url: self.path(carrier, "voice"),
            voice_status_url: self.path(carrier, "voice/after"),
        }
    }

    /// Where the receipts of one message go. Carries our id, so that a receipt settles an `Unknown` (rule 16).
    pub fn receipt(&self, carrier: CarrierName, message_id: Id<Message>) -> Url {
        let mut url = self.path(carrier, "status");
        url.query_pairs_mut().append_pair("mid", &message_id.to_string());
        url
    }

    /// Where the result of one forwarded call goes. Names the license that was called: its number may be
    /// replaced while they talk.
    pub fn after_call(&self, carrier: CarrierName, license_id: &LicenseId) -> Url {
        let mut url = self.path(carrier, "voice/after");
        url.query_pairs_mut().append_pair("license", license_id.as_str());
        url
    }

    fn path(&self, carrier: CarrierName, kind: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/webhooks/{carrier}/{kind}", self.base.path().trim_end_matches('/')));
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_webhook_has_its_path_below_the_configured_address() {
        for (base, expected) in [
            ("https://in.example.com", "https://in.example.com/webhooks/telnyx/"),
            ("https://example.com:8443/in/", "https://example.com:8443/in/webhooks/telnyx/"),
        ] {
            let addresses = WebhookAddresses::parse(base).unwrap();
            let number = addresses.of_number(CarrierName::Telnyx);
            let message_id = Id::new();
            let shown = [
                number.message_url,
                number.voice_url,
                number.voice_status_url,
                addresses.receipt(CarrierName::Telnyx, message_id),
                addresses.after_call(CarrierName::Telnyx, &LicenseId::parse("acme").unwrap()),
            ];
            let kinds =
                ["message", "voice", "voice/after", &format!("status?mid={message_id}"), "voice/after?license=acme"];
            assert_eq!(shown.map(String::from), kinds.map(|kind| format!("{expected}{kind}")));
        }
    }

    #[test]
    fn what_carriers_could_not_call_is_refused() {
        for wrong in
            ["", "in.example.com", "ftp://in.example.com", "https://a.b/?c", "https://a.b/#rc=3", "mailto:a@b.c"]
        {
            assert_eq!(WebhookAddresses::parse(wrong), Err(InvalidAddress), "{wrong}");
        }
    }
}
