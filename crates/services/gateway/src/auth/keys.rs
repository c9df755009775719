//! One key that signs tokens, bound to one algorithm.
//!
//! The binding is what stops a public key from being used as an HMAC secret: the token never chooses.

use chassis::Secret;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};

/// RFC 7518 asks for at least as many bits as the hash has.
const SHORTEST_SECRET: usize = 32;

/// A key with the one algorithm it is for.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) id: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) decoding: DecodingKey,
}

impl Key {
    /// An HS256 secret of the settings.
    pub(super) fn from_secret(secret: &Secret) -> anyhow::Result<Self> {
        let bytes = secret.expose().as_bytes();
        anyhow::ensure!(bytes.len() >= SHORTEST_SECRET, "a key of `auth.static_keys` is shorter than 32 bytes");
        Ok(Self { id: None, algorithm: Algorithm::HS256, decoding: DecodingKey::from_secret(bytes) })
    }

    /// A published key, when it is one of those that we accept: public, for signatures, RS256, ES256 or `EdDSA`.
    pub(super) fn find_usable(jwk: &Jwk) -> Option<Self> {
        if jwk.common.public_key_use.as_ref().is_some_and(|purpose| *purpose != PublicKeyUse::Signature) {
            return None;
        }
        let (algorithm, declared) = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
                (Algorithm::ES256, KeyAlgorithm::ES256)
            }
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
                (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
            }
            _ => return None,
        };
        if jwk.common.key_algorithm.is_some_and(|named| named != declared) {
            return None;
        }
        let decoding = DecodingKey::from_jwk(jwk).ok()?;
        Some(Self { id: jwk.common.key_id.clone(), algorithm, decoding })
    }

    /// Could this key have signed a token with such a header?
    pub(super) fn fits(&self, algorithm: Algorithm, id: Option<&str>) -> bool {
        self.algorithm == algorithm && (id.is_none() || self.id.as_deref() == id)
    }
}
