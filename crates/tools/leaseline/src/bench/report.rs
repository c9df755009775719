//! The results as Markdown: for the terminal, and as a page with the machine and how to repeat it.

use std::fmt::Write as _;
use std::time::Duration;

use super::Measured;
use super::ceilings::Ceilings;
use super::ledger::Percentiles;
use super::machine::Machine;
use super::many::{Many, PEOPLE, RECIPIENTS};

/// One of the two hot paths.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path {
    pub(super) saturated: Measured,
    pub(super) at_a_time: usize,
    pub(super) steady: Measured,
    pub(super) ceilings: Ceilings,
}

/// Calls that were answered with the company's phone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Calls {
    pub(super) per_second: f64,
    /// Beside them.
    pub(super) texts_per_second: f64,
    pub(super) answers: Percentiles,
}

/// One run.
#[derive(Debug, Clone)]
pub(super) struct Report {
    pub(super) machine: Machine,
    /// How to repeat it.
    pub(super) command: String,
    pub(super) inbound: Path,
    pub(super) calls: Calls,
    pub(super) outbound: Path,
    pub(super) many: Many,
}

impl Report {
    /// The tables.
    pub(super) fn results(&self) -> String {
        let inbound =
            section("Inbound: signed webhook → PostgreSQL and the manager's feed", "webhook → SSE", &self.inbound);
        let outbound = section("Outbound: POST /v1/messages → taken by the carrier", "POST → taken", &self.outbound);
        let Calls { per_second, texts_per_second, answers } = self.calls;
        let calls = format!(
            "## Calls: signed voice webhook → the company's phone\n\n| result | | |\n|---|---:|---:|\n\
             | answer, {}/s, beside {} texts a second, the numbers service down | {} | {} |\n",
            grouped(per_second),
            grouped(texts_per_second),
            p50(answers),
            p99(answers),
        );
        let Many { import, batch } = self.many;
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let lines = PEOPLE as f64 / import.as_secs_f64();
        let many = format!(
            "## Many at once\n\n| result | | |\n|---|---:|---:|\n\
             | import of people, NDJSON | {}/s | {} lines in {:.1} s |\n\
             | one text to {} people, merge fields filled in | {} | until every message is answered |\n",
            grouped(lines),
            grouped_count(PEOPLE),
            import.as_secs_f64(),
            grouped_count(RECIPIENTS),
            milliseconds(batch),
        );
        format!("{inbound}\n{calls}\n{outbound}\n{many}")
    }

    /// The whole page.
    pub(super) fn page(&self) -> String {
        let Machine { processor, cores, memory_gib, kernel, syncs_per_second, postgres, nats, commit, date } =
            &self.machine;
        format!(
            "# Benchmarks

Written by `{command}` on {date}; run it again to repeat. Commit {commit}.

| machine | |
|---|---|
| processor | {processor}, {cores} cores |
| memory | {memory_gib} GiB |
| kernel | Linux {kernel} |
| disk | {syncs} writes of 4 KiB a second, each synced |
| engines | PostgreSQL {postgres}, nats-server {nats}; both sync every commit to disk |

{results}
## How to read it
Load generator, simulator, services and engines share the cores of one machine, one replica of each service, all on
loopback. Compare ratios, not figures, across machines.

*Sustained* counts what is finished: inbound from the first webhook until all are committed in PostgreSQL and received
on the open feeds of ten licenses; outbound from the first request until the carrier has taken all, with pacing off,
feeds open and receipts coming back. Every text is unique, and the run fails if one arrives twice or altered. A ceiling
is what an engine stores of the same events or message rows when nothing else runs; the product stores more for each
text (inbox, outbox, feed, attempts), so a ratio of 1 is out of reach.

Latencies at half the sustained rate are what a user feels; they count from the moment when a request was due and
include up to 1 ms of the load generator's timer. Saturated ones mostly show the length of the queue.
",
            command = self.command,
            syncs = grouped(*syncs_per_second),
            results = self.results(),
        )
    }
}

