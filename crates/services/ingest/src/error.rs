//! Why a webhook does not become an event, and what its carrier is told.
//!
//! The status decides what the carrier does next: 503 asks for a repeat (of a call: at the fallback address), 4xx says that a repeat would not help.
//! A carrier that repeats nothing at least shows the status in its own console.

use bus::PublishError;
use carriers::{MalformedWebhook, SignatureError};
use chassis::Fault;

/// Nothing in here is quoted from the request: it was written by a stranger.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WebhookError {
    /// More webhooks than we handle at the same time. Comes before anything is read.
    #[error("too many webhooks are under way")]
    Overloaded,
    /// Longer than any webhook.
    #[error("the body is too long")]
    TooLarge,
    /// The body ended early or did not end in time.
    #[error("the body did not arrive")]
    BodyIncomplete,
    /// Not signed by the carrier, or not for our address.
    #[error("the webhook is not trusted")]
    Untrusted(#[source] SignatureError),
    /// Signed, but for another account.
    #[error("the webhook is for another account")]
    OtherAccount,
    /// Signed, and we cannot read it: the carrier changed something, or our parser is wrong.
    #[error("the webhook cannot be read")]
    Unreadable(#[source] MalformedWebhook),
    /// A call, before the routes have been read once: another replica may know them.
    #[error("the routes of calls are not known yet")]
    RoutesUnknown,
    /// The stream did not confirm the event. It may have it: a repeat carries the same id.
    #[error("the event is not stored")]
    NotStored(#[source] PublishError),
}

impl WebhookError {
    /// We could not take it, whatever it was: the carrier still has what it said.
    pub(crate) fn is_outage(&self) -> bool {
        matches!(self, Self::Overloaded | Self::NotStored(_))
    }

    /// A stable name for metrics.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Overloaded => "overloaded",
            Self::TooLarge => "too_large",
            Self::BodyIncomplete => "body_incomplete",
            Self::Untrusted(reason) => reason.code(),
            Self::OtherAccount => "other_account",
            Self::Unreadable(reason) => reason.code(),
            Self::RoutesUnknown => "routes_unknown",
            Self::NotStored(_) => "not_stored",
        }
    }
}

impl From<&WebhookError> for Fault {
    fn from(error: &WebhookError) -> Self {
        match error {
            WebhookError::Overloaded | WebhookError::RoutesUnknown | WebhookError::NotStored(_) => {
                Self::service_unavailable()
            }
            WebhookError::TooLarge => Self::too_large("body_too_large", "The body may have 64 KiB."),
            WebhookError::BodyIncomplete => Self::malformed("body_incomplete", "The body did not arrive in time."),
            // Both the same: whoever guesses does not learn how close the guess was.
            WebhookError::Untrusted(_) | WebhookError::OtherAccount => {
                Self::forbidden("webhook_not_trusted", "The request is not signed by the carrier for our account.")
            }
            WebhookError::Unreadable(reason) => Self::malformed(reason.code(), sentence(*reason)),
        }
    }
}

/// "The parameter To cannot be read."
fn sentence(reason: MalformedWebhook) -> String {
    let text = reason.to_string();
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).chain(['.']).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_says_whether_a_repeat_can_help() {
        for (error, status) in [
            (WebhookError::Overloaded, 503),
            (WebhookError::RoutesUnknown, 503),
            (WebhookError::NotStored(PublishError::TimedOut), 503),
            (WebhookError::TooLarge, 413),
            (WebhookError::BodyIncomplete, 400),
            (WebhookError::Untrusted(SignatureError::Missing), 403),
            (WebhookError::OtherAccount, 403),
            (WebhookError::Unreadable(MalformedWebhook::UnreadableBody), 400),
        ] {
            assert_eq!(Fault::from(&error).http_status().as_u16(), status, "{error}");
        }
    }

    #[test]
    fn an_unreadable_webhook_names_the_parameter() {
        let fault = Fault::from(&WebhookError::Unreadable(MalformedWebhook::InvalidField("To")));
        assert_eq!(fault.detail, "The parameter To cannot be read.");
        assert_eq!(fault.code, "invalid_field");
    }
}
