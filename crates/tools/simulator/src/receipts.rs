//! What becomes of an accepted message: its status moves on, and each step is posted to the message's `StatusCallback`.
//! One task keeps the steps that are due later and at most 64 posts under way. The steps of one message go out one after
//! the other, so that they arrive in order unless a fault asks for something else; messages do not wait for each other.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::carrier::CarrierName;
use crate::faults::{Fault, Kind};
use crate::history::Status;
use crate::state::Simulator;
use crate::{telnyx, twilio};

/// Posts under way at the same time.
const MAX_IN_FLIGHT: usize = 64;
/// Messages whose receipts are not all out. Beyond it the carrier answers 429, so that memory stays bounded.
const MAX_PENDING: usize = 200_000;

/// Telnyx's code for a landline, which it finds out on the way.
pub(crate) const NOT_ROUTABLE: u32 = 40_001;

/// What a carrier says when the handset is out of reach, and when the way there fails for no known reason.
fn codes_of(carrier: CarrierName) -> (u32, u32) {
    match carrier {
        CarrierName::Twilio => (30_003, 30_008),
        CarrierName::Telnyx => (40_008, 40_004),
    }
}

/// One step in the life of an accepted message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) status: Status,
    pub(crate) error_code: Option<u32>,
    /// Counted from the acceptance.
    after: Duration,
    /// How often the receipt is posted: once, twice when doubled, never when lost.
    posts: u8,
}

/// The steps of one message: sent and then delivered, a `delay` apart, unless a fault says otherwise.
pub(crate) fn plan_steps(carrier: CarrierName, delay: Duration, fault: Option<&Fault>) -> VecDeque<Step> {
    let step = |status, error_code, after, posts| Step { status, error_code, after, posts };
    let usual = |extra: Duration, posts| {
        VecDeque::from([
            step(Status::Sent, None, delay + extra, posts),
            step(Status::Delivered, None, delay * 2 + extra, posts),
        ])
    };
    let Some(fault) = fault else { return usual(Duration::ZERO, 1) };
    let (unreachable, unknown) = codes_of(carrier);
    match fault.kind {
        Kind::Lost => usual(Duration::ZERO, 0),
        Kind::Doubled => usual(Duration::ZERO, 2),
        Kind::Late => usual(fault.lateness(), 1),
        Kind::Reordered => {
            VecDeque::from([step(Status::Delivered, None, delay, 1), step(Status::Sent, None, delay * 2, 1)])
        }
        Kind::Undelivered => VecDeque::from([
            step(Status::Sent, None, delay, 1),
            step(Status::Undelivered, Some(fault.code.unwrap_or(unreachable)), delay * 2, 1),
        ]),
        Kind::Failed => plan_refused(delay, fault.code.unwrap_or(unknown)),
        _ => usual(Duration::ZERO, 1),
    }
}

/// The one step of a message that the carrier took and could not send.
pub(crate) fn plan_refused(delay: Duration, code: u32) -> VecDeque<Step> {
    VecDeque::from([Step { status: Status::Failed, error_code: Some(code), after: delay, posts: 1 }])
}

/// Whether a message with these steps reaches its phone.
pub(crate) fn reaches_phone(steps: &VecDeque<Step>) -> bool {
    steps.iter().any(|step| step.status == Status::Delivered)
}

/// The steps that one accepted message still has before it.
pub(crate) struct Course {
    pub(crate) sid: String,
    pub(crate) accepted_at: Instant,
    pub(crate) steps: VecDeque<Step>,
    pub(crate) report: Report,
}

impl Course {
    /// Whether the next step is that the text reaches its phone.
    pub(crate) fn needs_phone(&self) -> bool {
        self.steps.front().is_some_and(|step| step.status == Status::Delivered)
    }
}

/// To whom the steps are told, in each carrier's way.
pub(crate) enum Report {
    Twilio(twilio::texts::Receipts),
    Telnyx(Box<telnyx::texts::MessageReport>),
}

impl fmt::Debug for Course {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Course").field("sid", &self.sid).finish_non_exhaustive()
    }
}

/// Where handlers hand over accepted messages.
#[derive(Debug, Clone)]
pub(crate) struct Courses {
    sender: mpsc::UnboundedSender<Course>,
    pending: Arc<AtomicUsize>,
}

impl Courses {
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Course>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self { sender, pending: Arc::default() }, receiver)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.pending.load(Relaxed) >= MAX_PENDING
    }

    pub(crate) fn start(&self, course: Course) {
        self.pending.fetch_add(1, Relaxed);
        // Only a simulator that is shutting down has no receiver; then receipts end.
        let _ended = self.sender.send(course);
    }

    /// Goes on with one that was held.
    pub(crate) fn resume(&self, course: Course) {
        let _ended = self.sender.send(course);
    }

    fn end(&self) {
        self.pending.fetch_sub(1, Relaxed);
    }
}

/// A course by the time of its next step; equal times go in the order of arrival.
struct Due {
    at: Instant,
    order: u64,
    course: Course,
}

