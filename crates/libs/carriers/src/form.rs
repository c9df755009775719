//! Requests whose body is a form: all of Twilio's, and Telnyx' about calls.
//!
//! Unknown parameters are ignored (carriers add some without notice) and values are never trimmed: a space at the end
//! of a text is part of the text.

use std::borrow::Cow;

use http::header::CONTENT_TYPE;
use url::form_urlencoded;

use crate::{MalformedWebhook, WebhookRequest};

/// The decoded parameters of a request.
pub(crate) struct Form<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Form<'a> {
    pub(crate) fn read(request: &WebhookRequest<'a>) -> Result<Self, MalformedWebhook> {
        if is_form(request) {
            Ok(Self(form_urlencoded::parse(request.body).collect()))
        } else {
            Err(MalformedWebhook::UnreadableBody)
        }
    }

    pub(crate) fn find(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_ref())
    }

    /// What is there and not empty.
    pub(crate) fn get(&self, name: &'static str) -> Result<&str, MalformedWebhook> {
        self.find(name).filter(|value| !value.is_empty()).ok_or(MalformedWebhook::MissingField(name))
    }
}

/// Does the content type say so?
pub(crate) fn is_form(request: &WebhookRequest<'_>) -> bool {
    let content_type = request.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}
