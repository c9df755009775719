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

    /// A carrier that sends receipts almost at once.
    pub async fn start() -> Self {
        let listener = crate::listener().await;
        let address = listener.local_addr().expect("a bound port has an address");
        let stop = CancellationToken::new();
        let mut config = simulator::Config::new(Self::ACCOUNT_SID, Self::AUTH_TOKEN);
        config.receipt_delay = Duration::from_millis(5);
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

    /// What a phone got, oldest first as the simulator lists it.
    pub async fn inbox(&self, phone: &str) -> Vec<Value> {
        let answer = self.get(&format!("/_sim/phones/{phone}/inbox")).await;
        answer["messages"].as_array().cloned().unwrap_or_default()
    }

    /// Numbers owned at the carrier.
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
