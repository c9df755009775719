//! The load of one row: in each conversation a manager writes and a person answers, each at a pace of their own, until
//! the row is over. Managers retry under one key until a gateway accepts; the carrier retries as Twilio does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::count::Text;
use crate::client::{Api, Phones};

/// Between two texts of one writer, at least and at most.
const PAUSE_MS: std::ops::Range<u64> = 400..1_600;
/// A manager's browser gives up on an answer, and asks again.
const ANSWER: Duration = Duration::from_secs(5);
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// No fault of this program lasts so long.
const PATIENCE: Duration = Duration::from_mins(1);

/// Somebody with whom a license texts.
#[derive(Debug, Clone)]
pub(super) struct Conversation {
    pub(super) person_id: String,
    pub(super) phone: String,
    /// The license's number.
    pub(super) number: String,
    /// The manager, at every gateway.
    pub(super) managers: Vec<Api>,
}

impl Conversation {
    /// Sends a text, at one gateway after the other, under one key, until it is accepted.
    ///
    /// # Errors
    /// Says how it was refused, or that nobody accepted it in time.
    pub(super) async fn send(&self, body: &str) -> Result<(), String> {
        let (deadline, mut turn) = (Instant::now() + PATIENCE, body.len());
        let message = json!({ "recipients": [{ "person_id": self.person_id }], "body": body });
        loop {
            let manager = &self.managers[turn % self.managers.len()];
            turn += 1;
            let request = manager.request(Method::POST, "/v1/messages").timeout(ANSWER);
            let last = match request.header("Idempotency-Key", key_of(body)).json(&message).send().await {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                // An end of the connection in the middle of a problem's text changes nothing.
                Ok(answer) if is_final(answer.status().as_u16()) => {
                    let status = answer.status();
                    return Err(format!("{body:?} was refused: {status} {}", answer.text().await.unwrap_or_default()));
                }
                Ok(answer) => answer.status().to_string(),
                Err(error) => format!("{:#}", anyhow::Error::from(error.without_url())),
            };
            if Instant::now() > deadline {
                return Err(format!("{body:?} was not accepted within {} s: {last}", PATIENCE.as_secs()));
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// The person texts. True when the carrier's webhook was answered with 200.
    pub(super) async fn answer(&self, phones: &Phones, body: &str) -> bool {
        phones.text(&self.phone, &self.number, body).await.is_ok_and(|texted| texted["webhook_status"] == 200)
    }
}

/// Each text has one of its own; without spaces.
fn key_of(body: &str) -> String {
    body.split_once(':').map_or(body, |(key, _)| key).replace(' ', "-")
}

/// A request that will be refused again.
fn is_final(status: u16) -> bool {
    (400..500).contains(&status) && ![408, 409, 425, 429].contains(&status)
}

/// What the load did.
#[derive(Debug, Clone, Default)]
pub(super) struct Said {
    pub(super) accepted: Vec<Text>,
    pub(super) answered: Vec<Text>,
    /// Texts whose webhook the carrier gave up: nobody promised anything.
    pub(super) given_up: usize,
    /// Sends that were never accepted, and why.
    pub(super) refused: Vec<String>,
}

/// A running load.
#[derive(Debug)]
pub(super) struct Load {
    stop: CancellationToken,
    writers: JoinSet<()>,
    said: Arc<Mutex<Said>>,
}

impl Load {
    /// Every body begins with `tag`.
    pub(super) fn start(tag: &str, conversations: &[Conversation], phones: &Phones, seed: u64) -> Self {
        let (stop, said, mut writers) = (CancellationToken::new(), Arc::default(), JoinSet::new());
        for (index, conversation) in conversations.iter().enumerate() {
            for direction in [Direction::Out, Direction::In] {
                let random = StdRng::seed_from_u64(seed ^ ((index as u64) << 8) ^ direction as u64);
                let writer = Writer {
                    tag: tag.to_owned(),
                    index,
                    direction,
                    conversation: conversation.clone(),
                    phones: phones.clone(),
                    said: Arc::clone(&said),
                };
                writers.spawn(writer.write(random, stop.clone()));
            }
        }
        Self { stop, writers, said }
    }

    /// Nobody begins another text; those under way are finished.
    pub(super) async fn stop(mut self) -> Said {
        self.stop.cancel();
        while self.writers.join_next().await.is_some() {}
        std::mem::take(&mut *self.said.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[derive(Debug, Clone, Copy)]
enum Direction {
    Out,
    In,
}

struct Writer {
    tag: String,
    index: usize,
    direction: Direction,
    conversation: Conversation,
    phones: Phones,
    said: Arc<Mutex<Said>>,
}

impl Writer {
    async fn write(self, mut random: StdRng, stop: CancellationToken) {
        let word = match self.direction {
            Direction::Out => "out",
            Direction::In => "in",
        };
        for number in 0.. {
            let pause = Duration::from_millis(random.random_range(PAUSE_MS));
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            let body = format!("{} {word} {:02} {number:04}: the plumber comes at three", self.tag, self.index);
            self.say(body).await;
        }
    }

    async fn say(&self, body: String) {
        let text = Text { conversation: self.index, body };
        match self.direction {
            Direction::Out => match self.conversation.send(&text.body).await {
                Ok(()) => self.said().accepted.push(text),
                Err(why) => self.said().refused.push(why),
            },
            Direction::In if self.conversation.answer(&self.phones, &text.body).await => {
                self.said().answered.push(text);
            }
            Direction::In => self.said().given_up += 1,
        }
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The conversation of a text of ours, and whether a manager wrote it.
pub(super) fn parse(body: &str) -> Option<(usize, bool)> {
    let mut words = body.split_once(':')?.0.rsplit(' ');
    let (_, index, direction) = (words.next()?, words.next()?, words.next()?);
    Some((index.parse().ok()?, direction == "out"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_says_whose_it_is() {
        assert_eq!(parse("crash-03 out 07 0012: the plumber comes at three"), Some((7, true)));
        assert_eq!(parse("crash-03 in 11 0000: the plumber"), Some((11, false)));
        assert_eq!(parse("crash-03 probe 1"), None);
        assert_eq!(key_of("crash-03 out 07 0012: the plumber"), "crash-03-out-07-0012");
    }
}