fn section(title: &str, arrival: &str, path: &Path) -> String {
    let Path { saturated, at_a_time, steady, ceilings } = path;
    let (sustained, half) = (saturated.per_second(), grouped(saturated.per_second() / 2.0));
    let mut text = format!("## {title}\n\n| result | | |\n|---|---:|---:|\n");
    let mut line = |name: &str, one: &str, two: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| {name} | {one} | {two} |");
    };
    let elapsed = format!("{} in {:.1} s", grouped_count(saturated.done), saturated.elapsed.as_secs_f64());
    line("**sustained**", &format!("**{}/s**", grouped(sustained)), &elapsed);
    for (phase, load) in
        [(steady, format!("at half the rate, {half}/s")), (saturated, format!("saturated, {at_a_time} at a time"))]
    {
        line(&format!("answer, {load}"), &p50(phase.answers), &p99(phase.answers));
        line(&format!("{arrival}, {load}"), &p50(phase.arrivals), &p99(phase.arrivals));
    }
    let _ = writeln!(text, "\n| ceiling, same bytes | | sustained ÷ ceiling |\n|---|---:|---:|");
    for (name, ceiling) in [
        ("JetStream, single events, 512 under way", ceilings.events_singly),
        ("JetStream, atomic batches of 500, 4 under way", ceilings.events_in_batches),
        ("PostgreSQL, 256 rows a statement, 1 connection", ceilings.rows_in_batches),
        ("PostgreSQL, 1 row a commit, 16 connections", ceilings.rows_singly),
    ] {
        let _ = writeln!(text, "| {name} | {}/s | {:.3} |", grouped(ceiling), sustained / ceiling);
    }
    for (phase, name) in [(saturated, "saturated"), (steady, "half-rate")] {
        if phase.is_early() {
            let (done, wanted) = (grouped_count(phase.done), grouped_count(phase.wanted));
            let _ = writeln!(
                text,
                "\nThe {name} phase ran out of time: {done} of {wanted} arrived; the others had not yet."
            );
        }
    }
    text
}

fn p50(percentiles: Percentiles) -> String {
    format!("p50 {}", milliseconds(percentiles.p50))
}

fn p99(percentiles: Percentiles) -> String {
    format!("p99 {}", milliseconds(percentiles.p99))
}

fn milliseconds(duration: Duration) -> String {
    let milliseconds = duration.as_secs_f64() * 1_000.0;
    if milliseconds < 100.0 { format!("{milliseconds:.1} ms") } else { format!("{} ms", grouped(milliseconds)) }
}

/// A whole number with thousands apart.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn grouped_count(count: usize) -> String {
    grouped(count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(wanted: usize, done: usize) -> Measured {
        let percentiles = Percentiles { p50: Duration::from_micros(4_250), p99: Duration::from_millis(1_234) };
        Measured { wanted, done, elapsed: Duration::from_secs(10), answers: percentiles, arrivals: percentiles }
    }

    fn path(done: usize) -> Path {
        let ceilings = Ceilings {
            events_singly: 1_000.0,
            events_in_batches: 8_000.0,
            rows_in_batches: 25_000.0,
            rows_singly: 2e3,
        };
        Path { saturated: measured(20_000, done), at_a_time: 256, steady: measured(10, 10), ceilings }
    }

    #[test]
    fn a_section_shows_rates_latencies_and_ratios() {
        let text = section("Inbound", "webhook → SSE", &path(20_000));
        for line in [
            "| **sustained** | **2,000/s** | 20,000 in 10.0 s |",
            "| webhook → SSE, at half the rate, 1,000/s | p50 4.2 ms | p99 1,234 ms |",
            "| JetStream, atomic batches of 500, 4 under way | 8,000/s | 0.250 |",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("ran out of time"));
    }

    #[test]
    fn a_phase_that_ran_out_of_time_says_so() {
        let text = section("Inbound", "webhook → SSE", &path(12_345));
        assert!(text.contains("The saturated phase ran out of time: 12,345 of 20,000 arrived"), "{text}");
    }

    #[test]
    fn numbers_have_their_thousands_apart() {
        assert_eq!([0.0, 999.4, 1_000.0, 1_234_567.0].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
