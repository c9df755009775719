//! The matrix: for the terminal and for `CRASHES.md`.

use std::fmt::Write as _;
use std::time::Duration;

use chrono::Utc;

use super::count::Tally;
use crate::bench::machine::find_commit;

/// What one fault did.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) fault: String,
    /// Sends accepted and webhooks answered.
    pub(super) texts: usize,
    pub(super) tally: Tally,
    /// What was wrong with the positions of the feeds while the row ran.
    pub(super) positions: Vec<String>,
    pub(super) dead_letters: usize,
    /// From the end of the fault until a fresh text went both ways. `None`: it did not.
    pub(super) recovery: Option<Duration>,
    /// Further sentences on what went wrong.
    pub(super) wrong: Vec<String>,
}

/// A text that is neither on its phone nor known to be refused. It stays so as long as nobody asks the carrier; to
/// forgive it here is to say that a manager decides.
const UNSETTLED_IS_LOST: bool = true;

impl Row {
    /// Every cell but the time is 0.
    pub(super) fn is_clean(&self) -> bool {
        let counts = self.tally.cells().map(<[String]>::len);
        let forgiven = if UNSETTLED_IS_LOST { 0 } else { self.tally.unsettled.len() };
        counts.iter().sum::<usize>() == forgiven
            && self.dead_letters == 0
            && self.recovery.is_some()
            && self.wrong.is_empty()
    }

    fn cells(&self) -> [String; 9] {
        let [lost, unsettled, doubled, reordered, feed] = self.tally.cells().map(|cell| cell.len().to_string());
        let recovery = self.recovery.map_or("never".to_owned(), |time| format!("{:.1} s", time.as_secs_f64()));
        let (texts, dead) = (self.texts.to_string(), self.dead_letters.to_string());
        [self.fault.clone(), texts, lost, unsettled, doubled, reordered, feed, dead, recovery]
    }

    pub(super) fn verdict(&self) -> &'static str {
        if self.is_clean() { "clean" } else { "NOT CLEAN" }
    }

    /// What to look at, at most so many of each kind.
    pub(super) fn explain(&self, most: usize) -> String {
        let mut text = String::new();
        for list in self.tally.cells().into_iter().chain([self.wrong.as_slice()]) {
            for line in list.iter().take(most) {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "    {line}");
            }
            if list.len() > most {
                let _ = writeln!(text, "    … and {} more of these", list.len() - most);
            }
        }
        if self.recovery.is_none() {
            let _ = writeln!(text, "    no fresh text went both ways after the fault");
        }
        text
    }
}

const HEAD: [&str; 9] =
    ["fault", "texts", "lost", "unsettled", "doubled", "reordered", "feed gaps", "dead letters", "recovery time"];

/// The matrix as Markdown, its columns aligned.
pub(super) fn matrix(rows: &[Row]) -> String {
    let table: Vec<[String; 9]> = std::iter::once(HEAD.map(str::to_owned)).chain(rows.iter().map(Row::cells)).collect();
    let widths: [usize; 9] =
        std::array::from_fn(|column| table.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let mut text = String::new();
    for (index, row) in table.iter().enumerate() {
        for (column, cell) in row.iter().enumerate() {
            let width = widths[column];
            let _ = if column == 0 { write!(text, "| {cell:width$} ") } else { write!(text, "| {cell:>width$} ") };
        }
        text.push_str("|\n");
        if index == 0 {
            for (column, width) in widths.iter().enumerate() {
                let _ = write!(text, "|{}{}", "-".repeat(width + 1), if column == 0 { "-" } else { ":" });
            }
            text.push_str("|\n");
        }
    }
    text
}

/// The page.
pub(super) fn page(rows: &[Row], seed: u64, elapsed: Duration) -> String {
    format!(
        "# Crashes

Written by `scripts/crash --seed {seed}` on {date}, commit {commit}, in {minutes:.0} minutes; run it again to repeat.

{matrix}
## How to read it
PostgreSQL, nats-server (both sync every commit to disk), the carrier simulator and two replicas of each of the five
services run as processes of one machine. Three licenses text with four people each, in both directions and without a
pause, while the fault happens, and a company signs up, for which the carrier must sell exactly one number. Managers
repeat a send under one `Idempotency-Key` until a gateway accepts it; the carrier repeats a webhook as Twilio does; a client
of each feed connects again with `Last-Event-ID`.

| column | counts |
|---|---|
| texts | sends that were answered 2xx, and texts from phones whose webhook was answered 200, during the row |
| lost | of these, what no phone got and what is in no conversation |
| unsettled | sends that no phone got and that are `unknown` to the manager; as bad as lost |
| doubled | what a phone or a conversation has twice, also of sends whose answer nobody heard. Counted again at the end of the run |
| reordered | what a later text of the same conversation and direction overtook |
| feed gaps | positions of a feed that did not come once and in order, and messages that were not told of once |
| dead letters | events that a consumer gave up |
| recovery time | from the end of the fault until a fresh text went both ways, behind everything that waited, and a feed told of both |

*Killed* and *paused*: first one replica at a random moment, then all of the service. *Cut*: connections are reset and
new ones refused; *slow*: 300 ms each way (30 ms to PostgreSQL); *half-open*: everything is swallowed, and the connections
are reset in the end. *In mid call* and *answers lost*: receipts come late, too. A webhook that the carrier gave up is promised to nobody and not among the texts.
",
        date = Utc::now().format("%Y-%m-%d"),
        commit = find_commit(),
        minutes = elapsed.as_secs_f64() / 60.0,
        matrix = matrix(rows),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        Row {
            fault: "dispatch killed".to_owned(),
            texts: 120,
            tally: Tally::default(),
            positions: Vec::new(),
            dead_letters: 0,
            recovery: Some(Duration::from_millis(1_240)),
            wrong: Vec::new(),
        }
    }

    #[test]
    fn a_row_is_clean_when_every_cell_but_the_time_is_0() {
        assert!(row().is_clean());
        let one = vec!["x".to_owned()];
        let tally = |change: fn(&mut Tally, Vec<String>)| {
            let mut tally = Tally::default();
            change(&mut tally, one.clone());
            Row { tally, ..row() }.is_clean()
        };
        assert!(!tally(|tally, one| tally.lost = one));
        assert!(!tally(|tally, one| tally.unsettled = one));
        assert!(!tally(|tally, one| tally.doubled = one));
        assert!(!tally(|tally, one| tally.reordered = one));
        assert!(!tally(|tally, one| tally.feed = one));
        assert!(!Row { dead_letters: 1, ..row() }.is_clean());
        assert!(!Row { recovery: None, ..row() }.is_clean());
        assert!(!Row { wrong: one.clone(), ..row() }.is_clean());
    }

    #[test]
    fn the_matrix_shows_each_row() {
        let text = matrix(&[row(), Row { recovery: None, ..row() }]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[2].starts_with("| dispatch killed |   120 |    0 |"), "{text}");
        assert!(lines[2].ends_with("1.2 s |") && lines[3].ends_with("never |"), "{text}");
        assert!(lines.iter().all(|line| line.chars().count() == lines[0].chars().count()));
    }
}
