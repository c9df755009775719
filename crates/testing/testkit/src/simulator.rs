//! The carrier simulator on a free port, and a client for its control API.

use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

/// A running simulator; ends when it is dropped.
#[derive(Debug)]
pub struct Simulator {
    url: String,
    client: reqwest::Client,
    _stop: DropGuard,
}

impl Simulator {
    /// The one account that it knows.
    pub const ACCOUNT_SID: &str = "ACdead0000beef0000dead0000beef0000";
    /// Its password, with which it signs webhooks.
    pub const AUTH_TOKEN: &str = "simulator-token";

    /// The bearer key of its Telnyx.
    pub const TELNYX_API_KEY: &str = "KEY-simulator";
    /// The seed with which it signs Telnyx's webhooks.
    pub const TELNYX_SIGNING_KEY: &str = "7365656420666f72207468652073696d756c61746f72277320776562686f6f6b";
    /// An outbound voice profile of its Telnyx: without one an application cannot dial. It takes any.
    pub const TELNYX_OUTBOUND_PROFILE: &str = "1293384261075731499";

    /// The key that verifies Telnyx's webhooks, in base64.
    pub fn telnyx_public_key() -> String {
        simulator::telnyx_public_key(Self::TELNYX_SIGNING_KEY).expect("the seed has 32 bytes")
    }

    /// Both carriers, with receipts and orders that are settled almost at once.
    pub async fn start() -> Self {
        let listener = crate::listener().await;
        let address = listener.local_addr().expect("a bound port has an address");
        let stop = CancellationToken::new();
        let mut config = simulator::Config::new(Self::ACCOUNT_SID, Self::AUTH_TOKEN);
        config.receipt_delay = Duration::from_millis(5);
        config.order_delay = Duration::from_millis(5);
        Self::TELNYX_API_KEY.clone_into(&mut config.telnyx_api_key);
        Self::TELNYX_SIGNING_KEY.clone_into(&mut config.telnyx_signing_key);
        tokio::spawn(simulator::run(config, listener, stop.clone()));
        chassis::process::install_tls();
        Self { url: format!("http://{address}"), client: reqwest::Client::new(), _stop: stop.drop_guard() }
    }

    /// Base address: carriers' calls and the control API.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A phone texts a number. Answers the control API's JSON.
    pub async fn text(&self, phone: &str, to: &str, body: &str) -> Value {
        self.post(&format!("/_sim/phones/{phone}/text"), &json!({ "to": to, "body": body })).await
    }

    /// A phone texts a number and attaches files, as `data:` addresses. Answers the addresses that the carrier tells.
    pub async fn text_with_files(&self, phone: &str, to: &str, files: &[&str]) -> Vec<String> {
        let answer = self.post(&format!("/_sim/phones/{phone}/text"), &json!({ "to": to, "media_urls": files })).await;
        serde_json::from_value(answer["media_urls"].clone()).expect("a text with media has addresses")
    }

    /// A phone calls a number. `more` are further fields of the control call, such as `{"outcome": "busy"}`.
    /// Answers the control API's JSON when the call has ended.
    pub async fn call(&self, phone: &str, to: &str, more: Value) -> Value {
        let mut body = json!({ "to": to });
        if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
            body.extend(more);
        }
        self.post(&format!("/_sim/phones/{phone}/call"), &body).await
    }

    /// The number is gone at its carrier, as if somebody had released it there by hand.
    pub async fn lose_number(&self, number: &str) {
        let response = self.client.delete(format!("{}/_sim/numbers/{number}", self.url)).send().await;
        let response = response.expect("the simulator answers");
        assert!(response.status().is_success(), "{number} cannot be lost: {:?}", response.text().await);
    }

    /// What a phone got, oldest first as the simulator lists it.
    pub async fn inbox(&self, phone: &str) -> Vec<Value> {
        let answer = self.get(&format!("/_sim/phones/{phone}/inbox")).await;
        answer["messages"].as_array().cloned().unwrap_or_default()
    }

    /// Numbers owned at the carriers, newest first; `carrier` says where.
    pub async fn numbers(&self) -> Vec<Value> {
        let answer = self.get("/_sim/numbers").await;
        answer["numbers"].as_array().cloned().unwrap_or_default()
    }

    /// Replaces the faults: see the simulator's README.
    pub async fn set_faults(&self, faults: Value) {
        let response =
            self.client.put(format!("{}/_sim/faults", self.url)).json(&json!({ "faults": faults })).send().await;
        let response = response.expect("the simulator answers");
        assert!(response.status().is_success(), "the faults were refused: {:?}", response.text().await);
    }

    /// A control call that reads.
    pub async fn get(&self, path: &str) -> Value {
        let response = self.client.get(format!("{}{path}", self.url)).send().await.expect("the simulator answers");
        response.json().await.expect("the simulator answers JSON")
    }

    /// A control call that does something.
    pub async fn post(&self, path: &str, body: &Value) -> Value {
        let response = self.client.post(format!("{}{path}", self.url)).json(body).send().await;
        let response = response.expect("the simulator answers");
        assert!(response.status().is_success(), "{path} was refused: {:?}", response.text().await);
        response.json().await.expect("the simulator answers JSON")
    }
}
