//! The keeper of tables: which as-of times there are, which of their tables are final, and what was given of them.
//!
//! A stage over stamped rows has an answer for each as-of time, its *table*. Rows come in any order, so a table may have to be given
//! more than once. Three questions are the same whatever the rows mean, and are answered here:
//!
//! 1. **Which times?** Those of the rule ([`AsOf`]) between the first row and the last.
//! 2. **Which tables are stale?** Those never made, and those that a changed row concerns.
//! 3. **What is behind?** Without a window, or where the input ends of itself, nothing is. A run that follows growing inputs with a
//!    window W and an allowed lateness L (W where it is not said) lets go. With N the newest stamp so far:
//!
//!    | | |
//!    | --- | --- |
//!    | as-of time ≥ N − L | its table is *open*: it is given again when it changes |
//!    | as-of time < N − L | its table is *final*: it was given for the last time, and is forgotten |
//!    | row < N − L − W | concerns final tables only: it is let go of, and one that comes is *late*, dropped and counted |
//!
//! Every open table has the bits that it would have with all rows kept.
//!
//! What a table is, how it is made and how two of them differ is the stage's own. So are the rows: it keeps those from [`Closing::from`] on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AsOf, Stamped, stamp};
use crate::Error;
use crate::report::Dropped;

/// The state. `T` is a table.
///
/// ```
/// use thalweg::asof::{AsOf, Tables};
///
/// let second = 1_000_000_000;
/// let mut tables = Tables::<&str>::new(AsOf::Every(10 * second), Some(30 * second), None, true);
/// for t in [1, 12, 65] {
///     tables.newest(t * second);
/// }
/// // Rows are at 65 s, so tables before 35 s are final, and rows before 5 s concern nothing that is open.
/// let closing = tables.closing().expect("three tables are behind");
/// assert_eq!((closing.open, closing.from, closing.due), (35 * second, 5 * second, true));
/// tables.close(closing.open);
/// let open = tables.times(second, 65 * second, || None)?;
/// assert_eq!(open, [40, 50, 60, 70].map(|t| t * second));
/// # Ok::<(), thalweg::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Tables<T> {
    as_of: AsOf,
    /// The window and the allowed lateness of a run that lets go (ns).
    horizon: Option<Horizon>,
    /// Tables as they were last given, by as-of time (ns), where a stage keeps them to tell what changes.
    pub given: BTreeMap<i64, T>,
    /// The first and the last stamp of the rows that changed since the tables were made.
    changed: Option<(i64, i64)>,
    newest: Option<i64>,
    /// Tables of earlier as-of times are final.
    open: i64,
}

#[derive(Clone, Copy, Debug)]
struct Horizon {
    window: i64,
    lateness: i64,
}

/// What the newest row makes final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    /// Tables of as-of times before this (ns) are final.
    pub open: i64,
    /// Rows before this (ns) concern final tables only.
    pub from: i64,
    /// Whether there may be tables that become final: they are to be given for the last time.
    pub due: bool,
}

impl Closing {
    /// Tables of as-of times (ns) before this are given for the last time; the least time where there is none.
    pub(crate) fn last_before(self) -> i64 {
        if self.due { self.open } else { i64::MIN }
    }
}

impl<T> Tables<T> {
    /// Of the times that `as_of` names. Only a run that follows growing inputs (`follow`) with a `window` (ns) lets go of what is behind the
    /// newest row by more than `lateness` (ns; the window where it is not said).
    pub fn new(as_of: AsOf, window: Option<i64>, lateness: Option<i64>, follow: bool) -> Self {
        let horizon = |window| Horizon { window, lateness: lateness.unwrap_or(window) };
        let horizon = window.filter(|_| follow).map(horizon);
        Tables { as_of, horizon, given: BTreeMap::new(), changed: None, newest: None, open: i64::MIN }
    }

