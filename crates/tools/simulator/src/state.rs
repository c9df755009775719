//! Everything one running simulator knows. Nothing is global: a process may run many.
//! Locks are held for a lookup or a write in memory, never across an await.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Config;
use crate::carrier::CarrierName;
use crate::consent::OptOuts;
use crate::faults::{Fault, Faults, Point, Subject};
use crate::history::{History, LIMIT};
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
    pub(crate) history: History,
    pub(crate) opt_outs: OptOuts,
    pub(crate) telnyx: telnyx::Account,
    pub(crate) files: Files,
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
