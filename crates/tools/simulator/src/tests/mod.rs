//! Drives a whole simulator over HTTP, with a receiver that plays the product's webhook endpoints.

mod calls;
mod faults;
mod media;
mod messages;
mod numbers;
mod phones;
mod shutdown;
mod telnyx_faults;
mod telnyx_messages;
mod telnyx_numbers;
mod webhooks;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::Config;
use crate::twilio::signature::Signer;

const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
const TOKEN: &str = "a token for tests";
const KEY: &str = "a key for tests";
/// RFC 8032, section 7.1, test 1.
const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
const NUMBER: &str = "+14152000001";
const PHONE: &str = "+14155550123";

/// A running simulator.
struct Carrier {
    base: String,
    client: Client,
    shutdown: CancellationToken,
    running: JoinHandle<anyhow::Result<()>>,
}

impl Carrier {
    async fn start() -> Self {
        let telnyx_api_key = KEY.to_owned();
        let telnyx_signing_key = SEED.to_owned();
        let order_delay = Duration::from_millis(1);
        let twilio = Config::new(ACCOUNT, TOKEN);
        Self::start_with(Config { telnyx_api_key, telnyx_signing_key, order_delay, ..twilio }).await
    }

    async fn start_with(config: Config) -> Self {
        let _already_chosen = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(crate::run(config, listener, shutdown.clone()));
        Self {
            base,
            client: Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap(),
            shutdown,
            running,
        }
    }

    /// A simulator whose account owns [`NUMBER`], with webhooks at the receiver.
    async fn with_number(receiver: &Receiver) -> Self {
        let carrier = Self::start().await;
        carrier.buy(NUMBER, &[("SmsUrl", &receiver.url("/sms")), ("VoiceUrl", &receiver.url("/voice"))]).await;
        carrier
    }

    fn account(&self, path: &str) -> String {
        format!("{}/2010-04-01/Accounts/{ACCOUNT}/{path}", self.base)
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        read(self.client.get(self.account(path)).basic_auth(ACCOUNT, Some(TOKEN)).send().await.unwrap()).await
    }

