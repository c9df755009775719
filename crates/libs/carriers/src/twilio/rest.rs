//! One HTTP exchange with Twilio, and what its end proves (rule 16).
//!
//! [`decide_verdict`] is the whole decision: which endings prove that a request was never read, and which leave
//! it open. The client neither retries nor follows redirects nor asks the environment for a proxy.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use chassis::Secret;
use http::{HeaderMap, Method, StatusCode, header::RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response};
use rustls::{ClientConfig, RootCertStore};
use serde::{Deserialize, de::DeserializeOwned};
use url::Url;

use super::{SetupError, TwilioSettings, errors};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Shorter than what load balancers usually grant an idle connection: writing into one that is just being closed
/// ends as `Unknown`.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// A page of 1,000 numbers is under 1 MB. More is not an answer of Twilio's.
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;
/// A longer wait is not advice, and no lane shall stand still for it.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// The client, bound to one account.
pub(super) struct Rest {
    client: Client,
    base_url: Url,
    account_sid: String,
    auth_token: Secret,
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rest")
            .field("host", &self.base_url.host_str())
            .field("account_sid", &self.account_sid)
            .finish_non_exhaustive()
    }
}

/// Why an exchange did not bring what was asked for. The names are those of [`crate::SendOutcome`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    Refused { status: u16, code: Option<u32> },
    Throttled { retry_after: Option<Duration> },
    Unreachable { cause: String },
    Unknown { cause: String },
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// The request could not even be put together.
    NotBuilt,
    /// No connection: refused, no such host, TLS failed, or no answer to the connect within its time.
    NotConnected,
    /// The time ran out after the connection stood.
    TimedOut,
    /// The connection broke before the answer began.
    Broken,
    /// A status line came. Its body may be cut short.
    Answered(u16),
}

/// What an ending proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Done,
    Refused,
    Throttled,
    Unreachable,
    Unknown,
}

/// Rule 16: only what surely was not written or surely was refused may be called so.
#[expect(clippy::match_same_arms, reason = "each arm is open or closed for its own reason")]
fn decide_verdict(ending: Ending) -> Verdict {
    match ending {
        Ending::NotBuilt | Ending::NotConnected => Verdict::Unreachable,
        Ending::TimedOut | Ending::Broken => Verdict::Unknown,
        Ending::Answered(200..=299) => Verdict::Done,
        // Twilio: "never processed and always safe to retry".
        Ending::Answered(429) => Verdict::Throttled,
        // A proxy that waited too long may have passed the request on.
        Ending::Answered(408) => Verdict::Unknown,
        Ending::Answered(400..=499) => Verdict::Refused,
        // 5xx: Twilio says that a retry may text twice. 1xx and 3xx: not in its contract.
        Ending::Answered(_) => Verdict::Unknown,
    }
}

/// Twilio's error body. Its message is left out: it quotes phone numbers.
#[derive(Deserialize)]
struct ErrorBody {
    code: Option<u32>,
}

impl Rest {
    pub(super) fn new(settings: &TwilioSettings) -> Result<Self, SetupError> {
        if settings.auth_token.is_empty() {
            return Err(SetupError::NoCredentials);
        }
        let sid = settings.account_sid.strip_prefix("AC").unwrap_or_default();
        if sid.len() != 32 || !sid.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(SetupError::InvalidAccountSid);
        }
        let base_url = Url::parse(&settings.base_url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or(SetupError::InvalidBaseUrl)?;
        let client = Client::builder()
            .user_agent(concat!("leaseline/", env!("CARGO_PKG_VERSION")))
            .tls_backend_preconfigured(tls_config()?)
            .connect_timeout(CONNECT_TIMEOUT.min(settings.request_timeout() / 2))
            .timeout(settings.request_timeout())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .tcp_keepalive(KEEP_ALIVE)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .retry(reqwest::retry::never())
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(SetupError::Client)?;
        let (account_sid, auth_token) = (settings.account_sid.clone(), settings.auth_token.clone());
        Ok(Self { client, base_url, account_sid, auth_token })
    }

    /// A request below this account, authenticated. Each segment is escaped.
    pub(super) fn request(&self, method: Method, segments: &[&str]) -> RequestBuilder {
        let mut url = self.base_url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["2010-04-01", "Accounts", &self.account_sid]).extend(segments);
        }
        self.client.request(method, url).basic_auth(&self.account_sid, Some(self.auth_token.expose()))
    }

    /// Makes the exchange and reads a JSON answer.
    pub(super) async fn fetch<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, Trouble> {
        let body = Self::exchange(request).await?;
        // A success that cannot be read says that something was done, but not what.
        serde_json::from_slice(&body)
            .map_err(|_| Trouble::Unknown { cause: "the answer says success but cannot be read".into() })
    }

    /// Makes the exchange; the answer's body is given only for a success.
    pub(super) async fn exchange(request: RequestBuilder) -> Result<Vec<u8>, Trouble> {
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                let ending = ending_of(&error);
                let cause = cause_of(error);
                return Err(match decide_verdict(ending) {
                    Verdict::Unreachable => Trouble::Unreachable { cause },
                    _ => Trouble::Unknown { cause },
                });
            }
        };
        let status = response.status();
        let retry_after = retry_after(response.headers());
        let body = read_body(&mut response).await;
        match decide_verdict(Ending::Answered(status.as_u16())) {
            Verdict::Done => body.map_err(|cause| Trouble::Unknown { cause }),
            Verdict::Throttled => Err(Trouble::Throttled { retry_after }),
            Verdict::Refused => Err(refused(status, body.ok().as_deref(), retry_after)),
            Verdict::Unreachable | Verdict::Unknown => {
                Err(Trouble::Unknown { cause: format!("the carrier answered {}", status.as_u16()) })
            }
        }
    }
}

