//! What became of every text of a phase: when it began, when it was answered, when it arrived, and how often.
//!
//! A text is known by the number in its body, so that one which arrives twice, altered or from nowhere is noticed.
//! Times are microseconds since the ledger was opened, by the one clock of this machine.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use chrono::{DateTime, Utc};
use hdrhistogram::Histogram;

/// Longer than any phase.
const LONGEST_MICROS: u64 = 600_000_000;

/// The texts of one phase.
#[derive(Debug)]
pub(super) struct Ledger {
    /// Tells this phase's texts from those of others.
    tag: &'static str,
    opened: Instant,
    opened_at: DateTime<Utc>,
    entries: Vec<Entry>,
    answered: AtomicUsize,
    arrived: AtomicUsize,
    doubled: AtomicUsize,
    altered: AtomicUsize,
}

/// 0: not yet.
#[derive(Debug, Default)]
struct Entry {
    begun: AtomicU64,
    answered: AtomicU64,
    arrived: AtomicU64,
}

impl Ledger {
    pub(super) fn open(tag: &'static str, count: usize) -> Self {
        Self {
            tag,
            opened: Instant::now(),
            opened_at: Utc::now(),
            entries: (0..count).map(|_| Entry::default()).collect(),
            answered: AtomicUsize::new(0),
            arrived: AtomicUsize::new(0),
            doubled: AtomicUsize::new(0),
            altered: AtomicUsize::new(0),
        }
    }

    /// About 120 characters, one segment, no other text like it.
    pub(super) fn text(tag: &str, index: usize) -> String {
        format!(
            "{tag} {index:06}: the kitchen tap still drips and the light in the hallway is out, \
             could somebody look at both on Friday?"
        )
    }

    pub(super) fn begin(&self, index: usize, at: Instant) {
        if let Some(entry) = self.entries.get(index) {
            entry.begun.store(self.micros_at(at), Relaxed);
        }
    }

    pub(super) fn answer(&self, index: usize) {
        if let Some(entry) = self.entries.get(index) {
            entry.answered.store(self.micros_at(Instant::now()), Relaxed);
            self.answered.fetch_add(1, Relaxed);
        }
    }

    /// A text arrived now. One of another phase is passed over.
    pub(super) fn arrive(&self, body: &str) {
        self.arrive_at(body, self.micros_at(Instant::now()));
    }

    /// A text arrived at a time of the wall clock.
    pub(super) fn arrive_at_time(&self, body: &str, at: DateTime<Utc>) {
        let micros = (at - self.opened_at).num_microseconds().and_then(|micros| u64::try_from(micros).ok());
        self.arrive_at(body, micros.unwrap_or_default().max(1));
    }

    fn arrive_at(&self, body: &str, micros: u64) {
        let Some(rest) = body.strip_prefix(self.tag) else { return };
        let index = rest.split_once(':').and_then(|(number, _)| number.trim_start().parse::<usize>().ok());
        let known = index.filter(|index| Self::text(self.tag, *index) == body);
        let Some(entry) = known.and_then(|index| self.entries.get(index)) else {
            self.altered.fetch_add(1, Relaxed);
            return;
        };
        if entry.arrived.compare_exchange(0, micros, Relaxed, Relaxed).is_ok() {
            self.arrived.fetch_add(1, Relaxed);
        } else {
            self.doubled.fetch_add(1, Relaxed);
        }
    }

