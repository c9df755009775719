//! `X-Twilio-Signature`: HMAC-SHA1 over the URL and the sorted form fields (CARRIERS §6).
//! Written apart from the product's verifier, so that a mistake in one is caught by the other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::digest::InvalidLength;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

/// Signs with one account's auth token.
#[derive(Clone)]
pub(crate) struct Signer {
    keyed: Hmac<Sha1>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(…)")
    }
}

impl Signer {
    pub(crate) fn new(auth_token: &str) -> Result<Self, InvalidLength> {
        Ok(Self { keyed: Hmac::new_from_slice(auth_token.as_bytes())? })
    }

    /// The header's value for a form POST to `url`. The caller has cut the fragment off.
    pub(crate) fn sign(&self, url: &str, params: &[(String, String)]) -> String {
        let mut sorted: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (name, value) in params {
            sorted.entry(name).or_default().insert(value);
        }
        let mut mac = self.keyed.clone();
        mac.update(url.as_bytes());
        for (name, values) in sorted {
            for value in values {
                mac.update(name.as_bytes());
                mac.update(value.as_bytes());
            }
        }
        STANDARD.encode(mac.finalize().into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const U: &str = "https://mycompany.com/myapp.php?foo=1&bar=2";

    fn params(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn call() -> Vec<(String, String)> {
        params(&[
            ("To", "+18005551212"),
            ("Digits", "1234"),
            ("Caller", "+14158675309"),
            ("From", "+14158675309"),
            ("CallSid", "CA1234567890ABCDE"),
        ])
    }

    #[test]
    fn the_official_vectors_hold() {
        let signer = Signer::new("12345").unwrap();
        assert_eq!(signer.sign(U, &call()), "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
        assert_eq!(
            signer.sign("http://mycompany.com:1234/myapp.php?foo=1&bar=2", &call()),
            "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="
        );
        assert_eq!(
            signer.sign("https://mycompany.com:443/myapp.php?foo=1&bar=2", &call()),
            "kvajT1Ptam85bY51eRf/AJRuM3w="
        );
        assert_eq!(signer.sign(&format!("{U}&Body=It%27s+amazing"), &call()), "TfZzewPq8wqrGlMfyAud8+/IvJ0=");
    }

    #[test]
    fn repeated_names_are_a_sorted_set() {
        let signer = Signer::new("12345").unwrap();
        let name = "MessagingBinding.Address";
        for values in [["+1325xxxxxxx", "+1415xxxxxxx"], ["+1415xxxxxxx", "+1325xxxxxxx"]] {
            let mut repeated = params(&[(name, values[0]), (name, values[1]), (name, values[0])]);
            assert_eq!(signer.sign(U, &repeated), "83O6e2vORAoJHUNzJjDWN1jz+BA=");
            repeated.pop();
            assert_eq!(signer.sign(U, &repeated), "83O6e2vORAoJHUNzJjDWN1jz+BA=");
        }
    }
}
