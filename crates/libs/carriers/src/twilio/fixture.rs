//! Twilio as the shared cases see it.

use chassis::Secret;
use domain::CarrierName;
use url::Url;

use super::{Twilio, TwilioSettings};
use crate::{
    Carrier,
    harness::{
        rest::{self, Said},
        scripted::Act,
    },
};

pub(super) const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";

/// An adapter that loses patience quickly.
pub(super) fn twilio_at(base_url: &Url) -> Twilio {
    Twilio::new(&TwilioSettings {
        lookups_url: base_url.to_string(),
        base_url: base_url.to_string(),
        account_sid: ACCOUNT.to_owned(),
        auth_token: Secret::new("token"),
        request_timeout_ms: 500,
    })
    .unwrap()
}

pub(super) struct Fixture;

impl rest::Fixture for Fixture {
    fn carrier(&self) -> CarrierName {
        CarrierName::Twilio
    }

    fn connect(&self, base_url: &Url) -> Box<dyn Carrier> {
        Box::new(twilio_at(base_url))
    }

    fn sends(&self) -> &'static str {
        "POST /2010-04-01/Accounts/AC0123456789abcdef0123456789abcdef/Messages.json"
    }

    fn buys(&self) -> &'static str {
        "POST /2010-04-01/Accounts/AC0123456789abcdef0123456789abcdef/IncomingPhoneNumbers.json"
    }

    fn taken(&self) -> Act {
        Act::Answer(201, "", r#"{"sid":"id-1","num_segments":"2"}"#)
    }

    fn nameless(&self) -> Vec<&'static str> {
        vec![r#"{"sid":""}"#, r#"{"sid":null}"#, r#"{"num_segments":"2"}"#]
    }

    fn error(&self, said: Said) -> &'static str {
        match said {
            Said::TooManyRequests => r#"{"code":20429,"message":"x","status":429}"#,
            Said::QueueFull => r#"{"code":21611,"message":"x","status":400}"#,
            Said::WrongCredentials => r#"{"code":20003,"message":"x","status":401}"#,
            Said::OptedOut => r#"{"code":21610,"message":"+14155550123","status":400}"#,
            Said::Sold => r#"{"code":21422,"message":"+14155550123","status":400}"#,
            Said::NotFound => r#"{"code":20404,"message":"x","status":404}"#,
            Said::SomethingNew => r#"{"code":99999,"message":"x","status":400}"#,
        }
    }

    fn before_buying(&self) -> Vec<Act> {
        Vec::new()
    }

    fn not_owned(&self) -> Vec<Act> {
        vec![Act::Answer(200, "", r#"{"incoming_phone_numbers":[]}"#)]
    }

    fn none_found(&self) -> Act {
        Act::Answer(200, "", r#"{"available_phone_numbers":[]}"#)
    }

    fn asks_for_sent(&self) -> &'static str {
        "GET /2010-04-01/Accounts/AC0123456789abcdef0123456789abcdef/Messages/id-1.json"
    }

    fn undelivered(&self) -> Act {
        Act::Answer(
            200,
            "",
            r#"{"sid":"id-1","status":"undelivered","error_code":30006,"direction":"outbound-api","from":"+16465550111",
                "to":"+14155550123","body":"hello","num_media":"0","num_segments":"1","date_sent":null,
                "date_created":"Mon, 23 Nov 2026 12:00:00 +0000"}"#,
        )
    }

    fn says_nothing(&self) -> Vec<&'static str> {
        vec![
            r#"{"sid":"id-2","status":"sent","date_created":"Mon, 23 Nov 2026 12:00:00 +0000"}"#,
            r#"{"sid":"id-1","status":"sent","date_created":"at noon"}"#,
            r#"{"sid":"id-1","status":"sent"}"#,
        ]
    }
}