    fn micros_at(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.opened).as_micros()).unwrap_or(u64::MAX).max(1)
    }

    pub(super) fn count(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn count_answered(&self) -> usize {
        self.answered.load(Relaxed)
    }

    pub(super) fn count_arrived(&self) -> usize {
        self.arrived.load(Relaxed)
    }

    /// # Errors
    /// When a text arrived twice or not as it was sent. That one is missing is for the caller to judge.
    pub(super) fn check_once(&self) -> Result<()> {
        let (doubled, altered) = (self.doubled.load(Relaxed), self.altered.load(Relaxed));
        ensure!(doubled == 0, "{doubled} texts of the phase {} arrived more than once", self.tag);
        ensure!(altered == 0, "{altered} texts of the phase {} were altered on the way", self.tag);
        Ok(())
    }

    /// From the first beginning to the last arrival.
    pub(super) fn elapsed(&self) -> Duration {
        let times = |of: fn(&Entry) -> &AtomicU64| {
            self.entries.iter().map(move |entry| of(entry).load(Relaxed)).filter(|micros| *micros > 0)
        };
        let first = times(|entry| &entry.begun).min().unwrap_or_default();
        let last = times(|entry| &entry.arrived).max().unwrap_or_default();
        Duration::from_micros(last.saturating_sub(first))
    }

    /// From the beginning to the answer.
    pub(super) fn answers(&self) -> Result<Percentiles> {
        self.percentiles(|entry| &entry.answered)
    }

    /// From the beginning to the arrival.
    pub(super) fn arrivals(&self) -> Result<Percentiles> {
        self.percentiles(|entry| &entry.arrived)
    }

    fn percentiles(&self, end: fn(&Entry) -> &AtomicU64) -> Result<Percentiles> {
        let ended = self.entries.iter().map(|entry| (entry.begun.load(Relaxed), end(entry).load(Relaxed)));
        Percentiles::of(ended.filter(|(_, end)| *end > 0).map(|(begun, end)| end.saturating_sub(begun)))
    }
}

/// Two points of a distribution of durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Percentiles {
    pub(super) p50: Duration,
    pub(super) p99: Duration,
}

impl Percentiles {
    /// Of durations in microseconds; zero when there are none.
    pub(super) fn of(micros: impl Iterator<Item = u64>) -> Result<Self> {
        let mut histogram = Histogram::<u64>::new_with_bounds(1, LONGEST_MICROS, 3)?;
        for value in micros {
            histogram.saturating_record(value);
        }
        let at = |quantile| Duration::from_micros(histogram.value_at_quantile(quantile));
        Ok(Self { p50: at(0.5), p99: at(0.99) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_arrives_twice_or_altered_is_noticed_and_one_of_another_phase_is_not() {
        let ledger = Ledger::open("one", 2);
        ledger.arrive(&Ledger::text("other", 1));
        ledger.arrive(&Ledger::text("one", 1));
        assert!(ledger.check_once().is_ok());
        assert_eq!((ledger.count_arrived(), ledger.count()), (1, 2));

        ledger.arrive(&Ledger::text("one", 1));
        assert!(ledger.check_once().unwrap_err().to_string().contains("more than once"));
        let altered = Ledger::open("one", 2);
        altered.arrive("one 000001: the kitchen");
        altered.arrive(&Ledger::text("one", 2));
        assert!(altered.check_once().unwrap_err().to_string().starts_with("2 texts"));
    }

    #[test]
    fn a_text_fits_into_one_segment() {
        assert!((110..=130).contains(&Ledger::text("inbound-steady", 123).len()));
    }

    #[test]
    fn percentiles_are_those_of_the_values() {
        let percentiles = Percentiles::of(1..=1_000).unwrap();
        assert_eq!((percentiles.p50.as_micros(), percentiles.p99.as_micros()), (500, 990));
        assert_eq!(Percentiles::of(std::iter::empty()).unwrap().p99, Duration::ZERO);
    }

    #[test]
    fn a_duration_is_from_the_beginning_to_the_arrival() {
        let ledger = Ledger::open("one", 1);
        ledger.begin(0, ledger.opened + Duration::from_millis(10));
        ledger.arrive_at_time(&Ledger::text("one", 0), ledger.opened_at + Duration::from_millis(35));
        assert_eq!(ledger.elapsed(), Duration::from_millis(25));
        let p50 = ledger.arrivals().unwrap().p50;
        assert!(p50.abs_diff(Duration::from_millis(25)) < Duration::from_millis(1), "{p50:?}");
        assert_eq!(ledger.answers().unwrap().p50, Duration::ZERO);
    }
}
