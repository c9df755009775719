//! Asks a carrier what kind of line a number is, before the first send to it (rule 12).
//!
//! A lookup costs money and time. Those who want the same number at the same moment share one, and keep it until what
//! it brought is recorded. One that fails, or takes too long, never holds up a message: it is counted, the message is
//! sent, and the next one asks again. Nothing is remembered here but what is under way.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use carriers::Carrier;
use domain::{Network, PhoneNumber};
use tokio::sync::OnceCell;

use crate::model::{Line, decide_line};

type Answer = OnceCell<Option<(Line, Option<Network>)>>;

/// The lookups of this process. Clones are the same.
#[derive(Clone, Debug)]
pub struct Lookups {
    timeout: Duration,
    under_way: Arc<Mutex<HashMap<PhoneNumber, Weak<Answer>>>>,
}

/// What a lookup brought. Whoever asks for the number while this is held gets the same.
#[derive(Clone, Debug)]
pub struct Lookup(Arc<Answer>);

impl Lookup {
    /// `None`: it failed.
    pub fn line(&self) -> Option<Line> {
        self.answer().map(|(line, _)| line)
    }

    /// `None`: it failed, or did not say.
    pub fn network(&self) -> Option<Network> {
        self.answer().and_then(|(_, network)| network)
    }

    fn answer(&self) -> Option<(Line, Option<Network>)> {
        self.0.get().copied().flatten()
    }
}

impl Lookups {
    /// None takes longer than `timeout`.
    pub fn new(timeout: Duration) -> Self {
        Self { timeout, under_way: Arc::default() }
    }

    /// Asks, or waits for those who ask already.
    pub async fn ask(&self, carrier: &dyn Carrier, number: PhoneNumber) -> Lookup {
        let lookup = self.join(number);
        lookup.0.get_or_init(|| self.call(carrier, number)).await;
        lookup
    }

    fn join(&self, number: PhoneNumber) -> Lookup {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = under_way.get(&number).and_then(Weak::upgrade) {
            return Lookup(answer);
        }
        // No longer than there are calls under way.
        under_way.retain(|_, answer| answer.strong_count() > 0);
        let answer = Arc::new(Answer::new());
        under_way.insert(number, Arc::downgrade(&answer));
        drop(under_way);
        Lookup(answer)
    }

    async fn call(&self, carrier: &dyn Carrier, number: PhoneNumber) -> Option<(Line, Option<Network>)> {
        let name = carrier.name();
        let line = match tokio::time::timeout(self.timeout, carrier.look_up_line(&number)).await {
            Ok(Ok(info)) => Some((decide_line(info.line_type), info.network)),
            Ok(Err(error)) => {
                tracing::warn!(carrier = %name, error = &error as &dyn Error, "a line is not known; sending all the same");
                None
            }
            Err(_) => {
                tracing::warn!(carrier = %name, "a lookup takes too long; sending all the same");
                None
            }
        };
        let answer = line.map_or("failed", |(line, _)| line.as_str());
        metrics::counter!("dispatch_lookups_total", "carrier" => name.as_str(), "answer" => answer).increment(1);
        line
    }
}
