//! The newest 1,000 requests that the carriers' APIs got, for a person or a test to look at.
//! It keeps neither headers nor credentials, and it does not see the control API.

use std::collections::VecDeque;

use axum::http::{Method, StatusCode, Uri};
use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::carrier::CarrierName;

/// How many requests are remembered.
const LIMIT: usize = 1_000;

#[derive(Clone)]
pub(crate) struct LoggedRequest {
    pub(crate) carrier: CarrierName,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    /// The form or the JSON as it came.
    pub(crate) body: Bytes,
    pub(crate) received_at: DateTime<Utc>,
    /// Nothing while the request is held, and for ever when it gets no answer.
    pub(crate) answer: Option<StatusCode>,
}

#[derive(Default)]
pub(crate) struct RequestLog {
    newest: VecDeque<LoggedRequest>,
    /// How many requests have left the log.
    forgotten: u64,
}

impl RequestLog {
    /// Returns the ticket with which the answer is noted later.
    pub(crate) fn record(&mut self, request: LoggedRequest) -> u64 {
        self.newest.push_back(request);
        if self.newest.len() > LIMIT {
            self.newest.pop_front();
            self.forgotten += 1;
        }
        self.forgotten + self.newest.len() as u64 - 1
    }

    pub(crate) fn mark_answered(&mut self, ticket: u64, answer: StatusCode) {
        let at = ticket.checked_sub(self.forgotten).and_then(|at| usize::try_from(at).ok());
        if let Some(request) = at.and_then(|at| self.newest.get_mut(at)) {
            request.answer = Some(answer);
        }
    }

    /// Newest first.
    pub(crate) fn list(&self) -> impl Iterator<Item = &LoggedRequest> {
        self.newest.iter().rev()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> LoggedRequest {
        LoggedRequest {
            carrier: CarrierName::Twilio,
            method: Method::GET,
            uri: Uri::from_static("/x"),
            body: Bytes::new(),
            received_at: Utc::now(),
            answer: None,
        }
    }

    #[test]
    fn the_log_is_bounded_and_answers_find_their_request() {
        let mut log = RequestLog::default();
        let first = log.record(request());
        for _ in 0..LIMIT {
            log.record(request());
        }
        let last = log.record(request());
        log.mark_answered(first, StatusCode::OK);
        log.mark_answered(last, StatusCode::CREATED);
        let answers: Vec<_> = log.list().map(|request| request.answer).collect();
        assert_eq!(answers.len(), LIMIT);
        assert_eq!(answers[0], Some(StatusCode::CREATED));
        assert!(answers[1..].iter().all(Option::is_none));
    }
}
