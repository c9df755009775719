//! The one mapping from what went wrong to what a caller is told, over gRPC and over HTTP.
//!
//! A service turns its own errors into a [`Fault`]; the fault crosses gRPC inside the status and comes out unchanged
//! in the gateway, which writes it as a problem document. A fault never carries its cause: causes are logged
//! where they are handled, and callers are strangers.

use std::borrow::Cow;
use std::fmt;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tonic::{Code, Status};

/// What a caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// It cannot be read at all, for example broken JSON. 400.
    Malformed,
    /// It can be read and a field is wrong. 422.
    Invalid,
    /// Say who you are. 401.
    Unauthenticated,
    /// You may not. 403.
    Forbidden,
    /// It does not exist, or not for you. 404.
    NotFound,
    /// Not in the present state. 409.
    Conflict,
    /// Send less. 413.
    TooLarge,
    /// Send slower. 429.
    RateLimited,
    /// Try again later. 503.
    Unavailable,
    /// Our mistake. 500.
    Internal,
}

/// An error as callers see it.
#[derive(Clone, PartialEq, thiserror::Error)]
#[error("{detail}")]
pub struct Fault {
    pub kind: FaultKind,
    /// Stable, `snake_case`; programs compare it.
    pub code: Cow<'static, str>,
    /// A sentence for people.
    pub detail: String,
    /// The input field that is wrong, as the caller spells it.
    pub field: Option<String>,
    /// Further members of the problem document.
    pub extra: Map<String, Value>,
}

/// What travels in the details of a status.
#[derive(Serialize, Deserialize)]
struct Details<'a> {
    kind: FaultKind,
    #[serde(borrow)]
    code: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    extra: Map<String, Value>,
}

impl Fault {
    pub fn new(kind: FaultKind, code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self { kind, code: code.into(), detail: detail.into(), field: None, extra: Map::new() }
    }

    pub fn malformed(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(FaultKind::Malformed, code, detail)
    }

    pub fn invalid(field: impl Into<String>, code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(FaultKind::Invalid, code, detail).at(field)
    }

    pub fn unauthenticated(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(FaultKind::Unauthenticated, code, detail)
    }

    pub fn forbidden(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(FaultKind::Forbidden, code, detail)
    }

    pub fn not_found(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(FaultKind::NotFound, code, detail)
    }

    pub fn conflict(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(FaultKind::Conflict, code, detail)
    }

    pub fn too_large(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(FaultKind::TooLarge, code, detail)
    }

    pub fn rate_limited(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(FaultKind::RateLimited, code, detail)
    }

    pub fn unavailable(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(FaultKind::Unavailable, code, detail)
    }

    /// Something that should not happen. Says nothing about the cause; log that where you make this.
    pub fn internal() -> Self {
        Self::new(FaultKind::Internal, "internal", "Something went wrong on our side.")
    }

    /// A part that we depend on did not answer.
    pub fn service_unavailable() -> Self {
        Self::unavailable("service_unavailable", "The service cannot answer right now. Try again in a moment.")
    }

