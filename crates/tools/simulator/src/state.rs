//! Everything one running simulator knows. Nothing is global: a process may run many.
//! Locks are held for a lookup or a write in memory, never across an await.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::Utc;
use serde::Serialize;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Config;
use crate::airplane::{Airplanes, Waiting};
use crate::carrier::CarrierName;
use crate::consent::OptOuts;
use crate::faults::{Fault, Faults, Point, Subject};
use crate::history::{History, LIMIT, Message, Status};
use crate::media::Files;
use crate::numbers::Numbers;
use crate::receipts::{Course, Courses};
use crate::requests::RequestLog;
use crate::telnyx::signature::Signer;
use crate::webhook::{self, Delivery};
use crate::{telnyx, twilio};

/// What the carriers and the phones know.
pub(crate) struct World {
    pub(crate) numbers: Numbers,
    /// Changed through the world alone, so that who looks on hears of it.
    pub(crate) history: History,
    airplanes: Airplanes,
    changes: watch::Sender<()>,
    pub(crate) opt_outs: OptOuts,
    pub(crate) telnyx: telnyx::Account,
    pub(crate) files: Files,
}

impl World {
    /// Tells of each change of what phones and messages show, without saying what changed.
    pub(crate) fn watch(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Notes a message. A text for a phone in airplane mode shows there when that ends.
    pub(crate) fn record(&mut self, mut message: Message) {
        if message.on_phone_at.is_some() && self.airplanes.hold_text(&message.to, &message.sid) {
            message.on_phone_at = None;
        }
        self.history.record(message);
        self.changes.send_replace(());
    }

    /// Moves a message forward.
    pub(crate) fn mark_status(&mut self, sid: &str, status: Status, error_code: Option<u32>) {
        self.history.mark_status(sid, status, error_code, Utc::now());
        self.changes.send_replace(());
    }

    /// How many texts wait for the phone. `None`: it is not in airplane mode.
    pub(crate) fn count_waiting(&self, phone: &str) -> Option<usize> {
        self.airplanes.count_texts(phone)
    }

    /// Whether the phone is in airplane mode now; with very many of them it is not.
    pub(crate) fn begin_airplane(&mut self, phone: &str) -> bool {
        let began = self.airplanes.begin(phone);
        self.changes.send_replace(());
        began
    }

    /// What waited shows on the phone. Returns what goes on with its receipts.
    pub(crate) fn end_airplane(&mut self, phone: &str) -> Vec<Course> {
        let Waiting { texts, courses } = self.airplanes.end(phone);
        let now = Utc::now();
        for sid in &texts {
            self.history.mark_on_phone(sid, now);
        }
        self.changes.send_replace(());
        courses
    }

    /// Keeps a course whose next step needs its phone, while that is in airplane mode; gives back any other.
    pub(crate) fn hold_course(&mut self, course: Course) -> Option<Course> {
        let Some(message) = self.history.find(&course.sid).filter(|_| course.needs_phone()) else {
            return Some(course);
        };
        self.airplanes.hold_course(&message.to, course)
    }
}

/// Totals since the start.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) messages_taken: AtomicU64,
    pub(crate) receipts_delivered: AtomicU64,
    pub(crate) receipts_failed: AtomicU64,
    pub(crate) webhooks_delivered: AtomicU64,
    pub(crate) webhooks_failed: AtomicU64,
}

/// The totals at one moment, as `GET /_sim/counts` shows them.
#[derive(Debug, Serialize)]
pub(crate) struct CountsNow {
    messages_taken: u64,
    receipts_delivered: u64,
    receipts_failed: u64,
    webhooks_delivered: u64,
    webhooks_failed: u64,
}

impl Counts {
    /// A text or a step of a call was told to its number's owner, or not.
    pub(crate) fn record_webhook(&self, delivery: &Delivery) {
        let counter = if delivery.taken { &self.webhooks_delivered } else { &self.webhooks_failed };
        counter.fetch_add(1, Relaxed);
    }

    pub(crate) fn now(&self) -> CountsNow {
        CountsNow {
            messages_taken: self.messages_taken.load(Relaxed),
            receipts_delivered: self.receipts_delivered.load(Relaxed),
            receipts_failed: self.receipts_failed.load(Relaxed),
            webhooks_delivered: self.webhooks_delivered.load(Relaxed),
            webhooks_failed: self.webhooks_failed.load(Relaxed),
        }
    }
}

pub(crate) struct Simulator {
    pub(crate) config: Config,
    /// Where this simulator is reached, without a path.
    pub(crate) base_url: String,
    pub(crate) twilio_webhooks: twilio::webhooks::Webhooks,
    pub(crate) telnyx_webhooks: telnyx::webhooks::Webhooks,
    pub(crate) courses: Courses,
    pub(crate) counts: Counts,
    pub(crate) shutdown: CancellationToken,
    pub(crate) tasks: TaskTracker,
    world: Mutex<World>,
    faults: Mutex<Faults>,
    requests: Mutex<RequestLog>,
}

impl Simulator {
    pub(crate) fn new(
        config: Config,
        base_url: String,
        shutdown: CancellationToken,
    ) -> anyhow::Result<(Arc<Self>, mpsc::UnboundedReceiver<Course>)> {
        let (courses, arriving) = Courses::new();
        let client = webhook::build_client()?;
        let signer = match config.telnyx_signing_key.as_str() {
            "" if config.telnyx_api_key.is_empty() => Signer::random()?,
            seed => Signer::new(seed)?,
        };
        let simulator = Self {
            twilio_webhooks: twilio::webhooks::Webhooks::new(client.clone(), &config.auth_token, shutdown.clone())?,
            telnyx_webhooks: telnyx::webhooks::Webhooks::new(client, signer, shutdown.clone()),
            world: Mutex::new(World {
                numbers: Numbers::open(config.numbers_file.clone())?,
                history: History::new(LIMIT),
                airplanes: Airplanes::default(),
                changes: watch::Sender::new(()),
                opt_outs: OptOuts::default(),
                telnyx: telnyx::Account::default(),
                files: Files::default(),
            }),
            config,
            base_url,
            courses,
            counts: Counts::default(),
            shutdown,
            tasks: TaskTracker::new(),
            faults: Mutex::default(),
            requests: Mutex::default(),
        };
        Ok((Arc::new(simulator), arriving))
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn requests(&self) -> MutexGuard<'_, RequestLog> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn take_fault(&self, carrier: CarrierName, on: Point, subject: Subject<'_>) -> Option<Fault> {
        self.faults().take(carrier, on, subject)
    }
}
