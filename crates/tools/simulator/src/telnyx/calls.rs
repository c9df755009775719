//! What Telnyx posts about a call to a TeXML application (CARRIERS §5). It tells no status with the first request.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::ORGANIZATION;
use crate::calls::Call;
use crate::webhook::{Params, params_of};

pub(crate) fn list_params(call: &Call, status: &str) -> Params {
    let mut params = params_of([
        ("AccountSid", ORGANIZATION),
        ("CallSid", &call.sid),
        ("CallSidLegacy", &call.sid),
        ("CallerId", &call.from),
        ("CallingPartyType", "pstn"),
        ("From", &call.from),
        ("To", &call.to),
        ("ConnectionId", call.application_id.as_deref().unwrap_or_default()),
    ]);
    if status != "ringing" {
        params.push(("CallStatus".to_owned(), status.to_owned()));
    }
    params
}

/// Telnyx's call ids: a version, a colon, and base64 for URLs.
pub(crate) fn make_sid() -> String {
    format!("v3:{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()))
}