impl Due {
    /// Nothing when the course has no step left.
    fn find(course: Course, order: u64) -> Option<Reverse<Self>> {
        let at = course.accepted_at + course.steps.front()?.after;
        Some(Reverse(Self { at, order, course }))
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// Runs until shutdown. Receipts under way are dropped then.
pub(crate) async fn run(simulator: Arc<Simulator>, mut arriving: mpsc::UnboundedReceiver<Course>) {
    let mut due = BinaryHeap::new();
    let mut in_flight = JoinSet::new();
    let mut order = 0;
    loop {
        while in_flight.len() < MAX_IN_FLIGHT && due.peek().is_some_and(|Reverse(Due { at, .. })| *at <= Instant::now())
        {
            if let Some(Reverse(Due { course, .. })) = due.pop() {
                in_flight.spawn(take_step(Arc::clone(&simulator), course));
            }
        }
        let next = due.peek().filter(|_| in_flight.len() < MAX_IN_FLIGHT).map(|Reverse(Due { at, .. })| *at);
        let course = tokio::select! {
            () = simulator.shutdown.cancelled() => return,
            Some(course) = arriving.recv() => course,
            Some(ended) = in_flight.join_next() => match ended {
                Ok(Some(course)) => course,
                Ok(None) | Err(_) => continue,
            },
            () = sleep_until(next) => continue,
        };
        order += 1;
        match Due::find(course, order) {
            Some(next) => due.push(next),
            None => simulator.courses.end(),
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Moves the message on and posts the receipt; answers the rest of the course. Nothing when the course waits for its phone.
async fn take_step(simulator: Arc<Simulator>, course: Course) -> Option<Course> {
    let mut course = simulator.world().hold_course(course)?;
    let Some(step) = course.steps.pop_front() else { return Some(course) };
    simulator.world().mark_status(&course.sid, step.status, step.error_code);
    let count = |taken: bool| {
        let counter = if taken { &simulator.counts.receipts_delivered } else { &simulator.counts.receipts_failed };
        counter.fetch_add(1, Relaxed);
    };
    match &course.report {
        Report::Twilio(receipts) => {
            let Some((url, params)) = receipts.prepare(&simulator.config.account_sid, &course.sid, step) else {
                return Some(course);
            };
            for _ in 0..step.posts {
                count(simulator.twilio_webhooks.deliver(url, &params).await.taken);
            }
        }
        Report::Telnyx(report) => {
            let Some((url, failover, event)) = report.prepare(step) else { return Some(course) };
            for _ in 0..step.posts {
                count(simulator.telnyx_webhooks.deliver(url, failover, &event).await.taken);
            }
        }
    }
    Some(course)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(kind: Kind) -> Fault {
        Fault {
            on: crate::faults::Point::Receipt,
            kind,
            carrier: None,
            count: None,
            delay_ms: None,
            code: None,
            to: None,
            area_code: None,
        }
    }

    #[test]
    fn a_course_is_sent_and_then_delivered() {
        let delay = Duration::from_millis(20);
        let steps = plan_steps(CarrierName::Twilio, delay, None);
        assert_eq!(
            steps.iter().map(|step| (step.status, step.after, step.posts)).collect::<Vec<_>>(),
            [(Status::Sent, delay, 1), (Status::Delivered, delay * 2, 1)]
        );
        assert!(reaches_phone(&steps));
    }

    #[test]
    fn faults_change_the_course() {
        let delay = Duration::from_millis(20);
        let posts =
            |kind| plan_steps(CarrierName::Twilio, delay, Some(&fault(kind))).iter().map(|step| step.posts).sum::<u8>();
        assert_eq!((posts(Kind::Lost), posts(Kind::Doubled), posts(Kind::Late)), (0, 4, 2));
        let statuses = |kind| {
            plan_steps(CarrierName::Twilio, delay, Some(&fault(kind)))
                .iter()
                .map(|step| step.status)
                .collect::<Vec<_>>()
        };
        assert_eq!(statuses(Kind::Reordered), [Status::Delivered, Status::Sent]);
        assert_eq!(statuses(Kind::Undelivered), [Status::Sent, Status::Undelivered]);
        assert_eq!(statuses(Kind::Failed), [Status::Failed]);
        let code = |fault: Fault| plan_steps(CarrierName::Twilio, delay, Some(&fault)).back().unwrap().error_code;
        for (kind, usual) in [(Kind::Undelivered, 30_003), (Kind::Failed, 30_008)] {
            assert_eq!(code(fault(kind)), Some(usual));
            assert_eq!(code(Fault { code: Some(30_022), ..fault(kind) }), Some(30_022));
        }
        assert!(plan_steps(CarrierName::Twilio, delay, Some(&fault(Kind::Late)))[0].after > Duration::from_secs(1));
        assert!(!reaches_phone(&plan_steps(CarrierName::Twilio, delay, Some(&fault(Kind::Failed)))));
    }
}
