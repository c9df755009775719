//! The carriers that an installation uses: those whose credentials are set.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::CarrierName;
use thiserror::Error;

use crate::Carrier;
use crate::telnyx::{Telnyx, TelnyxSettings};
use crate::twilio::{Twilio, TwilioSettings};

/// Carriers by name. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Carriers {
    by_name: Arc<BTreeMap<CarrierName, Arc<dyn Carrier>>>,
}

/// Why a process cannot call carriers.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// Neither has credentials.
    #[error("no carrier is set up: `twilio.account_sid` and `twilio.auth_token`, or `telnyx.api_key`, are required")]
    NoCarrier,
    #[error("Twilio cannot be used")]
    Twilio(#[source] crate::twilio::SetupError),
    #[error("Telnyx cannot be used")]
    Telnyx(#[source] crate::telnyx::SetupError),
}

impl Carriers {
    /// Adapters for those carriers that have credentials. Does not connect.
    ///
    /// # Errors
    /// [`ConnectError`]
    pub fn connect(twilio: &TwilioSettings, telnyx: &TelnyxSettings) -> Result<Self, ConnectError> {
        let mut carriers: Vec<Arc<dyn Carrier>> = Vec::new();
        if twilio.is_set() {
            carriers.push(Arc::new(Twilio::new(twilio).map_err(ConnectError::Twilio)?));
        }
        if telnyx.is_set() {
            carriers.push(Arc::new(Telnyx::new(telnyx).map_err(ConnectError::Telnyx)?));
        }
        if carriers.is_empty() { Err(ConnectError::NoCarrier) } else { Ok(Self::new(carriers)) }
    }

    /// These carriers.
    pub fn new(carriers: impl IntoIterator<Item = Arc<dyn Carrier>>) -> Self {
        Self { by_name: Arc::new(carriers.into_iter().map(|carrier| (carrier.name(), carrier)).collect()) }
    }

    /// The one of this name, if it is set up.
    pub fn find(&self, name: CarrierName) -> Option<&Arc<dyn Carrier>> {
        self.by_name.get(&name)
    }

    /// All that are set up, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Carrier>> {
        self.by_name.values()
    }

    /// Their names, in the same order.
    pub fn names(&self) -> Vec<CarrierName> {
        self.by_name.keys().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use chassis::Secret;

    use super::*;

    fn connect(auth_token: &str, api_key: &str) -> Result<Vec<CarrierName>, ConnectError> {
        let account_sid = if auth_token.is_empty() { "" } else { "AC0123456789abcdef0123456789abcdef" };
        let twilio = TwilioSettings {
            base_url: "https://api.twilio.com".into(),
            lookups_url: "https://lookups.twilio.com".into(),
            account_sid: account_sid.into(),
            auth_token: Secret::new(auth_token),
            request_timeout_ms: 1_000,
        };
        let telnyx = TelnyxSettings {
            base_url: "https://api.telnyx.com".into(),
            api_key: Secret::new(api_key),
            outbound_voice_profile_id: String::new(),
            request_timeout_ms: 1_000,
            order_timeout_ms: 1_000,
        };
        Ok(Carriers::connect(&twilio, &telnyx)?.names())
    }

    #[test]
    fn a_carrier_without_credentials_is_not_used_and_one_must_have_some() {
        assert_eq!(connect("token", "key").unwrap(), [CarrierName::Twilio, CarrierName::Telnyx]);
        assert_eq!(connect("token", "").unwrap(), [CarrierName::Twilio]);
        assert_eq!(connect("", "key").unwrap(), [CarrierName::Telnyx]);
        assert!(matches!(connect("", ""), Err(ConnectError::NoCarrier)));
    }
}
