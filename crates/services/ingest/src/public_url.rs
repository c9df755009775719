//! The address that carriers call, as it is configured.
//!
//! Carriers sign the address they call. Behind a proxy the request no longer says which one that was, and what its
//! `Host` header says was written by a stranger: the address is never built from it. When a signature does not match,
//! the two are compared, because a wrong setting here is the usual reason.

use anyhow::Context as _;
use carriers::WebhookAddresses;
use http::{HeaderMap, HeaderName, Uri, header, uri::Authority};
use url::Url;

const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The public base: scheme, host, possibly a port and a path.
#[derive(Clone, Debug)]
pub(crate) struct PublicUrl {
    addresses: WebhookAddresses,
    /// The base without a slash at its end.
    prefix: String,
}

/// Where a request says that it was sent, if that is not where carriers send. Safe to log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// The host that was asked for, if it is another one.
    pub(crate) host: Option<String>,
    /// The scheme that the proxy saw, if it is another one.
    pub(crate) scheme: Option<&'static str>,
}

impl PublicUrl {
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let addresses = WebhookAddresses::parse(text).context("`webhooks.public_url` is not usable")?;
        let prefix = addresses.base().as_str().trim_end_matches('/').to_owned();
        Ok(Self { addresses, prefix })
    }

    /// The addresses below it that carriers are given.
    pub(crate) fn addresses(&self) -> &WebhookAddresses {
        &self.addresses
    }

    /// The address a carrier called to reach this path and query. `None` if there is no such address.
    pub(crate) fn find_called(&self, uri: &Uri) -> Option<Url> {
        let target = uri.path_and_query()?.as_str();
        Url::parse(&[self.prefix.as_str(), target].concat()).ok()
    }

    /// Everybody between the carrier and us can read along.
    pub(crate) fn is_plain_and_remote(&self) -> bool {
        let local = matches!(self.addresses.base().host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        self.addresses.base().scheme() == "http" && !local
    }

    /// Compares with what the request says of itself. The port is left out: signatures match with any.
    pub(crate) fn compare(&self, uri: &Uri, headers: &HeaderMap) -> Difference {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let host = text(FORWARDED_HOST).or_else(|| text(header::HOST)).or_else(|| uri.host());
        // Parsed, so that only characters of a host name get any further.
        let host = host.and_then(|host| host.parse::<Authority>().ok());
        let host = host.as_ref().map(Authority::host).filter(|host| {
            let configured = self.addresses.base().host_str().unwrap_or_default();
            !host.eq_ignore_ascii_case(configured) && host.len() <= 253
        });
        let scheme = match text(FORWARDED_PROTO) {
            Some("http") => Some("http"),
            Some("https") => Some("https"),
            _ => None,
        };
        Difference {
            host: host.map(str::to_owned),
            scheme: scheme.filter(|scheme| *scheme != self.addresses.base().scheme()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(base: &str, target: &str) -> String {
        PublicUrl::parse(base).unwrap().find_called(&target.parse().unwrap()).unwrap().into()
    }

    fn compare(base: &str, headers: &[(&'static str, &str)]) -> Difference {
        let map = headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        PublicUrl::parse(base).unwrap().compare(&Uri::from_static("/webhooks"), &map.collect())
    }

    #[test]
    fn the_called_address_is_the_configured_base_with_path_and_query_as_received() {
        assert_eq!(called("https://in.example.com", "/a?mid=1&x=%20+"), "https://in.example.com/a?mid=1&x=%20+");
        assert_eq!(called("https://in.example.com/", "/a"), "https://in.example.com/a");
        assert_eq!(called("https://example.com:8443/in/", "/a"), "https://example.com:8443/in/a");
        assert_eq!(called("https://in.example.com", "http://other.example/a?b"), "https://in.example.com/a?b");
    }

    #[test]
    fn an_unusable_base_is_refused_by_the_name_of_its_setting() {
        for base in ["", "in.example.com", "ftp://in.example.com", "https://in.example.com?a=b", "https://e.com/#rc=3"]
        {
            let error = PublicUrl::parse(base).unwrap_err();
            assert!(error.to_string().contains("`webhooks.public_url`"), "{base}: {error}");
        }
    }

    #[test]
    fn a_request_to_another_host_or_scheme_is_recognised() {
        let same = Difference { host: None, scheme: None };
        let forwarded = [("host", "10.0.0.1:8081"), ("x-forwarded-host", "IN.example.com")];
        assert_eq!(compare("https://in.example.com", &forwarded), same);
        assert_eq!(compare("https://in.example.com", &[("host", "in.example.com:8443")]), same);
        assert_eq!(
            compare("https://in.example.com", &[("host", "old.example.com:80"), ("x-forwarded-proto", "http")]),
            Difference { host: Some("old.example.com".to_owned()), scheme: Some("http") }
        );
    }

    #[test]
    fn what_is_no_host_name_does_not_reach_the_log() {
        for host in ["a b", "x\" forged=\"1", ""] {
            assert_eq!(compare("https://in.example.com", &[("host", host)]).host, None, "{host}");
        }
    }

    #[test]
    fn plain_http_is_for_this_machine_only() {
        let is_plain_and_remote = |base| PublicUrl::parse(base).unwrap().is_plain_and_remote();
        assert!(is_plain_and_remote("http://in.example.com"));
        assert!(!is_plain_and_remote("https://in.example.com"));
        assert!(!is_plain_and_remote("http://127.0.0.1:8081"));
        assert!(!is_plain_and_remote("http://[::1]:8081"));
    }
}
