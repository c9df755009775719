//! `telnyx-signature-ed25519`: ed25519 over the time stamp, a bar and the raw body (CARRIERS §6).
//! The seed of the key is a setting, so that whoever verifies can be given the public key beforehand.

use std::fmt;

use anyhow::{Context as _, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

const SEED: usize = 32;

/// Signs with the account's key.
pub(crate) struct Signer {
    keys: Ed25519KeyPair,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(…)")
    }
}

impl Signer {
    /// `seed` is 32 bytes in base64 or in hexadecimal digits.
    pub(crate) fn new(seed: &str) -> anyhow::Result<Self> {
        let bytes = decode_hex(seed).or_else(|| STANDARD.decode(seed).ok());
        Self::from_bytes(&bytes.context("the Telnyx signing key is neither base64 nor hexadecimal")?)
    }

    /// A key that nobody knows, for a carrier that is not used.
    pub(crate) fn random() -> anyhow::Result<Self> {
        Self::from_bytes(&rand::random::<[u8; SEED]>())
    }

    fn from_bytes(seed: &[u8]) -> anyhow::Result<Self> {
        let keys = Ed25519KeyPair::from_seed_unchecked(seed)
            .map_err(|_| anyhow!("the Telnyx signing key must be a seed of {SEED} bytes"))?;
        Ok(Self { keys })
    }

    /// The 32 bytes that verify, in base64, as Telnyx shows them in its portal.
    pub(crate) fn public_key(&self) -> String {
        STANDARD.encode(self.keys.public_key())
    }

    /// The header's value for a body that goes out at `timestamp`, in seconds of Unix time.
    pub(crate) fn sign(&self, timestamp: i64, body: &[u8]) -> String {
        let mut signed = format!("{timestamp}|").into_bytes();
        signed.extend_from_slice(body);
        STANDARD.encode(self.keys.sign(&signed))
    }
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 2 * SEED || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    (0..SEED).map(|at| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032, section 7.1, test 1.
    const SEED_HEX: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    const PUBLIC_HEX: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

    #[test]
    fn the_public_key_is_that_of_the_rfc_in_whichever_form_the_seed_comes() {
        let public = STANDARD.encode(decode_hex(PUBLIC_HEX).unwrap());
        let base64 = STANDARD.encode(decode_hex(SEED_HEX).unwrap());
        assert_eq!(Signer::new(SEED_HEX).unwrap().public_key(), public);
        assert_eq!(Signer::new(&base64).unwrap().public_key(), public);
        for wrong in ["", "abc", &SEED_HEX[2..], "!"] {
            assert!(Signer::new(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_signature_covers_time_and_body() {
        let signer = Signer::new(SEED_HEX).unwrap();
        let key = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, decode_hex(PUBLIC_HEX).unwrap());
        let signature = STANDARD.decode(signer.sign(1_700_000_000, b"{}")).unwrap();
        assert!(key.verify(b"1700000000|{}", &signature).is_ok());
        assert!(key.verify(b"1700000001|{}", &signature).is_err());
    }
}
