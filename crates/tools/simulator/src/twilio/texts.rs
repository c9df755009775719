//! What Twilio posts about messages: a text from a phone, and the receipts of a message that was sent.

use chrono::Utc;

use crate::history::{Message, Status};
use crate::receipts::Step;
use crate::webhook::{Params, params_of};

/// Where the receipts of one message go. Without a `StatusCallback` nobody hears of it.
pub(crate) struct Receipts {
    pub(super) callback: Option<String>,
    pub(super) from: String,
    pub(super) to: String,
}

impl Receipts {
    /// What is posted at this step, and where.
    pub(crate) fn prepare(&self, account_sid: &str, sid: &str, step: Step) -> Option<(&str, Params)> {
        let url = self.callback.as_deref()?;
        let status = step.status.as_str();
        let mut params = params_of([
            ("AccountSid", account_sid),
            ("ApiVersion", "2010-04-01"),
            ("From", &self.from),
            ("MessageSid", sid),
            ("MessageStatus", status),
            ("SmsSid", sid),
            ("SmsStatus", status),
            ("To", &self.to),
        ]);
        if let Some(code) = step.error_code {
            params.push(("ErrorCode".to_owned(), code.to_string()));
        }
        if matches!(step.status, Status::Delivered | Status::Undelivered) {
            params.push(("RawDlrDoneDate".to_owned(), Utc::now().format("%y%m%d%H%M").to_string()));
        }
        Some((url, params))
    }
}

/// The form of a text from a phone.
pub(crate) fn list_inbound_params(account_sid: &str, message: &Message) -> Params {
    let mut params = params_of([
        ("ApiVersion", "2010-04-01"),
        ("AccountSid", account_sid),
        ("MessageSid", &message.sid),
        ("SmsSid", &message.sid),
        ("SmsMessageSid", &message.sid),
        ("SmsStatus", "received"),
        ("From", &message.from),
        ("To", &message.to),
        ("FromCountry", "US"),
        ("ToCountry", "US"),
        ("Body", &message.body),
        ("NumSegments", &message.segments.to_string()),
        ("NumMedia", &message.media_urls.len().to_string()),
    ]);
    for (index, url) in message.media_urls.iter().enumerate() {
        params.push((format!("MediaUrl{index}"), url.clone()));
        params.push((format!("MediaContentType{index}"), message.media_type(index).to_owned()));
    }
    params
}