    /// Takes the late ones out of rows that came together, each with its multiplicity; what was dropped is the sum of theirs.
    pub fn sift<F: Stamped, D: TryInto<i64> + Copy>(&self, rows: Vec<(F, D)>) -> (Vec<(F, D)>, Dropped) {
        let mut late = Dropped::default();
        let Some((Horizon { window, lateness }, newest)) = self.horizon.zip(self.newest) else { return (rows, late) };
        let least = newest.saturating_sub(lateness).saturating_sub(window);
        let kept = rows.into_iter().filter(|(row, diff)| {
            let Some(t) = row.t().filter(|t| *t < least) else { return true };
            if late.count == 0 {
                let (behind, newest) = (stamp(window.saturating_add(lateness)), stamp(newest));
                late.first = format!("a row at {}, more than {behind} before the newest, at {newest}", stamp(t));
            }
            late.count += (*diff).try_into().map_or(1, i64::unsigned_abs);
            false
        });
        (kept.collect(), late)
    }

    /// Notes that a row at `t` (ns) came or went.
    pub fn changed(&mut self, t: i64) {
        let (first, last) = self.changed.unwrap_or((t, t));
        self.changed = Some((first.min(t), last.max(t)));
    }

    /// Notes that time has come to `t` (ns), the stamp of a row.
    pub fn newest(&mut self, t: i64) {
        self.newest = self.newest.max(Some(t));
    }

    /// Notes that all tables that are not final have been made from all rows so far.
    pub fn made(&mut self) {
        self.changed = None;
    }

    /// True if the table of `as_of` was not given, or may be another since rows changed. Rows count up to `reach` (ns) before an as-of
    /// time; `None`: for ever.
    pub fn stale(&self, as_of: i64, reach: Option<i64>) -> bool {
        let from = reach.map_or(i64::MIN, |reach| as_of.saturating_sub(reach));
        !self.given.contains_key(&as_of) || self.changed.is_some_and(|(first, last)| first <= as_of && last >= from)
    }

    /// The as-of times (ns) whose tables are not final, ascending, of rows with stamps from `first` to `last`; `widest_gap` says which two
    /// neighbouring stamps lie farthest apart.
    ///
    /// # Errors
    /// [`Error::Value`]: more times than anybody means to ask for ([`AsOf::check`]).
    pub fn times(
        &self,
        first: i64,
        last: i64,
        widest_gap: impl FnOnce() -> Option<(i64, i64)>,
    ) -> Result<Vec<i64>, Error> {
        let first = match self.as_of {
            AsOf::Every(_) => first.max(self.open).min(last),
            _ => first,
        };
        self.as_of.check(first, last, widest_gap)?;
        // The last row's table is never behind.
        let open = if matches!(self.as_of, AsOf::Last) { i64::MIN } else { self.open };
        Ok(self.as_of.times(first, last).filter(|t| *t >= open).collect())
    }

    /// What the newest row makes final that was not; `None` where that is nothing.
    pub fn closing(&self) -> Option<Closing> {
        let (Horizon { window, lateness }, newest) = self.horizon.zip(self.newest)?;
        let open = newest.saturating_sub(lateness);
        let from = open.saturating_sub(window);
        (open > self.open).then(|| Closing { open, from, due: self.as_of.any(self.open, open) })
    }

    /// Takes tables before `open` (ns) as final from here on, and hands out those that were kept.
    pub fn close(&mut self, open: i64) -> BTreeMap<i64, T> {
        self.open = open;
        let rest = self.given.split_off(&open);
        std::mem::replace(&mut self.given, rest)
    }

    /// Tables before this as-of time (ns) are final.
    pub fn open(&self) -> i64 {
        self.open
    }

    /// The newest stamp so far (ns).
    pub fn now(&self) -> Option<i64> {
        self.newest
    }
}

#[cfg(test)]
mod tests {
    use rand_xoshiro::Xoshiro256PlusPlus;
    use rand_xoshiro::rand_core::{Rng, SeedableRng};

    use super::*;

    struct At(i64);

    impl Stamped for At {
        fn t(&self) -> Option<i64> {
            Some(self.0)
        }
    }

