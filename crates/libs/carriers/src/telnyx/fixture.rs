//! Telnyx as the shared cases see it.

use chassis::Secret;
use domain::CarrierName;
use url::Url;

use super::{Telnyx, TelnyxSettings};
use crate::{
    Carrier,
    harness::{
        rest::{self, Said},
        scripted::Act,
    },
};

/// An adapter that loses patience quickly.
pub(super) fn telnyx_at(base_url: &Url) -> Telnyx {
    Telnyx::new(&TelnyxSettings {
        base_url: base_url.to_string(),
        api_key: Secret::new("key"),
        outbound_voice_profile_id: "ovp-1".into(),
        request_timeout_ms: 500,
        order_timeout_ms: 700,
    })
    .unwrap()
}

/// The profile and the application of [`rest::order`], as Telnyx keeps them.
pub(super) const PROFILES: Act = Act::Answer(
    200,
    "",
    r#"{"data":[{"id":"mp-1","name":"leaseline acme-1","webhook_url":"https://in.example.com/message",
        "webhook_failover_url":"https://in.example.com/message","webhook_api_version":"2"}]}"#,
);
pub(super) const APPLICATIONS: Act = Act::Answer(
    200,
    "",
    r#"{"data":[{"id":"app-1","friendly_name":"leaseline","voice_url":"https://in.example.com/voice",
        "voice_method":"post","voice_fallback_url":"https://in.example.com/voice",
        "status_callback":"https://in.example.com/voice/after","outbound":{"outbound_voice_profile_id":"ovp-1"}}]}"#,
);
pub(super) const NOTHING: Act = Act::Answer(200, "", r#"{"data":[],"meta":{"total_pages":0}}"#);

pub(super) struct Fixture;

impl rest::Fixture for Fixture {
    fn carrier(&self) -> CarrierName {
        CarrierName::Telnyx
    }

    fn connect(&self, base_url: &Url) -> Box<dyn Carrier> {
        Box::new(telnyx_at(base_url))
    }

    fn sends(&self) -> &'static str {
        "POST /v2/messages"
    }

    fn buys(&self) -> &'static str {
        "POST /v2/number_orders"
    }

    fn taken(&self) -> Act {
        Act::Answer(200, "", r#"{"data":{"id":"id-1","parts":2,"to":[{"status":"queued"}]}}"#)
    }

    fn nameless(&self) -> Vec<&'static str> {
        vec![r#"{"data":{"id":""}}"#, r#"{"data":{}}"#, r#"{"data":null}"#, r#"{"id":"id-1"}"#]
    }

    fn error(&self, said: Said) -> &'static str {
        match said {
            Said::TooManyRequests => r#"{"errors":[{"code":"10011","title":"x"}]}"#,
            Said::QueueFull => r#"{"errors":[{"code":"40318","title":"x"}]}"#,
            Said::WrongCredentials => r#"{"errors":[{"code":"10009","title":"x"}]}"#,
            Said::OptedOut => r#"{"errors":[{"code":"40300","title":"x","detail":"+14155550123"}]}"#,
            Said::Sold => r#"{"errors":[{"code":"85001","title":"x","detail":"+14155550123"}]}"#,
            Said::NotFound => r#"{"errors":[{"code":"10005","title":"x"}]}"#,
            Said::SomethingNew => r#"{"errors":[{"code":"99999","title":"x"}]}"#,
        }
    }

    fn before_buying(&self) -> Vec<Act> {
        vec![PROFILES, APPLICATIONS]
    }

    fn not_owned(&self) -> Vec<Act> {
        vec![NOTHING, NOTHING]
    }

    fn none_found(&self) -> Act {
        Act::Answer(200, "", r#"{"data":[],"meta":{"total_results":0,"best_effort_results":0}}"#)
    }

    fn asks_for_sent(&self) -> &'static str {
        "GET /v2/messages/id-1"
    }

    fn undelivered(&self) -> Act {
        Act::Answer(
            200,
            "",
            r#"{"data":{"id":"id-1","direction":"outbound","from":{"phone_number":"+16465550111"},"text":"hello",
                "to":[{"phone_number":"+14155550123","status":"delivery_failed"}],"sent_at":null,
                "received_at":"2026-11-23T12:00:00.000+00:00","errors":[{"code":"40001","detail":"+14155550123"}]}}"#,
        )
    }

    fn says_nothing(&self) -> Vec<&'static str> {
        vec![
            r#"{"data":{"id":"id-2","received_at":"2026-11-23T12:00:00Z","to":[{"status":"sent"}]}}"#,
            r#"{"data":{"id":"id-1","received_at":"at noon","to":[{"status":"sent"}]}}"#,
            r#"{"data":{"id":"id-1","received_at":null,"to":[{"status":"sent"}]}}"#,
            r#"{"data":{"id":"id-1","received_at":"2026-11-23T12:00:00Z","to":[]}}"#,
        ]
    }
}