    async fn try_post(&self, path: &str, form: &[(&str, &str)]) -> reqwest::Result<Response> {
        self.client.post(self.account(path)).basic_auth(ACCOUNT, Some(TOKEN)).form(form).send().await
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> (StatusCode, Value) {
        read(self.try_post(path, form).await.unwrap()).await
    }

    async fn delete(&self, path: &str) -> StatusCode {
        self.client.delete(self.account(path)).basic_auth(ACCOUNT, Some(TOKEN)).send().await.unwrap().status()
    }

    async fn buy(&self, number: &str, settings: &[(&str, &str)]) -> String {
        let form: Vec<_> = [("PhoneNumber", number)].into_iter().chain(settings.iter().copied()).collect();
        let (status, bought) = self.post("IncomingPhoneNumbers.json", &form).await;
        assert_eq!(status, StatusCode::CREATED, "{bought}");
        bought["sid"].as_str().unwrap().to_owned()
    }

    async fn send(&self, to: &str, body: &str) -> (StatusCode, Value) {
        self.post("Messages.json", &[("To", to), ("From", NUMBER), ("Body", body)]).await
    }

    /// A call to Telnyx; the body goes along when it is not null.
    async fn telnyx(&self, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
        read(self.try_telnyx(method, path, body).await.unwrap()).await
    }

    async fn try_telnyx(&self, method: &str, path: &str, body: Value) -> reqwest::Result<Response> {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.client.request(method, format!("{}/v2/{path}", self.base)).bearer_auth(KEY);
        let request = if body.is_null() { request } else { request.json(&body) };
        request.send().await
    }

    async fn telnyx_get(&self, path: &str) -> (StatusCode, Value) {
        self.telnyx("GET", path, Value::Null).await
    }

    /// The first number that a Telnyx search shows.
    async fn search_telnyx(&self) -> String {
        let path = "available_phone_numbers?filter[country_code]=US&filter[limit]=1";
        let (status, found) = self.telnyx_get(path).await;
        assert_eq!(status, StatusCode::OK, "{found}");
        found["data"][0]["phone_number"].as_str().unwrap().to_owned()
    }

    /// Orders a number that was shown and waits for the end of its order, which it answers.
    async fn order_telnyx(&self, number: &str, more: Value) -> Value {
        let mut order = json!({ "phone_numbers": [{ "phone_number": number }] });
        order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (status, answer) = self.telnyx("POST", "number_orders", order).await;
        assert_eq!((status, &answer["data"]["status"]), (StatusCode::OK, &json!("pending")), "{answer}");
        self.wait_for_order(answer["data"]["id"].as_str().unwrap()).await
    }

    async fn wait_for_order(&self, id: &str) -> Value {
        for _ in 0..500 {
            let (_, order) = self.telnyx_get(&format!("number_orders/{id}")).await;
            if order["data"]["status"] != "pending" {
                return order["data"].clone();
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("the order {id} stays pending");
    }

    /// A number at Telnyx with a profile and an application whose webhooks are at the receiver.
    async fn with_telnyx_number(receiver: &Receiver) -> (Self, String) {
        let carrier = Self::start().await;
        let profile = carrier.make_profile(&receiver.url("/event"), &receiver.url("/failover")).await;
        let application = json!({
            "friendly_name": "leaseline",
            "voice_url": receiver.url("/voice"),
            "voice_method": "post",
            "status_callback": receiver.url("/ended"),
            "outbound": { "outbound_voice_profile_id": "1" },
        });
        let (status, application) = carrier.telnyx("POST", "texml_applications", application).await;
        assert_eq!(status, StatusCode::CREATED, "{application}");
        let number = carrier.search_telnyx().await;
        let more = json!({
            "customer_reference": "license-1",
            "messaging_profile_id": profile,
            "connection_id": application["data"]["id"],
        });
        assert_eq!(carrier.order_telnyx(&number, more).await["status"], "success");
        (carrier, number)
    }

    async fn make_profile(&self, url: &str, failover: &str) -> String {
        let profile = json!({
            "name": "license-1",
            "whitelisted_destinations": ["US"],
            "webhook_url": url,
            "webhook_failover_url": failover,
        });
        let (status, profile) = self.telnyx("POST", "messaging_profiles", profile).await;
        assert_eq!(status, StatusCode::OK, "{profile}");
        profile["data"]["id"].as_str().unwrap().to_owned()
    }

    async fn call(&self, to: &str, more: Value) -> Value {
        let mut body = json!({ "to": to });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (status, answer) = self.control_post(&format!("phones/{PHONE}/call"), body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    async fn control_get(&self, path: &str) -> (StatusCode, Value) {
        read(self.client.get(format!("{}/_sim/{path}", self.base)).send().await.unwrap()).await
    }

    async fn control_post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        read(self.client.post(format!("{}/_sim/{path}", self.base)).json(&body).send().await.unwrap()).await
    }

    async fn text(&self, body: &str) -> Value {
        self.text_to(NUMBER, body).await
    }

    async fn text_to(&self, to: &str, body: &str) -> Value {
        let (status, answer) =
            self.control_post(&format!("phones/{PHONE}/text"), json!({ "to": to, "body": body })).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    async fn inbox(&self) -> Vec<String> {
        let (_, answer) = self.control_get(&format!("phones/{PHONE}/inbox")).await;
        answer["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|message| message["body"].as_str().unwrap().to_owned())
            .collect()
    }

    async fn put_faults(&self, faults: Value) -> (StatusCode, Value) {
        read(
            self.client
                .put(format!("{}/_sim/faults", self.base))
                .json(&json!({ "faults": faults }))
                .send()
                .await
                .unwrap(),
        )
        .await
    }

    async fn set_faults(&self, faults: Value) {
        let (status, answer) = self.put_faults(faults).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

async fn read(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// One webhook as it came.
#[derive(Debug, Clone)]
struct Received {
    path: String,
    params: Vec<(String, String)>,
    /// Null when it is a form.
    json: Value,
    /// By Twilio.
    signed: bool,
    /// By Telnyx, now.
    signed_by_telnyx: bool,
    token: Option<String>,
}

impl Received {
    fn get(&self, name: &str) -> &str {
        self.params.iter().find_map(|(given, value)| (given == name).then_some(value.as_str())).unwrap_or_default()
    }
}

#[derive(Default)]
struct Seen {
    received: Vec<Received>,
    answers: VecDeque<(u16, String)>,
    base: String,
}

/// Plays the product: keeps every webhook and answers as it was told, else with an empty TwiML response.
struct Receiver {
    seen: Arc<Mutex<Seen>>,
    base: String,
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Seen { base: base.clone(), ..Seen::default() }));
        let app = Router::new().fallback(take).with_state(Arc::clone(&seen));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { seen, base }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn answer(&self, status: u16, body: &str) {
        self.seen.lock().unwrap().answers.push_back((status, body.to_owned()));
    }

    fn received(&self) -> Vec<Received> {
        self.seen.lock().unwrap().received.clone()
    }

    /// Waits until that many webhooks have come.
    async fn wait_for(&self, count: usize) -> Vec<Received> {
        for _ in 0..500 {
            let received = self.received();
            if received.len() >= count {
                return received;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{count} webhooks were expected, these came: {:?}", self.received());
    }
}

async fn take(
    State(seen): State<Arc<Mutex<Seen>>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, [(&'static str, &'static str); 1], String) {
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let params: Vec<(String, String)> = url::form_urlencoded::parse(&body).into_owned().collect();
    let mut seen = seen.lock().unwrap();
    let signature = Signer::new(TOKEN).unwrap().sign(&format!("{}{uri}", seen.base), &params);
    let received = Received {
        path: uri.to_string(),
        params,
        json: serde_json::from_slice(&body).unwrap_or_default(),
        signed_by_telnyx: is_signed_by_telnyx(
            header("telnyx-timestamp").unwrap_or_default(),
            &header("telnyx-signature-ed25519").unwrap_or_default(),
            &body,
        ),
        signed: header("x-twilio-signature") == Some(signature),
        token: header("i-twilio-idempotency-token"),
    };
    seen.received.push(received);
    let (status, answer) = seen.answers.pop_front().unwrap_or((200, "<Response></Response>".to_owned()));
    (StatusCode::from_u16(status).unwrap(), [("content-type", "text/xml")], answer)
}

/// Verified with the public key alone, as the product does.
fn is_signed_by_telnyx(timestamp: String, signature: &str, body: &[u8]) -> bool {
    let key = STANDARD.decode(crate::telnyx_public_key(SEED).unwrap()).unwrap();
    let now = chrono::Utc::now().timestamp();
    let fresh = timestamp.parse().is_ok_and(|stamp: i64| (now - stamp).abs() < 5);
    let signed = [timestamp.into_bytes(), b"|".to_vec(), body.to_vec()].concat();
    let key = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, key);
    fresh && STANDARD.decode(signature).is_ok_and(|signature| key.verify(&signed, &signature).is_ok())
}
