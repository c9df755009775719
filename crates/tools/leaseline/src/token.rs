//! Development tokens: what the company's product signs in production.

use anyhow::{Result, bail};
use chrono::{TimeDelta, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Serialize;

/// Signs tokens with a static key that the gateway knows.
#[derive(Clone)]
pub struct Signer {
    pub issuer: String,
    pub audience: String,
    pub key: String,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// What a token says of its bearer.
#[derive(Debug, Clone, Serialize)]
pub struct Claims {
    pub iss: String,
    pub aud: String,
    pub exp: i64,
    /// Manager id.
    pub sub: String,
    pub name: String,
    /// Left out when it is empty: for the role `service`, which acts for any license.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub license_id: String,
    pub role: String,
}

/// How long a development token is good.
const LIFE: TimeDelta = TimeDelta::days(30);

impl Signer {
    /// A signer of the development stack.
    pub fn new(key: String) -> Self {
        Self { issuer: "leaseline-dev".to_owned(), audience: "leaseline".to_owned(), key }
    }

    /// A token for a manager of a license, or for the company's backend.
    ///
    /// # Errors
    /// For a role that does not exist.
    pub fn sign(&self, license_id: &str, role: &str, manager_id: &str, name: &str) -> Result<String> {
        if !["manager", "admin", "service"].contains(&role) {
            bail!("`{role}` is no role; there are manager, admin and service");
        }
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            exp: (Utc::now() + LIFE).timestamp(),
            sub: manager_id.to_owned(),
            name: name.to_owned(),
            license_id: license_id.to_owned(),
            role: role.to_owned(),
        };
        Ok(encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(self.key.as_bytes()))?)
    }
}
