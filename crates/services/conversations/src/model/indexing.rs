//! How far the words of a license go: by its feed, which has no gaps, or by reading its messages when the feed does not
//! go back so far.

use uuid::Uuid;

/// What stands about a license.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Of the feed.
    pub indexed_to: i64,
    /// Messages after this id are still to be read. `None`: none are.
    pub scan_after: Option<Uuid>,
}

/// An entry of the feed. With a message: it was created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct News {
    pub seq: i64,
    pub message_id: Option<Uuid>,
}

/// Moves the mark over the entries after it, which were read up to a limit. Returns the messages whose words are to be
/// written.
///
/// Entries are swept after some days, and one that was late from the beginning sooner than its neighbours. When one is
/// missing, all messages of the license are read once more; what is written already stays.
pub(crate) fn advance(mark: &mut Mark, head: i64, entries: &[News], limit: usize) -> Vec<Uuid> {
    let expected = mark.indexed_to + 1..;
    let is_whole = entries.iter().zip(expected).all(|(entry, seq)| entry.seq == seq);
    let last = entries.last().map_or(mark.indexed_to, |entry| entry.seq);
    if is_whole && (entries.len() >= limit || last == head) {
        mark.indexed_to = last;
        return entries.iter().filter_map(|entry| entry.message_id).collect();
    }
    *mark = Mark { indexed_to: head, scan_after: Some(Uuid::nil()) };
    Vec::new()
}

/// Moves the mark over messages that were read after it, up to a limit.
pub(crate) fn advance_scan(mark: &mut Mark, read: &[Uuid], limit: usize) {
    mark.scan_after = if read.len() >= limit { read.last().copied() } else { None };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(seqs: &[i64]) -> Vec<News> {
        let entry = |seq: &i64| News { seq: *seq, message_id: (seq % 2 == 0).then(|| id(*seq)) };
        seqs.iter().map(entry).collect()
    }

    fn id(n: i64) -> Uuid {
        Uuid::from_u128(u128::from(n.unsigned_abs()))
    }

    fn advanced(seqs: &[i64], head: i64, limit: usize) -> (Mark, Vec<Uuid>) {
        let mut mark = Mark { indexed_to: 3, scan_after: None };
        let messages = advance(&mut mark, head, &entries(seqs), limit);
        (mark, messages)
    }

    #[test]
    fn the_mark_follows_the_feed() {
        let at = |indexed_to| Mark { indexed_to, scan_after: None };
        assert_eq!(advanced(&[4, 5, 6], 6, 10), (at(6), vec![id(4), id(6)]));
        assert_eq!(advanced(&[4, 5], 9, 2), (at(5), vec![id(4)]), "there is more");
        assert_eq!(advanced(&[], 3, 10), (at(3), vec![]));
    }

    #[test]
    fn an_entry_that_is_missing_makes_all_messages_be_read() {
        let again = |head| Mark { indexed_to: head, scan_after: Some(Uuid::nil()) };
        assert_eq!(advanced(&[5, 6], 6, 10).0, again(6), "the first");
        assert_eq!(advanced(&[4, 6], 6, 10).0, again(6), "one between");
        assert_eq!(advanced(&[4, 5], 6, 10).0, again(6), "the last");
        assert_eq!(advanced(&[], 6, 10).0, again(6), "all");
    }

    #[test]
    fn a_scan_ends_with_the_first_read_that_is_not_full() {
        let mut mark = Mark { indexed_to: 3, scan_after: Some(Uuid::nil()) };
        advance_scan(&mut mark, &[id(1), id(2)], 2);
        assert_eq!(mark.scan_after, Some(id(2)));
        advance_scan(&mut mark, &[], 2);
        assert_eq!(mark.scan_after, None);
    }
}