/// A refusal stands on its status alone; the body only names it.
fn refused(status: StatusCode, body: Option<&[u8]>, retry_after: Option<Duration>) -> Trouble {
    let code = body.and_then(|body| serde_json::from_slice::<ErrorBody>(body).ok()).and_then(|body| body.code);
    match code {
        Some(code) if errors::is_throttle(code) => Trouble::Throttled { retry_after },
        _ => Trouble::Refused { status: status.as_u16(), code },
    }
}

fn ending_of(error: &reqwest::Error) -> Ending {
    if error.is_builder() {
        Ending::NotBuilt
    } else if error.is_connect() {
        // Before `is_timeout`: a connect that timed out is both, and nothing was written.
        Ending::NotConnected
    } else if error.is_timeout() {
        Ending::TimedOut
    } else {
        Ending::Broken
    }
}

/// What failed, in words of the libraries, without the address: its query holds phone numbers.
fn cause_of(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        cause.push_str(": ");
        cause.push_str(&inner.to_string());
        source = inner.source();
    }
    cause
}

async fn read_body(response: &mut Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(cause_of)? {
        if body.len() + chunk.len() > MAX_BODY_BYTES {
            return Err("the answer is longer than any answer of the carrier".into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Seconds only. The date form needs a clock, and carriers do not use it.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

/// TLS that depends neither on a process-wide provider nor on the machine's certificates: the client can be built
/// anywhere, also where only plain http to the simulator follows.
fn tls_config() -> Result<ClientConfig, SetupError> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(SetupError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use domain::{CarrierName, Id, MessageBody, PhoneNumber};
    use url::Url;

    use super::{
        super::scripted::{Act, Scripted, twilio_at},
        *,
    };
    use crate::{Carrier, OutboundMessage, SendOutcome, refusal_code};

    const TAKEN: &str = r#"{"sid":"SM1","num_segments":"2"}"#;

    fn message() -> OutboundMessage {
        OutboundMessage {
            message_id: Id::new(),
            from: PhoneNumber::from_e164("+16465550111").unwrap(),
            to: PhoneNumber::from_e164("+14155550123").unwrap(),
            body: MessageBody::parse("hello").unwrap(),
            media_urls: Vec::new(),
            receipt_url: Url::parse("https://in.example.com/status?mid=1").unwrap(),
        }
    }

    /// Sends one message to a server that acts so, and checks that it was asked at most once.
    async fn send_to(act: Act) -> SendOutcome {
        let server = Scripted::start(&[act, act]).await;
        let outcome = server.twilio().send_message(&message()).await;
        assert!(server.requests().len() <= 1, "nothing is sent twice");
        outcome
    }

    fn is_unknown(outcome: &SendOutcome) -> bool {
        matches!(outcome, SendOutcome::Unknown { .. })
    }

    #[test]
    fn only_what_surely_was_not_written_is_unreachable() {
        assert_eq!(decide_verdict(Ending::NotBuilt), Verdict::Unreachable);
        assert_eq!(decide_verdict(Ending::NotConnected), Verdict::Unreachable);
        assert_eq!(decide_verdict(Ending::TimedOut), Verdict::Unknown);
        assert_eq!(decide_verdict(Ending::Broken), Verdict::Unknown);
        assert!((100..=999).all(|status| decide_verdict(Ending::Answered(status)) != Verdict::Unreachable));
    }

    #[test]
    fn a_status_is_done_refused_throttled_or_else_unknown() {
        for status in 100..=999 {
            let expected = match status {
                200..=299 => Verdict::Done,
                408 => Verdict::Unknown,
                429 => Verdict::Throttled,
                400..=499 => Verdict::Refused,
                _ => Verdict::Unknown,
            };
            assert_eq!(decide_verdict(Ending::Answered(status)), expected, "{status}");
        }
    }

    #[tokio::test]
    async fn a_refused_connection_is_unreachable() {
        let url = {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap()
        };
        let outcome = twilio_at(url).send_message(&message()).await;
        assert!(matches!(outcome, SendOutcome::Unreachable { .. }), "{outcome:?}");
    }

    #[tokio::test]
    async fn a_failed_tls_handshake_is_unreachable() {
        let server = Scripted::start(&[Act::HangUpUnread]).await;
        let url = server.url.as_str().replace("http:", "https:");
        let outcome = twilio_at(Url::parse(&url).unwrap()).send_message(&message()).await;
        assert!(matches!(outcome, SendOutcome::Unreachable { .. }), "{outcome:?}");
    }

    #[tokio::test]
    async fn a_carrier_that_hangs_up_leaves_it_unknown() {
        for act in [Act::HangUp, Act::HangUpUnread] {
            let outcome = send_to(act).await;
            assert!(is_unknown(&outcome), "{outcome:?}");
        }
    }

    #[tokio::test]
    async fn a_carrier_that_never_answers_leaves_it_unknown() {
        let outcome = send_to(Act::Silence).await;
        assert!(is_unknown(&outcome), "{outcome:?}");
    }

    #[tokio::test]
    async fn a_server_error_leaves_it_unknown() {
        for status in [500, 502, 503, 504] {
            let outcome = send_to(Act::Answer(status, "", r#"{"code":20503,"message":"x"}"#)).await;
            assert!(is_unknown(&outcome), "{outcome:?}");
        }
    }

    #[tokio::test]
    async fn a_success_that_cannot_be_read_leaves_it_unknown() {
        for act in [
            Act::Answer(201, "", "<html>"),
            Act::Answer(201, "", "{}"),
            Act::Answer(201, "", r#"{"sid":""}"#),
            Act::Answer(200, "", ""),
            Act::Cut(201, TAKEN),
        ] {
            let outcome = send_to(act).await;
            assert!(is_unknown(&outcome), "{outcome:?}");
        }
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let outcome = send_to(Act::Answer(307, "location: /elsewhere\r\n", "")).await;
        assert!(is_unknown(&outcome), "{outcome:?}");
    }

    #[tokio::test]
    async fn a_connection_that_breaks_on_its_second_message_is_not_tried_again() {
        let server = Scripted::start(&[Act::Answer(201, "", TAKEN), Act::HangUp, Act::Answer(201, "", TAKEN)]).await;
        let twilio = server.twilio();
        assert!(matches!(twilio.send_message(&message()).await, SendOutcome::Accepted { .. }));
        assert!(is_unknown(&twilio.send_message(&message()).await));
        assert_eq!(server.requests().len(), 2);
    }

    #[tokio::test]
    async fn too_fast_is_throttled_with_the_wait_the_carrier_asks_for() {
        let seven = Some(Duration::from_secs(7));
        for (act, retry_after) in [
            (Act::Answer(429, "retry-after: 7\r\n", r#"{"code":20429}"#), seven),
            (Act::Answer(429, "", "slow down"), None),
            (Act::Answer(429, "retry-after: Wed, 21 Oct 2026 07:28:00 GMT\r\n", ""), None),
            (Act::Answer(429, "retry-after: 99999999999\r\n", ""), Some(MAX_RETRY_AFTER)),
            (Act::Answer(400, "retry-after: 7\r\n", r#"{"code":21611}"#), seven),
            (Act::Cut(429, "{"), None),
        ] {
            assert_eq!(send_to(act).await, SendOutcome::Throttled { retry_after });
        }
    }

    #[tokio::test]
    async fn a_refusal_counts_even_if_its_body_cannot_be_read() {
        for (act, code) in [
            (Act::Answer(400, "", r#"{"code":21610,"message":"+14155550123"}"#), refusal_code::RECIPIENT_OPTED_OUT),
            (Act::Answer(404, "", "<html>"), refusal_code::REJECTED_BY_CARRIER),
            (Act::Cut(400, "{"), refusal_code::REJECTED_BY_CARRIER),
            (Act::Answer(401, "", r#"{"code":20003}"#), refusal_code::ACCOUNT_PROBLEM),
            (Act::Answer(403, "", ""), refusal_code::ACCOUNT_PROBLEM),
        ] {
            let SendOutcome::Rejected(refusal) = send_to(act).await else { panic!("not rejected") };
            assert_eq!(refusal.code, code);
            assert!(!refusal.detail.contains("4155550123"));
        }
    }

    #[tokio::test]
    async fn a_cause_names_no_address_and_no_number() {
        let server = Scripted::start(&[Act::HangUp]).await;
        let number = PhoneNumber::from_e164("+14155550123").unwrap();
        let error = server.twilio().find_owned_number(&number).await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("4155550123") && !shown.contains("127.0.0.1"), "{shown}");
        assert!(shown.len() > 40, "but says what failed: {shown}");
    }

    #[tokio::test]
    async fn every_request_is_authenticated_and_names_the_account() {
        let server = Scripted::start(&[Act::Answer(201, "", TAKEN)]).await;
        let twilio = server.twilio();
        twilio.send_message(&message()).await;
        let request = server.only_request();
        assert_eq!(twilio.name(), CarrierName::Twilio);
        assert_eq!(request.line, "POST /2010-04-01/Accounts/AC0123456789abcdef0123456789abcdef/Messages.json HTTP/1.1");
        assert!(request.head.contains("authorization: basic "), "{}", request.head);
    }
}
