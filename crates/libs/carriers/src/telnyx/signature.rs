//! `telnyx-signature-ed25519` (CARRIERS §6): base64 of an ed25519 signature over the `telnyx-timestamp`, a `|` and the
//! body's bytes as they came.
//!
//! Good for five minutes around the signed time, so that a recorded request is worth nothing later. The address is not
//! signed: what it says beyond the path (`?mid=`) is trusted only because strangers do not know our ids. Requests
//! about calls must be signed the same way; that Telnyx does so is not confirmed (see the README).

use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::TimeDelta;
use ring::signature::{ED25519, ED25519_PUBLIC_KEY_LEN, Ed25519KeyPair, UnparsedPublicKey};
use thiserror::Error;

use crate::{SignatureError, WebhookRequest};

/// The header that carries the signature.
pub const SIGNATURE_HEADER: &str = "telnyx-signature-ed25519";
/// The header that says when it was made, in Unix seconds.
pub const TIMESTAMP_HEADER: &str = "telnyx-timestamp";

/// How far the signed time may be from ours, either way.
const TOLERANCE: TimeDelta = TimeDelta::minutes(5);

/// Not a public key as Telnyx' portal shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not an ed25519 public key: 32 bytes in base64")]
pub struct InvalidPublicKey;

/// A key with which Telnyx signs.
#[derive(Clone, Copy, Debug)]
pub(super) struct PublicKey(UnparsedPublicKey<[u8; ED25519_PUBLIC_KEY_LEN]>);

impl PublicKey {
    pub(super) fn parse(text: &str) -> Result<Self, InvalidPublicKey> {
        let bytes = BASE64_STANDARD.decode(text.trim()).map_err(|_| InvalidPublicKey)?;
        let bytes = <[u8; ED25519_PUBLIC_KEY_LEN]>::try_from(bytes).map_err(|_| InvalidPublicKey)?;
        Ok(Self(UnparsedPublicKey::new(&ED25519, bytes)))
    }
}

/// What Telnyx would put into [`SIGNATURE_HEADER`] for this [`TIMESTAMP_HEADER`] and body.
pub fn sign(key: &Ed25519KeyPair, timestamp: i64, body: &[u8]) -> String {
    BASE64_STANDARD.encode(key.sign(&signed_bytes(timestamp.to_string().as_bytes(), body)))
}

/// Was this signed with one of the keys, about now? Several, because a key is rotated while requests are under way.
pub(super) fn verify(keys: &[PublicKey], request: &WebhookRequest<'_>) -> Result<(), SignatureError> {
    let signature = request.headers.get(SIGNATURE_HEADER).ok_or(SignatureError::Missing)?;
    let timestamp = request.headers.get(TIMESTAMP_HEADER).ok_or(SignatureError::Missing)?;
    let signature = BASE64_STANDARD.decode(signature).map_err(|_| SignatureError::Mismatch)?;
    let signed = signed_bytes(timestamp.as_bytes(), request.body);
    if !keys.iter().any(|key| key.0.verify(&signed, &signature).is_ok()) {
        return Err(SignatureError::Mismatch);
    }
    let signed_at = timestamp.to_str().ok().and_then(|seconds| seconds.parse().ok());
    let age = signed_at.map(|signed_at: i64| request.received_at.timestamp().saturating_sub(signed_at));
    match age {
        Some(age) if age.unsigned_abs() <= TOLERANCE.num_seconds().unsigned_abs() => Ok(()),
        _ => Err(SignatureError::Expired),
    }
}

fn signed_bytes(timestamp: &[u8], body: &[u8]) -> Vec<u8> {
    [timestamp, b"|", body].concat()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use http::{HeaderMap, Method};
    use ring::signature::KeyPair;
    use url::Url;

    use super::*;

    const NOW: i64 = 1_795_000_000;

    fn key(seed: u8) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
    }

    fn public(key: &Ed25519KeyPair) -> PublicKey {
        PublicKey::parse(&BASE64_STANDARD.encode(key.public_key())).unwrap()
    }

    fn check(keys: &[PublicKey], signature: &str, timestamp: Option<&str>, body: &[u8]) -> Result<(), SignatureError> {
        let url = Url::parse("https://in.example.com/webhooks/telnyx/message").unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(SIGNATURE_HEADER, signature.parse().unwrap());
        if let Some(timestamp) = timestamp {
            headers.insert(TIMESTAMP_HEADER, timestamp.parse().unwrap());
        }
        let received_at = DateTime::from_timestamp(NOW, 0).unwrap();
        verify(keys, &WebhookRequest { method: &Method::POST, url: &url, headers: &headers, body, received_at })
    }

    #[test]
    fn a_signature_is_good_for_five_minutes_around_its_time() {
        let key = key(1);
        for (timestamp, expected) in [
            (NOW, Ok(())),
            (NOW - 300, Ok(())),
            (NOW + 300, Ok(())),
            (NOW - 301, Err(SignatureError::Expired)),
            (NOW + 301, Err(SignatureError::Expired)),
            (i64::MIN, Err(SignatureError::Expired)),
            (i64::MAX, Err(SignatureError::Expired)),
        ] {
            let signature = sign(&key, timestamp, b"{}");
            assert_eq!(check(&[public(&key)], &signature, Some(&timestamp.to_string()), b"{}"), expected);
        }
    }

    #[test]
    fn another_time_than_the_signed_one_is_refused() {
        let key = key(1);
        let signature = sign(&key, NOW, b"{}");
        let later = (NOW + 1).to_string();
        for (timestamp, expected) in [
            (Some(later.as_str()), SignatureError::Mismatch),
            (Some("soon"), SignatureError::Mismatch),
            (None, SignatureError::Missing),
        ] {
            assert_eq!(check(&[public(&key)], &signature, timestamp, b"{}"), Err(expected));
        }
    }

    #[test]
    fn a_time_that_is_no_number_is_refused_even_if_it_is_signed() {
        let key = key(1);
        let signature = BASE64_STANDARD.encode(key.sign(b"soon|{}"));
        assert_eq!(check(&[public(&key)], &signature, Some("soon"), b"{}"), Err(SignatureError::Expired));
    }

    #[test]
    fn both_keys_are_good_while_one_is_rotated_and_no_key_accepts_nothing() {
        let (old, new) = (key(1), key(2));
        let signature = sign(&old, NOW, b"{}");
        let timestamp = NOW.to_string();
        let check = |keys: &[PublicKey]| check(keys, &signature, Some(&timestamp), b"{}");
        assert_eq!(check(&[public(&new), public(&old)]), Ok(()));
        assert_eq!(check(&[public(&new)]), Err(SignatureError::Mismatch));
        assert_eq!(check(&[]), Err(SignatureError::Mismatch));
    }

    #[test]
    fn what_is_no_public_key_is_found_at_start() {
        for wrong in ["", "x", "AAAA", "not base64!", &BASE64_STANDARD.encode([0; 33])] {
            assert_eq!(PublicKey::parse(wrong).unwrap_err(), InvalidPublicKey, "{wrong}");
        }
    }

    /// RFC 8032, 7.1, test 1: the seed's public key is the one that everybody else derives from it.
    #[test]
    fn keys_are_those_of_rfc_8032() {
        let seed = BASE64_STANDARD.decode("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=").unwrap();
        let key = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        assert_eq!(BASE64_STANDARD.encode(key.public_key()), "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
    }
}
