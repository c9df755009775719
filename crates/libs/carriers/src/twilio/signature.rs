//! `X-Twilio-Signature` (CARRIERS §6): base64 of HMAC-SHA1 over the address, followed by the parameters of a form
//! in order of their names.
//!
//! The address is the configured public one, never the `Host` header's. Twilio is not consistent about the port,
//! so it is accepted with and without; likewise credentials in the address, and a query that was re-encoded on the
//! way. A body that is no form must be covered by `bodySHA256` of the address, or it is not trusted. Signatures
//! with a shared key (`HMAC_SHA256`) are refused as unsupported until somebody needs them.

use std::{borrow::Cow, collections::BTreeSet};

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use url::{Url, form_urlencoded};

use chassis::Secret;

use crate::{SignatureError, WebhookRequest, form::is_form};

/// The header that carries the signature.
pub const SIGNATURE_HEADER: &str = "x-twilio-signature";
/// The header that says how it was made, if not by auth token and SHA-1.
pub const SETTINGS_HEADER: &str = "x-twilio-webhooks-signature-settings";

/// What Twilio would put into [`SIGNATURE_HEADER`] for a form with these decoded parameters (none for GET and JSON).
/// A `#fragment` of the address is not signed.
pub fn sign<N: AsRef<str>, V: AsRef<str>>(token: &Secret, url: &str, params: &[(N, V)]) -> String {
    let params = params.iter().map(|(name, value)| (name.as_ref().into(), value.as_ref().into())).collect();
    let mac = mac(token, without_fragment(url), &params);
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

/// Sorted by name, then by value, each pair once: as Twilio's own libraries order and deduplicate.
type Params<'a> = BTreeSet<(Cow<'a, str>, Cow<'a, str>)>;

/// Was this signed with one of the tokens? Several, because a token is rotated while requests are under way.
pub(super) fn verify(tokens: &[Secret], request: &WebhookRequest<'_>) -> Result<(), SignatureError> {
    let signature = request.headers.get(SIGNATURE_HEADER).ok_or(SignatureError::Missing)?;
    check_algorithm(request)?;
    let signature = BASE64_STANDARD.decode(signature).map_err(|_| SignatureError::Mismatch)?;
    let params = signed_params(request)?;
    let matches = signed_urls(request.url)
        .iter()
        .any(|url| tokens.iter().any(|token| mac(token, url, &params).verify_slice(&signature).is_ok()));
    if matches { Ok(()) } else { Err(SignatureError::Mismatch) }
}

fn mac(token: &Secret, url: &str, params: &Params<'_>) -> Hmac<Sha1> {
    let mut mac = keyed(token.expose().as_bytes());
    mac.update(url.as_bytes());
    for (name, value) in params {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
    }
    mac
}

#[expect(clippy::expect_used, reason = "HMAC takes a key of any length; its constructor is fallible for other MACs")]
fn keyed(key: &[u8]) -> Hmac<Sha1> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

fn check_algorithm(request: &WebhookRequest<'_>) -> Result<(), SignatureError> {
    let Some(settings) = request.headers.get(SETTINGS_HEADER) else {
        return Ok(());
    };
    let settings = settings.to_str().map_err(|_| SignatureError::UnsupportedAlgorithm)?;
    let algorithm = settings.split(',').find_map(|setting| setting.trim().strip_prefix("algorithm="));
    if algorithm == Some("HMAC_SHA1") { Ok(()) } else { Err(SignatureError::UnsupportedAlgorithm) }
}

/// The parameters that the signature covers. Whatever body there is, it is covered by something.
fn signed_params<'a>(request: &WebhookRequest<'a>) -> Result<Params<'a>, SignatureError> {
    if request.body.is_empty() {
        return Ok(Params::new());
    }
    if is_form(request) {
        std::str::from_utf8(request.body).map_err(|_| SignatureError::UnreadableBody)?;
        return Ok(form_urlencoded::parse(request.body).collect());
    }
    let (_, digest) =
        request.url.query_pairs().find(|(name, _)| name == "bodySHA256").ok_or(SignatureError::Mismatch)?;
    if hex(&Sha256::digest(request.body)) == *digest { Ok(Params::new()) } else { Err(SignatureError::Mismatch) }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]).collect()
}

