//! How a caller is told that something did not work: RFC 9457 problem documents with a stable `code`.
//!
//! Everything ends here: the faults of the services behind, the gateway's own, and what HTTP itself refuses.
//! Causes are logged where they are found and never told.

use axum::response::{IntoResponse, Response};
use chassis::{Fault, FaultKind};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A refusal on its way to the caller.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    fault: Fault,
    /// A token was given and refused, so the challenge says so.
    bad_token: bool,
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self { status: fault.http_status(), fault, bad_token: false }
    }
}

impl Problem {
    /// What an upstream answered instead of a result. Logged here when it is not the caller's doing.
    pub(crate) fn from_upstream(status: &tonic::Status) -> Self {
        let fault = Fault::from_status(status);
        if matches!(fault.kind, FaultKind::Internal | FaultKind::Unavailable) {
            let cause = std::error::Error::source(status);
            tracing::warn!(grpc = ?status.code(), fault = %fault.code, cause, "an upstream could not answer");
        }
        fault.into()
    }

    /// The field by the caller's name for it, where the service has another one.
    pub(crate) fn renamed(mut self, service: &str, caller: &str) -> Self {
        if self.fault.field.as_deref() == Some(service) {
            self.fault.field = Some(caller.to_owned());
        }
        self
    }

    /// When to come again with this code, if the service did not say.
    pub(crate) fn come_again(mut self, code: &str, seconds: u64) -> Self {
        if self.fault.code == code {
            self.fault.extra.entry("retry_after_s").or_insert(seconds.into());
        }
        self
    }

    /// Nothing was presented that says who calls.
    pub(crate) fn token_missing() -> Self {
        let detail = "Send `Authorization: Bearer <token>`.";
        Fault::unauthenticated("unauthenticated", detail).into()
    }

    /// A token was presented and is not good.
    pub(crate) fn token_refused(detail: &str) -> Self {
        let fault = Fault::unauthenticated("unauthenticated", detail);
        Self { status: fault.http_status(), fault, bad_token: true }
    }

    pub(crate) fn unknown_path() -> Self {
        Fault::not_found("not_found", "There is nothing at this address. See /docs.").into()
    }

    pub(crate) fn method_not_allowed() -> Self {
        let fault = Fault::malformed("method_not_allowed", "This address does not know this method. See /docs.");
        Self { status: StatusCode::METHOD_NOT_ALLOWED, fault, bad_token: false }
    }

    pub(crate) fn unsupported_media_type() -> Self {
        let fault = Fault::malformed("unsupported_media_type", "Send JSON, with `Content-Type: application/json`.");
        Self { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, fault, bad_token: false }
    }

    pub(crate) fn body_too_large() -> Self {
        Fault::too_large("body_too_large", "The request's body is larger than this call accepts.").into()
    }
}

/// An error: RFC 9457. Some have further members, for example `rejected`.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemDocument {
    /// `urn:leaseline:problem:<code>`.
    r#type: String,
    /// The code in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// A sentence for people.
    detail: String,
    /// Stable; for programs.
    code: String,
    /// The input field, parameter or header that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Map<String, Value>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Fault { code, detail, field, extra, .. } = self.fault;
        let retry_after = extra.get("retry_after_s").and_then(Value::as_u64);
        let document = ProblemDocument {
            r#type: format!("urn:leaseline:problem:{code}"),
            title: title(&code),
            status: self.status.as_u16(),
            detail,
            code: code.into_owned(),
            field,
            extra,
        };
        let mut response = (self.status, axum::Json(document)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = if self.bad_token {
                r#"Bearer realm="leaseline", error="invalid_token""#
            } else {
                r#"Bearer realm="leaseline""#
            };
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}

/// `number_taken` reads "Number taken".
fn title(code: &str) -> String {
    let words = code.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().collect::<String>() + letters.as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_problem_document_has_a_stable_code_the_field_and_its_further_members() {
        let fault = Fault::invalid("phones[1]", "invalid_phone", "This is not a number.").with("limit", 3);
        let response = Problem::from(fault).into_response();
        assert_eq!(response.status(), 422);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let document: Value = serde_json::from_slice(&body).unwrap();
        let expected = serde_json::json!({
            "type": "urn:leaseline:problem:invalid_phone", "title": "Invalid phone", "status": 422,
            "detail": "This is not a number.", "code": "invalid_phone", "field": "phones[1]", "limit": 3,
        });
        assert_eq!(document, expected);
    }

    #[test]
    fn when_to_come_again_stands_in_the_document_and_in_the_header() {
        let fault = Fault::rate_limited("generate_limit_reached", "Wait.").with("retry_after_s", 42);
        let response = Problem::from(fault).into_response();
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "42");
        let other = Problem::from(Fault::rate_limited("slow_down", "Wait.")).into_response();
        assert!(!other.headers().contains_key("retry-after"));
    }

    #[test]
    fn who_is_not_known_is_challenged() {
        let challenge = |problem: Problem| problem.into_response().headers()["www-authenticate"].clone();
        assert_eq!(challenge(Problem::token_missing()), r#"Bearer realm="leaseline""#);
        assert!(challenge(Problem::token_refused("old")).to_str().unwrap().contains("invalid_token"));
    }
}
