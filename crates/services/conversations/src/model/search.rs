//! What somebody looks for, and which of the messages found come first.
//!
//! Words are read as in a web search: all of them, "a phrase", `or`, `-without`. The last one may still be unfinished.

use std::cmp::Ordering;

use chrono::{DateTime, TimeDelta, Utc};
use domain::LicenseId;
use uuid::Uuid;

/// A message that is so much older must fit twice as well.
const HALF_LIFE: TimeDelta = TimeDelta::days(60);
/// Nothing that was found fits worse.
const WORST_RANK: f32 = 1e-6;
/// The beginning of a word leads through the index when it has so many letters: fewer lead to a good part of everything.
const BEGINNING: usize = 2;

/// What was typed, in the form that `websearch_to_tsquery` takes without surprises.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Typed {
    pub text: String,
    /// The word that may be unfinished.
    pub last: Option<String>,
}

/// Keeps words, quotes, and the `-` before either. Everything else stands between words, as it does in what is searched.
pub(crate) fn read_typed(query: &str) -> Typed {
    let mut text = String::with_capacity(query.len());
    let mut quoted = false;
    let mut letters = query.chars().peekable();
    while let Some(letter) = letters.next() {
        let starts = text.is_empty() || text.ends_with(' ');
        let next_begins = letters.peek().is_some_and(|next| next.is_alphanumeric() || *next == '"');
        text.push(match letter {
            '"' => {
                quoted = !quoted;
                '"'
            }
            '-' if !quoted && starts && next_begins => '-',
            letter if letter.is_alphanumeric() => letter,
            _ => ' ',
        });
    }
    let last = text.rsplit(' ').next().filter(|word| !quoted && !word.is_empty());
    let last = last.filter(|word| word.chars().all(char::is_alphanumeric) && !word.eq_ignore_ascii_case("or"));
    let last = last.map(str::to_owned);
    Typed { text, last }
}

/// What PostgreSQL made of [`Typed`].
#[derive(Debug)]
pub(crate) struct Parsed {
    /// A `tsquery`: its words in quotes, letters and digits only.
    pub query: String,
    /// The last word alone, in the same form. Empty: it is none that is looked for.
    pub last: String,
    /// The last word as it is written. Empty: it is finished.
    pub written: String,
}

/// A `tsquery` as each side needs it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sought {
    pub words: String,
    /// The same, or less, for the index, whose words carry their license.
    pub words_of_license: String,
}

impl Parsed {
    /// What to look for in one license, with the last word also as the beginning of a word. `None`: nothing is, or it could
    /// only be answered by reading everything (`-without` alone).
    pub(crate) fn of_license(&self, license_id: &LicenseId) -> Option<Sought> {
        let is_short = self.written.chars().count() < BEGINNING;
        let words = if is_short { self.query.clone() } else { self.with_beginning() };
        is_selective(&self.query).then(|| Sought { words_of_license: with_license(&words, license_id), words })
    }

    /// The same with a shorter beginning ("unit 4" finds "unit 42"), which is looked for in what the other words find.
    /// `None`: it is none, or there are no others.
    pub(crate) fn among_others(&self, license_id: &LicenseId) -> Option<Sought> {
        if self.last.is_empty() || self.written.chars().count() >= BEGINNING {
            return None;
        }
        let others = self.query.strip_suffix(&format!(" & {}", self.last)).filter(|others| is_selective(others))?;
        Some(Sought { words: self.with_beginning(), words_of_license: with_license(others, license_id) })
    }

    fn with_beginning(&self) -> String {
        match self.query.strip_suffix(&self.last) {
            Some(before) if !self.last.is_empty() => format!("{before}({} | '{}':*)", self.last, self.written),
            _ => self.query.clone(),
        }
    }
}

/// A `tsquery` with the license before each word.
fn with_license(query: &str, license_id: &LicenseId) -> String {
    let part = |(index, part): (usize, &str)| {
        // Every other part is a word.
        if index % 2 == 0 { part.to_owned() } else { format!("'{license_id}/{part}'") }
    };
    query.split('\'').enumerate().map(part).collect()
}

/// Whether each of its alternatives has a word that must be there.
fn is_selective(query: &str) -> bool {
    query.split(" | ").all(|all| all.split(" & ").any(|word| word.starts_with('\'')))
}

/// A message that was found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Match {
    pub message_id: Uuid,
    pub created_at: DateTime<Utc>,
    /// How well it fits: more than 0, at most 1.
    pub rank: f32,
}

/// A place among the matches. What fits better or is newer comes first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Placing {
    /// Doubles of the rank, and half-lives since 1970. It does not depend on when somebody asks, so that pages fit together.
    pub score: f64,
    pub message_id: Uuid,
}

impl Placing {
    fn of(found: &Match) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far below 2^52")]
        let half_lives = found.created_at.timestamp() as f64 / HALF_LIFE.num_seconds() as f64;
        let score = half_lives + f64::from(found.rank.max(WORST_RANK)).log2();
        Self { score, message_id: found.message_id }
    }

    fn compare(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then(other.message_id.cmp(&self.message_id))
    }
}

