//! Decides whether a token is good and whom it names (design §3).
//!
//! A token needs `iss`, `aud` and `exp`, and a signature by a key of ours with that key's own algorithm.
//! It makes no tokens.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use chassis::{Clock, Fault, Lifecycle};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{LicenseId, ManagerId};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde::Deserialize;

use super::jwks::{Jwks, KeysUnavailable};
use super::keys::Key;
use crate::config::AuthSettings;
use crate::error::Problem;

/// How far the clocks of the login and ours may be apart.
const LEEWAY: Duration = Duration::from_secs(30);

/// What somebody may do. Each can do what the one before can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    Manager,
    /// Also the license's settings.
    Admin,
    /// The company's backend: any license.
    Service,
}

/// Whom a good token names.
pub(crate) struct Caller {
    pub(crate) id: ManagerId,
    pub(crate) name: String,
    pub(crate) license: Option<LicenseId>,
    pub(crate) role: Role,
    pub(crate) accepted_until: DateTime<Utc>,
}

/// Why a token is not accepted.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("The token cannot be read.")]
    Malformed,
    #[error("The token is not signed by a key that is known here.")]
    BadSignature,
    #[error("The token is for somebody else: check its `iss` and `aud`.")]
    ForSomebodyElse,
    #[error("The token lacks one of the claims `iss`, `aud`, `exp`, `sub`, `name` and `role`, or one is wrong.")]
    BadClaims,
    #[error("The token has expired.")]
    Expired,
    #[error("The token is not valid yet.")]
    Early,
    #[error("The keys that tokens are checked with are not known yet.")]
    KeysUnavailable,
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::KeysUnavailable => Fault::service_unavailable().into(),
            refusal => Self::token_refused(&refusal.to_string()),
        }
    }
}

#[derive(Deserialize)]
struct Claims {
    sub: ManagerId,
    name: String,
    role: Role,
    license_id: Option<LicenseId>,
    exp: i64,
    nbf: Option<i64>,
}

/// Checks tokens.
pub(crate) struct Verifier {
    issuer: String,
    audience: String,
    secrets: Vec<Key>,
    jwks: Option<Arc<Jwks>>,
    clock: Clock,
}

impl Verifier {
    /// Starts to fetch published keys when there are any. Refuses settings with which nobody could come in.
    pub(crate) fn start(settings: &AuthSettings, clock: Clock, lifecycle: &Lifecycle) -> anyhow::Result<Self> {
        let secrets = settings.static_keys.iter().map(Key::from_secret).collect::<anyhow::Result<Vec<_>>>()?;
        let published = !settings.jwks_url.is_empty();
        ensure!(published || !secrets.is_empty(), "nobody could come in: set `auth.static_keys` or `auth.jwks_url`");
        ensure!(
            !settings.issuer.is_empty() && !settings.audience.is_empty(),
            "`auth.issuer` and `auth.audience` must be set"
        );
        let jwks = if published { Some(Arc::new(Jwks::new(&settings.jwks_url)?)) } else { None };
        if let Some(jwks) = &jwks {
            let (jwks, stopping) = (jwks.clone(), lifecycle.stopping());
            lifecycle.spawn("renew public keys", async move {
                jwks.keep_fresh(stopping).await;
                Ok(())
            });
        }
        let (issuer, audience) = (settings.issuer.clone(), settings.audience.clone());
        Ok(Self { issuer, audience, secrets, jwks, clock })
    }

    pub(crate) async fn verify(&self, token: &str) -> Result<Caller, TokenError> {
        let header = decode_header(token).map_err(|_| TokenError::Malformed)?;
        let mut refusal = TokenError::BadSignature;
        for key in self.list_keys(header.alg, header.kid.as_deref()).await? {
            match self.claims_by(&key, token) {
                Ok(claims) => return self.decide(claims),
                // Another key may fit; what the right key says is more telling than a wrong one's.
                Err(TokenError::BadSignature) => {}
                Err(other) => refusal = other,
            }
        }
        Err(refusal)
    }

    async fn list_keys(&self, algorithm: Algorithm, id: Option<&str>) -> Result<Vec<Key>, TokenError> {
        match (algorithm, &self.jwks) {
            (Algorithm::HS256, _) => Ok(self.secrets.clone()),
            (Algorithm::RS256 | Algorithm::ES256 | Algorithm::EdDSA, Some(jwks)) => {
                jwks.list_fitting(algorithm, id).await.map_err(|KeysUnavailable| TokenError::KeysUnavailable)
            }
            _ => Ok(Vec::new()),
        }
    }

    fn claims_by(&self, key: &Key, token: &str) -> Result<Claims, TokenError> {
        let mut validation = Validation::new(key.algorithm);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        // Times are compared below, by our clock.
        validation.validate_exp = false;
        let decoded = decode::<Claims>(token, &key.decoding, &validation).map_err(|error| match error.kind() {
            ErrorKind::InvalidSignature => TokenError::BadSignature,
            ErrorKind::InvalidIssuer | ErrorKind::InvalidAudience => TokenError::ForSomebodyElse,
            ErrorKind::MissingRequiredClaim(_) | ErrorKind::Json(_) => TokenError::BadClaims,
            _ => TokenError::Malformed,
        })?;
        Ok(decoded.claims)
    }

    fn decide(&self, claims: Claims) -> Result<Caller, TokenError> {
        let now = self.clock.now();
        let leeway = TimeDelta::from_std(LEEWAY).map_err(|_| TokenError::BadClaims)?;
        let at = |seconds| DateTime::from_timestamp(seconds, 0).ok_or(TokenError::BadClaims);
        let accepted_until = at(claims.exp)?.checked_add_signed(leeway).ok_or(TokenError::BadClaims)?;
        if accepted_until <= now {
            return Err(TokenError::Expired);
        }
        if claims.nbf.map(at).transpose()?.is_some_and(|begin| begin - leeway > now) {
            return Err(TokenError::Early);
        }
        if claims.license_id.is_none() && claims.role != Role::Service {
            return Err(TokenError::BadClaims);
        }
        Ok(Caller { id: claims.sub, name: claims.name, license: claims.license_id, role: claims.role, accepted_until })
    }
}
