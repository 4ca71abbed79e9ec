//! Order-keeping labels: 32 bits that compare as 63-bit ids do.
//!
//! A sort key has room for 32 bits beside the distance, but ties go to the smaller id. So every live id carries a label between those
//! of its neighbours in id order. Where there is no room left between two, the labels around are spread out again, over as many ids as it
//! takes to find room (Dietz and Sleator, Two algorithms for maintaining order in a list, 1987). Labels never show in a result.

use std::collections::BTreeMap;

/// Ids in use, in order, with their labels.
#[derive(Default)]
pub(super) struct Labels {
    label: BTreeMap<u64, u32>,
}

/// Labels are below this; what is above is no label.
const END: u64 = u32::MAX as u64;

/// Room between two labels after they were spread out, where possible.
const ROOM: u64 = 1024;

impl Labels {
    /// The label of an id in use.
    pub(super) fn get(&self, id: u64) -> Option<u32> {
        self.label.get(&id).copied()
    }

    /// Whether an id is in use.
    pub(super) fn contains(&self, id: u64) -> bool {
        self.label.contains_key(&id)
    }

    /// Forgets an id.
    pub(super) fn remove(&mut self, id: u64) {
        self.label.remove(&id);
    }

    /// Gives labels to ids, ascending and not in use. `assign` is told every label that is new or changes.
    pub(super) fn insert(&mut self, ids: &[u64], mut assign: impl FnMut(u64, u32)) {
        let mut rest = ids;
        while let Some(&first) = rest.first() {
            let before = self.label.range(..first).next_back().map_or(0, |(_, &label)| u64::from(label) + 1);
            let next = self.label.range(first..).next().map(|(&id, &label)| (id, u64::from(label)));
            let (run, after) = match next {
                Some((id, label)) => (rest.partition_point(|&new| new < id), label),
                None => (rest.len(), END),
            };
            let room = after - before;
            if room < run as u64 {
                self.spread(first, run as u64, &mut assign);
                continue;
            }
            // At the end, leave room for what grows there; elsewhere, share it evenly.
            let step = if next.is_none() { (room / run as u64).min(ROOM * 16) } else { room / (run as u64 + 1) }.max(1);
            let offset = step.min(room - run as u64);
            for (i, &id) in rest[..run].iter().enumerate() {
                let label = (before + (offset + i as u64 * step).min(room - (run - i) as u64)) as u32;
                self.label.insert(id, label);
                assign(id, label);
            }
            rest = &rest[run..];
        }
    }

    /// Spreads out the labels around an id that is not in use, until `wanted` ones fit in between.
    fn spread(&mut self, around: u64, wanted: u64, assign: &mut impl FnMut(u64, u32)) {
        let mut reach = 32;
        loop {
            let before: Vec<u64> = self.label.range(..around).rev().take(reach + 1).map(|(&id, _)| id).collect();
            let after: Vec<u64> = self.label.range(around..).take(reach + 1).map(|(&id, _)| id).collect();
            let all = before.len() <= reach && after.len() <= reach;
            let low = if before.len() > reach { u64::from(self.label[&before[reach]]) + 1 } else { 0 };
            let high = if after.len() > reach { u64::from(self.label[&after[reach]]) } else { END };
            let count = (before.len().min(reach) + after.len().min(reach)) as u64 + wanted;
            let step = (high - low) / (count + 1);
            if step >= ROOM || all {
                let step = step.max(1);
                let mut next = low + (step - 1);
                for &id in before[..before.len().min(reach)].iter().rev() {
                    self.label.insert(id, next as u32);
                    assign(id, next as u32);
                    next += step;
                }
                next += wanted * step;
                for &id in &after[..after.len().min(reach)] {
                    self.label.insert(id, next as u32);
                    assign(id, next as u32);
                    next += step;
                }
                return;
            }
            reach *= 4;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(labels: &Labels, told: &BTreeMap<u64, u32>, case: &str) {
        assert_eq!(&labels.label, told, "{case}: what was told is what holds");
        let values: Vec<u32> = labels.label.values().copied().collect();
        assert!(values.windows(2).all(|pair| pair[0] < pair[1]), "{case}: order");
        assert!(values.last().is_none_or(|&last| u64::from(last) < END), "{case}: end");
    }

    /// Runs that go into the same gap again and again, growing at the end, and at the front.
    #[test]
    fn order_is_kept_where_it_is_tight() {
        for pattern in 0..3 {
            let (mut labels, mut told) = (Labels::default(), BTreeMap::new());
            for round in 0..600u64 {
                let base = match pattern {
                    0 => (1 << 40) + (1 << 30) - round * 40,
                    1 => round * 40,
                    _ => (1 << 50) - round * 40 - (round % 7) * 1000,
                };
                let ids: Vec<u64> = (base..base + 30).filter(|id| !told.contains_key(id)).collect();
                labels.insert(&ids, |id, label| {
                    told.insert(id, label);
                });
                if round % 3 == 0 {
                    labels.remove(ids[0]);
                    told.remove(&ids[0]);
                }
                check(&labels, &told, &format!("pattern {pattern}, round {round}"));
            }
        }
    }
}
