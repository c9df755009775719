//! What is done with one claimed delivery: at most one lookup of its line, then at most one send.
//!
//! Nothing here repeats a call or touches the database. It says what came of it; the recorder writes that.

use carriers::{Carriers, Refusal, SendOutcome, WebhookAddresses};
use domain::{Network, PhoneNumber};

use crate::lookup::{Lookup, Lookups};
use crate::model::{Line, failure_code, find_line, line_refusal};
use crate::store::Claimed;

/// The carriers that this process can call, and what they are told.
#[derive(Clone, Debug)]
pub struct Caller {
    pub carriers: Carriers,
    pub addresses: WebhookAddresses,
    /// `None`: lines are not looked up. What is known of them counts all the same.
    pub lookups: Option<Lookups>,
}

/// What came of a delivery.
#[derive(Debug)]
pub enum Ending {
    /// The carrier was asked to send.
    Sent(SendOutcome),
    /// It was not.
    Withheld(Refusal),
}

/// What a call brought.
#[derive(Debug)]
pub struct Called {
    pub ending: Ending,
    /// What is new about the recipient's line.
    pub learned: Option<(PhoneNumber, Line)>,
    /// Of the recipient, if the lookup told.
    pub network: Option<Network>,
    /// Held until it is recorded.
    pub lookup: Option<Lookup>,
}

impl Caller {
    /// Looks the line up if it is not known, and sends unless it cannot receive texts. Takes the content.
    pub async fn deliver(&self, claimed: &mut Claimed) -> Called {
        let (message_id, name) = (claimed.key.message_id, claimed.carrier);
        let Some(content) = claimed.content.take() else {
            tracing::error!(%message_id, "a stored message cannot be read");
            let detail = "Something went wrong on our side.".to_owned();
            return Called::without_lookup(Ending::Withheld(Refusal {
                code: failure_code::UNREADABLE,
                detail,
                carrier_code: None,
                limit: None,
            }));
        };
        let Some(carrier) = self.carriers.find(name) else {
            // Claims name our carriers only.
            let cause = "no such carrier is configured".to_owned();
            return Called::without_lookup(Ending::Sent(SendOutcome::Unreachable { cause }));
        };
        let to = content.to;
        let lookup = match (claimed.line, &self.lookups) {
            (None, Some(lookups)) => Some(lookups.ask(carrier.as_ref(), to).await),
            _ => None,
        };
        let looked_up = lookup.as_ref().and_then(Lookup::line);
        let network = lookup.as_ref().and_then(Lookup::network);
        if claimed.line.or(looked_up) == Some(Line::CannotReceive) {
            let learned = looked_up.map(|line| (to, line));
            return Called { ending: Ending::Withheld(line_refusal()), learned, network, lookup };
        }

        let message = content.into_outbound(message_id, claimed.from, self.addresses.receipt(name, message_id));
        let begun = std::time::Instant::now();
        let outcome = carrier.send_message(&message).await;
        metrics::histogram!("dispatch_carrier_call_seconds", "carrier" => name.as_str())
            .record(begun.elapsed().as_secs_f64());
        let learned = find_line(&outcome).or(looked_up).map(|line| (to, line));
        Called { ending: Ending::Sent(outcome), learned, network, lookup }
    }
}

impl Called {
    const fn without_lookup(ending: Ending) -> Self {
        Self { ending, learned: None, network: None, lookup: None }
    }
}
