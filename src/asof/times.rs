//! Which as-of times a run gives: one, every so often, or the last record's.

use super::stamp;
use crate::Error;

/// Most as-of times between two neighbouring stamps, and in all.
const BETWEEN: u64 = 20_000;
const IN_ALL: u64 = 1_000_000;

/// The rule, in ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsOf {
    /// The time of the last live row.
    Last,
    /// This time.
    At(i64),
    /// The multiples of this (positive), from the first at or after the first row to the first at or after the last. One beyond the
    /// range of stamps is the end of the range.
    Every(i64),
}

impl AsOf {
    /// The as-of times of rows whose stamps run from `first` to `last`, ascending.
    pub fn times(self, first: i64, last: i64) -> impl Iterator<Item = i64> {
        let (from, to, step) = self.bounds(first, last);
        let times = std::iter::successors(Some(from), move |t| Some(t + step)).take_while(move |t| *t <= to);
        times.map(|t| i64::try_from(t).unwrap_or(i64::MAX))
    }

    /// How many times those are.
    pub fn count(self, first: i64, last: i64) -> u64 {
        let (from, to, step) = self.bounds(first, last);
        u64::try_from((to - from) / step + 1).unwrap_or(0)
    }

    /// Refuses more times than anybody means to ask for; `widest_gap` says which two neighbouring stamps lie farthest apart.
    ///
    /// # Errors
    /// [`Error::Value`] with the stamps between which too many times lie.
    pub fn check(self, first: i64, last: i64, widest_gap: impl FnOnce() -> Option<(i64, i64)>) -> Result<(), Error> {
        let count = self.count(first, last);
        if count <= BETWEEN {
            return Ok(());
        }
        let error = |count, (from, to), most| {
            Err(Error::Value {
                what: "every",
                found: format!("{count} as-of times between rows at {} and {}", stamp(from), stamp(to)),
                expected: format!("at most {most}: a wrong stamp, or too short an interval"),
            })
        };
        let gap = widest_gap().unwrap_or((first, last));
        let between = self.count(gap.0.max(first), gap.1.max(first));
        match () {
            () if between > BETWEEN => error(between, gap, BETWEEN),
            () if count > IN_ALL => error(count, (first, last), IN_ALL),
            () => Ok(()),
        }
    }

    /// True if one of them may lie in `from..to`, whatever the rows.
    pub fn any(self, from: i64, to: i64) -> bool {
        match self {
            AsOf::Last => false,
            AsOf::At(t) => from <= t && t < to,
            AsOf::Every(step) => multiple(from, step) < i128::from(to),
        }
    }

    /// The first time, the last, and the step; wider than stamps, since a multiple may lie beyond their range.
    fn bounds(self, first: i64, last: i64) -> (i128, i128, i128) {
        match self {
            AsOf::Last => (last.into(), last.into(), 1),
            AsOf::At(t) => (t.into(), t.into(), 1),
            AsOf::Every(step) => (multiple(first, step), multiple(last, step), step.max(1).into()),
        }
    }

    /// True if a row at `t`, after rows up to `last`, leaves an as-of time behind it.
    pub fn passed(self, last: i64, t: i64) -> bool {
        match self {
            AsOf::Last => false,
            AsOf::At(at) => last <= at && at < t,
            AsOf::Every(step) => multiple(last, step) < i128::from(t),
        }
    }
}

/// The first multiple of `step` at or after `t`.
fn multiple(t: i64, step: i64) -> i128 {
    let (t, step) = (i128::from(t), i128::from(step.max(1)));
    -(-t).div_euclid(step) * step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_takes_the_multiples_around_the_rows() {
        let every = |first, last| AsOf::Every(10).times(first, last).collect::<Vec<_>>();
        assert_eq!(every(1, 30), [10, 20, 30]);
        assert_eq!(every(10, 31), [10, 20, 30, 40]);
        assert_eq!(every(-5, -5), [0]);
        assert_eq!(every(-10, -9), [-10, 0]);
        assert_eq!(AsOf::Every(10).count(-5, 31), 5);
        assert_eq!(AsOf::Last.times(1, 30).collect::<Vec<_>>(), [30]);
        assert_eq!(AsOf::At(7).times(10, 30).collect::<Vec<_>>(), [7]);
    }

    #[test]
    fn at_the_ends_of_the_range_of_stamps_no_row_is_lost() {
        let day = 86_400_000_000_000;
        for (first, last) in
            [(i64::MIN, i64::MIN), (i64::MIN, i64::MIN + 3), (i64::MAX - 5, i64::MAX), (i64::MAX, i64::MAX)]
        {
            for step in [1, 7, day, i64::MAX] {
                let times: Vec<i64> = AsOf::Every(step).times(first, last).collect();
                assert!(times.is_sorted_by(|a, b| a < b), "{first} {last} {step}: {times:?}");
                assert!(times[0] >= first && times[times.len() - 1] >= last, "{first} {last} {step}: {times:?}");
                assert_eq!(times.len() as u64, AsOf::Every(step).count(first, last));
            }
        }
        assert_eq!(AsOf::Every(i64::MAX).count(i64::MIN, i64::MAX), 3);
        assert!(AsOf::Every(day).passed(i64::MIN, 0) && !AsOf::Every(day).passed(i64::MAX - 1, i64::MAX));
    }

    #[test]
    fn an_as_of_time_is_passed_by_the_first_row_after_it() {
        assert!(!AsOf::Every(10).passed(1, 10) && AsOf::Every(10).passed(1, 11) && !AsOf::Every(10).passed(11, 20));
        assert!(AsOf::At(7).passed(7, 8) && !AsOf::At(7).passed(8, 9) && !AsOf::At(7).passed(6, 7));
    }
}