    /// The table: how many rows there are in a window.
    fn count(rows: &[i64], as_of: i64, window: i64) -> usize {
        rows.iter().filter(|t| as_of - window <= **t && **t <= as_of).count()
    }

    /// Rows in any order, some far too late, are counted a window long: what stands for each as-of time when it becomes final, and at the
    /// end, is what all rows so far would give, although rows and tables behind were let go of.
    #[test]
    fn open_tables_are_those_of_all_rows() {
        for seed in 0..200 {
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
            let mut below = |n: u64| (rng.next_u64() % n) as i64;
            let (window, step) = (1 + below(30), 1 + below(12));
            // Half of them with the window as the allowed lateness.
            let lateness = if seed % 2 == 0 { window } else { below(60) };
            let mut tables =
                Tables::<usize>::new(AsOf::Every(step), Some(window), Some(lateness).filter(|_| seed % 2 == 1), true);
            let (mut all, mut kept, mut given) = (Vec::new(), Vec::new(), BTreeMap::new());
            let mut now = 0;
            for _ in 0..60 {
                now += below(9);
                let came: Vec<i64> = (0..1 + below(4)).map(|_| now - below(5 * (window + lateness) as u64)).collect();
                let before = tables.now();
                let (rows, late) = tables.sift(came.iter().map(|t| (At(*t), 1_i32)).collect());
                let least = before.map_or(i64::MIN, |newest| newest - window - lateness);
                assert_eq!(late.count as usize, came.iter().filter(|t| **t < least).count(), "seed {seed}");
                all.extend(came);
                for (At(t), _) in rows {
                    tables.changed(t);
                    tables.newest(t);
                    kept.push(t);
                }
                let first = *all.iter().min().expect("a row came");
                let make = |tables: &mut Tables<usize>, kept: &[i64], given: &mut BTreeMap<i64, usize>, to: i64| {
                    let Some(newest) = tables.now() else { return };
                    for as_of in tables.times(first, newest, || None).expect("few times") {
                        if as_of < to && tables.stale(as_of, Some(window)) {
                            let table = count(kept, as_of, window);
                            tables.given.insert(as_of, table);
                            given.insert(as_of, table);
                        }
                    }
                };
                if let Some(closing) = tables.closing() {
                    if closing.due {
                        make(&mut tables, &kept, &mut given, closing.open);
                    }
                    for (as_of, table) in tables.close(closing.open) {
                        assert_eq!(table, count(&all, as_of, window), "seed {seed}, final table {as_of}");
                    }
                    kept.retain(|t| *t >= closing.from);
                }
                if below(3) == 0 {
                    make(&mut tables, &kept, &mut given, i64::MAX);
                    tables.made();
                    for (&as_of, &table) in &tables.given {
                        assert!(as_of >= tables.open());
                        assert_eq!(table, count(&all, as_of, window), "seed {seed}, table {as_of}");
                    }
                }
            }
            assert!(!given.is_empty(), "seed {seed}");
        }
    }

    #[test]
    fn nothing_is_behind_without_a_window_or_an_end() {
        for (window, follow) in [(None, true), (Some(5), false)] {
            let mut tables = Tables::<()>::new(AsOf::Every(10), window, None, follow);
            tables.newest(1_000);
            assert_eq!(tables.closing(), None);
            let (rows, late) = tables.sift(vec![(At(-1_000), 1_i32)]);
            assert_eq!((rows.len(), late.count), (1, 0));
        }
    }

    #[test]
    fn a_late_row_counts_as_often_as_it_came() {
        let mut tables = Tables::<()>::new(AsOf::Last, Some(10_000_000_000), None, true);
        tables.newest(100_000_000_000);
        let (rows, late) = tables.sift(vec![(At(79_000_000_000), -3_isize), (At(80_000_000_000), 1)]);
        assert_eq!((rows.len(), late.count), (1, 3));
        assert_eq!(late.first, "a row at 79 s, more than 20 s before the newest, at 100 s");
        assert!(tables.closing().is_some_and(|closing| !closing.due), "the last row's table is never behind");
    }
}
