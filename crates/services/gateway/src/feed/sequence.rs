//! Decides what of an arriving batch comes next (rule 15). Pure.
//!
//! Entries may be lost, doubled and out of order on the way. Whoever only ever emits what [`plan_step`] says, and reads
//! from the source what is missing, emits each position exactly once and in order.

/// What to do with a batch.
#[derive(Debug, PartialEq)]
pub(super) struct Step<T> {
    /// The next entries, without a gap, oldest first.
    pub(super) emit: Vec<(u64, T)>,
    /// Something between is not there: read on from the source after what is emitted.
    pub(super) gap: bool,
}

/// `position` is the last one that was emitted.
pub(super) fn plan_step<T>(position: u64, mut batch: Vec<(u64, T)>) -> Step<T> {
    batch.sort_by_key(|(seq, _)| *seq);
    let mut step = Step { emit: Vec::with_capacity(batch.len()), gap: false };
    let mut last = position;
    for (seq, entry) in batch {
        if seq <= last {
            continue;
        }
        if seq - last > 1 {
            step.gap = true;
            break;
        }
        last = seq;
        step.emit.push((seq, entry));
    }
    step
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn step(position: u64, batch: &[u64]) -> (Vec<u64>, bool) {
        let step = plan_step(position, batch.iter().map(|seq| (*seq, ())).collect());
        (step.emit.into_iter().map(|(seq, ())| seq).collect(), step.gap)
    }

    #[test]
    fn the_next_entries_are_emitted_old_ones_dropped_and_a_gap_is_noticed() {
        assert_eq!(step(5, &[6, 7]), (vec![6, 7], false));
        assert_eq!(step(5, &[3, 4, 5]), (vec![], false));
        assert_eq!(step(5, &[5, 6, 6, 7]), (vec![6, 7], false));
        assert_eq!(step(5, &[7, 6]), (vec![6, 7], false));
        assert_eq!(step(5, &[7]), (vec![], true));
        assert_eq!(step(5, &[6, 8, 9]), (vec![6], true));
        assert_eq!(step(u64::MAX, &[1, u64::MAX]), (vec![], false));
        assert_eq!(step(0, &[]), (vec![], false));
    }

    proptest! {
        /// Batches are cut from 1..=last, then lost, doubled and reordered; what is missing is read from the source.
        #[test]
        fn whatever_is_lost_doubled_or_reordered_each_entry_comes_out_once_and_in_order(
            last in 0_u64..60,
            deliveries in proptest::collection::vec((1_u64..60, 1_u64..8), 0..40),
            page in 1_u64..10,
        ) {
            let read_after = |position: u64| (position + 1..=last.min(position + page)).map(|seq| (seq, ())).collect();
            let mut out: Vec<u64> = Vec::new();
            let position = |out: &Vec<u64>| out.last().copied().unwrap_or(0);
            for (from, count) in deliveries {
                let batch = (from..from + count).filter(|seq| *seq <= last).map(|seq| (seq, ())).collect();
                let step = plan_step(position(&out), batch);
                out.extend(step.emit.iter().map(|(seq, ())| *seq));
                if step.gap {
                    let read = plan_step(position(&out), read_after(position(&out)));
                    prop_assert!(!read.gap && !read.emit.is_empty());
                    out.extend(read.emit.iter().map(|(seq, ())| *seq));
                }
            }
            // At last the heads are compared.
            while position(&out) < last {
                let read = plan_step(position(&out), read_after(position(&out)));
                out.extend(read.emit.iter().map(|(seq, ())| *seq));
            }
            prop_assert_eq!(out, (1..=last).collect::<Vec<_>>());
        }
    }
}
