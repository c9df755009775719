//! When Twilio asks again (CARRIERS §4): by default one more time and only when it could not connect.
//! The fragment of a webhook URL changes that, for example `#rc=3&rp=all`. The pure part; `webhooks` does the asking.
//! `rc`, `rp`, `rt` and `tt` are honoured; `ct`, `sni` and `e` are read over.

use std::time::Duration;

use crate::webhook::Failure;

/// Twilio never spends more on one webhook, all attempts together.
const TOTAL: Duration = Duration::from_secs(15);
const MAX_RETRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "four independent switches of Twilio's rp parameter")]
pub(crate) struct RetryPolicy {
    retries: u32,
    on_connect: bool,
    on_read: bool,
    on_4xx: bool,
    on_5xx: bool,
    /// Of one attempt.
    pub(crate) read_timeout: Duration,
    /// Of all attempts.
    pub(crate) total: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            retries: 1,
            on_connect: true,
            on_read: false,
            on_4xx: false,
            on_5xx: false,
            read_timeout: TOTAL,
            total: TOTAL,
        }
    }
}

impl RetryPolicy {
    /// Reads the fragment of a webhook URL, without its `#`.
    pub(crate) fn parse(fragment: &str) -> Self {
        let mut policy = Self::default();
        for (name, value) in url::form_urlencoded::parse(fragment.as_bytes()) {
            let millis = || value.parse().map_or(TOTAL, Duration::from_millis).min(TOTAL);
            match &*name {
                "rc" => policy.retries = value.parse().unwrap_or(1).min(MAX_RETRIES),
                "rp" => {
                    let has = |word| value.split(',').any(|wanted| wanted == word || wanted == "all");
                    (policy.on_connect, policy.on_read, policy.on_4xx, policy.on_5xx) =
                        (has("ct"), has("rt"), has("4xx"), has("5xx"));
                }
                "rt" => policy.read_timeout = millis(),
                "tt" => policy.total = millis(),
                _ => {}
            }
        }
        policy
    }

    /// The pause before the next attempt, or nothing when this failure is the end of it. `retried` counts the retries so far.
    pub(crate) fn decide_retry(&self, failure: Failure, retried: u32) -> Option<Duration> {
        let wanted = match failure {
            Failure::Connect => self.on_connect,
            Failure::Read => self.on_read,
            Failure::Status(status) => {
                (self.on_4xx && (400..500).contains(&status)) || (self.on_5xx && (500..600).contains(&status))
            }
        };
        (wanted && retried < self.retries).then(|| FIRST_PAUSE * 2_u32.pow(retried))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retries(policy: &RetryPolicy, failure: Failure) -> u32 {
        (0..10).take_while(|retried| policy.decide_retry(failure, *retried).is_some()).map(|_| 1).sum()
    }

    #[test]
    fn by_default_only_a_failed_connection_is_tried_once_more() {
        let policy = RetryPolicy::parse("");
        assert_eq!(retries(&policy, Failure::Connect), 1);
        for failure in [Failure::Read, Failure::Status(500), Failure::Status(404), Failure::Status(302)] {
            assert_eq!(retries(&policy, failure), 0, "{failure:?}");
        }
    }

    #[test]
    fn the_fragment_changes_the_rule() {
        let all = RetryPolicy::parse("rc=3&rp=all");
        for failure in [Failure::Connect, Failure::Read, Failure::Status(500), Failure::Status(404)] {
            assert_eq!(retries(&all, failure), 3, "{failure:?}");
        }
        let some = RetryPolicy::parse("rc=9&rp=5xx,rt&rt=200&tt=99999");
        assert_eq!(retries(&some, Failure::Status(503)), 5);
        assert_eq!(retries(&some, Failure::Read), 5);
        assert_eq!(retries(&some, Failure::Connect), 0);
        assert_eq!((some.read_timeout, some.total), (Duration::from_millis(200), TOTAL));
    }
}
