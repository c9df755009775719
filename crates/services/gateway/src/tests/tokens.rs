//! Tokens for tests. The gateway itself makes none.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Serialize;

pub(super) const SECRET: &str = "a-secret-of-thirty-two-bytes-at-least";

/// The claims; a test changes what it is about.
#[derive(Clone, Serialize)]
pub(super) struct Token {
    pub(super) iss: Option<&'static str>,
    pub(super) aud: Option<&'static str>,
    pub(super) exp: Option<i64>,
    pub(super) nbf: Option<i64>,
    pub(super) sub: &'static str,
    pub(super) name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) license_id: Option<&'static str>,
    pub(super) role: &'static str,
}

impl Default for Token {
    /// Mia, a manager of `acme`, for an hour.
    fn default() -> Self {
        Self {
            iss: Some("leaseline"),
            aud: Some("leaseline"),
            exp: Some(testkit::clock().now().timestamp() + 3_600),
            nbf: None,
            sub: "m-1",
            name: "Mia Manager",
            license_id: Some("acme"),
            role: "manager",
        }
    }
}

pub(super) fn token(claims: Token) -> String {
    sign(claims, &Header::new(Algorithm::HS256), &EncodingKey::from_secret(SECRET.as_bytes()))
}

pub(super) fn admin() -> String {
    token(Token { role: "admin", ..Token::default() })
}

pub(super) fn backend() -> String {
    token(Token { role: "service", license_id: None, ..Token::default() })
}

#[expect(clippy::needless_pass_by_value, reason = "reads better at the callers")]
pub(super) fn sign(claims: Token, header: &Header, key: &EncodingKey) -> String {
    encode(header, &claims, key).unwrap()
}
