//! What Twilio posts about a call.

use crate::calls::Call;
use crate::webhook::{Params, params_of};

pub(crate) fn list_params(account_sid: &str, call: &Call, status: &str) -> Params {
    params_of([
        ("ApiVersion", "2010-04-01"),
        ("AccountSid", account_sid),
        ("CallSid", &call.sid),
        ("CallStatus", status),
        ("Direction", "inbound"),
        ("From", &call.from),
        ("Caller", &call.from),
        ("To", &call.to),
        ("Called", &call.to),
        ("FromCountry", "US"),
        ("ToCountry", "US"),
    ])
}