fn without_fragment(url: &str) -> &str {
    url.split_once('#').map_or(url, |(url, _)| url)
}

/// The ways in which Twilio may have written our address when it signed.
fn signed_urls(url: &Url) -> Vec<String> {
    let credentials = match url.password() {
        Some(password) => format!("{}:{password}@", url.username()),
        None if url.username().is_empty() => String::new(),
        None => format!("{}@", url.username()),
    };
    let port = url.port_or_known_default().map(|port| format!(":{port}")).unwrap_or_default();
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let recoded = url.query().map(|_| {
        let pairs = form_urlencoded::Serializer::new(String::new()).extend_pairs(url.query_pairs()).finish();
        format!("?{pairs}")
    });

    let mut urls = Vec::new();
    for query in [Some(query), recoded].into_iter().flatten() {
        for port in ["", port.as_str()] {
            for credentials in [credentials.as_str(), ""] {
                let (scheme, host, path) = (url.scheme(), url.host_str().unwrap_or_default(), url.path());
                let candidate = format!("{scheme}://{credentials}{host}{port}{path}{query}");
                if !urls.contains(&candidate) {
                    urls.push(candidate);
                }
            }
        }
    }
    urls
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method};

    use super::*;

    // Twilio's published vectors: twilio-node spec/validation.spec.js (CARRIERS §6).
    const U: &str = "https://mycompany.com/myapp.php?foo=1&bar=2";
    const U_SIGNATURE: &str = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";
    const P: &[(&str, &str)] = &[
        ("CallSid", "CA1234567890ABCDE"),
        ("Caller", "+14158675309"),
        ("Digits", "1234"),
        ("From", "+14158675309"),
        ("To", "+18005551212"),
    ];

    fn token() -> Secret {
        Secret::new("12345")
    }

    fn check(url: &str, headers: &[(&str, &str)], body: &str) -> Result<(), SignatureError> {
        let url = Url::parse(url).unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap());
        }
        let received_at = chrono::DateTime::UNIX_EPOCH;
        let request =
            WebhookRequest { method: &Method::POST, url: &url, headers: &map, body: body.as_bytes(), received_at };
        verify(&[token()], &request)
    }

    fn check_form(url: &str, signature: &str, params: &[(&str, &str)]) -> Result<(), SignatureError> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
        let form = ("content-type", "application/x-www-form-urlencoded");
        check(url, &[form, (SIGNATURE_HEADER, signature)], &body)
    }

    #[test]
    fn official_vector_with_parameters_in_any_order() {
        assert_eq!(sign(&token(), U, P), U_SIGNATURE);
        let backwards: Vec<_> = P.iter().rev().copied().collect();
        assert_eq!(sign(&token(), U, &backwards), U_SIGNATURE);
        assert_eq!(check_form(U, U_SIGNATURE, &backwards), Ok(()));
    }

    #[test]
    fn official_vector_with_a_port() {
        let url = "http://mycompany.com:1234/myapp.php?foo=1&bar=2";
        assert_eq!(check_form(url, "Zmvh+3yNM1Phv2jhDCwEM3q5ebU=", P), Ok(()));
    }

    #[test]
    fn official_vector_signed_with_the_default_port_that_the_address_lacks() {
        assert_eq!(check_form(U, "kvajT1Ptam85bY51eRf/AJRuM3w=", P), Ok(()));
        assert_eq!(sign(&token(), &U.replace(".com/", ".com:443/"), P), "kvajT1Ptam85bY51eRf/AJRuM3w=");
    }

    #[test]
    fn a_port_that_twilio_did_not_sign_is_stripped() {
        assert_eq!(check_form("https://mycompany.com:1234/myapp.php?foo=1&bar=2", U_SIGNATURE, P), Ok(()));
    }

    #[test]
    fn official_vector_with_an_apostrophe_in_the_query() {
        let signature = "TfZzewPq8wqrGlMfyAud8+/IvJ0=";
        assert_eq!(check_form(&format!("{U}&Body=It's+amazing"), signature, P), Ok(()));
        assert_eq!(check_form(&format!("{U}&Body=It%27s+amazing"), signature, P), Ok(()));
        assert_eq!(check_form(&format!("{U}&Body=It's%20amazing"), signature, P), Ok(()), "encoded anew on the way");
    }

    #[test]
    fn official_vector_with_a_repeated_parameter_in_any_order_and_number() {
        let (a, b) = (("MessagingBinding.Address", "+1325xxxxxxx"), ("MessagingBinding.Address", "+1415xxxxxxx"));
        for params in [[a, b].as_slice(), &[b, a], &[a, b, a]] {
            assert_eq!(sign(&token(), U, params), "83O6e2vORAoJHUNzJjDWN1jz+BA=");
            assert_eq!(check_form(U, "83O6e2vORAoJHUNzJjDWN1jz+BA=", params), Ok(()));
        }
    }

    #[test]
    fn credentials_in_the_address_may_be_signed_or_dropped() {
        let with = "https://user:pass@mycompany.com/myapp.php?foo=1&bar=2";
        assert_eq!(check_form(with, &sign(&token(), with, P), P), Ok(()));
        assert_eq!(check_form(with, U_SIGNATURE, P), Ok(()));
    }

    #[test]
    fn empty_values_and_spaces_count() {
        let signature = sign(&token(), U, &[("Body", " x "), ("Empty", "")]);
        assert_eq!(check_form(U, &signature, &[("Body", " x "), ("Empty", "")]), Ok(()));
        assert_eq!(check_form(U, &signature, &[("Body", " x ")]), Err(SignatureError::Mismatch));
        assert_eq!(check_form(U, &signature, &[("Body", "x"), ("Empty", "")]), Err(SignatureError::Mismatch));
    }

    #[test]
    fn a_fragment_is_not_signed() {
        assert_eq!(sign(&token(), &format!("{U}#rc=3&rp=all"), P), U_SIGNATURE);
    }

    #[test]
    fn official_vector_with_a_json_body_covered_by_its_digest_in_the_address() {
        let body = r#"{"property": "value", "boolean": true}"#;
        let url = format!("{U}&bodySHA256={}", hex(&Sha256::digest(body)));
        assert_eq!(sign::<&str, &str>(&token(), &url, &[]), "a9nBmqA0ju/hNViExpshrM61xv4=");
        let headers = [("content-type", "application/json"), (SIGNATURE_HEADER, "a9nBmqA0ju/hNViExpshrM61xv4=")];
        assert_eq!(check(&url, &headers, body), Ok(()));
        assert_eq!(check(&url, &headers, "{}"), Err(SignatureError::Mismatch));
    }

    #[test]
    fn a_body_that_nothing_covers_is_refused_although_the_address_is_signed() {
        let signature = sign::<&str, &str>(&token(), U, &[]);
        let signature = (SIGNATURE_HEADER, signature.as_str());
        assert_eq!(check(U, &[signature], ""), Ok(()));
        assert_eq!(check(U, &[signature], "Body=x"), Err(SignatureError::Mismatch));
        assert_eq!(check(U, &[signature, ("content-type", "text/plain")], "x"), Err(SignatureError::Mismatch));
    }

    #[test]
    fn an_algorithm_that_we_do_not_know_is_refused() {
        const BODY: &str =
            "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212";
        let form = ("content-type", "application/x-www-form-urlencoded");
        let with = |settings| check(U, &[form, (SIGNATURE_HEADER, U_SIGNATURE), (SETTINGS_HEADER, settings)], BODY);
        assert_eq!(with("key=K1,algorithm=HMAC_SHA1"), Ok(()));
        for unknown in ["key=K1,algorithm=HMAC_SHA256", "algorithm=NONE", "key=K1", ""] {
            assert_eq!(with(unknown), Err(SignatureError::UnsupportedAlgorithm), "{unknown}");
        }
    }
}