/// The matches in their order, those after a place.
pub(crate) fn plan_order(matches: &[Match], after: Option<Placing>) -> Vec<Placing> {
    let mut placed: Vec<Placing> = matches.iter().map(Placing::of).collect();
    placed.retain(|each| after.is_none_or(|after| after.compare(each) == Ordering::Less));
    placed.sort_by(Placing::compare);
    placed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(query: &str) -> (String, Option<String>) {
        let Typed { text, last } = read_typed(query);
        (text, last)
    }

    #[test]
    fn quotes_or_and_minus_are_kept_and_the_last_word_may_be_unfinished() {
        for (query, text, last) in [
            ("rent due", "rent due", Some("due")),
            ("rent due ", "rent due ", None),
            ("rent -du", "rent -du", None),
            ("- rent", "  rent", Some("rent")),
            ("mid-town", "mid town", Some("town")),
            ("\"mid-town\" sin", "\"mid town\" sin", Some("sin")),
            ("\"kitchen sin", "\"kitchen sin", None),
            ("leak or", "leak or", None),
            ("unit #4", "unit  4", Some("4")),
            ("(415) 200-0011", " 415  200 0011", Some("0011")),
            ("it's l'eau", "it s l eau", Some("eau")),
            ("baño", "baño", Some("baño")),
            ("-\"no heat\"", "-\"no heat\"", None),
            ("' | !x:*", "     x  ", None),
            ("", "", None),
        ] {
            assert_eq!(typed(query), (text.to_owned(), last.map(str::to_owned)), "{query}");
        }
    }

    fn of_acme(query: &str, last: &str, written: &str) -> Option<Sought> {
        parsed(query, last, written).of_license(&LicenseId::parse("acme").unwrap())
    }

    fn parsed(query: &str, last: &str, written: &str) -> Parsed {
        Parsed { query: query.to_owned(), last: last.to_owned(), written: written.to_owned() }
    }

    #[test]
    fn every_word_carries_the_license_and_the_last_one_is_also_a_beginning() {
        let sought = of_acme("'rent' & !'due' | 'leak'", "'leak'", "leaki").unwrap();
        assert_eq!(sought.words, "'rent' & !'due' | ('leak' | 'leaki':*)");
        assert_eq!(sought.words_of_license, "'acme/rent' & !'acme/due' | ('acme/leak' | 'acme/leaki':*)");
        assert_eq!(of_acme("'a' <-> 'b'", "", "").unwrap().words_of_license, "'acme/a' <-> 'acme/b'");
        let the = of_acme("'rent'", "", "the").unwrap();
        assert_eq!(the.words_of_license, "'acme/rent'", "the last word is none that is looked for");
        assert_eq!(of_acme("", "", ""), None);
        assert_eq!(of_acme("'unit' & '4'", "'4'", "4").unwrap().words, "'unit' & '4'", "too short to lead somewhere");
    }

    #[test]
    fn what_names_no_word_that_must_be_there_is_not_looked_for() {
        for (query, expected) in [
            ("'rent'", true),
            ("'rent' & !'due'", true),
            ("!'due' & 'kitchen' <-> 'sink'", true),
            ("'rent' | 'leak'", true),
            ("!'rent'", false),
            ("'leak' | !'rent'", false),
            ("!( 'kitchen' <-> 'sink' )", false),
            ("", false),
        ] {
            assert_eq!(of_acme(query, "", "").is_some(), expected, "{query}");
        }
    }

    #[test]
    fn a_last_word_of_one_letter_is_a_beginning_among_what_the_other_words_find() {
        let among = |query, last, written| {
            let sought = parsed(query, last, written).among_others(&LicenseId::parse("acme").unwrap())?;
            Some((sought.words, sought.words_of_license))
        };
        let found = |words: &str, others: &str| Some((words.to_owned(), others.to_owned()));
        assert_eq!(among("'unit' & '4'", "'4'", "4"), found("'unit' & ('4' | '4':*)", "'acme/unit'"));
        assert_eq!(
            among("'a' | 'b' & !'c' & '4'", "'4'", "4"),
            found("'a' | 'b' & !'c' & ('4' | '4':*)", "'acme/a' | 'acme/b' & !'acme/c'")
        );
        for (query, last, written) in [
            ("'4'", "'4'", "4"),
            ("'unit' | '4'", "'4'", "4"),
            ("!'unit' & '4'", "'4'", "4"),
            ("'unit' & '42'", "'42'", "42"),
            ("'unit' & '4'", "", ""),
            ("'unit'", "", "s"),
        ] {
            assert_eq!(among(query, last, written), None, "{query}");
        }
    }

    fn found(id: u128, days: i64, rank: f32) -> Match {
        Match { message_id: Uuid::from_u128(id), created_at: DateTime::UNIX_EPOCH + TimeDelta::days(days), rank }
    }

    fn order(matches: &[Match], after: Option<Placing>) -> Vec<u128> {
        plan_order(matches, after).iter().map(|each| each.message_id.as_u128()).collect()
    }

    #[test]
    fn what_fits_better_comes_first_and_what_fits_alike_newest_first() {
        let matches = [found(1, 1_000, 0.1), found(2, 1_010, 0.1), found(3, 1_000, 0.2), found(4, 500, 0.2)];
        assert_eq!(order(&matches, None), [3, 2, 1, 4]);
        assert_eq!(order(&[found(1, 9, 0.1), found(2, 9, 0.1)], None), [2, 1]);
        assert_eq!(order(&[found(1, 9, 0.0), found(2, 9, 0.1)], None), [2, 1]);
    }

    #[test]
    fn pages_fit_together_whatever_went_or_came_between_them() {
        let matches: Vec<Match> = (1..=9).map(|n| found(n, 1_000 + i64::try_from(n % 3).unwrap(), 0.1)).collect();
        let all = plan_order(&matches, None);
        let after = all[3];
        let left: Vec<Match> = matches.iter().copied().filter(|each| each.message_id != after.message_id).collect();
        assert_eq!(plan_order(&left, Some(after)), all[4..]);
    }
}