    /// Names the wrong field.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Adds a member to the problem document, for example `next_change_allowed_at`.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.extra.insert(key.into(), value.into());
        self
    }

    pub fn http_status(&self) -> StatusCode {
        match self.kind {
            FaultKind::Malformed => StatusCode::BAD_REQUEST,
            FaultKind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            FaultKind::Unauthenticated => StatusCode::UNAUTHORIZED,
            FaultKind::Forbidden => StatusCode::FORBIDDEN,
            FaultKind::NotFound => StatusCode::NOT_FOUND,
            FaultKind::Conflict => StatusCode::CONFLICT,
            FaultKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            FaultKind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            FaultKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            FaultKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn grpc_code(&self) -> Code {
        match self.kind {
            FaultKind::Malformed | FaultKind::Invalid => Code::InvalidArgument,
            FaultKind::Unauthenticated => Code::Unauthenticated,
            FaultKind::Forbidden => Code::PermissionDenied,
            FaultKind::NotFound => Code::NotFound,
            FaultKind::Conflict => Code::FailedPrecondition,
            FaultKind::TooLarge => Code::OutOfRange,
            FaultKind::RateLimited => Code::ResourceExhausted,
            FaultKind::Unavailable => Code::Unavailable,
            FaultKind::Internal => Code::Internal,
        }
    }

    /// The fault that a status carries. A status that is not ours comes from the transport: what may pass is
    /// [`Self::service_unavailable`], everything else [`Self::internal`].
    pub fn from_status(status: &Status) -> Self {
        if let Ok(details) = serde_json::from_slice::<Details<'_>>(status.details()) {
            return Self {
                kind: details.kind,
                code: Cow::Owned(details.code.into_owned()),
                detail: status.message().to_owned(),
                field: details.field,
                extra: details.extra,
            };
        }
        // A status that came over the wire has no source; one made here from a broken connection has.
        let broken_connection = std::error::Error::source(status).is_some();
        match status.code() {
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => Self::service_unavailable(),
            _ if broken_connection => Self::service_unavailable(),
            _ => Self::internal(),
        }
    }
}

/// Leaves out the detail and the further members: they may quote what a person typed.
impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fault")
            .field("kind", &self.kind)
            .field("code", &self.code)
            .field("field", &self.field)
            .finish_non_exhaustive()
    }
}

impl From<Fault> for Status {
    fn from(fault: Fault) -> Self {
        let code = fault.grpc_code();
        let details = Details { kind: fault.kind, code: fault.code, field: fault.field, extra: fault.extra };
        // A map with string keys always serializes; without details the status would still have the right code.
        let details = serde_json::to_vec(&details).unwrap_or_default();
        Status::with_details(code, fault.detail, details.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [(FaultKind, u16); 10] = [
        (FaultKind::Malformed, 400),
        (FaultKind::Invalid, 422),
        (FaultKind::Unauthenticated, 401),
        (FaultKind::Forbidden, 403),
        (FaultKind::NotFound, 404),
        (FaultKind::Conflict, 409),
        (FaultKind::TooLarge, 413),
        (FaultKind::RateLimited, 429),
        (FaultKind::Unavailable, 503),
        (FaultKind::Internal, 500),
    ];

    #[test]
    fn a_fault_of_every_kind_crosses_grpc_unchanged() {
        for (kind, http) in KINDS {
            let fault = Fault::new(kind, "some_code", "A sentence – with a dash.")
                .at("recipients[3].person_id")
                .with("next_change_allowed_at", "2026-12-01T00:00:00Z")
                .with("limit", 10_000);
            assert_eq!(fault.http_status().as_u16(), http);
            assert_eq!(Fault::from_status(&Status::from(fault.clone())), fault);

            let bare = Fault::new(kind, "some_code", "");
            assert_eq!(Fault::from_status(&Status::from(bare.clone())), bare);
        }
    }

    #[test]
    fn a_status_of_the_transport_says_try_again_when_that_can_help() {
        for code in [Code::Unavailable, Code::DeadlineExceeded, Code::Cancelled] {
            let fault = Fault::from_status(&Status::new(code, "tcp connect error"));
            assert_eq!(fault, Fault::service_unavailable());
        }
        let broken = Status::from_error(Box::new(std::io::Error::other("reset")));
        assert_eq!(Fault::from_status(&broken), Fault::service_unavailable());
    }

    #[test]
    fn a_strange_status_is_our_mistake_and_its_message_stays_inside() {
        let status = Status::new(Code::Unimplemented, "no such method /numbers.v1/Buy");
        assert_eq!(Fault::from_status(&status), Fault::internal());
    }

    #[test]
    fn debug_output_does_not_quote_what_a_person_typed() {
        let fault =
            Fault::invalid("phone", "invalid_phone", "`+12025550123` is not a number").with("typed", "+12025550123");
        let debug = format!("{fault:?}");
        assert!(!debug.contains("2025550123"), "{debug}");
        assert!(debug.contains("invalid_phone"), "{debug}");
    }
}
