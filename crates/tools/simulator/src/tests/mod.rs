//! Drives a whole simulator over HTTP, with a receiver that plays the product's webhook endpoints.

mod faults;
mod messages;
mod numbers;
mod shutdown;
mod webhooks;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::Config;
use crate::signature::Signer;

const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
const TOKEN: &str = "a token for tests";
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
        Self::start_with(Config::new(ACCOUNT, TOKEN)).await
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

    async fn control_get(&self, path: &str) -> (StatusCode, Value) {
        read(self.client.get(format!("{}/_sim/{path}", self.base)).send().await.unwrap()).await
    }

    async fn control_post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        read(self.client.post(format!("{}/_sim/{path}", self.base)).json(&body).send().await.unwrap()).await
    }

    async fn text(&self, body: &str) -> Value {
        let (status, answer) =
            self.control_post(&format!("phones/{PHONE}/text"), json!({ "to": NUMBER, "body": body })).await;
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
    signed: bool,
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
        signed: header("x-twilio-signature") == Some(signature),
        token: header("i-twilio-idempotency-token"),
    };
    seen.received.push(received);
    let (status, answer) = seen.answers.pop_front().unwrap_or((200, "<Response></Response>".to_owned()));
    (StatusCode::from_u16(status).unwrap(), [("content-type", "text/xml")], answer)
}
